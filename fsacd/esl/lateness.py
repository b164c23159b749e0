"""How late one switch's events come to us: a busy machine reads them tenths of a second after they were made.

Events carry the switch's wall clock, which need not be ours. The event that has come soonest, of late, is taken for
one that came at once; what others took beyond that, they were late.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from fsacd.core.events import CallerGone, LegsJoined, OfferAnswered, OfferConnected, OfferEnded
from fsacd.esl.agents_leg import MICROSECONDS
from fsacd.esl.codec import Message

# Two clocks drift apart, and one may be set: what is older than twice this counts no more.
_WINDOW_MS: Final = 30_000
# More than this is no lateness: the switch's clock was set back.
_MOST_MS: Final = 5_000
# The switch's clock goes in steps of 20 ms.
_STEP_MS: Final = 20
# Between these history counts.
_TIMED: Final = (OfferAnswered, OfferConnected, OfferEnded, LegsJoined, CallerGone)
_T = TypeVar("_T")


class Lateness:
    """Of one switch."""

    def __init__(self) -> None:
        self._least: int | None = None  # by how much our clock was ahead of the soonest event's, in this window
        self._before: int | None = None  # and in the one before
        self._until_ms = 0

    def noted(self, fact: _T, message: Message, now_ms: int) -> _T:
        """The fact of this event; where it matters to the millisecond, with how late it is."""
        if isinstance(fact, _TIMED) and (late_ms := self.of(message, now_ms)):
            return replace(fact, late_ms=late_ms)
        return fact

    def of(self, message: Message, now_ms: int) -> int:
        """By how many milliseconds this event came late, which was read at `now_ms` of our clock; 0: by too little."""
        made_us = message.get("Event-Date-Timestamp")
        if MICROSECONDS.fullmatch(made_us) is None:
            return 0
        ahead_ms = now_ms - int(made_us) // 1_000
        if now_ms >= self._until_ms:
            self._before = self._least if now_ms < self._until_ms + _WINDOW_MS else None
            self._least, self._until_ms = None, now_ms + _WINDOW_MS
        if self._least is None or ahead_ms < self._least:
            self._least = ahead_ms
        least = self._least if self._before is None else min(self._least, self._before)
        late_ms = ahead_ms - least
        return late_ms if _STEP_MS < late_ms <= _MOST_MS else 0
