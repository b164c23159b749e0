"""Records as rows: which table, which columns, which values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import assert_never

import orjson

from fsacd.core.evidence import standing_in_sql
from fsacd.core.records import (
    AgentPresence,
    AgentStateEnded,
    AgentWorkEnded,
    Anomaly,
    CallConnected,
    CallEnded,
    CallJoined,
    CallMoved,
    ChangeMade,
    DecisionMade,
    LegMeasured,
    LogIn,
    OfferClosed,
    Record,
    StandingLegLost,
    StrategyFailed,
    StrategyReturned,
    TalkEnd,
    TalkEnded,
    TransferKind,
    VisitEnded,
    WrapUpEnded,
)
from fsacd.core.rules import SkillLevels
from fsacd.store.table import Better, Table, table

# Engine milliseconds to Unix milliseconds.
Wall = Callable[[int], int]
# A moment waits as a number: turning a senseless one into a date fails, and must not fail where calls are decided.
# Bytes are a document: JSON that is made already.
Value = str | int | bytes | None
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# PostgreSQL's index entries end near 2,700 bytes; a caller may send 60,000.
TEXT_LIMIT = 256
# What an agent writes of a talk is longer, and in no index.
NOTE_LIMIT = 1_000
_NOTE = f"varchar({NOTE_LIMIT})"
# The types whose values are documents: bytes.
DOCUMENTS = frozenset({"jsonb", "text[]"})
_UNSTORABLE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


CALLS = table(
    "calls",
    "call_id text, queue text, outcome text, detail text, arrived_at timestamptz, ended_at timestamptz, "
    "waited_ms bigint, talked_ms bigint, agent_id text, offers integer, priority integer, number text, name text, "
    "customer text, switch text, leg_uuid text, after text, language text, number_believed boolean, "
    "evidence text, epoch bigint, resumes text, customer_id bigint, contact_id text",
    Better("call_id, month", standing_in_sql),
    by_month=True,
    began="arrived_at",
    month="call_id",
    before=True,
)
VISITS = table(
    "visits",
    "call_id text, n integer, contact_id text, queue text, joined_at timestamptz, ended_at timestamptz, how_in text, "
    "outcome text, detail text, went_to text, waited_ms bigint, offers integer, agent_id text, offer_id text, "
    "answered_at timestamptz, connected_at timestamptz, required text, priority integer, head_start_ms bigint, "
    "named_agent text, language text, service_level_ms bigint, short_abandon_ms bigint, evidence text, epoch bigint",
    Better("call_id, n, month", standing_in_sql),
    by_month=True,
    began="joined_at",
    month="call_id, n",
)
OFFERS = table(
    "offers",
    "offer_id text, call_id text, queue text, agent_id text, attempt integer, outcome text, reason text, "
    "started_at timestamptz, answered_at timestamptz, connected_at timestamptz, ended_at timestamptz, "
    "evidence text, epoch bigint, contact_id text",
    Better("offer_id, month", standing_in_sql),
    by_month=True,
    month="offer_id",
    before=True,
)
TALKS = table(
    "talks",
    "offer_id text, call_id text, visit integer, contact_id text, queue text, agent_id text, started_at timestamptz, "
    "ended_at timestamptz, talked_ms bigint, held_ms bigint, holds integer, consults integer, ended_by text, "
    "transferred_to text, evidence text, epoch bigint, kind text",
    Better("offer_id, month", standing_in_sql),
    by_month=True,
    month="offer_id",
)
LEG_QUALITY = table(
    "leg_quality",
    "leg text, who text, offer_id text, call_id text, ended_at timestamptz, mos integer, packets integer, "
    "flaws integer, jitter_ms integer",
)
AGENT_PRESENCE = table(
    "agent_presence",
    "agent_id text, presence text, reason text, started_at timestamptz, ended_at timestamptz, by text",
    # It is told when it begins, and again when it has ended.
    Better("agent_id, started_at, presence, reason", lambda table: f"({table}.ended_at IS NOT NULL)"),
    by_month=True,
)
AGENT_WORK = table(
    "agent_work",
    "agent_id text, state text, reason text, started_at timestamptz, ended_at timestamptz, by text, offer_id text, "
    "call_id text, queue text, channel text, weight integer",
    by_month=True,
)
LOG_INS = table(
    "log_ins",
    "log_in_id text, agent_id text, contact text, switches text, started_at timestamptz, ended_at timestamptz, "
    "how_begun text, by text, how_ended text, ended_by text",
    # As presences.
    Better("log_in_id, month", lambda table: f"({table}.ended_at IS NOT NULL)"),
    by_month=True,
    month="log_in_id",
)
WRAP_UPS = table(
    "wrap_ups",
    "offer_id text, started_at timestamptz, ended_at timestamptz, agent_id text, call_id text, queue text, "
    "contact_id text, codes text[], note varchar(1000), by text, number text, changes integer",
    # Each change tells the whole anew.
    Better("offer_id, started_at", lambda table: f"({table}.changes)"),
    by_month=True,
)
# Rows that an earlier fsacd has left on disk.
AGENT_STATES = table(
    "agent_states_before",
    "agent_id text, state text, reason text, started_at timestamptz, ended_at timestamptz, by text",
)
DECISIONS = table(
    "decisions",
    "offer_id text, call_id text, number bigint, queue text, agent_id text, at timestamptz, explanation jsonb",
    by_month=True,
    began="at",
    month="offer_id",
    before=True,
)
CHANGES = table("changes", "kind text, subject text, detail text, by text, at timestamptz")


@dataclass(frozen=True, slots=True)
class Row:
    """One row on its way: plain values, moments in Unix milliseconds."""

    table: Table
    values: tuple[Value, ...]

    @property
    def document_bytes(self) -> int:
        """The length of the row's documents."""
        return sum(len(value) for value in self.values if isinstance(value, bytes))

    def fields(self) -> dict[str, object]:
        """The values by column, ready for JSON.

        Raises:
            OverflowError: a moment is outside the calendar.
        """
        columns = self.table.columns
        return {name: _field(kind, value) for (name, kind), value in zip(columns, self.values, strict=True)}


