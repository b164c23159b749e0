"""A history as a version wrote it that had no months: many calls, each with its offer and its decision."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import psycopg

from fsacd.store import migrate as migrating
from fsacd.store.migrate import Migration, available, migrate

# The first version with months for calls.
MONTHS: Final = 18
YEAR_MS: Final = 31_536_000_000
# The moment at which the year begins of which it has the calls.
BEGAN: Final = datetime(2025, 11, 3, 8, tzinfo=UTC)
_BASE: Final = f"""
    FROM (SELECT i,
        timestamptz '{BEGAN:%Y-%m-%d %H:%M}Z' + (i::bigint * {YEAR_MS} / {{calls}}) * interval '1 ms' AS began
        FROM generate_series(1, {{calls}}) i) base
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
# What `fill` fills.
_COLUMNS: Final = {
    found[1]: found[2] for found in (re.match(r"INSERT INTO (\w+) \(([^)]*)\)", text) for text in _MANY) if found
}


def fill(connection: psycopg.Connection, calls: int, *, decisions: int | None = None) -> None:
    """Fill it with this many calls of a year, and with the decisions of the first of them; None: of all."""
    for statement in _MANY[:2]:
        connection.execute((statement + _BASE).format(calls=calls).encode())
    last = calls if decisions is None else decisions
    connection.execute((_MANY[2] + _BASE + " WHERE i <= {last}").format(calls=calls, last=last).encode())


def began_ms(number: int, calls: int) -> int:
    """The Unix time at which the call of this number arrived, of so many."""
    return round(BEGAN.timestamp() * 1_000) + number * YEAR_MS // calls


def md5(text: str) -> str:
    """As PostgreSQL has it: the id of the call of number 7 is that of c7."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sums(connection: psycopg.Connection) -> dict[str, tuple[object, ...]]:
    """Of each table the number of rows of `fill` and a sum over all that is in them, wherever the rows lie."""
    found = {}
    for table, columns in _COLUMNS.items():
        filled = f"length({columns.partition(',')[0]}) = 32"
        query = f"SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)) FROM {table} WHERE {filled}"
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
