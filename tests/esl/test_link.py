"""The link: it connects by itself, says how it stands, and never mistakes one switch, or one command, for another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from fsacd.esl import encoder
from fsacd.esl.link import Connecting, Down, LinkSettings, LinkState, SwitchLink
from fsacd.esl.wire import Outcome, Reply
from fsacd.process import heap
from tests.esl.fake_switch import FakeSwitch, named, until
from tests.esl.link_rig import Rig, linked


@pytest.fixture(name="rig")
def _rig() -> Iterator[Rig]:
    with linked() as rig:
        yield rig


def test_the_story_of_a_link(rig: Rig) -> None:
    """Connecting, Up, events, Down, in this order and no other, and who the switch is."""
    link = rig.start()
    until(rig.up)
    rig.switch.fire(named("A"), named("B"))
    until(lambda: rig.story[-1] == "B")
    link.stop()
    assert rig.story == [Connecting(), rig.up()[0], "A", "B", Down("the link was stopped")]
    assert (rig.up()[0].core_uuid, rig.up()[0].hostname, rig.up()[0].restarted) == ("core-1", "fs1", False)
    assert link.state == Down("the link was stopped")


def test_what_it_says_to_the_switch(rig: Rig) -> None:
    """Events are subscribed on one connection, with the filters first; the link adds what it needs itself."""
    rig.start(events=("CHANNEL_PARK",), subclasses=("fsacd::queued",), filters=(("variable_fsacd_leg", "/^./"),))
    until(rig.up)
    assert rig.switch.heard == [
        b"filter variable_fsacd_leg /^./",
        b"filter Event-Name BACKGROUND_JOB",
        b"filter Event-Name HEARTBEAT",
        b"filter Event-Name CUSTOM",
        b"event json CHANNEL_PARK BACKGROUND_JOB HEARTBEAT CUSTOM fsacd::queued fsacd::left",
        b"api global_getvar core_uuid",
        b"api global_getvar hostname",
        b"api global_getvar fsacd_dialplan",
        b"api uptime s",
        b"api uptime ms",
    ]


@pytest.mark.parametrize("days", [0, 10, 49, 50, 120, 1000])
def test_the_uptime_of_an_old_switch(rig: Rig, days: int) -> None:
    """FreeSWITCH prints its uptime in milliseconds modulo 49.7 days; the link knows the whole of it."""
    rig.switch.uptime_s = days * 86_400 + 7
    rig.start()
    until(rig.up)
    assert rig.up()[0].uptime_ms == rig.switch.uptime_s * 1000


def test_it_comes_back_by_itself(rig: Rig) -> None:
    """After the connection is lost the link connects again; the same process is not taken for a restarted one."""
    link = rig.start()
    until(rig.up)
    rig.switch.cut()
    until(lambda: len(rig.up()) == 2)
    assert rig.up()[1].restarted is False
    assert link.call(encoder.status()).text == "+OK status"
    assert (link.stats().reconnects, link.stats().connected) == (1, True)


def test_it_is_renewed(rig: Rig) -> None:
    """Somebody wants a new life of it, in which nothing of the old one is told."""
    link = rig.start(events=["CHANNEL_PARK"])
    until(rig.up)
    link.renew("the fence is lost")
    until(lambda: len(rig.up()) == 2)
    assert rig.down() == ["the fence is lost"]


def test_a_restarted_switch_is_told_apart(rig: Rig) -> None:
    """Another Core-UUID means that the switch has restarted and every leg is gone."""
    rig.start()
    until(rig.up)
    rig.switch.core_uuid = "core-2"
    rig.switch.cut()
    until(lambda: len(rig.up()) == 2)
    assert rig.up()[1].restarted is True


@pytest.mark.parametrize("which", [0, 1], ids=["events", "commands"])
def test_either_connection_ends_the_link(rig: Rig, which: int) -> None:
    """When one of the two connections breaks, both are made anew."""
    rig.start()
    until(rig.up)
    rig.switch.server.peers[which].close()
    until(lambda: len(rig.up()) == 2)
    assert len(rig.switch.server.peers) == 4


def test_events_before_the_end_are_told_before_it(rig: Rig) -> None:
    """What arrived before the connection broke is true and comes before Down."""
    rig.start()
    until(rig.up)
    rig.switch.fire(*(named(f"E{number}") for number in range(50)))
    rig.switch.cut()
    until(rig.down)
    first_down = next(index for index, state in enumerate(rig.story) if isinstance(state, Down))
    assert rig.story[first_down - 50 : first_down] == [f"E{number}" for number in range(50)]


def test_commands_without_a_link_are_not_sent(rig: Rig) -> None:
    """A command for a link that is down is told so at once, by another greenlet, and never sent."""
    got: list[Reply] = []
    link = SwitchLink("fs1", LinkSettings(password="x"), rig.on_event, rig.story.append)
    link.submit(encoder.status(), got.append)
    assert got == []
    until(lambda: got)
    assert got == [Reply(Outcome.NOT_SENT, "the link has not been started")]
    assert link.call(encoder.status()).outcome is Outcome.NOT_SENT


def test_commands_under_way_when_the_link_breaks(rig: Rig) -> None:
    """A command whose answer did not come before the break is unconfirmed."""
    got: list[Reply] = []
    link = rig.start(reconnect_min_ms=10_000)
    until(rig.up)
    rig.switch.answers = False
    link.submit(encoder.status(), got.append)
    until(lambda: b"api status" in rig.switch.heard)
    rig.switch.cut()
    until(lambda: got)
    assert got == [Reply(Outcome.UNCONFIRMED, "FreeSWITCH closed the connection")]


@pytest.mark.parametrize(("says", "version"), [("2\n", "2"), ("-ERR no reply\n", "")])
def test_the_installed_dialplan_tells_its_version(rig: Rig, says: str, version: str) -> None:
    """FreeSWITCH has no reply for a variable that an old dialplan does not set."""
    rig.switch.dialplan = says
    rig.start()
    until(rig.up)
    assert rig.up()[0].dialplan == version


def test_an_uptime_that_can_be_none_is_not_believed(rig: Rig) -> None:
    """A number that no uptime has would be a moment that no journal can hold, and end the engine."""
    rig.switch.uptime_s = 10**16
    rig.start()
    until(rig.down)
    assert rig.down()[0] == "FreeSWITCH answered 'api uptime s' with no number: '10000000000000000'"
    assert rig.up() == []


def test_names_that_a_switch_tells_have_a_bound(rig: Rig) -> None:
    """What the switch calls itself is kept, and shown: not 200 kB of it."""
    rig.switch.core_uuid = "x" * 200_000
    rig.start()
    until(rig.up)
    assert rig.up()[0].core_uuid == "x" * 256


def test_a_setting_that_fits_no_command(rig: Rig) -> None:
    """A setting that cannot be said to FreeSWITCH is a reason, not a crash."""
    rig.start(events=("not an event",))
    until(rig.down)
    assert rig.down()[0].startswith("a setting fits no command: ")


def test_a_fault_of_ours_ends_no_link(rig: Rig) -> None:
    """Whatever goes wrong in one attempt, here a host's name that no resolver can be asked for, there is a next one."""
    rig.start(host="x" * 64)
    until(lambda: len(rig.down()) >= 2)
    assert "label too long" in rig.down()[0]


