"""The customers in a real PostgreSQL: created, looked for, changed, merged, deleted, imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gevent
import psycopg
import pytest
from psycopg import sql

from fsacd.caller.customers import Change, Imported, ImportRow, Record, Search
from fsacd.caller.number_plan import NumberPlan
from fsacd.errors import Refused, Unavailable
from fsacd.store import customer_records as records
from fsacd.store.connecting import connect_migrated
from fsacd.store.customer_book import CustomerBook
from fsacd.store.embedded import EmbeddedPostgres
from tests.postgres import freeze, thaw
from tests.store.rig import execute, quick, rows

pytestmark = pytest.mark.postgres

GERMANY = NumberPlan(country="DE", international="00", trunk="0")
BY = "api:desk"


@pytest.fixture
def table(with_tables: str) -> str:
    return with_tables


@pytest.fixture
def told() -> list[str]:
    """A word for each time that somebody was told of a change."""
    return []


@pytest.fixture
def book(table: str, told: list[str]) -> CustomerBook:
    return CustomerBook(replace(quick(table), plan=GERMANY), lambda: told.append("changed"))


def change(*numbers: str, own: dict[str, str] | None = None, **settings: Any) -> Change:
    return Change(numbers or None, (), settings, own or {})


def ids(found: Iterator[Record] | tuple[Record, ...]) -> list[int]:
    return [record.customer_id for record in found]


ACME = change("+4930111", "+4930112", name="ACME", priority=2, skills=(("vip", 5),), own={"contract": "K-1"})


def test_created_and_shown(book: CustomerBook, told: list[str]) -> None:
    """What is given is there, with who gave it, and whoever keeps customers in memory is told at once."""
    made = book.create(ACME, BY)
    assert made == book.show(made.customer_id)
    assert (made.numbers, made.settings.name, made.own) == (("+4930111", "+4930112"), "ACME", {"contract": "K-1"})
    assert (made.changed_by, made.changed_at[-1]) == (BY, "Z")
    assert told == ["changed"]


@pytest.mark.parametrize("written", ["+4930111", "+4930112", "030111", "0049 (30) 11-1"])
def test_a_number_is_one_customers(book: CustomerBook, table: str, written: str) -> None:
    """Compared by meaning; the sentence names the other customer and proposes to merge; nothing is written."""
    execute(table, "INSERT INTO customers (number, name) VALUES ('030/11-3', 'written by a program')")
    made = book.create(ACME, BY)
    other = book.create(change("+4930222", name="Baker"), BY)
    number = GERMANY.identity(written)
    with pytest.raises(Refused) as refused:
        book.change(other.customer_id, Change(more_numbers=(number,)), BY)
    who = f"c{made.customer_id}"
    assert str(refused.value) == (
        f"the number {number} is {who} (ACME)'s already; if they are one customer, merge them: "
        f"fsacd customer merge c{other.customer_id} {who}"
    )
    with pytest.raises(Refused, match=rf"is {who} \(ACME\)'s already: change that customer.*merge {who} OTHER"):
        book.create(change("+4930333", number), BY)
    with pytest.raises(Refused, match=r"the number \+4930113 is c1 \(written by a program\)'s already"):
        book.create(change("+4930113"), BY)
    assert book.show(other.customer_id) == other
    assert rows(table, "SELECT count(*) FROM customers") == [(3,)]


def test_two_at_once_are_one_after_the_other(book: CustomerBook, table: str) -> None:
    """Of many who want one number at the same moment one gets it, and the others are told whose it is."""
    outcomes: list[object] = []

    def create(number: str) -> None:
        try:
            outcomes.append(book.create(change(number), BY).numbers)
        except Refused as refused:
            outcomes.append(str(refused))

    gevent.joinall([gevent.spawn(create, number) for number in ("030111", "+4930111", "4930111", "004930111")])
    assert rows(table, "SELECT count(*) FROM customers") == [(1,)]
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 1
    assert all("is c" in outcome for outcome in outcomes if isinstance(outcome, str))


def test_changed(book: CustomerBook, table: str) -> None:
    """What is named is another, also the first number; the rest stays; a change that is none is not noted."""
    made = book.create(ACME, BY)
    after = book.change(
        made.customer_id, Change(("+4930112", "+4930999"), (), {"priority": None}, {"contract": "", "since": "x"}), BY
    )
    assert (after.numbers, after.settings.priority, after.settings.name) == (("+4930112", "+4930999"), None, "ACME")
    assert after.own == {"since": "x"}
    assert rows(table, "SELECT number FROM customer_numbers ORDER BY 1") == [("+4930112",), ("+4930999",)]
    noted = rows(table, "SELECT count(*) FROM changes")
    assert book.change(made.customer_id, Change(("+4930112", "+4930999"), (), {"name": "ACME"}), "api:other") == after
    assert rows(table, "SELECT count(*) FROM changes") == noted
    detail = "changed priority, numbers, contract, since: skills vip 5; name ACME; also +4930999; since x"
    assert rows(table, "SELECT kind, subject, detail, by FROM changes WHERE detail ~ '^changed' ORDER BY subject") == [
        ("customer_set", number, detail, BY) for number in ("+4930111", "+4930112", "+4930999")
    ]


def test_deleted(book: CustomerBook, table: str) -> None:
    """Nothing of a customer stays but the note that they were deleted, by whom; then the numbers are free."""
    made = book.create(ACME, BY)
    book.delete(made.customer_id, "cli:root")
    for name in ("customers", "customer_numbers", "customer_fields"):
        assert rows(table, f"SELECT FROM {name}") == []
    assert rows(table, "SELECT subject, by FROM changes WHERE kind = 'customer_removed' ORDER BY 1") == [
        ("+4930111", "cli:root"), ("+4930112", "cli:root"),
    ]  # fmt: skip
    with pytest.raises(KeyError):
        book.show(made.customer_id)
    assert book.create(ACME, BY).customer_id != made.customer_id, "an id never means another one"


def test_two_become_one(book: CustomerBook, table: str) -> None:
    """Numbers and fields are those of both, the old id means the one who is left, over several merges."""
    first = book.create(ACME, BY).customer_id
    second = book.create(change("+4930222", name="Baker", language="fr", own={"contract": "K-2", "paid": "yes"}), BY)
    third = book.create(change("+4930333"), BY).customer_id
    book.merge(second.customer_id, third, BY)
    one, lost = book.merge(first, second.customer_id, BY)
    assert (one.numbers, lost) == (("+4930111", "+4930112", "+4930222", "+4930333"), "name Baker; contract K-2")
    assert (one.settings.language, one.own) == ("fr", {"contract": "K-1", "paid": "yes"})
    assert one.merged == (second.customer_id, third)
    assert book.show(third) == book.show(second.customer_id) == one
    for wish in (
        lambda: book.delete(third, BY),
        lambda: book.change(third, ACME, BY),
        lambda: book.merge(first, third, BY),
    ):
        with pytest.raises(Refused, match=f"c{third} has become one with c{first}; name that one"):
            wish()
    assert rows(table, "SELECT subject, detail FROM changes WHERE detail LIKE '%K-2' ORDER BY 1 LIMIT 1") == [
        ("+4930111", f"c{second.customer_id} (Baker) has become one with c{first} (ACME); not kept: {lost}")
    ]  # fmt: skip


def test_merging_that_cannot_be(book: CustomerBook, table: str) -> None:
    """With itself, with nobody, or beyond the limits: nothing is half done."""
    first = book.create(change(*(f"+49301{n:02}" for n in range(15))), BY)
    second = book.create(change(*(f"+49302{n:02}" for n in range(15))), BY)
    with pytest.raises(Refused, match="at most 20 numbers, and these would be 30"):
        book.merge(first.customer_id, second.customer_id, BY)
    with pytest.raises(Refused, match="cannot become one with itself"):
        book.merge(first.customer_id, first.customer_id, BY)
    with pytest.raises(KeyError):
        book.merge(first.customer_id, 99, BY)
    assert (book.show(first.customer_id), book.show(second.customer_id)) == (first, second)
    assert rows(table, "SELECT FROM customers_merged") == []


def test_search(book: CustomerBook, table: str) -> None:
    """By what a name, a number or an own field begins with, small letters or large; wildcards mean themselves."""
    execute(table, "INSERT INTO customers (number, name) VALUES ('030/55-5', 'ACME 50%%'), ('anna-b', 'acme_x')")
    acme = book.create(ACME, BY).customer_id
    zoe = book.create(change("+43123456789", name="Zoë", own={"contract": "k-22"}), BY).customer_id

    def found(**wanted: Any) -> list[int]:
        return ids(book.search(Search(**wanted)).records)

    assert found() == [1, 2, acme, zoe]
    assert found(name_begins="aCmE") == [acme, 1, 2]
    assert (found(name_begins="acme 50%"), found(name_begins="acme_"), found(name_begins="ACM%")) == ([1], [2], [])
    assert found(name_begins="zoë") == [zoe]
    assert found(number_begins="030 1") == [acme], "once, although two numbers begin so"
    assert found(number_begins="004930") == [acme, 1]
    assert found(number_begins="0043") == [zoe]
    assert found(number_begins="anna") == [2]
    assert found(number="0049 30 555") == [1]
    assert found(number="03055") == []
    assert found(field="contract", value_begins="K-") == [acme, zoe]
    assert found(field="contract", value_begins="K-2") == [zoe]


@pytest.mark.parametrize(
    "condition", [{}, {"name_begins": "n"}, {"number_begins": "+49"}, {"field": "f", "value_begins": ""}]
)
def test_pages(book: CustomerBook, table: str, condition: dict[str, str]) -> None:
    """Page by page each customer comes once, in order, also among equal keys."""
    execute(
        table,
        "INSERT INTO customers (number, name) SELECT '+49' || n, 'Name ' || mod(n, 3) FROM generate_series(1, 25) AS n",
    )
    execute(table, "INSERT INTO customer_fields SELECT id, 'f', mod(id, 4)::text FROM customers")
    seen: list[int] = []
    wanted: Search | None = Search(limit=7, **condition)  # type: ignore[arg-type]  # texts, and the limit
    while wanted is not None:
        page = book.search(wanted)
        assert len(page.records) <= 7
        seen += ids(page.records)
        wanted = None if page.after is None else replace(wanted, after=page.after)
    assert sorted(seen) == list(range(1, 26))


@pytest.mark.parametrize("order", ["C", "C.UTF-8"])
def test_a_search_goes_along_an_index(postgres: EmbeddedPostgres, order: str) -> None:
    """However many customers there are, no search reads the table, also where letters are not ordered as bytes."""
    name = f"searched_{order.lower().replace('.', '_').replace('-', '_')}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        try:
            in_order = f"LC_COLLATE '{order}' LC_CTYPE '{order}'"
            connection.execute(f"CREATE DATABASE {name} ENCODING UTF8 {in_order} TEMPLATE template0".encode())
        except psycopg.errors.WrongObjectType:
            pytest.skip(f"this machine has no locale {order}")
    table = postgres.dsn_of(name)
    connect_migrated(table, 5_000, "test").close()
    book = CustomerBook(replace(quick(table), plan=GERMANY))
    execute(table, "INSERT INTO customers (number, name) "
            "SELECT '+4930' || n, 'Name ' || n FROM generate_series(1, 20000) AS n")  # fmt: skip
    execute(table, "INSERT INTO customer_fields SELECT id, 'contract', 'K-' || id FROM customers")
    execute(table, "ANALYZE")
    searches = [
        Search(), Search(after=("", 7_000)), Search(name_begins="name 77"), Search(number_begins="0307"),
        Search(field="contract", value_begins="k-77"), Search(name_begins="name 1", after=("name 15", 5)),
    ]  # fmt: skip
    with psycopg.connect(table) as connection:
        for wanted in searches:
            query, values = book._query(wanted)
            values |= {"key": wanted.after[0], "id": wanted.after[1], "limit": 101}
            explain = b"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) "
            plan = "\n".join(row[0] for row in connection.execute(explain + query.encode(), values))
            assert "Index" in plan, plan
            assert "Seq Scan" not in plan, plan
            # What is read is what is shown: the beginning bounds the way along the index.
            read_in_vain = sum(map(int, re.findall("Removed by (?:Filter|Index Recheck): ([0-9]+)", plan)))
            assert read_in_vain <= 101, plan
        found = connection.execute(f"EXPLAIN {records.FIND}".encode(), (["+49307", "0307"],))
        plan = "\n".join(row[0] for row in found)
        assert "customer_numbers_bare" in plan


def row(
    line: int, *numbers: str, customer_id: int | None = None, own: dict[str, str] | None = None, **settings: Any
) -> ImportRow:
    return ImportRow(line, customer_id, numbers, Change(None, (), settings, own or {}))


def test_a_batch(book: CustomerBook, table: str) -> None:
    """Who is known by one of the numbers is changed, who is not is new; numbers are added and never taken away."""
    acme = book.create(ACME, BY).customer_id
    batch = [
        row(2, "+4930112", "+4930113", name="ACME Ltd"),
        row(3, "+4930555", "+4930556", name="Zoë", own={"contract": "K-9"}),
        row(4, "+4930777"),
    ]
    assert book.take(batch, BY, dry_run=True) == Imported(2, 1, 0, owners=(acme, None, None))
    assert book.show(acme).settings.name == "ACME", "a dry run writes nothing"
    assert book.take(batch, BY, dry_run=False) == Imported(2, 1, 0, owners=(acme, None, None))
    assert book.show(acme).numbers == ("+4930111", "+4930112", "+4930113")
    assert (book.show(acme).settings.name, book.show(acme).own) == ("ACME Ltd", {"contract": "K-1"})
    again = book.take(batch, BY, dry_run=False)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 3), "the same again changes nothing"
    zoe = book.search(Search(number="030556")).records[0]
    assert (zoe.numbers, zoe.own) == (("+4930555", "+4930556"), {"contract": "K-9"})
    assert book.take([row(2, customer_id=acme, name="A")], BY, dry_run=False) == Imported(0, 1, 0, owners=(acme,))


def test_a_batch_with_bad_lines(book: CustomerBook, table: str) -> None:
    """Each bad line is told with what is wrong with it, and nothing of the batch is written."""
    acme = book.create(ACME, BY).customer_id
    baker = book.create(change("+4930222", name="Baker"), BY).customer_id
    other = book.create(change("+4930333", "+4930334"), BY).customer_id
    batch = [
        row(2, "+4930888"),
        row(3, "+4930111", "+4930222"),
        row(4, "+4930888"),
        row(5, "+4930333"),
        row(6, "+4930334"),
        row(7, "+4930999", customer_id=99),
        row(8, "+4930222", customer_id=acme),
        row(9),
    ]
    told = book.take(batch, BY, dry_run=False)
    both = f"the number +4930111 is c{acme} (ACME)'s, the number +4930222 is c{baker} (Baker)'s"
    both += f"; if they are one customer, merge them first: fsacd customer merge c{acme} c{baker}"
    assert told.wrong == (
        (3, both),
        (4, "the number +4930888 stands in line 2, too"),
        (6, f"it is about c{other}, as line 5 is"),
        (7, "there is no customer c99"),
        (8, "the number +4930222 stands in line 3, too"),
        (9, "a customer has at least one number, by which they are known"),
    )  # fmt: skip
    assert rows(table, "SELECT count(*) FROM customers") == [(3,)]


# --- a database that fails -------------------------------------------------------------------------------------------


def test_no_database(tmp_path: object) -> None:
    """One sentence, and that nothing was changed."""
    book = CustomerBook(quick(f"host={tmp_path} dbname=none"))
    with pytest.raises(
        Unavailable, match=r"^the customers cannot be reached, and nothing was changed: nothing listens"
    ):
        book.create(ACME, BY)


def test_a_database_that_stands_still(postgres: EmbeddedPostgres, table: str) -> None:
    """Whoever asks gets a sentence within the time that a wish has, while others run; later everything is as it was."""
    made = CustomerBook(quick(table, 10_000)).create(ACME, BY)
    book = CustomerBook(quick(table), patience_ms=300)
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0.01)

    other = gevent.spawn(count)
    frozen = freeze(postgres)
    try:
        with pytest.raises(Unavailable, match="nothing was changed: no answer within 300 ms"):
            book.delete(made.customer_id, BY)
    finally:
        thaw(frozen)
        other.kill()
    assert turns > 1, "nobody else ran"
    assert CustomerBook(quick(table)).show(made.customer_id) == made


def test_a_table_that_somebody_holds(table: str) -> None:
    """A lock that is held for long is as a database that is slow; afterwards nothing is half done."""
    book = CustomerBook(quick(table), patience_ms=300)
    with psycopg.connect(table) as rival:
        rival.execute("LOCK TABLE customer_fields IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="and nothing was changed"):
            book.create(ACME, BY)
        assert rival.execute("SELECT FROM customers").fetchall() == []


def test_lost_while_it_is_being_kept(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only whoever has sent the commit and heard nothing cannot know, and is told to look."""

    def lost(_: psycopg.Connection) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.Connection, "commit", lost)
    with pytest.raises(Unavailable, match=r"the connection broke.*look whether it is there"):
        CustomerBook(quick(table)).create(ACME, BY)


