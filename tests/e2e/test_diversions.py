"""A phone that diverts its calls (SIP 302), on a floor where the operator lets a ring go on once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

AGENT, CALLER, MOBILE = "1001", "4930555", "4917012345"
# FreeSWITCH left to itself sends some thousand INVITEs in this time.
_QUIET_S = 1.5


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s", "ring_timeout": "300s", "hold_back": {"refused": "10m", "busy": "10m"}},
        "queues": {"support": {}},
        "agents": {AGENT: {"queues": ["support"], "login_at_start": True}},
        "journal": {"directory": str(workplace / "journal")},
    }
    floor = Floor(workplace, switch, config)
    floor.daemon.config["follow_diversions"] = f"sofia/trunk/{{number}}@127.0.0.1:{floor.phones.port}"
    floor.start()
    yield floor
    floor.stop()


def diverted(floor: Floor, to: str = MOBILE) -> Dialog:
    """The ring at the desk phone, which diverts it."""
    floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    floor.phones.divert(ring, to)
    return ring


def invited(floor: Floor) -> list[str]:
    """Which phones were invited, after a while in which many more could have been."""
    gevent.sleep(_QUIET_S)
    return [ring.user for ring in floor.phones.rung]


def test_the_ring_goes_on_where_the_phone_says(floor: Floor) -> None:
    """It is the same offer: the agent is rung all the time, talks there, and is free after it."""
    diverted(floor)
    there = floor.ring(CALLER, 2)
    assert invited(floor) == [AGENT, MOBILE]
    assert floor.states()[AGENT] == "offered"
    floor.phones.answer(there)
    floor.becomes("talking", AGENT)
    floor.hang_up(there)
    floor.becomes("ready", AGENT)
    assert floor.daemon.metrics()['fsacd_offers_total{outcome="answered",queue="support",reason="talk"}'] == 1


def test_it_goes_on_once(floor: Floor) -> None:
    """The second phone diverts, too: that is a refusal, and nothing is invited again."""
    diverted(floor)
    floor.phones.divert(floor.ring(CALLER, 2), "4917099999")
    floor.becomes("held_back", AGENT)
    assert invited(floor) == [AGENT, MOBILE]
    assert floor.daemon.agents()[AGENT]["reason"] == "refused"


def test_what_becomes_of_the_second_ring_counts(floor: Floor) -> None:
    """Busy there is busy."""
    diverted(floor)
    floor.phones.refuse(floor.ring(CALLER, 2), "USER_BUSY")
    floor.becomes("held_back", AGENT)
    assert floor.daemon.agents()[AGENT]["reason"] == "busy"


def test_a_caller_who_gives_up_silences_the_second_phone(floor: Floor) -> None:
    """Whichever phone the offer has come to."""
    diverted(floor)
    there = floor.ring(CALLER, 2)
    floor.gives_up(CALLER)
    floor.becomes("ready", AGENT)
    await_true(lambda: there.state == "over", 10, "the second phone is silent")


@pytest.mark.parametrize("to", ["voicemail", "*97", "&park()", "1"])
def test_what_is_no_number_is_not_dialled(floor: Floor, to: str) -> None:
    """The phone names a feature code or a word: it has refused."""
    diverted(floor, to)
    floor.becomes("held_back", AGENT)
    assert invited(floor) == [AGENT]


def test_a_daemon_that_is_killed_while_the_second_phone_rings(floor: Floor) -> None:
    """It comes back, and knows of both legs: nobody is rung twice, and the answer counts."""
    diverted(floor)
    there = floor.ring(CALLER, 2)
    gevent.sleep(_QUIET_S)
    floor.daemon.kill()
    floor.daemon.start()
    assert invited(floor) == [AGENT, MOBILE]
    floor.phones.answer(there)
    floor.becomes("talking", AGENT)
    floor.hang_up(there)
    floor.becomes("ready", AGENT)
