"""What the switch's own events say of talks, worked out without any of the daemon's code: history must say the same.

A talk is one agent's part in a call: from the first bridge of a caller's leg with the agent's to the end of either, or
to the caller's bridge with somebody else. While the two are neither bridged nor in one room, the caller is on hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fsacd.core.evidence import Evidence
from fsacd.core.records import TalkEnded
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.events import Event
from fsacd.sim.switch import Switch

# From the wire to the daemon's step and back; a talk's hold begins with its parking and ends with its bridge.
EXACT_MS = 150
# A bridge that was shorter may have been broken in the making: whether it was a talk is a matter of moments.
SHORT_US = SECOND
# The daemon asks who is in a room, first after 0.2 s and then after 0.6 s.
ROOM_MS = 700
AROUND_US = 2 * SECOND


@dataclass(slots=True)
class Talk:
    """One agent's part; moments in microseconds of the switch's agenda. `offer_id` is the agent's leg."""

    offer_id: str
    caller: str
    from_us: int
    bridged: bool = True
    phone_holds: bool = False
    hear_since_us: int | None = None  # since when they hear each other now
    talked_us: int = 0
    until_us: int | None = None
    rooms: int = 0  # how often the two were in a room
    phone_held: bool = False

    def note(self, now_us: int, *, bridged: bool | None = None, phone_holds: bool | None = None) -> None:
        """They are bridged, or not any more; the agent's phone holds, or does not any more."""
        if self.hear_since_us is not None:
            self.talked_us += now_us - self.hear_since_us
        self.bridged = self.bridged if bridged is None else bridged
        self.phone_holds = self.phone_holds if phone_holds is None else phone_holds
        self.phone_held |= self.phone_holds
        self.hear_since_us = now_us if self.bridged and not self.phone_holds else None


