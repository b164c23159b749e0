"""A switch that says what it should not: the memory has a bound, the rest goes on, and the password stays here."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from itertools import islice

import pytest

from fsacd.esl.client import EslClient
from fsacd.esl.codec import Decoder, Message, ProtocolError
from fsacd.esl.link import SwitchLink
from fsacd.esl.settings import LinkSettings
from fsacd.esl.states import Down, LinkState
from tests.esl.client_rig import Connect
from tests.esl.fake_switch import FakeSwitch, Peer, named, until
from tests.esl.hostile import GREETINGS, KINDS, Outcome

_BYTES = 1024 * 1024
# Those of which one message is large, or has no end.
_LARGE = (
    "a value of 900 KiB",
    "an event of 12 MiB",
    "an answer of 12 MiB that nobody asked for",
    "a length of 20 MiB",
    "a length of many digits",
    "a line of the log of 1 MiB",
    "50,000 headers",
    "headers without end",
    "100,000 levels",
    "300,000 empty lists",
    "4,000,000 empty lists",
    "byte by byte",
)
_MEMORY = 24 * 1024 * 1024


def _pieces(kind: str) -> list[bytes]:
    """Some megabytes of it, and no less than three of its pieces."""
    pieces, size = [], 0
    for piece in islice(KINDS[kind].stream(), 100_000):
        pieces.append(piece)
        size += len(piece)
        if size >= _BYTES and len(pieces) >= 3:
            break
    return pieces


@pytest.mark.parametrize("kind", KINDS)
def test_what_becomes_of_it(kind: str, connect: Connect) -> None:
    """The connection is ended, or goes on as if nothing had been said; what comes behind is heard then."""
    pieces = _pieces(kind)
    heard: list[Message] = []

    def script(peer: Peer) -> None:
        for piece in pieces:
            peer.say(piece)
        peer.say(named("LAST"), b"").answer_all()

    client = connect(script, {"LAST": heard.append}, inbox_stall_ms=60_000, timeout=30)
    outcome = KINDS[kind].outcome
    if outcome is Outcome.ENDS:
        until(lambda: client.lost_reason is not None, 30)
        assert client.was_nonsense
        assert client.counters.nonsense == 1
        assert not heard
        return
    if kind == "byte by byte":
        return  # cut in the middle; that it is held is seen below
    until(lambda: heard, 30)
    assert (client.lost_reason, client.counters.handler_errors) == (None, 0)
    assert bool(client.counters.left_out) == (outcome is Outcome.LEFT_OUT)


@pytest.mark.parametrize("kind", _LARGE)
def test_how_much_it_takes(kind: str) -> None:
    """Whatever is said, the decoder holds one event of it at most, and nothing of what is left out."""
    decoder, pieces = Decoder(), _pieces(kind)
    tracemalloc.start()
    try:
        with suppress(ProtocolError):
            for piece in pieces:
                for at in range(0, len(piece), 32 * 1024):
                    decoder.feed(piece[at : at + 32 * 1024])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= _MEMORY


@pytest.mark.parametrize("kind", ["a name of 900 KiB", "a value of 900 KiB"])
def test_events_that_wait_are_bound_by_their_bytes(kind: str, connect: Connect) -> None:
    """While the handler does not get on, a few large events wait, however many might by their number."""
    pieces = _pieces(kind) * 5
    client = connect(lambda peer: peer.say(*pieces).answer_all(), inbox_limit=10_000, inbox_stall_ms=60_000, timeout=30)
    client.pause_handlers()
    until(lambda: client.counters.inbox_stalls, 30)
    assert 1 <= client.waiting_events <= 3
    client.resume_handlers()
    until(lambda: not client.waiting_events, 30)


# --- the password ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
def test_who_does_not_greet_as_freeswitch_gets_no_password(greeting: bytes) -> None:
    """Nothing is said to a peer whose first words are not FreeSWITCH's, and it is not waited for."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        try:
            peer.say(greeting)
            heard.append(peer.hear())
        except OSError:
            heard.append(b"")  # we have gone without reading all that it says

    with FakeSwitch(script) as switch:
        settings = LinkSettings(host=switch.host, port=switch.port, password="the-secret")
        client = EslClient(switch.host, switch.port, "the-secret", 5, settings=settings)
        with pytest.raises(Exception, match="FreeSWITCH"):
            client.connect()
        until(lambda: heard)
    assert b"secret" not in b"".join(heard)
    assert client.was_nonsense


class _Line:
    """A link to a peer that greets with nonsense so often, and then as FreeSWITCH does."""

    def __init__(self, nonsense: int) -> None:
        self.heard: list[list[bytes]] = []
        self.states: list[LinkState] = []
        self._nonsense = nonsense
        self.switch = FakeSwitch(self._play)

    def _play(self, peer: Peer) -> None:
        heard: list[bytes] = []
        self.heard.append(heard)
        if len(self.heard) <= self._nonsense:
            peer.say(b"220 mail.example.com ESMTP\r\n")
        else:
            peer.say(b"Content-Type: auth/request\n\n")
        while command := peer.hear():
            heard.append(command)
            peer.say(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")

    def link(self) -> SwitchLink:
        settings = LinkSettings(
            host=self.switch.host, port=self.switch.port, password="the-secret",
            reconnect_min_ms=10, reconnect_max_ms=20, nonsense_pause_ms=50, quiet_ms=50,
        )  # fmt: skip
        return SwitchLink("fs1", settings, lambda _message: None, self.states.append, events=("CHANNEL_PARK",))


def test_after_nonsense_the_next_greeting_is_only_looked_at() -> None:
    """Whoever spoke nonsense must greet as FreeSWITCH does, and wait for us, before the password leaves again."""
    line = _Line(2)
    with line.switch:
        link = line.link()
        link.start()
        until(lambda: len(line.heard) >= 4 and line.heard[3], 10)
        link.stop()
    assert line.heard[:3] == [[], [], []]
    assert line.heard[3][0] == b"auth the-secret"
    assert any(isinstance(state, Down) and "is not told the password" in state.reason for state in line.states)
    assert not any("the-secret" in repr(state) for state in line.states)


def test_without_nonsense_nobody_is_looked_at_first() -> None:
    """A switch that was merely away is told the password at its first greeting."""
    line = _Line(0)
    with line.switch:
        link = line.link()
        link.start()
        until(lambda: line.heard and line.heard[0], 10)
        link.stop()
    assert line.heard[0][0] == b"auth the-secret"


def test_who_answers_the_password_otherwise_than_freeswitch_is_not_told_it_again() -> None:
    """An answer to the password that FreeSWITCH does not give is nonsense, too."""
    told: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.say(b"Content-Type: auth/request\n\n")
        told.append(peer.hear())
        peer.say(b"Content-Type: command/reply\nReply-Text: 250 OK\n\n").hear()

    with FakeSwitch(script) as switch:
        client = EslClient(switch.host, switch.port, "the-secret", 5)
        with pytest.raises(Exception, match="answers the password as no FreeSWITCH does"):
            client.connect()
    assert told == [b"auth the-secret"]
    assert client.was_nonsense
