"""Partitions by month: made ahead of time, and for whatever month a row belongs to; old months are dropped whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg

from fsacd.store.rows import (
    AGENT_PRESENCE,
    AGENT_WORK,
    CALLS,
    DECISIONS,
    LOG_INS,
    OFFERS,
    TALKS,
    VISITS,
    WRAP_UPS,
    Row,
)
from fsacd.store.table import BEFORE

TABLES: Final = tuple(
    table.name for table in (AGENT_PRESENCE, AGENT_WORK, CALLS, DECISIONS, LOG_INS, OFFERS, TALKS, VISITS, WRAP_UPS)
)
# This month and the next ones, so that no row has to wait for its partition.
_AHEAD: Final = 3
_MONTH: Final = timedelta(days=31)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# A table and the first day of a month.
Partition = tuple[str, datetime]


def of_rows(rows: Iterable[Row]) -> frozenset[Partition]:
    """The partitions that these rows need.

    Raises:
        OverflowError: a moment is outside the calendar.
    """
    return frozenset(_of(row) for row in rows if row.table.by_month)


def _of(row: Row) -> Partition:
    # By name, not by place: a table may grow in front of it.
    names = [name for name, _ in row.table.columns]
    began_ms = row.values[names.index(row.table.began)]
    assert isinstance(began_ms, int)
    month = _first_day(_EPOCH + timedelta(milliseconds=began_ms))
    if month == BEFORE:
        raise OverflowError("this month is kept for rows of before")
    return row.table.name, month


def ahead(now: datetime) -> frozenset[Partition]:
    """The partitions of this month and of the next ones; `now` is in UTC."""
    months = [_first_day(now)]
    while len(months) < _AHEAD:
        months.append(_first_day(months[-1] + _MONTH))
    return frozenset((table, month) for table in TABLES for month in months)


def months(first: datetime, last: datetime) -> list[datetime]:
    """The first days of all months from that of the one moment to that of the other, in UTC."""
    found = [_first_day(first.astimezone(UTC))]
    while (following := _first_day(found[-1] + _MONTH)) <= last:
        found.append(following)
    return found


def make(connection: psycopg.Connection, partitions: Iterable[Partition]) -> None:
    """Make those of them that are missing.

    Raises:
        psycopg.Error: the database refused.
    """
    for table, month in sorted(partitions):
        connection.execute("SELECT fsacd_partition(%s, %s)", (table, month))


def is_there(connection: psycopg.Connection, partition: Partition) -> bool:
    """Whether somebody has made it.

    Raises:
        psycopg.Error: the database refused.
    """
    table, month = partition
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{table}_{month:%Y_%m}",)).fetchone()
    return found is not None and bool(found[0])


# Whoever moves rows between partitions holds it alone; who writes or erases them holds it with others. A statement that
# began before a row was moved would find it neither where it was nor where it is.
STAY: Final = "pg_advisory_xact_lock_shared(hashtext('fsacd_move'))"
MOVE: Final = "pg_advisory_xact_lock(hashtext('fsacd_move'))"


def stay(connection: psycopg.Connection) -> None:
    """No row goes into another partition until this transaction ends; those that are moved just now are waited for.

    Raises:
        psycopg.Error: the database refused.
    """
    connection.execute(f"SELECT {STAY}".encode())


def forget(connection: psycopg.Connection, table: str, age_ms: int, most: int, spared: Sequence[str] = ()) -> int:
    """Drop the months that are older, and delete at most so many rows of the month in between. Returns their number.

    Rows of the calls with the ids in `spared` stay; of a month with such a row at most so many others are deleted.

    Raises:
        psycopg.Error: the database refused.
    """
    age = "now() - make_interval(secs => %s / 1000.0)"
    query = f"SELECT fsacd_forget(%s, {age}, %s)"
    values: tuple[object, ...] = (table, age_ms, most)
    if spared:
        query, values = f"SELECT fsacd_forget(%s, {age}, %s, %s)", (*values, list(spared))
    found = connection.execute(query.encode(), values).fetchone()
    return int(found[0]) if found is not None else 0


def _first_day(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
