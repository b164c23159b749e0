"""Commands of one connection, its reading and its end: deadlines, limits, and what is known of a command."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import gevent.socket
import pytest
from gevent.event import Event
from structlog.testing import capture_logs

from fsacd.esl import encoder
from fsacd.esl.codec import SHORT_REPLY_BYTES, Message
from fsacd.esl.errors import NoReplyError
from fsacd.esl.wire import Outcome, Reply
from tests.esl.client_rig import Connect, make
from tests.esl.fake_switch import AUTH_REQUEST, FakeSwitch, Peer, named, reply, response, until

# --- commands ------------------------------------------------------------------------------------------------------


class Replies:
    """Collects what comes of commands."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Outcome, str]] = []

    def __call__(self, name: str) -> Callable[[Reply], object]:
        return lambda outcome: self.got.append((name, outcome.outcome, outcome.text))


def test_a_late_answer_is_dropped(connect: Connect) -> None:
    """A command past its deadline is unconfirmed; its answer comes later and is not given to the next command."""
    release = Event()
    got = Replies()

    def script(peer: Peer) -> None:
        peer.hear()
        peer.hear()
        release.wait(5)
        peer.say(reply("+OK first"), reply("+OK second"))
        peer.answer_all()

    client = connect(script)
    client.submit(encoder.raw("api first"), got("first"), 0.02)
    client.submit(encoder.raw("api second"), got("second"), 5)
    until(lambda: got.got)
    assert got.got == [("first", Outcome.UNCONFIRMED, "FreeSWITCH did not answer in time")]
    release.set()
    until(lambda: len(got.got) == 2)
    assert got.got[1] == ("second", Outcome.OK, "+OK second")
    assert (client.counters.late_replies, client.counters.timeouts, client.pending) == (1, 1, 0)
    with pytest.raises(NoReplyError):
        connect(lambda peer: peer.hear() and peer.hear()).send("api x", 0.01)


def test_a_short_question_gets_no_long_answer(connect: Connect) -> None:
    """The list of all legs may be long; what is longer than its question lets it be is a refusal, in its place."""
    long = b"x" * (SHORT_REPLY_BYTES + 1)

    def script(peer: Peer) -> None:
        for _ in range(3):
            peer.hear()
        peer.say(response(long), response(long), response(b"5"))

    client, got = connect(script), Replies()
    client.submit(encoder.uptime("s"), got("uptime"), 30)
    client.submit(encoder.show_channels(), got("legs"), 30)
    client.submit(encoder.uptime("s"), got("uptime again"), 30)
    until(lambda: len(got.got) == 3)
    assert [(name, outcome, len(text)) for name, outcome, text in got.got[1:]] == [
        ("legs", Outcome.OK, len(long)),
        ("uptime again", Outcome.OK, 1),
    ]
    assert got.got[0] == ("uptime", Outcome.ERR, "-ERR the answer is longer than 256 KiB and was left out")


def test_too_many_commands(connect: Connect) -> None:
    """Beyond the limit a command is not sent, is told so, and the others are not disturbed."""
    got = Replies()
    release = Event()
    client = connect(lambda peer: (release.wait(5), peer.answer_all()), pending_limit=3)
    for name in "abcde":
        client.submit(encoder.raw(f"api {name}"), got(name))
    assert got.got == []  # never from inside of submit
    until(lambda: len(got.got) == 2)
    text = "3 commands wait for FreeSWITCH's answer already"
    assert got.got == [("d", Outcome.NOT_SENT, text), ("e", Outcome.NOT_SENT, text)]
    release.set()
    until(lambda: len(got.got) == 5)
    assert [name for name, outcome, _ in got.got if outcome is Outcome.OK] == ["a", "b", "c"]
    assert client.counters.refused_commands == 2


def test_sent_and_not_sent_are_told_apart(connect: Connect) -> None:
    """At the end of a connection what was written is unconfirmed, and what was not is not sent."""
    got = Replies()
    client = connect(lambda peer: peer.wait_for_the_end(), write_timeout_ms=60_000)
    client.submit(encoder.raw("api " + "x" * 12_000_000), got("written in part"))
    until(lambda: not client._commands.replies.has_outgoing)
    client.submit(encoder.raw("api y"), got("lined up"))
    client.lose("the test ends it")
    until(lambda: len(got.got) == 2)
    assert sorted(got.got) == [
        ("lined up", Outcome.NOT_SENT, "the test ends it"),
        ("written in part", Outcome.UNCONFIRMED, "the test ends it"),
    ]


