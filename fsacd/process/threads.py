"""Threads of the operating system, started here and watched: one that dies is restarted after a pause, and reported.

Nothing in such a thread may touch gevent, or anything that does (locks, logs). So what it died of is kept here until
somebody asks for it (`deaths`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from gevent import monkey

# The pause before a part is started again. It doubles each time the part fails before it has worked for SOUND_S.
PAUSE_MIN_S: Final = 0.2
PAUSE_MAX_S: Final = 10.0
# A part that has worked for this long counts as sound again.
SOUND_S: Final = 60.0

_start_thread = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")
_deaths: deque[tuple[str, str]] = deque(maxlen=100)


def start(part: str, work: Callable[[], object]) -> None:
    """Run `work` in a thread, again when it raises; the thread ends when `work` returns.

    RuntimeError when the system gives no thread.
    """
    _start_thread(_run, (part, work))


def deaths() -> Iterator[tuple[str, str]]:
    """What threads have died of since this was asked last: the part, and why in one line."""
    while _deaths:
        yield _deaths.popleft()


def next_pause_s(pause_s: float, worked_s: float) -> float:
    """How long to wait before the next start, given the pause before the last start and how long that one worked."""
    return PAUSE_MIN_S if worked_s > SOUND_S or not pause_s else min(2 * pause_s, PAUSE_MAX_S)


def _run(part: str, work: Callable[[], object]) -> None:
    pause_s = 0.0
    while True:
        began_s = time.monotonic()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread's work must go on
            _deaths.append((part, f"{type(error).__name__}: {error}"))
        else:
            return
        pause_s = next_pause_s(pause_s, time.monotonic() - began_s)
        _sleep(pause_s)
