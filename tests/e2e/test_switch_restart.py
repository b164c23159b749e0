"""FreeSWITCH dies and comes back: the daemon finds it again by itself and serves the next call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import Desk
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true

AGENTS = ("1001", "1002")
# The longest wait between two tries is 10 s by default; two of them, and the time that the sync takes.
BACK_S = 25


@pytest.fixture
def agents(workplace: Path) -> Iterator[phones.Sipp]:
    sipp = phones.run_agents(workplace / "agents", [f"{user};200;1500;9" for user in AGENTS])
    yield sipp
    sipp.stop()


@pytest.fixture
def daemon(workplace: Path, switch: RealSwitch) -> Iterator[Daemon]:
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {}, "nobody": {}},
        "agent_contact": f"user/{{agent}}@{DOMAIN}",
        "agents": {user: {"queues": ["support"], "login_at_start": True} for user in AGENTS},
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    yield daemon
    daemon.stop()


def test_the_next_call_is_served(daemon: Daemon, switch: RealSwitch, agents: phones.Sipp, workplace: Path) -> None:
    """After kill -9 and a new start the daemon is back by itself, without a call of the old switch, and serves."""
    desk = Desk(switch, workplace)
    desk.register(AGENTS, agents.port)
    call_and_be_served(switch, workplace / "before", "49301")
    lost = phones.run_callers(workplace / "lost", [Caller("49302", "queue-nobody")], switch.trunk_port, 1)
    await_true(lambda: len(daemon.get("calls")["calls"]) == 1, 10, "a caller waits")

    switch.kill()
    lost.stop()
    await_true(lambda: not connected(daemon), 10, "the daemon notices")
    assert not daemon.is_ready()
    switch.start()
    await_true(lambda: connected(daemon), BACK_S, "the daemon is back in sync")
    await_true(lambda: daemon.get("calls")["calls"] == [], 5, "the dead switch's call is forgotten")

    # Registrations live in the switch's database, which survives; phones would register again in time anyway.
    desk.register(AGENTS, agents.port)
    call_and_be_served(switch, workplace / "after", "49303")
    await_true(lambda: {agent["state"] for agent in daemon.agents().values()} == {"ready"}, 10, "both are ready again")
    assert daemon.get("status")["switches"][0]["reconnects"] >= 1


def call_and_be_served(switch: RealSwitch, place: Path, number: str) -> None:
    """One call that an agent answers and ends."""
    caller = phones.run_callers(place, [Caller(number, "queue-support")], switch.trunk_port, 1)
    caller.wait(30)
    assert [line.split() for line in caller.log] == [[number, "released"]]


def connected(daemon: Daemon) -> bool:
    """Whether the daemon calls its switch connected and in sync."""
    return bool(daemon.get("status")["switches"][0]["connected"])
