"""History of before goes into its months: every row is there once, at each moment, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import gevent
import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.core.evidence import Evidence
from fsacd.core.records import CallEnded, CallOutcome
from fsacd.store import partitions
from fsacd.store.migrate import available, migrate
from fsacd.store.moving import LOOK_PAGES, TABLES, Moving, first_to_move, move
from fsacd.store.persons import erase
from fsacd.store.retention import Retention
from fsacd.store.rows import CALLS
from fsacd.store.settings import Keep, StoreSettings
from tests.store.before import MONTHS, began_ms, fill, md5, sums, without_months
from tests.store.records import CALL, OFFER, START, running, settings, wall
from tests.store.rig import await_true, execute, rows
from tests.store.test_visits import FIRST

pytestmark = pytest.mark.postgres
CALLS_BEFORE = 3_000
_LEFT = f"SELECT {' + '.join(f'(SELECT count(*) FROM {table.name}_before)' for table in TABLES)}"
_ENDS = "history of before is in its months"
_LONG_MS = 60_000
_LONG_S = 120.0


def is_moved(dsn: str) -> bool:
    return rows(dsn, _LEFT) == [(0,)]


@contextmanager
def moving(dsn: str, *, every_s: float = 3_600.0) -> Iterator[None]:
    part = Moving(settings(dsn, statement_timeout_ms=_LONG_MS), first_s=0.0, every_s=every_s, pause_s=0.01)
    part.start()
    try:
        yield
    finally:
        part.stop()


@pytest.fixture
def before(database: str) -> str:
    """A database with a year of history, without months; brought up to date, and nothing is moved yet."""
    with psycopg.connect(database, autocommit=True) as connection:
        without_months(connection)
        fill(connection, CALLS_BEFORE)
        was = sums(connection)
        migrate(connection)
        assert sums(connection) == was
    return database


def test_a_years_history_goes_into_its_months(before: str) -> None:
    """Each row as it was, in the partition of the month in which it began; it is told how far that is."""
    with psycopg.connect(before, autocommit=True) as connection:
        was = sums(connection)
        with capture_logs() as logs, moving(before):
            await_true(lambda: sum(line["event"] == _ENDS for line in logs) == len(TABLES), _LONG_S)
        assert is_moved(before)
        assert sums(connection) == was
    for table in TABLES:
        month = f"to_char({table.began} AT TIME ZONE 'UTC', '_YYYY_MM')"
        query = f"SELECT DISTINCT tableoid::regclass::text, '{table.name}' || {month} FROM {table.name}"
        found = rows(before, query)
        assert len(found) == 13
        assert all(lies == belongs for lies, belongs in found)
    ends = {line["table"]: line["rows"] for line in logs if line["event"] == _ENDS}
    assert ends == dict.fromkeys(("calls", "offers", "decisions"), CALLS_BEFORE)


# Every so many rows that are taken out, the server ends the connection of who does it.
_DEADLY = """
    CREATE SEQUENCE deaths;
    CREATE FUNCTION deadly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF random() < 0.003 THEN PERFORM nextval('deaths'), pg_terminate_backend(pg_backend_pid()); END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER deadly AFTER DELETE ON calls_before FOR EACH ROW EXECUTE FUNCTION deadly()
