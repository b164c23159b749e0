"""A database that is away, frozen or slow, and a store that has more to write than it may hold, or has time for."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import gevent
import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.store.embedded import EmbeddedPostgres
from fsacd.store.postgres import Store
from fsacd.store.rows import decision
from tests.fair import Stopwatch
from tests.store.records import CALL, DECISION, OFFER, running, settings, wall
from tests.store.rig import await_true, rows

pytestmark = pytest.mark.postgres


@dataclass
class Stall:
    """How long the hub was held at most, in seconds that this process had."""

    worst_s: float = 0.0

    def watch(self) -> None:
        while True:
            watch = Stopwatch()
            gevent.sleep(0.01)
            self.worst_s = max(self.worst_s, watch.look() - 0.01)


@pytest.fixture
def stall() -> Iterator[Stall]:
    measured = Stall()
    watcher = gevent.spawn(measured.watch)
    yield measured
    watcher.kill()


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that a test may stop and start; each test leaves it running."""
    with tempfile.TemporaryDirectory(prefix="fsacd-o-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place) / "pg", durable=False) as server:
            yield server


def test_database_away_for_a_while(own_server: EmbeddedPostgres, stall: Stall) -> None:
    """While the database is down put() never blocks and nothing within the bound is lost."""
    dsn = own_server.dsn
    with running(dsn) as store:
        store.put([replace(CALL, call_id=f"before-{number}") for number in range(500)])
        await_true(lambda: store.state().written == 500)
        own_server.stop()
        for number in range(500):
            store.put([replace(CALL, call_id=f"during-{number}")])
            gevent.sleep(0)
        await_true(lambda: not store.state().connected)
        assert store.state().error is not None
        assert store.state().queued == 500
        own_server.start()
        store.put([replace(CALL, call_id=f"after-{number}") for number in range(500)])
        await_true(lambda: store.state().queued == 0)
        assert (store.state().connected, store.state().error) == (True, None)
    stored = rows(dsn, "SELECT split_part(call_id, '-', 1), count(*) FROM calls GROUP BY 1 ORDER BY 1")
    assert stored == [("after", 500), ("before", 500), ("during", 500)]
    assert stall.worst_s < 0.5


def test_frozen_database(own_server: EmbeddedPostgres, stall: Stall) -> None:
    """A server that answers nothing at all, not even its own time-out, costs a connection and no row."""
    dsn = own_server.dsn
    with running(dsn, statement_timeout_ms=100) as store:
        await_true(lambda: store.state().connected)
        (pid,) = rows(dsn, "SELECT pid FROM pg_stat_activity WHERE application_name = 'fsacd'")[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            store.put([replace(CALL, call_id="frozen")])
            await_true(lambda: store.state().error is not None)
        finally:
            os.kill(pid, signal.SIGCONT)
        await_true(lambda: store.state().queued == 0)
    assert rows(dsn, "SELECT count(*) FROM calls WHERE call_id = 'frozen'") == [(1,)]
    assert stall.worst_s < 0.5


def test_statement_timeout(database: str) -> None:
    """A query that waits too long is given up with its connection, and its rows are written later."""
    with running(database, statement_timeout_ms=100) as store:
        await_true(lambda: store.state().connected)
        with psycopg.connect(database) as rival:
            rival.execute("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
            store.put([CALL])
            await_true(lambda: "statement timeout" in (store.state().error or ""))
            assert (store.state().queued, store.state().written) == (1, 0)
        await_true(lambda: store.state().written == 1)


def test_full_queue(database: str) -> None:
    """At the limit the newest rows are dropped and counted, with one error; the oldest are stored."""
    store = Store(settings(database, queue_limit=10), wall)
    with capture_logs() as logs:
        for number in range(15):
            store.put([replace(CALL, call_id=f"c{number:02}")])
    assert (store.state().queued, store.state().dropped) == (10, 5)
    assert [line["log_level"] for line in logs] == ["error"]
    store.start()
    await_true(lambda: store.state().queued == 0)
    store.stop()
    assert rows(database, "SELECT min(call_id), max(call_id), count(*) FROM calls") == [("c00", "c09", 10)]


def test_too_many_documents(database: str) -> None:
    """Explanations have a bound in bytes; beyond it they are dropped, and the other rows still find their place."""
    store = Store(settings(database, documents_limit=1_000), wall)
    with capture_logs() as logs:
        for number in range(5):
            store.put_rows([decision(replace(DECISION, offer_id=f"o{number}"), b'"' + b"x" * 398 + b'"', wall)])
            store.put([replace(CALL, call_id=f"c{number}")])
    assert [line["log_level"] for line in logs] == ["error"]
    assert (store.state().queued, store.state().dropped) == (7, 3)
    store.start()
    await_true(lambda: store.state().written == 7)
    store.put_rows([decision(replace(DECISION, offer_id="later"), b'"' + b"x" * 998 + b'"', wall)])
    await_true(lambda: store.state().written == 8)
    assert store.stop() == 0
    assert rows(database, "SELECT offer_id FROM decisions ORDER BY 1") == [("later",), ("o0",), ("o1",)]


def test_documents_of_a_whole_night(database: str) -> None:
    """Long explanations are written in transactions of a bounded size, and none is lost."""
    with running(database, batch=1_000) as store:
        text = b'"' + b"x" * 20_000 + b'"'
        store.put_rows([decision(replace(DECISION, offer_id=f"o{number}"), text, wall) for number in range(200)])
        await_true(lambda: store.state().queued == 0)
    assert rows(database, "SELECT count(*) FROM decisions") == [(200,)]
    assert rows(database, "SELECT count(DISTINCT xmin::text) > 5 FROM decisions") == [(True,)]


def test_stop_writes_what_is_queued(database: str) -> None:
    """stop() empties the queue into the database before it ends."""
    store = Store(settings(database, batch=50), wall)
    store.start()
    store.put([replace(CALL, call_id=f"c{number}") for number in range(1_000)])
    assert store.stop(patience_ms=60_000) == 0
    assert rows(database, "SELECT count(*) FROM calls") == [(1_000,)]


def test_stop_without_a_database(tmp_path: Path) -> None:
    """With no database stop() ends in its time and says how many rows are lost."""
    store = Store(settings(f"host={tmp_path} dbname=none"), wall)
    store.start()
    store.put([CALL, OFFER])
    assert store.stop(100) == 2
