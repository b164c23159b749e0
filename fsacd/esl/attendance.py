"""Which waiting callers have not announced themselves when they should have. Pure.

A waiting caller's leg announces itself every ten seconds (the dialplan's loop). A leg that falls silent may have been
taken away without an event: the switch is asked for it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

# Two announcements, and some more for a switch that is slow to run its loop.
SILENT_MS: Final = 22_000


class Attendance:
    """When each leg was heard of last, the longest silent first. Times are ms of one monotonic clock."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._heard)

    def heard(self, leg: str, now_ms: int) -> None:
        """The leg has just announced that its caller waits."""
        self._heard[leg] = now_ms
        self._heard.move_to_end(leg)

    def expect(self, leg: str, now_ms: int) -> None:
        """The engine believes that the leg's caller waits: if it has not announced itself yet, its time begins now."""
        self._heard.setdefault(leg, now_ms)

    def excuse(self, leg: str) -> None:
        """The leg has ended, or its caller talks: nothing is expected of it."""
        self._heard.pop(leg, None)

    def silent(self, now_ms: int) -> list[str]:
        """The legs that have missed two announcements. Each is named once, until it is heard of again."""
        found: list[str] = []
        while self._heard:
            leg, heard_ms = next(iter(self._heard.items()))
            if now_ms - heard_ms < SILENT_MS:
                break
            del self._heard[leg]
            found.append(leg)
        return found

    def clear(self) -> None:
        """Forget all legs: no event was heard for a while, so silence proves nothing."""
        self._heard.clear()
