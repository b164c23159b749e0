"""The daemon is killed on a real switch: callers wait, agents talk, phones ring; ten seconds later it is started."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import switch, workplace
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

__all__ = ["switch", "workplace"]

WAITING, TALKING, RINGING = 60, 10, 2
AWAY_S = 10.0
# The promise is three seconds from the start of the process to service; a busy machine gets more.
BACK_S = 15.0
SOON_S = 20.0


def config(directory: Path) -> dict[str, Any]:
    agents = [str(number) for number in range(1001, 1001 + TALKING + RINGING)]
    return {
        "journal": {"directory": str(directory / "journal")},
        "defaults": {"wrap_up": "0s", "ring_timeout": "60s"},
        "queues": {"support": {}, "sales": {}},
        "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in agents},
    }


class Site:
    """A floor with callers who wait, agents who talk, and phones that ring."""

    def __init__(self, workplace: Path, switch: RealSwitch) -> None:
        self.floor = Floor(workplace, switch, config(workplace))
        self.floor.start()
        self.talks = [f"49301{number:03}" for number in range(TALKING)]
        for number in self.talks:
            self.floor.call(number, "support")
        rings = [self.floor.ring(number) for number in self.talks]
        for ring in rings:
            self.floor.talk(ring)
        self.talkers = {ring.user for ring in rings}
        self.rung = [f"49302{number:03}" for number in range(RINGING)]
        for number in self.rung:
            self.floor.call(number, "support")
            self.floor.ring(number)
        # Nobody serves them: they wait for as long as the test likes.
        for index in range(WAITING):
            self.floor.call(f"49303{index:03}", "support" if index % 2 else "sales")
        await_true(lambda: len(self.order()) == WAITING, SOON_S, "all wait")

    def calls(self) -> dict[str, dict[str, Any]]:
        """Every live call by its caller's number."""
        return {call["number"]: call for call in self.floor.daemon.get("calls?limit=1000")["calls"]}

    def order(self) -> list[str]:
        """Who waits, in the daemon's order."""
        return [number for number, call in self.calls().items() if call["state"] == "waiting"]

    def in_talk(self) -> set[str]:
        """Whose phones are in a talk, as the phones themselves see it."""
        return {ring.user for ring in self.floor.phones.rung if ring.state == "talking"}


def within(condition: Callable[[], bool], limit_s: float, what: str) -> float:
    began = time.monotonic()
    await_true(condition, limit_s, what)
    return time.monotonic() - began


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_a_kill_costs_no_place_no_talk_and_no_login(workplace: Path, switch: RealSwitch) -> None:
    """Sixty wait, ten talk, two phones ring; killed, and started ten seconds later, everything is as it was."""
    site = Site(workplace, switch)
    floor = site.floor
    try:
        order, ids = site.order(), {number: call["id"] for number, call in site.calls().items()}
        agents = {agent_id: agent["state"] for agent_id, agent in floor.daemon.agents().items()}
        floor.daemon.kill()
        time.sleep(AWAY_S)  # what is tested is this very time, in which nothing can be awaited
        assert site.in_talk() == site.talkers, "no talk is cut while there is no daemon"
        began = time.monotonic()
        floor.daemon.start()
        back_s = time.monotonic() - began
        print(f"in service {back_s:.1f} s after the start of the process")
        assert back_s < BACK_S
        assert order == site.order()
        assert ids == {number: call["id"] for number, call in site.calls().items()}
        assert agents == {agent_id: agent["state"] for agent_id, agent in floor.daemon.agents().items()}
        assert site.in_talk() == site.talkers
        # Who talked is served on: his agent hangs up, and gets the next caller.
        first = next(ring for ring in floor.phones.rung if ring.caller == site.talks[0])
        floor.hang_up(first)
        served_s = within(
            lambda: bool(floor.rings_for(next(n for n in order if ids[n] and int(n) % 2))), SOON_S, "ring"
        )
        print(f"the next caller's phone rings {served_s:.1f} s after an agent is free")
        live = [ring for ring in floor.phones.rung if ring.state in {"ringing", "talking"}]
        assert len(live) == len({ring.user for ring in live}), "nobody has two calls at once"
    finally:
        floor.stop()
