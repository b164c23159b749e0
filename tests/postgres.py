"""Fixtures on a real PostgreSQL: import `postgres` and `database` from here into a conftest.py.

One server for the whole run, one database per test.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from fsacd.store.embedded import EmbeddedPostgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL, ended with the test run."""
    # Not pytest's tmp_path: under root that is closed to the ordinary user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="fsacd-pg-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place) / "pg", durable=False) as server:
            yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> str:
    """The dsn of a database that nobody has used yet."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgres.dsn_of(name)
