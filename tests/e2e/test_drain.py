"""A daemon that is asked to stop: its rings end, its callers wait and talk on, and the next one goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

# Far longer than a busy machine keeps a phone from being answered.
RING_S = 6.0
# What stopping may take beside the rings: a second for those to withdraw, and the closing of journal and store.
STOP_S = 3.0


def config(directory: Path, stop_ring: str) -> dict[str, Any]:
    return {
        "stop_ring": stop_ring,
        "journal": {"directory": str(directory / "journal")},
        "defaults": {"wrap_up": "0s", "ring_timeout": "60s"},
        "queues": {"support": {}},
        "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in ("1001", "1002", "1003")},
    }


@pytest.mark.parametrize("stop_ring", ["0s", f"{RING_S:g}s"])
def test_an_upgrade_costs_nobody_anything(workplace: Path, switch: RealSwitch, stop_ring: str) -> None:
    """One talks, two phones ring, four wait; SIGTERM; rings end at once or may be answered; the next daemon goes on."""
    floor = Floor(workplace, switch, config(workplace, stop_ring))
    floor.start()
    try:
        floor.call("4930100", "support")
        talk = floor.ring("4930100")
        floor.talk(talk)
        for index in range(1, 7):
            floor.call(f"493010{index}", "support")
        rings = [floor.ring("4930101"), floor.ring("4930102")]
        await_true(lambda: len(waiting(floor)) == 5, 10, "the others wait")
        before = waiting(floor)
        floor.daemon.ask_to_stop()
        if stop_ring != "0s":
            time.sleep(0.5)  # what is tested is that nothing happens
            assert {ring.state for ring in rings} == {"ringing"}, "they may still be answered"
            floor.phones.answer(rings[0])
        began = time.monotonic()
        limit_s = STOP_S + (0 if stop_ring == "0s" else RING_S)
        await_true(lambda: floor.daemon.has_ended, limit_s, "it ends")
        print(f"\nstop_ring {stop_ring}: stopped after {time.monotonic() - began:.2f} s")
        assert floor.daemon.wait() == 0
        assert [ring.state for ring in rings] == ["over" if stop_ring == "0s" else "talking", "over"]
        assert len(floor.phones.rung) == 3, "nobody else is rung"
        floor.daemon.start()
        next_ones = ["4930101", "4930102"] if stop_ring == "0s" else ["4930102"]
        await_true(lambda: all(map(floor.ringing_for, next_ones)), 5, "the first of them are rung for")
        assert waiting(floor) == before
        assert talk.state == "talking"
    finally:
        floor.stop()


def waiting(floor: Floor) -> list[str]:
    """All callers who do not talk, in order, as long as no phone that was rung for them is answered."""
    calls = floor.daemon.get("calls?limit=1000")["calls"]
    return [call["number"] for call in calls if call["state"] != "talking" and call["number"] != "4930101"]
