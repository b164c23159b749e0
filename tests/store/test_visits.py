"""Visits and contacts in a real PostgreSQL: a row for each stay, whoever tells of it, and what reports may see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import psycopg
import pytest

from fsacd.core.evidence import Evidence
from fsacd.core.records import Record, VisitEnded
from fsacd.core.visit import HowIn, Visit, VisitOutcome
from fsacd.store import lines, partitions
from fsacd.store.migrate import available, migrate
from fsacd.store.persons import erase, of_person, person
from fsacd.store.rows import TEXT_LIMIT, row
from tests.store.records import CALL, at, running, wall
from tests.store.rig import await_true, execute, rows

pytestmark = pytest.mark.postgres
DAY_MS = 86_400_000

FIRST = VisitEnded(
    "c1",
    Visit(1, "support", 1_000, HowIn.DIRECT, (("french", 3), ("german", 10)), 3, 2_000, "anna", "fr", 15_000, 5_000),
    21_000, VisitOutcome.OVERFLOWED, "max_wait", "queue sales", 20_000, 2, contact_id="K-7",
)  # fmt: skip
SECOND = VisitEnded(
    "c1", Visit(2, "sales", 21_000, HowIn.OVERFLOW, (), 3, 2_000, "anna", "fr", 20_000, 3_000),
    65_001, VisitOutcome.ANSWERED, "caller_hung_up", "", 4_000, 1, "anna", "o1", 25_000, 25_040, contact_id="K-7",
)  # fmt: skip


def write(dsn: str, *records: Record) -> None:
    """Each in a transaction of its own, in this order."""
    with running(dsn) as store:
        for record in records:
            store.put([record])
            await_true(lambda: store.state().queued == 0)
        assert store.state().refused == 0


def test_a_row_tells_all_of_a_visit(database: str) -> None:
    """As it was at its beginning, how it ended, and who answered."""
    write(database, FIRST, SECOND)
    found = rows(database, "SELECT * FROM visits ORDER BY n")
    january = datetime(2026, 1, 1, tzinfo=UTC)
    assert found == [
        (
            "c1", 1, "K-7", "support", at(1_000), at(21_000), "direct", "overflowed", "max_wait", "queue sales",
            20_000, 2, None, None, None, None, "french:3,german:10", 3, 2_000, "anna", "fr", 15_000, 5_000,
            "saw_end", 0, january,
        ),
        (
            "c1", 2, "K-7", "sales", at(21_000), at(65_001), "overflow", "answered", "caller_hung_up", "", 4_000, 1,
            "anna", "o1", at(25_000), at(25_040), "", 3, 2_000, "anna", "fr", 20_000, 3_000, "saw_end", 0, january,
        ),
    ]  # fmt: skip


def test_one_row_for_each_stay_in_any_order(database: str) -> None:
    """Rows come twice, in any order, and of two daemons, whose clocks differ: what the later one knows stands."""
    handed_over = replace(
        FIRST, outcome=VisitOutcome.LOST, detail="served_elsewhere", evidence=Evidence.HANDED_OVER, epoch=1
    )
    ours = replace(FIRST, visit=replace(FIRST.visit, joined_ms=1_003), epoch=2)
    for order in permutations((handed_over, ours, FIRST, SECOND)):
        execute_if_there(database, "TRUNCATE visits")
        write(database, *order, order[0])
        found = rows(database, "SELECT n, outcome, joined_at, epoch FROM visits ORDER BY n")
        assert found == [(1, "overflowed", at(1_003), 2), (2, "answered", at(21_000), 0)]


def execute_if_there(dsn: str, statement: str) -> None:
    if rows(dsn, "SELECT to_regclass('visits') IS NOT NULL") == [(True,)]:
        execute(dsn, statement)


def test_many_at_once_are_one_row_each(database: str) -> None:
    """Doubled rows may come in one batch."""
    with running(database) as store:
        store.put([SECOND, FIRST, SECOND, replace(FIRST, evidence=Evidence.GUESSED), FIRST])
        await_true(lambda: store.state().queued == 0)
        assert store.state().refused == 0
    found = rows(database, "SELECT n, evidence FROM visits ORDER BY n")
    assert found == [(1, "saw_end"), (2, "saw_end")]


def test_a_visit_waits_in_the_spool(database: str) -> None:
    """A line of it comes back as the same row; a requirement that is too long ends with a whole skill."""
    made = row(SECOND, wall)
    assert made is not None
    assert lines.decoded(lines.encoded(made)) == made
    many = tuple((f"{'s' * 60}{number}", 10) for number in range(9))
    cut = row(replace(FIRST, visit=replace(FIRST.visit, required=many)), wall)
    assert cut is not None
    text = dict(zip((name for name, _ in cut.table.columns), cut.values, strict=True))["required"]
    assert text == ",".join(f"{skill}:{level}" for skill, level in many[:3]) + ",..."
    assert len(text) <= TEXT_LIMIT
    write(database, FIRST)


def test_visits_lie_by_month(database: str) -> None:
    """In the month in which they began; old months are dropped, and of the one in between what is too old."""
    later = replace(FIRST, call_id="c2", visit=replace(FIRST.visit, joined_ms=40 * DAY_MS), ended_ms=40 * DAY_MS)
    write(database, FIRST, later)
    found = rows(database, "SELECT tableoid::regclass::text, call_id FROM visits ORDER BY joined_at")
    assert found == [("visits_2026_01", "c1"), ("visits_2026_02", "c2")]
    with psycopg.connect(database, autocommit=True) as connection:
        now = datetime.now(UTC)
        for days in range(100):
            partitions.make(connection, {("visits", datetime.fromtimestamp(now.timestamp() - days * 86_400, UTC))})
        connection.execute(
            "INSERT INTO visits SELECT v.call_id || d, n, contact_id, queue, now() - d * interval '1 day', now(), "
            "how_in, outcome, detail, went_to, waited_ms, offers, agent_id, offer_id, answered_at, connected_at, "
            "required, priority, head_start_ms, named_agent, language, service_level_ms, short_abandon_ms, evidence, "
            "epoch, date_trunc('month', (now() - d * interval '1 day') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' "
            "FROM visits v, generate_series(0, 99) d WHERE v.call_id = 'c1'"
        )
        while partitions.forget(connection, "visits", 20 * DAY_MS + 3_600_000, most=7) == 7:
            pass
        old = "count(*) FILTER (WHERE joined_at < now() - interval '20 days 1 hour')"
        mine = f"SELECT count(*), {old} FROM visits WHERE joined_at > now() - interval '101 days'"
        assert connection.execute(mine.encode()).fetchone() == (21, 0)


def test_contacts_follow_from_calls(database: str) -> None:
    """However often and in whatever order calls are told; calls of before are one contact each."""
    again = replace(CALL, call_id="c2", arrived_ms=70_000, ended_ms=90_000, talked_ms=1_000, number="+4940", name="Bo")
    alone = replace(CALL, call_id="c3", contact_id="")
    write(database, again, CALL, again, alone)
    found = rows(
        database,
        "SELECT contact_id, arrived_at, ended_at, calls, talked_ms, number, name, customer, language FROM contacts "
        "ORDER BY contact_id DESC",
    )
    assert found == [
        ("c3", at(1_000), at(65_001), 1, 60_001, "+4930123456", "Zoë 😀", "K-1", "fr"),
        ("K-7", at(1_000), at(90_000), 2, 61_001, "+4930123456", "Zoë 😀", "K-1", "fr"),
    ]


def test_who_is_erased_is_in_no_contact_and_no_visit(database: str) -> None:
    """Before that, both are given out with the caller's calls."""
    write(database, CALL, FIRST, SECOND, replace(FIRST, call_id="c9"))
    with psycopg.connect(database) as connection:
        whose = person(connection, ["+4930123456"])
        assert [found["contact_id"] for found in of_person(connection, "contacts", whose)] == ["K-7"]
        assert [(found["call_id"], found["n"]) for found in of_person(connection, "visits", whose)] == [
            ("c1", 1),
            ("c1", 2),
        ]
        erase(connection, ["+4930123456"], "test")
    for table in ("contacts", "visits", "v_visits"):
        assert not any("4930123456" in str(found) or "Zoë" in str(found) for found in rows(database, f"TABLE {table}"))
    assert rows(database, "SELECT count(*) FROM visits") == [(3,)]


