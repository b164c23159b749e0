"""Brings a database to the schema we write: numbered SQL files, each applied once, all or nothing."""

from __future__ import annotations

import re
from importlib import resources
from typing import NamedTuple

import psycopg

# One key for every fsacd, so that two daemons that start together do not both create the tables ("fsacd" in ASCII).
_LOCK_KEY = 0x6673616364
_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
_MIGRATION_MS = 60_000
_LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer     PRIMARY KEY,
        name       text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


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
    """Apply what is missing in one transaction, and return the names; versions from a newer fsacd are left alone.

    Raises:
        psycopg.Error: the database refused, and nothing was changed.
    """
    applied: list[str] = []
    with connection.transaction():
        connection.execute("SELECT set_config('statement_timeout', %s, true)", (str(_MIGRATION_MS),))
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
        # Asked first: CREATE TABLE needs a right on the schema that a role which only writes rows may not have.
        if connection.execute("SELECT to_regclass('schema_migrations') IS NULL").fetchone() == (True,):
            connection.execute(_LEDGER)
        present = {row[0] for row in connection.execute("SELECT version FROM schema_migrations")}
        for migration in available():
            if migration.version not in present:
                connection.execute(migration.text)
                connection.execute(
                    "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
                    (migration.version, migration.name),
                )
                applied.append(migration.name)
    return applied
