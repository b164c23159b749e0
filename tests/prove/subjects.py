"""Callers' requests: one among a million calls is given out and erased to the last trace, each in under a minute.

Twice: while a daemon runs, which has just served the caller and sent somebody to their number, and after it was killed
with a row of theirs in its spool.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, redirect_stdout, suppress
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch
from urllib.error import HTTPError

import psycopg

from fsacd.cli import history
from fsacd.cli.main import main as fsacd
from fsacd.store.embedded import EmbeddedPostgres
from fsacd.store.migrate import migrate
from tests.store.subjects import NUMBER, WAYS, fill, in_files, naming, plant
from tests.test_daemon import AGENT, DEADLINE_S, SUPPORT, Daemon, Sim, await_true, log_in

T = TypeVar("T")

CALLS = 1_000_000
BAR_S = 60.0
# For each N that is asked for.
_SOME = 1_000
# How the switch shows the caller, and somebody else whose agent sends them to the caller.
_SHOWN, _OTHER = WAYS[4], "49405550001"
# Nothing is deleted for its age: all of it has to be looked through.
_FOR_EVER = dict.fromkeys(("calls", "visits", "decisions", "changes", "agent_states"))
_LOOKS = ("calls", "agents", "queues", "status")


def main(n: int | None) -> int:
    """Seed a database, let a daemon serve, ask, look everywhere; prints the times."""
    calls = CALLS if n is None else _SOME * n
    # Under root PostgreSQL runs as an ordinary user, who must get to its files.
    with tempfile.TemporaryDirectory(prefix="fsacd-subjects-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with (
            patch.object(history, "_DAEMON_S", DEADLINE_S),  # a busy machine may take longer than a person waits
            EmbeddedPostgres(Path(place) / "pg", durable=False) as server,
            psycopg.connect(server.dsn, autocommit=True) as connection,
            closing(_Centre(Path(place), server.dsn, connection, calls)) as centre,
        ):
            took = {"while a daemon ran": centre.while_it_runs(), "after it was killed": centre.after_it_was_killed()}
    for when, (export_s, erase_s) in took.items():
        print(f"{calls} calls, {when}: given out in {export_s:.1f} s, erased in {erase_s:.1f} s")
    return 0 if max(max(times) for times in took.values()) < BAR_S else 1


class _Centre:
    """A daemon with a database full of calls, and one caller who is named wherever a number can stand."""

    def __init__(self, place: Path, dsn: str, connection: psycopg.Connection, calls: int) -> None:
        self._connection, self._dsn = connection, dsn
        migrate(connection)
        fill(connection, calls)
        self._planted = plant(connection)
        connection.execute("VACUUM ANALYZE")  # as the server does by itself within minutes
        self._state = place / "state"
        self._sim = Sim()
        self._daemon = Daemon(
            place, self._sim, dsn, number_plan={"country": "DE"},
            journal={"directory": str(self._state / "journal")},
            store={"dsn": dsn, "spool": {"directory": str(self._state / "spool")}, "keep": _FOR_EVER},
        )  # fmt: skip
        log_in(self._sim, self._daemon)

    def close(self) -> None:
        """End what was started."""
        self._daemon.process.kill()
        self._daemon.process.wait(10)
        self._sim.stop()

    def while_it_runs(self) -> tuple[float, float]:
        """The caller has just talked, and somebody was sent to them. How long giving out and erasing took."""
        self._sim.dial(SUPPORT, number=_SHOWN)
        await_true(lambda: self._has_row(_SHOWN), "the caller is served")
        self._send_other_to_them()
        assert "journal" in self._files()
        assert naming(self._connection) == self._planted, "the caller is named wherever they were put"
        found, export_s = self._given_out()
        assert found["calls"] == len(WAYS) + 1, found
        assert found["journal"], found
        said, erase_s = _timed(lambda: self._asked("erase", NUMBER))
        assert said.endswith("the daemon has begun a new journal without the caller\n"), said
        self._found_nowhere()
        return export_s, erase_s

    def after_it_was_killed(self) -> tuple[float, float]:
        """The caller's next row waits in the spool of a daemon that is no more. How long the same took."""
        with psycopg.connect(self._dsn) as rival:
            rival.execute("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
            self._sim.dial(SUPPORT, number=_SHOWN)
            await_true(lambda: "spool" in self._files(), "the caller's row waits")
            self._daemon.process.kill()
            self._daemon.process.wait(10)
            # What the server still does for the daemon must not come in after the erasure.
            theirs = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name ~ '^fsacd'"
            await_true(lambda: self._connection.execute(theirs).fetchone() == (0,), "the server has done with it")
        assert self._files() == {"journal", "spool"}
        found, export_s = self._given_out()
        assert found["calls in the spool"] == 1, found
        assert found["journal"], found
        said, erase_s = _timed(lambda: self._asked("erase", NUMBER))
        assert "no daemon uses it; the next one leaves it behind" in said, said
        assert self._files() == {"journal"}
        self._daemon.start()
        await_true(lambda: not self._files(), "the next daemon leaves the journal behind")
        self._found_nowhere()
        return export_s, erase_s

    def _send_other_to_them(self) -> None:
        self._sim.tell(phone={"user": AGENT, "answers_ms": 100, "talks_ms": 600_000})
        self._sim.dial(SUPPORT, number=_OTHER, hangs_up_ms=600_000)
        await_true(self._talk, "the other caller talks")
        await_true(self._is_sent, "the talk is old enough for the caller to be given away")
        self._sim.tell(phone={"user": AGENT, "answers_ms": 100, "talks_ms": 1_300})

    def _is_sent(self) -> bool:
        with suppress(HTTPError):
            self._daemon.get(f"api/v1/talks/{self._talk()}/transfer", {"number": WAYS[1]})
            return True
        return False

    def _talk(self) -> str:
        calls = self._daemon.get("api/v1/calls")["calls"]
        return next((call["talk"]["id"] for call in calls if call["talk"]), "")

    def _has_row(self, number: str) -> bool:
        return self._connection.execute("SELECT FROM calls WHERE number = %s LIMIT 1", (number,)).rowcount > 0

    def _given_out(self) -> tuple[Counter[str], float]:
        given, took_s = _timed(lambda: self._asked("export", "--number", NUMBER))
        rows = [json.loads(line) for line in given.splitlines()]
        own = (row["table"] + (" in the spool" if "spool" in row else "") for row in rows if "told" not in row)
        told = (row["table"] for row in rows if row["table"] == "journal")
        return Counter([*own, *told]), took_s

    def _asked(self, *words: str) -> str:
        said = io.StringIO()
        with redirect_stdout(said):
            assert fsacd(["history", *words, "--config", str(self._daemon.file)]) == 0, words
        return said.getvalue()

    def _found_nowhere(self) -> None:
        assert naming(self._connection) == set(), "no table names the caller"
        # The journal's newest snapshot is all that the engine remembers, of calls that have ended, too.
        assert self._files() == set(), "no file of the daemon names the caller"
        for look in _LOOKS:
            shown = json.dumps(self._daemon.get(f"api/v1/{look}"))
            assert not any(way in shown for way in WAYS), f"{look} names the caller"
        assert not self._asked("export", "--number", NUMBER)

    def _files(self) -> set[str]:
        """Which of the daemon's directories has a file that names the caller."""
        return {part.name for part in self._state.iterdir() if in_files(part)}


def _timed(act: Callable[[], T]) -> tuple[T, float]:
    began = time.monotonic()
    return act(), time.monotonic() - began
