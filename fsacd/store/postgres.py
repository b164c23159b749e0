"""Writes history to PostgreSQL in the background.

`put` only appends to a backlog, in memory and on disk (`fsacd.store.backlog`); one greenlet writes to the database.
What happens when the database is away, slow, full of errors or gone for good, is decided here and nowhere else:

- a connection is made anew with growing pauses; a query that was interrupted closes its connection;
- rows are written in batches, one transaction each, and leave the backlog after its commit; a row sent twice
  is stored once;
- a batch that failed is tried again with half of its rows;
- a row that the database refuses for itself is found by halving the batch, counted, logged, dropped;
- a row that fails alone again and again, while the one behind it is stored, goes to the end and keeps nobody waiting.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import gevent
import orjson
import psycopg
import structlog
from gevent.event import Event

from fsacd.core.records import Record
from fsacd.errors import FsacdError
from fsacd.process.trouble import Trouble, shortened
from fsacd.runtime import watched
from fsacd.store import partitions
from fsacd.store.backlog import Backlog
from fsacd.store.connecting import GRACE_MS, MIGRATION_S, connect, limit_statements, sentence
from fsacd.store.erasure import Requests
from fsacd.store.migrate import migrate
from fsacd.store.rows import Row, Wall, packed, row
from fsacd.store.settings import StoreSettings as StoreSettings  # noqa: PLC0414 - the way to hand a name on
from fsacd.store.table import Table

_log = structlog.get_logger(__name__)
_IDLE_CHECK_S = 30.0
# How often the spool is synced to the disk, and checked for requests to erase.
_TEND_S = 1.0
# This many rows become text in half a millisecond; then calls get their turn. By a timer, not by sleep(0), so that the
# loop looks at the sockets in between.
_PACKED_AT_ONCE = 50
_BREATH_S = 0.0005
_ON_DISK = f"""
    SELECT CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END,
        {partitions.STAY}
