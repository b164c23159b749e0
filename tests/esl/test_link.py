"""The link: it connects by itself, says how it stands, and never mistakes one switch, or one command, for another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gevent
import pytest
from structlog.testing import capture_logs

from fsacd.config.installed import COMMANDS
from fsacd.esl import encoder
from fsacd.esl.codec import Message
from fsacd.esl.link import Connecting, Down, LinkSettings, LinkState, SwitchLink, Up
from fsacd.esl.wire import Outcome, Reply
from fsacd.process import heap
from tests.esl.fake_switch import FakeSwitch, Peer, event, named, reply, response, until


class Switch:
    """A switch with one process, which a test restarts, cuts off or silences."""

    def __init__(self) -> None:
        self.core_uuid = "core-1"
        self.uptime_s = 5_000_000
        self.echoes = True
        self.answers = True
        self.refuses = ""
        self.dialplan = "2"
        # Events, subclasses and commands that the user has no right to.
        self.denied: set[str] = set()
        self.heard: list[bytes] = []
        self.subscribers: list[Peer] = []
        self.server = FakeSwitch(self.serve)

    def serve(self, peer: Peer) -> None:
        peer.log_in()
        while command := peer.hear():
            self.heard.append(command)
            if self.answers:
                self.answer(peer, command.decode())

    def answer(self, peer: Peer, command: str) -> None:
        answers = {
            "api global_getvar core_uuid": self.core_uuid,
            "api global_getvar hostname": "fs1",
            "api global_getvar fsacd_dialplan": self.dialplan,
            "api uptime s": f"{self.uptime_s}\n",
            "api uptime ms": f"{self.uptime_s * 1000 % 2**32}\n",
        }
        if self.denied & set(command.split()) or (self.refuses and command.startswith(self.refuses)):
            peer.say(reply("-ERR permission denied"))
        elif command.startswith("api "):
            peer.say(response(answers.get(command, f"+OK {command[4:]}").encode()))
        elif command.startswith("sendevent"):
            peer.say(reply("+OK"))
            probe = command.partition("fsacd_probe: ")[2]
            if self.echoes:
                self.fire(named("CUSTOM", **{"Event-Subclass": "fsacd::probe", "fsacd_probe": probe}))
        else:
            if command.startswith("event json"):
                self.subscribers.append(peer)
            peer.say(reply("+OK"))

    def fire(self, *events: bytes) -> None:
        for peer in self.subscribers:
            peer.say(*events)

    def cut(self) -> None:
        """End all connections; new ones are taken."""
        self.subscribers.clear()
        for peer in self.server.peers:
            peer.close()


class Rig:
    """A link, its switch, and what the link has told."""

    def __init__(self) -> None:
        self.switch = Switch()
        self.story: list[LinkState | str] = []
        self.link: SwitchLink | None = None

    def start(self, **values: Any) -> SwitchLink:
        options = {key: values.pop(key) for key in ("events", "subclasses", "filters") if key in values}
        settings = LinkSettings(
            **{
                "host": self.switch.server.host,
                "port": self.switch.server.port,
                "password": "secret",
                "reconnect_min_ms": 5,
                "reconnect_max_ms": 20,
                "probe_interval_ms": 0,
                **values,
            }
        )
        self.link = SwitchLink("fs1", settings, self.on_event, self.story.append, chance=lambda: 0.5, **options)
        self.link.start()
        return self.link

    def on_event(self, message: Message) -> None:
        self.story.append(message.name)

    def up(self) -> list[Up]:
        return [state for state in self.story if isinstance(state, Up)]

    def down(self) -> list[str]:
        return [state.reason for state in self.story if isinstance(state, Down)]


@pytest.fixture(name="rig")
def _rig() -> Iterator[Rig]:
    rig = Rig()
    with rig.switch.server:
        yield rig
        if rig.link is not None:
            rig.link.stop()


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
        b"event json CHANNEL_PARK BACKGROUND_JOB HEARTBEAT CUSTOM fsacd::queued fsacd::probe",
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


def test_the_wrong_password(rig: Rig) -> None:
    """The reason names the two places that differ."""

    def refuse(peer: Peer) -> None:
        peer.say(b"Content-Type: auth/request\n\n")
        peer.hear()
        peer.say(reply("-ERR invalid")).close()

    rig.switch.serve = refuse  # type: ignore[method-assign]  # what the server calls is looked up at each connection
    with FakeSwitch(refuse) as server:
        rig.start(port=server.port)
        until(rig.down)
    assert rig.down()[0] == ("FreeSWITCH refused the password (event_socket.conf.xml and switches.fs1.password differ)")


def test_the_wrong_user(rig: Rig) -> None:
    """Of a user of the directory the switch does not say what is wrong: each that can be is named, the user too."""

    def refuse(peer: Peer) -> None:
        peer.say(b"Content-Type: auth/request\n\n")
        peer.hear()
        peer.say(reply("-ERR invalid")).close()

    with FakeSwitch(refuse) as server:
        rig.start(port=server.port, user="fsacd@elsewhere")
        until(rig.down)
    assert rig.down()[0] == (
        "FreeSWITCH refused the user fsacd@elsewhere or the password: its directory has no such user or domain, gives "
        "them no esl-password, or another one than switches.fs1.password (directory/fsacd_link.xml)"
    )


@pytest.mark.parametrize("refused", ["filter", "api global_getvar", "api uptime"])
def test_a_switch_that_does_not_allow_what_we_need(rig: Rig, refused: str) -> None:
    """A refused command of the link itself is named, so that the operator finds the missing right."""
    rig.switch.refuses = refused
    rig.start(filters=(("variable_fsacd_leg", "/^./"),))
    until(rig.down)
    assert re.fullmatch(f"FreeSWITCH refused '{refused}.*': -ERR permission denied", rig.down()[0])
    assert rig.up() == []


@pytest.mark.parametrize("refused", ["BACKGROUND_JOB", "fsacd::queued"])
def test_a_user_who_may_not_hear_what_matters(rig: Rig, refused: str) -> None:
    """Nobody could be served without it, so there is no link, and the reason says what is missing and where."""
    rig.switch.denied = {refused}
    rig.start(events=("CHANNEL_CREATE",), subclasses=("fsacd::queued",))
    until(rig.down)
    assert rig.down()[0] == f"FreeSWITCH does not let this user hear {refused} (directory/fsacd_link.xml)"
    assert rig.up() == []


@pytest.mark.parametrize(("says", "version"), [("2\n", "2"), ("-ERR no reply\n", "")])
def test_the_installed_dialplan_tells_its_version(rig: Rig, says: str, version: str) -> None:
    """FreeSWITCH has no reply for a variable that an old dialplan does not set."""
    rig.switch.dialplan = says
    rig.start()
    until(rig.up)
    assert rig.up()[0].dialplan == version


def test_rights_that_are_older_than_the_daemon(rig: Rig) -> None:
    """What is refused is left out and told; the rest is heard, and a probe that cannot be heard is not waited for."""
    rig.switch.denied = {"CHANNEL_CREATE", "fsacd::feature", "fsacd::probe", "hash"}
    link = rig.start(
        events=("CHANNEL_CREATE", "CHANNEL_PARK"),
        subclasses=("fsacd::queued", "fsacd::feature"),
        user="fsacd@pbx",
        probe_interval_ms=10,
        silence_timeout_ms=200,
    )
    until(rig.up)
    assert rig.up()[0].denied == ("CHANNEL_CREATE", "fsacd::feature", "fsacd::probe", "hash")
    rig.switch.fire(named("CHANNEL_PARK"))
    until(lambda: "CHANNEL_PARK" in rig.story)
    gevent.sleep(0.5)
    assert (link.stats().reconnects, link.stats().connected) == (0, True)


def test_what_a_user_may_command_is_asked_once(rig: Rig) -> None:
    """Each command is sent without an argument, which does nothing; with Event Socket's own password all is allowed."""
    rig.start(user="fsacd@pbx")
    until(rig.up)
    asked = [
        command.decode() for command in rig.switch.heard if command.startswith(b"api ") and b" " not in command[4:]
    ]
    assert asked == [f"api {verb}" for verb in COMMANDS if verb not in ("global_getvar", "uptime")]
    assert rig.up()[0].denied == ()


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


