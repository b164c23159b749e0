"""Phones that do what they are told: those of agents, and those of callers and strangers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fsacd.sim.phones import Line

# How far an address is from the next one that a phone has when it comes back elsewhere.
_MOVES_BY = 100


@dataclass(slots=True)
class Device:
    """One phone of an agent. It rings until it is told to do something; one that has vanished hears nothing."""

    label: str
    agent: str
    user: str
    port: int
    rings: list[Line] = field(default_factory=list)
    talks: list[Line] = field(default_factory=list)
    invited_again: bool = False  # for a call that it has diverted
    there: bool = True

    @property
    def address(self) -> str:
        """Where it is now."""
        return f"{self.user}@127.0.0.1:{self.port}"

    def move(self) -> None:
        """It has another address from now on, and knows of no call."""
        self.port += _MOVES_BY
        self.there = True

    def vanish(self) -> None:
        """Its plug is pulled: it says nothing any more."""
        self.there = False

    def answer(self) -> None:
        """Take the call that has rung for longest."""
        line = self.rings.pop(0)
        self.talks.append(line)
        line.answer()

    # --- what the switch does ---

    def invited(self, line: Line) -> None:
        """It rings."""
        if self.there:
            self.invited_again = self.invited_again or line in self.rings
            if line not in self.rings:
                self.rings.append(line)
            line.ring()

    def answered(self, line: Line) -> None:
        """A call that it placed is answered."""
        self.talks.append(line)

    def talking(self, line: Line) -> None:
        """Nothing to do."""

    def ended(self, line: Line, cause: str) -> None:
        """The receiver is down."""
        del cause
        for lines in (self.rings, self.talks):
            if line in lines:
                lines.remove(line)


@dataclass(slots=True)
class Person:
    """A caller, or a stranger to the queues: one call of theirs. `on_end` is told how it ended."""

    label: str
    number: str
    on_end: Callable[[Person, str], None]
    queues: bool = True  # they want to be served by a queue
    has_place: bool = False  # they have taken over one that the daemon knew of
    line: Line | None = None
    up: bool = False
    over: bool = False
    # What was done to them that nobody at the switch can be blamed for.
    let_go: bool = False

    def invited(self, line: Line) -> None:
        """Nobody rings them."""

    def answered(self, line: Line) -> None:
        """They hear something."""
        del line
        self.up = True

    def talking(self, line: Line) -> None:
        """Nothing to do."""

    def ended(self, line: Line, cause: str) -> None:
        """They are gone, or were let go."""
        del line
        self.over = True
        self.on_end(self, cause)
