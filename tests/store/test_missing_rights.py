"""A right that fsacd's role lacks: one sentence with the words that grant it, and these words do grant it."""

from __future__ import annotations

import itertools

import psycopg
import pytest
from psycopg import sql

from fsacd.errors import FsacdError
from fsacd.store.connecting import _name, connect_migrated, sentence
from fsacd.store.embedded import EmbeddedPostgres

pytestmark = pytest.mark.postgres
_numbers = itertools.count(1)
GIVES = "; this grants it: "


@pytest.fixture
def role(postgres: EmbeddedPostgres) -> str:
    """A role without any right. The server lets nobody but us in: we log in, and are that role from then on."""
    name = f"writer_{next(_numbers)}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        who = connection.info.user
    return f"{name} {who}"


def told(dsn: str, role: str, statement: str = "") -> str:
    """What is said of the statement (without one: of making the tables); empty when it is allowed."""
    try:
        with connect_migrated(f"{dsn} options='-c role={role.split(maxsplit=1)[0]}'", 1_000, "test") as connection:
            connection.execute(statement.encode() or b"SELECT 1")
    except (psycopg.Error, FsacdError) as error:
        said = sentence(error)
        # Who has logged in is named; here that is not the one whose rights count.
        assert said.endswith(f" TO {role.split()[1]}")
        return said.removesuffix(role.split()[1]) + role.split(maxsplit=1)[0]
    return ""


def test_what_is_told_gives_the_right(database: str, role: str) -> None:
    """From a role with nothing to one that writes history, by the sentences alone."""
    given = []
    statements = ["", "INSERT INTO changes VALUES ('a', 'b', 'c', 'd', now())", "SELECT * FROM calls"]
    with psycopg.connect(database, autocommit=True) as owner:
        while said := next(filter(None, (told(database, role, statement) for statement in statements)), ""):
            assert said.startswith("fsacd's role lacks a right (permission denied for ")
            given.append(said.partition(GIVES)[2])
            assert given.count(given[-1]) == 1, "what was told has not given the right"
            owner.execute(given[-1].encode())
            if len(given) == 1:
                connect_migrated(database, 1_000, "test").close()  # another role makes the tables
    assert given == [
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role.split(maxsplit=1)[0]}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role.split(maxsplit=1)[0]}",
    ]


def test_a_table_of_somebody_else(database: str, role: str) -> None:
    """What only the owner may do, a change of the tables by a newer fsacd say, needs the owner to be another one."""
    connect_migrated(database, 1_000, "test").close()
    with psycopg.connect(database) as connection:
        name = sql.Identifier(role.split(maxsplit=1)[0])
        connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(name))
        connection.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(name))
    said = told(database, role, "ALTER TABLE calls ADD COLUMN x int")
    assert said.partition(GIVES)[2] == f"ALTER TABLE calls OWNER TO {role.split(maxsplit=1)[0]}"


def test_a_server_that_speaks_another_language() -> None:
    """What is missing most often is named all the same."""
    error = psycopg.errors.InsufficientPrivilege("keine Berechtigung f\u00fcr Tabelle calls")
    assert sentence(error).endswith("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO fsacd")


def test_a_role_whose_name_needs_quotes() -> None:
    """As SQL wants it."""
    assert [_name(name) for name in ("fsacd", "Fsacd", "call-centre")] == ["fsacd", '"Fsacd"', '"call-centre"']
