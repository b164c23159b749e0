"""Agents' presence and work in a real PostgreSQL: rows, partitions by month, and the view of one state at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from fsacd.core.records import AgentPresence, AgentWorkEnded, Record
from fsacd.store import partitions
from fsacd.store.migrate import available, migrate
from tests.store.records import CALL, at, running
from tests.store.rig import await_true, rows
from tests.store.test_visits import as_role

pytestmark = pytest.mark.postgres
DAY_MS = 86_400_000


def write(dsn: str, *records: Record) -> None:
    with running(dsn) as store:
        store.put(records)
        await_true(lambda: store.state().queued == 0)
        assert store.state().refused == 0


def work(state: str, began_ms: int, ended_ms: int, offer_id: str = "o1") -> AgentWorkEnded:
    return AgentWorkEnded("anna", state, "", began_ms, ended_ms, "", offer_id, "c1", "support", "voice", 100)


def states(dsn: str) -> list[tuple[object, ...]]:
    found = rows(dsn, "SELECT state, started_at, ended_at FROM agent_states ORDER BY started_at, ended_at")
    return [(state, *((moment - at(0)) // timedelta(milliseconds=1) for moment in span)) for state, *span in found]


def test_a_presence_is_known_before_it_ends(database: str) -> None:
    """It has one row, which is closed when it ends, whether the end comes with it, later, or twice."""
    begun = AgentPresence("anna", "ready", "", 0, None, "phone:1001")
    ended = AgentPresence("anna", "ready", "", 0, 5_000, "phone:1001")
    lunch = AgentPresence("anna", "not_ready", "lunch", 5_000, None, "phone:1001")
    write(database, begun)
    assert rows(database, "SELECT presence, ended_at FROM agent_presence") == [("ready", None)]
    write(database, ended, lunch, begun)
    found = rows(database, "SELECT presence, reason, started_at, ended_at, by FROM agent_presence ORDER BY started_at")
    assert found == [
        ("ready", "", at(0), at(5_000), "phone:1001"),
        ("not_ready", "lunch", at(5_000), None, "phone:1001"),
    ]


def test_one_state_at_a_time(database: str) -> None:
    """Work goes before presence; between two pieces of work the presence shows, from its beginning to its end."""
    write(
        database,
        AgentPresence("anna", "ready", "", 0, 9_000),
        work("offered", 1_000, 2_000),
        work("talking", 2_000, 4_000),
        work("wrapping_up", 4_000, 5_000),
        work("offered", 6_000, 7_000, "o2"),
        work("talking", 7_000, 12_000, "o2"),  # the break is asked for in the talk
        AgentPresence("anna", "not_ready", "lunch", 9_000, 20_000),
        AgentPresence("anna", "ready", "", 20_000, None),
    )
    assert states(database) == [
        ("ready", 0, 1_000),
        ("offered", 1_000, 2_000),
        ("talking", 2_000, 4_000),
        ("wrapping_up", 4_000, 5_000),
        ("ready", 5_000, 6_000),
        ("offered", 6_000, 7_000),
        ("talking", 7_000, 12_000),
        ("not_ready", 12_000, 20_000),
    ]


def test_what_a_daemon_has_left_open_ends_with_the_next_presence(database: str) -> None:
    """A daemon that starts anew, without a journal, tells that everybody is logged out."""
    write(
        database,
        AgentPresence("anna", "ready", "", 0, None),
        AgentPresence("anna", "logged_out", "", 7_000, None),
        AgentPresence("anna", "ready", "", 8_000, None),
    )
    assert states(database) == [("ready", 0, 7_000), ("logged_out", 7_000, 8_000)]


def test_each_month_has_its_partition(database: str) -> None:
    """It is made for whatever comes, however old; a row is where it began."""
    write(database, work("talking", 0, 1_000), work("talking", 40 * DAY_MS, 40 * DAY_MS + 1_000, "o2"))
    write(database, work("talking", -400 * DAY_MS, 5_000, "o3"))
    found = rows(database, "SELECT tableoid::regclass::text, offer_id FROM agent_work ORDER BY started_at")
    assert found == [("agent_work_2024_11", "o3"), ("agent_work_2026_01", "o1"), ("agent_work_2026_02", "o2")]


def test_months_that_are_too_old_are_dropped(database: str) -> None:
    """Of the month in between only what is too old is deleted."""
    now = datetime.now(UTC)
    with psycopg.connect(database, autocommit=True) as connection:
        migrate(connection)
        partitions.make(connection, {("agent_work", now - timedelta(days=days)) for days in range(100)})
        connection.execute(
            "INSERT INTO agent_work SELECT 'a', 'busy', '', now() - n * interval '1 day', now(), '', '', '', '', '', 0 "
            "FROM generate_series(0, 99) n"
        )
        while partitions.forget(connection, "agent_work", 20 * DAY_MS + 3_600_000, most=7) == 7:
            pass
        too_old = "count(*) FILTER (WHERE started_at < now() - interval '20 days 1 hour')"
        left = connection.execute(f"SELECT count(*), {too_old} FROM agent_work".encode()).fetchone()
        assert left == (21, 0)
        oldest = connection.execute(
            "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'agent_work'::regclass"
        ).fetchone()
    assert oldest == ((now - timedelta(days=20, hours=1)).strftime("agent_work_%Y_%m"),)


def test_a_long_look_at_history_holds_nobody_up(database: str) -> None:
    """A month that somebody reads is dropped when they have done; writers do not wait behind the one who would drop."""
    month = datetime(2026, 1, 1, tzinfo=UTC)
    with psycopg.connect(database, autocommit=True) as connection, psycopg.connect(database) as reader:
        migrate(connection)
        partitions.make(connection, {("agent_work", month)})
        connection.execute("SET statement_timeout = '30s'")
        reader.execute("SELECT count(*) FROM agent_work")
        assert partitions.forget(connection, "agent_work", 0, most=10) == 0
        there = "SELECT to_regclass('agent_work_2026_01') IS NOT NULL"
        assert connection.execute(there).fetchone() == (True,)
        reader.rollback()
        partitions.forget(connection, "agent_work", 0, most=10)
        assert connection.execute(there).fetchone() == (False,)


def test_a_partition_that_was_dropped_is_made_again(database: str) -> None:
    """Retention has dropped it behind the writer's back; the row is written all the same."""
    with running(database) as store:
        store.put([work("talking", 0, 1_000)])
        await_true(lambda: store.state().queued == 0)
        with psycopg.connect(database) as connection:
            connection.execute("DROP TABLE agent_work_2026_01")
        store.put([work("talking", 2_000, 3_000, "o2")])
        await_true(lambda: store.state().queued == 0)
    assert rows(database, "SELECT offer_id FROM agent_work") == [("o2",)]


