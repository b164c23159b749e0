"""What the switch does when the daemon never comes back: talks go on, and whoever waits takes the fallback in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.real.faults import FAKETIME, set_clock, with_clock
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.fair import Stopwatch, children

LEASE_S = 15
LATER_S = 5
# The lease is renewed every twelfth of it, read in whole seconds, and written five seconds short of its length.
EARLIER_S = LATER_S + LEASE_S / 12 + 1
FALLBACK_S = 0.5  # so long the lab's fallback plays a tone
HOUR_S = 3_600
AGENTS = ("1001", "1002", "1003", "1004")
TALKING, WAITING = 3, 24

CONFIG: dict[str, Any] = {
    "lease": f"{LEASE_S}s",
    "defaults": {"wrap_up": "0s", "ring_timeout": "60s"},
    "queues": {"support": {}},
    "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in AGENTS},
}


@pytest.fixture
def clock(workplace: Path) -> Path:
    """What the switch's wall clock goes by; its monotonic one is the machine's."""
    if not FAKETIME.exists():
        pytest.skip("no libfaketime")
    clock = workplace / "clock"
    set_clock(clock, 0)
    return clock


@pytest.fixture
def floor(workplace: Path, clock: Path) -> Iterator[Floor]:
    """Three talk, one phone rings, and two dozen wait who have come at all moments of the loop."""
    switch = RealSwitch(workplace / "freeswitch", AGENTS, environment=with_clock(clock))
    switch.start()
    floor = Floor(workplace, switch, CONFIG)
    floor.start()
    yield floor
    floor.stop()
    switch.stop()


def goes_by(switch: RealSwitch, offset_s: int) -> bool:
    """Let the switch read the wall clock anew, which it does not do by itself: is it so much ahead?"""
    esl = switch.esl()
    esl.api("fsctl sync_clock")
    ahead_s = int(esl.api("strepoch")) - time.time()
    esl.close()
    return abs(ahead_s - offset_s) < 2


def test_whoever_waits_leaves_in_time_and_no_talk_ends(floor: Floor, clock: Path) -> None:
    """All reach the fallback within the lease and 5 s, whatever the wall clock does; talks end as the speakers wish."""
    talks = []
    for index in range(TALKING):
        floor.call(f"493010{index}", "support")
        talks.append(floor.ring(f"493010{index}"))
        floor.talk(talks[-1])
    waiting = []
    for index in range(WAITING):
        waiting.append(floor.call(f"49302{index:02}", "support"))
        time.sleep(0.25)
    floor.daemon.kill()
    killed_s, watch = time.time(), Stopwatch(*children())
    for offset_s in (-HOUR_S, HOUR_S):
        set_clock(clock, offset_s)
        time.sleep(2)  # what is tested is what comes of this by itself
    await_true(lambda: all(caller.state == "over" for caller in waiting), LEASE_S + 3 * LATER_S, "all have left")
    left_s = sorted(caller.over_s - killed_s - FALLBACK_S for caller in waiting)
    watch.look()
    print(f"\nlease {LEASE_S} s: the first left after {left_s[0]:.2f} s, the last after {left_s[-1]:.2f} s")
    print(f"busy processors kept the switch waiting for {watch.starved_s:.2f} s")
    assert all(caller.by_switch for caller in waiting)
    assert left_s[-1] <= LEASE_S + LATER_S + watch.starved_s
    assert left_s[0] >= LEASE_S - EARLIER_S
    assert [talk.state for talk in talks] == ["talking"] * TALKING

    callers = {talk.caller: floor.caller(talk.caller) for talk in talks}
    floor.phones.hang_up(talks[0].user)
    await_true(
        lambda: callers[talks[0].caller].state == "over", 2, "the agent has hung up, and so the caller is released"
    )
    floor.phones.hang_up(talks[1].caller)
    await_true(lambda: talks[1].state == "over", 2, "the caller has hung up, and so the agent is released")
    assert talks[2].state == callers[talks[2].caller].state == "talking"
    await_true(partial(goes_by, floor.switch, HOUR_S), 5, "it was the switch's own wall clock that was set")
