from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import gevent
import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.caller.customers import Change, Search
from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.recognition import Customer, Recognition
from fsacd.core.events import CallQueued
from fsacd.store.customer_book import CustomerBook
from fsacd.store.customers import CustomerFeed, put, remove, stored, summary
from tests.store.rig import await_true, execute, quick, rows

pytestmark = pytest.mark.postgres

VIP = Customer("+4930123", 2, 60_000, (("french", 3), ("vip", 10)), "anna", "fr", "Zoë GmbH")
PLAIN = Customer("+4930999")


class Table:
    """A table of customers that notes how often it was replaced."""

    def __init__(self, sentence: str = "") -> None:
        self.entries: list[Customer] = []
        self.replaced = self.updated = 0
        self._sentence = sentence

    def replace_stored(self, entries: Iterable[Customer]) -> str:
        self.entries = [replace(entry, customer_id=0) for entry in entries]
        self.replaced += 1
        return self._sentence

    def update_stored(self, numbers: Iterable[str], entries: Iterable[Customer]) -> str:
        gone = set(numbers)
        kept = [entry for entry in self.entries if entry.number not in gone]
        self.entries = sorted(
            [*kept, *(replace(entry, customer_id=0) for entry in entries)], key=lambda one: one.number
        )
        self.updated += 1
        return self._sentence


@pytest.fixture
def table(with_tables: str) -> str:
    """An empty table of customers."""
    return with_tables


@contextmanager
def feeding(dsn: str, target: Table) -> Iterator[CustomerFeed]:
    feed = CustomerFeed(quick(dsn), target, poll_ms=20)
    feed.start()
    try:
        yield feed
    finally:
        feed.stop()


def add(dsn: str, *customers: Customer) -> list[bool]:
    with psycopg.connect(dsn) as connection:
        return [put(connection, entry, "cli:root") for entry in customers]


def test_what_is_written_is_read(table: str) -> None:
    """Every field of a customer comes back as it was written."""
    assert add(table, PLAIN, VIP) == [True, True]
    target = Table()
    with feeding(table, target):
        await_true(lambda: target.replaced == 1)
    assert target.entries == [VIP, PLAIN]


class Known(Recognition):
    """What is recognised, and how often all of it was read, and a part."""

    def __init__(self) -> None:
        super().__init__(plan=NumberPlan(country="DE", international="00", trunk="0"))
        self.read: list[str] = []

    def replace_stored(self, entries: Iterable[Customer]) -> str:
        self.read.append("all")
        return super().replace_stored(entries)

    def update_stored(self, numbers: Iterable[str], entries: Iterable[Customer]) -> str:
        self.read.append("some")
        return super().update_stored(numbers, entries)


def test_a_change_costs_what_it_changes(table: str) -> None:
    """After the first time only what has changed is read, by whatever program; after very much everything is."""
    known = Known()
    settings = replace(quick(table), plan=known.plan)
    book = CustomerBook(settings)
    calls = []
    feed = CustomerFeed(settings, known, poll_ms=20, after=lambda: calls.append(len(known)))
    feed.start()
    try:
        await_true(lambda: known.read == ["all"])
        acme = book.create(Change(("+4930111", "+4930112"), (), {"name": "ACME"}), "api:desk").customer_id
        await_true(lambda: known.find("030112") is not None)
        assert known.find("030112") == Customer("+4930112", name="ACME", customer_id=acme, main="+4930111")
        book.change(acme, Change(None, (), {"name": "ACME Ltd"}), "api:desk")
        await_true(
            lambda: all(one is not None and one.name == "ACME Ltd" for one in map(known.find, ("030111", "030112")))
        )
        execute(table, "INSERT INTO customers (number, name) VALUES ('030/222-222', 'by a program')")
        await_true(lambda: known.find("+4930222222") is not None)
        baker = book.search(Search(number="030222222")).records[0].customer_id
        book.merge(acme, baker, "api:desk")
        await_true(lambda: (known.find("030222222") or Customer("")).customer_id == acme)
        book.delete(acme, "api:desk")
        await_true(lambda: len(known) == 0)
        assert set(known.read[1:]) == {"some"}
        await_true(lambda: calls[-1] == 0)
        execute(table, "INSERT INTO customers (number) SELECT '+49301' || n FROM generate_series(1000, 1999) AS n")
        await_true(lambda: len(known) == 1_000)
        assert known.read[-1] == "all"
        execute(table, "TRUNCATE customers")
        await_true(lambda: len(known) == 0)
    finally:
        feed.stop()


