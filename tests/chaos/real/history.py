"""What PostgreSQL has of talks, visits and calls."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.chaos.told import CallRow, TalkRow, Told, VisitRow

# NULL: of a version that noted none.
_SURE = "COALESCE(evidence, 'saw_end') = 'saw_end' AS sure"
_TALKS = f"SELECT offer_id, talked_ms, held_ms, {_SURE} FROM talks"
_VISITS = f"SELECT call_id, n, contact_id, queue, outcome, offer_id, waited_ms, {_SURE} FROM visits"
_CALLS = "SELECT call_id, contact_id, number FROM calls"


def read(connection: psycopg.Connection[dict[str, Any]]) -> Told:
    """All of it."""
    told = Told()
    for row in connection.execute(_TALKS):
        told.talks[row["offer_id"]] = TalkRow(row["talked_ms"] + row["held_ms"], row["held_ms"], row["sure"])
    for row in connection.execute(_CALLS):
        told.calls[row["call_id"]] = CallRow(row["contact_id"], row["number"])
    for row in connection.execute(_VISITS):
        call_id, row["offer_id"] = row.pop("call_id"), row["offer_id"] or ""
        told.visits[call_id].append(VisitRow(**row))
    return told
