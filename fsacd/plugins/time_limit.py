"""A limit for a call into code that is not ours, which is interrupted and not waited for.

What is limited is the processor time of the calling thread: on a machine that has more to do, a good plugin takes as
long by the clock as others let it, and that is not its fault. The clock on the wall bounds it from afar (`far_s`), for
code that waits and does not compute.

An interval timer ticks four times per limit, and each tick counts at most its own length of what the thread has
computed since the tick before: a garbage collection that falls into the call, which lets no tick through, counts as
one. Ticks that come while the process does not run are one, too, so who is held up is not taken for one who waits. What
cannot be interrupted is a single long operation of the interpreter (a sum over a billion numbers): it is noticed when
it ends.

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
_set_timer: Final = signal.setitimer
_computed: Final = time.thread_time
_ALARM: Final = int(signal.SIGALRM)
_TIMER: Final = int(signal.ITIMER_REAL)
_TICKS: Final = 4
# By the clock, code may take so many times its limit, and never less than this.
_FAR_TIMES: Final = 10
_FAR_LEAST_S: Final = 1.0
# Once the limit is reached, the interruption is repeated so often: the code may have caught the first.
_AGAIN_S: Final = 0.001
# The same in another thread, which needs the time to leave the call.
_AGAIN_ELSEWHERE_S: Final = 0.05
# Who waits in a system call is woken by each tick and waits on: less than this share of a tick is the waking alone.
_WAKING: Final = 1 / 40
# A call that has computed for so many times its limit is late even if it met hardly a tick.
_MUCH_TOO_LONG: Final = 50


class TookTooLong(BaseException):
    """Thrown into the code that is over its limit. Not an Exception, lest the code take it for one of its own."""


class WaitedTooLong(TookTooLong):
    """It has hardly computed, and waited for something instead: until the far bound, or where it let others run."""


def far_s(limit_s: float) -> float:
    """How long code with this limit may take by the clock, in seconds, if it does not compute."""
    return max(limit_s * _FAR_TIMES, _FAR_LEAST_S)


class _Count:
    """What a limited call has used, by the ticks that it met."""

    __slots__ = ("_computed_s", "_left_s", "_tick_s", "_ticks_left")

    def __init__(self, limit_s: float, computed_s: float) -> None:
        self._tick_s = limit_s / _TICKS
        self._left_s = limit_s
        self._ticks_left = round(far_s(limit_s) / self._tick_s)
        self._computed_s = computed_s

    def tick(self, computed_s: float) -> type[TookTooLong] | None:
        """One more tick, at which the thread has computed for so long in all. What to throw, if it is over."""
        self._ticks_left -= 1
        used_s = min(computed_s - self._computed_s, self._tick_s)
        if used_s > _WAKING * self._tick_s:
            self._left_s -= used_s
        self._computed_s = computed_s
        if self._left_s <= 0:
            return TookTooLong
        return WaitedTooLong if self._ticks_left <= 0 else None

    def go_on(self, computed_s: float) -> None:
        """The tick is over, whose own time is not the call's: two hundred of them are as much as a call may take."""
        self._computed_s = computed_s


class _Watch:
    """One limited call in the main thread."""

    __slots__ = ("_count", "_greenlet", "_limit_s", "_over", "computed_s", "ended")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._count: _Count | None = None  # most calls meet no tick
        self._over: type[TookTooLong] | None = None
        self._greenlet = getcurrent()
        self.ended = False
        self.computed_s = _computed()

    def tick(self, _number: int, frame: FrameType | None) -> None:
        """The signal's handler: runs in the main thread, between two steps of whatever Python code is there."""
        if self.ended or (frame is not None and frame.f_code is within.__code__):
            # The call is not yet in the code, or out of it again: there is nothing left to interrupt.
            return
        if getcurrent() is not self._greenlet:
            # The code waits for something and lets others run. Code that may not wait has no time left.
            self._over = WaitedTooLong
            get_hub().loop.run_callback_threadsafe(self._throw)
            return
        if self._over is None:
            if self._count is None:
                self._count = _Count(self._limit_s, self.computed_s)
            self._over = self._count.tick(_computed())
        if self._over is not None:
            _set_timer(_TIMER, _AGAIN_S, _AGAIN_S)
            raise self._over
        if self._count is not None:
            self._count.go_on(_computed())

    def _throw(self) -> None:
        if not self.ended:
            self._greenlet.throw(WaitedTooLong)


def within(limit_s: float, call: Callable[..., _Answer], *arguments: object) -> _Answer:
    """Call it, for at most `limit_s` seconds of the thread's processor time, and `far_s(limit_s)` by the clock.

    A timer and a handler of SIGALRM that were there before are there afterwards, the timer by so much nearer.
    Limited calls may be nested.

    Raises:
        TookTooLong: The call took longer, and was interrupted.
        WaitedTooLong: It did so without computing.
    """
    watch = _Watch(limit_s)
    try:
        previous = _set_handler(_ALARM, watch.tick)
    except ValueError:  # not in the main thread
        return _watched(limit_s, call, *arguments)
    tick_s = limit_s / _TICKS
    started_s = time.monotonic()
    left_s = interval_s = 0.0
    try:
        left_s, interval_s = _set_timer(_TIMER, tick_s, tick_s)
        answer = call(*arguments)
    finally:
        watch.ended = True
        _set_timer(_TIMER, 0.0)
        _set_handler(_ALARM, previous)
        if left_s:
            _set_timer(_TIMER, _rest_s(left_s, started_s), interval_s)
    much_s = limit_s * _MUCH_TOO_LONG
    # The clock is cheap to ask, and no thread computes for longer than has passed by it.
    if time.monotonic() - started_s > much_s and _computed() - watch.computed_s > much_s:
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

    __slots__ = ("_clock", "_count", "_tick_s", "ended", "lock", "over", "thread")

    def __init__(self, limit_s: float) -> None:
        self._count = _Count(limit_s, _computed())
        self._tick_s = limit_s / _TICKS
        self.thread: int = _thread["get_ident"]()
        self._clock: int = time.pthread_getcpuclockid(self.thread)
        self.lock = _thread["allocate_lock"]()
        self.ended = _thread["allocate_lock"]()
        self.ended.acquire()
        self.over = False

    def watch(self) -> None:
        """Interrupt the thread when its time is over, until it has left the call. Runs in a thread of its own."""
        late = None
        while late is None:
            if self.ended.acquire(timeout=self._tick_s):
                return
            with self.lock:
                if not self.over:  # until then the thread is there, and its clock
                    late = self._count.tick(time.clock_gettime(self._clock))
        for _ in range(_THROWS):
            with self.lock:
                if not self.over:
                    _throw(self.thread, late)
            if self.ended.acquire(timeout=_AGAIN_ELSEWHERE_S):
                return

    def end(self) -> None:
        """The call is over: from now on it is not interrupted, not even by what was on its way."""
        with self.lock:
            self.over = True
            _throw(self.thread, None)
        self.ended.release()


def _watched(limit_s: float, call: Callable[..., _Answer], *arguments: object) -> _Answer:
    guarded = _Guarded(limit_s)
    _thread["start_new_thread"](guarded.watch, ())
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