def packed(rows: Sequence[Row]) -> bytes:
    """Rows of one table as the JSON array that `Table.insert` takes.

    JSON, because the driver turns values into text one by one in Python, and holds every call up meanwhile.

    Raises:
        OverflowError: a moment is outside the calendar.
        orjson.JSONEncodeError: a number has more than 64 bits.
    """
    return orjson.dumps([item.fields() for item in rows])


def row(record: Record, wall: Wall) -> Row | None:
    """The row of a record; None for records that only count, and for decisions, whose rows `decision` makes."""
    match record:
        case CallEnded():
            return Row(CALLS, _call(record, wall))
        case VisitEnded():
            return Row(VISITS, _visit(record, wall))
        case OfferClosed():
            return Row(OFFERS, _offer(record, wall))
        case TalkEnded():
            return Row(TALKS, _talk(record, wall))
        case LegMeasured():
            figures = (record.mos_hundredths, record.packets, record.flaws, record.jitter_ms)
            whose = (record.leg, record.who, record.offer_id, record.call_id)
            return Row(LEG_QUALITY, (*whose, wall(record.at_ms), *figures))
        case AgentPresence():
            ended_at = None if record.ended_ms is None else wall(record.ended_ms)
            times = (wall(record.started_ms), ended_at)
            return Row(AGENT_PRESENCE, (record.agent_id, record.presence, record.reason, *times, record.by))
        case LogIn():
            return Row(LOG_INS, _log_in(record, wall))
        case AgentWorkEnded():
            span = (wall(record.started_ms), wall(record.ended_ms))
            what = (record.offer_id, record.call_id, record.queue, record.channel, record.weight)
            return Row(AGENT_WORK, (record.agent_id, record.state, record.reason, *span, record.by, *what))
        case WrapUpEnded():
            return Row(WRAP_UPS, _wrap_up(record, wall))
        case ChangeMade():
            return Row(CHANGES, (record.kind, record.subject, record.detail, record.by, wall(record.at_ms)))
        case (
            CallJoined()
            | CallConnected()
            | CallMoved()
            | DecisionMade()
            | AgentStateEnded()
            | StrategyFailed()
            | StrategyReturned()
            | StandingLegLost()
            | Anomaly()
        ):
            return None
        case _:
            assert_never(record)


def decision(made: DecisionMade, explanation: bytes, wall: Wall) -> Row:
    """The row of a decision with its explanation as JSON."""
    return Row(
        DECISIONS,
        (made.offer_id, made.call_id, made.number, made.queue, made.agent_id, wall(made.at_ms), explanation),
    )


