"""Puts rows of versions before there were months into their months: in the background, a few pages at a time.

Calls, offers and decisions of before lie in a partition of their own, `calls_before` and so on, where everybody reads
them. A row is taken out there and put into its month in one statement, so that it is never missing and never twice,
and whoever is killed in the middle of that has changed nothing. Rows that another program writes without a month come
there, too, and are moved likewise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, timedelta
from functools import partial
from typing import Final, TypeVar

import gevent
import psycopg
import structlog

from fsacd.store import partitions
from fsacd.store.connecting import GRACE_MS, connect_migrated, limit_statements
from fsacd.store.rows import CALLS, DECISIONS, OFFERS
from fsacd.store.settings import StoreSettings
from fsacd.store.table import Table, first_day
from fsacd.store.worker import Worker

T = TypeVar("T")

_log = structlog.get_logger(__name__)

# Calls first: most is asked of them.
TABLES: Final = (CALLS, OFFERS, DECISIONS)
_EVERY_S: Final = 3_600.0
_FIRST_S: Final = 5.0
# Who writes waits while rows are moved: that takes about so long, and then as long is rested.
_AT_ONCE_S: Final = 0.2
_MOST_PAGES: Final = 256
_SHORTEST_REST_S: Final = 0.02
# Before it is tried again: others hold the lock, or a month has been made.
_PAUSE_S: Final = 1.0
# Rows of a clock that was wrong may seem to be older than any call centre.
_LONGEST_HISTORY: Final = timedelta(days=20 * 366)
_TELL_S: Final = 30.0
# For so many pages it is looked at once whether they have rows to move.
LOOK_PAGES: Final = 8_192
# A row is in one of both places, whatever the end of a server loses; and nobody is kept waiting for a lock.
_CAREFULLY: Final = "SELECT set_config('lock_timeout', '500ms', true), set_config('synchronous_commit', 'off', true)"
# Along an index the first row that is found may be on the last page.
_PAGE_BY_PAGE: Final = """
    SELECT set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true), set_config('synchronize_seqscans', 'off', true)
