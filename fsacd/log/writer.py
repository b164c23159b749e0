"""A thread of the operating system that writes lines, so that a stopped reader blocks this thread and nothing else."""

from __future__ import annotations

import atexit
import os
import time

# Imported from C: gevent replaces `queue.SimpleQueue` by one for the greenlets of a single thread.
from _queue import SimpleQueue

from gevent.monkey import get_original

from fsacd.process import threads

_LINES_LIMIT = 10_000
_EXIT_MS = 1_000
_LOST = b'{"level":"warning","logger":"fsacd.log.setup","event":"lines were lost: nobody read them","lines":%d}\n'
_sleep = get_original("time", "sleep")


class LineWriter:
    """Writes lines to a file descriptor in order. At the limit the newest are dropped, and how many is told later."""

    def __init__(self, descriptor: int, limit: int = _LINES_LIMIT) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._taken = 0
        self._written = 0
        self.dropped = 0
        self._untold = 0
        threads.start("writer of the log", self._run)
        atexit.register(self.flush, _EXIT_MS)

    def write(self, line: bytes) -> None:
        """Take a whole line with its line break; never blocks."""
        if self._taken - self._written >= self._limit:
            self.dropped += 1
            self._untold += 1
            return
        if self._untold:
            self._put(_LOST % self._untold)
            self._untold = 0
        self._put(line)

    def flush(self, patience_ms: int) -> bool:
        """Wait, and hold everything up, until all lines are written or the time is over; True if they are."""
        deadline = time.monotonic() + patience_ms / 1_000
        while self._written < self._taken:
            if time.monotonic() > deadline:
                return False
            _sleep(0.001)
        return True

    def _put(self, line: bytes) -> None:
        self._taken += 1
        self._lines.put(line)

    def _run(self) -> None:
        while True:
            rest = self._lines.get()
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:
                    _sleep(0.01)  # somebody who shares the terminal has made it non-blocking
                except OSError:
                    break  # nobody reads any more, and there is no other place to say so
            self._written += 1
