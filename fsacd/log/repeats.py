"""Lines that come again and again, pure but for the clock: which of them is written, and how many were not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PERIOD_S: Final = 60.0
# So many kinds of one event are told apart for each group in one period: a stranger may invent as many as they like.
KINDS: Final = 20
# And so many groups; beyond, all others are one.
GROUPS: Final = 1_000
OTHERS: Final = "others"
# What differs between two sentences of one kind: what is quoted, names of legs and calls, numbers.
_DIFFERS: Final = re.compile(r"""'[^']*'|"[^"]*"|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9]+""")
_KIND_LENGTH: Final = 80


@dataclass(slots=True)
class Repeat:
    """One kind of line: how often it was left out since it was written, and by what it is written."""

    group: str
    event: str
    kind: str
    tell: Callable[..., object]
    since_s: float
    count: int = 0


def kind_of(sentence: str) -> str:
    """The sentence without what differs between two that say the same."""
    return _DIFFERS.sub("…", sentence[: 4 * _KIND_LENGTH])[:_KIND_LENGTH]


class Repeats:
    """Lets one line of each kind through in each period. Everything it knows of one is forgotten when that is over."""

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
            # What was left out before and not told yet goes with this line's own minute.
            kinds[kind] = Repeat(group, event, kind, tell, self._clock(), 0 if known is None else known.count)
            return True
        known.count += 1
        return False

    def over(self) -> list[Repeat]:
        """Those of which a period is over in which lines were left out; they begin anew."""
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
