from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from fsacd.cli.main import main

pytestmark = pytest.mark.postgres

_CENTRE: dict[str, Any] = {
    "switches": {"fs1": {"password": "secret"}},
    "queues": {"support": {}},
    "agents": {"1001": {"queues": {"support": 1}, "skills": {"french": 5}}},
}


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSACD_CONFIG", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path, with_tables: str) -> Path:
    """A configuration with a database that was used before; tests without this one begin with an empty database."""
    return write(tmp_path, store={"dsn": with_tables})


def write(directory: Path, **more: Any) -> Path:
    file = directory / "fsacd.yaml"
    file.write_text(yaml.safe_dump(_CENTRE | more), encoding="utf-8")
    return file


def run(config: Path, *args: str) -> int:
    return main(["customer", *args, "--config", str(config)])


def listed(config: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(config, "list", "--json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["customers"]
    for row in found:
        row.pop("changed_at")
    return found


def who() -> str:
    return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"


ALL = (
    "--priority", "2", "--head-start", "1m30s", "--skill", "french=3", "--agent", "1001",
    "--language", "fr", "--name", "Zoë GmbH",
)  # fmt: skip


def test_add_and_list(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A customer is written with all that is said of them, by their number without punctuation, and who did it."""
    assert run(config, "add", "+49 (30) 12-34", *ALL) == 0
    assert capsys.readouterr().out == (
        "added +49301234: priority 2; head start 90 s; skills french 3; agent 1001; language fr; name Zoë GmbH\n"
    )
    assert listed(config, capsys) == [
        {
            "number": "+49301234",
            "priority": 2,
            "skills": {"french": 3},
            "agent": "1001",
            "language": "fr",
            "name": "Zoë GmbH",
            "changed_by": who(),
            "head_start_seconds": 90.0,
        }
    ]


def test_add_again(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Adding a number that is there says anew all that is known of it."""
    assert run(config, "add", "0301234", *ALL) == 0
    assert run(config, "add", "030 1234", "--name", "Zoë") == 0
    assert capsys.readouterr().out.splitlines()[1] == "changed 0301234: name Zoë"
    assert [(row["priority"], row["skills"], row["name"]) for row in listed(config, capsys)] == [(None, {}, "Zoë")]


def test_remove(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A customer is removed by their number; one who is not there is refused in a sentence."""
    assert run(config, "add", "0301234") == 0
    assert run(config, "remove", "030-1234") == 0
    assert run(config, "remove", "030-1234") == 1
    told = capsys.readouterr()
    assert told.out == "added 0301234: nothing but the number is known\nremoved 0301234\n"
    assert told.err == "fsacd: there is no customer with the number 0301234 in the database\n"
    assert listed(config, capsys) == []


GERMANY = {"number_plan": {"country": "DE"}, "customers": {"040 123456": {"name": "Hamburg"}}}


def test_one_customer_however_the_number_is_written(
    tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a number plan one entry takes the place of another that means the same number, and is removed by any."""
    plain = write(tmp_path, store={"dsn": database})
    assert run(plain, "add", "030123456", "--name", "of old") == 0
    config = write(tmp_path, store={"dsn": database}, **GERMANY)
    assert run(config, "add", "0049 30 123456", "--name", "ACME") == 0
    assert capsys.readouterr().out.splitlines()[1] == "changed +4930123456: name ACME"
    assert [(row["number"], row["name"]) for row in listed(config, capsys)] == [("+4930123456", "ACME")]
    assert run(config, "remove", "4930123456") == 0
    assert listed(config, capsys) == []


def test_whose_number_it_is(tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the plan, in the configuration and in the database; also an entry that was written before there was a plan."""
    plain = write(tmp_path, store={"dsn": database})
    assert run(plain, "add", "030123456", "--name", "ACME", "--priority", "2") == 0
    config = write(tmp_path, store={"dsn": database}, **GERMANY)
    capsys.readouterr()
    assert run(config, "match", "+49 (0)30 123456") == 0
    assert capsys.readouterr().out.splitlines() == [
        "+4930123456: 004930123456, 4930123456, 030123456",
        "in the database, as 030123456: priority 2; name ACME",
    ]
    assert run(config, "match", "4940123456") == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["in the configuration, as 040 123456: name Hamburg"]
    assert run(config, "match", "1001") == 1
    assert capsys.readouterr().out == "1001\nno customer has it\n"
    assert run(config, "match", "anonymous") == 2
    write(tmp_path, store={"dsn": database})
    assert run(config, "match", "+4930123456") == 1, "without a plan these are two numbers"


def test_who_did_it(config: Path, with_tables: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change stands in the history of changes; sudo does not hide who it was."""
    monkeypatch.setenv("SUDO_USER", "anna")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert run(config, "add", "0301234", "--priority", "1") == 0
    assert run(config, "remove", "0301234") == 0
    with psycopg.connect(with_tables) as connection:
        found = connection.execute("SELECT kind, subject, detail, by FROM changes ORDER BY at").fetchall()
    assert found == [
        ("customer_set", "0301234", "priority 1", "cli:anna"),
        ("customer_removed", "0301234", "priority 1", "cli:anna"),
    ]


def test_the_list_as_a_table(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each customer, with who changed it last."""
    assert run(config, "add", "0301234", *ALL) == 0
    assert run(config, "add", "0305678") == 0
    capsys.readouterr()
    assert run(config, "list") == 0
    head, full, bare = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["NUMBER", "PRIO", "HEAD", "START", "SKILLS", "AGENT", "LANGUAGE", "NAME", "CHANGED", "BY"]
    assert full[:-2] == ["0301234", "2", "1m30s", "french", "3", "1001", "fr", "Zoë", "GmbH"]
    assert (full[-1], bare[0], bare[-1], len(bare)) == (who(), "0305678", who(), 3)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["add", " - "], "' - ' is no number"),
        (["add", "9" * 65], "is no number"),
        (["add", "anonymous"], "'anonymous' is shown where a caller shows no number: it is nobody's in particular"),
        (["add", "000 000 00 00"], "it is nobody's in particular"),
        (["add", "1", "--head-start", "soon"], "--head-start: expected a duration like 60s or 2m, up to one day"),
        (["add", "1", "--head-start", "25h"], "up to one day; got '25h'"),
        (["add", "1", "--priority", "101"], "101 is not in the range -100<=x<=100"),
        (["add", "1", "--skill", "french"], "--skill: expected a skill with a level from 1 to 10 like french=3"),
        (["add", "1", "--skill", "french=0"], "got 'french=0'"),
        (["add", "1", "--skill", "french=११"], "got 'french=११'"),
        (["add", "1", "--skill", "frnech=3"], "'frnech' is no skill of the configuration; there is french"),
        (["add", "1", "--skill", "french=3", "--skill", "french=4"], "--skill: 'french' is given twice"),
        (["add", "1", "--agent", "1002"], "--agent: there is no agent '1002' in the configuration"),
        (["add", "1", "--skill", "french=3"] + ["--skill", "french=3"] * 32, "--skill: at most 32 are allowed"),
        (["add", "1", "--language", "très français"], "--language: expected a name of up to 64 letters"),
        (["add", "1", "--name", "x" * 257], "--name: expected up to 256 letters"),
        (["add", "1", "--name", "a\nb"], "--name: expected up to 256 letters"),
    ],
)
def test_slips_of_the_pen(config: Path, args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no sense is refused with a sentence before anything is written."""
    assert run(config, *args) == 2
    assert sentence in capsys.readouterr().err
    assert listed(config, capsys) == []


def test_plugins_are_not_run(tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration that names an operator's own strategies can be used without running their code."""
    directory = tmp_path / "strategies"
    directory.mkdir()
    (directory / "own.py").write_text("raise SystemExit('it ran')\n", encoding="utf-8")
    queues = {"support": {"strategy": {"name": "own", "every": "10s"}}}
    file = write(tmp_path, store={"dsn": database}, strategy_path=[str(directory)], queues=queues)
    assert run(file, "add", "0301234") == 0
    assert "added 0301234" in capsys.readouterr().out


def test_without_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration without a database is told so, with the place where customers can stand instead."""
    file = write(tmp_path)
    assert run(file, "list") == 1
    told = capsys.readouterr().err
    assert told == f"fsacd: {file} names no database (store.dsn); its own customers stand there under 'customers'\n"


def test_without_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, or is wrong, is named with its first problem."""
    assert run(tmp_path / "none.yaml", "list") == 2
    assert "none.yaml cannot be used" in capsys.readouterr().err


def test_the_database_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A database that is not there is said in one sentence, and has an exit code of its own."""
    assert run(write(tmp_path, store={"dsn": f"host={tmp_path} dbname=none"}), "list") == 3
    told = capsys.readouterr().err
    assert told.startswith("fsacd: the database cannot be reached: ")
    assert told.count("\n") == 1


def test_the_database_refuses(tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the database does not let us do is said in its own words."""
    assert run(write(tmp_path, store={"dsn": database}), "list") == 0
    capsys.readouterr()
    file = write(tmp_path, store={"dsn": f"{database} options='-c default_transaction_read_only=on'"})
    assert run(file, "add", "0301234") == 1
    told = capsys.readouterr().err
    assert told == "fsacd: the database refuses: cannot execute SELECT FOR UPDATE in a read-only transaction\n"


def test_the_program_itself(config: Path) -> None:
    """The command works in a process of its own, where nothing is patched for greenlets."""
    told = subprocess.run(
        [sys.executable, "-m", "fsacd", "customer", "add", "0301234", "--priority", "-1"],
        capture_output=True, text=True, timeout=30, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "FSACD_CONFIG": str(config)},
    )  # fmt: skip
    assert (told.stdout, told.stderr, told.returncode) == ("added 0301234: priority -1\n", "", 0)
