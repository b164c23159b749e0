"""`fsacd customer` over the API, with a real PostgreSQL behind it, and no configuration at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fsacd.caller.customers import Imported, ImportRow, Search
from fsacd.caller.number_plan import NumberPlan
from fsacd.cli import customer_tables as cli_customer_tables
from fsacd.cli.main import main
from fsacd.desk.rights import Role
from fsacd.errors import Unavailable
from fsacd.http.api import CustomerDesk
from fsacd.http.customer_forms import Forms
from fsacd.store.customer_book import CustomerBook
from tests.http.rig import TERMS, Rig, serve
from tests.store.rig import execute, quick, rows

pytestmark = pytest.mark.postgres

GERMANY = NumberPlan(country="DE", international="00", trunk="0")


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSACD_URL", "FSACD_TOKEN", "FSACD_TOKEN_FILE", "FSACD_CONFIG"):
        monkeypatch.delenv(name, raising=False)


class Book(CustomerBook):
    """As the real one, but for batches that shall fail."""

    fails_at: int | None = None
    batches = 0

    def take(self, rows: Any, by: str, *, dry_run: bool) -> Imported:
        self.batches += not dry_run
        if self.batches == self.fails_at and not dry_run:
            raise Unavailable("the customers cannot be reached, and nothing was changed: it is shutting down")
        return super().take(rows, by, dry_run=dry_run)


@pytest.fixture
def database(with_tables: str) -> str:
    return with_tables


@pytest.fixture
def book(database: str) -> Book:
    return Book(replace(quick(database, 10_000), plan=GERMANY), patience_ms=10_000)


@pytest.fixture
def rig(book: Book) -> Iterator[Rig]:
    forms = Forms(TERMS, GERMANY)
    with serve(customers=CustomerDesk(book, lambda: forms), answer_deadline_s=20.0) as rig:
        yield rig


def run(rig: Rig, *args: str, role: Role = Role.SUPERVISOR) -> int:
    return main(["customer", *args, "--url", rig.server.url, "--token", f"secret-of-{role.value}"])


ACME = ("create", "030 111111", "+49 30 111112", "--name", "ACME", "--priority", "2", "--head-start", "1m30s",
        "--skill", "french=3", "--agent", "1001", "--language", "fr", "--field", "contract=K-1")  # fmt: skip


def test_created_and_shown(rig: Rig, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By its id or by any of its numbers, however written; the change stands in the history with who made it."""
    assert run(rig, *ACME) == 0
    told = capsys.readouterr().out
    for who in ("c1", "0049 30 111112"):
        assert run(rig, "show", who) == 0
        assert capsys.readouterr().out == told
    assert [line.split(maxsplit=1) for line in told.splitlines() if not line.startswith(("head start", "changed"))] == [
        ["customer", "c1"], ["numbers", "+4930111111, +4930111112"], ["name", "ACME"], ["priority", "2"],
        ["skills", "french 3"], ["agent", "1001"], ["language", "fr"], ["contract", "K-1"],
    ]  # fmt: skip
    assert rows(database, "SELECT DISTINCT kind, by FROM changes") == [("customer_set", "cli:supervisor")]
    assert run(rig, "show", "030 9") == 1
    assert capsys.readouterr().err == "fsacd: no customer in the database has the number 030 9\n"


