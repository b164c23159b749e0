"""The tables of talks and visits in which daemons of a schedule write: of two rows of one the better one stays."""

from __future__ import annotations

from collections.abc import Iterable

from fsacd.core.evidence import Evidence, standing
from fsacd.core.records import CallEnded, Record, TalkEnded, VisitEnded
from tests.chaos.told import CallRow, TalkRow, Told, VisitRow


class Rows:
    """By what is their key in the database."""

    def __init__(self) -> None:
        self.talks: dict[str, TalkEnded] = {}
        self._visits: dict[tuple[str, int], VisitEnded] = {}

    def write(self, new: Record) -> None:
        """What a daemon tells; other records are left alone."""
        if isinstance(new, TalkEnded):
            old = self.talks.get(new.offer_id)
            self.talks[new.offer_id] = new if old is None or _better(new, old) else old
        elif isinstance(new, VisitEnded):
            key = new.call_id, new.visit.n
            before = self._visits.get(key)
            self._visits[key] = new if before is None or _better(new, before) else before

    def told(self, calls: Iterable[CallEnded]) -> Told:
        """All of it."""
        told = Told(calls={call.call_id: CallRow(call.contact_id, call.number) for call in calls})
        for offer_id, talk in self.talks.items():
            told.talks[offer_id] = TalkRow(talk.ended_ms - talk.started_ms, talk.held_ms, _sure(talk))
        for (call_id, n), row in self._visits.items():
            outcome, offer_id = str(row.outcome), row.offer_id or ""
            visit = VisitRow(n, row.contact_id, row.visit.queue, outcome, offer_id, row.waited_ms, _sure(row))
            told.visits[call_id].append(visit)
        return told


def _better(new: TalkEnded | VisitEnded, old: TalkEnded | VisitEnded) -> bool:
    return standing(new.evidence, new.epoch, new.ended_ms) > standing(old.evidence, old.epoch, old.ended_ms)


def _sure(row: TalkEnded | VisitEnded) -> bool:
    return row.evidence is Evidence.SAW_END
