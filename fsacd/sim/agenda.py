"""The model's time: a heap of timers and one seeded source of chance.

The model never reads a clock. Its runner tells it the time (`run`). Every timer fires at exactly the time it was set
for, however late `run` is called, so that the same seed and the same calls give the same events.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

MS = 1_000
SECOND = 1_000_000

# A timer may set another one that is due at once, but not endlessly many in a row.
MAX_TIMERS_AT_ONCE = 100_000


@dataclass(slots=True, order=True)
class Timer:
    """One thing to do at one time; `cancel` makes it never happen."""

    due_us: int
    number: int
    action: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Forget it; cancelling twice, or after it fired, is harmless."""
        self.cancelled = True


class Agenda:
    """Timers in the order of their time; equal times fire in the order they were set."""

    def __init__(self, seed: int = 1, epoch_us: int = 1_700_000_000 * SECOND) -> None:
        self.now_us = 0
        self.epoch_us = epoch_us
        self.chance = Random(seed)  # noqa: S311  the dice of a simulation, not of a secret
        self._timers: list[Timer] = []
        self._count = 0

    @property
    def wall_us(self) -> int:
        """The model's own wall clock, in microseconds since 1970."""
        return self.epoch_us + self.now_us

    def after(self, delay_us: float, action: Callable[[], None]) -> Timer:
        """Do `action` in `delay_us` microseconds."""
        return self.at(self.now_us + max(0, int(delay_us)), action)

    def at(self, due_us: int, action: Callable[[], None]) -> Timer:
        """Do `action` at `due_us` (microseconds since the model began)."""
        self._count += 1
        timer = Timer(max(due_us, self.now_us), self._count, action)
        heapq.heappush(self._timers, timer)
        return timer

    def next_us(self) -> int | None:
        """When the next timer is due, or None if nothing is planned."""
        while self._timers and self._timers[0].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0].due_us if self._timers else None

    def run(self, now_us: int) -> None:
        """Fire everything that is due up to `now_us`, and make that the present."""
        at_once = 0
        while (due_us := self.next_us()) is not None and due_us <= now_us:
            timer = heapq.heappop(self._timers)
            at_once = at_once + 1 if due_us == self.now_us else 0
            if at_once > MAX_TIMERS_AT_ONCE:
                raise RuntimeError("the simulated switch plans work for the same moment without end")
            self.now_us = due_us
            timer.action()
        self.now_us = max(self.now_us, now_us)

    def between(self, low_us: float, high_us: float) -> int:
        """A random duration between the two."""
        return int(self.chance.uniform(low_us, high_us))

    def uuid(self) -> str:
        """A random UUID in the usual spelling."""
        bits = self.chance.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (4 << 76) | (2 << 62)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
