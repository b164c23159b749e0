"""An update: three million calls go into their months while new ones come, and the daemon is killed again and again."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import gevent
import psycopg

from fsacd.store.embedded import EmbeddedPostgres
from fsacd.store.moving import TABLES, Moving
from fsacd.store.postgres import Store
from fsacd.store.rows import Row, row
from fsacd.store.settings import StoreSettings
from tests.store.before import began_ms, fill, md5, sums
from tests.store.records import CALL

HISTORY: Final = 3_000_000
# For each N that is asked for.
_SOME: Final = 2_000
_KILLS: Final = 20
_EARLY_KILLS: Final = 3
_LEFT_BY_A0ED903: Final = Path(__file__).parent.parent / "older" / "a0ed903.tar.xz"
_RUN: Final = (
    "from gevent import monkey; monkey.patch_all(); import sys; from tests.prove import upgrade; "
    "upgrade.daemon(*sys.argv[1:])"
)
_TOLD: Final = re.compile(r"(taken|lag|ready) (\d+)\n")


def main(n: int | None) -> int:
    """Fill a database of commit a0ed903, bring it up to date under fire, and count; prints the times."""
    calls = HISTORY if n is None else _SOME * n
    seed = random.SystemRandom().randrange(2**31)
    print(f"{calls} calls and offers, {calls // 10} decisions; seed {seed}", flush=True)
    # Under root PostgreSQL runs as an ordinary user, who must get to its files.
    with tempfile.TemporaryDirectory(prefix="fsacd-upgrade-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place) / "pg", durable=False) as server:
            _prove(server.dsn, Path(place), calls, random.Random(seed))
    return 0


def _prove(dsn: str, place: Path, calls: int, dice: random.Random) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        spool = _as_a0ed903_left_it(connection, place)
        fill(connection, calls, decisions=calls // 10)
        connection.execute("VACUUM ANALYZE")  # as the server does by itself within minutes
        was = sums(connection)
        others = connection.execute("SELECT count(*) FROM calls").fetchone()
        began = time.monotonic()
        daemons = Daemons(dsn, spool, calls)
        for kill in range(_KILLS):
            # The first ones while the tables are changed, the others while rows are moved.
            first = "lag" if kill < _EARLY_KILLS else "ready"
            if not daemons.run(dice.uniform(0.0, 1.0 + calls / 1_000_000), first):
                break  # it was done before
            if kill in {5, 10, 15}:
                assert sums(connection) == was, "at no moment is a row missing, or there twice"
        daemons.run(None)
        took_s = time.monotonic() - began
        assert sums(connection) == was, "each row is there, once, as it was"
        new = _new_calls(connection, daemons.taken)
        seen = connection.execute("SELECT count(*), count(DISTINCT call_id) FROM calls").fetchone()
        assert seen is not None and others is not None
        assert seen[0] == seen[1] >= others[0] + new, seen
        _all_in_their_months(connection)
        print(
            f"the tables were changed in {daemons.ready_ms / 1_000:.1f} s, all rows were in their months after "
            f"{took_s:.0f} s and {daemons.kills} times kill -9; {new} new calls came meanwhile; "
            f"nothing was lost or doubled; the loop of the daemon was never late by more than {daemons.lag_ms} ms",
            flush=True,
        )


def _new_calls(connection: psycopg.Connection, taken: set[int]) -> int:
    """How many calls came meanwhile."""
    query = "SELECT substr(call_id, 5) FROM calls WHERE call_id LIKE 'new-%'"
    new = {int(name) for (name,) in connection.execute(query)}
    assert taken <= new, "what was taken is there"
    assert len(new - taken) <= _KILLS, "of each run the last one may not have been told any more"
    return len(new)


def _all_in_their_months(connection: psycopg.Connection) -> None:
    for table in TABLES:
        month = f"'{table.name}_' || to_char({table.began} AT TIME ZONE 'UTC', 'YYYY_MM')"
        query = f"SELECT count(*), count(*) FILTER (WHERE tableoid::regclass::text <> {month}) FROM {table.name}"
        found = connection.execute(query.encode()).fetchone()
        assert found is not None
        print(f"{table.name}: {found[0]} rows, of them not in their month: {found[1]}", flush=True)
        assert found[1] == 0


def _as_a0ed903_left_it(connection: psycopg.Connection, place: Path) -> Path:
    """Restore its database; returns its spool, whose rows no database has taken yet."""
    with tarfile.open(_LEFT_BY_A0ED903) as archive:
        archive.extractall(place / "left", filter="data")
    text = (place / "left" / "history.sql").read_text()
    # These two are for psql alone.
    commands = [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
    connection.execute("\n".join(commands).encode())
    connection.execute("RESET search_path")
    spool = place / "spool"
    shutil.copytree(place / "left" / "spool", spool)
    return spool


class Daemons:
    """One daemon after the other on the same spool, and what they have told."""

    def __init__(self, dsn: str, spool: Path, calls: int) -> None:
        self._words = (dsn, str(spool), str(calls))
        self._runs = 0
        self.kills = 0
        self.taken: set[int] = set()
        self.ready_ms = 0
        self.lag_ms = 0

    def run(self, seconds: float | None, after: str = "") -> bool:
        """Run one, which ends when all is moved and written. Kill it so many seconds after it says this (None: never).

        Returns whether it was killed.
        """
        self._runs += 1
        command = [sys.executable, "-c", _RUN, *self._words, str(self._runs * 10_000_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            timer = None
            for line in process.stdout:
                found = _TOLD.fullmatch(line)
                if found is None:
                    print(line, end="", flush=True)
                    continue
                self._note(found[1], int(found[2]))
                if timer is None and seconds is not None and found[1] == after:
                    timer = threading.Timer(seconds, process.send_signal, (signal.SIGKILL,))
                    timer.start()
            code = process.wait()
        if timer is not None:
            timer.cancel()
        was_killed = seconds is not None and code == -signal.SIGKILL
        self.kills += was_killed
        assert was_killed or code == 0, code
        return was_killed

    def _note(self, what: str, number: int) -> None:
        match what:
            case "taken":
                self.taken.add(number)
            case "ready":
                self.ready_ms = self.ready_ms or number
            case "lag":
                self.lag_ms = max(self.lag_ms, number)


def daemon(dsn: str, spool: str, calls: str, first: str) -> None:
    """Write new calls, and now and then one of before once more, until all of before is in its months."""
    settings = StoreSettings(dsn, spool=Path(spool), retry_min_ms=50, retry_max_ms=500)
    store, moving = Store(settings, lambda ms: ms), Moving(settings, first_s=0.0)
    store.start()
    began = time.monotonic()
    gevent.spawn(_measure)
    while not store.state().safe:
        gevent.sleep(0.005)
    moving.start()
    now_ms = round(time.time() * 1_000)
    done = gevent.spawn(_await_moved, settings, began)
    number, dice = int(first), random.Random(first)
    while not done.ready():
        told = replace(CALL, call_id=f"new-{number}", arrived_ms=now_ms + number, ended_ms=now_ms + number + 1_000)
        store.put([told])
        store.put_rows([_again(dice.randrange(1, int(calls) + 1), int(calls))])
        print("taken", number, flush=True)
        number += 1
        gevent.sleep(0.02)
    while store.state().queued:
        gevent.sleep(0.05)
    # What was told again last may have come after its table was done.
    moving.stop()
    store.stop()


def _again(number: int, calls: int) -> Row:
    """A call of before as a daemon tells it that knows less of its end: the row of before stands."""
    arrived_ms = began_ms(number, calls)
    told = replace(CALL, call_id=md5(f"c{number}"), arrived_ms=arrived_ms, ended_ms=arrived_ms, epoch=0)
    made = row(told, lambda ms: ms)
    assert made is not None
    return made


def _measure() -> None:
    late_ms = 0
    while True:
        since = time.monotonic()
        gevent.sleep(0.01)
        if (now_ms := round((time.monotonic() - since - 0.01) * 1_000)) > late_ms:
            late_ms = now_ms
            print("lag", late_ms, flush=True)


def _is_left(connection: psycopg.Connection, table: str) -> bool:
    return connection.execute(f"SELECT EXISTS (SELECT FROM {table})".encode()).fetchone() == (True,)


def _await_moved(settings: StoreSettings, began: float) -> None:
    is_ready = False
    while True:
        with suppress(psycopg.Error), psycopg.connect(settings.dsn, autocommit=True) as connection:
            while True:
                there = connection.execute("SELECT to_regclass('calls_before') IS NOT NULL").fetchone() == (True,)
                if there and not is_ready:
                    is_ready = True
                    print("ready", round((time.monotonic() - began) * 1_000), flush=True)
                if there and not any(_is_left(connection, f"{table.name}_before") for table in TABLES):
                    return
                gevent.sleep(0.5)
        gevent.sleep(0.1)
