"""Repeated lines: which of them are written, and how many were left out. Pure but for the clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PERIOD_S: Final = 60.0
# How many kinds of one event are told apart in each group and period: a stranger could invent any number of them.
KINDS: Final = 20
# How many groups are told apart; all further ones count as one.
GROUPS: Final = 1_000
OTHERS: Final = "others"
# What differs between two sentences of one kind: what is quoted, names of legs and calls, numbers.
_DIFFERS: Final = re.compile(r"""'[^']*'|"[^"]*"|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9]+""")
_KIND_LENGTH: Final = 80


@dataclass(slots=True)
class Repeat:
    """One kind of line: how often it was left out since it was last written, and the function that writes it."""

    group: str
    event: str
    kind: str
    tell: Callable[..., object]
    since_s: float
    count: int = 0


def kind_of(sentence: str) -> str:
    """The sentence without the parts that differ between two sentences of one kind."""
    return _DIFFERS.sub("…", sentence[: 4 * _KIND_LENGTH])[:_KIND_LENGTH]


class Repeats:
    """Lets one line of each kind through in each period. When the period is over, the kind is forgotten."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, period_s: float = PERIOD_S) -> None:
        self._clock = clock
        self._period_s = period_s
        self._known: dict[tuple[str, str], dict[str, Repeat]] = {}

    def is_due(self, group: str, event: str, kind: str, tell: Callable[..., object]) -> bool:
        """Whether this line is to be written; if not it is counted."""
        if (group, event) not in self._known and len(self._known) >= GROUPS:
            group = OTHERS
        kinds = self._known.setdefault((group, event), {})
        if kind not in kinds and len(kinds) >= KINDS:
            kind = OTHERS
        known = kinds.get(kind)
        if known is None or self._is_over(known):
            # Lines that were left out before and not told yet are counted in the new period.
            kinds[kind] = Repeat(group, event, kind, tell, self._clock(), 0 if known is None else known.count)
            return True
        known.count += 1
        return False

    def over(self) -> list[Repeat]:
        """The kinds whose period is over and of which lines were left out; they are forgotten and begin anew."""
        told = []
        for key, kinds in list(self._known.items()):
            for kind, known in list(kinds.items()):
                if self._is_over(known):
                    del kinds[kind]
                    if known.count:
                        told.append(known)
            if not kinds:
                del self._known[key]
        return told

    def _is_over(self, known: Repeat) -> bool:
        return self._clock() - known.since_s >= self._period_s
