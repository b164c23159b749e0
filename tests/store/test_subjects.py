"""What is kept of a caller is found, given out and erased, wherever it stands; a legal hold keeps it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from fsacd.caller.customers import Change
from fsacd.caller.number_plan import NumberPlan
from fsacd.cli.main import main
from fsacd.errors import Refused
from fsacd.store.customer_book import CustomerBook
from fsacd.store.postgres import Store
from fsacd.store.retention import Retention
from fsacd.store.settings import Keep, StoreSettings
from tests.store.rig import execute, quick, rows
from tests.store.subjects import NUMBER, SPOOLED, TOLD, WAYS, fill, in_files, naming, plant, written

pytestmark = pytest.mark.postgres

PLAN = NumberPlan(country="DE", international="00", trunk="0")
CALLS = 20
DAY_MS = 86_400_000


@pytest.fixture
def database(with_tables: str) -> str:
    with psycopg.connect(with_tables) as connection:
        fill(connection, CALLS)
    return with_tables


@pytest.fixture
def config(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a centre in Germany, in whose spool a call of the caller waits, and one that was sent to them."""
    for name in ("FSACD_CONFIG", "SUDO_USER", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    file = written(tmp_path, database)
    waits = Store(StoreSettings("host=/nowhere", spool=tmp_path / "spool"), lambda ms: ms)
    waits.start()
    waits.put([SPOOLED, replace(SPOOLED, call_id="s2", number="+49401", name="", after=f"extension {WAYS[1]} default")])
    assert waits.stop(0) == 0
    return file


def run(config: Path, *args: str) -> int:
    return main(["history", *args, "--config", str(config)])


def test_every_trace_is_found_and_erased(config: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Named in every table and in the spool before; in none after, and others' rows stay."""
    with psycopg.connect(database, autocommit=True) as connection:
        planted = plant(connection)
        assert naming(connection) == planted
        assert in_files(config.parent / "spool")
        capsys.readouterr()
        assert run(config, "export", "--number", WAYS[2]) == 0
        given = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        own = [row for row in given if "spool" not in row and "told" not in row]
        assert Counter(row["table"] for row in own) == {
            "customers": 1, "customer_numbers": 1, "customer_fields": 1, "changes": 1 + len(WAYS),
            **dict.fromkeys(("contacts", "calls", "visits", "offers", "talks", "decisions", "wrap_ups"), len(WAYS)),
            "agent_work": len(WAYS),
        }  # fmt: skip
        told: dict[str, list[str]] = {}
        for row in given:
            told.setdefault(row["table"], []).extend(row.get("told", ()) if "spool" not in row else ())
        assert {table: sorted(names) for table, names in told.items() if names} == {
            table: sorted(names) for table, names in TOLD.items()
        }
        assert [(row["call_id"], list(row.get("told", ()))) for row in given if "spool" in row] == [
            ("s1", []), ("s2", ["after"])
        ]  # fmt: skip
        assert run(config, "erase", WAYS[3]) == 0
        assert naming(connection) == set()
    assert in_files(config.parent / "spool") == set()
    assert rows(database, "SELECT after, detail, number <> '' FROM calls WHERE call_id = 'c1'") == [
        ("extension *** default", "extension *** default", True)
    ]
    assert rows(database, "SELECT note FROM wrap_ups WHERE call_id = 'c3'") == [("their son: ***, 4711, grüßt",)]
    assert rows(database, "SELECT count(*) FROM calls") == [(CALLS + len(WAYS),)]
    assert rows(database, "SELECT count(*) FROM wrap_ups WHERE note LIKE 'Order%'") == [(CALLS - 1,)]


def test_who_asked_is_noted_without_the_number(config: Path, database: str) -> None:
    """Requests and holds are in `changes`, with the last three digits."""
    assert run(config, "export", "--number", NUMBER) == 0
    assert run(config, "hold", NUMBER, "--reason", "file 12 O 34/26") == 0
    assert run(config, "hold", WAYS[1], "--reason", "again") == 1
    assert run(config, "erase", WAYS[1]) == 1
    assert run(config, "hold", WAYS[1], "--lift", "--reason", "judgment") == 0
    assert run(config, "hold", NUMBER, "--lift") == 1
    assert run(config, "erase", NUMBER) == 0
    noted = rows(database, "SELECT kind, subject, detail, by FROM changes WHERE by LIKE 'cli:%' ORDER BY at")
    assert [kind for kind, *_ in noted] == [
        "caller_exported", "hold_placed", "erasure_refused", "hold_lifted", "caller_erased"
    ]  # fmt: skip
    assert {subject for _, subject, *_ in noted} == {"...321"}
    assert (noted[1][2], noted[3][2]) == ("file 12 O 34/26", "judgment")


def test_a_hold_stops_erasing(config: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is changed, neither in the tables nor in the spool, and one sentence says why."""
    with psycopg.connect(database, autocommit=True) as connection:
        planted = plant(connection)
        assert run(config, "hold", NUMBER, "--reason", "file 12") == 0
        capsys.readouterr()
        assert run(config, "hold") == 0
        assert capsys.readouterr().out.startswith(NUMBER)
        assert run(config, "erase", WAYS[1]) == 1
        assert f"{NUMBER} is under a legal hold (file 12; cli:" in capsys.readouterr().err
        assert naming(connection) == planted | {"legal_holds"}
        assert in_files(config.parent / "spool")
        assert run(config, "hold", NUMBER, "--lift") == 0
        assert run(config, "erase", WAYS[1]) == 0
        assert naming(connection) == set()


def test_a_hold_stops_removing_a_customer(config: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`fsacd customer remove` refuses by any of their numbers, and they keep all, until the hold is lifted."""
    other = "+49301112223"
    with psycopg.connect(database, autocommit=True) as connection:
        plant(connection)
        connection.execute(
            "INSERT INTO customer_numbers SELECT %s, customer_id FROM customer_numbers WHERE number = %s",
            (other, NUMBER),
        )
    remove = ["customer", "remove", other, "--config", str(config)]
    assert run(config, "hold", NUMBER, "--reason", "file 12") == 0
    before = rows(database, "SELECT * FROM customer_numbers ORDER BY 1")
    capsys.readouterr()
    assert main(remove) == 1
    assert f"{NUMBER} is under a legal hold (file 12; cli:" in capsys.readouterr().err
    assert rows(database, "SELECT * FROM customer_numbers ORDER BY 1") == before
    assert run(config, "hold", NUMBER, "--lift") == 0
    assert main(remove) == 0
    assert rows(database, f"SELECT FROM customer_numbers WHERE number IN ('{NUMBER}', '{other}')") == []


def test_a_hold_keeps_a_customer_and_their_numbers(database: str) -> None:
    """By whichever of their numbers they are held; more may be known of them, and others are not concerned."""
    book = CustomerBook(replace(quick(database), plan=PLAN))
    made = book.create(Change(("+4930111", "+4930112")), "api:desk")
    other = book.create(Change(("+4930222", "+4930223")), "api:desk")
    execute(database, "INSERT INTO legal_holds (number, reason, by) VALUES ('030112', 'file 12', 'cli:root')")
    refusal = r"030112 is under a legal hold \(file 12; cli:root"
    with pytest.raises(Refused, match=refusal):
        book.delete(made.customer_id, "api:desk")
    with pytest.raises(Refused, match=refusal):
        book.change(made.customer_id, Change(("+4930112",)), "api:desk")
    assert book.show(made.customer_id) == made
    more = Change(("030111", "030112"), ("+4930999",), {"priority": 1})
    assert set(book.change(made.customer_id, more, "api:desk").numbers) == {"030111", "030112", "+4930999"}
    assert book.change(other.customer_id, Change(("+4930223",)), "api:desk").numbers == ("+4930223",)
    book.delete(other.customer_id, "api:desk")
    execute(database, "DELETE FROM legal_holds")
    book.delete(made.customer_id, "api:desk")


@pytest.mark.parametrize("args", [(NUMBER,), ("--lift",), ("--reason", "x"), (NUMBER, "--reason", "x" * 257)])
def test_a_hold_that_cannot_be(config: Path, args: tuple[str, ...]) -> None:
    """Without a reason nobody could judge it later; without a number it is nobody's."""
    assert run(config, "hold", *args) == 2


@pytest.fixture
def retention(database: str) -> Iterator[Retention]:
    """Retention for which everything in the database is too old."""
    keep = Keep(
        **dict.fromkeys((f"{name}_ms" for name in ("calls", "decisions", "agent_states", "changes", "visits")), 1)
    )
    made = Retention(replace(quick(database, 30_000), keep=keep, plan=PLAN))
    with closing(_Stopping(made)):
        yield made


class _Stopping:
    def __init__(self, made: Retention) -> None:
        self._made = made

    def close(self) -> None:
        self._made.stop()


def test_a_hold_stops_retention(config: Path, database: str, retention: Retention) -> None:
    """However old they are, the rows of whom is held stay, of every kind; others' go, and theirs when it is lifted."""
    tables = ("calls", "visits", "talks", "offers", "decisions", "wrap_ups", "changes", "agent_work")
    calls = ", ".join(f"'c{place}'" for place in range(9_000_001, 9_000_001 + len(WAYS)))

    def left(table: str, condition: str) -> int:
        column = "subject" if table == "changes" else "call_id"
        return int(rows(database, f"SELECT count(*) FROM {table} WHERE {column} {condition} ({calls})")[0][0])

    with psycopg.connect(database, autocommit=True) as connection:
        plant(connection)
    assert run(config, "hold", WAYS[1], "--reason", "file 12") == 0
    retention._delete()
    assert {table: left(table, "IN") for table in tables} == dict.fromkeys(tables, len(WAYS))
    others = {table: left(table, "NOT IN") for table in tables}
    # The customer's own entry in `changes`.
    assert others == {**dict.fromkeys(tables, 0), "changes": 1}
    assert run(config, "hold", WAYS[1], "--lift") == 0
    retention._delete()
    assert {table: left(table, "IN") for table in tables} == dict.fromkeys(tables, 0)
