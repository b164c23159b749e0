"""A history as a version wrote it that had no months: many calls, each with its offer and its decision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from fsacd.store import migrate as migrating
from fsacd.store.migrate import Migration, available, migrate

# The first version with months for calls.
MONTHS: Final = 18
_BASE: Final = """
    FROM (SELECT i, timestamptz '2025-11-03 08:00Z' + make_interval(secs => i * 31536000.0 / {calls}) AS began
        FROM generate_series(1, {calls}) i) base
"""
_MANY: Final = (
    """INSERT INTO calls (call_id, queue, outcome, detail, arrived_at, ended_at, waited_ms, talked_ms, agent_id, offers,
        priority, number, name, customer, switch, leg_uuid, after)
    SELECT md5('c' || i), 'support', 'answered', '', began, began + interval '65 s', 4000, 60000, 'anna', 1, 0,
        '+4930' || lpad(mod(i, 10000000)::text, 7, '0'), 'Caller ' || i, '', 'fs1', 'leg-' || i, ''""",
    """INSERT INTO offers (offer_id, call_id, queue, agent_id, attempt, outcome, reason, started_at, ended_at)
    SELECT md5('o' || i), md5('c' || i), 'support', 'anna', 1, 'answered', 'talk', began, began + interval '65 s'""",
    # They are kept for a month.
    """INSERT INTO decisions (offer_id, call_id, number, queue, agent_id, at, explanation)
    SELECT md5('o' || i), md5('c' || i), i, 'support', 'anna', began, '{{"chosen": "anna", "sentence": "idle longest"}}'
    """,
)


def fill(connection: psycopg.Connection, calls: int, *, decisions: int | None = None) -> None:
    """Fill it with this many calls of a year, and with the decisions of the first of them; None: of all."""
    for statement in _MANY[:2]:
        connection.execute((statement + _BASE).format(calls=calls).encode())
    last = calls if decisions is None else decisions
    connection.execute((_MANY[2] + _BASE + " WHERE i <= {last}").format(calls=calls, last=last).encode())


def sums(connection: psycopg.Connection) -> dict[str, tuple[object, ...]]:
    """Of each table the number of rows and a sum over all that is in them, wherever the rows lie."""
    found = {}
    for table in ("calls", "offers", "decisions"):
        query = f"SELECT count(*), sum(hashtextextended((to_jsonb(t) - 'month')::text, 0)) FROM {table} t"
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        found[table] = row
    return found


def without_months(connection: psycopg.Connection) -> None:
    """Make the tables of the version before."""
    with older(MONTHS):
        migrate(connection)


@contextmanager
def older(version: int) -> Iterator[None]:
    """Know the migrations before this one alone."""
    every = available
    try:
        migrating.available = lambda: _before(every(), version)
        yield
    finally:
        migrating.available = every


def _before(known: list[Migration], version: int) -> list[Migration]:
    return [one for one in known if one.version < version]
