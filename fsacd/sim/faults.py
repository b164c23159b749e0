"""Faults of a switch and its network, to be turned on and off."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Protocol

from fsacd.sim.agenda import MS, Agenda
from fsacd.sim.ports import Hearer


class Machine(Protocol):
    """The operations of the switch that faults use."""

    agenda: Agenda

    @property
    def listeners(self) -> AbstractSet[Hearer]:
        """The clients of the Event Socket."""

    def wipe(self) -> None:
        """The machine is dead."""

    def boot(self) -> None:
        """Start with nothing remembered but the configuration."""


class Faults:
    """The faults of one switch; all off at first."""

    def __init__(self, switch: Machine) -> None:
        self._switch = switch
        # Bytes vanish in both directions while connections stay open, as behind a firewall that forgot them.
        self.blackholed = False
        # New connections are refused.
        self.refusing = False
        # By how much events reach the clients later (µs); replies are not delayed.
        self.event_delay_us = 0

    def drop_connections(self) -> None:
        """Every Event Socket connection breaks, without a farewell."""
        for listener in list(self._switch.listeners):
            listener.close(None)

    def blackhole(self, on: bool) -> None:
        """Swallow every byte, or stop doing so."""
        self.blackholed = on

    def delay_events(self, delay_ms: float) -> None:
        """Hold events back for so long (ms)."""
        self.event_delay_us = int(delay_ms * MS)

    def kill(self, down_ms: float = 1_500) -> None:
        """Kill -9, and a new start after `down_ms`: another Core-UUID, no leg, no variable, nothing remembered."""
        self.refusing = True
        self.drop_connections()
        self._switch.wipe()
        self._switch.agenda.after(down_ms * MS, self._start_again)

    def _start_again(self) -> None:
        self._switch.boot()
        self.refusing = False

    def unload_event_socket(self) -> None:
        """The Event Socket is unloaded: nobody gets in until someone loads it by hand (`load_event_socket`)."""
        self.refusing = True
        for listener in list(self._switch.listeners):
            listener.close()

    def load_event_socket(self) -> None:
        """Somebody typed `load mod_event_socket` at the console."""
        self.refusing = False