def test_a_database_without_our_tables(database: str) -> None:
    """Before the daemon has made them, it is said."""
    with pytest.raises(Unavailable, match="has not got the tables of this version yet"):
        CustomerBook(quick(database)).search(Search())


def test_a_right_that_is_missing(table: str) -> None:
    """The sentence holds the GRANT."""
    execute(table, "CREATE ROLE looker")
    try:
        execute(table, "GRANT USAGE ON SCHEMA public TO looker")
        with pytest.raises(Unavailable, match="GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO"):
            CustomerBook(quick(f"{table} options='-c role=looker'")).create(ACME, BY)
        execute(table, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO looker")
        assert CustomerBook(quick(f"{table} options='-c role=looker'")).create(ACME, BY).settings.name == "ACME"
    finally:
        execute(table, "DROP OWNED BY looker")
        execute(table, "DROP ROLE looker")


def test_letters_that_the_database_does_not_know(postgres: EmbeddedPostgres) -> None:
    """A LATIN1 database takes Zoë and refuses what it has no letters for, in one sentence."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE customers_latin1 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        )
    dsn = postgres.dsn_of("customers_latin1")
    connect_migrated(dsn, 5_000, "test").close()
    book = CustomerBook(quick(dsn))
    zoe = book.create(change("1", name="Zoë"), BY)
    assert ids(book.search(Search(name_begins="Zo")).records) == [zoe.customer_id]
    with pytest.raises(Refused, match=r"^the database refuses it: character with byte sequence"):
        book.create(change("2", name="\u4e2d"), BY)
    assert len(book.search(Search()).records) == 1
