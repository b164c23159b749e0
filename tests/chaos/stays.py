"""What a switch's own events say of contacts and visits, for `oracle`.

A contact is everything on one caller's leg, from the first call on. A visit is one stay in a queue: from the caller's
announcement to the next, to their end, or to the end of the talk that it led to. It is answered by whoever they are
bridged with first, unless that bridge breaks at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.told import AROUND_US, MS, SHORT_US, Differences, Told, VisitRow, moment_us

Unheard = Callable[[int, int], int]


@dataclass(slots=True)
class Stay:
    """A visit. `offer_id` is the leg of the agent who answered."""

    queue: str  # empty: not told, as nobody has answered
    from_us: int
    offer_id: str = ""
    answered_us: int = 0
    bridged_us: int = 0
    until_us: int | None = None


@dataclass(slots=True)
class Call:
    """A call, with its visits. `vague`: a bridge broke after a second or so: what it was is a matter of moments."""

    contact_id: str
    number: str
    stays: list[Stay] = field(default_factory=list)
    vague: bool = False


class Stays:
    """All visits of all callers."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.differences = Differences()
        self._contacts: dict[str, str] = {}  # by the caller's leg: the first call on it
        self._now: dict[str, Call] = {}  # by the caller's leg
        self._answers: dict[str, tuple[int, str]] = {}  # by the agent's leg: when they answered, and for which queue

    def announced(self, event: Mapping[str, str]) -> None:
        """A caller waits, or leaves for the fallback."""
        leg, call_id, now_us = event["Unique-ID"], event.get("variable_fsacd_call", ""), moment_us(event)
        kind, call = event["Event-Subclass"], self._now.get(leg)
        if kind == "fsacd::queued":
            self.gone(leg, now_us)  # it is the next call of the same contact
            contact_id = self._contacts.setdefault(leg, call_id)
            call = self._now[leg] = self.calls[call_id] = Call(contact_id, event.get("Caller-Caller-ID-Number", ""))
            call.stays.append(Stay(event.get("variable_fsacd_queue", ""), now_us))
        if call is None:
            return  # they had left
        stay = call.stays[-1]
        if kind == "fsacd::left":
            self.gone(leg, now_us)
        elif stay.offer_id and now_us - stay.bridged_us > SHORT_US:
            stay.until_us = now_us
            call.stays.append(Stay("", now_us))
        elif stay.offer_id:
            call.vague, stay.offer_id = True, ""

    def parked(self, event: Mapping[str, str]) -> None:
        """A leg waits for a bridge: an agent's, when they answer."""
        queue = event.get("variable_sip_h_X-Fsacd-Queue", "")
        self._answers.setdefault(event["Unique-ID"], (moment_us(event), queue))

    def bridged(self, caller: str, other: str, now_us: int) -> None:
        """Two talk."""
        call = self._now.get(caller)
        if call is not None and not call.stays[-1].offer_id:
            stay = call.stays[-1]
            stay.answered_us, queue = self._answers.get(other, (now_us, ""))
            stay.offer_id, stay.bridged_us, stay.queue = other, now_us, queue or stay.queue

    def number_of(self, leg: str) -> str:
        """The number of a caller who is there; empty if they have left."""
        return self._now[leg].number if leg in self._now else ""

    def gone(self, leg: str, now_us: int) -> None:
        """This leg is there no more."""
        call = self._now.pop(leg, None)
        if call is not None:
            call.stays[-1].until_us = now_us
            stay = call.stays[-1]
            call.vague |= bool(stay.offer_id) and now_us - stay.bridged_us <= SHORT_US

    def compare(self, told: Told, unheard_us: Unheard, exact_ms: int, now_us: int) -> Iterator[tuple[str, str]]:
        """What history says otherwise, as in `Oracle.compare`."""
        for call_id, call in self.calls.items():
            from_us, until_us = call.stays[0].from_us, call.stays[-1].until_us or now_us
            heard = not unheard_us(from_us - AROUND_US, until_us + AROUND_US)
            row = told.calls.get(call_id)
            differs = row is not None and (row.contact_id, row.number) != (call.contact_id, call.number)
            if differs or (row is None and heard):
                yield "another contact", f"call {call_id} of {call.contact_id}, {call.number}: told is {row}"
            rows = sorted(told.visits.get(call_id, ()), key=lambda row: row.n)
            if heard and not call.vague and all(row.sure for row in rows):
                pairs = self._matched(call.stays, rows, exact_ms)
                if pairs is None:
                    yield "another visit", f"call {call_id} has had {call.stays}, told: {rows}"
            else:
                pairs = [] if call.vague else _answered(call, rows, unheard_us)
            for stay, visit in pairs or ():
                if self._differ(stay, visit, exact_ms) or visit.contact_id != call.contact_id:
                    yield "another visit", f"call {call_id}, {stay}, {_waited_ms(stay)} ms: told is {visit}"

    @staticmethod
    def _matched(stays: list[Stay], rows: list[VisitRow], exact_ms: int) -> list[tuple[Stay, VisitRow]] | None:
        """Which row is of which visit; None if there are more of the one."""
        if len(rows) < len(stays) and _is_glimpse(stays[-1].offer_id, _waited_ms(stays[-1]), exact_ms):
            stays = stays[:-1]
        elif len(rows) > len(stays) and _is_glimpse(rows[-1].offer_id, rows[-1].waited_ms, exact_ms):
            rows = rows[:-1]
        return list(zip(stays, rows, strict=True)) if len(stays) == len(rows) else None

    def _differ(self, stay: Stay, row: VisitRow, exact_ms: int) -> bool:
        difference_ms = row.waited_ms - _waited_ms(stay)
        self.differences.note("wait", difference_ms)
        another_queue = stay.queue not in ("", row.queue)
        return abs(difference_ms) > exact_ms or another_queue or row.offer_id != stay.offer_id


def _answered(call: Call, rows: list[VisitRow], unheard_us: Unheard) -> list[tuple[Stay, VisitRow]]:
    """The first visit, if somebody heard its answer, though not all of the call: since when it waits, the leg says.

    A talk of which nobody heard is none in history: there the next visit need not have begun.
    """
    first = call.stays[0]
    heard = not unheard_us(first.answered_us - AROUND_US, first.bridged_us + AROUND_US)
    return [(first, row) for row in rows if row.sure and heard and row.offer_id == first.offer_id != ""]


def _waited_ms(stay: Stay) -> int:
    until_us = stay.answered_us if stay.offer_id else stay.until_us or stay.from_us
    return (until_us - stay.from_us) // MS


def _is_glimpse(offer_id: str, waited_ms: int, exact_ms: int) -> bool:
    """Whether a call's last visit may be none, or not be seen: the caller was only released there, after their talk."""
    return not offer_id and waited_ms < SHORT_US // MS + exact_ms
