"""What a switch's own events say of talks, worked out without any of the daemon's code: history must say the same.

A talk is one agent's part in a call: from the first bridge of a caller's leg with the agent's to the end of either, or
to the caller's bridge with somebody else. While the two are neither bridged nor in one room, the caller is on hold; and
while the agent's phone holds by itself.
Contacts and visits are worked out in `stays`. All moments are microseconds, by the events' own stamps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.chaos.stays import Stays
from tests.chaos.told import AROUND_US, MS, SECOND_US, SHORT_US, Told, moment_us

# Which events it must be told.
EVENTS = ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE", "CHANNEL_HANGUP", "CHANNEL_PARK", "CHANNEL_HOLD", "CHANNEL_UNHOLD")
SUBCLASSES = ("fsacd::queued", "fsacd::waiting", "fsacd::returned", "fsacd::left", "conference::maintenance")
# The daemon asks who is in a room, first after 0.2 s and then after 0.6 s.
ROOM_MS = 700
# It believes that all three are there after 1.4 s at the latest, if they are.
GATHERING_US = 2 * SECOND_US


@dataclass(slots=True)
class Talk:
    """One agent's part; moments in microseconds of the switch's agenda. `offer_id` is the agent's leg."""

    offer_id: str
    caller: str
    from_us: int
    bridged: bool = False
    hear_since_us: int | None = None  # since when they are, and the agent's phone does not hold
    talked_us: int = 0
    until_us: int | None = None
    rooms: int = 0  # how often the two were in a room
    parted_us: int = 0  # since when they are not bridged, or were not
    caller_gone: bool = False  # the agent goes on talking with a colleague, and nobody is on hold
    # The caller went while all were on their way into a room: whether it went on without them is a matter of moments.
    vague: bool = False
    phone_holds: bool = False  # the agent's phone holds them by itself, and whether it ever did
    phone_held: bool = False

    def join(self, now_us: int) -> None:
        """They are bridged."""
        if not self.bridged:
            self.bridged = True
            self._hear(now_us)

    def part(self, now_us: int) -> None:
        """They are not bridged any more."""
        if self.bridged and not self.caller_gone:
            self.bridged, self.parted_us = False, now_us
            self._hear(now_us)

    def on_without_caller(self, now_us: int) -> None:
        """The caller has gone, and the agent talks on."""
        self.bridged = self.caller_gone = True
        self._hear(now_us)

    def end(self, now_us: int) -> None:
        """The agent's part is over."""
        self.caller_gone = False
        self.part(now_us)
        self.until_us = now_us

    def hold(self, now_us: int, holds: bool) -> None:
        """The agent's phone holds, or does not any more."""
        self.phone_holds = holds
        self.phone_held |= holds
        self._hear(now_us)

    def _hear(self, now_us: int) -> None:
        """Whether they hear each other may have changed. Where the caller has gone, nobody is on hold."""
        if self.hear_since_us is not None:
            self.talked_us += now_us - self.hear_since_us
        hear = self.bridged and (self.caller_gone or not self.phone_holds)
        self.hear_since_us = now_us if hear else None


