"""Who goes first, and who is waited for: customers, promotion, the last agent, steps. On one real switch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.daemon import TOKEN
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.fair import Stopwatch, children

VIP = "+4930123456"
FRIEND = "4930654321"
LOWER_AFTER_S, BACKUP_AFTER_S = 2.0, 3.0
# The caller's phone and the daemon read different clocks.
EARLY_S, ON_TIME_S = 0.05, 0.25


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    config: dict[str, Any] = {
        # Without anything that says otherwise Cara rings first: Cara stands before Ben.
        "defaults": {"wrap_up": "0s", "ring_timeout": "60s", "strategy": "round_robin"},
        "queues": {
            "service": {},
            "friends": {"sticky": "last"},
            "waiting": {"sticky": {"agent": "last", "for": "30s", "wait": True}},
            "lowered": {
                "required_skills": {"french": 5},
                "steps": [{"after": f"{LOWER_AFTER_S:g}s", "lower": {"french": 3}}],
            },
            "backed": {"steps": [{"after": f"{BACKUP_AFTER_S:g}s", "backup": True}]},
        },
        "customers": {"+49 30 123456": {"priority": 10, "name": "ACME"}},
        "agents": {
            "anna": {"queues": ["service"]},
            "cara": {"queues": ["friends", "waiting"]},
            "ben": {"queues": ["friends", "waiting"], "login_at_start": True},
            "dan": {"queues": ["lowered"], "skills": {"french": 3}, "login_at_start": True},
            "eve": {"queues": {"backed": {"backup": True}}, "login_at_start": True},
        },
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


def test_who_goes_first(floor: Floor) -> None:
    """A VIP, known by number, overtakes who came before; a supervisor lets the last one overtake the others."""
    floor.daemon.post("agents/anna/login")
    floor.daemon.post("agents/anna/not-ready", reason="lunch")
    for number in ("49301", "49302", VIP, "49303"):
        calls(floor, number, "service")
    told = explain(floor, "49301")
    assert "anna" in told
    assert "lunch" in told
    vip = floor.call_of(VIP)
    assert (vip["priority"], vip["position"]) == (10, 1)

    floor.daemon.post("agents/anna/ready")
    ring = floor.ring(VIP)
    floor.daemon.post(f"calls/{floor.call_of('49303')['id']}/promote")
    talk(floor, ring)
    for number in ("49303", "49301", "49302"):
        talk(floor, floor.ring(number))
    assert [ring.caller for ring in floor.phones.rung] == [VIP, "49303", "49301", "49302"]


def test_the_last_agent(floor: Floor) -> None:
    """A caller gets the agent they talked with last; told to wait for that agent, they do, though another is free."""
    calls(floor, FRIEND, "friends")
    assert serves(floor, FRIEND) == "ben"
    floor.daemon.post("agents/cara/login")
    calls(floor, "49304", "friends")
    assert serves(floor, "49304") == "cara"
    calls(floor, FRIEND, "friends")
    assert serves(floor, FRIEND, 2) == "ben"

    floor.daemon.post("agents/cara/not-ready")
    calls(floor, "49305", "friends")
    bens = floor.ring("49305")
    floor.talk(bens)
    floor.daemon.post("agents/cara/ready")
    calls(floor, FRIEND, "waiting")
    assert "It waits for ben alone." in explain(floor, FRIEND)
    assert (floor.states()["cara"], len(floor.rings_for(FRIEND))) == ("ready", 2)
    floor.hang_up(bens)
    assert serves(floor, FRIEND, 3) == "ben"


def test_steps_come_on_time(floor: Floor) -> None:
    """What a call requires is lowered, and a backup agent is rung, so long after its arrival as is written.

    Never sooner; later by no more than what busy processors kept from those who have a part in it.
    """
    watch = Stopwatch(*children())
    lowered, backed = calls(floor, "49306", "lowered"), calls(floor, "49307", "backed")
    told = explain(floor, "49306")
    assert "french 3, needs 5" in told
    for caller, agent, after_s in ((lowered, "dan", LOWER_AFTER_S), (backed, "eve", BACKUP_AFTER_S)):
        ring = floor.ring(caller.user)
        late_s = ring.began_s - caller.began_s - after_s
        watch.look()
        print(f"{agent}: {1_000 * late_s:+.0f} ms, kept waiting for {1_000 * watch.starved_s:.0f} ms")
        assert ring.user == agent
        assert -EARLY_S <= late_s <= ON_TIME_S + watch.starved_s


def calls(floor: Floor, number: str, queue: str) -> Dialog:
    """A caller calls the queue, and the daemon knows of it: whoever calls next comes later."""
    caller = floor.call(number, queue)
    floor.call_of(number)
    return caller


def serves(floor: Floor, number: str, count: int = 1) -> str:
    """The agent who is rung for the caller's ring of this count; they answer, talk a little and are ready again."""
    ring = floor.ring(number, count)
    talk(floor, ring)
    return ring.user


def talk(floor: Floor, ring: Dialog) -> None:
    """The agent answers, talks a little and is ready again, or rung for the next caller."""
    floor.talk(ring)
    floor.hang_up(ring)
    await_true(lambda: ring.caller not in live(floor), 10, f"the call of {ring.caller} is over")


def live(floor: Floor) -> set[str]:
    """The numbers of all who wait or talk."""
    return {call["number"] for call in floor.daemon.get("calls")["calls"]}


def explain(floor: Floor, number: str) -> str:
    """What `fsacd explain` prints of the caller's call."""
    done = subprocess.run(
        [sys.executable, "-m", "fsacd", "explain", floor.call_of(number)["id"]],
        env={**os.environ, "FSACD_URL": f"http://127.0.0.1:{floor.daemon.port}", "FSACD_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
