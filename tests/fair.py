"""Time as processes have had it: the clock, less the time for which they wanted a processor and others had them all.

Where a test says how long something of ours may take, it says so in this time, or it would measure the machine.
"""

from __future__ import annotations

import time
from pathlib import Path

# As a process id: the thread that asks.
OURSELVES = 0


def starved_s(pid: int = OURSELVES) -> dict[str, float]:
    """For how long each thread of a process has stood ready and was not let, as far as it is known; of us, this one."""
    places = [Path("/proc/thread-self")] if pid == OURSELVES else Path(f"/proc/{pid}/task").glob("*")
    found = {}
    for place in places:
        try:
            _, waited_ns, _ = (place / "schedstat").read_text(encoding="ascii").split()
        except (OSError, ValueError):  # it has ended, or the kernel does not tell
            continue
        found[place.name] = int(waited_ns) / 1e9
    return found


def children() -> tuple[int, ...]:
    """The processes that this one has started, as far as they are there."""
    found: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found += (int(pid) for pid in path.read_text(encoding="ascii").split())
        except OSError:  # a thread that has ended
            continue
    return tuple(found)


class Stopwatch:
    """Begins when it is made. `pids` are the processes, beside this one, whose work is waited for."""

    def __init__(self, *pids: int) -> None:
        self._began_s = time.monotonic()
        self._last_s = {pid: starved_s(pid) for pid in (OURSELVES, *pids)}
        self.starved_s = 0.0

    def look(self) -> float:
        """How much time has passed, in seconds. What a process lacked since the last look is not known when it ends."""
        for pid, before in self._last_s.items():
            now = starved_s(pid)
            # Who waits for a process waits for one of its threads at a time.
            self.starved_s += max((at_s - before.get(thread, 0.0) for thread, at_s in now.items()), default=0.0)
            self._last_s[pid] = now
        return time.monotonic() - self._began_s - self.starved_s