class Oracle:
    """It is told each event that one of EVENTS and SUBCLASSES names. `clock` is the switch's wall clock (µs)."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._now_us = 0  # the moment of the event
        self._pairs: dict[str, str] = {}  # by leg: whom it is bridged with
        self._rooms: dict[str, set[str]] = {}
        self._gathered_us: dict[str, int] = {}  # by leg: when it came into a room
        self._callers: set[str] = set()
        self._holding: set[str] = set()  # legs whose phones hold
        self.talks: dict[str, Talk] = {}
        self.ended_on_hold: list[str] = []  # numbers of callers
        self.stays = Stays()
        self.differences = self.stays.differences

    def hear(self, event: Mapping[str, str]) -> None:
        """The headers of one event, in the order in which the switch tells them."""
        self._now_us = moment_us(event)
        leg, first, second = (event.get(name, "") for name in _LEGS)
        match event["Event-Name"]:
            case "CUSTOM" if event["Event-Subclass"] == "conference::maintenance":
                if leg:
                    self._in_room(self._rooms.setdefault(event["Conference-Name"], set()), leg, event["Action"])
            case "CUSTOM" if leg:  # the daemon's own probes are of no leg
                self._callers.add(leg)
                if leg not in self._pairs:
                    self.stays.announced(event)
            case "CHANNEL_BRIDGE":
                caller, other = (second, first) if second in self._callers else (first, second)
                self._bridged(caller, other)
                self.stays.bridged(caller, other, self._now_us)
            case "CHANNEL_UNBRIDGE":
                self._parted(leg)
            case "CHANNEL_PARK":
                self.stays.parked(event)
            case ("CHANNEL_HOLD" | "CHANNEL_UNHOLD") as name:
                self._phone(leg, holds=name == "CHANNEL_HOLD")
            case "CHANNEL_HANGUP":
                self._gone(leg)
                self.stays.gone(leg, self._now_us)

    def _bridged(self, caller: str, other: str) -> None:
        now_us = self._now_us
        self._parted(caller)
        self._parted(other)
        self._pairs[caller], self._pairs[other] = other, caller
        if caller not in self._callers:
            return
        for talk in self._open(caller):
            if talk.offer_id != other:
                talk.until_us = now_us  # the caller was handed over
        talk = self.talks.setdefault(other, Talk(other, caller, now_us))
        talk.until_us = None
        talk.hold(now_us, other in self._holding)
        talk.join(now_us)

    def _parted(self, leg: str) -> None:
        other = self._pairs.pop(leg, "")
        self._pairs.pop(other, None)
        for each in {leg, other} & self.talks.keys():
            self.talks[each].part(self._now_us)

    def _in_room(self, room: set[str], leg: str, action: str) -> None:
        now_us = self._now_us
        if action == "add-member":
            room.add(leg)
            self._gathered_us[leg] = now_us
        elif action == "del-member" and leg in room:
            room.remove(leg)
        else:
            return  # of somebody whose end was told before, or of something else
        for talk in self.talks.values():
            if talk.until_us is None and leg in (talk.offer_id, talk.caller):
                if {talk.offer_id, talk.caller} <= room:
                    talk.rooms += 1
                    talk.join(now_us)
                else:
                    talk.part(now_us)

    def _phone(self, leg: str, *, holds: bool) -> None:
        (self._holding.add if holds else self._holding.discard)(leg)
        talk = self.talks.get(leg)
        if talk is not None and talk.until_us is None:
            talk.hold(self._now_us, holds)

    def _gone(self, leg: str) -> None:
        now_us = self._now_us
        for talk in [*self._open(leg), *([self.talks[leg]] if leg in self.talks else ())]:
            talk.vague |= leg == talk.caller and now_us - self._gathered_us.get(leg, 0) < GATHERING_US
            room = next((room for room in self._rooms.values() if talk.offer_id in room), set())
            with_another = self._pairs.get(talk.offer_id, leg) != leg or bool(room - {talk.offer_id, leg})
            if talk.until_us is None and leg == talk.caller and with_another:
                talk.on_without_caller(now_us)
            elif talk.until_us is None:
                if leg == talk.caller and not talk.bridged and now_us - talk.parted_us > SHORT_US:
                    self.ended_on_hold.append(self.stays.number_of(leg))
                talk.end(now_us)
                if leg == talk.offer_id and talk.caller in room:
                    self._go_on(talk.caller, room - {leg, talk.caller})
        for room in self._rooms.values():
            room.discard(leg)
        self._holding.discard(leg)
        self._parted(leg)

    def _go_on(self, caller: str, others: set[str]) -> None:
        """The agent has gone: whoever else is in the room talks with the caller from now on."""
        for other in others - self.talks.keys():
            talk = self.talks[other] = Talk(other, caller, self._now_us, rooms=1)
            talk.hold(self._now_us, other in self._holding)
            talk.join(self._now_us)

    def _open(self, caller: str) -> list[Talk]:
        return [talk for talk in self.talks.values() if talk.caller == caller and talk.until_us is None]

    def compare(
        self, told: Told, unheard_us: Callable[[int, int], int], exact_ms: int, *, complete: bool = True
    ) -> Iterator[tuple[str, str]]:
        """What history says otherwise: the kind of it, and a sentence.

        `unheard_us`: for how long nobody heard the switch in this time; what is near to it is not compared.
        `exact_ms`: by so much may two clocks differ. `complete`: it has heard everything that the switch has said.
        """
        now_us = self._clock()
        for talk in self.talks.values():
            row, until_us = told.talks.get(talk.offer_id), talk.until_us or now_us
            heard = not unheard_us(talk.from_us - AROUND_US, until_us + AROUND_US)
            if row is None:
                if heard and talk.talked_us > SHORT_US:
                    yield _TALK, f"{talk} is not told"
                continue
            all_ms, held_ms = (until_us - talk.from_us) // MS, (until_us - talk.from_us - talk.talked_us) // MS
            if (
                not row.sure
                or talk.vague
                or any(unheard_us(at_us - AROUND_US, at_us + AROUND_US) for at_us in (talk.from_us, until_us))
            ):
                continue
            # Somebody has heard how it began and ended. Who has not heard all of it knows less of its holds.
            self.differences.note("talk", row.all_ms - all_ms)
            wrong = abs(row.all_ms - all_ms) > exact_ms
            # A caller whose agent's phone holds in a room may hear the third one there.
            if heard and not (talk.rooms and talk.phone_held):
                self.differences.note("hold", row.held_ms - held_ms)
                wrong |= abs(row.held_ms - held_ms) > exact_ms + ROOM_MS * talk.rooms
            if wrong:
                yield _TALK, f"{talk}: {all_ms} ms, {held_ms} held; told: {row.all_ms}, {row.held_ms}"
        for offer_id in told.talks.keys() - self.talks.keys() if complete else ():
            yield _TALK, f"a talk {offer_id} is told that the switch has not had"
        yield from self.stays.compare(told, unheard_us, exact_ms, now_us)


_TALK = "another talk"
_LEGS = ("Unique-ID", "Bridge-A-Unique-ID", "Bridge-B-Unique-ID")