class Oracle:
    """A client of the switch that only listens."""

    def __init__(self, switch: Switch) -> None:
        self._agenda = switch.agenda
        self._pairs: dict[str, str] = {}  # by leg: whom it is bridged with
        self._rooms: dict[str, set[str]] = {}
        self._callers: set[str] = set()
        self._holding: set[str] = set()  # legs whose phones hold
        self.talks: dict[str, Talk] = {}
        switch.listeners.add(self)  # type: ignore[arg-type] # it takes what a connection is told

    def wants(self, name: str, subclass: str) -> bool:
        """All that tells of talks."""
        return subclass in _SUBCLASSES or name in _EVENTS

    def offer(self, event: Event) -> None:
        """One event."""
        leg, first, second = (event.headers.get(name, "") for name in _LEGS)
        match event.headers["Event-Name"]:
            case "CUSTOM" if event.headers["Event-Subclass"] == "fsacd::queued":
                self._callers.add(leg)
            case "CUSTOM" if leg:
                self._in_room(
                    self._rooms.setdefault(event.headers["Conference-Name"], set()), leg, event.headers["Action"]
                )
            case "CHANNEL_BRIDGE":
                self._bridged(*((second, first) if second in self._callers else (first, second)))
            case "CHANNEL_UNBRIDGE":
                self._parted(leg)
            case ("CHANNEL_HOLD" | "CHANNEL_UNHOLD") as name:
                (self._holding.add if name == "CHANNEL_HOLD" else self._holding.discard)(leg)
                if leg in self.talks and self.talks[leg].until_us is None:
                    self.talks[leg].note(self._agenda.now_us, phone_holds=leg in self._holding)
            case "CHANNEL_HANGUP":
                self._gone(leg)

    def close(self, notice: bytes | None) -> None:
        """The switch has died; what comes after it is not compared."""

    def _bridged(self, caller: str, other: str) -> None:
        now_us = self._agenda.now_us
        self._parted(caller)
        self._parted(other)
        self._pairs[caller], self._pairs[other] = other, caller
        if caller not in self._callers:
            return
        for talk in self._open(caller):
            if talk.offer_id != other:
                talk.until_us = now_us  # the caller was handed over
        talk = self.talks.setdefault(other, Talk(other, caller, now_us))
        talk.note(now_us, bridged=True, phone_holds=other in self._holding)
        talk.until_us = None

    def _parted(self, leg: str) -> None:
        other = self._pairs.pop(leg, "")
        self._pairs.pop(other, None)
        for each in {leg, other} & self.talks.keys():
            self.talks[each].note(self._agenda.now_us, bridged=False)

    def _in_room(self, room: set[str], leg: str, action: str) -> None:
        now_us = self._agenda.now_us
        if action == "add-member":
            room.add(leg)
        elif action == "del-member" and leg in room:
            room.remove(leg)
        else:
            return  # of somebody whose end was told before, or of something else
        for talk in self.talks.values():
            if talk.until_us is None and leg in (talk.offer_id, talk.caller):
                if {talk.offer_id, talk.caller} <= room:
                    talk.rooms += 1
                    talk.note(now_us, bridged=True)
                else:
                    talk.note(now_us, bridged=False)

    def _gone(self, leg: str) -> None:
        now_us = self._agenda.now_us
        for talk in [*self._open(leg), *([self.talks[leg]] if leg in self.talks else ())]:
            room = next((room for room in self._rooms.values() if talk.offer_id in room), set())
            with_another = self._pairs.get(talk.offer_id, leg) != leg or bool(room - {talk.offer_id, leg})
            if talk.until_us is None and leg == talk.caller and with_another:
                talk.note(now_us, bridged=True)  # the agent goes on talking with a colleague, and nobody is on hold
            elif talk.until_us is None:
                talk.note(now_us, bridged=False)
                talk.until_us = now_us
                if leg == talk.offer_id and talk.caller in room:
                    self._go_on(talk.caller, room - {leg, talk.caller})
        for room in self._rooms.values():
            room.discard(leg)
        self._parted(leg)

    def _go_on(self, caller: str, others: set[str]) -> None:
        """The agent has gone: whoever else is in the room talks with the caller from now on."""
        for other in others - self.talks.keys():
            self.talks[other] = Talk(other, caller, self._agenda.now_us, hear_since_us=self._agenda.now_us, rooms=1)

    def _open(self, caller: str) -> list[Talk]:
        return [talk for talk in self.talks.values() if talk.caller == caller and talk.until_us is None]

    def compare(self, told: Mapping[str, TalkEnded], unheard_us: Callable[[int, int], int]) -> Iterator[str]:
        """What history says otherwise. `unheard_us`: for how long nobody heard the switch in this time."""
        for talk in self.talks.values():
            row, until_us = told.get(talk.offer_id), talk.until_us or self._agenda.now_us
            if unheard_us(talk.from_us - AROUND_US, until_us + AROUND_US):
                continue
            if row is None:
                if talk.talked_us > SHORT_US:
                    yield f"{talk} is not told"
            elif row.evidence is Evidence.SAW_END:
                all_ms, held_ms = (until_us - talk.from_us) // MS, (until_us - talk.from_us - talk.talked_us) // MS
                exact_ms = EXACT_MS + ROOM_MS * talk.rooms
                if talk.rooms and talk.phone_held:
                    held_ms = row.held_ms  # a caller whose agent's phone holds in a room may hear the third one there
                if abs(row.ended_ms - row.started_ms - all_ms) > EXACT_MS or abs(row.held_ms - held_ms) > exact_ms:
                    yield f"{talk}: {all_ms} ms, {held_ms} held; told: {row.ended_ms - row.started_ms}, {row.held_ms}"
        for offer_id in told.keys() - self.talks.keys():
            yield f"a talk {offer_id} is told that the switch has not had"


_EVENTS = frozenset({"CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE", "CHANNEL_HOLD", "CHANNEL_UNHOLD", "CHANNEL_HANGUP"})
_SUBCLASSES = ("fsacd::queued", "conference::maintenance")
_LEGS = ("Unique-ID", "Bridge-A-Unique-ID", "Bridge-B-Unique-ID")
