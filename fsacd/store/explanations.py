"""Keeps why each agent was chosen: decisions are explained in the background, and the explanations are stored.

The engine notes a decision briefly, and can explain it in full for a while. A sink takes the notes; one greenlet asks
for the explanations, a little at a time, and makes rows of them. Decisions with which it cannot keep up are dropped and
counted: a call never waits for its explanation.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import orjson
import structlog
from gevent.event import Event

from fsacd.core.old_names import before
from fsacd.core.records import DecisionMade, Record
from fsacd.core.views import Explanation, RankedAgent
from fsacd.runtime import watched
from fsacd.runtime.pace import Pace
from fsacd.store.rows import Row, Wall, clean, decision

log = structlog.get_logger(__name__)

# An explanation is made in parts, between which calls get their turn. It ends with the explanation, or with None if the
# engine has forgotten the decision.
InParts = Generator[None, None, Explanation | None]
# (number of a decision) -> the engine's explanation, whole or in parts.
Explain = Callable[[int], Explanation | InParts | None]
Keep = Callable[[Sequence[Row]], None]

# How many agents of a large queue are written out; the others are counted, by reason.
AGENTS = 100
_SENTENCE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ExplainerState:
    """Decisions since the start.

    Counts decisions that wait to be explained, that were explained, that the engine had forgotten by then, that were
    dropped for want of room, and whose explanation failed by a fault of ours.
    """

    queued: int
    explained: int
    forgotten: int
    dropped: int
    failed: int


class Explainer:
    """Turns decisions into rows. `wall` turns engine milliseconds into Unix milliseconds; `limit` counts decisions."""

    def __init__(self, explain: Explain, keep: Keep, wall: Wall, *, limit: int = 10_000) -> None:
        self._explain = explain
        self._keep = keep
        self._wall = wall
        self._limit = limit
        self._decisions: deque[DecisionMade] = deque()
        self._counts: Counter[str] = Counter()
        self._overflowing = False
        self._stopping = False
        self._wake = Event()
        self._pace = Pace(answer=False)
        self._worker: gevent.Greenlet[[], None] | None = None

    def sink(self, records: Sequence[Record]) -> None:
        """Take the decisions among the records; neither blocks nor yields. A sink of the runtime."""
        for record in records:
            if isinstance(record, DecisionMade):
                self._take(record)
        if self._decisions and not self._wake.is_set():
            self._wake.set()

    def start(self) -> None:
        """Begin to explain; decisions taken before wait."""
        if self._worker is None:
            self._worker = watched.keep("explainer", self._run, may_end=lambda: self._stopping)

    def stop(self, patience_ms: int = 1_000) -> int:
        """Explain what waits for at most `patience_ms`, end, and return how many decisions stay unexplained.

        Comes before the store's own end, which writes what this has handed to it.
        """
        self._stopping = True
        self._wake.set()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.join(patience_ms / 1_000)
            worker.kill(timeout=1)
        if self._decisions:
            log.warning(
                "decisions are not kept in history: there was no time to explain them", decisions=len(self._decisions)
            )
        return len(self._decisions)

    def state(self) -> ExplainerState:
        """A picture for the metrics."""
        counts = self._counts
        return ExplainerState(
            len(self._decisions), counts["explained"], counts["forgotten"], counts["dropped"], counts["failed"]
        )

    def _take(self, made: DecisionMade) -> None:
        if len(self._decisions) < self._limit:
            self._decisions.append(made)
            return
        self._counts["dropped"] += 1
        if not self._overflowing:
            self._overflowing = True
            log.warning(
                "decisions come faster than they can be explained; until that has ended, some are not kept in history",
                limit=self._limit,
            )

    def _run(self) -> None:
        while True:
            self._pace = Pace(answer=False)
            while self._decisions:
                made = self._row(self._decisions.popleft())
                if made is not None:
                    self._keep((made,))
                self._pace.rest_if_due()
            self._overflowing = False
            if self._stopping:
                return
            self._wake.clear()
            self._wake.wait()

    def _row(self, made: DecisionMade) -> Row | None:
        try:
            told = self._told(made.number)
            if told is None:
                self._counts["forgotten"] += 1
                return None
            row = decision(made, orjson.dumps(document(told, self._wall)), self._wall)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others shall be explained
            self._counts["failed"] += 1
            watched.caught("explainer", error)
            return None
        self._counts["explained"] += 1
        return row

    def _told(self, number: int) -> Explanation | None:
        told = self._explain(number)
        return self._pace.whole(told) if isinstance(told, Generator) else told


def document(told: Explanation, wall: Wall) -> dict[str, Any]:
    """An explanation as the API shows it and the store keeps it (`fsacd.http.models.Explanation`).

    Raises:
        OverflowError: a moment is outside the calendar.
    """
    at = (_EPOCH + timedelta(milliseconds=wall(told.at_ms))).isoformat(timespec="milliseconds")
    return {
        "decision": told.decision,
        "at": at.replace("+00:00", "Z"),
        "queue": clean(told.queue),
        "chosen": None if told.chosen is None else clean(told.chosen),
        "strategy": clean(told.strategy),
        "sentence": clean(told.sentence, _SENTENCE),
        "priority": told.priority,
        "required_skills": {clean(skill): level for skill, level in told.required},
        "waited_seconds": max(0, told.waited_ms) / 1_000,
        "eligible": [_eligible(agent) for agent in told.eligible[:AGENTS]],
        "eligible_total": len(told.eligible),
        "not_rung": [
            {"agent": clean(agent.agent_id), "why": agent.why.value, "detail": clean(agent.detail)}
            for agent in told.rejected[:AGENTS]
        ],
        "not_rung_total": len(told.rejected),
        "reasons": dict(Counter(agent.why.value for agent in told.rejected)),
        "candidates": told.candidates,
        "shown": told.shown,
        "contact_id": clean(told.contact_id),
    }


def _eligible(agent: RankedAgent) -> dict[str, Any]:
    return {
        "agent": clean(agent.agent_id),
        "missed": agent.missed,
        # The API has this field, too; and a daemon of the previous version may share this history, or replace this one.
        before("Eligible", "missed"): agent.missed,
        "rank": agent.rank,
        "level": agent.level,
        "key": [_part(part) for part in agent.key],
    }


def _part(part: float) -> float | str:
    """A part of a key; JSON knows no infinity."""
    if part == float("inf"):
        return "infinity"
    return "-infinity" if part == float("-inf") else part
