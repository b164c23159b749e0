"""The protocols by which the parts of the switch use each other: legs, the switch, its clients, its commands.

Legs act on the switch, and on each other through it. Each side knows the other only by these protocols, so that no
import goes in a circle; `session.Session` is the leg, `switch.Switch` the switch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fsacd.sim.agenda import Agenda
from fsacd.sim.channel import App, Channel, Profile, State
from fsacd.sim.events import Event
from fsacd.sim.listing import Listing
from fsacd.sim.threads import Thread


@dataclass(slots=True, eq=False)
class Talk:
    """Two bridged legs: `a` carries the bridge, `b` sleeps in CS_EXCHANGE_MEDIA beside it. `bridging` moves it."""

    a: Leg
    b: Leg
    over: bool = False
    b_gone: bool = False

    def partner(self, leg: Leg) -> Leg:
        """The other leg."""
        return self.b if leg is self.a else self.a


@dataclass(slots=True, eq=False)
class Room:
    """A conference; `members` in the order in which they came. `conferencing` moves it."""

    name: str
    profile: str
    uuid: str
    members: list[Leg] = field(default_factory=list)


class FarEnd(Protocol):
    """What a leg tells its phone beyond what SIP says."""

    def talk_began(self) -> None:
        """Sound from another leg can be heard."""

    def keyed(self, digits: str) -> None:
        """The switch sends DTMF (`uuid_send_dtmf`)."""


class Hearer(Protocol):
    """A client of the Event Socket, as those who fire events see it."""

    def wants(self, name: str, subclass: str) -> bool:
        """Whether the subscription names this event."""

    def offer(self, event: Event) -> None:
        """Queue an event that it wants."""

    def close(self, notice: bytes | None = ...) -> None:
        """Hang up on the client; None: without a farewell."""


class Leg(Protocol):
    """A leg: its state, and what others may do to it."""

    channel: Channel
    talk: Talk | None
    # An outbound leg belongs to its originate until that has answered.
    originating: bool
    # uuid_bridge has installed its state handlers.
    bridge_armed: bool
    recordings: list[str]
    # The number of the other party that this leg's phone was told last.
    told_number: str | None
    # How many extensions execute each other at present.
    depth: int

    @property
    def switch(self) -> Exchange:
        """The switch that the leg belongs to."""

    @property
    def line(self) -> FarEnd | None:
        """The leg's other end, at its phone."""

    def signal(self, low_us: int, high_us: int) -> None:
        """Make its thread look around after a delay between the two."""

    def sleep(self, duration_us: int) -> Thread:
        """Block its thread for exactly so long."""

    def execute(self, app: App) -> Thread:
        """Run one dialplan application."""

    def set_state(self, state: State) -> None:
        """Ask it to go on in another state."""

    def hangup(self, cause: str, by_far_end: bool = False) -> None:
        """End it; only the first cause counts."""

    def ring_ready(self) -> None:
        """180 Ringing came from the phone."""

    def early_media(self) -> None:
        """183 with sound came from the phone."""

    def answer(self) -> None:
        """Answer it, or note that its phone has."""

    def acknowledged(self) -> None:
        """The caller's ACK has been read."""

    def leave_originate(self) -> None:
        """Another command takes over the leg: the originate that rings it gives it up."""

    def park(self) -> None:
        """uuid_park."""

    def broadcast(self, app: App) -> None:
        """uuid_broadcast."""


class Ring(Protocol):
    """Phones that are rung for a leg (`bridge`)."""

    @property
    def rings(self) -> bool:
        """Whether a phone rings."""

    def cancel(self) -> None:
        """The leg is gone, or goes elsewhere."""


class Exchange(Protocol):
    """The switch, as a leg, its applications and its phone use it."""

    agenda: Agenda
    # The files that `playback` does not find.
    missing_sounds: set[str]
    # Whether the SIP profiles tell of REFER (`fire-transfer-events`).
    transfer_events: bool
    # The conferences by their names.
    rooms: dict[str, Room]

    def next_member(self) -> int:
        """Conferences number all their members."""

    def locate(self, uuid: str) -> Leg | None:
        """The leg with this uuid, unless it is hung up."""

    def forget(self, session: Leg) -> None:
        """Its thread has ended."""

    def hunt(self, session: Leg, profile: Profile) -> list[App] | None:
        """The apps for the profile's destination, or None when no extension takes it."""

    def variable(self, name: str, session: Leg | None) -> str:
        """A variable as a dialplan sees it."""

    def expand(self, text: str, session: Leg | None) -> str:
        """Replace `${...}` in an application's text."""

    def dial(self, session: Leg, text: str, done: Callable[[str], None], answered: Callable[[Leg], None]) -> Ring:
        """Ring phones for a leg: `answered` gets the leg that was answered, or `done` the reply that says why none."""

    def digit(self, session: Leg, digit: str) -> None:
        """A DTMF digit reached a leg."""

    def clock_second_us(self, seconds: int) -> int:
        """When the switch's clock, which counts whole seconds, will have moved on by so many (agenda time, µs)."""

    def fire(self, name: str, channel: Channel | None, more: Mapping[str, str] | None = None) -> None:
        """Send an event to every client that wants it."""

    def fire_state(self, channel: Channel, name: str = "CHANNEL_STATE") -> None:
        """Tell of a leg's new state."""


class Console(Exchange, Protocol):
    """The switch, as API commands use it in addition."""

    globals: dict[str, str]
    hash: dict[str, str]
    hostname: str
    listing: Listing
    max_sessions: int
    peak: int
    session_count: int

    @property
    def sessions(self) -> Mapping[str, Leg]:
        """The legs by their uuids, those whose threads have not ended yet among them."""

    @property
    def uptime_us(self) -> int:
        """Microseconds since the start."""

    def headers(self, name: str) -> dict[str, str]:
        """The lines that begin a new event."""

    def registered(self, user: str) -> list[str]:
        """The endpoints at which a user has registered."""

    def schedule(self, group: str, due_us: int, action: Callable[[], None]) -> None:
        """A task of a leg; it dies with the leg."""

    def unschedule(self, group: str) -> int:
        """Forget a leg's tasks; how many there were."""
