"""A phone behind a public number: whoever answers it has the call when they have pressed a key, and nobody before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

AGENT, CALLER = "1001", "4930555"
# A bridge would come within a fraction of this.
_QUIET_S = 1.5
CONTACTS = {
    "one phone": "[confirm_key=1]sofia/trunk/mobile@PHONES",
    "all phones": "{confirm_key=1}sofia/trunk/mobile@PHONES",
    "beside a desk phone": "sofia/trunk/desk@PHONES,[confirm_key=1]sofia/trunk/mobile@PHONES",
}


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch, request: pytest.FixtureRequest) -> Iterator[Floor]:
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s", "ring_timeout": "300s", "hold_back": {"refused": "10m", "no_answer": "10m"}},
        "queues": {"support": {}},
        "agents": {AGENT: {"queues": ["support"], "login_at_start": True}},
    }
    floor = Floor(workplace, switch, config)
    contact = CONTACTS[getattr(request, "param", "one phone")]
    floor.daemon.config["agents"][AGENT]["contact"] = contact.replace("PHONES", f"127.0.0.1:{floor.phones.port}")
    floor.start()
    yield floor
    floor.stop()


def mobile(floor: Floor) -> Dialog:
    """The ring at the mobile, which answers."""
    floor.call(CALLER, "support")
    await_true(lambda: any(ring.user == "mobile" for ring in floor.phones.rung), 10, "the mobile rings")
    (ring,) = (ring for ring in floor.phones.rung if ring.user == "mobile")
    floor.phones.answer(ring)
    gevent.sleep(_QUIET_S)
    assert floor.states()[AGENT] == "offered", "an answer alone is none"
    return ring


@pytest.mark.parametrize("floor", CONTACTS, indirect=True)
def test_the_key_brings_the_call(floor: Floor) -> None:
    """Nobody is connected before; another key does nothing, and the right one brings the caller."""
    ring = mobile(floor)
    floor.phones.press(ring, "2")
    gevent.sleep(_QUIET_S)
    assert floor.states()[AGENT] == "offered"
    floor.phones.press(ring, "1")
    floor.becomes("talking", AGENT)
    assert [each.user for each in floor.phones.rung if each.state != "over"] == ["mobile"]
    floor.hang_up(ring)
    floor.becomes("ready", AGENT)


@pytest.mark.parametrize("floor", ["beside a desk phone"], indirect=True)
def test_the_desk_phone_wins_over_a_voicemail(floor: Floor) -> None:
    """While something has answered at the mobile and presses nothing, the agent answers at their desk."""
    voicemail = mobile(floor)
    (desk,) = (ring for ring in floor.phones.rung if ring.user == "desk")
    assert desk.state == "ringing"
    floor.phones.answer(desk)
    floor.becomes("talking", AGENT)
    await_true(lambda: voicemail.state == "over", 10, "the mobile is let go of")


@pytest.mark.parametrize("floor", ["beside a desk phone"], indirect=True)
def test_a_voicemail_that_hangs_up_leaves_the_desk_phone_to_ring(floor: Floor) -> None:
    """Nobody has refused."""
    floor.phones.end(mobile(floor))
    gevent.sleep(_QUIET_S)
    (desk,) = (ring for ring in floor.phones.rung if ring.user == "desk")
    assert (desk.state, floor.states()[AGENT]) == ("ringing", "offered")
    floor.phones.answer(desk)
    floor.becomes("talking", AGENT)


def test_who_hangs_up_without_the_key_has_refused(floor: Floor) -> None:
    """It is no talk and no answer, the caller waits on, and the agent is held back."""
    floor.phones.end(mobile(floor))
    floor.becomes("held_back", AGENT)
    (call,) = floor.daemon.get("calls")["calls"]
    assert (call["state"], call["number"]) == ("waiting", CALLER)
    told = {name: value for name, value in floor.daemon.metrics().items() if name.startswith("fsacd_offers_total")}
    assert {name.partition('outcome="')[2].partition('"')[0] for name, value in told.items() if value} == {"refused"}


def test_a_caller_who_gives_up_meanwhile(floor: Floor) -> None:
    """The phone that was answered is let go of, and its agent is free."""
    ring = mobile(floor)
    floor.phones.hang_up(CALLER)
    await_true(lambda: ring.state == "over", 10, "the mobile is let go of")
    floor.becomes("ready", AGENT)


def test_nobody_presses_in_time(workplace: Path, switch: RealSwitch) -> None:
    """A voicemail holds no caller for longer than a ring lasts; it counts as not answered."""
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s", "ring_timeout": "4s", "hold_back": {"no_answer": "10m"}},
        "queues": {"support": {}},
        "agents": {AGENT: {"queues": ["support"], "login_at_start": True}},
    }
    floor = Floor(workplace, switch, config)
    contact = CONTACTS["one phone"].replace("PHONES", f"127.0.0.1:{floor.phones.port}")
    floor.daemon.config["agents"][AGENT]["contact"] = contact
    floor.start()
    try:
        floor.call(CALLER, "support")
        ring = floor.ring(CALLER)
        floor.phones.answer(ring)
        floor.becomes("held_back", AGENT)
        (agent,) = floor.daemon.get("agents")["agents"]
        assert agent["reason"] == "no_answer"
        assert ring.state == "over"
    finally:
        floor.stop()
