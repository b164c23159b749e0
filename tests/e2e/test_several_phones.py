"""An agent with several phones: devices of one user, or phones of one contact. All ring, and the first answer wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from fsacd.sim.phones import ScriptedPhone
from tests.e2e.desk import Desk
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true, free_sip_port

AGENT, NEXT, CALLER = "1001", "1002", "4930555"
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
# Longer than anything that would ring again needs for it.
_QUIET_S = 1.5

Opened = Callable[..., Floor]


@pytest.fixture
def several(workplace: Path) -> Iterator[RealSwitch]:
    """A switch on which a user may register several devices."""
    real = RealSwitch(workplace / "freeswitch", (AGENT, NEXT), several_registrations=True)
    real.start()
    yield real
    real.stop()


@pytest.fixture
def other(several: RealSwitch) -> Iterator[Telephones]:
    """The other devices, on a port of their own."""
    phones = Telephones(several.trunk_port)
    yield phones
    phones.stop()


@pytest.fixture
def opened(workplace: Path, several: RealSwitch) -> Iterator[Opened]:
    """Open a call centre with the agents' contacts and settings."""
    floors: list[Floor] = []

    def open_(contacts: dict[str, str], **settings: Any) -> Floor:
        config: dict[str, Any] = {
            # However long a restart takes on a busy machine: the caller waits for it.
            "lease": "1h",
            "defaults": {"wrap_up": "0s", "ring_timeout": "300s"},
            "queues": {"support": {}},
            "agents": {
                agent: {"queues": ["support"], "login_at_start": True, "contact": contact}
                for agent, contact in contacts.items()
            },
            "journal": {"directory": str(workplace / "journal")},
            **settings,
        }
        floors.append(Floor(workplace, several, config))
        return floors[0]

    yield open_
    for floor in floors:
        floor.stop()


@pytest.fixture
def two_devices(workplace: Path, several: RealSwitch, other: Telephones, opened: Opened) -> Floor:
    """One agent, whose user is registered on two devices: one on the floor, the other elsewhere."""
    floor = opened({AGENT: f"user/{AGENT}@{DOMAIN}"})
    register(workplace, several, floor.phones, other)
    floor.start()
    return floor


def register(workplace: Path, switch: RealSwitch, *phones: Telephones) -> None:
    """The agent's user has all these devices."""
    for each in phones:
        Desk(switch, workplace).register([AGENT], each.port)


def both(floor: Floor, other: Telephones) -> tuple[Dialog, Dialog]:
    """The two rings, as soon as both phones have one."""
    first = floor.ring(CALLER)
    await_true(lambda: bool(other.rung), 10, "the other phone rings")
    return first, other.rung[0]


def counts(*phones: Telephones) -> list[int]:
    """How often each was invited."""
    return [len(each.rung) for each in phones]


@pytest.mark.parametrize("winner", [0, 1])
def test_all_devices_ring_and_the_first_answer_wins(two_devices: Floor, other: Telephones, winner: int) -> None:
    """Whichever answers talks; the other one is told that the call was answered elsewhere, and is not rung again."""
    two_devices.call(CALLER, "support")
    rings = both(two_devices, other)
    phones = (two_devices.phones, other)
    phones[winner].answer(rings[winner])
    two_devices.becomes("talking", AGENT)
    loser = rings[1 - winner]
    await_true(lambda: loser.state == "over", 10, "the other phone falls silent")
    assert loser.reason == ELSEWHERE
    gevent.sleep(_QUIET_S)
    assert two_devices.caller(CALLER).state == rings[winner].state == "talking"
    phones[winner].end(rings[winner])
    two_devices.becomes("ready", AGENT)
    assert counts(*phones) == [1, 1]


def test_a_caller_who_gives_up_silences_all_devices(two_devices: Floor, other: Telephones) -> None:
    """Neither rings on for nobody, and the agent is free when both have fallen silent."""
    two_devices.call(CALLER, "support")
    rings = both(two_devices, other)
    two_devices.gives_up(CALLER)
    two_devices.becomes("ready", AGENT)
    assert [ring.state for ring in rings] == ["over", "over"]
    assert counts(two_devices.phones, other) == [1, 1]


def test_one_that_refuses_leaves_the_others_ringing(two_devices: Floor, other: Telephones) -> None:
    """The agent can still answer at the other one; when that refuses, too, the offer is refused."""
    two_devices.call(CALLER, "support")
    first, second = both(two_devices, other)
    two_devices.phones.refuse(first)
    gevent.sleep(_QUIET_S)
    assert second.state == "ringing"
    two_devices.becomes("offered", AGENT)
    other.refuse(second, "USER_BUSY")
    two_devices.becomes("held_back", AGENT)
    assert two_devices.daemon.agents()[AGENT]["reason"] == "refused"


def test_one_that_refuses_ends_the_ring_where_that_is_wanted(
    workplace: Path, several: RealSwitch, other: Telephones, opened: Opened
) -> None:
    """`one_phone_refuses: ends_ring`: the other falls silent, and the next agent is rung."""
    floor = opened({AGENT: f"user/{AGENT}@{DOMAIN}"}, one_phone_refuses="ends_ring")
    register(workplace, several, floor.phones, other)
    floor.start()
    floor.call(CALLER, "support")
    first, second = both(floor, other)
    other.refuse(second)
    await_true(lambda: first.state == "over", 10, "the other phone falls silent")
    floor.becomes("held_back", AGENT)
    assert floor.daemon.agents()[AGENT]["reason"] == "refused"


