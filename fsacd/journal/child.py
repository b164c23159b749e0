"""A copy of this process that writes a snapshot of the engine while the original goes on with its calls.

Writing ten thousand agents takes a second; a fork takes some milliseconds, and the copy sees everything as it was at
one moment. It touches nothing but the engine's objects and one file: no greenlet is switched, no lock taken.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import warnings
from collections.abc import Callable

import gevent
from gevent import monkey
from gevent.socket import wait_read

_fork = monkey.get_original("os", "fork")
# The originals: gevent's own `close` closes a pipe only in the next turn of its loop.
_close = monkey.get_original("os", "close")
_set_signal = monkey.get_original("signal", "signal")

_NICE = 10
# A copy that hangs, whatever the reason, is ended by the kernel.
_DEADLINE_S = 120
_DONE = b"done"
_LONGEST_ERROR = 300
_MOST_DESCRIPTORS = 1 << 20
_POLL_S = 0.01


class Copy:
    """One copy at work. Made by `start`; `wait` must be called."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe
        self._ended = False

    @classmethod
    def start(cls, work: Callable[[], None]) -> Copy:
        """Fork a copy of this process that does `work` and ends. OSError if there can be no copy."""
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
            _live(work, writing)
        _close(writing)
        return cls(pid, reading)

    def wait(self) -> str:
        """Wait until the copy has ended. Returns an empty text if it has done its work, otherwise why it has not."""
        said = b""
        try:
            while True:
                wait_read(self._pipe)
                part = os.read(self._pipe, _LONGEST_ERROR)
                if not part:
                    break
                said += part
        finally:
            self._ended = True
            _close(self._pipe)
            self._bury()
        if said == _DONE:
            return ""
        return said.decode("utf-8", "replace") or "the process that writes it was killed"

    def end(self) -> None:
        """Kill the copy. `wait` returns soon."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _bury(self) -> None:
        # The copy has closed its end of the pipe, so it is ending. Others who wait for children may have reaped it.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                gevent.sleep(_POLL_S)


def _live(work: Callable[[], None], pipe: int) -> None:
    """In the copy: do the work, say how it went, and end without running anything of the original's."""
    said = b"it was interrupted"
    try:
        gc.disable()
        # The original's sockets: if the original were killed now, they would stay open as long as the copy lives.
        os.closerange(3, pipe)
        os.closerange(pipe + 1, _MOST_DESCRIPTORS)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD):
            _set_signal(number, signal.SIG_DFL)
        signal.alarm(_DEADLINE_S)
        with contextlib.suppress(OSError):
            os.nice(_NICE)  # a service may be forbidden to
        work()
        said = _DONE
    except BaseException as error:  # noqa: BLE001 - whatever it is, the copy must not go on as if it were the original
        said = f"{type(error).__name__}: {error}".encode()[:_LONGEST_ERROR]
    finally:
        with contextlib.suppress(OSError):
            os.write(pipe, said)
        os._exit(0)
