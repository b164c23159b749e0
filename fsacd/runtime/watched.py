"""Every long-lived greenlet and thread is started and watched here: one that dies is logged, counted and replaced.

    keep    a greenlet that is to run for ever: started again, with growing pauses
    thread  the same for a thread of the operating system
    bound   a greenlet of something shorter-lived, such as a connection: its owner is told, and ends what it belongs to
    brief   a greenlet that does one thing and ends: what it raises is told

A part that has failed is logged and counted (`failures`), and is a trouble (`troubles`) until it has worked for a
while. A return that `may_end` does not allow is a failure, too, as if it had raised.

The figures are the process's, as its greenlets and threads are.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import gevent
import structlog

from fsacd.log.setup import seldom
from fsacd.process import threads
from fsacd.process.trouble import Trouble, shortened

_log = structlog.get_logger(__name__)

# For how many parts the last failure is remembered; there are some twenty.
_MOST_TOLD: Final = 50

MayEnd = Callable[[], bool]


@dataclass(slots=True)
class _Failure:
    """The last failure of a part. `restarted`: the part runs again; otherwise what it belonged to was ended."""

    at_s: float
    why: str
    restarted: bool


_failures: Counter[str] = Counter()
_last: dict[str, _Failure] = {}


def keep(part: str, work: Callable[[], object], *, may_end: MayEnd = lambda: False) -> gevent.Greenlet:
    """Run `work` in a greenlet, again and again; `may_end` says whether its return is an end by design.

    The greenlet ends with `work` or when it is killed.
    """
    _failures[part] += 0
    return gevent.spawn(_keep, part, work, may_end)


def bound(
    part: str, work: Callable[[], object], on_failure: Callable[[str], object], *, may_end: MayEnd = lambda: True
) -> gevent.Greenlet:
    """Run `work` once in a greenlet. When it fails `on_failure` is called there, with the reason in one line."""
    _failures[part] += 0
    return gevent.spawn(_bound, part, work, on_failure, may_end)


def brief(part: str, work: Callable[..., object], *arguments: Any) -> gevent.Greenlet:
    """Run `work` once in a greenlet; what it raises is logged and counted, and concerns nobody else."""
    return bound(part, lambda: work(*arguments), lambda _why: None)


def thread(part: str, work: Callable[[], object]) -> None:
    """Run `work` in a thread of the operating system, as `threads.start`; RuntimeError when there can be none."""
    _failures[part] += 0
    threads.start(part, work)


def caught(part: str, error: BaseException) -> None:
    """Log and count a fault that a part has caught itself, as if the part had failed; it goes on."""
    _failed(part, _why(error), error, restarted=True)


def listen() -> None:
    """Log and count what threads have died of; called every second."""
    for part, why in threads.deaths():
        _failed(part, shortened(why), None, restarted=True)


def failures() -> dict[str, int]:
    """How often each part that was ever started has failed since the start of the process."""
    return dict(_failures)


def troubles() -> Iterator[Trouble]:
    """The parts that have failed lately."""
    now_s = time.monotonic()
    for part, failure in list(_last.items()):
        if now_s - failure.at_s > threads.SOUND_S:
            del _last[part]
            continue
        outcome = "and was started again" if failure.restarted else "and what depends on it was ended"
        yield Trouble(f"A part of fsacd, {part}, has failed {outcome}.", failure.why)


def _keep(part: str, work: Callable[[], object], may_end: MayEnd) -> None:
    pause_s = 0.0
    while True:
        began_s = time.monotonic()
        error: BaseException | None = None
        try:
            work()
            if may_end():
                return
        except (Exception, gevent.Timeout) as raised:  # noqa: BLE001 - whatever it is, the part's work must go on
            error = raised
        _failed(part, _why(error), error, restarted=True)
        pause_s = threads.next_pause_s(pause_s, time.monotonic() - began_s)
        gevent.sleep(pause_s)


def _bound(part: str, work: Callable[[], object], on_failure: Callable[[str], object], may_end: MayEnd) -> None:
    error: BaseException | None = None
    try:
        work()
        if may_end():
            return
    except (Exception, gevent.Timeout) as raised:  # noqa: BLE001 - whatever it is, its owner must know
        error = raised
    why = _why(error)
    _failed(part, why, error, restarted=False)
    on_failure(why)


def _why(error: BaseException | None) -> str:
    return "it ended by itself" if error is None else shortened(f"{type(error).__name__}: {error}")


def _failed(part: str, why: str, error: BaseException | None, *, restarted: bool) -> None:
    _failures[part] += 1
    if part in _last or len(_last) < _MOST_TOLD:
        _last[part] = _Failure(time.monotonic(), why, restarted)
    seldom(_log.error, part, "a part of fsacd failed, by a fault of ours", part=part, why=why, exc_info=error)
