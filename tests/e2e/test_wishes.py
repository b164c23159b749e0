"""What agents ask for, on real phones: a ring that is not wanted stops, and a phone that is away is given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true

CALLER = "4930111"
SOON_S = 10.0
# Longer than any wait of these tests: a ring that ends earlier was ended by somebody.
RING_TIMEOUT = "2m"


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    """Anna serves support; ben, whose phone nobody has registered, serves sales."""
    config: dict[str, Any] = {
        "defaults": {"ring_timeout": RING_TIMEOUT, "not_ready_after": 1, "hold_back": {"unreachable": "200ms"}},
        "queues": {"support": {}, "billing": {}, "sales": {"not_ready_after": {"unreachable": 3}}},
        "agents": {
            "1001": {
                "queues": ["support", "billing"],
                "login_at_start": True,
                "wrap_up": {"time": "1h", "ends": "by_time"},
            },
            "1002": {"queues": ["sales"], "login_at_start": True, "contact": f"user/1002@{DOMAIN}"},
        },
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


@pytest.mark.parametrize(("wish", "state"), [("not-ready", "not_ready"), ("logout", "logged_out")])
def test_a_phone_stops_ringing_when_its_agent_wants_no_calls(floor: Floor, wish: str, state: str) -> None:
    """The phone is silent at once, the agent has what they asked for, and it is no missed call; the caller waits on."""
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    floor.daemon.post(f"agents/1001/{wish}")
    await_true(lambda: ring.state == "over", SOON_S, "the phone is silent")
    floor.becomes(state, "1001")
    assert floor.daemon.agents()["1001"]["reason"] == "", "not because of a missed call"
    assert caller.state == "talking", "the caller still hears music"
    assert floor.call_of(CALLER)["state"] == "waiting"

    # A log-in that says ready is enough, wherever they were; and what is asked for in a talk waits for its end.
    floor.daemon.post("agents/1001/login", ready=True)
    floor.talk(floor.ring(CALLER, 2))
    floor.daemon.post(f"agents/1001/{wish}")
    assert floor.states()["1001"] == "talking"
    floor.gives_up(CALLER)
    if wish == "logout":
        floor.becomes(state, "1001")
    else:
        floor.becomes("wrapping_up", "1001")  # of their own, and longer than the queue's


def test_a_break_in_one_queue(floor: Floor) -> None:
    """The phone that rings for the queue falls silent and is no missed call; it rings for the agent's other queue."""
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    floor.daemon.post("agents/1001/not-ready", queue="support", reason="mail")
    await_true(lambda: ring.state == "over", SOON_S, "the phone is silent")
    floor.becomes("ready", "1001")
    services = {service["queue"]: service for service in floor.daemon.agents()["1001"]["queues"]}
    assert [(services[name]["ready"], services[name]["reason"]) for name in ("billing", "support")] == [
        (True, ""),
        (False, "mail"),
    ]
    other = "4930222"
    floor.call(other, "billing")
    billing = floor.ring(other)
    assert len(floor.rings_for(CALLER)) == 1
    assert caller.state == "talking", "the first caller still hears music"
    floor.gives_up(other)
    await_true(lambda: billing.state == "over", SOON_S, "the phone is silent again")
    floor.daemon.post("agents/1001/ready", queue="support")
    floor.talk(floor.ring(CALLER, 2))


def test_a_phone_that_is_away_is_given_up(floor: Floor) -> None:
    """After so many attempts the agent is not ready, and is told why; until they log in again nobody tries."""
    floor.call(CALLER, "sales")
    floor.becomes("not_ready", "1002")
    assert floor.daemon.agents()["1002"]["reason"] == "unreachable"
    assert floor.call_of(CALLER)["offers"] == 3
    # Now they are there, at another phone.
    floor.daemon.post("agents/1002/login", contact=f"sofia/trunk/1001@127.0.0.1:{floor.phones.port}", ready=True)
    floor.phones.answer(floor.ring(CALLER))
    floor.becomes("talking", "1002")
