"""Whatever the database does, calls go on, and afterwards each row is there once.

No clock is asserted here. While the database does nothing at all, and will not until the test lets it, the test goes
on to hand over rows and to run other greenlets: if anything waited for the database, the test would wait for ever.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.store.embedded import EmbeddedPostgres
from fsacd.store.migrate import migrate
from fsacd.store.moving import Moving
from fsacd.store.postgres import Store
from fsacd.store.retention import Retention
from fsacd.store.settings import Keep, StoreSettings
from tests.postgres import freeze, thaw
from tests.store.centre import STEPS, Centre, Line, arrived, centre, dsn, server
from tests.store.rig import await_true, execute, rows

__all__ = ["dsn", "server"]

pytestmark = pytest.mark.postgres

ALL = ("calls", "visits", "offers", "agent_presence", "agent_work", "decisions", "changes")


def is_waiting(dsn: str, what: str) -> Callable[[], bool]:
    query = f"SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'fsacd' AND wait_event = '{what}'"
    return lambda: rows(dsn, query) == [(True,)]


def test_frozen(server: EmbeddedPostgres, dsn: str, tmp_path: Path) -> None:
    """A server that is stopped by a signal, with a statement of ours in it, holds no call up."""
    with centre(dsn, tmp_path / "spool") as made:
        frozen = freeze(server)
        try:
            written = made.store.state().written
            made.go_on()
            assert made.store.state().written == written
            assert made.store.state().queued >= STEPS
        finally:
            thaw(frozen)
        arrived(made)


def test_locked(dsn: str, tmp_path: Path) -> None:
    """A statement that does not end, because somebody else locks the table, holds no call up."""
    with centre(dsn, tmp_path / "spool") as made:
        with psycopg.connect(dsn) as rival:
            rival.execute("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
            made.go_on(5)
            await_true(is_waiting(dsn, "relation"))
            made.go_on()
            assert made.store.state().queued >= STEPS
        arrived(made)


def test_slow(dsn: str, tmp_path: Path) -> None:
    """A database that takes longer for each row than a whole batch may take is written to in smaller batches."""
    with centre(dsn, tmp_path / "spool", timeout_ms=400) as made:
        execute(dsn, _trigger("PERFORM pg_sleep(0.05)"))
        made.go_on(60)
        await_true(lambda: "statement timeout" in (made.store.state().error or ""), 120.0)
        made.go_on(20)
        await_true(lambda: rows(dsn, "SELECT count(*) > 10 FROM calls") == [(True,)], 120.0)
        execute(dsn, "DROP TRIGGER fault ON calls")
        arrived(made)


def test_full(dsn: str, tmp_path: Path) -> None:
    """A database whose disk is full keeps every row waiting, and refuses none for good."""
    with centre(dsn, tmp_path / "spool") as made:
        execute(dsn, _trigger("RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'", ALL))
        with capture_logs() as logs:
            made.go_on()
            await_true(lambda: "No space left" in (made.store.state().error or ""))
            await_true(lambda: [line["event"] for line in logs].count("connected to the database") >= 5)
        assert [line["event"] for line in logs if line["log_level"] == "error"] == [
            "the database is away; history waits"
        ]
        assert not made.store.state().connected, "a connection on which nothing can be written is none"
        assert made.store.state().queued >= STEPS
        _drop_fault(dsn)
        arrived(made)
        assert made.store.state().connected


def _drop_fault(dsn: str) -> None:
    """It locks table after table, while the store writes to them in another order: the server ends one of both."""
    while True:
        try:
            execute(dsn, "DROP FUNCTION fault CASCADE")
        except psycopg.errors.DeadlockDetected:
            continue
        return


def _trigger(body: str, tables: Sequence[str] = ("calls",)) -> str:
    triggers = (f"CREATE TRIGGER fault BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION fault()" for t in tables)
    function = f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$"
    return "; ".join([function, *triggers])


def test_read_only(dsn: str, tmp_path: Path) -> None:
    """A database that lets nobody write, as a standby does, keeps every row waiting, and refuses none for good."""
    with centre(dsn, tmp_path / "spool") as made:
        name = dsn.partition("dbname=")[2].split()[0]
        execute(dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        execute(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fsacd'")
        made.go_on()
        await_true(lambda: "read-only" in (made.store.state().error or ""))
        made.go_on()
        assert made.store.state().queued >= 2 * STEPS
        with psycopg.connect(dsn, options="-c default_transaction_read_only=off") as connection:
            connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        arrived(made)


@pytest.mark.parametrize("lost", ["commit", "word"])
def test_commit_lost(dsn: str, tmp_path: Path, lost: str) -> None:
    """A commit, or the word that it was done, is lost on a line that both sides take for open: each row is there once.

    The server's side holds its locks meanwhile; it must not keep the next try from the same rows.
    """
    line = Line(dsn, tmp_path, lost)
    try:
        with centre(line.dsn, tmp_path / "spool", timeout_ms=400) as made:
            before = rows(dsn, "SELECT count(*) FROM calls")
            line.is_armed = True
            made.go_on()
            await_true(lambda: line.commits_lost == 1)
            if lost == "word":
                await_true(lambda: rows(dsn, "SELECT count(*) FROM calls") > before)
            assert (rows(dsn, "SELECT count(*) FROM calls") == before) == (lost == "commit")
            made.go_on(20)
            arrived(made)
    finally:
        line.stop()


def test_each_query_is_slow(dsn: str, tmp_path: Path) -> None:
    """A database that answers each query in its time, but takes longer for all of a transaction, is written to."""
    line = Line(dsn, tmp_path, "")
    try:
        with centre(line.dsn, tmp_path / "spool", timeout_ms=400) as made:
            line.delay_s = 0.2
            made.go_on(20)
            await_true(lambda: rows(dsn, "SELECT count(*) FROM calls") == [(made.calls,)])
            line.delay_s = 0.0
            arrived(made)
            assert made.store.state().error is None
    finally:
        line.stop()


@pytest.mark.parametrize("poison", ["PERFORM pg_sleep(100)", "RAISE 'invalid page in block 7' USING ERRCODE = 'XX001'"])
def test_a_row_that_is_never_taken(dsn: str, tmp_path: Path, poison: str) -> None:
    """A row that the database never stores, by an error that is not the row's, keeps no row behind it waiting."""
    with centre(dsn, tmp_path / "spool", timeout_ms=200) as made:
        execute(dsn, _trigger(f"IF NEW.call_id = 'c12' THEN {poison}; END IF"))
        made.go_on(30)
        await_true(lambda: rows(dsn, "SELECT count(*) FROM calls") == [(made.calls - 1,)])
        made.go_on(5)
        await_true(lambda: rows(dsn, "SELECT count(*) FROM calls") == [(made.calls - 1,)])
        execute(dsn, "DROP TRIGGER fault ON calls")
        arrived(made)


