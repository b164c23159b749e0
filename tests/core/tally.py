"""What an agent has done lately, computed the plain way: each moment of duty weighs twice what it did a half-life ago.

All is kept, nothing is folded together: the sum is taken anew whenever it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

# States in which the clock of duty stands still, and those in which an agent works.
OFF_DUTY = frozenset({"logged_out", "not_ready"})
WORK = frozenset({"offered", "talking", "wrapping_up"})

Span = tuple[int, int]

NOTHING = -math.inf


@dataclass
class Tally:
    """One agent's. Times are milliseconds of their clock of duty."""

    duty_ms: int = 0
    calls: list[int] = field(default_factory=list)
    talks: list[Span] = field(default_factory=list)
    work: list[Span] = field(default_factory=list)

    def spent(self, state: str, for_ms: int) -> None:
        """The agent was in this state for so long."""
        if state in OFF_DUTY:
            return
        begun_ms = self.duty_ms
        self.duty_ms += for_ms
        if state == "talking":
            self.talks.append((begun_ms, self.duty_ms))
        if state in WORK:
            self.work.append((begun_ms, self.duty_ms))

    def answered(self) -> None:
        """The agent has just been connected with a caller."""
        self.calls.append(self.duty_ms)

    def recent_calls(self, ready_for_ms: int, half_life_ms: int) -> float:
        """The calls, on a scale of doublings, after the agent has been ready for so long since `duty_ms`."""
        return self._sum(ready_for_ms, half_life_ms, ((at_ms, 1.0) for at_ms in self.calls))

    def recent_talk(self, ready_for_ms: int, half_life_ms: int) -> float:
        """The same of the time talked."""
        return self._time(ready_for_ms, half_life_ms, self.talks)

    def recent_work(self, ready_for_ms: int, half_life_ms: int) -> float:
        """The same of the time not idle."""
        return self._time(ready_for_ms, half_life_ms, self.work)

    def _time(self, ready_for_ms: int, half_life_ms: int, spans: list[Span]) -> float:
        # The integral of 2^(t/h) over a span, but for a factor that is the same for everybody.
        weighed = ((begun, math.expm1(math.log(2) * (ended - begun) / half_life_ms)) for begun, ended in spans)
        return self._sum(ready_for_ms, half_life_ms, weighed)

    def _sum(self, ready_for_ms: int, half_life_ms: int, weighed: Iterable[tuple[int, float]]) -> float:
        now_ms = self.duty_ms + ready_for_ms
        total = math.fsum(weight * 2.0 ** ((at_ms - now_ms) / half_life_ms) for at_ms, weight in weighed)
        return math.log2(total) if total > 0 else NOTHING
