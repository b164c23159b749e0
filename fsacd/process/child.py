"""A copy of this process that does one piece of work while the original goes on with its calls.

A fork takes some milliseconds, and the copy sees everything as it was at one moment. It has none of the original's
descriptors, switches no greenlet, takes no lock, says what it has to say through a pipe, and ends by the system call.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import gevent
from gevent import monkey
from gevent.socket import wait_read

_fork = monkey.get_original("os", "fork")
# The originals: gevent's own `close` closes a pipe only in the next turn of its loop.
_close = monkey.get_original("os", "close")
_set_signal = monkey.get_original("signal", "signal")

# By how much a copy goes behind the original, where a service may do so at all.
NICE: Final = 10
# A copy that hangs, whatever the reason, is ended by the kernel.
DEADLINE_S: Final = 120
_MOST_DESCRIPTORS: Final = 1 << 20
_POLL_S: Final = 0.01
# What is read at once: as much as a pipe holds.
_PART_BYTES: Final = 1 << 16
_LENGTH: Final = struct.Struct("!I")


class Child:
    """One copy at work. Made by `start`; whoever has it must call `bury`."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe
        self._buried = False

    @classmethod
    def start(
        cls,
        work: Callable[[int], None],
        *,
        deadline_s: int = DEADLINE_S,
        nice: int = NICE,
        more_bytes: int | None = None,
    ) -> Child:
        """Fork a copy of this process that does `work`, which is given the pipe to write to, and ends.

        The copy may take `more_bytes` of memory beyond what this process has. OSError if there can be no copy.
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            with warnings.catch_warnings():
                # Python warns that other threads may hold locks: the copy takes none.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = _fork()
        except OSError:
            _close(reading)
            _close(writing)
            raise
        if pid == 0:
            _live(work, writing, deadline_s, nice, more_bytes)
        _close(writing)
        return cls(pid, reading)

    def read(self) -> bytes:
        """Wait for what the copy writes next; nothing once it has ended."""
        wait_read(self._pipe)
        return os.read(self._pipe, _PART_BYTES)

    def messages(self, most_bytes: int) -> Iterator[bytes]:
        """What the copy has sent by `send`, one after the other. ValueError when it is more than this in all."""
        left = bytearray()
        total = 0
        while part := self.read():
            total += len(part)
            if total > most_bytes:
                raise ValueError(f"more than {most_bytes >> 20} MiB")
            left += part
            while len(left) >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(left)
                end = _LENGTH.size + length
                if len(left) < end:
                    break
                message = bytes(left[_LENGTH.size : end])
                del left[:end]
                yield message

    def end(self) -> None:
        """Kill the copy, if it works still. What it has written until now can be read."""
        if not self._buried:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def bury(self) -> None:
        """The copy has closed its end of the pipe, or was killed, so it is ending: leave nothing of it behind."""
        if self._buried:
            return
        self._buried = True
        _close(self._pipe)
        # Others who wait for children may have reaped it.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                gevent.sleep(_POLL_S)


def send(pipe: int, message: bytes) -> None:
    """In the copy: send a message, whole. OSError when nobody reads any more."""
    write(pipe, _LENGTH.pack(len(message)) + message)


def write(pipe: int, text: bytes) -> None:
    """In the copy: write all of this. OSError when nobody reads any more."""
    left = memoryview(text)
    while left:
        left = left[os.write(pipe, left) :]


def _live(work: Callable[[int], None], pipe: int, deadline_s: int, nice: int, more_bytes: int | None) -> NoReturn:
    """In the copy: do the work, and end without running anything of the original's."""
    try:
        gc.disable()
        # The original's sockets: if the original were killed now, they would stay open as long as the copy lives.
        os.closerange(3, pipe)
        os.closerange(pipe + 1, _MOST_DESCRIPTORS)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD):
            _set_signal(number, signal.SIG_DFL)
        signal.alarm(deadline_s)
        with contextlib.suppress(OSError):
            os.nice(nice)
        if more_bytes is not None:
            _limit_memory(more_bytes)
        work(pipe)
    finally:
        os._exit(0)


def _limit_memory(more_bytes: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        has_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = has_bytes + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