def test_whoever_changes_something_need_not_wait(table: str) -> None:
    """What this daemon has changed itself it reads at once, and not when it would have looked again."""
    known = Known()
    settings = replace(quick(table), plan=known.plan)
    feed = CustomerFeed(settings, known, poll_ms=3_600_000)
    book = CustomerBook(settings, feed.wake)
    feed.start()
    try:
        await_true(lambda: known.read == ["all"])
        book.create(Change(("+4930111",)), "api:desk")
        await_true(lambda: known.find("030111") is not None)
        known.limit = 0
        feed.read_anew()
        await_true(lambda: len(known) == 0)
        assert known.left_out == 1
    finally:
        feed.stop()


def test_a_number_that_is_the_same_by_meaning(table: str) -> None:
    """Of two rows that mean one number the one that is read first is known; when it goes the other one is."""
    known = Known()
    feed = CustomerFeed(replace(quick(table), plan=known.plan), known, poll_ms=20)
    feed.start()
    try:
        await_true(lambda: known.read == ["all"])
        execute(table, "INSERT INTO customers (number, name) VALUES ('030111222', 'b'), ('+4930111222', 'a')")
        await_true(lambda: (known.find("030111222") or Customer("")).name == "a")
        execute(table, "DELETE FROM customers WHERE name = 'a'")
        await_true(lambda: (known.find("030111222") or Customer("")).name == "b")
    finally:
        feed.stop()


def test_an_empty_table_is_told_once(database: str) -> None:
    """On a database that nobody has used the tables are made, and that there is nobody is told once."""
    target = Table()
    with feeding(database, target):
        await_true(lambda: target.replaced == 1)
        gevent.sleep(0.1)
    assert (target.entries, target.replaced) == ([], 1)


def test_each_change_is_seen(table: str) -> None:
    """Adding, changing and removing, and what others do to the table, is seen within the time of a poll."""
    target = Table()
    with feeding(table, target):
        add(table, VIP)
        await_true(lambda: target.entries == [VIP])
        assert add(table, replace(VIP, priority=None, skills=())) == [False]
        await_true(lambda: target.entries == [replace(VIP, priority=None, skills=())])
        with psycopg.connect(table) as connection:
            assert remove(connection, VIP.number, "cli:root") is True
        await_true(lambda: target.entries == [])
        execute(table, "INSERT INTO customers (number, priority) VALUES ('+491', 7)")
        await_true(lambda: target.entries == [Customer("+491", 7)])
        execute(table, "TRUNCATE customers")
        await_true(lambda: target.entries == [])


def test_a_transaction_that_ends_late(table: str) -> None:
    """A change that began before another one and is committed after it is not missed."""
    target = Table()
    add(table, VIP, PLAIN)
    with feeding(table, target), psycopg.connect(table) as slow:
        slow.execute("SELECT now()")  # its changes carry the time of this moment
        add(table, replace(VIP, name="later"))
        await_true(lambda: replace(VIP, name="later") in target.entries)
        slow.execute("UPDATE customers SET name = 'earlier', changed_at = now() WHERE number = %s", (PLAIN.number,))
        slow.commit()
        await_true(lambda: replace(PLAIN, name="earlier") in target.entries)


def test_who_did_it(table: str) -> None:
    """A change by the command stands in the changes, with who did it and what; removing nobody is no change."""
    add(table, VIP, replace(VIP, agent=""))
    with psycopg.connect(table) as connection:
        assert remove(connection, VIP.number, "cli:anna") is True
        assert remove(connection, VIP.number, "cli:anna") is False
    known = "priority 2; head start 60 s; skills french 3, vip 10"
    assert rows(table, "SELECT kind, subject, detail, by FROM changes ORDER BY at") == [
        ("customer_set", "+4930123", f"{known}; agent anna; language fr; name Zoë GmbH", "cli:root"),
        ("customer_set", "+4930123", f"changed agent: {known}; language fr; name Zoë GmbH", "cli:root"),
        ("customer_removed", "+4930123", f"{known}; language fr; name Zoë GmbH", "cli:anna"),
    ]


def test_the_list(table: str) -> None:
    """The list shows every row with who wrote it, by number."""
    add(table, PLAIN, VIP)
    with psycopg.connect(table) as connection:
        shown = list(stored(connection))
    assert [(row.number, row.skills, row.changed_by) for row in shown] == [
        ("+4930123", {"french": 3, "vip": 10}, "cli:root"),
        ("+4930999", {}, "cli:root"),
    ]
    assert shown[0].changed_at.endswith("Z")


