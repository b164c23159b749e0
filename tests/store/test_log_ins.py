"""Agents' log-ins in a real PostgreSQL: one row each, whoever tells of it and when, and what reports may see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import psycopg
import pytest

from fsacd.caller.number_plan import PLAIN
from fsacd.core.log_in import HowBegun, HowEnded, LogIn
from fsacd.core.records import AgentPresence
from fsacd.store import lines, partitions
from fsacd.store.erasure import erased
from fsacd.store.migrate import migrate
from fsacd.store.persons import erase, of_others, person
from fsacd.store.rows import row
from tests.store.records import at, wall
from tests.store.rig import rows
from tests.store.test_visits import as_role, execute_if_there, write

pytestmark = pytest.mark.postgres
DAY_MS = 86_400_000
NUMBER = "+4930123456"
BEGUN = LogIn("l1", "anna", f"sofia/gateway/pstn/{NUMBER}", ("fs1", "fs2"), 1_000, HowBegun.LOGGED_IN, "phone:1001")
ENDED = replace(BEGUN, ended_ms=9_000, how_ended=HowEnded.LOGGED_OUT, ended_by=f"phone:{NUMBER}")


def test_a_log_in_is_known_before_it_ends(database: str) -> None:
    """Its row is closed when it has ended."""
    january = datetime(2026, 1, 1, tzinfo=UTC)
    told = ("l1", "anna", f"sofia/gateway/pstn/{NUMBER}", "fs1,fs2", at(1_000))
    write(database, BEGUN)
    assert rows(database, "SELECT * FROM log_ins") == [
        (*told, None, "logged_in", "phone:1001", "", "", january),
    ]
    write(database, ENDED)
    assert rows(database, "SELECT * FROM log_ins") == [
        (*told, at(9_000), "logged_in", "phone:1001", "logged_out", f"phone:{NUMBER}", january),
    ]


def test_one_row_for_each_log_in_in_any_order(database: str) -> None:
    """Rows come twice, in any order, and from a daemon that was started anew, whose wall clock differs by a little."""
    later = replace(ENDED, started_ms=1_003)
    other = replace(ENDED, log_in_id="l2")
    for order in permutations((BEGUN, later, other)):
        execute_if_there(database, "TRUNCATE log_ins")
        write(database, *order, order[0])
        found = rows(database, "SELECT log_in_id, started_at, ended_at FROM log_ins ORDER BY log_in_id")
        assert found == [("l1", at(1_003), at(9_000)), ("l2", at(1_000), at(9_000))]


def test_one_row_where_two_months_meet(database: str) -> None:
    """By the one clock it began in this month, by the other in the last one."""
    month_ms = round((datetime(2026, 2, 1, tzinfo=UTC) - at(0)) / timedelta(milliseconds=1))
    begun = replace(BEGUN, started_ms=month_ms - 1)
    ended = replace(ENDED, started_ms=month_ms + 1, ended_ms=month_ms + DAY_MS)
    for first, second in ((begun, ended), (ended, begun)):
        execute_if_there(database, "TRUNCATE log_ins")
        write(database, first)
        write(database, second)
        assert rows(database, "SELECT ended_at FROM log_ins") == [(at(month_ms + DAY_MS),)]


def test_a_line_of_the_spool_is_the_same_row() -> None:
    """What waits on disk is what would have been written."""
    for record in (BEGUN, ENDED):
        told = row(record, wall)
        assert told is not None
        assert lines.decoded(lines.encoded(told)) == told


def test_an_end_that_nobody_saw_is_that_of_the_next_log_in_or_of_a_presence(database: str) -> None:
    """A daemon that starts anew, without a journal, tells that everybody is logged out."""
    write(
        database,
        BEGUN,
        replace(BEGUN, log_in_id="l2", started_ms=20_000),
        AgentPresence("anna", "logged_out", "", 30_000, None),
        AgentPresence("ben", "logged_out", "", 15_000, None),
        replace(ENDED, log_in_id="l3", started_ms=40_000, ended_ms=50_000, how_ended=HowEnded.MOVED),
        replace(BEGUN, log_in_id="l4", started_ms=50_000, how_begun=HowBegun.MOVED),
    )
    query = "SELECT log_in_id, ended_at, how_ended FROM v_log_ins ORDER BY started_at"
    assert rows(database, query) == [
        ("l1", at(20_000), "unseen"),
        ("l2", at(30_000), "unseen"),
        ("l3", at(50_000), "moved"),
        ("l4", None, ""),
    ]


def test_reports_see_a_door_and_three_digits(database: str) -> None:
    """`v_log_ins` is for those who may not see numbers: an agent's own phone may have one."""
    write(database, ENDED)
    with as_role(database, "fsacd_report") as connection:
        found = connection.execute("SELECT * FROM v_log_ins").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM log_ins")
    assert found == [
        ("l1", "anna", "sofia/gateway/pstn/...456", "fs1,fs2", at(1_000), at(9_000), "logged_in", "phone", "logged_out",
         "phone"),
    ]  # fmt: skip


def test_months_are_made_ahead_and_dropped(database: str) -> None:
    """As those of presences. Whatever the day, in a hundred days these months are over."""
    with psycopg.connect(database, autocommit=True) as connection:
        migrate(connection)
        partitions.make(connection, partitions.ahead(datetime.now(UTC)))
        made = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'log_ins'::regclass"
        assert connection.execute(made).fetchone() == (3,)
        assert partitions.forget(connection, "log_ins", -100 * DAY_MS, most=10) == 0
        assert connection.execute(made).fetchone() == (0,)


def test_erasing_a_caller_reaches_a_phone_of_that_number(database: str) -> None:
    """In the database and on its way there; the export tells of it before."""
    write(database, ENDED)
    told = row(ENDED, wall)
    assert told is not None
    with psycopg.connect(database) as connection:
        whose = person(connection, [NUMBER])
        (found,) = of_others(connection, "log_ins", whose)
        assert found["told"] == {"contact": ENDED.contact, "ended_by": ENDED.ended_by}
        assert erase(connection, [NUMBER], "test")["log_ins"] == 1
    assert rows(database, "SELECT contact, by, ended_by FROM log_ins") == [
        ("sofia/gateway/pstn/***", "phone:1001", "phone:***"),
    ]
    without = erased(told, PLAIN.identities([NUMBER]))
    assert without is not None
    assert "123456" not in repr(without.values)
