"""The schema: made once, brought up to date, explained, and never that of a newer fsacd."""

from __future__ import annotations

from pathlib import Path

import gevent
import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from fsacd.core.records import ChangeMade
from fsacd.store import migrate as migrating
from fsacd.store.embedded import EmbeddedPostgres
from fsacd.store.migrate import SchemaError, available, migrate
from fsacd.store.postgres import Store
from tests.store.records import CALL, running
from tests.store.rig import await_true, execute, quick, rows

pytestmark = pytest.mark.postgres


def test_migrations_are_applied_once(database: str) -> None:
    """Daemons that start together on an empty database make the tables once; starting again changes nothing."""

    def apply() -> list[str]:
        with psycopg.connect(database) as connection:
            return migrate(connection)

    started = [gevent.spawn(apply) for _ in range(3)]
    gevent.joinall(started, timeout=20, raise_error=True)
    names = [migration.name for migration in available()]
    assert sorted(name for job in started for name in job.value) == names
    assert apply() == []


def test_schema_of_a_newer_fsacd(database: str) -> None:
    """A database that a newer fsacd has changed is left alone, in one sentence; history waits for that fsacd."""
    with psycopg.connect(database) as connection:
        migrate(connection)
        connection.execute("INSERT INTO schema_migrations (version, name) VALUES (999, '999_later.sql')")
        connection.commit()
        with pytest.raises(SchemaError, match=r"newer fsacd \(its tables have version 999, this fsacd knows \d+\)"):
            migrate(connection)
    with capture_logs() as logs, running(database) as store:
        store.put([CALL])
        await_true(lambda: store.state().error is not None)
        assert (store.state().connected, store.state().queued) == (False, 1)
        execute(database, "DELETE FROM schema_migrations WHERE version = 999")
        await_true(lambda: store.state().written == 1)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["the database is away; history waits"]


def test_every_column_is_explained(database: str) -> None:
    """Each table and view, and each of their columns, carries a comment."""
    with psycopg.connect(database) as connection:
        migrate(connection)
    bare = rows(
        database,
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 "
        "WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition AND relnamespace = 'public'::regnamespace "
        "AND relname <> 'schema_migrations' AND NOT attisdropped "
        "AND (col_description(attrelid, attnum) IS NULL OR obj_description(attrelid, 'pg_class') IS NULL)",
    )
    assert bare == []


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


