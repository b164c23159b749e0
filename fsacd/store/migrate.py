"""Brings a database to the schema of this version: numbered SQL files, each applied once, all or nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import psycopg

from fsacd.errors import FsacdError

# One key for every fsacd, so that two daemons that start together do not both create the tables ("fsacd" in ASCII).
_LOCK_KEY = 0x6673616364
_NAME = re.compile(r"([0-9]{3})_[a-z0-9_]+\.sql")
# How long others are waited for; and what one statement may take, which may be to make an index over many millions of
# rows.
_WAIT_MS = 60_000
_MIGRATION_MS = 600_000
_LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer     PRIMARY KEY,
        name       text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class SchemaError(FsacdError):
    """The database has tables that this fsacd does not know."""


class Migration(NamedTuple):
    """One numbered file of `schema/`."""

    version: int
    name: str
    text: str


def available() -> list[Migration]:
    """The migrations this fsacd knows, in order."""
    found = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in resources.files("fsacd.store").joinpath("schema").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    return sorted(found)


def migrate(connection: psycopg.Connection) -> list[str]:
    """Apply what is missing, each file in a transaction of its own, and return the names of those applied.

    The connection must not be in a transaction. Daemons that start together wait for each other here.

    Raises:
        psycopg.Error: the database refused; the files before the one that it refused are applied.
        SchemaError: a newer fsacd has changed the tables.
    """
    known = available()
    applied: list[str] = []
    while True:
        with connection.transaction():
            missing = _missing(connection, known)
            if not missing:
                return applied
            _limit(connection, _MIGRATION_MS)
            connection.execute(missing[0].text)
            connection.execute(
                "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)", (missing[0].version, missing[0].name)
            )
        applied.append(missing[0].name)


def _missing(connection: psycopg.Connection, known: Sequence[Migration]) -> list[Migration]:
    """The migrations to apply; nobody else can apply them until the transaction ends."""
    _limit(connection, _WAIT_MS)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
    # The table is looked for first: CREATE TABLE needs a right that a role which only writes rows may not have.
    if connection.execute("SELECT to_regclass('schema_migrations') IS NULL").fetchone() == (True,):
        connection.execute(_LEDGER)
    present = {row[0] for row in connection.execute("SELECT version FROM schema_migrations")}
    newest = known[-1].version
    if max(present, default=0) > newest:
        raise SchemaError(
            f"the database was changed by a newer fsacd (its tables have version {max(present)}, this fsacd knows "
            f"{newest}): start that newer fsacd, or name another database in store.dsn"
        )
    return [migration for migration in known if migration.version not in present]


def _limit(connection: psycopg.Connection, timeout_ms: int) -> None:
    query = "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"
    connection.execute(query, (str(timeout_ms), str(_WAIT_MS)))
