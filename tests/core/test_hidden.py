"""A caller who wants the number hidden: what leaves the engine has neither number nor name in it, but where it may."""

from __future__ import annotations

import pytest

from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.match.ordering import facts_of
from fsacd.testing import PLUGINS, Driver, agent, queue, queued, rules_of

NUMBER, NAME, CUSTOMER = "+4930123456", "Erika", "ACME"
RULES = rules_of(queue("support"), queue("police", show_withheld=True), agent("1001", "support", "police"))


def a_centre(*, hidden: bool, first: str) -> Driver:
    driver = Driver(RULES)
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(queued("anna", first, number=NUMBER, name=NAME, customer=CUSTOMER, hidden=hidden))
    return driver


@pytest.mark.parametrize(
    ("hidden", "first", "then", "told"),
    [
        (True, "support", "support", False),
        (True, "police", "police", True),
        (True, "police", "support", False),
        (True, "support", "police", True),
        (False, "support", "support", True),
    ],
)
def test_where_the_call_stands_says_who_is_told(hidden: bool, first: str, then: str, told: bool) -> None:
    """The rules of the queue hold in which the call is when it is told of: rung for, looked at, written down."""
    driver = a_centre(hidden=hidden, first=first)
    if then != first:
        driver.tell(e.CallRequeueAsked("anna", "api:desk", then))
    driver.tell(e.AgentLoggedIn("1001", "test"))
    view = driver.call("anna")
    assert view is not None
    rung = driver.agent("1001")
    assert rung is not None
    assert (rung.state, rung.caller) == ("offered", CUSTOMER if told else "")
    driver.tell(e.CallerGone("anna", "NORMAL_CLEARING"))
    commands = [command for step in driver.steps for command in step.commands]
    records = [record for step in driver.steps for record in step.records]
    for what in (view, records):
        assert (NUMBER in repr(what), NAME in repr(what), CUSTOMER in repr(what)) == (told, told, told)
    # A phone shows one of the two names.
    assert (NUMBER in repr(commands), CUSTOMER in repr(commands), NAME in repr(commands)) == (told, told, False)


def test_no_plugin_is_told() -> None:
    """What a strategy or a call order makes of the number is told with each decision."""
    driver = a_centre(hidden=True, first="police")
    assert facts_of(driver.engine._world.calls["anna"]).number == ""


def test_a_wish_outlives_the_daemon() -> None:
    """Who is taken over from the memory of the daemon before is hidden as before."""
    driver = a_centre(hidden=True, first="support")
    again = Engine.restore(driver.engine.dump(), PLUGINS)
    assert [(call.number, call.name) for call in again.snapshot(0).calls] == [("", "")]


def test_last_agents_of_an_earlier_fsacd() -> None:
    """It has kept them by the number as it was shown: they go on by who is meant, and withheld ones not at all."""
    driver = a_centre(hidden=False, first="support")
    memory = driver.engine.dump()
    memory["last_agents"] = [["+49 30 1", "1001"], ["anonymous", "1001"]]
    assert Engine.restore(memory, PLUGINS).numbers_remembered() == ["+49301"]
