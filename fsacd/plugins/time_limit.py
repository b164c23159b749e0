"""A time limit for a call into code that is not ours, which is interrupted and not waited for.

The limit is counted in four ticks of an interval timer. Ticks that come while no Python code runs (a garbage
collection, a machine that was held up) count as one, so a plugin does not pay for what others do; one that loops meets
each of them. What cannot be interrupted is a single long operation of the interpreter (a sum over a billion numbers):
it is noticed when it ends.

Signals reach the main thread alone. In another thread, where plugins are only loaded, a third thread keeps the time.
"""

from __future__ import annotations

import ctypes
import signal
import time
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import Any, Final, TypeVar

from gevent import get_hub, getcurrent, monkey

_Answer = TypeVar("_Answer")

# The C function behind signal.signal, which turns numbers into enums and so takes ten times as long as all the rest.
_set_handler: Final[Callable[[int, Any], Any]] = import_module("_signal").signal
_ALARM: Final = int(signal.SIGALRM)
_TICKS: Final = 4
# Once the limit is reached, the interruption is repeated so often: the code may have caught the first.
_AGAIN_S: Final = 0.001
# The same in another thread, which needs the time to leave the call.
_AGAIN_ELSEWHERE_S: Final = 0.05
# A call that took so many times its limit is late even if it met hardly a tick.
_MUCH_TOO_LONG: Final = 50


class TookTooLong(BaseException):
    """Thrown into the code that is over its limit. Not an Exception, lest the code take it for one of its own."""


class _Watch:
    """One limited call."""

    __slots__ = ("_greenlet", "_left", "limit_s", "over", "started_s")

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.started_s = time.monotonic()
        self.over = False
        self._left = _TICKS
        self._greenlet = getcurrent()

    def tick(self, _number: int, frame: FrameType | None) -> None:
        """The signal's handler: runs in the main thread, between two steps of whatever Python code is there."""
        if self.over or (frame is not None and frame.f_code is within.__code__):
            # The call is not yet in the code, or out of it again: there is nothing left to interrupt.
            return
        self._left -= 1
        if getcurrent() is not self._greenlet:
            # The code waits for something and lets others run. Code that may not wait has no time left.
            self._left = 0
            get_hub().loop.run_callback_threadsafe(self._throw)
        elif self._left <= 0:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S, _AGAIN_S)
            raise TookTooLong

    def _throw(self) -> None:
        if not self.over:
            self._greenlet.throw(TookTooLong)

    def is_late(self) -> bool:
        """Whether the call, which has ended by itself, took far too long all the same."""
        return time.monotonic() - self.started_s > self.limit_s * _MUCH_TOO_LONG


def within(limit_s: float, call: Callable[..., _Answer], *arguments: object) -> _Answer:
    """Call it, for at most `limit_s` seconds.

    A timer and a handler of SIGALRM that were there before are there afterwards, the timer by so much nearer.
    Limited calls may be nested.

    Raises:
        TookTooLong: The call took longer, and was interrupted.
    """
    watch = _Watch(limit_s)
    try:
        previous = _set_handler(_ALARM, watch.tick)
    except ValueError:  # not in the main thread
        return _watched(limit_s, call, *arguments)
    tick_s = limit_s / _TICKS
    left_s = interval_s = 0.0
    try:
        left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, tick_s, tick_s)
        answer = call(*arguments)
    finally:
        watch.over = True
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        _set_handler(_ALARM, previous)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, _rest_s(left_s, watch.started_s), interval_s)
    if watch.is_late():
        raise TookTooLong
    return answer


def _rest_s(left_s: float, started_s: float) -> float:
    """What is left of a timer; one that should have rung meanwhile rings at once."""
    return max(left_s - (time.monotonic() - started_s), 1e-6)


# --- in other threads ---

# The system's own threads: under gevent, the module `threading` gives greenlets.
_thread: Final = {
    name: monkey.get_original("_thread", name) for name in ("allocate_lock", "get_ident", "start_new_thread")
}
# So often at most is a thread interrupted that does not listen.
_THROWS: Final = 10_000


class _Guarded:
    """One limited call in a thread. `lock` keeps the interruption and the call's end apart."""

    __slots__ = ("ended", "lock", "over", "thread")

    def __init__(self) -> None:
        self.thread: int = _thread["get_ident"]()
        self.lock = _thread["allocate_lock"]()
        self.ended = _thread["allocate_lock"]()
        self.ended.acquire()
        self.over = False

    def watch(self, limit_s: float) -> None:
        """Interrupt the thread when its time is over, until it has left the call. Runs in a thread of its own."""
        wait_s = limit_s
        for _ in range(_THROWS):
            if self.ended.acquire(timeout=wait_s):
                return
            with self.lock:
                if not self.over:
                    _throw(self.thread, TookTooLong)
            wait_s = _AGAIN_ELSEWHERE_S

    def end(self) -> None:
        """The call is over: from now on it is not interrupted, not even by what was on its way."""
        with self.lock:
            self.over = True
            _throw(self.thread, None)
        self.ended.release()


def _watched(limit_s: float, call: Callable[..., _Answer], *arguments: object) -> _Answer:
    guarded = _Guarded()
    _thread["start_new_thread"](guarded.watch, (limit_s,))
    try:
        try:
            return call(*arguments)
        finally:
            guarded.over = True
    finally:
        # Reached even if the interruption came just when the call had ended by itself.
        guarded.end()


def _throw(thread: int, error: type[BaseException] | None) -> None:
    """Have the interpreter raise this in the thread, at its next step; None takes back what has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