def test_a_phone_is_reached_at_its_new_address_while_the_old_one_is_registered(
    workplace: Path, several: RealSwitch, opened: Opened
) -> None:
    """Where it was before nobody listens; that does not end the ring."""
    floor = opened({AGENT: f"user/{AGENT}@{DOMAIN}"})
    Desk(several, workplace).register([AGENT], free_sip_port())
    register(workplace, several, floor.phones)
    floor.start()
    floor.call(CALLER, "support")
    floor.talk(floor.ring(CALLER))
    assert counts(floor.phones) == [1]


def test_a_device_that_comes_later_rings_with_the_next_call(
    workplace: Path, several: RealSwitch, other: Telephones, opened: Opened
) -> None:
    """It was known that the agent has one, who is rung at once; the switch tells of the other as it registers."""
    floor = opened({AGENT: f"user/{AGENT}@{DOMAIN}"})
    register(workplace, several, floor.phones)
    floor.start()
    for rings in (1, 2):
        floor.call(CALLER, "support")
        ring = floor.ring(CALLER, rings)
        floor.talk(ring)
        floor.hang_up(ring)
        floor.becomes("ready", AGENT)
    register(workplace, several, other)
    floor.call(NEXT, "support")
    floor.ring(NEXT)
    await_true(lambda: bool(other.rung), 10, "the other device rings, too")
    assert counts(floor.phones, other) == [3, 1]


def test_a_ring_ends_when_the_daemon_is_dead(
    workplace: Path, several: RealSwitch, other: Telephones, opened: Opened
) -> None:
    """By itself, also where a phone has sent early media: the switch's own timeout does not count there."""
    floor = opened({AGENT: f"user/{AGENT}@{DOMAIN}"}, defaults={"ring_timeout": "5s"})
    floor.phones.scripts[AGENT] = ScriptedPhone(rings_ms=0, early_ms=200)
    register(workplace, several, floor.phones, other)
    floor.start()
    floor.call(CALLER, "support")
    rings = both(floor, other)
    floor.daemon.kill()
    await_true(lambda: [ring.state for ring in rings] == ["over", "over"], 30, "both phones fall silent")
    assert all(ring.by_switch for ring in rings)


@pytest.mark.parametrize("answers", [0, 1])
def test_a_daemon_that_is_killed_while_all_ring_rings_nobody_twice(
    two_devices: Floor, other: Telephones, answers: int
) -> None:
    """The next one finds the legs by their names: both ring on, and whichever answers talks."""
    two_devices.call(CALLER, "support")
    rings = both(two_devices, other)
    two_devices.daemon.kill()
    two_devices.daemon.start()
    gevent.sleep(_QUIET_S)
    assert [ring.state for ring in rings] == ["ringing", "ringing"]
    phones = (two_devices.phones, other)
    phones[answers].answer(rings[answers])
    two_devices.becomes("talking", AGENT)
    assert counts(*phones) == [1, 1]


def test_phones_of_one_contact_ring_at_once_or_in_turn(several: RealSwitch, other: Telephones, opened: Opened) -> None:
    """`a,b|c`, with options: the first two at once; the third when their time is over."""
    phones = Telephones(several.trunk_port)
    try:
        first = f"[leg_timeout=2]sofia/trunk/a@127.0.0.1:{phones.port}"
        second = f"[leg_timeout=2]sofia/trunk/b@127.0.0.1:{phones.port}"
        third = f"sofia/trunk/c@127.0.0.1:{other.port}"
        floor = opened({AGENT: f"{{sip_h_X-Option=yes}}{first},{second}|{third}"})
        floor.start()
        floor.call(CALLER, "support")
        await_true(lambda: len(phones.rung) == 2, 10, "two ring at once")
        await_true(lambda: bool(other.rung), 20, "the third rings when nobody has answered")
        assert other.rung[0].began_s > max(ring.began_s for ring in phones.rung) + 1.0, "it had not rung before"
        headers = {
            ring.user: ring.invite.headers.get("x-option") for ring in (*phones.rung, *other.rung) if ring.invite
        }
        assert headers == {"a": "yes", "b": "yes", "c": "yes"}
        other.answer(other.rung[0])
        floor.becomes("talking", AGENT)
        assert {ring.state for ring in phones.rung} == {"over"}
    finally:
        phones.stop()


def test_the_next_phone_does_not_ring_for_a_caller_who_is_gone(
    several: RealSwitch, other: Telephones, opened: Opened
) -> None:
    """To end the leg of the first turn would be no more to the switch than a reason to try the second."""
    phones = Telephones(several.trunk_port)
    try:
        floor = opened({AGENT: f"sofia/trunk/a@127.0.0.1:{phones.port}|sofia/trunk/b@127.0.0.1:{other.port}"})
        floor.start()
        floor.call(CALLER, "support")
        await_true(lambda: bool(phones.rung), 10, "the first rings")
        floor.gives_up(CALLER)
        floor.becomes("ready", AGENT)
        gevent.sleep(_QUIET_S)
        assert counts(phones, other) == [1, 0]
    finally:
        phones.stop()


def test_a_phone_that_forwards_its_calls_has_refused(opened: Opened) -> None:
    """One INVITE, and the next agent rings; the switch would invite it some thousand times a second."""
    floor = opened({}, agents={agent: {"queues": {"support": rank}} for rank, agent in enumerate((AGENT, NEXT), 1)})
    floor.phones.on_ring = lambda ring: (
        floor.phones.refuse(ring, "REDIRECTION_TO_NEW_DESTINATION") if ring.user == AGENT else None
    )
    floor.start()
    for agent in (AGENT, NEXT):
        floor.daemon.post(f"agents/{agent}/login")
    floor.call(CALLER, "support")
    ring = floor.ring(CALLER, 2)
    assert [each.user for each in floor.rings_for(CALLER)] == [AGENT, NEXT]
    floor.becomes("held_back", AGENT)
    assert floor.daemon.agents()[AGENT]["reason"] == "refused"
    floor.talk(ring)
