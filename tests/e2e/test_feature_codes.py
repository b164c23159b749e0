"""An agent's whole working day from a SIP phone, by feature codes alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import FORBIDDEN, NO, YES, Desk
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true

AGENT, COLLEAGUE, PRIVATE = "1001", "1002", "1003"
TALK_MS = 5000


@pytest.fixture
def desk(workplace: Path, switch: RealSwitch) -> Iterator[Desk]:
    """The agents' phones, registered."""
    agents = phones.run_agents(workplace / "agents", [f"{user};200;{TALK_MS};9" for user in (AGENT, COLLEAGUE)])
    desk = Desk(switch, workplace)
    desk.register([AGENT, COLLEAGUE], agents.port)
    yield desk
    agents.stop()


@pytest.fixture
def daemon(workplace: Path, switch: RealSwitch) -> Iterator[Daemon]:
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "2s"},
        "queues": {"support": {}},
        "agent_contact": f"user/{{agent}}@{DOMAIN}",
        "agents": {
            AGENT: {"queues": ["support"]},
            COLLEAGUE: {"queues": ["support"], "pin": "7777"},
            PRIVATE: {"queues": ["support"]},
        },
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    yield daemon
    daemon.stop()


def becomes(daemon: Daemon, agent: str, state: str) -> None:
    """The phone is in a call, and its agent busy, until the switch has hung up: the state shows a moment after that."""
    await_true(lambda: daemon.agents()[agent]["state"] == state, 5, f"{agent} is {state}")


def test_a_working_day(daemon: Daemon, desk: Desk, workplace: Path) -> None:
    """An agent logs in, takes a call, asks for a break during it, gets it after wrap-up, comes back and goes home."""
    assert desk.dial(AGENT, "*31") == YES
    becomes(daemon, AGENT, "ready")

    callers = phones.run_callers(workplace / "callers", [Caller("4930123", "queue-support")], desk.switch.trunk_port, 1)
    await_true(lambda: daemon.agents()[AGENT]["state"] == "talking", 10, "the agent talks")
    assert desk.dial(AGENT, "*345") == YES
    during = daemon.agents()[AGENT]
    assert (during["state"], during["then"]) == ("talking", "not_ready 5")

    await_true(lambda: daemon.agents()[AGENT]["state"] == "wrapping_up", 10, "the agent wraps up")
    await_true(lambda: daemon.agents()[AGENT]["state"] == "not_ready", 10, "the agent has their break")
    assert daemon.agents()[AGENT]["reason"] == "5"
    callers.wait(10)
    assert callers.log[-1].split() == ["4930123", "released"]

    assert desk.dial(AGENT, "*33") == YES
    becomes(daemon, AGENT, "ready")
    assert desk.dial(AGENT, "*32") == YES
    assert daemon.agents()[AGENT]["state"] == "logged_out"


def test_ending_wrap_up(daemon: Daemon, desk: Desk, workplace: Path) -> None:
    """The code for it ends the wrap-up before its time."""
    daemon.stop()
    daemon.config["defaults"] = {"wrap_up": "1h"}
    daemon.start()
    assert desk.dial(AGENT, "*31") == YES
    phones.run_callers(workplace / "callers", [Caller("4930123", "queue-support")], desk.switch.trunk_port, 1)
    await_true(lambda: daemon.agents()[AGENT]["state"] == "wrapping_up", 20, "the agent wraps up")
    assert desk.dial(AGENT, "*35") == YES
    becomes(daemon, AGENT, "ready")


def test_the_agent_is_who_authenticated(daemon: Daemon, desk: Desk) -> None:
    """A phone whose From names another agent acts for the agent whose password it has."""
    assert desk.dial(AGENT, "*31", claims=COLLEAGUE) == YES
    becomes(daemon, AGENT, "ready")
    assert daemon.agents()[COLLEAGUE]["state"] == "logged_out"


def test_a_wrong_password_gets_nowhere(daemon: Daemon, desk: Desk) -> None:
    """A phone without the agent's password does not even reach the feature codes."""
    assert desk.dial(AGENT, "*31", password="guessed") == FORBIDDEN
    assert daemon.agents()[AGENT]["state"] == "logged_out"


def test_acting_for_another_needs_their_pin(daemon: Daemon, desk: Desk) -> None:
    """With the colleague's PIN the colleague is logged in; with a wrong one they are not."""
    assert desk.dial(AGENT, f"*31*{COLLEAGUE}", pin="8888") == NO
    assert daemon.agents()[COLLEAGUE]["state"] == "logged_out"
    assert desk.dial(AGENT, f"*31*{COLLEAGUE}", pin="7777") == YES
    becomes(daemon, COLLEAGUE, "ready")
    assert daemon.agents()[AGENT]["state"] == "logged_out"


def test_nobody_acts_for_an_agent_without_pin(daemon: Daemon, desk: Desk) -> None:
    """Nobody else acts for an agent who has no PIN, whatever is typed."""
    assert desk.dial(AGENT, f"*31*{PRIVATE}", pin="1111") == NO
    assert daemon.agents()[PRIVATE]["state"] == "logged_out"


def test_without_the_daemon_the_phone_says_no(daemon: Daemon, desk: Desk) -> None:
    """A code that nobody serves is answered by the tone for no, not by silence."""
    daemon.stop()
    assert desk.dial(AGENT, "*33") == NO
