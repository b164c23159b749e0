"""Colleagues who share a phone: it rings for one call at a time, whoever is logged in at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

ANNA, BERT = "4930001", "4930002"
AGENTS = ("1001", "1002")


@pytest.fixture(params=[True, False], ids=["outside calls are looked at", "they are not"])
def floor(workplace: Path, switch: RealSwitch, request: pytest.FixtureRequest) -> Iterator[Floor]:
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s", "ring_timeout": "300s"},
        "queues": {"support": {}},
        "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in AGENTS},
    }
    floor = Floor(workplace, switch, config)
    floor.daemon.config["agent_contact"] = f"sofia/trunk/desk@127.0.0.1:{floor.phones.port}"
    floor.daemon.switch["respect_outside_calls"] = request.param
    floor.start()
    yield floor
    floor.stop()


def test_a_shared_phone_has_one_call_at_a_time(floor: Floor) -> None:
    """Two callers at the same moment: the phone is invited once, and again only when it is free."""
    first, second = floor.phones.call(ANNA, "queue-support"), floor.phones.call(BERT, "queue-support")
    await_true(lambda: bool(floor.phones.rung), 10, "the phone rings for the one who came first")
    ring = floor.phones.rung[0]
    last = BERT if ring.caller == ANNA else ANNA
    states = floor.states()
    assert sorted(states.values()) == ["busy", "offered"]
    (rung,) = (agent for agent in AGENTS if states[agent] == "offered")
    (other,) = set(AGENTS) - {rung}
    floor.phones.answer(ring)
    floor.becomes("talking", rung)
    floor.becomes("busy", other)
    assert [each.state for each in floor.phones.rung] == ["talking"]
    floor.hang_up(ring)
    again = floor.ring(last)
    assert again.began_s >= ring.over_s
    assert [each.state for each in floor.phones.rung] == ["over", "ringing"], "the phone was rung during the talk"
    floor.phones.answer(again)
    floor.hang_up(again)
    floor.becomes("ready", *AGENTS)
    assert first.state == second.state == "over"
