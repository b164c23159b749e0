"""One connection, fed with what greenswitch 0.0.19 hangs on, dies of or believes. The names t01... are its defects."""

from __future__ import annotations

import functools

import gevent
import gevent.socket
import pytest
from gevent.event import Event
from greenswitch.esl import ESLEvent, InboundESL, NotConnectedError
from structlog.testing import capture_logs

from fsacd.esl import encoder
from fsacd.esl.client import EslClient
from fsacd.esl.codec import Kind, Message
from fsacd.esl.errors import LinkError, PasswordRefusedError
from fsacd.esl.wire import Outcome
from fsacd.runtime import watched
from tests.esl.client_rig import Connect, make
from tests.esl.fake_switch import AUTH_REQUEST, NOTICE, FakeSwitch, Peer, event, named, reply, response, until

# --- the surface that greenswitch's users know -------------------------------------------------------------------


def test_the_surface_of_greenswitch(connect: Connect) -> None:
    """connect, send, register_handle, .headers, .data and stop work as in greenswitch, with JSON events underneath."""
    heard: list[Message] = []

    def script(peer: Peer) -> None:
        assert peer.hear() == b"event json CHANNEL_PARK"
        peer.say(reply("+OK event listener enabled json"), named("CHANNEL_PARK", **{"Unique-ID": "u"}))
        peer.answer_all()

    client = connect(script)
    assert isinstance(client, InboundESL)
    client.register_handle("CHANNEL_PARK", heard.append)
    assert client.send("event json CHANNEL_PARK").headers["Reply-Text"] == "+OK event listener enabled json"
    assert client.send("api status").data == "api status"
    until(lambda: heard)
    assert (heard[0].headers["Unique-ID"], client.connected) == ("u", True)
    client.unregister_handle("CHANNEL_PARK", heard.append)
    client.stop()
    assert client.connected is False
    with pytest.raises(NotConnectedError):
        client.send("api status")


def test_handlers_are_chosen_as_in_greenswitch(connect: Connect) -> None:
    """By name, by the subclass of CUSTOM, `log` for log lines, and `*` for what nobody else wants."""
    heard: list[tuple[str, str]] = []

    def script(peer: Peer) -> None:
        peer.say(named("CUSTOM", **{"Event-Subclass": "a::b"}), named("HEARTBEAT"), named("OTHER"))
        peer.say(b"Content-Type: log/data\nContent-Length: 3\nLog-Line: 7\nUser-Data: \n\nhey")
        peer.answer_all()

    def hear(by: str, message: Message) -> None:
        heard.append((by, message.subclass or message.name or message.get("Log-Line") + message.data))

    connect(script, {name: functools.partial(hear, name) for name in ("a::b", "HEARTBEAT", "log", "*")})
    until(lambda: len(heard) == 4)
    assert heard == [("a::b", "a::b"), ("HEARTBEAT", "HEARTBEAT"), ("*", "OTHER"), ("log", "7hey")]


def test_a_block_connects_and_stops() -> None:
    """`with client:` connects and stops."""
    with FakeSwitch(lambda peer: (peer.log_in(), peer.answer_all())) as switch:
        with make(switch) as client:
            assert client.connected
        assert not client.connected


# --- greenswitch's defects -----------------------------------------------------------------------------------------


def test_t01_the_end_of_the_stream_inside_a_body(connect: Connect) -> None:
    """A stream that ends inside a body ends the connection with a sentence, and nobody spins."""
    ends: list[Message] = []
    client = connect(lambda peer: (peer.say(named("A")[:-5]), peer.close()), {"DISCONNECT": ends.append})
    assert client.ended.wait(30)
    assert client.lost_reason == "the connection to FreeSWITCH broke off 63 bytes into a message"
    assert len(ends) == 1


def test_t02_bytes_that_are_no_utf8(connect: Connect) -> None:
    """Latin-1 in a reply or an event costs neither, and the next command is answered."""
    heard: list[Message] = []

    def script(peer: Peer) -> None:
        peer.hear()
        peer.say(response(b"M\xfcller"), event(b'{"Event-Name":"A","n":"M\xfcller"}'))
        peer.answer_all()

    client = connect(script, {"*": heard.append})
    assert client.send("api x").data == "M\ufffdller"
    assert client.send("api y").data == "api y"
    until(lambda: heard)
    assert heard[0].headers["n"] == "M\ufffdller"


def test_t03_the_body_of_an_event(connect: Connect) -> None:
    """The lines of a job's result do not overwrite the event's headers; greenswitch reads them as headers."""
    heard: list[Message] = []
    inner = "Event-Name: BACKGROUND_JOB\nUnique-ID: real\nContent-Length: 16\n\nUnique-ID: fake\n"
    frame = f"Content-Length: {len(inner)}\nContent-Type: text/event-plain\n\n{inner}"
    connect(lambda peer: (peer.say(frame.encode()), peer.answer_all()), {"*": heard.append})
    until(lambda: heard)
    assert (heard[0].headers["Unique-ID"], heard[0].data) == ("real", "Unique-ID: fake\n")
    assert ESLEvent(inner).headers["Unique-ID"] == "fake"


