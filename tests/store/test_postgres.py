from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import gevent
import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.core.evidence import Evidence, standing
from fsacd.core.records import (
    AgentStateEnded,
    CallEnded,
    CallOutcome,
    ChangeMade,
    DecisionMade,
    OfferClosed,
    OfferOutcome,
    Record,
)
from fsacd.store.embedded.server import EmbeddedPostgres
from fsacd.store.migrate import SchemaError, available, migrate
from fsacd.store.postgres import Store, StoreSettings
from fsacd.store.rows import CALLS, decision
from tests.fair import Stopwatch
from tests.store.rig import execute

pytestmark = pytest.mark.postgres

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALL = CallEnded(
    call_id="c1", queue="support", outcome=CallOutcome.ANSWERED, detail="NORMAL_CLEARING", arrived_ms=1_000,
    ended_ms=65_001, waited_ms=4_000, talked_ms=60_001, agent_id="anna", offers=2, priority=3, number="+4930123456",
    name="Zoë 😀", customer="K-1", switch="fs1", leg_uuid="11-22", after="survey", language="fr",
    number_believed=False, resumes="c0",
)  # fmt: skip
OFFER = OfferClosed(
    offer_id="o1", call_id="c1", queue="support", agent_id="anna", attempt=1, outcome=OfferOutcome.UNANSWERED,
    reason="no_answer", started_ms=1_500, answered_ms=None, connected_ms=None, ended_ms=3_000,
)  # fmt: skip
STATE = AgentStateEnded("anna", "not_ready", "lunch", 0, 1_000, "phone:1001")
CHANGE = ChangeMade("call_changed", "c1", "priority 0 → 3", "api:wallboard", 1_234)
DECISION = DecisionMade(7, "c1", "support", "anna", "o1", 1_500)


def wall(ms: int) -> int:
    return int(START.timestamp() * 1_000) + ms


def at(ms: int) -> datetime:
    return START + timedelta(milliseconds=ms)


def settings(dsn: str, **changes: Any) -> StoreSettings:
    return replace(StoreSettings(dsn, retry_min_ms=20, retry_max_ms=100, statement_timeout_ms=1_000), **changes)


@contextmanager
def running(dsn: str, **changes: Any) -> Iterator[Store]:
    store = Store(settings(dsn, **changes), wall)
    store.start()
    try:
        yield store
    finally:
        store.stop(0)


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        connection.execute("SET timezone = 'UTC'")
        return connection.execute(query.encode()).fetchall()


