"""Wrap-ups in a real PostgreSQL: one row per talk, the latest change of it, and the note's erasure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import psycopg
import pytest

from fsacd.core.records import Record, WrapUpEnded
from fsacd.store import partitions
from fsacd.store.erasure import erased
from fsacd.store.lines import decoded, encoded
from fsacd.store.persons import erase, of_person, person
from fsacd.store.rows import NOTE_LIMIT, row
from tests.store.records import CALL, at, running, wall
from tests.store.rig import await_true, rows

SAID = WrapUpEnded(
    "o1", "anna", "c1", "support", "K-7", 65_001, 75_000, ("sale/new", "callback"), "calls back\nat 5",
    "phone:1001", "+4930123456",
)  # fmt: skip
CORRECTED = replace(SAID, codes=("complaint",), note="", by="api:desk", changes=1)
ALL = "SELECT codes, note, by, changes FROM wrap_ups"


def write(dsn: str, *records: Record) -> None:
    with running(dsn) as store:
        store.put(records)
        await_true(lambda: store.state().queued == 0)
        assert store.state().refused == 0


def test_a_row_on_its_way_is_as_it_was() -> None:
    """Codes and a long note come out of a spool's line as they went in."""
    long = row(replace(SAID, note="ä" * NOTE_LIMIT), wall)
    assert long is not None
    assert decoded(encoded(long)) == long
    assert long.fields()["note"] == "ä" * NOTE_LIMIT


def test_the_spools_rows_are_without_erased_callers() -> None:
    """Of an erased caller's talk the number and the note go, the codes stay; others are left alone."""
    told = row(SAID, wall)
    assert told is not None
    assert erased(told, {"+4911"}) is None
    assert erased(told, {"+4930123456"}) == row(replace(SAID, number="", note=""), wall)


@pytest.mark.postgres
def test_a_wrap_up_is_one_row(database: str) -> None:
    """It has all that the record says, once, however often it is told."""
    write(database, SAID)
    write(database, SAID, SAID)
    found = rows(
        database,
        "SELECT offer_id, agent_id, call_id, queue, contact_id, started_at, ended_at, codes, note, by, number, changes "
        "FROM wrap_ups",
    )
    assert found == [
        ("o1", "anna", "c1", "support", "K-7", at(65_001), at(75_000), ["sale/new", "callback"], "calls back\nat 5",
         "phone:1001", "+4930123456", 0),
    ]  # fmt: skip


@pytest.mark.postgres
def test_the_latest_change_stands_in_any_order(database: str) -> None:
    """Codes that were changed later stand, in whatever order the rows come, in one batch or in several."""
    last = replace(CORRECTED, codes=(), changes=2)
    for number, order in enumerate(permutations((SAID, CORRECTED, last))):
        for name, batches in (("one", [order]), ("several", [(record,) for record in order])):
            offer_id = f"{name} {number}"
            for batch in batches:
                write(database, *(replace(record, offer_id=offer_id) for record in batch))
    assert set(map(str, rows(database, ALL))) == {str(([], "", "api:desk", 2))}


@pytest.mark.postgres
def test_what_waits_in_the_spool_is_written_once(database: str, tmp_path: Path) -> None:
    """Rows that a daemon has left in the spool are written by the next one, also if some were there already."""
    spool = tmp_path / "spool"
    with running("host=127.0.0.1 port=1", spool=spool) as store:
        store.put((SAID, CORRECTED))
    write(database, CORRECTED)
    with running(database, spool=spool) as store:
        await_true(lambda: store.state().queued == 0)
    assert rows(database, ALL) == [(["complaint"], "", "api:desk", 1)]


@pytest.mark.postgres
def test_a_callers_note_is_given_out_and_erased(database: str) -> None:
    """By their number, whether the call's row is there or not, and by their call, if the wrap-up has no number."""
    other = replace(SAID, offer_id="o2", call_id="c2", number="+4911", note="of another")
    unseen = replace(SAID, offer_id="o3", number="")
    early = replace(SAID, offer_id="o4", call_id="c4")
    write(database, CALL, SAID, other, unseen, early)
    with psycopg.connect(database) as connection:
        whose = person(connection, ["+49 30 123456"])
        assert {found["offer_id"] for found in of_person(connection, "wrap_ups", whose)} == {"o1", "o3", "o4"}
        assert erase(connection, ["+49 30 123456"], "test")["wrap_ups"] == 3
    found = rows(database, "SELECT offer_id, number, note, codes FROM wrap_ups ORDER BY offer_id")
    codes = ["sale/new", "callback"]
    assert found == [
        ("o1", "", "", codes), ("o2", "+4911", "of another", codes), ("o3", "", "", codes), ("o4", "", "", codes),
    ]  # fmt: skip


@pytest.mark.postgres
def test_every_column_is_described(database: str) -> None:
    """A reader of the schema finds what the table and each of its columns is."""
    write(database, SAID)
    blank = rows(
        database,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'wrap_ups'::regclass AND attnum > 0 "
        "AND col_description(attrelid, attnum) IS NULL",
    )
    assert blank == []
    assert rows(database, "SELECT obj_description('wrap_ups'::regclass) IS NOT NULL") == [(True,)]


@pytest.mark.postgres
def test_months_are_made_ahead_and_dropped_whole(database: str) -> None:
    """The table has its partitions like the agents' presence, and forgets what is too old."""
    write(database, SAID)
    with psycopg.connect(database, autocommit=True) as connection:
        partitions.make(connection, partitions.ahead(datetime(2031, 5, 6, tzinfo=UTC)))
        made = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'wrap_ups\\_2031\\___'").fetchall()
        assert {name for (name,) in made} >= {"wrap_ups_2031_05", "wrap_ups_2031_06", "wrap_ups_2031_07"}
        assert partitions.forget(connection, "agent_presence", 1_000, 10) == 0
        partitions.forget(connection, "wrap_ups", 1_000, 10)
    assert rows(database, ALL) == []
