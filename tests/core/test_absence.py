"""A switch that stays away: the engine is not kept busy by it, and gives it up at the same moment after a restart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.records import CallEnded
from fsacd.core.rules import Limits, Rules
from fsacd.testing import PLUGINS, Driver, agent, queue, rules_of

HOUR_MS = 3_600_000
TALKS, CONNECTS, RINGS, SETTLES = ("1001", "1002", "1003", "1004")


def centre(limits: Limits) -> Rules:
    """Four agents with a queue each."""
    agents = (TALKS, CONNECTS, RINGS, SETTLES)
    return rules_of(*map(queue, agents), *(agent(agent_id, agent_id) for agent_id in agents), limits=limits)


def cut(limits: Limits) -> Driver:
    """Calls in each state that waits for the switch's word, whose link is then lost."""
    driver = Driver(centre(limits))
    driver.tell(e.SwitchConnected("fs1"))
    offers = {}
    for agent_id in (TALKS, CONNECTS, RINGS, SETTLES):
        driver.tell(e.AgentLoggedIn(agent_id, "test"))
        driver.tell(e.CallQueued(f"c{agent_id}", agent_id, driver.now_ms, e.Leg("fs1", f"leg-{agent_id}")))
        offers[agent_id] = driver.engine.snapshot(driver.now_ms).offers[-1].offer_id
    for agent_id in (TALKS, SETTLES):
        driver.tell(e.OfferAnswered(offers[agent_id], "fs1"))
        driver.tell(e.OfferConnected(offers[agent_id]))
    driver.tell(e.OfferAnswered(offers[CONNECTS], "fs1"))
    driver.tell(e.OfferEnded(offers[SETTLES], e.OfferEnd.HUNG_UP))
    driver.tell(e.SwitchLost("fs1"))
    return driver


def deadlines(driver: Driver, for_ms: int) -> int:
    """How many deadlines come in this time."""
    before = len(driver.steps)
    driver.wait_until(driver.now_ms + for_ms)
    return len(driver.steps) - before


@pytest.mark.parametrize("gone_ms", [0, HOUR_MS + 1])
def test_an_hour_without_the_switch_is_a_quiet_one(gone_ms: int) -> None:
    """Whatever waits for the switch, an hour brings a few deadlines; for two calls it was 6,000."""
    driver = cut(Limits(switch_gone_ms=gone_ms))
    assert deadlines(driver, HOUR_MS) < 60
    driver.tell(e.SwitchConnected("fs1"))
    states = {agent.agent_id: agent.state for agent in driver.engine.snapshot(driver.now_ms).agents}
    assert states[TALKS] == "talking"


def test_all_that_waits_for_the_switch_goes_on_soon_after_its_return() -> None:
    """A bridge is asked for, a talk confirmed, an end that nobody has seen told within the usual times."""
    driver = cut(Limits(switch_gone_ms=HOUR_MS))
    driver.wait_until(driver.now_ms + HOUR_MS // 2)
    driver.tell(e.SwitchConnected("fs1"))
    done = [type(command).__name__ for _, step in driver.wait_until(driver.now_ms + 2_000) for command in step.commands]
    assert {"ConfirmTalk", "AskConnected"} <= set(done)


def restored(driver: Driver, change: Callable[[dict[str, object]], object] = lambda _plain: None) -> Engine:
    """An engine that goes on from the memory of this one, which is changed before."""
    plain = driver.engine.dump()
    change(plain)
    return Engine.restore(plain, PLUGINS)


def ends(engine: Engine, from_ms: int, to_ms: int) -> list[tuple[str, str, int]]:
    """Which calls end in this time: call, why, and when."""
    found = []
    engine.advance(from_ms)
    while (due_ms := engine.next_deadline_ms()) is not None and due_ms <= to_ms:
        ended = [record for record in engine.advance(due_ms).records if isinstance(record, CallEnded)]
        found += [(record.call_id, record.detail, record.ended_ms) for record in ended]
        engine.check()
    return found


def test_an_absence_goes_on_after_a_restart() -> None:
    """The time until a switch is given up is part of the memory."""
    driver = cut(Limits(switch_gone_ms=60_000))
    driver.wait_until(driver.now_ms + 30_000)
    told = ends(restored(driver), driver.now_ms, driver.now_ms + 60_000)
    assert {(why, at_ms - driver.now_ms) for _, why, at_ms in told} == {("switch_gone", 30_000)}
    assert len(told) == 4


def test_a_memory_that_says_nothing_of_absences() -> None:
    """Of an earlier fsacd: the time of a switch that was away then begins with the rules that know of such a time."""
    driver = cut(Limits())

    def forget(plain: dict[str, object]) -> None:
        del plain["absent"]

    engine = restored(driver, forget)
    assert ends(engine, driver.now_ms, driver.now_ms + 60_000) == []
    engine.handle(e.RulesChanged(centre(Limits(switch_gone_ms=60_000))), driver.now_ms + 60_000)
    told = ends(engine, driver.now_ms + 60_000, driver.now_ms + 200_000)
    assert {at_ms - driver.now_ms for _, _, at_ms in told} == {120_000}
    assert len(told) == 4
