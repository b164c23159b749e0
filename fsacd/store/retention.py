"""Deletes history that is older than it may be kept: in the background, a few rows at a time.

Several daemons on one database do not disturb each other: each takes rows that no other is deleting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import gevent
import psycopg
import structlog

from fsacd.store import holds, partitions
from fsacd.store.connecting import GRACE_MS, connect_migrated, limit_statements
from fsacd.store.persons import CONDITIONS, Person, calls_of, person
from fsacd.store.rows import CALLS, DECISIONS, OFFERS, TALKS, VISITS, WRAP_UPS
from fsacd.store.settings import StoreSettings
from fsacd.store.worker import Worker

T = TypeVar("T")

_log = structlog.get_logger(__name__)

# How often old rows are looked for, and how long after a start: at the start other questions are more urgent.
_EVERY_S = 3_600.0
_FIRST_S = 60.0
# Rows in one transaction, and the pause between two, so that the database has time for others: 50,000 rows a minute.
_ROWS = 500
_REST_S = 0.6


class Retention:
    """One greenlet that deletes, first after `first_s` seconds and then every `every_s` seconds."""

    def __init__(self, settings: StoreSettings, *, first_s: float = _FIRST_S, every_s: float = _EVERY_S) -> None:
        self._settings = settings
        self._every_s = every_s
        self._timeout_ms = settings.statement_timeout_ms
        self._worker = Worker(
            "retention", "history that is too old cannot be deleted", settings, self._work, first_s=first_s
        )

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def _work(self, succeeded: Callable[[], None]) -> None:
        deleted = self._delete()
        succeeded()
        if deleted.total():
            _log.info("history that was too old is deleted", **deleted)
        gevent.sleep(self._every_s)

    def _delete(self) -> Counter[str]:
        """Delete all that is too old by now, and return how many rows of which table, without those of dropped months.

        The partitions of the months that come are made, too.

        Raises:
            psycopg.Error, gevent.Timeout: the database is away or too slow; rows deleted by then stay deleted.
        """
        keep = self._settings.keep
        deleted: Counter[str] = Counter()
        with closing(connect_migrated(self._settings.dsn, self._timeout_ms, "fsacd retention")) as connection:
            self._bounded(connection, lambda: partitions.make(connection, partitions.ahead(datetime.now(UTC))))
            for table, moment, age_ms in (
                ("agent_states_before", "ended_at", keep.agent_states_ms),
                ("changes", "at", keep.changes_ms),
                ("leg_quality", "ended_at", keep.calls_ms),
            ):
                some = partial(self._delete_some, connection, table, moment)
                deleted[table] += self._until_none_is_left(connection, some, age_ms)
            kept_ms = {table.name: keep.calls_ms for table in (CALLS, OFFERS, TALKS, WRAP_UPS)}
            kept_ms |= {VISITS.name: keep.visits_ms, DECISIONS.name: keep.decisions_ms}
            for table in partitions.TABLES:
                some = partial(self._forget, connection, table)
                age_ms = kept_ms.get(table, keep.agent_states_ms)
                deleted[table] += self._until_none_is_left(connection, some, age_ms)
        return +deleted

    def _delete_some(self, connection: psycopg.Connection, table: str, moment: str, age_ms: int, most: int) -> int:
        return delete_some(connection, table, moment, age_ms, most, self._held(connection))

    def _forget(self, connection: psycopg.Connection, table: str, age_ms: int, most: int) -> int:
        held = self._held(connection)
        return partitions.forget(connection, table, age_ms, most, calls_of(connection, held) if held else ())

    def _held(self, connection: psycopg.Connection) -> Person | None:
        """All who are under a legal hold now, as if they were one; None: nobody. Asked anew for each few rows."""
        numbers = [hold.number for hold in holds.every(connection)]
        return person(connection, numbers, self._settings.plan) if numbers else None

    def _until_none_is_left(
        self, connection: psycopg.Connection, some: Callable[[int, int], int], age_ms: int | None
    ) -> int:
        deleted = 0
        while age_ms is not None:
            count = self._bounded(connection, lambda: some(age_ms, _ROWS))
            deleted += count
            if count < _ROWS:
                break
            gevent.sleep(_REST_S)
        return deleted

    def _bounded(self, connection: psycopg.Connection, act: Callable[[], T]) -> T:
        """Do this in a transaction, in the time that one statement may take."""
        with gevent.Timeout((self._timeout_ms + GRACE_MS) / 1_000), connection.transaction():
            limit_statements(connection, self._timeout_ms)
            return act()


def delete_some(
    connection: psycopg.Connection, table: str, moment: str, age_ms: int, most: int, held: Person | None = None
) -> int:
    """Delete at most so many rows whose `moment` is older, and return how many. Names are the program's own.

    Rows that are about `held` stay.

    Raises:
        psycopg.Error: the database refused; nothing was deleted.
    """
    others = f"AND ({CONDITIONS[table]}) IS NOT TRUE" if held is not None and table in CONDITIONS else ""
    # By ctid: it serves every table, whatever its key is, and the rows are locked until they are gone.
    query = (
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} "  # noqa: S608 - see above
        f"WHERE {moment} < now() - make_interval(secs => %(age_ms)s / 1000.0) {others} "
        "LIMIT %(most)s FOR UPDATE SKIP LOCKED))"
    )
    values = {"age_ms": age_ms, "most": most, **(held.values if held is not None else {})}
    return connection.execute(query.encode(), values).rowcount