def test_t04_a_name_with_a_percent_zero_a(connect: Connect) -> None:
    """%0A in a value forges no header; greenswitch believes it."""
    heard: list[Message] = []
    inner = "Event-Name: CHANNEL_PARK\nUnique-ID: real\nCaller-Caller-ID-Name: x%0AUnique-ID: victim\n\n"
    frame = f"Content-Length: {len(inner)}\nContent-Type: text/event-plain\n\n{inner}"
    connect(lambda peer: (peer.say(frame.encode()), peer.answer_all()), {"*": heard.append})
    until(lambda: heard)
    assert heard[0].headers["Unique-ID"] == "real"
    assert heard[0].headers["Caller-Caller-ID-Name"] == "x\nUnique-ID: victim"
    assert ESLEvent(inner).headers["Unique-ID"] == "victim"


def test_t05_json_events(connect: Connect) -> None:
    """JSON events arrive; greenswitch's reader dies of the first one."""
    heard: list[Message] = []
    connect(lambda peer: (peer.say(named("A"), named("B")), peer.answer_all()), {"*": heard.append})
    until(lambda: len(heard) == 2)
    assert [message.name for message in heard] == ["A", "B"]
    with pytest.raises(AttributeError):
        ESLEvent('{"Event-Name":"A"}')