def test_killed(server: EmbeddedPostgres, dsn: str, tmp_path: Path) -> None:
    """A server that is killed with a statement of ours in it, and comes back later, has each row once."""
    with centre(dsn, tmp_path / "spool") as made:
        assert server.pid is not None
        made.go_on(20)
        os.kill(server.pid, signal.SIGKILL)
        try:
            made.go_on()
            await_true(lambda: not made.store.state().connected)
            made.go_on()
        finally:
            server.stop()
            server.start()
        arrived(made)


def test_a_port_that_accepts_and_says_nothing(dsn: str, tmp_path: Path) -> None:
    """A connection that is taken and never answered, and one that is refused, hold no call up; rows wait on disk."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        port = silent.getsockname()[1]
        made = Centre(f"host=127.0.0.1 port={port} dbname=none user=none password=none", tmp_path / "spool")
        made.store.start()
        peer, _ = silent.accept()
        made.go_on()
        peer.close()
    await_true(lambda: made.store.state().error is not None)
    made.go_on()
    assert made.store.state().queued >= 2 * STEPS
    assert made.store.stop(0) == 0
    made.runtime.stop()
    after = Store(replace(made.settings, dsn=dsn), made.runtime.wall_ms)
    after.start()
    await_true(lambda: after.state().queued == 0)
    assert rows(dsn, "SELECT count(*), count(DISTINCT call_id) FROM calls") == [(made.calls, made.calls)]
    after.stop(0)


# --- the end of the daemon -------------------------------------------------------------------------------------------

# Hands over numbered intervals for ever, and says of each that it was taken.
_PROGRAM = """
    from gevent import monkey
    monkey.patch_all()
    import sys
    from pathlib import Path
    import gevent
    from fsacd.core.records import AgentWorkEnded
    from fsacd.store.postgres import Store
    from fsacd.store.settings import StoreSettings
    dsn, spool, start = sys.argv[1:]
    store = Store(StoreSettings(dsn, spool=Path(spool), batch=20, retry_min_ms=10, retry_max_ms=20), lambda ms: ms)
    store.start()
    while not store.state().safe:
        gevent.sleep(0.005)
    for number in range(int(start), int(start) + 100_000):
        store.put([AgentWorkEnded("anna", "busy", "", number, number + 1)])
        print("taken", number, flush=True)
        gevent.sleep(0.001)
