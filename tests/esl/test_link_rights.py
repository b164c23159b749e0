"""What a switch may refuse to the link, the password, the user, a command or an event, and what is said of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import gevent
import pytest

from fsacd.config.installed import COMMANDS
from tests.esl.fake_switch import FakeSwitch, Peer, named, reply, until
from tests.esl.link_rig import Rig, linked


@pytest.fixture(name="rig")
def _rig() -> Iterator[Rig]:
    with linked() as rig:
        yield rig


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


def test_rights_that_are_older_than_the_daemon(rig: Rig) -> None:
    """What is refused is left out and told; the rest is heard, and a probe that cannot be heard is not waited for."""
    rig.switch.denied = {"CHANNEL_CREATE", "fsacd::feature", "fsacd::left", "hash"}
    link = rig.start(
        events=("CHANNEL_CREATE", "CHANNEL_PARK"),
        subclasses=("fsacd::queued", "fsacd::feature"),
        user="fsacd@pbx",
        probe_interval_ms=10,
        silence_timeout_ms=200,
    )
    until(rig.up)
    assert rig.up()[0].denied == ("CHANNEL_CREATE", "fsacd::feature", "fsacd::left", "hash")
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


def test_what_a_switch_refuses_with_has_a_bound(rig: Rig) -> None:
    """A reason is cut where it is set, so that nobody who shows it has to think of it."""
    rig.switch.core_uuid = "-ERR " + "x" * 1_000_000
    rig.start()
    until(rig.down)
    assert len(rig.down()[0]) <= 300
