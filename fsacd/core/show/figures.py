"""Explanations where figures by agent are switched off: who was chosen and why, without what strategies count."""

from __future__ import annotations

from dataclasses import replace

from fsacd.core.show.parts import InParts
from fsacd.core.views import Explanation


def without_counters(told: Explanation) -> Explanation:
    """The same without the keys by which the strategy has put agents in order: they may be how long each has talked."""
    return replace(told, eligible=tuple(replace(agent, key=()) for agent in told.eligible))


def each_without_counters(told: InParts[Explanation | None]) -> InParts[Explanation | None]:
    """The same of an explanation that is made in parts."""
    made = yield from told
    return None if made is None else without_counters(made)