"""


@pytest.mark.parametrize("is_frozen", [False, True])
def test_daemon_killed(server: EmbeddedPostgres, dsn: str, tmp_path: Path, is_frozen: bool) -> None:
    """Of what the store has taken nothing is lost and nothing is twice, whenever the daemon is killed.

    Also when the database is frozen at that time, with a statement of the daemon's in it.
    """
    taken: list[int] = []
    frozen: list[int] = []
    for round_ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_PROGRAM), dsn, str(tmp_path / "spool"), str(round_ * 1_000_000)],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as daemon:  # fmt: skip
            assert daemon.stdout is not None
            told = 0
            for line in daemon.stdout:
                if line.startswith("taken "):
                    taken.append(int(line.removeprefix("taken ")))
                    told += 1
                    if is_frozen and told == 30:
                        frozen = freeze(server)
                if told == 70 + 37 * round_:
                    break
            daemon.send_signal(signal.SIGKILL)
            thaw(frozen)
            whole = [line for line in daemon.stdout if line.startswith("taken ") and line.endswith("\n")]
            taken += [int(line.removeprefix("taken ")) for line in whole]
    store = Store(StoreSettings(dsn, spool=tmp_path / "spool", retry_min_ms=10), lambda ms: ms)
    store.start()
    await_true(lambda: store.state().safe and store.state().queued == 0)
    assert store.state().corrupt == 0
    store.stop(0)
    stored = [
        number for (number,) in rows(dsn, "SELECT (extract(epoch FROM started_at) * 1000)::bigint FROM agent_work")
    ]
    assert len(taken) >= 200
    assert len(set(stored)) == len(stored)
    assert set(taken) <= set(stored)
    # The last one of each round may have been taken without anybody having been told.
    assert len(set(stored) - set(taken)) <= 3


# --- what is too old -------------------------------------------------------------------------------------------------


# Table → the column of its moment, and what its other columns may hold; n counts days.
_OLD = {
    "calls": (
        "arrived_at",
        "call_id,queue,outcome,detail,ended_at,waited_ms,talked_ms,offers,priority,number,name,customer,after",
        "'x' || n, '', '', '', now(), 0, 0, 0, 0, '', '', '', ''",
    ),
    "offers": (
        "started_at",
        "offer_id, call_id, queue, agent_id, attempt, outcome, reason, ended_at",
        "'x' || n, '', '', '', 0, '', '', now()",
    ),
    "decisions": ("at", "offer_id, call_id, number, queue, agent_id, explanation", "'x' || n, '', 0, '', '', '{}'"),
    "changes": ("at", "kind, subject, detail, by", "'k' || n, '', '', ''"),
    "agent_states_before": ("ended_at", "agent_id, state, reason, started_at, by", "'x' || n, '', '', now(), ''"),
}


def test_retention(dsn: str) -> None:
    """What is older than its table may keep is deleted, and nothing else; a table to be kept for ever stays."""
    with psycopg.connect(dsn) as connection:
        migrate(connection)
    for table, (moment, columns, values) in _OLD.items():
        days = f"SELECT {values}, now() - n * interval '1 day' FROM generate_series(0, 699) n"
        execute(dsn, f"INSERT INTO {table} ({columns}, {moment}) {days}")
    day_ms = 86_400_000
    settings = StoreSettings(
        dsn, keep=Keep(calls_ms=400 * day_ms, decisions_ms=30 * day_ms, agent_states_ms=day_ms // 2)
    )
    retention = Retention(settings, first_s=0.0, every_s=1.0)
    retention.start()
    # Rows of before are too old or not as soon as they are in their months.
    moving = Moving(settings, first_s=0.0, pause_s=0.01)
    moving.start()
    expected = {"calls": 400, "offers": 400, "decisions": 30, "changes": 700, "agent_states_before": 1}
    try:
        await_true(
            lambda: {table: rows(dsn, f"SELECT count(*) FROM {table}")[0][0] for table in expected} == expected, 120.0
        )
    finally:
        retention.stop()
        moving.stop()


def test_nothing_is_deleted_that_is_kept_for_ever(dsn: str) -> None:
    """The partitions of the months that come are made all the same."""
    with psycopg.connect(dsn) as connection:
        migrate(connection)
    execute(dsn, "INSERT INTO changes VALUES ('k', '', '', '', '1999-12-31')")
    retention = Retention(StoreSettings(dsn, keep=Keep()), first_s=0.0)
    retention.start()
    made = "SELECT count(*) FROM pg_inherits WHERE inhparent = ANY ('{agent_work, agent_presence}'::regclass[])"
    try:
        await_true(lambda: rows(dsn, made) == [(6,)])
    finally:
        retention.stop()
    assert rows(dsn, "SELECT count(*) FROM changes") == [(1,)]
