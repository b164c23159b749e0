"""What an agent has done lately, forgotten slowly: the counters behind fewest_calls, least_talk_time, least_occupied.

Everything counts half after a half-life h on duty. A sum of such fading weights, taken now, is Σ 2^((t - now)/h); its
logarithm is log2 Σ 2^(t/h) - now/h, and the last term is the same for everybody. So each counter is kept as
log2 Σ 2^(t/h) (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay", ICDE 2009): it need not be touched
as time goes by, and the order of two idle agents never changes by itself, which lets the engine keep them sorted.

A break moves the past along: after p ms off duty everything the agent did counts as done p ms later. So a break
neither wipes the slate nor fades it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp2, expm1, inf, log, log2

NOTHING = -inf
_LN2 = log(2.0)


@dataclass(slots=True)
class Load:
    """Each counter is log2 of a fading sum; -inf if there is nothing in it. `away_since_ms` is None on duty."""

    calls: float = NOTHING
    talk: float = NOTHING
    work: float = NOTHING
    away_since_ms: int | None = 0

    def leave(self, now_ms: int) -> None:
        """The agent goes off duty."""
        if self.away_since_ms is None:
            self.away_since_ms = now_ms

    def come_back(self, now_ms: int, half_life_ms: int) -> None:
        """The agent is on duty again."""
        if self.away_since_ms is not None:
            self._shift((now_ms - self.away_since_ms) / half_life_ms)
            self.away_since_ms = None

    def rescale(self, now_ms: int, old_ms: int, new_ms: int) -> None:
        """The half-life was changed: what each counter is worth now stays."""
        self._shift(now_ms / new_ms - now_ms / old_ms)
        # Time spent is counted in half-lives (`plus_time` leaves the factor out), and those are longer or shorter now.
        self.talk += log2(old_ms / new_ms)
        self.work += log2(old_ms / new_ms)

    def _shift(self, by: float) -> None:
        self.calls += by
        self.talk += by
        self.work += by


def plus_call(counter: float, now_ms: int, half_life_ms: int) -> float:
    """Count one call answered now."""
    return _add(counter, now_ms / half_life_ms)


def plus_time(counter: float, began_ms: int, ended_ms: int, half_life_ms: int) -> float:
    """Add time spent: the integral of 2^(t/h), up to a constant factor."""
    if ended_ms <= began_ms:
        return counter
    return _add(counter, ended_ms / half_life_ms + log2(-expm1((began_ms - ended_ms) / half_life_ms * _LN2)))


def _add(one: float, other: float) -> float:
    """log2(2^one + 2^other), without leaving the range of numbers."""
    if one < other:
        one, other = other, one
    return one if other == NOTHING else one + log2(1.0 + exp2(other - one))
