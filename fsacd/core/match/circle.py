"""Ready agents in the order of their keys: all, or those of one rank and level; round in a circle where wanted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain
from typing import Any

from fsacd.strategy import Key

# A ready agent's key within a queue and requirement, smaller is better: rank, level (negated), the parts of the
# strategy's key, id. A plain, flat tuple, since twenty are made and compared each time an agent becomes ready.
AgentEntry = tuple[Any, ...]


def row(
    entries: list[AgentEntry], only_rank_and_level: tuple[int, int] | None, start: Key | None
) -> Iterator[AgentEntry]:
    """The entries, all or those of one rank and level; each rank and level begins behind `start` and goes round."""
    here, end = 0, len(entries)
    if only_rank_and_level is not None:
        rank, level = only_rank_and_level
        here, end = bisect_left(entries, (rank, level)), bisect_left(entries, (rank, level + 1))
    if start is None:
        if (here, end) == (0, len(entries)):
            return iter(entries)
        return (entries[place] for place in range(here, end))
    return _go_round(entries, here, end, start)


def _go_round(entries: list[AgentEntry], here: int, end: int, start: Key) -> Iterator[AgentEntry]:
    while here < end:
        rank, level = entries[here][:2]
        there = bisect_left(entries, (rank, level + 1), here, end)
        # No id is greater than this character, so whoever has the key itself is behind the start, too.
        middle = bisect_right(entries, (rank, level, *start, "\U0010ffff"), here, there)
        for place in chain(range(middle, there), range(here, middle)):
            yield entries[place]
        here = there
