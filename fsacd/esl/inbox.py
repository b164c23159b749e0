"""Events between the greenlet that reads and the greenlet that handles.

At the limit, of events or of their bytes, the reader is told to pause, and TCP holds the rest back, so that a burst
costs no memory. It pauses for a bounded time only: FreeSWITCH drops events, and then the connection, when its own queue
is full.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import gevent
from gevent.event import Event

from fsacd.esl.codec import MAX_EVENT_BYTES, Message
from fsacd.esl.settings import Counters

# As short as a timer can be, but a timer: sleep(0) would run fifty callbacks before the loop looks at other events.
YIELD_S: Final = 1e-6
# The most bytes of events that wait, as they came; one event of the largest size may exceed it.
INBOX_BYTES: Final = MAX_EVENT_BYTES


class InboxStalledError(Exception):
    """The handler did not make room in time: the connection must be given up, and events are lost."""


class Inbox:
    """A bounded queue of events for one handler. The bound may be passed by the messages of one portion read."""

    def __init__(
        self, *, limit: int, stall_s: float, slice_s: float, counters: Counters, bytes_limit: int = INBOX_BYTES
    ) -> None:
        self._limit = limit
        self._room_at = limit // 2
        self._bytes_limit = bytes_limit
        self._bytes_room_at = bytes_limit // 2
        self._bytes = 0
        self._stall_s = stall_s
        self._slice_s = slice_s
        self._counters = counters
        self._messages: deque[Message] = deque()
        self._filled = Event()
        self._room = Event()
        self._paused = False
        self._resumed = Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_full(self) -> bool:
        """Whether the reader has to wait for room."""
        return len(self._messages) >= self._limit or self._bytes >= self._bytes_limit

    @property
    def held_bytes(self) -> int:
        """The bytes of the waiting events, as they came."""
        return self._bytes

    def put(self, message: Message) -> None:
        """Add one event; the handler sees it when the reader pauses next."""
        self._messages.append(message)
        self._bytes += message.size
        if not self._filled.is_set():
            self._filled.set()

    def wait_for_room(self) -> None:
        """Wait until it is half empty. InboxStalledError when that takes too long."""
        self._room.clear()
        if self._room.wait(self._slice_s):
            return
        # During a burst the handler makes room within one slice; only longer than that is slow.
        self._counters.inbox_stalls += 1
        if not self._room.wait(self._stall_s):
            raise InboxStalledError(
                f"events were lost: {len(self._messages)} of them waited {self._stall_s:g} s for their handler"
            )

    def pause(self) -> None:
        """Hand nothing on until `resume`."""
        self._paused = True
        self._resumed.clear()

    def resume(self) -> None:
        """Hand on what has come meanwhile, and go on."""
        self._paused = False
        self._resumed.set()

    def close(self) -> None:
        """Nothing more comes. `run` ends when everything has been handed on."""
        self._closed = True
        self._filled.set()
        self._room.set()

    def run(self, handle: Callable[[Message], None]) -> None:
        """Hand every event on, in order, in slices, until closed and empty."""
        messages, slice_s = self._messages, self._slice_s
        until = time.monotonic() + slice_s
        while True:
            if self._paused:
                self._resumed.wait()
            if not messages:
                if self._closed:
                    return
                self._filled.clear()
                self._filled.wait()
                until = time.monotonic() + slice_s
                continue
            self._counters.events += 1
            message = messages.popleft()
            self._bytes -= message.size
            handle(message)
            if len(messages) <= self._room_at and self._bytes <= self._bytes_room_at and not self._room.is_set():
                self._room.set()
            now = time.monotonic()
            if now >= until:
                self._counters.slice_overruns += now >= until + slice_s
                gevent.sleep(YIELD_S)
                until = time.monotonic() + slice_s
