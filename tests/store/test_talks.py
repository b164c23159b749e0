"""Talks in a real PostgreSQL: a row for each agent's part in a call, whoever tells of it, and what reports may see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import psycopg
import pytest

from fsacd.core.evidence import Evidence
from fsacd.core.records import TalkEnd, TalkEnded, TransferKind
from fsacd.store import lines, partitions
from fsacd.store import migrate as migrating
from fsacd.store.migrate import available, migrate
from fsacd.store.persons import of_person, person
from fsacd.store.rows import row
from tests.store.records import CALL, at, wall
from tests.store.rig import rows
from tests.store.test_visits import execute_if_there, write

pytestmark = pytest.mark.postgres
DAY_MS = 86_400_000
_TRANSFERS = 14  # the migration that knows how

FIRST = TalkEnded(
    "o1", "c1", 2, "support", "anna", 1_000, 61_000, 5_000, 2, 1, TalkEnd.TRANSFER, "ben", Evidence.SAW_END, 3, "K-7",
    TransferKind.ATTENDED,
)  # fmt: skip
SECOND = replace(
    FIRST, offer_id="o2", agent_id="ben", started_ms=61_000, ended_ms=90_000, held_ms=0, holds=0, consults=0,
    ended_by=TalkEnd.CALLER, to="", kind=TransferKind.NONE,
)  # fmt: skip


def test_a_row_tells_all_of_a_talk(database: str) -> None:
    """Whose it was, how long they talked and held, and who ended it; the next agent's part is a row of its own."""
    write(database, FIRST, SECOND)
    january = datetime(2026, 1, 1, tzinfo=UTC)
    assert rows(database, "SELECT * FROM talks ORDER BY started_at") == [
        (
            "o1", "c1", 2, "K-7", "support", "anna", at(1_000), at(61_000), 55_000, 5_000, 2, 1, "transfer", "ben",
            "saw_end", 3, january, "attended",
        ),
        (
            "o2", "c1", 2, "K-7", "support", "ben", at(61_000), at(90_000), 29_000, 0, 0, 0, "caller", "", "saw_end",
            3, january, "",
        ),
    ]  # fmt: skip


def test_one_row_for_each_talk_in_any_order(database: str) -> None:
    """Rows come twice, in any order, and of two daemons, whose clocks differ: what the later one knows stands."""
    lost = replace(FIRST, ended_by=TalkEnd.LOST, to="", kind=TransferKind.NONE, evidence=Evidence.HANDED_OVER, epoch=1)
    ours = replace(FIRST, started_ms=1_003, epoch=4)
    for order in permutations((lost, ours, FIRST, SECOND)):
        execute_if_there(database, "TRUNCATE talks")
        write(database, *order, order[0])
        found = rows(database, "SELECT offer_id, ended_by, started_at FROM talks ORDER BY offer_id")
        assert found == [("o1", "transfer", at(1_003)), ("o2", "caller", at(61_000))]


def test_a_line_of_the_spool_is_the_same_row() -> None:
    """What waits on disk is what would have been written."""
    told = row(FIRST, wall)
    assert told is not None
    assert lines.decoded(lines.encoded(told)) == told


@pytest.mark.parametrize(("ended", "kind"), [(FIRST, "attended"), (SECOND, "")], ids=["transfer", "caller"])
def test_an_earlier_fsacd_did_not_say_how_a_caller_was_given_away(ended: TalkEnded, kind: str) -> None:
    """All of those that it had handed over were consulted about: in its journal, and in its spool."""
    told = row(replace(ended, kind=TransferKind.NONE), wall)
    assert told is not None
    assert told.values[-1] == kind
    before = {**lines.CURRENT, "talks": lines.CURRENT["talks"][:-1]}
    found = lines.decoded(lines.encoded_values("talks", told.values[:-1]), before)
    assert found == told


def test_talks_of_an_earlier_fsacd_say_how_the_caller_was_given_away(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do those that stand in the database when it is brought up to date."""
    with psycopg.connect(database) as connection, monkeypatch.context() as older:
        earlier = [migration for migration in available() if migration.version < _TRANSFERS]
        older.setattr(migrating, "available", lambda: earlier)
        migrate(connection)
        for offer, ended_by in (("o1", "transfer"), ("o2", "caller")):
            connection.execute("SELECT fsacd_partition('talks', '2026-01-15')")
            connection.execute(
                "INSERT INTO talks VALUES (%s, 'c1', 1, '', 'support', 'anna', '2026-01-15', '2026-01-15', 1, 0, 0, 0, "
                "%s, '', NULL, NULL, '2026-01-01 00:00+00')",
                (offer, ended_by),
            )
    with psycopg.connect(database) as connection:
        migrate(connection)
    found = rows(database, "SELECT offer_id, kind FROM v_talks ORDER BY offer_id")
    assert found == [("o1", "attended"), ("o2", "")]


def test_reports_see_no_name_and_three_digits(database: str) -> None:
    """`v_talks` is for those who may not see who called."""
    write(database, replace(CALL, call_id="c1", number="+4930123456"), FIRST)
    assert rows(database, "SELECT number, agent_id, talked_ms FROM v_talks") == [("...456", "anna", 55_000)]


def test_whoever_asks_for_a_person_gets_their_talks(database: str) -> None:
    """A talk holds no number: it is found by its call."""
    write(database, replace(CALL, call_id="c1", number="+4930123456"), FIRST)
    with psycopg.connect(database) as connection:
        whose = person(connection, ["+4930123456"])
        assert [found["offer_id"] for found in of_person(connection, "talks", whose)] == ["o1"]


def test_talks_are_forgotten_by_month(database: str) -> None:
    """A month whose time is over is dropped whole."""
    write(database, FIRST)
    with psycopg.connect(database, autocommit=True) as connection:
        assert partitions.forget(connection, "talks", DAY_MS, 10) >= 0
    assert rows(database, "SELECT * FROM talks") == []