@contextmanager
def as_role(database: str, role: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database) as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {role}".encode())
        yield connection
        connection.rollback()


@pytest.mark.parametrize(
    ("number", "shown"),
    [("+4930123456", "...456"), ("", ""), ("12345", ""), ("anonymous", ""), ("030 12-34", "...234")],
)
def test_reports_see_no_numbers(database: str, number: str, shown: str) -> None:
    """Of a number its last three digits, if it has others enough; and no table."""
    write(database, replace(CALL, number=number), FIRST)
    with as_role(database, "fsacd_report") as connection:
        assert connection.execute("SELECT n, queue, number FROM v_visits").fetchall() == [(1, "support", shown)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT number FROM calls")


@pytest.mark.parametrize(
    ("to", "shown"),
    [
        ("extension +4930123456 default", "extension ...456 default"),
        ("extension 030/12 34-56 default", "extension ...456 default"),
        ("extension 12345 default", "extension 12345 default"),
        ("queue sales", "queue sales"),
        ("hangup USER_BUSY", "hangup USER_BUSY"),
    ],
)
def test_reports_see_no_number_that_a_caller_was_sent_to(database: str, to: str, shown: str) -> None:
    """Of a number the last three digits; queues, causes and short extensions are shown. The table has it all."""
    write(database, replace(FIRST, to=to, detail=f"asked, {to}"))
    with as_role(database, "fsacd_report") as connection:
        assert connection.execute("SELECT went_to, detail FROM v_visits").fetchall() == [(shown, f"asked, {shown}")]
    assert rows(database, "SELECT went_to FROM visits") == [(to,)]


def test_a_database_of_before(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns no roles makes the tables all the same; who read or wrote calls goes on to."""
    known = available()
    with psycopg.connect(database, autocommit=True) as connection:
        with monkeypatch.context() as before:
            before.setattr("fsacd.store.migrate.available", lambda: [one for one in known if one.version < 11])
            migrate(connection)
        with connection.transaction(force_rollback=True):  # roles belong to the whole server
            if connection.execute("SELECT FROM pg_roles WHERE rolname = 'fsacd_report'").fetchone() is not None:
                connection.execute("ALTER ROLE fsacd_report RENAME TO of_other_databases")
            connection.execute("CREATE ROLE plain; CREATE ROLE writer; GRANT ALL ON SCHEMA public TO plain")
            connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON calls TO writer")
            for name in ("calls", "agent_presence", "agent_work"):
                connection.execute(f"ALTER TABLE {name} OWNER TO plain".encode())
            for name in ("fsacd_partition(text, timestamptz)", "fsacd_forget(text, timestamptz, integer)"):
                connection.execute(f"ALTER FUNCTION {name} OWNER TO plain".encode())
            connection.execute("SET SESSION AUTHORIZATION plain")
            connection.execute(next(one.text for one in known if one.version == 11))
            connection.execute("RESET SESSION AUTHORIZATION")
            assert connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'fsacd_report'").fetchone() == (0,)
            # What an administrator types then.
            connection.execute("CREATE ROLE fsacd_report NOLOGIN; GRANT SELECT ON v_visits TO fsacd_report")
            connection.execute("SET SESSION AUTHORIZATION writer")
            partitions.make(connection, {("visits", datetime.now(UTC))})
            assert connection.execute("SELECT count(*) FROM visits, contacts").fetchone() == (0,)
            connection.execute("RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION fsacd_report")
            assert connection.execute("SELECT count(*) FROM v_visits").fetchone() == (0,)


def test_nobody_borrows_the_owners_rights_for_a_table_of_their_own(database: str) -> None:
    """A table with partitions that is somebody else's is none of history's."""
    with psycopg.connect(database) as connection:
        migrate(connection)
        connection.execute("CREATE ROLE intruder; GRANT ALL ON SCHEMA public TO intruder")
        connection.execute("SET SESSION AUTHORIZATION intruder")
        connection.execute("CREATE TABLE mine (started_at timestamptz) PARTITION BY RANGE (started_at)")
        for call in ("fsacd_partition('mine', now())", "fsacd_forget('mine', now(), 10)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"SELECT {call}".encode())
        connection.rollback()
