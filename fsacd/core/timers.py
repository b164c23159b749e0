"""Timers as data: a heap of deadlines that the shell asks about. No clock in here."""

from __future__ import annotations

import heapq
from typing import NamedTuple


class TimerKey(NamedTuple):
    """What a timer is for; setting a key again moves its deadline."""

    kind: str
    owner: str


Entry = tuple[int, tuple[str, str]]

# So many entries of an overgrown heap are looked at whenever a deadline is set. Two would be enough for it to be
# through before the next one has overgrown.
_AT_A_TIME = 8
# A heap has overgrown when it has more than twice the live entries, and these.
_SPARE = 64


class Timers:
    """Deadlines by key, in milliseconds of the engine's clock. Cancelled entries leave the heap lazily."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], Entry] = {}
        self._heap: list[Entry] = []
        # A heap that has overgrown: its live entries move into the other one, few at a time. To look at all at once
        # would hold calls up for 10 ms where ten thousand wait.
        self._overgrown: list[Entry] = []

    def __len__(self) -> int:
        return len(self._at)

    def set(self, kind: str, owner: str, at_ms: int) -> None:
        """Set or move one deadline."""
        key = (kind, owner)
        entry = self._at[key] = (at_ms, key)
        heapq.heappush(self._heap, entry)
        if self._overgrown:
            self._move()
        # Without this bound, deadlines that are moved often and far ahead would pile up until they come due.
        elif len(self._heap) > 2 * len(self._at) + _SPARE:
            self._heap, self._overgrown = self._overgrown, self._heap

    def _move(self) -> None:
        """Move a few entries; a heap without its last entry is still a heap."""
        for _ in range(min(_AT_A_TIME, len(self._overgrown))):
            entry = self._overgrown.pop()
            if self._at.get(entry[1]) is entry:
                heapq.heappush(self._heap, entry)

    def set_unless_set(self, kind: str, owner: str, at_ms: int) -> None:
        """Set one deadline, unless it is set already."""
        if (kind, owner) not in self._at:
            self.set(kind, owner, at_ms)

    def clear(self, kind: str, owner: str) -> None:
        """Forget one deadline; unknown ones are ignored."""
        self._at.pop((kind, owner), None)

    def clear_all(self, kinds: tuple[str, ...], owner: str) -> None:
        """Forget what these kinds of deadlines the owner has."""
        for kind in kinds:
            self._at.pop((kind, owner), None)

    def at(self, kind: str, owner: str) -> int | None:
        """When this deadline is, or None if it is not set."""
        entry = self._at.get((kind, owner))
        return entry[0] if entry is not None else None

    def next_ms(self) -> int | None:
        """The earliest deadline, or None."""
        first = self._first()
        return first[0][0] if first else None

    def _first(self) -> list[Entry]:
        """The heap whose first entry is the earliest live one; empty if there is none."""
        for heap in (self._heap, self._overgrown):
            while heap and self._at.get(heap[0][1]) is not heap[0]:
                heapq.heappop(heap)
        if not (self._heap and self._overgrown):
            return self._heap or self._overgrown
        return min(self._heap, self._overgrown)

    def pop_due(self, now_ms: int) -> TimerKey | None:
        """Remove and return the earliest deadline that has come, or None. Equal deadlines come in the keys' order."""
        first = self._first()
        if not first or first[0][0] > now_ms:
            return None
        _, key = heapq.heappop(first)
        del self._at[key]
        return TimerKey(*key)

    def all(self) -> tuple[tuple[str, str, int], ...]:
        """All live deadlines: kind, owner, when."""
        return tuple((kind, owner, at_ms) for at_ms, (kind, owner) in self._at.values())

    def keys(self) -> frozenset[TimerKey]:
        """All live keys, for `Engine.check`."""
        return frozenset(TimerKey(*key) for key in self._at)
