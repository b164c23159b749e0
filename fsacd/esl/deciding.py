"""The engine and its loop, as a link sees them: it posts facts and reads what is under way. See `runtime.loop`."""

from __future__ import annotations

from typing import Protocol

from fsacd.core.events import Event, Leg
from fsacd.core.records import LegMeasured
from fsacd.core.views import Underway


class Deciding(Protocol):
    """What a link may ask of the loop around the engine."""

    def post(self, event: Event) -> None:
        """Take a fact."""

    def note(self, record: LegMeasured) -> None:
        """Hand on a record that the engine need not know."""

    def underway(self) -> Underway:
        """All calls and offers, as they are or were a moment ago."""

    def is_offer(self, leg: str) -> bool:
        """Whether the engine knows an offer with this leg now."""

    def outside_legs(self, switch: str) -> tuple[tuple[str, Leg], ...]:
        """The calls on this switch that agents have without us, as the engine knows them: (agent, leg)."""
