"""The daemon dies just when two have begun to talk: what becomes of the caller when the agent goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true


def config(directory: Path, settle: str) -> dict[str, Any]:
    return {
        "journal": {"directory": str(directory / "journal")},
        "limits": {"settle": settle},
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {}},
        "agents": {"1001": {"queues": ["support"], "login_at_start": True}},
    }


@pytest.mark.parametrize(("settle", "waits"), [("10s", True), ("500ms", False)])
def test_a_talk_that_ends_while_the_daemon_is_dead(
    workplace: Path, switch: RealSwitch, settle: str, *, waits: bool
) -> None:
    """After less than a talk the caller is back in the music and waits on; after a talk they are released."""
    floor = Floor(workplace, switch, config(workplace, settle))
    floor.start()
    try:
        caller = floor.call("4930401", "support")
        ring = floor.ring("4930401")
        floor.talk(ring)
        call_id = floor.call_of("4930401")["id"]
        floor.daemon.kill()
        if not waits:
            time.sleep(1)  # nothing can be awaited while there is no daemon
        floor.phones.hang_up("1001")
        floor.daemon.start()
        if waits:
            again = floor.ring("4930401", 2)
            assert floor.call_of("4930401")["id"] == call_id
            floor.talk(again)
            assert caller.state == "talking"
        else:
            await_true(lambda: caller.state == "over", 10, "the caller is released")
            await_true(lambda: floor.daemon.get("calls")["calls"] == [], 5, "no call is left")
            assert len(floor.rings_for("4930401")) == 1
    finally:
        floor.stop()
