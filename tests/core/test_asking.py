"""An agent asks whoever is next in a queue: what stands there for them is no caller, and is found as one."""

from __future__ import annotations

from typing import Any

import pytest

from fsacd.core import events as e
from fsacd.core.commands import RingAgent
from fsacd.core.offer import offer_id
from fsacd.core.records import CallEnded, CallJoined, OfferClosed
from fsacd.core.rules import Service
from fsacd.testing import Driver, agent, queue, queued, rules_of

TALK = offer_id(0, "anna", 1)


def in_talk(service: Service | None = None, **billing: Any) -> Driver:
    """1001 talks with anna since 1 s. Billing is served by 2001, so, who is logged in and not ready."""
    serves = ("billing", service or Service())
    rules = rules_of(queue("support"), queue("billing", **billing), agent("1001", "support"), agent("2001", serves))
    driver = Driver(rules)
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(e.AgentLoggedIn("1001", "test"))
    driver.tell(e.AgentLoggedIn("2001", "test"))
    driver.tell(e.AgentSetNotReady("2001", "", "test"))
    driver.tell(queued("anna", "support"))
    driver.tell(e.OfferAnswered(TALK, "fs1"), 1_000)
    driver.tell(e.OfferConnected(TALK))
    driver.wait_until(5_000)
    return driver


def ask(driver: Driver) -> str | None:
    """1001 asks billing; why not, if it is refused."""
    refused = driver.tell(e.TalkConsultAsked("1001", TALK, "billing", "test", e.TransferTo.QUEUE)).refused
    driver.tell(e.OfferAnswered(TALK, "fs1"))  # the leg is parked
    return refused


def rung(driver: Driver) -> list[tuple[str, str]]:
    """Who was rung, and for which queue."""
    return [(one.agent_id, one.queue) for one in driver.commands_of(RingAgent)]


def test_who_asks_is_counted_as_no_caller() -> None:
    """Nobody waits in the queue, nobody joins or leaves it, and no step tells of a call that there is not."""
    driver = in_talk()
    assert ask(driver) is None
    billing = next(one for one in driver.engine.snapshot(driver.now_ms).queues if one.name == "billing")
    assert (billing.waiting, billing.offered, billing.talking, billing.oldest_wait_ms) == (0, 0, 0, None)
    assert driver.engine._world.queue_lengths == {"support": 0, "billing": 0}
    driver.wait(70_000)
    driver.tell(e.CallerGone("anna", "NORMAL_CLEARING"))
    assert {call_id for step in driver.steps for call_id in step.calls} == {"anna"}
    assert [one.queue for one in driver.records_of(CallJoined)] == ["support"]
    assert [(one.call_id, one.queue) for one in driver.records_of(CallEnded)] == [("anna", "support")]
    assert {one.queue for one in driver.records_of(OfferClosed)} <= {"support"}
    assert not driver.engine._world.asking


def test_whoever_becomes_free_is_rung_at_once() -> None:
    """Without a poll: in the step in which they become ready."""
    driver = in_talk()
    ask(driver)
    driver.tell(e.AgentSetReady("2001", "test"), 9_000)
    assert rung(driver) == [("1001", "support"), ("2001", "billing")]


def test_who_helps_late_is_rung_late() -> None:
    """A delay holds for whoever asks as for a caller, where others are there who have none."""
    driver = in_talk(Service(delay_ms=20_000), no_agent_no_delay=False)
    driver.tell(e.AgentSetReady("2001", "test"))
    ask(driver)
    driver.wait_until(24_999)
    assert rung(driver) == [("1001", "support")]
    driver.wait_until(25_000)
    assert rung(driver) == [("1001", "support"), ("2001", "billing")]


def test_a_queue_that_does_not_fill_its_agents_is_not_asked() -> None:
    """Else whoever asks might be rung themselves."""
    assert (
        ask(in_talk(weight=50)) == "queue billing leaves its agents room for other work, so nobody of it can be asked"
    )


@pytest.mark.parametrize("priority", [0, 1])
def test_class_goes_before_time(priority: int) -> None:
    """Who asks has the queue's class, and a caller of a higher one goes first, though they came later."""
    driver = in_talk()
    ask(driver)
    driver.tell(queued("bert", "billing", 8_000, priority=priority), 8_000)
    driver.tell(e.AgentSetReady("2001", "test"), 9_000)
    (*_, ring) = driver.commands_of(RingAgent)
    assert ring.call_id == ("bert" if priority else "anna")