"""
# How often a row fails alone, for whatever reason, before the row behind it is tried.
_SUSPECT_AFTER = 3
# Classes of errors caused by a row: data, constraints, a check by a trigger, a program limit, a view's check.
_ROW_FAULTS = {"22", "23", "P0", "54", "44"}


class StoreError(FsacdError):
    """The store cannot work as it is set up."""


class _RowRefused(Exception):  # noqa: N818 - a verdict about the batch, handled within this module
    """The database, or the driver, refuses the batch because of its content."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """The store's state: rows since the start, and the last error while it lasts (None: all is well).

    `connected`: there is a connection, and no write on it has failed.
    """

    connected: bool
    queued: int
    written: int
    duplicates: int
    dropped: int
    refused: int
    error: str | None
    # Of the spool: whether rows survive the end of the process, its bytes, rows that were in memory alone for a while
    # because it could not be written, and lines that could not be read.
    safe: bool = False
    spooled_bytes: int = 0
    unspooled: int = 0
    corrupt: int = 0


class Store:
    """The writer of history. `wall` turns engine milliseconds into Unix milliseconds.

    Raises:
        StoreError: psycopg was imported before gevent's monkey-patching and would block every greenlet.
    """

    def __init__(self, settings: StoreSettings, wall: Wall) -> None:
        if getattr(psycopg.waiting.wait, "__name__", "") == "wait_c":
            raise StoreError("psycopg was imported before gevent's monkey-patching and would stop every other greenlet")
        self._settings = settings
        self._wall = wall
        self._wake = Event()
        self._counts: Counter[str] = Counter()
        self._backlog = Backlog(settings, self._counts)
        self._requests = Requests(settings.spool, settings.plan)
        self._connection: psycopg.Connection | None = None
        self._partitions: frozenset[partitions.Partition] = frozenset()  # those that are known to be there
        self._writer: gevent.Greenlet[[], None] | None = None
        self._tender: gevent.Greenlet[[], None] | None = None
        self._stopping = False
        self._error: str | None = None
        # How many rows the next transaction takes: halved by a refused batch, doubled by a stored one.
        self._size = settings.batch
        # How often in a row a transaction with the first row alone has failed.
        self._vain = 0
        self._dice = random.Random()  # noqa: S311 - spreads the reconnects of many daemons, nothing secret

    def start(self) -> None:
        """Open the spool and begin to write; rows put before have waited in memory."""
        if self._writer is None:
            self._backlog.mend()
            self._writer = watched.keep("writer of history", self._run, may_end=lambda: self._stopping)
            if self._settings.spool is None:
                _log.warning("history waits for the database in memory alone; give it a place in store.spool.directory")
            else:
                self._tender = watched.keep("spool", self._tend)

    def stop(self, patience_ms: int = 3_000) -> int:
        """Write what is queued for at most `patience_ms`, end, and return how many rows are lost by that.

        What is in the spool is not lost: it waits for the next start.
        """
        self._stopping = True
        self._wake.set()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.join(patience_ms / 1_000)
            writer.kill(timeout=1)
        tender, self._tender = self._tender, None
        if tender is not None:
            tender.kill(timeout=1)
        self._disconnect()
        with gevent.Timeout(1, False):  # a disk that hangs must not delay the end
            self._backlog.sync()
        lost, waiting = self._backlog.unsafe, len(self._backlog)
        self._backlog.close()
        if lost:
            _log.error("history is lost: the database did not take it before the end", rows=lost)
        if waiting > lost:
            _log.info("history waits on disk for the next start", rows=waiting - lost)
        return lost

    def put(self, records: Sequence[Record]) -> None:
        """Queue records; never waits, never fails. A sink of the runtime."""
        rows = [made for record in records if (made := row(record, self._wall)) is not None]
        if rows:
            self.put_rows(rows)

    def put_rows(self, rows: Sequence[Row]) -> None:
        """Queue rows that another part has made; never waits, never fails."""
        self._backlog.take(rows)
        if not self._wake.is_set():
            self._wake.set()

    def troubles(self) -> Iterator[Trouble]:
        """What is wrong with what waits for the database."""
        yield from self._backlog.troubles()

    def state(self) -> StoreState:
        """A picture for readiness and metrics."""
        counts = self._counts
        return StoreState(
            connected=self._connection is not None and self._error is None,
            queued=len(self._backlog), error=self._error,
            written=counts["written"], duplicates=counts["duplicates"],
            dropped=counts["dropped"], refused=counts["refused"],
            safe=self._backlog.is_safe, spooled_bytes=self._backlog.spooled_bytes,
            unspooled=counts["unspooled"], corrupt=self._backlog.corrupt,
        )  # fmt: skip

    def _run(self) -> None:
        pause_ms, wait_s = self._settings.retry_min_ms, 0.0
        while True:
            try:
                self._rest(wait_s)
                wait_s = 0.0
                # The spool comes before the database, which may be away for long: rows that come now must survive this
                # process.
                self._backlog.mend()
                self._requests.fulfil(self._backlog)
                self._connect()
                # A connection alone proves nothing: a database that accepts it but fails each write is still away.
                if self._write_next():
                    pause_ms = self._settings.retry_min_ms
                if self._stopping and not len(self._backlog):
                    return
                self._await_rows()
            except (Exception, gevent.Timeout) as error:  # noqa: BLE001 - a fault of ours must not end history for good
                self._lose(error)
                wait_s = self._dice.uniform(0.5, 1.0) * pause_ms / 1_000
                pause_ms = min(pause_ms * 2, self._settings.retry_max_ms)

    def _rest(self, seconds: float) -> None:
        """Wait before the next try; requests to erase are fulfilled meanwhile."""
        while seconds > 0:
            gevent.sleep(min(seconds, _TEND_S))
            seconds -= _TEND_S
            self._requests.fulfil(self._backlog)

    def _tend(self) -> None:
        while True:
            gevent.sleep(_TEND_S)
            self._backlog.sync()
            if self._requests.waiting():
                self._wake.set()

    def _await_rows(self) -> None:
        if len(self._backlog):
            return
        self._wake.clear()
        if not self._wake.wait(_IDLE_CHECK_S) and self._connection is not None:
            # Nothing is written at night; a dead connection must be noticed before the morning's first call needs it.
            with self._bounded():
                self._connection.execute("SELECT 1")
                self._connection.commit()

    def _connect(self) -> None:
        if self._connection is not None:
            return
        connection = connect(self._settings.dsn, self._settings.statement_timeout_ms)
        try:
            with gevent.Timeout(MIGRATION_S):
                applied = migrate(connection)
                connection.commit()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        if not len(self._backlog):
            self._works()
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            _log.warning("the database is not UTF8; rows with other letters than it knows are refused", is_=encoding)
        _log.info("connected to the database", migrations=applied, queued=len(self._backlog))

    def _write_next(self) -> bool:
        """Write one batch and take it off the queue; True when something was stored."""
        if self._vain >= _SUSPECT_AFTER:
            self._pass_over()
        batch = self._backlog.first(self._size)
        if not batch:
            return False
        # After a failure the next try takes half of the rows: a slow database may manage fewer, and a faulty row is
        # found.
        half = max(1, len(batch) // 2)
        try:
            inserted = self._transaction(batch)
        except _RowRefused as refusal:
            self._size = half
            self._works()
            if len(batch) == 1:
                self._backlog.leave(1)
                self._counts["refused"] += 1
                _log.error("the database refuses a row of history", table=batch[0].table.name, why=str(refusal))
            return True
        except (psycopg.Error, gevent.Timeout):
            self._size = half
            self._vain = self._vain + 1 if len(batch) == 1 else 0
            raise
        self._works()
        self._backlog.leave(len(batch))
        self._vain = 0
        self._counts["written"] += inserted
        self._counts["duplicates"] += len(batch) - inserted
        self._size = min(self._size * 2, self._settings.batch)
        return True

    def _pass_over(self) -> None:
        """Move the first row behind all others if the database stores the second one. Raises as `_transaction`.

        The first row may be at fault although the error says otherwise: a broken page of an index, a trigger that never
        ends. The row is not dropped, because the database may just have come back. The second row is sent twice.
        """
        self._vain = 0
        both = self._backlog.first(2)
        if len(both) > 1:
            with suppress(_RowRefused):  # the database answers, and can refuse a row for itself
                self._transaction(both[1:])
            self._backlog.put_last()
            _log.error("a row of history keeps failing, and goes behind the others", table=both[0].table.name)

    def _transaction(self, batch: list[Row]) -> int:
        """Store a batch, all or nothing, and return how many rows were new.

        Raises:
            _RowRefused: something in the batch is at fault; the connection is still good.
            psycopg.Error, gevent.Timeout: the database is at fault; the connection may be dead.
        """
        assert self._connection is not None
        tables: dict[Table, list[Row]] = {}
        for item in batch:
            tables.setdefault(item.table, []).append(item)
        try:
            packages = [(table.insert, _package(items).decode()) for table, items in tables.items()]
            missing = partitions.of_rows(batch) - self._partitions
            with self._connection.cursor() as cursor:
                self._begin(self._connection)
                if missing:
                    with self._bounded():
                        partitions.make(self._connection, missing)
                inserted = 0
                for statement, package in packages:
                    with self._bounded():
                        # Not executemany: its pipeline waits without a deadline when it is interrupted.
                        cursor.execute(statement, (package,))
                    inserted += cursor.rowcount
                with self._bounded():
                    self._connection.commit()
                self._partitions |= missing
        except (OverflowError, orjson.JSONEncodeError) as error:
            raise _RowRefused(f"a moment outside the calendar, or a number beyond 64 bits: {error}") from error
        except psycopg.Error as error:
            dropped, self._partitions = self._partitions, frozenset()
            if not _is_row_fault(error):
                raise
            with self._bounded():
                self._connection.rollback()
            if dropped and isinstance(error, psycopg.errors.CheckViolation):
                return self._transaction(batch)  # retention has dropped a partition of ours meanwhile
            why = f"{error.sqlstate or 'driver'}: {error.diag.message_primary or error}"
            raise _RowRefused(shortened(why)) from error
        return inserted

    def _begin(self, connection: psycopg.Connection) -> None:
        """Begin a transaction in which each statement has its own time."""
        timeout_ms = self._settings.statement_timeout_ms
        with self._bounded():
            # And no pause: where a cut leaves the server's side of this connection open, its locks would keep the next
            # try from the same rows for hours.
            limit_statements(connection, timeout_ms, idle_ms=timeout_ms + GRACE_MS)
        with self._bounded():
            # Confirmed rows leave our disk, so they must be on the database's disk.
            connection.execute(_ON_DISK.encode())

    def _bounded(self) -> gevent.Timeout:
        return gevent.Timeout((self._settings.statement_timeout_ms + GRACE_MS) / 1_000)

    def _works(self) -> None:
        """Note that the database works. A connection alone does not prove it, as long as there are rows to write."""
        if self._error is not None:
            self._error = None
            _log.info("the database is back", queued=len(self._backlog))

    def _lose(self, error: BaseException) -> None:
        """Close the connection, which may be in the middle of a query, and log that once per outage."""
        self._disconnect()
        text = sentence(error)
        if not isinstance(error, psycopg.Error | gevent.Timeout | OSError | FsacdError):
            watched.caught("writer of history", error)
        elif self._error is None:
            _log.error("the database is away; history waits", why=text, queued=len(self._backlog))
        self._error = text

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):  # the connection is discarded; its last error does not matter
                connection.close()


def _package(rows: Sequence[Row]) -> bytes:
    """Rows of one table as one JSON array, made in pieces between which the calls go on. Raises as `packed`."""
    pieces = []
    for start in range(0, len(rows), _PACKED_AT_ONCE):
        if start:
            gevent.sleep(_BREATH_S)
        pieces.append(packed(rows[start : start + _PACKED_AT_ONCE])[1:-1])
    return b"[" + b",".join(pieces) + b"]"


def _is_row_fault(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        # The driver's own refusal, before anything was sent: a value that no parameter can carry.
        return isinstance(error, psycopg.DataError)
    return error.sqlstate[:2] in _ROW_FAULTS
