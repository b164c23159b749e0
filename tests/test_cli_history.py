from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from fsacd.caller.customers import Change, Search
from fsacd.cli.main import main
from fsacd.core.records import CallEnded, CallOutcome, ChangeMade, DecisionMade
from fsacd.store.customer_book import CustomerBook
from fsacd.store.erasure import erase_waiting
from fsacd.store.postgres import Store
from fsacd.store.rows import decision
from fsacd.store.settings import StoreSettings
from tests.store.rig import await_true, quick, rows

pytestmark = pytest.mark.postgres

CALL = CallEnded(
    call_id="c1", queue="support", outcome=CallOutcome.ANSWERED, detail="", arrived_ms=1_000, ended_ms=65_001,
    waited_ms=4_000, talked_ms=60_001, agent_id="anna", offers=1, priority=3, number="+49 30-123456", name="=Zoë",
    customer="K-1", switch="fs1", leg_uuid="11-22", after="", language="fr",
)  # fmt: skip
OTHER = replace(CALL, call_id="c2", number="+4930999999", name="Mia", arrived_ms=90_000_000, ended_ms=90_001_000)
CHANGE = ChangeMade("call_changed", "c1", "priority 0 → 3", "api:desk", 2_000)
DECISION = DecisionMade(7, "c1", "support", "anna", "o1", 1_500)
FORMS = ("030123456", "004930123456", "4930123456", "+4930123456")
SAID = b'{"sentence": "004930123456 before 030123456, +4930123456"}'
DOCUMENT = b'{"chosen": "anna", "sentence": "called by +4930123456 before"}'


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSACD_CONFIG", "SUDO_USER", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(with_tables: str) -> str:
    return with_tables


@pytest.fixture
def config(tmp_path: Path, database: str) -> Path:
    """A configuration with a database that has two calls and a customer, and a spool."""
    file = tmp_path / "fsacd.yaml"
    centre: dict[str, Any] = {
        "switches": {"fs1": {"password": "secret"}},
        "customers": {"+4930 777777": {"priority": 1}},
        "store": {"dsn": database, "spool": {"directory": str(tmp_path / "spool")}},
    }
    file.write_text(yaml.safe_dump(centre), encoding="utf-8")
    with closing(store(database, None)) as filled:
        filled.put([CALL, OTHER, CHANGE])
        filled.put_rows([decision(DECISION, DOCUMENT, lambda ms: ms)])
        await_true(lambda: filled.state().written == 4)
    assert main(["customer", "add", "+4930123456", "--name", "Zoë", "--config", str(file)]) == 0
    return file


class _Closing(Store):
    def close(self) -> None:
        self.stop(0)


def store(dsn: str, spool: Path | None) -> _Closing:
    made = _Closing(replace(quick(dsn), spool=spool), lambda ms: ms)
    made.start()
    return made


def run(config: Path, *args: str) -> int:
    return main(["history", *args, "--config", str(config)])