def await_true(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the awaited condition did not come true"
        gevent.sleep(0.01)


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


def test_rows_are_exact(database: str) -> None:
    """A finished call, an offer, an agent's interval, a change and a decision become one row each, with every field."""
    with running(database) as store:
        store.put([replace(CALL, customer_id=7), OFFER, STATE, CHANGE, DECISION])
        store.put_rows([decision(DECISION, b'{"chosen":"anna","eligible":[]}', wall)])
        await_true(lambda: store.state().written == 5)
    assert rows(database, "SELECT * FROM calls") == [(
        "c1", "support", "answered", "NORMAL_CLEARING", at(1_000), at(65_001), 4_000, 60_001, "anna", 2, 3,
        "+4930123456", "Zoë 😀", "K-1", "fs1", "11-22", "survey", "fr", "saw_end", 0, False, "c0", 7,
    )]  # fmt: skip
    assert rows(database, "SELECT * FROM offers") == [
        ("o1", "c1", "support", "anna", 1, "unanswered", "no_answer", at(1_500), None, None, at(3_000), "saw_end", 0)
    ]
    assert rows(database, "SELECT * FROM agent_states") == [
        ("anna", "not_ready", "lunch", at(0), at(1_000), "phone:1001")
    ]
    assert rows(database, "SELECT * FROM changes") == [
        ("call_changed", "c1", "priority 0 → 3", "api:wallboard", at(1_234))
    ]
    assert rows(database, "SELECT * FROM decisions") == [
        ("o1", "c1", 7, "support", "anna", at(1_500), {"chosen": "anna", "eligible": []})
    ]


def test_every_field_of_a_call_is_kept() -> None:
    """A field added to CallEnded needs a column."""
    columns = [name.replace("_at", "_ms") for name, _ in CALLS.columns]
    assert columns == [field.name for field in fields(CallEnded)]


def test_same_row_twice(database: str) -> None:
    """A row that comes again, now or after a restart, is stored once and counted as a duplicate."""
    told = decision(DECISION, b"{}", wall)
    with running(database) as store:
        store.put([CALL, OFFER, STATE, CALL, CHANGE, CHANGE])
        store.put_rows([told, told])
        await_true(lambda: store.state().queued == 0)
        assert (store.state().written, store.state().duplicates) == (5, 3)
    with running(database) as store:
        store.put([CALL, OFFER, STATE, CHANGE])
        store.put_rows([told])
        await_true(lambda: store.state().duplicates == 5)
        assert store.state().written == 0
    assert rows(database, "SELECT count(*) FROM calls") == [(1,)]


TELLINGS = [(evidence, epoch, ended) for evidence in Evidence for epoch in (0, 1, 2) for ended in (0, 9_000)]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_the_database_decides_as_the_engine_would(database: str, *, together: bool) -> None:
    """Of every two tellings of one end the row stands that stands higher, whichever comes first; offers alike."""
    expected: dict[str, tuple[str, int, datetime]] = {}
    first: list[Record] = []
    second: list[Record] = []
    for number, (one, two) in enumerate(product(TELLINGS, TELLINGS)):
        stands = two if standing(*two) > standing(*one) else one
        expected[f"x{number}"] = (stands[0].value, stands[1], at(CALL.ended_ms + stands[2]))
        for told, (evidence, epoch, later_ms) in ((first, one), (second, two)):
            key, ended_ms = f"x{number}", CALL.ended_ms + later_ms
            told.append(replace(CALL, call_id=key, evidence=evidence, epoch=epoch, ended_ms=ended_ms))
            told.append(replace(OFFER, offer_id=key, evidence=evidence, epoch=epoch, ended_ms=ended_ms))
    with running(database) as store:
        for portion in [[*first, *second]] if together else [first, second]:
            store.put(portion)
            await_true(lambda: store.state().queued == 0)
    for table, key in (("calls", "call_id"), ("offers", "offer_id")):
        stored = rows(database, f"SELECT {key}, evidence, epoch, ended_at FROM {table}")
        assert {row[0]: row[1:] for row in stored} == expected


def test_a_row_without_evidence_was_written_by_who_saw_the_end(database: str) -> None:
    """It is of a time before there was any: a guess does not replace it, and whoever had the call later does."""
    guess = replace(CALL, outcome=CallOutcome.LOST, evidence=Evidence.GUESSED, ended_ms=CALL.ended_ms + 9_000)
    with running(database) as store:
        store.put([replace(CALL, call_id="a"), replace(CALL, call_id="b")])
        await_true(lambda: store.state().queued == 0)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE calls SET evidence = NULL, epoch = NULL")
    with running(database) as store:
        store.put([replace(guess, call_id="a"), replace(guess, call_id="b", epoch=1)])
        await_true(lambda: store.state().queued == 0)
    assert rows(database, "SELECT outcome FROM calls ORDER BY call_id") == [("answered",), ("lost",)]


def test_states_within_one_millisecond(database: str) -> None:
    """Intervals of no length, begun in the same millisecond as a real one, hide nothing."""
    passed = [
        AgentStateEnded("anna", "ready", "", 5, 5),
        AgentStateEnded("anna", "offered", "", 5, 5),
        AgentStateEnded("anna", "ready", "", 5, 900),
    ]
    with running(database) as store:
        store.put(passed)
        await_true(lambda: store.state().queued == 0)
        assert store.state().written == 3


def test_hostile_text(database: str) -> None:
    """NUL, half surrogates and endless numbers of a caller are stored in a tamed form, not refused."""
    with running(database) as store:
        store.put([replace(CALL, name="a\x00\ud83d", number="9" * 60_000, customer="'); DROP TABLE calls; --")])
        await_true(lambda: store.state().written == 1)
    assert rows(database, "SELECT name, length(number), customer FROM calls") == [
        ("a\ufffd\ufffd", 256, "'); DROP TABLE calls; --")
    ]


def test_bad_rows_do_not_hold_up_the_others(database: str) -> None:
    """Of a thousand rows the three that cannot be stored are found, counted and logged without values."""
    many = [replace(CALL, call_id=f"c{number}") for number in range(1_000)]
    many[377] = replace(many[377], offers=2**40)
    many[640] = replace(many[640], ended_ms=10**18)
    many[641] = replace(many[641], waited_ms=2**70)
    with capture_logs() as logs, running(database) as store:
        store.put(many)
        await_true(lambda: store.state().queued == 0)
        assert (store.state().written, store.state().refused, store.state().connected) == (997, 3, True)
    told = [line for line in logs if line["log_level"] == "error"]
    assert [line["table"] for line in told] == ["calls", "calls", "calls"]
    assert "out of range for type integer" in told[0]["why"]
    assert CALL.number not in repr(told)


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


def test_migrations_are_applied_once(database: str) -> None:
    """Daemons that start together on an empty database make the tables once; starting again changes nothing."""

    def apply() -> list[str]:
        with psycopg.connect(database) as connection:
            return migrate(connection)

    started = [gevent.spawn(apply) for _ in range(3)]
    gevent.joinall(started, timeout=20, raise_error=True)
    names = [migration.name for migration in available()]
    assert sorted(name for job in started for name in job.value) == names
    assert apply() == []


def test_schema_of_a_newer_fsacd(database: str) -> None:
    """A database that a newer fsacd has changed is left alone, in one sentence; history waits for that fsacd."""
    with psycopg.connect(database) as connection:
        migrate(connection)
        connection.execute("INSERT INTO schema_migrations (version, name) VALUES (999, '999_later.sql')")
        connection.commit()
        with pytest.raises(SchemaError, match=r"newer fsacd \(its tables have version 999, this fsacd knows \d+\)"):
            migrate(connection)
    with capture_logs() as logs, running(database) as store:
        store.put([CALL])
        await_true(lambda: store.state().error is not None)
        assert (store.state().connected, store.state().queued) == (False, 1)
        execute(database, "DELETE FROM schema_migrations WHERE version = 999")
        await_true(lambda: store.state().written == 1)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["the database is away; history waits"]


def test_every_column_is_explained(database: str) -> None:
    """Each table and column of history carries a comment."""
    with psycopg.connect(database) as connection:
        migrate(connection)
    bare = rows(
        database,
        "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attnum > 0 "
        "AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
        "AND relname <> 'schema_migrations') "
        "AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL",
    )
    assert bare == []


def test_refuses_to_stop_the_world() -> None:
    """Without gevent's patches psycopg would hold every call; the store says so and does not start."""
    program = (
        "from fsacd.store.postgres import Store, StoreSettings, StoreError\n"
        "try:\n    Store(StoreSettings('dbname=x'), lambda ms: ms)\n"
        "except StoreError as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert "before gevent's monkey-patching" in told.stdout
