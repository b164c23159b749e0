"""Who is known to have one device is rung at once; whoever may have more is asked about first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fsacd.esl.codec import Kind, Message
from fsacd.esl.devices import Devices
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Outcome, Reply
from tests.esl.control_rig import RING, Rig

USER = "1001@x.org"
AT_ONCE, ASKED = ["originate", "sofia_contact"], ["sofia_contact", "originate"]
ONE = Reply(Outcome.OK, "sofia/agents/sip:1001@10.0.0.5:5060")
TWO = Reply(Outcome.OK, f"{ONE.text},sofia/agents/sip:1001@10.0.0.6:5060")
NOT_REGISTERED = Reply(Outcome.OK, "error/user_not_registered")


def registers(user: str) -> Message:
    """What the switch tells of a registration."""
    return Message(
        Kind.EVENT, {"Event-Name": "CUSTOM", "Event-Subclass": "sofia::register", "from-user": user, "from-host": "x"}
    )


def up(*denied: str) -> Up:
    """The link has come up."""
    return Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=0, denied=denied)


class Asked(Rig):
    """Rings the user again and again, and keeps in which order the switch was asked and told."""

    def ring(self, contact: Reply = ONE) -> list[str]:
        before = len(self.link.sent)
        self.send(replace(RING, contact=f"user/{USER}"), sofia_contact=contact)
        return [verb for verb in self.link.sent[before:] if verb in ASKED]


@pytest.fixture
def rig() -> Asked:
    """A link on which all that is asked for is answered at once."""
    return Asked()


@pytest.mark.parametrize("contact", [ONE, NOT_REGISTERED])
def test_the_second_ring_of_who_has_one_device_does_not_wait(rig: Asked, contact: Reply) -> None:
    """The switch is asked behind it, for the third one."""
    assert [rig.ring(contact) for _ in range(3)] == [ASKED, AT_ONCE, AT_ONCE]


@pytest.mark.parametrize(
    "contact", [TWO, Reply(Outcome.ERR, "-ERR no permission"), Reply(Outcome.UNCONFIRMED, "no answer in time")]
)
def test_who_has_several_or_is_not_known_is_asked_about_each_time(rig: Asked, contact: Reply) -> None:
    """Each of the several is rung where it is now."""
    assert [rig.ring(contact) for _ in range(3)] == [ASKED, ASKED, ASKED]


def test_what_is_found_behind_a_ring_counts_for_the_next(rig: Asked) -> None:
    """Where the switch has not told of the second device, one ring is what it costs."""
    rig.ring()
    assert [rig.ring(TWO), rig.ring(TWO)] == [AT_ONCE, ASKED]


def test_a_registration_makes_the_next_ring_ask(rig: Asked) -> None:
    """Of this user; whose phone registers elsewhere does not matter."""
    rig.ring()
    rig.control._on_event(registers("1002"))
    assert rig.ring() == AT_ONCE
    rig.control._on_event(registers("1001"))
    assert rig.ring(TWO) == ASKED


def test_nothing_is_remembered_over_a_lost_link_or_where_nobody_tells(rig: Asked) -> None:
    """A registration meanwhile would not be heard of."""
    rig.control._on_state(up())
    assert [rig.ring(), rig.ring()] == [ASKED, AT_ONCE]
    rig.control._on_state(Down("cut"))
    rig.control._on_state(up())
    assert rig.ring() == ASKED
    rig.control._on_state(Down("cut"))
    rig.control._on_state(up("sofia::register"))
    assert [rig.ring(), rig.ring()] == [ASKED, ASKED]
    rig.control._on_state(Down("the test is over"))


def test_the_switch_is_asked_to_tell(rig: Asked) -> None:
    """Else a memory would be wrong for minutes."""
    assert "sofia::register" in rig.subscription[1]


def test_an_answer_from_before_a_registration_is_not_remembered() -> None:
    """It comes on another connection than the event."""
    devices = Devices(lambda: 0)
    asked = devices.changes
    devices.heard(registers("1001"))
    devices.answered(USER, 1, asked)
    assert not devices.have_one_each([USER])
    devices.answered(USER, 1, devices.changes)
    assert devices.have_one_each([USER])
    assert not devices.have_one_each([USER, "1002@x.org"])


def test_a_memory_is_not_kept_for_ever() -> None:
    """Switches that share their registrations tell only of their own."""
    now_ms = [1_000]
    devices = Devices(lambda: now_ms[0])
    devices.answered(USER, 1, devices.changes)
    now_ms[0] += 600_000
    assert devices.have_one_each([USER])
    now_ms[0] += 1
    assert not devices.have_one_each([USER])