def test_an_index_that_an_administrator_has_made(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the calls, before the update: the migration takes it as it is."""
    everything = available()
    (subjects,) = (one for one in everything if one.name == "017_subjects.sql")
    known = [one for one in everything if one.version < subjects.version]
    monkeypatch.setattr(migrating, "available", lambda: known)
    with psycopg.connect(database, autocommit=True) as connection:
        migrate(connection)
        made = next(line for line in subjects.text.splitlines() if line.startswith("CREATE INDEX IF NOT EXISTS calls_"))
        connection.execute(made.replace("INDEX", "INDEX CONCURRENTLY", 1).encode())
        index = "SELECT 'calls_number_end'::regclass::oid"
        before = connection.execute(index).fetchone()
        known.append(subjects)
        assert migrate(connection) == [subjects.name]
        assert connection.execute(index).fetchone() == before


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


def test_the_schema_is_plain_letters() -> None:
    """A database of any encoding takes it: what is no ASCII, be it in a comment, LATIN1 or SQL_ASCII may not know."""
    assert [migration.name for migration in available() if not migration.text.isascii()] == []


@pytest.mark.parametrize("encoding", ["LATIN1", "LATIN2", "SQL_ASCII", "WIN1251"])
def test_a_database_of_another_encoding(postgres: EmbeddedPostgres, encoding: str) -> None:
    """Tables are made and rows are stored; only a row with letters that the database does not know is refused."""
    name = f"in_{encoding.lower()}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0").format(
                sql.Identifier(name), encoding
            )
        )
    store = Store(quick(postgres.dsn_of(name)), lambda ms: ms)
    store.start()
    store.put([ChangeMade("call_moved", "c1", detail, "api:desk", 1_000) for detail in ("plain", "\u4e2d")])
    await_true(lambda: store.state().queued == 0)
    refused = 0 if encoding == "SQL_ASCII" else 1
    state = store.state()
    store.stop()
    assert (state.connected, state.refused, state.written) == (True, refused, 2 - refused)


def test_customers_of_an_older_fsacd(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets an id and stays as it is; programs that write the table go on as they did, and its numbers follow."""
    everything = available()
    with psycopg.connect(database) as connection, monkeypatch.context() as older:
        older.setattr(migrating, "available", lambda: everything[:7])
        migrate(connection)
    execute(database, "INSERT INTO customers (number, priority, name) VALUES ('+491', 7, 'Zoe'), ('+492', NULL, '')")
    with psycopg.connect(database) as connection:
        assert migrate(connection)[0] == "008_customers.sql"
    assert rows(database, "SELECT number, priority, name FROM customers ORDER BY id") == [
        ("+491", 7, "Zoe"), ("+492", None, ""),
    ]  # fmt: skip
    numbers = "SELECT n.number FROM customer_numbers n JOIN customers c ON c.id = n.customer_id ORDER BY 1"
    assert rows(database, numbers) == [("+491",), ("+492",)]
    execute(database, "INSERT INTO customers (number) VALUES ('+492'), ('+493') ON CONFLICT DO NOTHING")
    execute(database, "UPDATE customers SET number = '+494' WHERE number = '+491'")
    execute(database, "DELETE FROM customers WHERE number = '+493'")
    assert rows(database, numbers) == [("+492",), ("+494",)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(
            database,
            "INSERT INTO customer_numbers SELECT '+495', id FROM customers WHERE number = '+492'; "
            "INSERT INTO customers (number) VALUES ('+495')",
        )
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE customers")
        with connection.cursor().copy("COPY customers (number, name) FROM STDIN") as copy:
            copy.write("+491\tZoe\n+496\tMia\n")
    assert rows(database, numbers) == [("+491",), ("+496",)]


def test_calls_of_an_older_fsacd(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay as they are, of no known contact: nobody has noted what belonged together."""
    everything = available()
    with psycopg.connect(database) as connection, monkeypatch.context() as older:
        older.setattr(migrating, "available", lambda: everything[:8])
        migrate(connection)
    execute(
        database,
        "INSERT INTO calls (call_id, queue, outcome, detail, arrived_at, ended_at, waited_ms, talked_ms, offers, "
        "priority, number, name, customer, after) "
        "VALUES ('c0', 'support', 'abandoned', '', now(), now(), 0, 0, 0, 0, '', '', '', '')",
    )
    with running(database) as store:
        store.put([CALL])
        await_true(lambda: store.state().written == 1)
    assert rows(database, "SELECT call_id, contact_id FROM calls ORDER BY call_id") == [("c0", None), ("c1", "K-7")]


def test_what_has_changed_is_remembered_for_a_while(database: str) -> None:
    """Each revision names its numbers, very many are told as all, and what is old goes."""
    with psycopg.connect(database) as connection:
        migrate(connection)
    execute(database, "INSERT INTO customers (number) VALUES ('+491')")
    execute(database, "UPDATE customers SET name = 'Zoe' WHERE number = '+491'")
    assert set(rows(database, "SELECT number FROM customers_changed")) == {("+491",)}
    execute(database, "INSERT INTO customers (number) SELECT n::text FROM generate_series(1, 300) AS n")
    assert rows(database, "SELECT number FROM customers_changed ORDER BY revision DESC LIMIT 1") == [(None,)]
    execute(database, "UPDATE customers_revision SET revision = revision + 10000")
    execute(database, "UPDATE customers SET name = 'Mia' WHERE number = '+491'")
    assert rows(database, "SELECT number FROM customers_changed") == [("+491",)]