def test_a_command_that_was_not_written_in_time_is_never_written(connect: Connect) -> None:
    """A deadline that passes before the write makes the command not sent, for good."""
    got = Replies()
    heard: list[bytes] = []
    read = Event()

    def script(peer: Peer) -> None:
        read.wait(5)
        while command := peer.hear():
            heard.append(command[:10])
            peer.say(reply("+OK"))

    client = connect(script)
    client.submit(encoder.raw("api " + "x" * 12_000_000), got("long"), 10)
    until(lambda: not client._commands.replies.has_outgoing)
    client.submit(encoder.raw("api late"), got("late"), 0.01)
    until(lambda: got.got)
    assert got.got == [("late", Outcome.NOT_SENT, "FreeSWITCH did not answer in time")]
    read.set()
    until(lambda: len(got.got) == 2, 10)
    assert client.send("api z").data == "+OK"
    assert heard == [b"api xxxxxx", b"api z"]


def test_who_stood_still_writes_nothing_late(connect: Connect) -> None:
    """The deadline has come before the command is written, and nobody has looked at deadlines since."""
    got, heard = Replies(), list[bytes]()

    def script(peer: Peer) -> None:
        while command := peer.hear():
            heard.append(command)
            peer.say(reply("+OK"))

    client = connect(script)
    client.submit(encoder.raw("api late"), got("late"), 0.0)
    assert client.send("api z").data == "+OK"
    until(lambda: got.got)
    assert got.got == [("late", Outcome.NOT_SENT, "FreeSWITCH did not answer in time")]
    assert heard == [b"api z"]


def test_a_switch_that_does_not_read(connect: Connect) -> None:
    """When FreeSWITCH takes no bytes for too long, the connection is given up."""
    client = connect(lambda peer: peer.wait_for_the_end(), write_timeout_ms=20)
    outcome = client.call(encoder.raw("api " + "x" * 12_000_000), 30)
    assert (outcome.outcome, outcome.text) == (
        Outcome.UNCONFIRMED,
        "the connection to FreeSWITCH broke while writing: it took no bytes for 0.02 s",
    )


def test_an_answer_to_nothing(connect: Connect) -> None:
    """An answer that nobody asked for means that question and answer are out of step: the connection is closed."""
    client = connect(lambda peer: (peer.say(reply("+OK surprise")), peer.answer_all()))
    assert client.ended.wait(30)
    assert client.lost_reason == "FreeSWITCH answered a command that was never sent."


def test_a_reply_handler_that_raises(connect: Connect) -> None:
    """An error of one command's caller does not cost the replies after it."""

    def fail(_reply: Reply) -> None:
        raise LookupError("expected by the test")

    client = connect(Peer.answer_all)
    with capture_logs() as logs:
        client.submit(encoder.raw("api x"), fail)
        assert client.send("api y").data == "api y"
    assert [entry["part"] for entry in logs] == ["handler of replies"]


def test_commands_are_pipelined(connect: Connect) -> None:
    """Many commands are under way at once, and the answers find their commands in order."""
    got = Replies()

    def script(peer: Peer) -> None:
        commands = [peer.hear() for _ in range(500)]
        peer.say(*(response(command) for command in commands))
        peer.answer_all()

    client = connect(script)
    for number in range(500):
        client.submit(encoder.raw(f"api {number}"), got(f"api {number}"))
    until(lambda: len(got.got) == 500)
    assert [name for name, _, _ in got.got] == [text for _, _, text in got.got]


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_handler_that_stays_behind(connect: Connect) -> None:
    """When the handler makes no room for too long, the connection is given up, and the reason says: events are lost."""
    release = Event()
    frame = named("A", filling="x" * 1_000)
    client = connect(
        lambda peer: (peer.say(frame * 500), peer.answer_all()),
        {"A": lambda _message: release.wait(10)},
        inbox_limit=20,
        inbox_stall_ms=30,
    )
    until(lambda: client.lost_reason)
    assert client.lost_reason is not None
    assert client.lost_reason.startswith("events were lost: ")
    assert client.counters.inbox_stalls == 1
    release.set()


