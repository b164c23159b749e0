"""Work that is done beside the calls: a moment at a time, and then a rest, in which calls go first."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeVar

import gevent

T = TypeVar("T")

# Work beside the calls holds them up for about _TURN_S at a time, and then rests _REST times as long. Explaining one
# decision in a queue of a thousand agents takes milliseconds.
_TURN_S = 0.001
_REST = 4


class Pace:
    """The pace of one piece of work, which begins when this object is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def rest_if_due(self) -> None:
        """Let others go first, if the work has had its turn."""
        spent_s = time.perf_counter() - self._began
        if spent_s >= _TURN_S:
            # A timer and not sleep(0): it lets the loop look at the sockets in between.
            gevent.sleep(spent_s * _REST)
            self._began = time.perf_counter()

    def whole(self, parts: Generator[None, None, T]) -> T:
        """Run all parts of a computation, with rests between them; gives its result."""
        while True:
            try:
                next(parts)
            except StopIteration as end:
                told: T = end.value
                return told
            self.rest_if_due()
