"""What the records of a run say of stays in queues, counted by what joined, moved, was put back and ended.

It knows nothing of how visits are kept: from all other records it says which stays there were, and holds the visits
that were told against them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fsacd.core import records as r
from fsacd.core.evidence import standing

# An ended call is forgotten after so long: whoever comes with its id then is new.
FORGOTTEN_MS = 600_000
# Its end is another daemon's affair: what comes back is new to this one.
ELSEWHERE = "served_elsewhere"


@dataclass
class Stay:
    """The stay of a call in a queue, as it goes on."""

    numbers: set[int]  # which of the call's visits it may be
    queue: str
    talks_with: str | None = None
    decisions: int = 0
    touches_ms: int | None = None  # when the stay before ended; None: there was none, as far as this engine knows


@dataclass
class Stays:
    """Counts the stays, and judges the visits."""

    open: dict[str, Stay] = field(default_factory=dict)
    told: dict[str, r.VisitEnded] = field(default_factory=dict)  # by call: the visit that was told last
    ended: dict[str, r.CallEnded] = field(default_factory=dict)
    stays: int = 0  # all that have ended
    rows: dict[tuple[str, int], r.VisitEnded] = field(default_factory=dict)  # as history has them in the end
    ways: set[tuple[str, str]] = field(default_factory=set)

    def take(self, records: Iterable[r.Record]) -> None:
        """The records of one step, in their order. AssertionError for a visit that is not what happened."""
        for record in records:
            match record:
                case r.CallJoined(call_id, queue):
                    self._joined(call_id, queue, record.at_ms)
                case r.CallMoved(call_id, from_queue, to_queue, at_ms):
                    self._moved(call_id, from_queue, to_queue, at_ms)
                case r.ChangeMade("call_moved", call_id, detail):
                    self._put_back(call_id, detail, record.at_ms)
                case r.DecisionMade():
                    self.open[record.call_id].decisions += 1
                case r.CallConnected():
                    self.open[record.call_id].talks_with = record.agent_id
                case r.OfferClosed(reason="bridge_window"):
                    stay = self.open.get(record.call_id)
                    if stay is not None and stay.talks_with == record.agent_id:
                        stay.talks_with = None  # it was no talk
                case r.VisitEnded():
                    self._visit(record)
                case r.CallEnded():
                    self._ended(record)
                case _:
                    pass

    def _joined(self, call_id: str, queue: str, at_ms: int) -> None:
        if call_id in self.open:
            assert self.open[call_id].queue == queue, f"{call_id} joins {queue}, and stands elsewhere"
            return
        before, last = self.ended.get(call_id), self.told.get(call_id)
        numbers, touches_ms = {1}, None
        if before is not None and last is not None and before.detail != ELSEWHERE:
            same = last.visit.queue == queue
            numbers = {last.visit.n} if same else {last.visit.n + 1}
            touches_ms = None if same else last.ended_ms
            if at_ms - before.ended_ms >= FORGOTTEN_MS:
                numbers, touches_ms = numbers | {1}, None
        self.open[call_id] = Stay(numbers, queue, touches_ms=touches_ms)

    def _moved(self, call_id: str, from_queue: str, to_queue: str, at_ms: int) -> None:
        last = self.told[call_id]
        assert last.ended_ms == at_ms
        assert last.to == f"queue {to_queue}", f"{call_id} moves to {to_queue}, its visit ended for {last.to}"
        # Who talks keeps the name that the queue had when they joined.
        assert last.visit.queue == from_queue or last.outcome == "answered"
        self._next(call_id, to_queue)

    def _put_back(self, call_id: str, detail: str, at_ms: int) -> None:
        before, _, after = detail.partition(" to ")
        last = self.told.get(call_id)
        if before == after and last is not None and call_id not in self.open and last.ended_ms == at_ms:
            self._next(call_id, after)

    def _next(self, call_id: str, queue: str) -> None:
        assert call_id not in self.open, f"{call_id} moves, and its visit has not ended"
        last = self.told[call_id]
        self.open[call_id] = Stay({last.visit.n + 1}, queue, touches_ms=last.ended_ms)

    def _visit(self, record: r.VisitEnded) -> None:
        stay, visit = self.open.pop(record.call_id), record.visit
        assert visit.n in stay.numbers, f"visit {visit.n} of {record.call_id}, not one of {stay.numbers}"
        assert visit.queue == stay.queue
        assert stay.touches_ms is None or visit.joined_ms >= stay.touches_ms
        assert (visit.how_in == "direct") <= (visit.n == 1)
        assert visit.joined_ms <= record.ended_ms
        assert 0 <= record.waited_ms <= record.ended_ms - visit.joined_ms
        assert (record.outcome == "answered") == (stay.talks_with is not None), f"{record} of {stay}"
        assert record.agent_id == stay.talks_with
        assert record.offers >= stay.decisions
        assert (record.connected_ms is None) == (record.offer_id is None) == (record.agent_id is None)
        self.told[record.call_id] = record
        self.stays += 1
        self.ways |= {("in", visit.how_in), ("out", record.outcome)}
        key = (record.call_id, visit.n)
        other = self.rows.get(key)
        if other is None or _standing(record) > _standing(other):
            self.rows[key] = record

    def _ended(self, record: r.CallEnded) -> None:
        assert record.call_id not in self.open, f"{record.call_id} ends, its visit does not"
        self.ended[record.call_id] = record
        if record.outcome is r.CallOutcome.REFUSED:
            self.told.pop(record.call_id, None)
            return
        last = self.told[record.call_id]
        assert (last.ended_ms, last.outcome.value, last.detail) == (
            record.ended_ms,
            record.outcome.value,
            record.detail,
        )
        assert (last.evidence, last.epoch) == (record.evidence, record.epoch)
        if last.visit.n == 1 and last.visit.joined_ms == record.arrived_ms:
            assert last.waited_ms == record.waited_ms


def _standing(record: r.VisitEnded) -> tuple[int, ...]:
    return standing(record.evidence, record.epoch, record.ended_ms)
