"""Work that is done beside the calls: a moment at a time, and then a rest, in which calls go first."""

from __future__ import annotations

import time
from typing import TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from fsacd.core.show.parts import InParts, whole

T = TypeVar("T")

# Work beside the calls holds them up for about _TURN_S at a time, and then rests _REST times as long. Explaining one
# decision in a queue of a thousand agents takes milliseconds.
_TURN_S = 0.001
_REST = 4
# Beside a switch that keeps the processors to itself, every rest costs hundreds of milliseconds of waiting for one.
# So the rests of one piece of work take no longer than this in all: an answer must come within its deadline.
_RESTS_S = 2.0

# One answer rests after the other: however many look on, the calls have the same share of the time.
_resting = BoundedSemaphore(1)


class Pace:
    """The pace of one piece of work, which begins when this object is made.

    `answer`: somebody waits for it. Other work has its own rests, however long they take: onlookers do not hold it up.
    """

    def __init__(self, *, answer: bool = True) -> None:
        self._answer = answer
        self._left_s = _RESTS_S
        self._began = time.thread_time()

    def rest_if_due(self) -> None:
        """Let others go first, if the work has had its turn."""
        # Processor time: a turn in which others had the processor is not longer for that.
        spent_s = time.thread_time() - self._began
        if spent_s >= _TURN_S:
            self._rest(spent_s * _REST)
            self._began = time.thread_time()

    def _rest(self, rest_s: float) -> None:
        if not self._answer:
            gevent.sleep(rest_s)
            return
        began = time.monotonic()
        if self._left_s > 0 and _resting.acquire(timeout=self._left_s):
            try:
                # A timer and not sleep(0): it lets the loop look at the sockets in between.
                gevent.sleep(rest_s)
            finally:
                _resting.release()
        else:
            gevent.sleep(0)
        self._left_s -= time.monotonic() - began

    def whole(self, parts: InParts[T]) -> T:
        """Run all parts of a computation, with rests between them; gives its result."""
        return whole(parts, self.rest_if_due)