def test_what_a_switch_refuses_with_has_a_bound(rig: Rig) -> None:
    """A reason is cut where it is set, so that nobody who shows it has to think of it."""
    rig.switch.core_uuid = "-ERR " + "x" * 1_000_000
    rig.start()
    until(rig.down)
    assert len(rig.down()[0]) <= 300


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


def test_a_silent_switch_is_given_up(rig: Rig) -> None:
    """Without any byte for the heartbeat timeout the link is taken for dead."""
    rig.start(heartbeat_timeout_ms=30)
    until(rig.down)
    assert re.fullmatch(r"FreeSWITCH sent nothing for \d+\.\d s", rig.down()[0])


def test_heartbeats_keep_it_alive(rig: Rig) -> None:
    """Every event puts the heartbeat timeout off."""
    rig.start(heartbeat_timeout_ms=200)
    until(rig.up)
    for _ in range(10):
        gevent.sleep(0.04)
        rig.switch.fire(event('{"Event-Name":"HEARTBEAT"}'))
    assert rig.down() == []


def test_probes_measure_the_lag(rig: Rig) -> None:
    """The own event makes the round trip over both connections; nobody else hears of it, nor of others' probes."""
    link = rig.start(probe_interval_ms=5)
    until(lambda: link.stats().probes >= 5)
    rig.switch.fire(named("CUSTOM", **{"Event-Subclass": "fsacd::probe", "fsacd_probe": "somebody else's"}))
    rig.switch.fire(named("LAST"))
    until(lambda: rig.story[-1] == "LAST")
    stats = link.stats()
    assert rig.story == [Connecting(), rig.up()[0], "LAST"]
    assert stats.lag_ms is not None
    assert 0 < stats.lag_ms <= stats.lag_max_ms


