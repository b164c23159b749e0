from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from fsacd.store import migrate as migrating
from fsacd.store.migrate import available, migrate
from tests.store.rig import execute, rows

pytestmark = pytest.mark.postgres


def test_history_of_an_older_fsacd(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with calls of the first schema is brought up to date, and its calls stay as they are."""
    everything = available()
    with psycopg.connect(database) as connection, monkeypatch.context() as older:
        older.setattr(migrating, "available", lambda: everything[:1])
        assert migrate(connection) == ["001_history.sql"] == [everything[0].name]
    execute(
        database,
        "INSERT INTO calls VALUES ('c1', 'support', 'answered', '', now(), now(), 1, 2, 'anna', 1, 0, '+491', 'Zoë', "
        "'K-1', 'fs1', '11-22', '')",
    )
    with psycopg.connect(database) as connection:
        assert migrate(connection) == [migration.name for migration in everything[1:]]
    assert rows(database, "SELECT call_id, customer, language FROM calls") == [("c1", "K-1", "")]


def test_a_migration_that_fails(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the database refuses changes nothing, those before it stay applied, and a later try goes on there."""
    whole = available()
    broken = [*whole[:-1], whole[-1]._replace(text="CREATE TABLE half (n integer); SELECT 1 / 0")]
    with psycopg.connect(database) as connection:
        with monkeypatch.context() as patched:
            patched.setattr(migrating, "available", lambda: broken)
            with pytest.raises(psycopg.errors.DivisionByZero):
                migrate(connection)
        assert connection.execute("SELECT to_regclass('half') IS NULL").fetchone() == (True,)
        assert connection.execute("SELECT max(version) FROM schema_migrations").fetchone() == (len(whole) - 1,)
        connection.commit()
        assert migrate(connection) == [whole[-1].name]


def test_migrations_are_numbered_without_a_gap() -> None:
    """Each file of the schema has the number after the one before; none is overlooked for its name."""
    directory = Path(migrating.__file__).parent / "schema"
    assert [migration.name for migration in available()] == sorted(path.name for path in directory.iterdir())
    assert [migration.version for migration in available()] == list(range(1, len(available()) + 1))


def test_a_writer_of_customers_needs_no_other_right(database: str) -> None:
    """Whoever may write the customers, a CRM's role say, is seen by the daemon without a right of its own for that."""
    with psycopg.connect(database) as connection:
        migrate(connection)
        before = connection.execute("SELECT revision FROM customers_revision").fetchone()
        connection.execute("CREATE ROLE crm")
        connection.execute("GRANT INSERT ON customers TO crm")
        connection.execute("SET ROLE crm")
        connection.execute("INSERT INTO customers (number, priority) VALUES ('+491', 3)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("UPDATE customers_revision SET revision = 0")
        connection.execute("RESET ROLE")
        after = connection.execute("SELECT revision FROM customers_revision").fetchone()
        connection.rollback()  # roles belong to the server, not to this database
    assert before is not None
    assert after == (before[0] + 1,)
