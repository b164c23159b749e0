"""How often PINs may be tried. Pure: times are arguments, in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

# All PINs of four digits are soon tried. So a few wrong PINs lock for a while, and each further lock lasts twice as
# long as the one before, up to a day: to try ten thousand PINs, five at a time, takes years.
FIRST_LOCK_MS = 300_000
LONGEST_LOCK_MS = 86_400_000
# After this time without a wrong PIN and without a lock, the earlier wrong PINs are forgotten.
_FORGOTTEN_MS = 86_400_000
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Tried:
    """`wrong` PINs since the last lock, the last one at `at_ms`; `locks` so far, the last one until `until_ms`."""

    wrong: int = 0
    locks: int = 0
    until_ms: int = 0
    at_ms: int = 0


class WrongPins:
    """How many wrong PINs came, by phone or by agent. A right PIN in between does not reset the count."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tried: dict[str, _Tried] = {}  # in the order of their last wrong PINs
        self._locked: dict[str, int] = {}  # until when

    def locked_ms(self, whose: str, now_ms: int) -> int:
        """For how many ms from now no PIN is taken; 0: PINs are taken."""
        return max(0, self._known(whose, now_ms).until_ms - now_ms)

    def one_more(self, whose: str, now_ms: int) -> int:
        """Count a wrong PIN. Returns for how many ms no PIN is taken from now on; 0: the next PIN is taken."""
        tried = self._known(whose, now_ms)
        wrong, locks, until_ms = tried.wrong + 1, tried.locks, tried.until_ms
        if wrong >= self._limit:
            until_ms = now_ms + min(LONGEST_LOCK_MS, FIRST_LOCK_MS << min(locks, 16))
            wrong, locks = 0, locks + 1
            self._locked[whose] = until_ms
        self._tried.pop(whose, None)
        self._tried[whose] = replace(tried, wrong=wrong, locks=locks, until_ms=until_ms, at_ms=now_ms)
        if len(self._tried) > _REMEMBERED:
            self._forget_one()
        return max(0, until_ms - now_ms)

    def locked(self, now_ms: int) -> Iterator[str]:
        """For whom no PIN is taken now."""
        for whose, until_ms in list(self._locked.items()):
            if until_ms > now_ms:
                yield whose
            else:
                del self._locked[whose]

    def _known(self, whose: str, now_ms: int) -> _Tried:
        tried = self._tried.get(whose, _Tried())
        return tried if now_ms - max(tried.at_ms, tried.until_ms) < _FORGOTTEN_MS else _Tried()

    def _forget_one(self) -> None:
        """Forget the entry whose last wrong PIN is longest ago, one without a lock if there is one among the first."""
        first = next(iter(self._tried))
        whose = next((whose for whose in list(self._tried)[:100] if whose not in self._locked), first)
        del self._tried[whose]
        self._locked.pop(whose, None)
