"""A caller is erased while the daemon runs: then neither the database nor any file of the daemon knows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fsacd.cli import history as cli_history
from fsacd.cli.main import main
from tests.store.rig import rows
from tests.test_daemon import AGENT, DEADLINE_S, SUPPORT, Daemon, Sim, await_true, log_in, serve_one

CALLER, OTHER = "4930123456", "4930777777"


@pytest.fixture
def sim() -> Iterator[Sim]:
    sim = Sim()
    yield sim
    sim.stop()


@pytest.fixture
def daemon(tmp_path: Path, sim: Sim, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    monkeypatch.setattr(cli_history, "_DAEMON_S", DEADLINE_S)  # a busy machine may take longer than a person waits
    places = {name: {"directory": str(tmp_path / "state" / name)} for name in ("journal", "spool")}
    daemon = Daemon(
        tmp_path, sim, database, journal=places["journal"], store={"dsn": database, "spool": places["spool"]}
    )
    await_true(lambda: daemon.said("connected to the database"), "there are tables")
    yield daemon
    daemon.process.kill()
    daemon.process.wait(10)


def erase(daemon: Daemon, number: str) -> None:
    assert main(["history", "erase", number, "--config", str(daemon.file)]) == 0


def exported(daemon: Daemon, capsys: pytest.CaptureFixture[str], number: str) -> list[str]:
    """The tables, the journal among them, of which something of the caller is given out, which names them."""
    capsys.readouterr()
    assert main(["history", "export", "--number", number, "--config", str(daemon.file)]) == 0
    given = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(number in json.dumps(row) for row in given if row["table"] == "journal")
    return [row["table"] for row in given]


def knows(daemon: Daemon, number: str) -> set[str]:
    """In which of the daemon's directories a file names the caller."""
    state = daemon.file.parent / "state"
    found = set()
    for path in state.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # it may just be removed
            found |= {path.relative_to(state).parts[0]} if number.encode() in path.read_bytes() else set()
    return found


def test_erased_everywhere(sim: Sim, daemon: Daemon, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The journal that names the caller is left behind; a daemon that is killed now goes on without them."""
    log_in(sim, daemon)
    serve_one(sim, database, CALLER)
    assert "journal" in knows(daemon, CALLER)
    erase(daemon, "+" + CALLER)
    assert knows(daemon, CALLER), "another number is another caller"
    capsys.readouterr()
    assert {"calls", "visits", "journal"} <= set(exported(daemon, capsys, CALLER))
    assert exported(daemon, capsys, OTHER) == []
    erase(daemon, "49 30 / 12 34 56")
    assert capsys.readouterr().out.endswith("the daemon has begun a new journal without the caller\n")
    assert knows(daemon, CALLER) == set()
    assert rows(database, "SELECT number, name, agent_id FROM calls") == [("", "", AGENT)]
    daemon.process.kill()
    daemon.process.wait(10)
    daemon.start()
    assert daemon.agent() in ("ready", "wrapping_up")
    serve_one(sim, database, OTHER)


def test_after_their_call(
    sim: Sim, daemon: Daemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """During the caller's call the command says so; the journal is left behind as soon as the call has ended."""
    monkeypatch.setattr(cli_history, "_DAEMON_S", 1.0)
    sim.dial(SUPPORT, number=CALLER, hangs_up_ms=4_000)
    await_true(lambda: daemon.get("api/v1/calls")["calls"], "the caller waits")
    erase(daemon, CALLER)
    told = capsys.readouterr().out
    assert "when the caller's call has ended" in told
    assert daemon.get("api/v1/calls")["calls"]
    await_true(lambda: "journal" not in knows(daemon, CALLER), "the journal does not know the caller any more")


def test_without_a_daemon(sim: Sim, daemon: Daemon, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """While no daemon runs the command says so; the next daemon leaves the journal behind at its start."""
    sim.dial(SUPPORT, number=CALLER, hangs_up_ms=1_000)
    await_true(lambda: rows(database, "SELECT FROM calls"), "the call has its row")
    daemon.process.kill()
    daemon.process.wait(10)
    erase(daemon, CALLER)
    assert "no daemon uses it; the next one leaves it behind" in capsys.readouterr().out
    assert knows(daemon, CALLER) == {"journal"}
    daemon.start()
    await_true(lambda: not knows(daemon, CALLER), "no file knows the caller any more")
    assert rows(database, "SELECT number FROM calls") == [("",)]