def test_rows_that_make_no_sense(table: str) -> None:
    """A row whose skills are no levels is left out and counted in the log; the others are read."""
    for number, skills in (("1", '{"french": 11}'), ("2", '{"french": "3"}'), ("3", '{"french": true}')):
        execute(table, "INSERT INTO customers (number, skills) VALUES (%s, %s)", number, skills)
    add(table, VIP)
    target = Table()
    with capture_logs() as logs, feeding(table, target):
        await_true(lambda: target.replaced == 1)
        await_true(lambda: any(line["log_level"] == "error" for line in logs))
    assert target.entries == [VIP]
    assert [line["customers"] for line in logs if line["log_level"] == "error"] == [3]


@pytest.mark.parametrize(
    "values",
    ["('', 0, '{}')", "(repeat('9', 65), 0, '{}')", "('1', 101, '{}')", "('1', 0, '[]')", "('1', 0, '3')"],
)
def test_the_table_refuses_nonsense(table: str, values: str) -> None:
    """What no program of ours would write is refused by the table itself."""
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(table, f"INSERT INTO customers (number, priority, skills) VALUES {values}")


def test_what_is_not_taken_is_said(table: str) -> None:
    """If the daemon cannot keep all entries, its sentence is logged."""
    target = Table("3 customers of the database are not recognised")
    with capture_logs() as logs, feeding(table, target):
        await_true(lambda: any("not recognised" in line["event"] for line in logs))


def test_a_lost_connection(table: str) -> None:
    """While the database is lost what is known stays; afterwards a change made meanwhile is seen."""
    add(table, VIP)
    target = Table()
    with capture_logs() as logs, feeding(table, target):
        await_true(lambda: target.replaced == 1)
        execute(
            table, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%%customers'"
        )
        add(table, PLAIN)
        await_true(lambda: target.entries == [VIP, PLAIN])
        await_true(lambda: any(line["log_level"] == "warning" for line in logs))
    assert (target.replaced, target.updated) == (1, 1)


def test_no_database(tmp_path: Path) -> None:
    """A database that is not there changes nothing, and is told once."""
    target = Table()
    with capture_logs() as logs, feeding(f"host={tmp_path} dbname=none", target):
        await_true(lambda: len(logs) == 1)
        gevent.sleep(0.2)
    assert target.replaced == 0
    assert [line["log_level"] for line in logs] == ["warning"]


def test_many_customers_hold_nobody_up(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long table is taken a little at a time: others get their turns meanwhile, and callers are then recognised."""
    execute(
        table,
        "INSERT INTO customers (number, skills, name) "
        "SELECT '+49' || n, '{\"french\": 3}', 'name ' || n FROM generate_series(1, 20000) AS n",
    )
    recognition = Recognition()
    turns = longest = 0

    def decide() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    def entries_between_turns(entries: Iterable[Customer]) -> Iterator[Customer]:
        nonlocal longest
        last, since = turns, 0
        for entry in entries:
            last, since = (turns, 0) if turns != last else (last, since + 1)
            longest = max(longest, since)
            yield entry

    other = gevent.spawn(decide)
    taken = Recognition.replace_stored
    monkeypatch.setattr(
        Recognition, "replace_stored", lambda self, entries: taken(self, entries_between_turns(entries))
    )
    feed = CustomerFeed(quick(table), recognition, poll_ms=20)
    feed.start()
    await_true(lambda: len(recognition) == 20_000)
    other.kill()
    feed.stop()
    assert longest < 1_000, "entries were taken in one go"
    known = recognition.recognise(CallQueued("c1", "support", 0, number="+49 777"))
    assert (known.required, known.customer) == ((("french", 3),), "name 777")


def test_lost_in_the_middle(table: str) -> None:
    """When the database is lost in the middle of the table, the entries known before stay whole."""
    execute(table, "INSERT INTO customers (number) SELECT '+49' || n FROM generate_series(1, 3000) AS n")
    seen: list[int] = []

    class Interrupted(Table):
        def replace_stored(self, entries: Iterable[Customer]) -> str:
            taken = 0
            for _ in entries:
                taken += 1
                if taken == 700 and not seen:
                    seen.append(taken)
                    execute(table, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE application_name LIKE '%%customers'")  # fmt: skip
            seen.append(taken)
            return ""

    feed = CustomerFeed(quick(table), Interrupted(), poll_ms=20)
    feed.start()
    await_true(lambda: 3_000 in seen)
    feed.stop()
    assert seen == [700, 3_000]


def test_a_summary() -> None:
    """What is empty is left out of the sentence."""
    assert summary(PLAIN) == ""
    assert summary(replace(PLAIN, priority=0, head_start_ms=1_500)) == "priority 0; head start 1.5 s"