def test_nobody_makes_partitions_of_other_tables(database: str) -> None:
    """The functions run with their owner's rights."""
    with psycopg.connect(database) as connection:
        migrate(connection)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT fsacd_partition('changes', now())")


def test_nobody_gets_the_rights_of_the_owner_by_a_temporary_table(database: str) -> None:
    """A trigger of the caller's own table would run with them."""
    with psycopg.connect(database) as connection:
        migrate(connection)
        connection.execute("CREATE ROLE intruder")
        connection.execute("SET SESSION AUTHORIZATION intruder")
        connection.execute("CREATE TEMP TABLE agent_work (started_at timestamptz)")
        connection.execute("CREATE TEMP TABLE agent_work_2026_01 (started_at timestamptz)")
        connection.execute("INSERT INTO agent_work_2026_01 VALUES ('2026-01-02 UTC')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT fsacd_forget('agent_work', '2026-01-20 UTC', 10)")
        connection.rollback()


def test_who_read_or_wrote_states_goes_on_after_the_migration(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wallboard reads the view; a writer that owns nothing writes presence and work, and makes months."""
    known = available()
    with psycopg.connect(database, autocommit=True) as connection:
        with monkeypatch.context() as before:
            before.setattr("fsacd.store.migrate.available", lambda: [one for one in known if one.version < 9])
            migrate(connection)
        with connection.transaction(force_rollback=True):  # roles belong to the whole server
            connection.execute("CREATE ROLE wallboard; CREATE ROLE writer")
            connection.execute("GRANT SELECT ON agent_states TO wallboard")
            connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON agent_states TO writer")
            connection.execute("INSERT INTO agent_states VALUES ('a', 'ready', '', now(), now(), '')")
            connection.execute(next(one.text for one in known if one.version == 9))
            connection.execute("SET SESSION AUTHORIZATION writer")
            partitions.make(connection, {("agent_work", datetime.now(UTC))})
            connection.execute("INSERT INTO agent_work VALUES ('a', 'busy', '', now(), now(), '', '', '', '', '', 0)")
            assert partitions.forget(connection, "agent_work", -DAY_MS, most=10) == 1
            connection.execute("SET SESSION AUTHORIZATION wallboard")
            assert connection.execute("SELECT agent_id, state FROM agent_states").fetchall() == [("a", "ready")]
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute("DELETE FROM agent_work")


def test_reports_see_work_with_three_digits(database: str) -> None:
    """`v_agent_work` is for those who may not see who called, nor who ended the work: that may be a number, too."""
    write(
        database,
        replace(CALL, call_id="c1", number="+4930123456"),
        replace(work("talking", 1_000, 61_000), by="phone:+4930999999"),
        AgentWorkEnded("anna", "held_back", "no_answer", 61_000, 62_000),
    )
    with as_role(database, "fsacd_report") as connection:
        found = connection.execute("SELECT * FROM v_agent_work ORDER BY started_at").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM agent_work")
    assert found == [
        ("anna", "talking", "", at(1_000), at(61_000), "o1", "c1", "support", "voice", 100, "...456"),
        ("anna", "held_back", "no_answer", at(61_000), at(62_000), "", "", "", "", 0, ""),
    ]
