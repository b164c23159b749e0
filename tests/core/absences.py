"""A switch that stays away is given up when its time is over, not before; and with it all that was there."""

from __future__ import annotations

from dataclasses import dataclass, field

from fsacd.core import events as e
from fsacd.core.views import Snapshot, Step
from tests.core.books import Books
from tests.core.clerk import given_up


@dataclass
class Absences:
    """Judges what a switch leaves."""

    books: Books
    # Since when each switch is away, by the latest that could have begun it, and by the earliest.
    latest: dict[str, int] = field(default_factory=dict)
    earliest: dict[str, int] = field(default_factory=dict)

    def take(self, event: e.Event | None, step: Step, after: Snapshot, *, strict: bool) -> None:
        """One step; `strict`: no deadline was overdue before it or is after it."""
        most_ms = self.books.rules.limits.switch_gone_ms
        for switch in given_up(step):
            assert most_ms, f"{switch} is given up, though no switch is"
            since_ms = self.earliest.get(switch, after.now_ms)
            assert after.now_ms - since_ms >= most_ms, f"{switch} is given up after {after.now_ms - since_ms} ms"
            left = [call.call_id for call in after.calls if call.leg is not None and call.leg.switch == switch]
            left += [offer.offer_id for offer in after.offers if offer.switch == switch]
            assert not left, f"{switch} is given up, and {left} are left there"
            del self.earliest[switch]
        self._note(event, step, after)
        if strict and most_ms:
            for call in after.calls:
                if call.leg is not None and call.leg.switch in self.latest:
                    away_ms = after.now_ms - self.latest[call.leg.switch]
                    assert away_ms < most_ms, f"{call.call_id} is left, and its switch has been away for {away_ms} ms"

    def _note(self, event: e.Event | None, step: Step, after: Snapshot) -> None:
        up = {switch for switch, is_up in after.switches if is_up}
        there = {call.leg.switch for call in after.calls if call.leg is not None}
        there |= {leg.switch for agent in self.books.agents.values() for leg in agent.legs}
        if isinstance(event, e.SwitchLost):
            self.earliest[event.switch] = after.now_ms
            self.latest[event.switch] = after.now_ms
        if isinstance(event, e.CallQueued) and event.leg is not None:
            self.earliest.setdefault(event.leg.switch, after.now_ms)  # it may have ended in the same step
        for switch in there - up:
            self.earliest.setdefault(switch, after.now_ms)
            self.latest.setdefault(switch, after.now_ms)
        self.latest = {switch: at_ms for switch, at_ms in self.latest.items() if switch in there - up}
        self.earliest = {switch: at_ms for switch, at_ms in self.earliest.items() if switch not in up}