"""
_COLUMNS: Final = """
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> 'month'
"""
# A month outside of these years has no partition.
_CALENDAR: Final = "BETWEEN '1000-02-01 00:00Z' AND '9998-12-31 00:00Z'"


class Moving:
    """One greenlet that moves rows, first after `first_s` seconds and then every `every_s` seconds."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        first_s: float = _FIRST_S,
        every_s: float = _EVERY_S,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._settings = settings
        self._pause_s = pause_s
        self._every_s = every_s
        self._pages = 8
        self._worker = Worker(
            "months", "history of before cannot be put into its months", settings, self._work, first_s=first_s
        )

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End at once; what is not moved by then is moved after the next start."""
        self._worker.stop()

    def _work(self, succeeded: Callable[[], None]) -> None:
        with closing(connect_migrated(self._settings.dsn, self._settings.statement_timeout_ms, "fsacd months")) as one:
            for table in TABLES:
                # Who is erased meanwhile may come to lie on a page that was passed.
                while (page := self._next(one, table, 0)) is not None:
                    self._move_all(one, table, page, succeeded)
        succeeded()
        gevent.sleep(self._every_s)

    def _move_all(
        self, connection: psycopg.Connection, table: Table, first: int, succeeded: Callable[[], None]
    ) -> None:
        """Move the rows from this page on, a few pages at a time.

        Raises:
            psycopg.Error, gevent.Timeout: the database is away or too slow; what was moved by then is moved.
        """
        began = told = time.monotonic()
        page: int | None = first
        rows = 0
        _log.info("history of before goes into its months", table=table.name)
        # All at once, so that one pause is enough; a month that is missing all the same is made when it is needed.
        self._bounded(partial(_make_months, connection, table))
        gevent.sleep(self._pause_s)
        while page is not None:
            since = time.monotonic()
            some, moved = self._move_some(connection, table, page)
            rows += moved
            succeeded()
            page = self._next(connection, table, page + some)
            now = time.monotonic()
            if now - told > _TELL_S:
                told = now
                of = self._bounded(partial(_pages, connection, table))
                _log.info("history of before goes into its months", table=table.name, rows=rows, page=page, of=of)
            # Half of the time is for others.
            gevent.sleep(max(now - since, _SHORTEST_REST_S))
        seconds = round(time.monotonic() - began, 1)
        _log.info("history of before is in its months", table=table.name, rows=rows, seconds=seconds)

    def _next(self, connection: psycopg.Connection, table: Table, page: int) -> int | None:
        """The first page from this one on that has a row to move; None: there is none. Raises as `_move_all`."""
        pages = self._bounded(partial(_pages, connection, table))
        while page < pages:
            look = partial(first_to_move, connection, table, page, self._settings.statement_timeout_ms)
            if (found := self._bounded(look)) is not None:
                return found
            page += LOOK_PAGES
        return None

    def _move_some(self, connection: psycopg.Connection, table: Table, page: int) -> tuple[int, int]:
        """Move the rows from this page on; of how many pages, and how many rows. Raises as `_move_all`."""
        some, timeout_ms, began = self._pages, self._settings.statement_timeout_ms, time.monotonic()
        try:
            moved = self._bounded(partial(move, connection, table, page, some, timeout_ms))
        except psycopg.errors.LockNotAvailable:
            moved = -1
        except (psycopg.Error, gevent.Timeout):
            self._pages = max(1, some // 2)
            raise
        if moved < 0:
            gevent.sleep(self._pause_s)
            return 0, 0
        took_s = time.monotonic() - began
        if took_s > 2 * _AT_ONCE_S:
            self._pages = max(1, some // 2)
        elif moved and took_s < _AT_ONCE_S / 2:
            self._pages = min(_MOST_PAGES, some * 2)
        return some, moved

    def _bounded(self, act: Callable[[], T]) -> T:
        # To look, to make months, to move: each has its own time on the server.
        with gevent.Timeout((3 * self._settings.statement_timeout_ms + GRACE_MS) / 1_000):
            return act()


def _pages(connection: psycopg.Connection, table: Table) -> int:
    query = "SELECT pg_relation_size(%s) / current_setting('block_size')::bigint"
    with connection.transaction():
        found = connection.execute(query, (f"{table.name}_before",)).fetchone()
    return int(found[0]) if found is not None else 0


def _make_months(connection: psycopg.Connection, table: Table) -> None:
    query = f"SELECT min({table.began}), max({table.began}) FROM {table.name}_before WHERE {table.began} {_CALENDAR}"  # noqa: S608 - texts of this module
    with connection.transaction():
        first, last = connection.execute(query.encode()).fetchone() or (None, None)
        if first is not None and last - first < _LONGEST_HISTORY:
            partitions.make(connection, {(table.name, month) for month in partitions.months(first, last)})


def first_to_move(connection: psycopg.Connection, table: Table, page: int, timeout_ms: int) -> int | None:
    """The first page with a row of before to move, of `LOOK_PAGES` from this one on; None: there is none.

    Raises:
        psycopg.Error: the database refused.
    """
    # What was moved leaves empty pages, until the server clears up: they are passed over without a rest.
    query = f"SELECT (ctid::text::point)[0]::bigint {_on_pages(table)} LIMIT 1"
    with connection.transaction():
        limit_statements(connection, timeout_ms, idle_ms=timeout_ms + GRACE_MS)
        connection.execute(_PAGE_BY_PAGE)
        found = connection.execute(query.encode(), _span(page, LOOK_PAGES)).fetchone()
    return int(found[0]) if found is not None else None


def _on_pages(table: Table) -> str:
    return f"FROM {table.name}_before WHERE ctid >= %s::tid AND ctid < %s::tid AND {table.began} {_CALENDAR}"


def _span(page: int, pages: int) -> tuple[str, str]:
    return f"({page},0)", f"({page + pages},0)"


def move(connection: psycopg.Connection, table: Table, page: int, pages: int, timeout_ms: int) -> int:
    """Put the rows of so many pages of what was before into their months, all or none; returns how many there were.

    If one of their months is not there yet, it is made, and -1 is returned: to be called again in a second. A query
    that was planned before there was that month, and began after the move, would find the rows in neither place.

    Raises:
        psycopg.errors.LockNotAvailable: somebody writes or erases for longer than may be waited; none was moved.
        psycopg.Error: the database refused; none was moved.
    """
    span, ours = _span(page, pages), _on_pages(table)
    with connection.transaction():
        limit_statements(connection, timeout_ms, idle_ms=timeout_ms + GRACE_MS)
        connection.execute(_CAREFULLY)
        found = connection.execute(f"SELECT DISTINCT {first_day(table.began)} {ours}".encode(), span).fetchall()
        if not found:
            return 0
        connection.execute(f"SELECT {partitions.MOVE}".encode())
        months = {(table.name, month.astimezone(UTC)) for (month,) in found}
        if missing := {one for one in months if not partitions.is_there(connection, one)}:
            partitions.make(connection, missing)
            return -1
        names = _columns(connection, table)
        statement = f"""
            WITH t AS (DELETE {ours} RETURNING {names}), put AS (
                INSERT INTO {table.name} ({names}, month)
                SELECT {names}, {table.month_of_t(is_moved=True)} FROM t ON CONFLICT {table.conflict}
            ) SELECT count(*) FROM t
        """  # noqa: S608 - texts of this module, and columns of the table
        moved = connection.execute(statement.encode(), span).fetchone()
    return int(moved[0]) if moved is not None else 0


def _columns(connection: psycopg.Connection, table: Table) -> str:
    """All columns but the month, also those that others have added. Raises psycopg.Error."""
    found = connection.execute(_COLUMNS, (table.name,)).fetchone()
    assert found is not None, "an aggregate is one row"
    return str(found[0])
