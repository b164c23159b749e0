"""What was written reaches the disk: a native thread calls fsync, so that a slow disk holds no call up.

Greenlets share one thread, and fsync takes it for as long as the disk likes. The thread here knows nothing of gevent:
it waits on a descriptor of its own, and only the operating system is asked for anything.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable

import gevent
from gevent import monkey

from fsacd.runtime import watched

# How long the first write of a batch waits for others. A power cut can lose this and the time that fsync takes.
WINDOW_S = 0.02
_END_S = 2.0
_POLL_S = 0.005

_close = monkey.get_original("os", "close")
_sleep = monkey.get_original("time", "sleep")


class Syncer:
    """Syncs the file that is written to, and does chores that may take long. `error` is the last failure's sentence."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)
        self._fd = -1
        self._dirty_ns = 0  # when the oldest write came that is not on the disk yet; 0: there is none
        self._chores: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._ended = False
        self.error = ""
        self.syncs = 0
        self.lag_ms = 0.0  # how long the first write of the last batch took to reach the disk
        self.longest_lag_ms = 0.0

    def start(self) -> None:
        """Begin."""
        watched.thread("journal syncer", self._run)

    def follow(self, fd: int) -> None:
        """Sync this file from now on; sync and close the one before."""
        before, self._fd = self._fd, fd
        self.error = ""
        if before >= 0:
            self.do(lambda: _sync_and_close(before))

    def written(self) -> None:
        """Something was written to the file."""
        if not self._dirty_ns:
            self._dirty_ns = time.monotonic_ns()
            os.eventfd_write(self._bell, 1)

    def do(self, chore: Callable[[], None]) -> None:
        """Do the chore soon, in the thread; it may raise OSError."""
        self._chores.append(chore)
        os.eventfd_write(self._bell, 1)

    def unsynced_ms(self) -> float:
        """How long the oldest write has been waiting for the disk; 0 if none has."""
        since_ns = self._dirty_ns
        return (time.monotonic_ns() - since_ns) / 1e6 if since_ns else 0.0

    def stop(self) -> None:
        """Sync what is left, close the file and end; at most two seconds."""
        self.follow(-1)
        self._stopping = True
        os.eventfd_write(self._bell, 1)
        deadline = time.monotonic() + _END_S
        while not self._ended and time.monotonic() < deadline:
            gevent.sleep(_POLL_S)
        if self._ended:
            _close(self._bell)

    # --- in the thread: nothing here may touch gevent, or anything that does (locks, logs) ---

    def _run(self) -> None:
        while True:
            os.eventfd_read(self._bell)
            if self._dirty_ns and not self._stopping:
                _sleep(self._window_s)
            self._sync()
            while self._chores:
                self._try(self._chores.popleft())
            if self._stopping and not self._chores:
                self._ended = True
                return

    def _sync(self) -> None:
        since_ns, fd = self._dirty_ns, self._fd
        # Writes from here on belong to the next batch, even if this sync still covers them.
        self._dirty_ns = 0
        if not since_ns or fd < 0:
            return
        self._try(lambda: os.fdatasync(fd))
        self.syncs += 1
        self.lag_ms = (time.monotonic_ns() - since_ns) / 1e6
        self.longest_lag_ms = max(self.longest_lag_ms, self.lag_ms)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self.error = error.strerror or str(error)


def _sync_and_close(fd: int) -> None:
    try:
        os.fdatasync(fd)
    finally:
        _close(fd)
