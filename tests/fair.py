"""Time as a process has had it: the clock, less the time for which it wanted a processor and others had them all.

Where a test says how long something of ours may take, it says so in this time, or it would measure the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import gevent

_LOOK_S = 0.02


def starved_s(pid: int | str = "self") -> float:
    """For how long the first thread of a process has stood ready and was not let; as far as it is known."""
    place = Path("/proc/thread-self") if pid == "self" else Path(f"/proc/{pid}/task/{pid}")
    try:
        _, waited_ns, _ = (place / "schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):  # the process has ended, or the kernel does not tell
        return 0.0
    return int(waited_ns) / 1e9


class Stopwatch:
    """Begins when it is made. `pids` are the processes, beside this one, whose work is waited for."""

    def __init__(self, *pids: int) -> None:
        self._began_s = time.monotonic()
        self._last_s: dict[int | str, float] = {pid: starved_s(pid) for pid in ("self", *pids)}
        self._starved_s = 0.0

    def look(self) -> float:
        """How much time has passed, in seconds. What a process lacked since the last look is lost when it ends."""
        for pid, before_s in self._last_s.items():
            now_s = starved_s(pid)
            self._starved_s += max(0.0, now_s - before_s)
            self._last_s[pid] = now_s
        return time.monotonic() - self._began_s - self._starved_s


def await_fairly(condition: Callable[[], bool], limit_s: float, what: str, *pids: int) -> float:
    """Wait for something that these processes do; returns how long they had for it. AssertionError beyond the limit."""
    watch = Stopwatch(*pids)
    while not condition():
        assert watch.look() < limit_s, f"{what}: not within {limit_s:g} s that were ours"
        gevent.sleep(_LOOK_S)
    return watch.look()
