"""Timers as data: a heap of deadlines that the shell asks about. No clock in here."""

from __future__ import annotations

import heapq
from typing import NamedTuple


class TimerKey(NamedTuple):
    """What a timer is for; setting a key again moves its deadline."""

    kind: str
    owner: str


class Timers:
    """Deadlines by key, in milliseconds of the engine's clock. Cancelled entries leave the heap lazily."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], int] = {}
        self._heap: list[tuple[int, tuple[str, str]]] = []

    def __len__(self) -> int:
        return len(self._at)

    def set(self, kind: str, owner: str, at_ms: int) -> None:
        """Set or move one deadline."""
        key = (kind, owner)
        self._at[key] = at_ms
        heapq.heappush(self._heap, (at_ms, key))
        # Without this bound, deadlines that are moved often and far ahead would pile up until they come due.
        if len(self._heap) > 2 * len(self._at) + 64:
            # Entries and list are kept, not made anew: ten thousand young objects take the garbage collector long.
            live = [entry for entry in self._heap if self._at.get(entry[1]) == entry[0]]
            if len(live) > len(self._at):
                live = list(set(live))  # some were moved away and back: only then it is worth its time
            self._heap[:] = live
            heapq.heapify(self._heap)

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
        return self._at.get((kind, owner))

    def next_ms(self) -> int | None:
        """The earliest deadline, or None."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ms: int) -> TimerKey | None:
        """Remove and return the earliest deadline that has come, or None. Equal deadlines come in the keys' order."""
        at_ms = self.next_ms()
        if at_ms is None or at_ms > now_ms:
            return None
        _, key = heapq.heappop(self._heap)
        del self._at[key]
        return TimerKey(*key)

    def all(self) -> tuple[tuple[str, str, int], ...]:
        """All live deadlines: kind, owner, when."""
        return tuple((kind, owner, at_ms) for (kind, owner), at_ms in self._at.items())

    def keys(self) -> frozenset[TimerKey]:
        """All live keys, for `Engine.check`."""
        return frozenset(TimerKey(*key) for key in self._at)
