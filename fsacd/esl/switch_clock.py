"""When, by our clock, something was at the switch, which tells its time as its uptime."""

from __future__ import annotations

from dataclasses import dataclass, replace

# `${uptime(ms)}` is printed as an unsigned 32-bit number.
_UPTIME_WRAP = 1 << 32
# What is longer is no uptime.
_DIGITS = 12
# Two clocks read one after the other differ by less.
_CLOCKS_DIFFER_MS = 5_000


@dataclass(frozen=True, slots=True)
class SwitchClock:
    """The switch's uptime at a moment of our clock, both in ms: tells how long a caller had waited before we knew.

    `before` is its clock of before it crashed, if we knew it then: recovered callers came by that one.
    """

    uptime_ms: int
    at_ms: int
    before: SwitchClock | None = None

    def uptime_at(self, now_ms: int) -> int:
        """The switch's uptime at `now_ms` of our clock."""
        return self.uptime_ms + now_ms - self.at_ms

    def with_recovered(self, uptime_ms: int) -> SwitchClock:
        """This clock, and that of before the crash, which nobody told us: the last caller of then came at `uptime_ms`.

        Nobody knows how long before the new beginning that was; taken for the same moment, everybody has waited at
        least for so long, and they stand in their order, whenever each is heard of.
        """
        return replace(self, before=SwitchClock(uptime_ms, self.at_ms - self.uptime_ms))

    def ours(self, uptime_ms: int, now_ms: int, *, recovered: bool = False) -> int:
        """A moment of the switch's uptime on our clock, never later than now; `recovered`: of before it crashed."""
        uptime_now_ms = self.uptime_at(now_ms)
        ago_ms = (uptime_now_ms - uptime_ms) % _UPTIME_WRAP
        if not recovered and ago_ms <= min(_UPTIME_WRAP // 2, uptime_now_ms):
            return now_ms - ago_ms
        if not recovered and _UPTIME_WRAP - ago_ms < _CLOCKS_DIFFER_MS:
            return now_ms  # just announced, and the two clocks differ by a little: the moment seems to lie ahead
        # It was before the switch began anew. How long before may not be known.
        began_ms = now_ms - uptime_now_ms
        return began_ms if self.before is None else min(began_ms, self.before.ours(uptime_ms, now_ms))

    def told(self, text: str, at_ms: int) -> int | None:
        """The whole uptime of which the switch prints only the last 32 bits; None for what is no such number."""
        text = text.strip()
        if not (text.isascii() and text.isdigit() and len(text) < _DIGITS and int(text) < _UPTIME_WRAP):
            return None
        return int(text) + round((self.uptime_at(at_ms) - int(text)) / _UPTIME_WRAP) * _UPTIME_WRAP