def _call(call: CallEnded, wall: Wall) -> tuple[Value, ...]:
    return (
        call.call_id, call.queue, call.outcome.value, call.detail, wall(call.arrived_ms), wall(call.ended_ms),
        call.waited_ms, call.talked_ms, call.agent_id, call.offers, call.priority, call.number, call.name,
        call.customer, call.switch, call.leg_uuid, call.after, call.language, call.number_believed,
        call.evidence.value, call.epoch, call.resumes, call.customer_id or None,
        call.contact_id,
    )  # fmt: skip


def _visit(ended: VisitEnded, wall: Wall) -> tuple[Value, ...]:
    visit = ended.visit
    return (
        ended.call_id, visit.n, ended.contact_id, visit.queue, wall(visit.joined_ms), wall(ended.ended_ms),
        visit.how_in.value, ended.outcome.value, ended.detail, ended.to, ended.waited_ms, ended.offers,
        ended.agent_id, ended.offer_id,
        None if ended.answered_ms is None else wall(ended.answered_ms),
        None if ended.connected_ms is None else wall(ended.connected_ms),
        _levels(visit.required), visit.priority, visit.head_start_ms, visit.named_agent, visit.language,
        visit.service_level_ms, visit.short_abandon_ms, ended.evidence.value, ended.epoch,
    )  # fmt: skip


def _levels(skills: SkillLevels) -> str:
    """As the dialplan's fsacd_skills has them: `french:3,german:10`. What does not fit is cut, behind a whole skill."""
    text = ",".join(f"{skill}:{level}" for skill, level in skills)
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 3].rpartition(',')[0]},..."


def _offer(offer: OfferClosed, wall: Wall) -> tuple[Value, ...]:
    return (
        offer.offer_id, offer.call_id, offer.queue, offer.agent_id, offer.attempt, offer.outcome.value, offer.reason,
        wall(offer.started_ms),
        None if offer.answered_ms is None else wall(offer.answered_ms),
        None if offer.connected_ms is None else wall(offer.connected_ms),
        wall(offer.ended_ms), offer.evidence.value, offer.epoch, offer.contact_id,
    )  # fmt: skip


def _talk(ended: TalkEnded, wall: Wall) -> tuple[Value, ...]:
    talked_ms = max(0, ended.ended_ms - ended.started_ms - ended.held_ms)
    return (
        ended.offer_id, ended.call_id, ended.visit, ended.contact_id, ended.queue, ended.agent_id,
        wall(ended.started_ms), wall(ended.ended_ms), talked_ms, ended.held_ms, ended.holds, ended.consults,
        ended.ended_by.value, ended.to, ended.evidence.value, ended.epoch,
        kind_of(ended.kind, ended.ended_by),
    )  # fmt: skip


def kind_of(kind: str, ended_by: str) -> str:
    """How the caller was given away. An earlier fsacd did not say so; its agents could do so only after consulting."""
    return str(TransferKind.ATTENDED) if not kind and ended_by == TalkEnd.TRANSFER else str(kind)


def _log_in(told: LogIn, wall: Wall) -> tuple[Value, ...]:
    return (
        told.log_in_id, told.agent_id, told.contact, ",".join(told.switches), wall(told.started_ms),
        None if told.ended_ms is None else wall(told.ended_ms),
        told.how_begun.value, told.by, told.how_ended.value if told.how_ended is not None else "", told.ended_by,
    )  # fmt: skip


def _wrap_up(told: WrapUpEnded, wall: Wall) -> tuple[Value, ...]:
    return (
        told.offer_id, wall(told.started_ms), wall(told.ended_ms), told.agent_id, told.call_id, told.queue,
        told.contact_id, orjson.dumps(told.codes), told.note, told.by, told.number, told.changes,
    )  # fmt: skip


def limit_of(kind: str) -> int:
    """How many characters a column of this type holds."""
    return NOTE_LIMIT if kind == _NOTE else TEXT_LIMIT


def _field(kind: str, value: Value) -> object:
    match value:
        case str():
            return clean(value, limit_of(kind))
        case bytes():
            return orjson.Fragment(value)
        case int() if kind == "timestamptz":
            return _EPOCH + timedelta(milliseconds=value)
        case _:
            return value


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text that PostgreSQL can hold: no NUL, no half of a surrogate pair, not longer than `limit` characters."""
    short = text[:limit]
    # Nearly every text is clean, and the translation below looks at each letter.
    if short.isascii() and "\0" not in short:
        return short
    return short.translate(_UNSTORABLE)
