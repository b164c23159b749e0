"""What an agent's phone shows of a caller."""

from __future__ import annotations

from typing import Any

import pytest

from fsacd.core import events as e
from fsacd.core.commands import RingAgent
from fsacd.core.life.display import USUAL, unknown_word
from fsacd.testing import Driver, agent, queue, rules_of


def rung(template: str = "", **known: Any) -> RingAgent:
    """How an agent is rung for this caller."""
    driver = Driver(rules_of(queue("support", agent_display=template), agent("1001", "support")))
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(e.AgentLoggedIn("1001", "test"))
    step = driver.tell(e.CallQueued("c", "support", 0, e.Leg("fs1", "leg"), number="4930", **known))
    (ring,) = (command for command in step.commands if isinstance(command, RingAgent))
    return ring


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({}, ""),
        ({"name": "Bob"}, "Bob"),
        ({"name": "Bob", "customer": "Miller Ltd"}, "Miller Ltd"),
        ({"name": "Bob", "customer": "Miller Ltd", "shown_name": "SALES Bob"}, "SALES Bob"),
    ],
)
def test_the_dialplan_goes_before_the_customer_and_the_customer_before_the_name(
    known: dict[str, str], shown: str
) -> None:
    """Where a queue says nothing."""
    assert rung(**known).caller_name == shown


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{queue}: {customer or name}", "support: Bob"),
        ("{customer or number}", "4930"),
        ("{number}", "4930"),
        ("VIP", "VIP"),
        ("{dialplan}{name}", "Bob"),
    ],
)
def test_a_queue_says_what_is_shown(template: str, shown: str) -> None:
    """What nobody knows is left out."""
    assert unknown_word(template) is None
    assert rung(template, name="Bob").caller_name == shown


def test_what_a_caller_sends_is_no_template() -> None:
    """A name with braces in it stands there as it came."""
    assert rung(USUAL, name="{number}").caller_name == "{number}"


def test_the_number_may_be_the_dialplans() -> None:
    """The call's own number stays what it is."""
    assert rung(shown_number="100").caller_number == "100"
    assert rung().caller_number == "4930"


@pytest.mark.parametrize(
    ("template", "wrong"),
    [("{who}", "{who}"), ("{name or }", "{name or }"), ("{}", "{}"), ("{name", "{"), ("name}", "}"), ("{{name}}", "{")],
)
def test_words_that_mean_nothing_are_found(template: str, wrong: str) -> None:
    """Before a phone shows them."""
    assert unknown_word(template) == wrong
