"""Agents in the order of their keys, in short stretches, each of which knows by bits whom it holds.

The first of some agents is found by a look at the bits of each stretch, until one holds any of them, and at the entries
of that one: of 5,000 ready agents at most 300 and 32 looks, wherever those agents stand and however few they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

from fsacd.strategy import Key

# A ready agent among those of one rank, smaller is better: the parts of the strategy's key, id, number (`Skilled`).
# A plain, flat tuple, since one for each queue is made and compared each time an agent becomes ready. Ids differ, so
# the numbers are never compared.
AgentEntry = tuple[Any, ...]

# A longer stretch is cut in two; two neighbours that are together no longer than half of this become one.
LONGEST = 32
_SHORT = LONGEST // 2
_LAST = itemgetter(-1)
# No id is greater than this character.
_BEHIND_ALL = "\U0010ffff"


def bit_of(entry: AgentEntry) -> int:
    """The bit that stands for the entry's agent."""
    return 1 << int(entry[-1])


def chosen(entries: Iterable[AgentEntry], wanted: int) -> Iterator[AgentEntry]:
    """Those of the entries whose bits are in `wanted`."""
    return (entry for entry in entries if wanted >> entry[-1] & 1)


def round_from(entries: list[AgentEntry], start: Key | None) -> list[AgentEntry]:
    """The sorted entries as a circle that begins behind `start`; as they are if there is none."""
    if start is None:
        return entries
    begin = bisect_right(entries, (*start, _BEHIND_ALL))
    return entries[begin:] + entries[:begin]


class Stretches:
    """A sorted list of entries that is cut into stretches. `entries`, sorted, are there from the beginning."""

    __slots__ = ("_masks", "_stretches")

    def __init__(self, entries: list[AgentEntry] | None = None) -> None:
        there = entries or []
        # None of them is empty.
        self._stretches = [there[begin : begin + LONGEST // 2] for begin in range(0, len(there), LONGEST // 2)]
        self._masks = [_mask(stretch) for stretch in self._stretches]  # the agents of each

    def __iter__(self) -> Iterator[AgentEntry]:
        return chain.from_iterable(self._stretches)

    def add(self, entry: AgentEntry) -> None:
        """Put the entry where it belongs. It must not be there."""
        stretches = self._stretches
        if not stretches:
            stretches.append([entry])
            self._masks.append(bit_of(entry))
            return
        stretch = stretches[-1]
        if stretch[-1] < entry:  # as when who has just talked goes behind all who have been idle for longer
            place = len(stretches) - 1
            stretch.append(entry)
        else:
            place = bisect_left(stretches, entry, key=_LAST) if len(stretches) > 1 else 0
            stretch = stretches[place]
            insort(stretch, entry)
        self._masks[place] |= 1 << entry[-1]  # as `bit_of`, written out here and below: every call pays for it
        if len(stretch) > LONGEST:
            half = len(stretch) // 2
            self._stretches[place : place + 1] = stretch[:half], stretch[half:]
            self._masks[place : place + 1] = _mask(stretch[:half]), _mask(stretch[half:])

    def remove(self, entry: AgentEntry) -> None:
        """Take the entry out. It must be there."""
        stretches = self._stretches
        place = 0
        if stretches[0][-1] < entry:  # who is next stands in the first one
            place = bisect_left(stretches, entry, 1, key=_LAST)
        stretch = stretches[place]
        del stretch[bisect_left(stretch, entry)]
        self._masks[place] ^= 1 << entry[-1]
        if len(stretch) < _SHORT and (len(stretches) > 1 or not stretch):
            self._join(place)

    def _join(self, place: int) -> None:
        """A stretch has become short: it goes if it is empty, and is joined with a neighbour if both are short."""
        stretches = self._stretches
        if not stretches[place]:
            del stretches[place], self._masks[place]
            return
        # Or stretches of one entry each would be left behind, and there would be as many to look at as agents.
        for left in range(max(place - 1, 0), min(place + 1, len(stretches) - 1)):
            if len(stretches[left]) + len(stretches[left + 1]) <= _SHORT:
                stretches[left] += stretches.pop(left + 1)
                self._masks[left] |= self._masks.pop(left + 1)
                return

    def among(self, wanted: int, start: Key | None) -> Iterator[AgentEntry]:
        """Those whose bits are in `wanted`, lazily, in order; behind `start` first and then round, if there is one."""
        behind = None if start is None else (*start, _BEHIND_ALL)
        place = 0 if behind is None else bisect_right(self._stretches, behind, key=_LAST)
        if behind is None or place == len(self._stretches):
            return self._row(0, len(self._stretches), wanted)
        stretch = self._stretches[place]
        begin, here = bisect_right(stretch, behind), self._masks[place] & wanted
        return chain(
            chosen(stretch[begin:], here),
            self._row(place + 1, len(self._stretches), wanted),
            self._row(0, place, wanted),
            chosen(stretch[:begin], here),
        )

    def _row(self, first: int, end: int, wanted: int) -> Iterator[AgentEntry]:
        for place in range(first, end):
            here = self._masks[place] & wanted
            if here:
                for entry in self._stretches[place]:
                    if here >> entry[-1] & 1:
                        yield entry

    def check(self) -> None:
        """Prove that the stretches are in order, short, not too many, and know whom they hold."""
        entries = list(self)
        assert entries == sorted(entries), "agents are out of order"
        assert self._masks == [_mask(stretch) for stretch in self._stretches], "bits differ from the agents"
        lengths = [len(stretch) for stretch in self._stretches]
        assert all(0 < length <= LONGEST for length in lengths), f"stretches of {lengths}"
        assert len(lengths) <= 1 + 4 * len(entries) // LONGEST, f"stretches of {lengths}"


def _mask(entries: list[AgentEntry]) -> int:
    mask = 0
    for entry in entries:
        mask |= bit_of(entry)
    return mask
