"""Converts the switch's uptimes, by which it tells its time, to our clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

# `${uptime(ms)}` is printed as an unsigned 32-bit number.
_UPTIME_WRAP = 1 << 32
# The longest text that can be an uptime.
_DIGITS = 12
# Two clocks that are read one after the other differ by less than this.
_CLOCKS_DIFFER_MS = 5_000


@dataclass(frozen=True, slots=True)
class SwitchClock:
    """The switch's uptime at a time of our clock, both in ms: tells how long a caller had waited before we knew.

    `before` is the switch's clock of before it crashed, if we knew it: recovered callers came by that clock.
    """

    uptime_ms: int
    at_ms: int
    before: SwitchClock | None = None

    def uptime_at(self, now_ms: int) -> int:
        """The switch's uptime at `now_ms` of our clock."""
        return self.uptime_ms + now_ms - self.at_ms

    def with_recovered(self, uptime_ms: int) -> SwitchClock:
        """This clock, with the unknown one of before a crash: the last caller before the crash came at `uptime_ms`.

        Nobody knows how long before the restart that was. It is taken for the same moment, so that everybody has waited
        at least so long, and the callers keep their order whenever each is heard of.
        """
        return replace(self, before=SwitchClock(uptime_ms, self.at_ms - self.uptime_ms))

    def ours(self, uptime_ms: int, now_ms: int, *, recovered: bool = False) -> int:
        """The time on our clock of an uptime, never later than now; `recovered`: an uptime of before a crash."""
        uptime_now_ms = self.uptime_at(now_ms)
        ago_ms = (uptime_now_ms - uptime_ms) % _UPTIME_WRAP
        if not recovered and ago_ms <= min(_UPTIME_WRAP // 2, uptime_now_ms):
            return now_ms - ago_ms
        if not recovered and _UPTIME_WRAP - ago_ms < _CLOCKS_DIFFER_MS:
            return now_ms  # just announced, and the two clocks differ by a little: the moment seems to lie ahead
        # The uptime is of before the switch restarted. How long before may not be known.
        began_ms = now_ms - uptime_now_ms
        return began_ms if self.before is None else min(began_ms, self.before.ours(uptime_ms, now_ms))

    def told(self, text: str, at_ms: int) -> int | None:
        """The whole uptime, of which the switch prints the last 32 bits; None for a text that is no such number."""
        text = text.strip()
        if not (text.isascii() and text.isdigit() and len(text) < _DIGITS and int(text) < _UPTIME_WRAP):
            return None
        return int(text) + round((self.uptime_at(at_ms) - int(text)) / _UPTIME_WRAP) * _UPTIME_WRAP


# The global variables that say until when, by the switch's uptime in seconds, callers wait for a daemon. Where
# vars.xml sets the second one (freeswitch/README.md), each reloadxml does so anew. An fsacd of before knew that alone.
LEASES: Final = ("fsacd_held_until", "fsacd_lease")
_MOST_DIGITS: Final = 18


def lease_end_ms(text: str) -> int | None:
    """When a lease ends that a daemon has written; None: none has.

    That of vars.xml, which holds for the first moments of a switch, begins with a nought.
    """
    digits = text.strip()
    is_ours = digits.isascii() and digits.isdigit() and not digits.startswith("0")
    return int(digits[:_MOST_DIGITS]) * 1_000 if is_ours else None
