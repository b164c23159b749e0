"""An agent's phone that sends no sound: its leg ends, and the caller is back at the head of the queue."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

CALLER, AGENT = "4930111", "1001"
SOON_S = 30.0


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch, request: pytest.FixtureRequest) -> Iterator[Floor]:
    """No phone of the floor sends any sound, so that each leg with a `media_timeout` ends by it."""
    config: dict[str, Any] = {
        "agent_media_timeout": request.param,
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {}},
        "agents": {AGENT: {"queues": ["support"], "login_at_start": True}},
        "journal": {"directory": str(workplace / "journal")},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


@pytest.mark.parametrize("floor", ["3s"], indirect=True)
def test_the_switch_itself_brings_them_back(floor: Floor) -> None:
    """Also if the daemon hears of it late, which is stopped here until it is over."""
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    floor.talk(ring)
    call = floor.call_of(CALLER)
    leg = call["leg_uuid"]
    esl = floor.switch.esl()
    await_true(lambda: esl.api(f"uuid_getvar {leg} fsacd_over") == "true", SOON_S, "the talk is one")
    floor.daemon.signal(signal.SIGSTOP)
    try:
        await_true(lambda: ring.state == "over", SOON_S, "the agent's leg ends")
        await_true(lambda: esl.api(f"uuid_getvar {leg} fsacd_over") == "false", SOON_S, "the caller is in the music")
    finally:
        floor.daemon.signal(signal.SIGCONT)
        esl.close()
    floor.becomes("not_ready", AGENT)
    again = floor.call_of(CALLER)
    assert (again["id"], again["state"], caller.state) == (call["id"], "waiting", "talking")


@pytest.mark.parametrize("floor", ["3s"], indirect=True)
def test_the_caller_of_an_agent_whose_phone_falls_silent(floor: Floor) -> None:
    """They are not released: they wait on as the same call, and talk again when the agent is there again."""
    caller = floor.call(CALLER, "support")
    floor.talk(floor.ring(CALLER))
    call = floor.call_of(CALLER)
    floor.becomes("not_ready", AGENT)
    assert floor.daemon.agents()[AGENT]["reason"] == "connection_lost"
    again = floor.call_of(CALLER)
    assert (again["id"], again["state"], caller.state) == (call["id"], "waiting", "talking")
    floor.daemon.post(f"agents/{AGENT}/ready")
    floor.talk(floor.ring(CALLER, 2))
    assert caller.state == "talking"


@pytest.mark.parametrize("floor", ["1h"], indirect=True)
def test_an_agent_with_the_setting_hangs_up(floor: Floor) -> None:
    """Their caller is released, though the switch has sent them into the music first."""
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    floor.talk(ring)
    floor.hang_up(ring, 2.0)
    await_true(lambda: caller.state == "over", SOON_S, "the caller is released")
    await_true(lambda: floor.daemon.get("calls")["calls"] == [], SOON_S, "no call is left")
    assert caller.by_switch
    assert len(floor.rings_for(CALLER)) == 1


def gives_away(floor: Floor, number: str) -> Dialog:
    """A caller whose agent has the setting, and sends them to this number by a REFER of their phone."""
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    floor.talk(ring)
    leg = floor.call_of(CALLER)["leg_uuid"]
    esl = floor.switch.esl()
    await_true(lambda: esl.api(f"uuid_getvar {leg} fsacd_over") == "true", SOON_S, "the talk is one")
    esl.close()
    floor.phones.refer(ring, f"sip:{number}@127.0.0.1:{floor.switch.trunk_port}")
    return caller


@pytest.mark.parametrize("floor", ["1h"], indirect=True)
def test_an_agent_with_the_setting_gives_the_caller_to_a_number_that_nobody_has(floor: Floor) -> None:
    """The caller is back, and waits."""
    caller = gives_away(floor, "nobody")
    floor.ring(CALLER, 2)
    assert caller.state == "talking"


@pytest.mark.parametrize("floor", ["1h"], indirect=True)
def test_an_agent_with_the_setting_gives_the_caller_to_somebody_else(floor: Floor) -> None:
    """They talk; and when the other hangs up, the caller is released and does not wait again."""
    caller = gives_away(floor, f"outside-{floor.phones.port}")
    await_true(lambda: len(floor.phones.rung) > 1, SOON_S, "the other phone rings")
    other = floor.phones.rung[1]
    floor.phones.answer(other)
    await_true(lambda: floor.daemon.get("calls")["calls"] == [], SOON_S, "the call is over")
    assert caller.state == "talking"
    floor.phones.end(other)
    await_true(lambda: caller.state == "over", SOON_S, "the caller is released")
    assert [ring.user for ring in floor.phones.rung].count(AGENT) == 1