def test_t06_large_commands_of_several_senders(connect: Connect) -> None:
    """Commands larger than the socket's buffer arrive whole, also when several greenlets send at the same time."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        while command := peer.hear():
            heard.append(command)
            peer.say(reply(f"+OK {command[4:5].decode()}"))

    client = connect(script)
    commands = [f"api {letter * 500_000}" for letter in "abcd"]
    senders = [gevent.spawn(client.send, command) for command in commands]
    gevent.joinall(senders, timeout=10, raise_error=True)
    assert [sender.value.data for sender in senders] == ["+OK a", "+OK b", "+OK c", "+OK d"]
    assert heard == [command.encode() for command in commands]


@pytest.mark.parametrize(("in_order", "ending"), [(False, "reset"), (True, "end")])
def test_what_was_not_delivered_is_delivered_no_more(connect: Connect, *, in_order: bool, ending: str) -> None:
    """A lost connection is reset, and its unsent orders thrown away; who leaves in order is heard to the end."""
    heard: list[str] = []

    def serve(peer: Peer) -> None:
        peer.hear()
        try:
            heard.append("end" if peer.hear() == b"" else "more")
        except ConnectionResetError:
            heard.append("reset")

    client = connect(serve)
    client.submit(encoder.raw("api x"), None, 60)
    gevent.sleep(0.05)
    client.lose("given up", in_order=in_order)
    until(lambda: heard != [])
    assert heard == [ending]


@pytest.mark.parametrize("ending", [b"", NOTICE, b"Content-Type: nonsense"], ids=["EOF", "notice", "cut"])
def test_t07_t18_a_command_pending_at_the_end(connect: Connect, ending: bytes) -> None:
    """Whoever waits for an answer when the connection ends is told at once."""
    client = connect(lambda peer: (peer.hear(), peer.say(ending), peer.close()))
    outcome = client.call(encoder.raw("api x"), 60)
    assert outcome.outcome is Outcome.UNCONFIRMED
    with pytest.raises(LinkError):
        client.send("api y")


def test_t08_a_silent_server() -> None:
    """A server that accepts and says nothing does not hold `connect` up beyond its timeout."""
    silent = FakeSwitch(lambda peer: peer.hear())
    with silent as switch, pytest.raises(NotConnectedError, match=r"did not answer in 0\.05 s"):
        make(switch, 0.05).connect()


def test_t08_a_server_that_goes_silent_after_the_password() -> None:
    """The timeout covers the log-in too."""
    silent = FakeSwitch(lambda peer: (peer.say(AUTH_REQUEST), peer.hear(), peer.hear()))
    with silent as switch, pytest.raises(NotConnectedError, match="did not answer"):
        make(switch, 0.05).connect()


def test_t09_a_peer_that_closes_before_the_log_in() -> None:
    """A connection closed at once is an error in a sentence."""
    closing = FakeSwitch(lambda peer: peer.close())
    with closing as switch, pytest.raises(NotConnectedError, match="FreeSWITCH closed the connection"):
        make(switch).connect()


def test_t09_nobody_listens() -> None:
    """A refused connection is a NotConnectedError that names the address."""
    with FakeSwitch(Peer.answer_all) as switch:
        port = switch.port
    with pytest.raises(NotConnectedError, match=f"nothing listens at 127.0.0.1:{port}"):
        EslClient("127.0.0.1", port, "secret", 2).connect()


def test_a_rude_rejection() -> None:
    """An address that the ACL does not allow is told apart from everything else."""
    rude = b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
    closing = FakeSwitch(lambda peer: peer.say(rude).close())
    with closing as switch, pytest.raises(LinkError, match="refuses our address"):
        make(switch).connect()


def all_dead(client: EslClient) -> bool:
    return all(greenlet.dead for greenlet in client._greenlets)


def refuse(peer: Peer) -> None:
    peer.say(AUTH_REQUEST)
    peer.hear()
    peer.say(reply("-ERR invalid"), NOTICE)
    peer.close()


def test_t10_a_wrong_password_leaves_nothing_behind() -> None:
    """A refused password raises (a ValueError too, as in greenswitch) and leaves no greenlet and no socket."""
    with FakeSwitch(refuse) as switch:
        for _ in range(3):
            client = make(switch)
            with pytest.raises(PasswordRefusedError) as caught:
                client.connect()
            assert isinstance(caught.value, ValueError)
            assert client.sock is not None
            assert client.sock.closed
            until(functools.partial(all_dead, client))


def test_t10_the_same_object_connects_again() -> None:
    """A client that was stopped, or that lost its connection, connects again."""
    with FakeSwitch(lambda peer: (peer.log_in(), peer.answer_all())) as switch:
        client = make(switch)
        for _ in range(3):
            client.connect()
            assert client.send("api x").data == "api x"
            client.stop()
        client.connect()
        switch.peers[-1].reset()
        until(lambda: not client.connected)
        client.connect()
        assert client.send("api y").data == "api y"
        client.stop()


def test_t11_a_handler_that_raises(connect: Connect) -> None:
    """An error in a handler, also in one without a name, costs neither the other handlers nor the next event."""
    heard: list[Message] = []

    def fail(_extra: str, _message: Message) -> None:
        raise LookupError("expected by the test")

    client = connect(lambda peer: (peer.say(named("A"), named("A")), peer.answer_all()))
    client.pause_handlers()
    client.register_handle("A", functools.partial(fail, "x"))
    client.register_handle("A", heard.append)
    with capture_logs() as logs:
        client.resume_handlers()
        until(lambda: len(heard) == 2)
    # Once for both: whatever happens for each event is said once a minute.
    assert [(entry["event"], entry["part"]) for entry in logs] == [
        ("a part of fsacd failed, by a fault of ours", "handler of events")
    ]
    assert watched.failures()["handler of events"] == 2
    assert client.counters.handler_errors == 2


def test_t12_events_queued_at_the_end(connect: Connect) -> None:
    """Events that arrived before the end are all handed on, and DISCONNECT comes after them, once."""
    heard: list[str] = []

    def hear(message: Message) -> None:
        gevent.sleep(0)
        heard.append(message.get("n") or message.kind.value)

    frames = [named("A", n=str(number)) for number in range(50)]
    connect(lambda peer: (peer.say(*frames, NOTICE), peer.close()), {"A": hear, "DISCONNECT": hear})
    until(lambda: len(heard) >= 51)
    assert heard == [*(str(number) for number in range(50)), Kind.DISCONNECT.value]


def test_t14_a_slow_handler_does_not_hold_replies_up(connect: Connect) -> None:
    """While a handler waits, commands on the same connection are answered."""
    release = Event()
    client = connect(lambda peer: (peer.say(named("A")), peer.answer_all()), {"A": lambda _: release.wait(5)})
    assert client.send("api x").data == "api x"
    assert not release.is_set()
    release.set()


def test_t16_a_newline_in_a_command(connect: Connect) -> None:
    """Text with a control character is refused and nothing of it is sent."""
    client = connect(Peer.answer_all)
    for text in ("api originate x\n\napi fsctl shutdown", "api x\r", "api \0", ""):
        with pytest.raises(ValueError, match="one line of text"):
            client.send(text)
    assert client.send("api next").data == "api next"


def test_t20_a_caller_that_stops_waiting(connect: Connect) -> None:
    """A caller who gives up leaves the order of the answers intact."""
    client = connect(
        lambda peer: (peer.hear(), peer.hear(), peer.say(reply("+OK 1"), reply("+OK 2")), peer.answer_all())
    )
    with gevent.Timeout(0.01, False):
        client.send("api one")
    assert client.send("api two").data == "+OK 2"


def test_flood(connect: Connect) -> None:
    """During a burst the events in memory stay bounded and other greenlets keep getting their turn."""
    count, ticks, most = 5_000, 0, 0
    done = Event()
    seen: list[int] = []

    def hear(_message: Message) -> None:
        nonlocal most
        most = max(most, client.waiting_events)
        seen.append(ticks)
        if len(seen) == count:
            done.set()

    def tick() -> None:
        nonlocal ticks
        while True:
            gevent.sleep(0.001)
            ticks += 1

    frame = named("A", filling="x" * 1_000)
    client = connect(
        lambda peer: (peer.hear(), peer.say(frame * count), peer.answer_all()), {"A": hear}, inbox_limit=50
    )
    ticker = gevent.spawn(tick)
    client.submit(encoder.raw("go"))
    assert done.wait(30)
    ticker.kill()
    assert most <= 50 + 32 * 1024 // len(frame) + 1
    # Slices of 5 ms for at least 100 ms of work: without them there would be no tick in between at all.
    assert len(set(seen)) > 3