def test_a_state_handler_that_raises(rig: Rig) -> None:
    """An error of the user's state handler does not end the link."""
    states: list[LinkState] = []

    def fail(state: LinkState) -> None:
        states.append(state)
        raise LookupError("expected by the test")

    rig.story = _Calls(fail)
    with capture_logs():
        rig.start()
        until(lambda: len(states) == 2)
        assert rig.link is not None
        assert rig.link.call(encoder.status()).ok
        rig.link.stop()
    assert isinstance(states[-1], Down)


class _Calls(list[LinkState | str]):
    def __init__(self, call: Callable[[Any], None]) -> None:
        super().__init__()
        self.append = call  # type: ignore[method-assign]  # a list that tells what is appended


def test_stop_while_connecting() -> None:
    """A link can be stopped in the middle of an attempt."""
    states: list[LinkState] = []
    with FakeSwitch(lambda peer: peer.wait_for_the_end()) as server:
        settings = LinkSettings(host=server.host, port=server.port, password="x", connect_timeout_ms=60_000)
        link = SwitchLink("fs1", settings, print, states.append)
        link.start()
        assert server.connected.wait(30)
        link.stop()
    assert states == [Connecting(), Down("the link was stopped")]


def test_the_end_of_a_link_gives_memory_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a switch has sent is freed then, and after large answers the process would keep it all the same."""
    given: list[int] = []
    monkeypatch.setattr(heap, "_TRIM", given.append)
    rig.start()
    until(rig.up)
    assert given == []
    rig.switch.cut()
    until(lambda: given == [0])


def test_memory_is_given_back_as_far_as_the_system_can() -> None:
    """Elsewhere than with glibc nothing happens."""
    heap.give_back()