"""


def test_whoever_is_killed_while_rows_are_moved_has_changed_nothing(before: str) -> None:
    """Again and again, in the middle of it; the next one goes on with what is left."""
    execute(before, _DEADLY)
    with psycopg.connect(before, autocommit=True) as connection:
        was = sums(connection)
        with moving(before):
            while not is_moved(before):
                assert sums(connection) == was
                gevent.sleep(0.01)
        assert sums(connection) == was
        killed = connection.execute("SELECT last_value FROM deaths").fetchone()
    assert killed is not None
    assert killed[0] > 1


def again(number: int, later_ms: int = 0, **changes: Any) -> CallEnded:
    """A row of one of the calls of before, told once more: by a daemon that had it later, unless `changes` say so."""
    arrived_ms = began_ms(number, CALLS_BEFORE) + later_ms - wall(0)
    told = replace(CALL, call_id=md5(f"c{number}"), arrived_ms=arrived_ms, ended_ms=arrived_ms + 65_000)
    return replace(told, **{"outcome": CallOutcome.ABANDONED, "epoch": 9, **changes})


@pytest.mark.parametrize("when", ["before it is moved", "afterwards"])
def test_a_row_of_before_that_is_told_again_is_one_row(before: str, when: str) -> None:
    """The better one of both stands, whichever came first; also where the clocks of two daemons differ."""
    told = [
        again(1, 2),
        again(2, evidence=Evidence.HANDED_OVER),
        *(again(3, 2, epoch=7), again(3, outcome=CallOutcome.LEFT), again(3, epoch=8)),
        replace(again(4), call_id="new"),
    ]
    if when == "afterwards":
        with moving(before):
            await_true(lambda: is_moved(before), _LONG_S)
    with running(before) as store:
        for record in (*told, *reversed(told)):
            store.put([record])
            await_true(lambda: store.state().queued == 0)
        assert store.state().refused == 0
    seen = "SELECT count(*), count(DISTINCT call_id) FROM calls"
    assert rows(before, seen) == [(CALLS_BEFORE + 1, CALLS_BEFORE + 1)]
    with moving(before):
        await_true(lambda: is_moved(before), _LONG_S)
    assert rows(before, seen) == [(CALLS_BEFORE + 1, CALLS_BEFORE + 1)]
    outcomes = dict(rows(before, "SELECT call_id, outcome FROM calls WHERE outcome <> 'answered'"))
    assert outcomes == {md5("c1"): "abandoned", md5("c3"): "left", "new": "abandoned"}


@pytest.mark.parametrize("at_once", [True, False])
def test_one_row_where_two_months_meet(database: str, at_once: bool) -> None:
    """Two daemons tell of one thing, and by their clocks it began in two months."""
    last = round((datetime(2026, 2, 1, tzinfo=UTC) - START).total_seconds() * 1_000)
    with running(database) as store:
        for began in (last - 2, last + 1, last - 1, last + 3):
            call = replace(CALL, arrived_ms=began, ended_ms=began + 5_000, epoch=began)
            visit = replace(FIRST, visit=replace(FIRST.visit, joined_ms=began), ended_ms=began + 5_000, epoch=began)
            store.put([call, replace(OFFER, started_ms=began, ended_ms=began + 5_000, epoch=began), visit])
            if not at_once:
                await_true(lambda: store.state().queued == 0)
        await_true(lambda: store.state().queued == 0)
        assert store.state().refused == 0
    month = "2026_02" if at_once else "2026_01"
    for table in ("calls", "offers", "visits"):
        found = rows(database, f"SELECT tableoid::regclass::text, epoch FROM {table}")
        assert found == [(f"{table}_{month}", last + 3)]


def test_rows_that_others_write_without_a_month(database: str) -> None:
    """They are read at once, and go into their months; a moment that no month has leaves its row where it is."""
    with psycopg.connect(database, autocommit=True) as connection:
        migrate(connection)
        fill(connection, 20)
        connection.execute("UPDATE calls SET arrived_at = 'infinity' WHERE call_id = %s", (md5("c1"),))
        was = sums(connection)
        with moving(database, every_s=0.01):
            await_true(lambda: rows(database, _LEFT) == [(1,)], _LONG_S)
            gevent.sleep(0.1)
        assert sums(connection) == was


def test_no_page_is_passed_over(before: str) -> None:
    """The first one with a row is found, also where the oldest rows are on the last."""
    with psycopg.connect(before, autocommit=True) as connection:
        for table in TABLES:
            # Written anew, the newest first, so that each index leads to the last page first.
            copied = f"CREATE TEMP TABLE copied AS SELECT * FROM {table.name}_before ORDER BY {table.began} DESC"
            connection.execute(copied.encode())
            connection.execute(f"TRUNCATE {table.name}_before".encode())
            connection.execute(f"INSERT INTO {table.name}_before SELECT * FROM copied".encode())
            connection.execute("DROP TABLE copied")
            pages: list[int] = []
            while (page := first_to_move(connection, table, pages[-1] + 1 if pages else 0, _LONG_MS)) is not None:
                pages.append(page)
            assert pages == list(range(len(pages)))
            assert len(pages) > 10


def test_columns_of_others_are_kept(before: str) -> None:
    """What somebody has added to a table goes along."""
    execute(before, 'ALTER TABLE calls ADD COLUMN "their own" text')
    execute(before, "UPDATE calls SET \"their own\" = 'x' || call_id")
    with moving(before):
        await_true(lambda: is_moved(before), _LONG_S)
    assert rows(before, "SELECT count(*) FROM calls WHERE \"their own\" = 'x' || call_id") == [(CALLS_BEFORE,)]


def test_who_is_erased_meanwhile_is_erased(before: str) -> None:
    """Nothing is moved while somebody is erased: their row might be neither where it was nor where it is."""
    (number,) = rows(before, "SELECT number FROM calls ORDER BY arrived_at LIMIT 1")[0]
    with psycopg.connect(before, autocommit=True) as mover, psycopg.connect(before) as eraser:
        partitions.stay(eraser)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            move(mover, CALLS, 0, 8, _LONG_MS)
        erase(eraser, [number], "test")
        assert rows(before, f"SELECT count(*) FROM calls WHERE number = '{number}'") == [(1,)]
        eraser.commit()
        assert move(mover, CALLS, 0, 8, _LONG_MS) == -1, "first the months are made"
        assert move(mover, CALLS, 0, 8, _LONG_MS) > 0
        assert rows(before, f"SELECT count(*) FROM calls WHERE number = '{number}'") == [(0,)]
        numbers = [number for (number,) in rows(before, "SELECT DISTINCT number FROM calls WHERE number <> ''")]
        with moving(before):
            for number in numbers[:: len(numbers) // 20]:
                erase(eraser, [number], "test")
                eraser.commit()
                assert rows(before, f"SELECT count(*) FROM calls WHERE number = '{number}'") == [(0,)]
            await_true(lambda: is_moved(before), _LONG_S)


def test_old_months_are_dropped_by_kind(before: str) -> None:
    """Calls and offers are kept as long as calls, decisions for their own time."""
    with moving(before):
        await_true(lambda: is_moved(before), _LONG_S)
    now = datetime.now(UTC)
    ages = {
        "calls_ms": now - datetime(2026, 2, 10, tzinfo=UTC),
        "decisions_ms": now - datetime(2026, 6, 20, tzinfo=UTC),
    }
    keep = Keep(**{kind: round(age.total_seconds() * 1_000) for kind, age in ages.items()})
    retention = Retention(StoreSettings(before, keep=keep), first_s=0.0)
    retention.start()
    first = {"calls": "2026_02_10", "offers": "2026_02_10", "decisions": "2026_06_20"}
    try:
        for table in TABLES:
            day = first[table.name]
            oldest = f"SELECT min(relname) FROM pg_class WHERE relname ~ '^{table.name}_[0-9]' AND relkind = 'r'"
            await_true(partial(_is, before, oldest, f"{table.name}_{day[:-3]}"), _LONG_S)
            too_old = f"SELECT count(*) FROM {table.name} WHERE {table.began} < '{day.replace('_', '-')} UTC'"
            await_true(partial(_is, before, too_old, 0), _LONG_S)
    finally:
        retention.stop()
    kept = {table: rows(before, f"SELECT count(*) FROM {table}")[0][0] for table in first}
    assert kept["calls"] == kept["offers"] > kept["decisions"] > 0


def _is(dsn: str, query: str, value: object) -> bool:
    return rows(dsn, query) == [(value,)]


def test_who_read_or_wrote_calls_goes_on_after_the_migration(database: str) -> None:
    """By the table, by some of its columns, by a view of their own; and a writer that owns nothing moves the rows."""
    with psycopg.connect(database, autocommit=True) as connection:
        without_months(connection)
        fill(connection, 50)
        with connection.transaction(force_rollback=True):  # roles belong to the whole server
            connection.execute("CREATE ROLE board; CREATE ROLE clerk; CREATE ROLE writer; CREATE SCHEMA own")
            connection.execute("CREATE VIEW own.longest WITH (security_barrier) AS SELECT max(waited_ms) FROM calls")
            connection.execute("CREATE VIEW own.last AS SELECT c.* FROM calls c JOIN offers USING (call_id)")
            connection.execute("GRANT USAGE ON SCHEMA own TO board; GRANT SELECT ON own.longest, own.last TO board")
            connection.execute("GRANT SELECT (queue, outcome) ON calls TO clerk")
            connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer")
            connection.execute(next(one.text for one in available() if one.version == MONTHS))
            connection.execute("SET SESSION AUTHORIZATION writer")
            for table in TABLES:
                assert first_to_move(connection, table, 0, _LONG_MS) == 0
                assert move(connection, table, 0, LOOK_PAGES, _LONG_MS) == -1, "first the months are made"
                assert move(connection, table, 0, LOOK_PAGES, _LONG_MS) == 50
                assert first_to_move(connection, table, 0, _LONG_MS) is None
            connection.execute("SET SESSION AUTHORIZATION clerk")
            assert connection.execute("SELECT count(queue), min(outcome) FROM calls").fetchone() == (50, "answered")
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute("SELECT number FROM calls")
            connection.execute("SET SESSION AUTHORIZATION board")
            assert connection.execute("SELECT * FROM own.longest").fetchone() == (4_000,)
            assert connection.execute("SELECT count(*) FROM own.last").fetchone() == (50,)
            connection.execute("RESET SESSION AUTHORIZATION")
            barrier = "SELECT reloptions FROM pg_class WHERE relname = 'longest'"
            assert connection.execute(barrier).fetchone() == (["security_barrier=true"],)


def test_a_materialized_view_of_others_is_named(database: str) -> None:
    """It cannot be told of the new table; the migration changes nothing, and says what to do."""
    with psycopg.connect(database, autocommit=True) as connection:
        without_months(connection)
        connection.execute("CREATE MATERIALIZED VIEW mine AS SELECT count(*) FROM offers")
        with pytest.raises(
            psycopg.errors.RaiseException, match=r"public\.mine reads offers: drop it, and make it again"
        ):
            migrate(connection)
        connection.execute("DROP MATERIALIZED VIEW mine")
        assert any(name.startswith("018_") for name in migrate(connection))
