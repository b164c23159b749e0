"""Fixtures on a real PostgreSQL, which tests/conftest.py has for all tests.

One server for the whole run, one database per test.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, LiteralString

import psycopg
import pytest
from psycopg import sql

from fsacd.store.embedded import EmbeddedPostgres
from fsacd.store.migrate import migrate

_numbers = itertools.count(1)
FULL: Final = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; RETURN NEW;
    END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION full_disk()
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL, ended with the test run."""
    # Not pytest's tmp_path: under root that is closed to the ordinary user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="fsacd-pg-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place) / "pg", durable=False) as server:
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                # A run leaves hundreds of databases: to look into each of them once a minute would never end.
                connection.execute("ALTER SYSTEM SET autovacuum = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server
        # Three hundred files for each database; Python's own way takes ten times as long.
        subprocess.run(["rm", "-rf", place], check=False)


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> str:
    """The dsn of a database that nobody has used yet."""
    return _copy(postgres, "template1")


@pytest.fixture(scope="session")
def _with_tables(postgres: EmbeddedPostgres) -> str:
    dsn = _copy(postgres, "template1", "with_tables")
    with psycopg.connect(dsn) as connection:
        migrate(connection)
    return "with_tables"


@pytest.fixture
def with_tables(postgres: EmbeddedPostgres, _with_tables: str) -> str:
    """The same with our tables, empty ones: to make them takes twice as long as to copy a database that has them."""
    return _copy(postgres, _with_tables)


def _copy(server: EmbeddedPostgres, template: str, name: str = "") -> str:
    name = name or f"test_{next(_numbers)}"
    # Copied as files: nothing here outlives a crash anyway, and to log each page takes twice as long.
    order = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(order.format(sql.Identifier(name), sql.Identifier(template)))
    return server.dsn_of(name)


def freeze(server: EmbeddedPostgres) -> list[int]:
    """Stop every process of a server by a signal, so that its connections stay open and say nothing; who was stopped.

    The first one first: it makes no more of them then.
    """
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii")
    frozen = [server.pid, *map(int, children.split())]
    for pid in frozen[1:]:
        os.kill(pid, signal.SIGSTOP)
    return frozen


def thaw(frozen: list[int]) -> None:
    """Let them go on; some may have been killed meanwhile."""
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def take_away(server: EmbeddedPostgres, manner: str) -> Callable[[], None]:
    """Take the database of a server away; what is returned brings it back under the same address.

    `stop`, `freeze` and `kill` take the server; `slow` makes each statement about calls last as long as the client lets
    it, and `full` is what a full disk says.
    """
    match manner:
        case "stop":
            server.stop()
            return server.start
        case "freeze":
            frozen = freeze(server)
            return lambda: thaw(frozen)
        case "kill":
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            return partial(_start_again, server)
        case "slow":
            rival = psycopg.connect(server.dsn)
            rival.execute("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
            return rival.close
        case "full":
            _execute(server, FULL)
            return partial(_execute, server, "DROP TRIGGER full_disk ON calls")
        case _:
            raise ValueError(f"nobody knows how to take a database away by {manner}")


def _execute(server: EmbeddedPostgres, statement: LiteralString) -> None:
    with psycopg.connect(server.dsn) as connection:
        connection.execute(statement)


def _start_again(server: EmbeddedPostgres) -> None:
    server.stop()
    server.start()