def test_a_broken_stream_ends_the_connection(connect: Connect) -> None:
    """Nonsense ends the connection with a sentence, after the events before it were handed on."""
    heard: list[Message] = []
    client = connect(
        lambda peer: (peer.say(named("A"), b"Content-Length: -1\n\n"), peer.answer_all()), {"A": heard.append}
    )
    assert client.ended.wait(30)
    assert client.lost_reason == "FreeSWITCH sent a Content-Length that is no number: '-1'."
    assert len(heard) == 1


def test_a_reset_connection(connect: Connect) -> None:
    """A TCP reset is an end like any other, in the system's words."""
    client = connect(lambda peer: (peer.hear(), peer.reset()))
    assert client.call(encoder.raw("api x"), 5).outcome is Outcome.UNCONFIRMED
    assert client.ended.wait(30)
    assert client.lost_reason == "the connection to FreeSWITCH broke: Connection reset by peer"


def test_a_wake_up_is_one_newline() -> None:
    """The wake-up writes one bare newline, and commands around it are read as ever."""
    raw: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.log_in()
        while data := peer.sock.recv(65536):
            raw.append(data)
            if data.endswith(b"\n\n"):
                peer.say(reply("+OK"))

    with FakeSwitch(script) as switch:
        client = make(switch)
        client.connect()
        client.wake()
        until(lambda: raw)
        assert client.send("api x").data == "+OK"
        client.wake()
        until(lambda: len(raw) == 3)
        client.stop()
    assert raw[:3] == [b"\n", b"api x\n\n", b"\n"]
    assert client.counters.wake_ups == 2


def test_nothing_is_written_into_the_middle_of_a_command() -> None:
    """What the kernel does not take at once is written before anything else: commands, wake-ups, the good-bye."""
    raw = bytearray()
    release = Event()

    def script(peer: Peer) -> None:
        peer.log_in()
        release.wait(5)
        while data := peer.sock.recv(1 << 20):
            raw.extend(data)

    commands = [encoder.raw(f"api {number} " + "x" * 500_000) for number in range(30)]
    with FakeSwitch(script) as switch:
        client = make(switch)
        client.connect()
        for command in commands:
            client.submit(command)
            client.wake()
        release.set()
        until(lambda: len(raw) >= sum(len(command.data) for command in commands), 5)
        client.stop()
        until(lambda: raw.endswith(b"exit\n\n"), 5)
    assert raw.replace(b"\n\n\n", b"\n\n") == b"".join(command.data for command in commands) + b"exit\n\n"


def test_a_command_is_written_before_submit_returns(connect: Connect) -> None:
    """A command leaves at once, before other greenlets have their turn: who waits for it waits on a caller's phone."""
    client = connect(Peer.answer_all)
    client.submit(encoder.raw("api x"))
    assert not client._commands.replies.has_outgoing


# --- the end -------------------------------------------------------------------------------------------------------


def test_a_handler_may_stop_the_client(connect: Connect) -> None:
    """A handler that stops its own client does not wait for itself."""
    stopped = Event()

    def stop(_message: Message) -> None:
        client.stop()
        stopped.set()

    client = connect(lambda peer: (peer.hear(), peer.say(named("A")), peer.answer_all()), {"A": stop})
    client.submit(encoder.raw("go"))
    assert stopped.wait(30)
    assert client.lost_reason == "the connection was closed by us"


def test_a_killed_attempt_leaves_no_socket() -> None:
    """A connect that is killed closes what it had opened."""
    with FakeSwitch(lambda peer: peer.hear()) as switch:
        client = make(switch, 60)
        attempt = gevent.spawn(client.connect)
        assert switch.connected.wait(30)
        until(lambda: client.connected)
        attempt.kill()
        assert client.sock is not None
        assert client.sock.closed


def test_stop_says_good_bye(connect: Connect) -> None:
    """A client that stops says so before it closes."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        while command := peer.hear():
            heard.append(command)

    connect(script).stop()
    until(lambda: heard)
    assert heard == [b"exit"]


def test_a_directory_user_logs_in() -> None:
    """With a user, userauth is sent instead of auth."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.say(AUTH_REQUEST)
        heard.append(peer.hear())
        peer.say(b"Content-Type: command/reply\nReply-Text: +OK accepted\nAllowed-Events: all\n\n")
        peer.answer_all()

    with FakeSwitch(script) as switch, make(switch, user="fsacd@example.net") as client:
        assert client.connected
    assert heard == [b"userauth fsacd@example.net:secret"]