def test_probes_that_do_not_come_back(rig: Rig) -> None:
    """A switch that answers commands and delivers no events is given up."""
    rig.switch.echoes = False
    link = rig.start(probe_interval_ms=10, silence_timeout_ms=60)
    until(rig.down)
    assert re.fullmatch(r"FreeSWITCH sent nothing for \d+\.\d s", rig.down()[0])
    assert link.stats().probes_missed >= 3


def down_while_it_talks(rig: Rig) -> bool:
    """Whether the link is given up although one more event comes; who has gone does not hear it."""
    with suppress(OSError):
        rig.switch.fire(named("A"))
    return bool(rig.down())


def test_a_switch_that_does_not_answer_commands(rig: Rig) -> None:
    """A connection that is half open is given up although the other one is well."""
    rig.start(probe_interval_ms=10, silence_timeout_ms=100)
    until(rig.up)
    rig.switch.answers = False
    until(lambda: down_while_it_talks(rig))
    assert re.fullmatch(r"FreeSWITCH sent nothing for \d+\.\d s", rig.down()[0])


def test_late_probes_are_no_death(rig: Rig) -> None:
    """A busy switch, whose other events come before the probe, is left alone; one that never echoes is not."""
    rig.switch.echoes = False
    link = rig.start(probe_interval_ms=10, silence_timeout_ms=500, heartbeat_timeout_ms=1_500)
    until(rig.up)
    while link.stats().probes_missed < 20:
        rig.switch.fire(named("A"))
        gevent.sleep(0.005)
    assert rig.down() == []
    until(lambda: down_while_it_talks(rig))
    assert re.fullmatch(r"FreeSWITCH has echoed no probe event for \d+\.\d s", rig.down()[0])


def test_the_wake_up_only_while_busy(rig: Rig) -> None:
    """Newlines go out while the link is busy, and stop when it is not; 0 turns them off."""
    link = rig.start(wake_up_ms=1)
    until(rig.up)
    gevent.sleep(0.01)
    assert link.stats().wake_ups == 0
    link.set_busy(True)
    until(lambda: link.stats().wake_ups > 5)
    link.set_busy(False)
    gevent.sleep(0.01)
    before = link.stats().wake_ups
    gevent.sleep(0.01)
    assert link.stats().wake_ups == before
    link.set_busy(True)
    rig.switch.cut()
    until(lambda: len(rig.up()) == 2)
    until(lambda: link.stats().wake_ups > before)
    assert link.call(encoder.status()).ok


def test_no_wake_up(rig: Rig) -> None:
    """An interval of 0 never wakes the switch."""
    link = rig.start(wake_up_ms=0)
    link.set_busy(True)
    until(rig.up)
    gevent.sleep(0.01)
    assert link.stats().wake_ups == 0


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
