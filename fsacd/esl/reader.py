"""The reading side of one connection: from bytes to messages, in slices, so that a burst stops nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import gevent
import gevent.socket
import structlog

from fsacd.esl.codec import Decoder, Kind, Message, ProtocolError
from fsacd.esl.errors import why_closed
from fsacd.esl.greeting import greets
from fsacd.esl.inbox import YIELD_S, Inbox
from fsacd.esl.settings import Counters, LinkSettings
from fsacd.log.setup import seldom

_log = structlog.get_logger(__name__)

_RECEIVE_BYTES: Final = 32 * 1024


class Reader:
    """Puts events into the inbox, and gives everything else to `take` at once. `on_hello`: a FreeSWITCH has greeted.

    `longest` says how many bytes the answer may have that comes after so many others.
    """

    def __init__(
        self,
        settings: LinkSettings,
        counters: Counters,
        inbox: Inbox,
        longest: Callable[[int], int],
        take: Callable[[Message], object],
        on_hello: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._counters = counters
        self._inbox = inbox
        self._longest = longest
        self._take_other = take
        self._on_hello = on_hello
        # When something was read last, in seconds of the monotonic clock.
        self.last_heard = time.monotonic()
        # Called each time that something was read: FreeSWITCH has just looked at its events then.
        self.on_heard: Callable[[], object] = lambda: None
        # How FreeSWITCH says that it closes the connection, once it has.
        self.notice: Message | None = None

    def run(self, sock: gevent.socket.socket) -> str:
        """Read until the connection ends. Returns why it did; raises OSError, ProtocolError, InboxStalledError."""
        slice_s = self._settings.slice_ms / 1000
        worked_until = time.monotonic()
        until = worked_until + slice_s
        counters, inbox, decoder = self._counters, self._inbox, Decoder(self._longest)
        data, left_out = self._read_greeting(sock), 0
        while data or (data := sock.recv(_RECEIVE_BYTES)):
            # While this waited for bytes, others worked: a few bytes now and then must not cost a rest each.
            until += time.monotonic() - worked_until
            counters.bytes += len(data)
            try:
                messages = decoder.feed(data)
            except ProtocolError as error:
                self._take(error.before)
                raise
            data = b""
            self._take(messages)
            if decoder.left_out != left_out:
                self._note_left_out(decoder.left_out - left_out)
                left_out = decoder.left_out
            if inbox.is_full:
                inbox.wait_for_room()
            self.last_heard = now = time.monotonic()
            self.on_heard()
            if now >= until:
                gevent.sleep(YIELD_S)
                now = time.monotonic()
                until = now + slice_s
            worked_until = now
        if decoder.partial_bytes:
            return f"the connection to FreeSWITCH broke off {decoder.partial_bytes} bytes into a message"
        return why_closed(self.notice)

    def _read_greeting(self, sock: gevent.socket.socket) -> bytes:
        """Read its first words; what of them is no greeting is returned, to be read as any message."""
        heard = b""
        while data := sock.recv(_RECEIVE_BYTES):
            heard += data
            wanted = greets(heard)
            if wanted is None:
                continue
            self.last_heard = time.monotonic()
            if wanted:
                self._counters.bytes += len(heard)
                self._on_hello()
                return b""
            break
        return heard

    def _take(self, messages: Sequence[Message]) -> None:
        put = self._inbox.put
        for message in messages:
            if message.kind is Kind.EVENT:
                put(message)
            else:
                self._take_other(message)

    def _note_left_out(self, count: int) -> None:
        self._counters.note_left_out(count)
        seldom(
            _log.warning,
            "size",
            "a message of the switch was too large, and is left out",
            group=f"{self._settings.host}:{self._settings.port}",
        )