def exported(config: Path, capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(config, "export", *args) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def dump(dsn: str) -> str:
    """Everything that the database holds."""
    tables = (
        "calls", "offers", "decisions", "changes", "customers", "agent_states", "agent_presence", "agent_work",
        "customer_numbers", "customer_fields", "customers_merged", "customers_changed", "contacts", "visits",
        "log_ins",
    )  # fmt: skip
    return repr([rows(dsn, f"SELECT t::text FROM {table} t") for table in tables])


def test_export_without_figures_by_agent(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A span of time names no agent; of one caller all is given out, for it is theirs."""
    centre = yaml.safe_load(config.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump(centre | {"agent_figures": False}), encoding="utf-8")
    found = exported(config, capsys, "--from", "1970-01-01")
    assert {"calls", "decisions", "changes"} <= {row["table"] for row in found}
    assert "anna" not in repr(found)
    assert "anna" in repr(exported(config, capsys, "--number", "+4930123456"))
    assert run(config, "export", "--from", "1970-01-01", "--table", "agent_presence") == 1
    assert "agent_figures" in capsys.readouterr().err


def test_export_by_number(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever form a number has in history, all about its caller is given out, and nothing about others."""
    found = exported(config, capsys, "--number", "+49 (30) 123456")
    assert [(row["table"], row.get("call_id") or row.get("subject") or row.get("number")) for row in found] == [
        ("customers", "+4930123456"), ("customer_numbers", "+4930123456"), ("contacts", "+49 30-123456"),
        ("calls", "c1"), ("decisions", "c1"), ("changes", "c1"), ("changes", "+4930123456"),
    ]  # fmt: skip
    assert (found[3]["name"], found[3]["arrived_at"]) == ("=Zoë", "1970-01-01T00:00:01Z")
    assert exported(config, capsys, "--number", "4930123456") == []


def test_export_of_a_span(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A span of time has its beginning and not its end; csv has a heading and no formula."""
    span = ("--from", "1970-01-01T00:00:01+00:00", "--to", "1970-01-02T01:00:00+00:00")
    assert [row["call_id"] for row in exported(config, capsys, *span, "--table", "calls")] == ["c1"]
    assert run(config, "export", *span, "--format", "csv") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["call_id"], row["name"], row["number"]) == ("c1", "'=Zoë", "+49 30-123456")


@pytest.mark.parametrize(
    "args", [(), ("--number", "+491", "--from", "2026-01-01"), ("--from", "yesterday"), ("--number", "---")]
)
def test_export_of_what_cannot_be_said(config: Path, args: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong question is answered by a sentence on standard error."""
    capsys.readouterr()
    assert run(config, "export", *args) == 2
    told = capsys.readouterr()
    assert (told.out, bool(told.err)) == ("", True)


def test_erase(config: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After an erasure nothing tells who called; calls, others, and who changed what are still there."""
    capsys.readouterr()
    assert run(config, "erase", "+49 30 123456") == 0
    assert capsys.readouterr().out == "erased; changed are customers: 1, decisions: 1, changes: 1, calls: 1\n"
    left = dump(database)
    assert [told for told in ("30123456", "30-123456", "Zoë") if told in left] == []
    assert rows(database, "SELECT call_id, number, name, customer, leg_uuid, agent_id FROM calls ORDER BY 1") == [
        ("c1", "", "", "", None, "anna"), ("c2", OTHER.number, "Mia", "K-1", "11-22", "anna")
    ]  # fmt: skip
    assert rows(database, "SELECT kind, subject, detail FROM changes ORDER BY at") == [
        ("call_changed", "c1", "priority 0 → 3"),
        ("customer_set", "", ""),
        ("caller_erased", "...456", "calls 1, changes 1, customers 1, decisions 1"),
    ]
    assert rows(database, "SELECT explanation->>'sentence' FROM decisions") == [("called by  before",)]
    assert run(config, "erase", "+4930123456", "+4930777777") == 0
    assert capsys.readouterr().out == (
        f"nothing of this caller was there\nstill in {config}, under 'customers': +4930777777\n"
    )


def test_erase_by_meaning(config: Path, tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a number plan one form of the number is enough, in the tables and in what waits for them."""
    with closing(store(database, None)) as filled:
        filled.put([replace(CALL, call_id=f"f{place}", number=number) for place, number in enumerate(FORMS)])
        filled.put_rows([decision(replace(DECISION, call_id="f0", offer_id="o2"), SAID, lambda ms: ms)])
        await_true(lambda: filled.state().written == len(FORMS) + 1)
    before = Store(StoreSettings("host=/nowhere", spool=tmp_path / "spool"), lambda ms: ms)
    before.start()
    before.put([replace(CALL, call_id="s0", number="030123456")])
    assert before.stop(0) == 0
    config.write_text(f"{config.read_text()}\nnumber_plan: {{country: DE}}\n", encoding="utf-8")
    capsys.readouterr()
    assert run(config, "erase", "030/123456") == 0
    assert "calls: 5" in capsys.readouterr().out
    left = dump(database) + "".join(path.read_text(errors="replace") for path in (tmp_path / "spool").iterdir())
    assert [text for text in ("30123456", "30-123456", "Zoë") if text in left] == []


@pytest.mark.parametrize("verb", [["erase"], ["export", "--number"]])
def test_who_shows_no_number_is_nobody(
    config: Path, database: str, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """All who withhold their number are not one person: nothing is erased, and nothing given out, in their name."""
    capsys.readouterr()
    before = dump(database)
    assert run(config, *verb, "Anonymous") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "it is nobody's in particular" in told.err
    assert dump(database) == before


@pytest.fixture
def held(database: str) -> Iterator[psycopg.Connection]:
    """Keeps everybody from writing calls until it is told to let go."""
    with psycopg.connect(database) as connection:
        connection.execute("LOCK TABLE calls IN EXCLUSIVE MODE")
        yield connection


def test_erase_in_the_spool_of_a_dead_daemon(config: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a daemon that is gone had not written is erased in its spool; the next one writes it without the caller."""
    spool = config.parent / "spool"
    before = Store(StoreSettings("host=/nowhere", spool=spool), lambda ms: ms)
    before.start()
    await_true(lambda: before.state().safe)
    before.put([replace(CALL, call_id="c3"), replace(OTHER, call_id="c4")])
    assert before.stop(0) == 0
    capsys.readouterr()
    assert run(config, "erase", "+4930123456") == 0
    assert "rows that waited for the database: 1" in capsys.readouterr().out
    assert b"123456" not in b"".join(path.read_bytes() for path in spool.iterdir())
    with closing(store(database, spool)) as after:
        await_true(lambda: after.state().written == 2)
    assert rows(database, "SELECT number, name FROM calls WHERE call_id IN ('c3', 'c4') ORDER BY call_id") == [
        ("", ""), (OTHER.number, "Mia")
    ]  # fmt: skip


def test_erase_while_the_daemon_waits_for_the_database(config: Path) -> None:
    """A daemon that rests before it tries the database again erases at once what it has not written."""
    spool = config.parent / "spool"
    settings = StoreSettings("host=/nowhere", retry_min_ms=600_000, retry_max_ms=600_000, spool=spool)
    with closing(_Closing(settings, lambda ms: ms)) as daemon:
        daemon.start()
        await_true(lambda: daemon.state().error is not None)
        daemon.put([replace(CALL, call_id="c3")])
        assert erase_waiting(spool, ["+49 30 123456"], 20.0) == 1
        assert b"123456" not in b"".join(path.read_bytes() for path in spool.iterdir())


def test_erase_while_the_daemon_runs(
    config: Path, database: str, held: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """A running daemon erases the caller from what it has not written, in memory and on disk, and no request stays."""
    spool = config.parent / "spool"
    with closing(store(database, spool)) as daemon:
        await_true(lambda: daemon.state().safe)
        daemon.put([replace(CALL, call_id="c3")])
        await_true(lambda: daemon.state().error is not None)
        assert erase_waiting(spool, ["+49 30 123456"], 20.0) == 1
        assert not [path for path in spool.iterdir() if path.name.startswith("erase")]
        assert b"123456" not in b"".join(path.read_bytes() for path in spool.iterdir())
        held.rollback()
        await_true(lambda: daemon.state().written == 1)
    assert rows(database, "SELECT number, name FROM calls WHERE call_id = 'c3'") == [("", "")]
    assert capsys.readouterr().err == ""


def test_a_customer_with_several_numbers(
    config: Path, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By any number all of them is given out and erased: own fields, whom they were merged with, the spool."""
    book = CustomerBook(quick(database, 10_000))
    zoe = book.search(Search(number="+4930123456")).records[0].customer_id
    book.change(zoe, Change(None, ("+4930555555",), {}, {"contract": "K-4711"}), "api:desk")
    mia = book.create(Change(("+4930666666",), (), {"name": "Mia"}, {"contract": "K-4712"}), "api:desk").customer_id
    book.merge(zoe, mia, "api:desk")
    late = [replace(CALL, call_id="c7", number="+4930666666"), replace(CALL, call_id="c8", number="", customer_id=mia)]
    with closing(store(database, None)) as filled:
        filled.put(late)
        await_true(lambda: filled.state().written == 2)
    waits = store("host=/nowhere dbname=none", tmp_path / "spool")
    waits.put([replace(CALL, call_id="c9", number="+4930555555")])
    waits.stop(0)
    found = exported(config, capsys, "--number", "+4930666666")
    assert [row["call_id"] for row in found if row["table"] == "calls"] == ["c1", "c7", "c8", "c9"]
    assert [row["value"] for row in found if row["table"] == "customer_fields"] == ["K-4711"]
    capsys.readouterr()
    assert run(config, "erase", "+4930666666") == 0
    told = capsys.readouterr().out
    assert told.startswith("of the same customer, and erased as well: +4930123456, +4930555555\n")
    assert "rows that waited for the database: 1" in told
    left = dump(database)
    for word in ("Zoë", "K-471", "30555555", "30666666", "30123456"):
        assert word not in left, word
    assert rows(database, "SELECT FROM customers_merged") == []
    spooled = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir() if path.is_file())
    assert b"30555555" not in spooled
    assert ("c2", "+4930999999") in rows(database, "SELECT call_id, number FROM calls"), "others stay"
