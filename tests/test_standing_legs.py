"""An agent's standing leg with the whole daemon on the simulated switch: one leg for many calls, and over a restart."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.test_daemon import AGENT, SUPPORT, Daemon, Sim, await_true, rows

CALLERS = [f"493000000{number}" for number in range(3)]


@pytest.fixture
def sim() -> Iterator[Sim]:
    sim = Sim()
    yield sim
    sim.stop()


@pytest.fixture
def daemon(tmp_path: Path, sim: Sim, database: str) -> Iterator[Daemon]:
    """A daemon whose agent has a standing leg, and a phone that answers and never hangs up."""
    daemon = Daemon(tmp_path, sim, database, journal={"directory": str(tmp_path / "journal")})
    daemon.config["agents"][AGENT]["standing_leg"] = True
    daemon.write()
    daemon.process.kill()
    daemon.process.wait(10)
    daemon.start()
    sim.tell(phone={"user": AGENT, "answers_ms": 100})
    yield daemon
    daemon.process.kill()
    daemon.process.wait(10)


def leg(daemon: Daemon) -> str | None:
    """How the agent's standing leg is."""
    state: str | None = daemon.get(f"api/v1/agents/{AGENT}")["standing_leg"]
    return state


def is_served(database: str, number: str) -> bool:
    return (number, "support", "answered", AGENT) in rows(database)


def legs(sim: Sim) -> int:
    count: int = sim.tell(fault="none")["legs"]
    return count


def test_one_leg_for_all_calls(sim: Sim, daemon: Daemon, database: str) -> None:
    """It is there from log-in to log-out, also while no daemon runs; between calls nothing else is left."""
    assert leg(daemon) is None
    daemon.get(f"api/v1/agents/{AGENT}/login", {})
    await_true(lambda: (daemon.agent(), leg(daemon)) == ("ready", "stands"), "the leg stands")
    for number in CALLERS[:2]:
        sim.dial(SUPPORT, number=number, hangs_up_ms=2_000)
        await_true(lambda: (daemon.agent(), leg(daemon)) == ("talking", "used"), "they talk")
        await_true(partial(is_served, database, number), "the talk is over")
        await_true(lambda: (daemon.agent(), leg(daemon), legs(sim)) == ("ready", "stands", 1), "the leg is back")
    daemon.process.kill()
    daemon.process.wait(10)
    daemon.start()
    assert (leg(daemon), legs(sim)) == ("stands", 1)
    sim.dial(SUPPORT, number=CALLERS[2], hangs_up_ms=2_000)
    await_true(partial(is_served, database, CALLERS[2]), "one more")
    await_true(lambda: leg(daemon) == "stands", "the leg is back again")
    daemon.get(f"api/v1/agents/{AGENT}/logout", {})
    await_true(lambda: (daemon.agent(), leg(daemon), legs(sim)) == ("logged_out", None, 0), "the leg is gone")


def test_the_switch_dies(sim: Sim, daemon: Daemon) -> None:
    """The leg is gone with it, and the agent is rung anew."""
    daemon.get(f"api/v1/agents/{AGENT}/login", {})
    await_true(lambda: leg(daemon) == "stands", "the leg stands")
    sim.tell(fault="kill", down_ms=500)
    await_true(lambda: leg(daemon) != "stands", "the leg is missed")
    sim.tell(phone={"user": AGENT, "answers_ms": 100})
    await_true(lambda: (daemon.agent(), leg(daemon), legs(sim)) == ("ready", "stands", 1), "another leg stands")
