"""How long to wait before the next attempt, pure."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Doubles from `least_ms` to `most_ms`; half of each delay is random, lest several daemons retry in step."""

    def __init__(self, least_ms: int, most_ms: int, chance: Callable[[], float]) -> None:
        self._least_ms = least_ms
        self._most_ms = most_ms
        self._chance = chance
        self._delay_ms = least_ms

    def next_ms(self) -> float:
        """The next delay in milliseconds; the one after it is longer."""
        delay_ms = self._delay_ms
        self._delay_ms = min(2 * delay_ms, self._most_ms)
        return delay_ms * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """An attempt has succeeded: begin with the shortest delay again."""
        self._delay_ms = self._least_ms
