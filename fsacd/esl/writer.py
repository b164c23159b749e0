"""The writing side of one connection: at once where the kernel takes it, else by a greenlet that waits.

A command is on its way before the step that made it is done with its logs and metrics: a caller listens to music until
it arrives. Only what the kernel does not take now is left to the greenlet; until that is out nothing else is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import gevent
import gevent.socket
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from fsacd.esl.errors import words
from fsacd.esl.replies import Replies

_WRITE_BYTES: Final = 64 * 1024


class Writer:
    """Writes what `replies` has lined up. A socket that takes no bytes for `limit_s` is broken: `on_broken` is told."""

    def __init__(self, replies: Replies, limit_s: float, on_broken: Callable[[str], object]) -> None:
        self.sock: gevent.socket.socket | None = None
        self._replies = replies
        self._limit_s = limit_s
        self._on_broken = on_broken
        self._lock = BoundedSemaphore(1)
        self._work = Event()
        self._stopped = False
        # The end of what the kernel has not taken yet.
        self._unsent = b""

    @property
    def is_writing(self) -> bool:
        """Whether something is written in part, so that nothing else may be written."""
        return bool(self._unsent) or self._lock.locked()

    def write(self) -> None:
        """Write what is lined up, as far as it goes at once. Neither blocks nor yields."""
        if not self.is_writing:
            self._try(self._take())
        if self._unsent or self._replies.has_outgoing:
            self._work.set()

    def wake(self, data: bytes) -> bool:
        """Write this at once, or not at all when something else is being written: that wakes the switch as well."""
        if self.is_writing:
            return False
        self._try(data)
        if self._unsent:
            self._work.set()
        return True

    def finish(self, data: bytes) -> None:
        """Write this as the last, and wait until it is out; never into the middle of a command."""
        rest, self._unsent = self._unsent, b""
        self._send_all(rest + data)

    def stop(self) -> None:
        """Write nothing more."""
        self._stopped = True
        self._work.set()

    def run(self) -> None:
        """Write, until stopped, what did not go at once."""
        while not self._stopped:
            self._work.wait()
            self._work.clear()
            while (self._unsent or self._replies.has_outgoing) and not self._stopped:
                data, self._unsent = self._unsent or self._take(), b""
                if data:
                    self._send_all(data)

    def _take(self) -> bytes:
        return self._replies.take(_WRITE_BYTES, time.monotonic())

    def _try(self, data: bytes) -> None:
        assert self.sock is not None
        try:
            self._unsent = data[self.sock.send(data, 0, 0.0) :]
        except BlockingIOError:
            self._unsent = data
        except OSError as error:
            self._on_broken(f"the connection to FreeSWITCH broke while writing: {words(error)}")

    def _send_all(self, data: bytes) -> None:
        limit_s = self._limit_s
        try:
            with self._lock, gevent.Timeout(limit_s, TimeoutError(f"it took no bytes for {limit_s:g} s")):
                if self.sock is not None:
                    self.sock.sendall(data)
        except OSError as error:
            # A part of a command may be out: the rest of the stream would be read as something else.
            self._on_broken(f"the connection to FreeSWITCH broke while writing: {words(error)}")
