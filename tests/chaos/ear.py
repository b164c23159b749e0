"""What lets an oracle hear the simulated switch."""

from __future__ import annotations

from fsacd.sim.events import Event
from fsacd.sim.switch import Switch
from tests.chaos.oracle import EVENTS, SUBCLASSES, Oracle


class Ear:
    """A client of the switch that only listens."""

    def __init__(self, switch: Switch, oracle: Oracle) -> None:
        self._oracle = oracle
        switch.listeners.add(self)  # type: ignore[arg-type] # it takes what a connection is told

    def wants(self, name: str, subclass: str) -> bool:
        """What the oracle needs."""
        return name in EVENTS or subclass in SUBCLASSES

    def offer(self, event: Event) -> None:
        """One event."""
        self._oracle.hear(event.headers)

    def close(self, notice: bytes | None) -> None:
        """The switch has died; what comes after it is not compared."""
