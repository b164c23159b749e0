"""Callers whom nobody knows, legs that nobody wants: what the daemon finds on a real switch, and what becomes of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import AGENTS
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

CONFIG: dict[str, Any] = {
    "defaults": {"wrap_up": "0s"},
    "queues": {"support": {}, "nobody": {}},
    "agents": {"1001": {"queues": ["support"], "login_at_start": True}},
}
# From the start of a daemon, or the return of a switch, to service.
BACK_S = 5.0


@pytest.fixture
def tracking(workplace: Path) -> Iterator[RealSwitch]:
    """A FreeSWITCH that can recover its calls after a crash."""
    real = RealSwitch(workplace / "freeswitch", AGENTS, track_calls=True)
    real.start()
    yield real
    real.stop()


def opened(workplace: Path, switch: RealSwitch) -> Floor:
    floor = Floor(workplace, switch, CONFIG)
    floor.start()
    return floor


def waiting(floor: Floor) -> list[str]:
    """Who waits, in the order of arrival."""
    calls: list[dict[str, Any]] = floor.daemon.get("calls?limit=1000")["calls"]
    return [call["number"] for call in calls if call["state"] == "waiting"]


def state(floor: Floor) -> str:
    """The agent's."""
    return str(floor.daemon.agents()["1001"]["state"])


def test_without_a_memory_all_callers_are_found_in_order(workplace: Path, switch: RealSwitch) -> None:
    """Killed and started with nothing on disk: the daemon has every caller at its first look, in order of arrival."""
    floor = opened(workplace, switch)
    try:
        numbers = [f"49301{number:02}" for number in range(12)]
        for number in numbers:
            floor.call(number, "nobody")
        await_true(lambda: waiting(floor) == numbers, 10, "all wait")
        floor.daemon.kill()
        floor.daemon.start()
        await_true(lambda: waiting(floor) == numbers, 3, "all are found, long before they announce themselves again")
    finally:
        floor.stop()


def test_a_ring_that_nobody_wants_is_ended(workplace: Path, switch: RealSwitch) -> None:
    """A leg with an offer's name that no engine knows, be it of a daemon that is gone: found, ended and counted."""
    floor = opened(workplace, switch)
    try:
        leg = str(uuid.uuid5(uuid.NAMESPACE_OID, "a stray leg"))
        variables = f"origination_uuid={leg},fsacd_leg=agent,fsacd_offer={leg},fsacd_agent=1002,fsacd_call={leg}"
        esl = switch.esl()
        esl.api(f"bgapi originate {{{variables}}}sofia/trunk/1002@127.0.0.1:{floor.phones.port} &park()")
        await_true(lambda: leg in esl.api("show channels"), 5, "the leg rings and is listed")
        floor.daemon.post("resync")
        await_true(lambda: esl.api(f"uuid_exists {leg}") == "false", 5, "the leg is ended")
        esl.close()
        metrics = floor.daemon.metrics
        kind = 'fsacd_reconciled_total{kind="unknown_agent_leg"}'
        await_true(lambda: metrics().get(kind) == 1, 3, "it is counted")
    finally:
        floor.stop()


def test_a_crash_of_the_switch_costs_recovered_callers_nothing(workplace: Path, tracking: RealSwitch) -> None:
    """Killed with -9 and recovered: talks go on, callers keep call and place; who was only ringing is ready again."""
    floor = opened(workplace, tracking)
    try:
        floor.call("4930201", "support")
        floor.talk(floor.ring("4930201"))
        for number in ("4930202", "4930203", "4930204"):
            floor.call(number, "nobody")
        await_true(lambda: len(waiting(floor)) == 3, 10, "three wait")
        await_true(lambda: tracking.tracked() == 5, 5, "the switch has written all five legs down")
        before = {number: floor.call_of(number)["id"] for number in ("4930201", *waiting(floor))}
        tracking.kill()
        tracking.start()
        assert "Recovered 5 call(s)" in tracking.recover()
        await_true(lambda: floor.daemon.get("status")["switches"][0]["connected"], BACK_S, "it serves again")
        assert {number: floor.call_of(number)["id"] for number in before} == before
        assert waiting(floor) == ["4930202", "4930203", "4930204"]
        assert state(floor) == "talking"
        floor.phones.hang_up("1001")
        await_true(lambda: state(floor) == "ready", 5, "the agent is ready")
        assert sorted(before)[1:] == waiting(floor)
    finally:
        floor.stop()


def test_who_is_not_recovered_is_lost(workplace: Path, tracking: RealSwitch) -> None:
    """Nobody recovers the calls: they are lost with this cause, and the agent who talked is ready again soon."""
    floor = opened(workplace, tracking)
    try:
        floor.call("4930301", "support")
        floor.talk(floor.ring("4930301"))
        floor.call("4930302", "nobody")
        await_true(lambda: waiting(floor) == ["4930302"], 5, "the caller waits")
        tracking.kill()
        tracking.start()
        await_true(lambda: state(floor) == "ready", BACK_S, "the agent is ready again")
        await_true(lambda: floor.daemon.get("calls")["calls"] == [], BACK_S, "no call is left")
        ended = 'fsacd_calls_ended_total{outcome="lost",queue="nobody"}'
        assert {name: value for name, value in floor.daemon.metrics().items() if name == ended} == {ended: 1.0}
    finally:
        floor.stop()


def test_who_is_recovered_late_is_served(workplace: Path, tracking: RealSwitch) -> None:
    """The operator recovers the calls when they count as lost already: they wait again, not only in the music."""
    floor = opened(workplace, tracking)
    try:
        for number in ("4930401", "4930402"):
            floor.call(number, "nobody")
        await_true(lambda: tracking.tracked() == 2, 5, "the switch has written both legs down")
        tracking.kill()
        tracking.start()
        await_true(lambda: floor.daemon.get("calls")["calls"] == [], 10, "they count as lost")
        assert "Recovered 2 call(s)" in tracking.recover()
        await_true(lambda: sorted(waiting(floor)) == ["4930401", "4930402"], BACK_S, "both wait again")
    finally:
        floor.stop()


def test_who_talks_again_late_is_not_rung(workplace: Path, tracking: RealSwitch) -> None:
    """A talk that the operator recovers when it counts as lost already: its agent is in a call, not ready for one."""
    floor = opened(workplace, tracking)
    try:
        floor.call("4930501", "support")
        floor.talk(floor.ring("4930501"))
        await_true(lambda: tracking.tracked("<bridge_to>") == 2, 5, "the switch has written the talk down, too")
        tracking.kill()
        tracking.start()
        await_true(lambda: state(floor) == "ready", 10, "the talk counts as lost")
        assert "Recovered 2 call(s)" in tracking.recover()
        await_true(lambda: state(floor) == "busy", BACK_S, "the agent is seen to be in a call")
        floor.call("4930502", "support")
        await_true(lambda: waiting(floor) == ["4930502"], BACK_S, "the next caller waits")
        floor.phones.hang_up("1001")
        floor.ring("4930502")
    finally:
        floor.stop()