def test_edited(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """What is named is another, what is cleared is known no more, the rest stays."""
    assert run(rig, *ACME) == 0
    cleared = [f"--clear={name}" for name in ("priority", "head_start", "skills", "agent", "contract")]
    assert run(rig, "edit", "030111111", "--name", "Zoë", "--add-number", "040 5", *cleared) == 0
    capsys.readouterr()
    assert run(rig, "show", "c1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["language"], shown["own"], shown["skills"]) == ("Zoë", "fr", {}, {})
    assert (shown["priority"], shown["head_start_seconds"], shown["agent"]) == (None, 0.0, None)
    assert shown["numbers"] == ["+4930111111", "+4930111112", "+49405"]
    assert run(rig, "edit", "c1", "--number", "+49405") == 0
    assert run(rig, "show", "+4930111111") == 1
    assert run(rig, "edit", "c1") == 2
    assert run(rig, "edit", "c1", "--field", "contract") == 2
    assert "expected a field with its value like contract=K-4711" in capsys.readouterr().err


def test_two_with_one_number(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused with the other's name and what merges the two; and that does."""
    assert run(rig, *ACME) == 0
    assert run(rig, "create", "+4930222222", "--name", "Baker", "--field", "since=2026-01-31") == 0
    capsys.readouterr()
    assert run(rig, "edit", "c2", "--add-number", "030 111112") == 1
    told = capsys.readouterr().err
    assert told == (
        "fsacd: The number +4930111112 is c1 (ACME)'s already; if they are one customer, merge them: "
        "fsacd customer merge c2 c1.\n"
    )
    assert run(rig, "merge", "030111111", "+4930222222") == 0
    told = capsys.readouterr().out
    assert "numbers     +4930111111, +4930111112, +4930222222\n" in told
    assert told.endswith("not kept of c2: name Baker\n")
    assert "was also" in told
    assert run(rig, "show", "c2") == 0
    assert "customer  c1\n" in capsys.readouterr().out.replace("customer    ", "customer  ")
    assert run(rig, "delete", "c2") == 1
    assert "C2 has become one with c1; name that one" in capsys.readouterr().err.replace("c2 has", "C2 has")
    assert run(rig, "delete", "030 222222") == 0
    assert capsys.readouterr().out == "Customer c1 (ACME) is deleted.\n"


def test_search(rig: Rig, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the beginning of name, number or own field; more pages than one; and that there are more."""
    execute(database, "INSERT INTO customers (number, name) "
            "SELECT '+4340' || n, 'Name ' || n FROM generate_series(1000, 2500) AS n")  # fmt: skip
    assert run(rig, *ACME) == 0
    capsys.readouterr()
    for condition in (("--name", "acm"), ("--number", "0301111"), ("--field", "contract=k")):
        assert run(rig, "search", *condition) == 0
        _, line = capsys.readouterr().out.splitlines()
        assert line.split()[3] == "ACME"
    assert run(rig, "search", "--name", "name", "--limit", "1200", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (len(found["customers"]), found["more"]) == (1_200, True)
    assert run(rig, "search", "--limit", "2") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "… and more: --limit shows more than 2"


def test_who_may(rig: Rig, book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    """A token that may not is told which role may."""
    assert run(rig, *ACME, role=Role.READ) == 1
    assert "may not create, change, merge, import and delete customers; that takes the role supervisor" in (
        capsys.readouterr().err
    )
    assert book.search(Search()).records == ()


# --- tables ----------------------------------------------------------------------------------------------------------

TABLE = (
    "numbers;name;priority;head_start;skills;agent;language;contract;since\n"
    '030 111111;"ACME; Ltd";2;90s;french=3;1001;fr;K-1;2026-01-31\n'
    '"+49 30 222222; 040 333333";\'=Zoë;;;;;;;\n'
)


def write(directory: Path, text: str | bytes) -> str:
    file = directory / "customers.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


def test_imported_and_exported(rig: Rig, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is imported is exported, and that is imported as it is: nothing is another then."""
    file = write(tmp_path, b"\xef\xbb\xbf" + TABLE.encode())
    assert run(rig, "import", file, "--dry-run") == 0
    assert capsys.readouterr().out == "2 customers would be added, 0 would be changed, 0 unchanged\n"
    assert rows(database, "SELECT FROM customers") == []
    assert run(rig, "import", file) == 0
    assert capsys.readouterr().out == "2 customers added, 0 changed, 0 unchanged\n"
    assert run(rig, "export") == 0
    exported = capsys.readouterr().out  # what was only tried has used ids up
    assert exported.splitlines() == [
        "customer,numbers,name,priority,head_start,skills,agent,language,contract,since",
        "c5,+4930111111,ACME; Ltd,2,90s,french=3,1001,fr,K-1,2026-01-31",
        "c6,+4930222222; +4940333333,'=Zoë,,,,,,,",
    ]
    assert run(rig, "import", write(tmp_path, exported)) == 0
    assert capsys.readouterr().out == "0 customers added, 0 changed, 2 unchanged\n"
    assert run(rig, "export", "--bom", "--delimiter", "semicolon", "--name", "ac") == 0
    assert capsys.readouterr().out.startswith("\ufeffcustomer;numbers;")


def test_an_import_changes_what_it_names(rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What has no column stays, an empty cell is known no more, a number is added."""
    assert run(rig, *ACME) == 0
    assert run(rig, "import", write(tmp_path, "numbers,name,language\n030111112;040 5,ACME Ltd,\n")) == 0
    capsys.readouterr()
    assert run(rig, "show", "c1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["language"], shown["agent"], shown["own"]) == (
        "ACME Ltd",
        "",
        "1001",
        {"contract": "K-1"},
    )
    assert shown["numbers"] == ["+4930111111", "+4930111112", "+49405"]


@pytest.mark.parametrize("size", [1, 200])
def test_every_bad_line_is_told(
    rig: Rig,
    database: str,
    tmp_path: Path,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By its number, in one sentence, whichever batch it would be in; and nothing at all is imported."""
    monkeypatch.setattr(cli_customer_tables, "_BATCH_LINES", size)
    assert run(rig, *ACME) == 0
    capsys.readouterr()
    text = "numbers,name,since\n+4930777777,fine,\n1,x\nanonymous,,\n2,,soon\n030 777777,again,\n"
    text += "030111111,a,\n030111112,b,\n"
    assert run(rig, "import", write(tmp_path, text)) == 1
    told = capsys.readouterr()
    head, *problems = told.err.splitlines()
    assert head == f"fsacd: nothing was imported: 5 lines are wrong in {tmp_path / 'customers.csv'}"
    assert [problem.split(":")[0].strip() for problem in sorted(problems)] == [f"line {n}" for n in (3, 4, 5, 6, 8)]
    assert any("it has 2 cells, and the heading has 3" in problem for problem in problems)
    assert any("expected a date like 2026-01-31, got 'soon'" in problem for problem in problems)
    assert rows(database, "SELECT count(*) FROM customers") == [(1,)]
    assert told.out == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("telefon\n1\n", "line 1: there is no column 'telefon'; there are customer, numbers"),
        ("numbers,name\n1,Zo\xeb\n".encode("latin-1"), "line 2: it is not UTF-8 (byte 0xeb)"),
    ],
)
def test_a_file_that_cannot_be_read(
    rig: Rig, tmp_path: Path, text: str | bytes, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence."""
    assert run(rig, "import", write(tmp_path, text)) == 1
    assert sentence in capsys.readouterr().err


def test_the_database_goes_in_the_middle(
    rig: Rig,
    book: Book,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said up to which line everything is there; the same file again brings the rest."""
    monkeypatch.setattr(cli_customer_tables, "_BATCH_LINES", 3)
    file = write(tmp_path, "numbers\n" + "".join(f"030 7000{n}\n" for n in range(10, 20)))
    book.fails_at = 3
    assert run(rig, "import", file) == 1
    assert capsys.readouterr().err == (
        "fsacd: the lines up to 7 are imported, those from 8 on are not (The customers cannot be reached, and nothing "
        "was changed: it is shutting down); import the file again\n"
    )
    assert rows(database, "SELECT count(*) FROM customers") == [(6,)]
    assert run(rig, "import", file) == 0
    assert capsys.readouterr().out == "4 customers added, 0 changed, 6 unchanged\n"


def test_a_batch_fits_a_request(
    rig: Rig, book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Long lines make short batches, so that no request is longer than the API takes."""
    sizes = []
    real = Book.take

    def take(self: Book, rows: list[ImportRow], by: str, *, dry_run: bool) -> Imported:
        sizes.append(len(rows))
        return real(self, rows, by, dry_run=dry_run)

    monkeypatch.setattr(Book, "take", take)
    text = "numbers,name,contract\n" + "".join(f"030 70{n},{'é' * 250},{'x' * 250}\n" for n in range(100, 200))
    assert run(rig, "import", write(tmp_path, text), "--dry-run") == 0
    assert max(sizes) < 30
    assert sum(sizes) == 100
    assert capsys.readouterr().out == "100 customers would be added, 0 would be changed, 0 unchanged\n"
