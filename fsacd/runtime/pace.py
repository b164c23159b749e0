"""Work that is done beside the calls: a moment at a time, and then a rest, in which calls go first."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeVar

import gevent

T = TypeVar("T")

# Such work holds calls up for about this long at a time, and then rests so many times as long: to explain one decision
# in a queue of a thousand agents takes milliseconds.
_TURN_S = 0.001
_REST = 4


class Pace:
    """The pace of one piece of work, from the making of this on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def rest_if_due(self) -> None:
        """Let others go first, if this has gone on for long enough."""
        spent_s = time.perf_counter() - self._began
        if spent_s >= _TURN_S:
            # A timer and not sleep(0): it lets the loop look at the sockets in between.
            gevent.sleep(spent_s * _REST)
            self._began = time.perf_counter()

    def whole(self, parts: Generator[None, None, T]) -> T:
        """All parts of a computation, with rests between them."""
        while True:
            try:
                next(parts)
            except StopIteration as end:
                told: T = end.value
                return told
            self.rest_if_due()
