"""Callers who leave a queue by an agent's transfer or by overflow are ordinary callers where they come to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller, Sipp
from tests.e2e.rig.switch import RealSwitch, await_true

# SIPp's phone goes by its own clock: long enough that the talk is looked at while it lasts.
TALK_MS = 8_000


@pytest.fixture
def started() -> Iterator[list[Daemon | Sipp]]:
    """Everything that a test starts, ended in order."""
    things: list[Daemon | Sipp] = []
    yield things
    for thing in things:
        thing.stop()


def serve(workplace: Path, switch: RealSwitch, queues: dict[str, Any], agents: dict[str, tuple[str, Sipp]]) -> Daemon:
    config = {
        "defaults": {"wrap_up": "1h"},
        "queues": queues,
        "agents": {
            user: {
                "contact": f"sofia/trunk/{user}@127.0.0.1:{sipp.port}",
                "queues": [queue],
                "login_at_start": True,
            }
            for user, (queue, sipp) in agents.items()
        },
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    return daemon


def test_an_agent_transfers_their_caller_into_another_queue(
    workplace: Path, switch: RealSwitch, started: list[Daemon | Sipp]
) -> None:
    """The number is looked up where agents' numbers are; there the caller is a new call, and the first one is over."""
    transfers = phones.run_transferring_agents(workplace / "transfers", "queue-sales")
    talks = phones.run_agents(workplace / "talks", [f"1002;200;{TALK_MS};9"])
    agents = {"1001": ("support", transfers), "1002": ("sales", talks)}
    daemon = serve(workplace, switch, {"support": {}, "sales": {}}, agents)
    callers = phones.run_callers(workplace / "callers", [Caller("4930777", "queue-support")], switch.trunk_port, 1)
    started += [daemon, callers, transfers, talks]

    await_true(lambda: daemon.agents()["1002"]["state"] == "talking", 15, "the other queue's agent talks")
    assert daemon.agents()["1001"]["state"] == "wrapping_up"
    (call,) = daemon.get("calls")["calls"]
    assert (call["queue"], call["state"], call["agents"]) == ("sales", "talking", ["1002"])
    callers.wait(30)
    assert callers.log[-1].split() == ["4930777", "released"]
    await_true(lambda: daemon.get("calls")["calls"] == [], 5, "no call is left")


def test_a_caller_who_overflows_to_an_extension_is_bridged_there_once(
    workplace: Path, switch: RealSwitch, started: list[Daemon | Sipp]
) -> None:
    """The phone outside rings once; when it hangs up, the caller goes on in that extension and not in our music."""
    outside = phones.run_agents(workplace / "outside", ["7000;100;500;9"])
    target = {"extension": f"outside-{outside.port}", "context": "public"}
    daemon = serve(workplace, switch, {"support": {"max_wait": "1s", "when_max_wait": target}}, {})
    callers = phones.run_callers(workplace / "callers", [Caller("4930778", "queue-support")], switch.trunk_port, 1)
    started += [daemon, callers, outside]

    callers.wait(20)
    assert callers.log[-1].split() == ["4930778", "released"]
    assert [line.split()[-1] for line in outside.log] == ["answered", "hung-up"]
    assert daemon.get("calls")["calls"] == []
