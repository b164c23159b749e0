"""How every part of us reaches the database: bounded in time, with the schema that we write."""

from __future__ import annotations

import gevent
import psycopg

from fsacd.store.migrate import migrate

CONNECT_S = 5
# Beyond the server's own statement_timeout, when even its refusal does not arrive.
GRACE_MS = 2_000
# New tables may take a while; a database that says nothing any more shall not keep anybody for ever.
MIGRATION_S = 90.0


def connect(dsn: str, statement_timeout_ms: int, name: str = "fsacd") -> psycopg.Connection:
    """A connection that notices when the other side is gone; `name` is what the database's administrator sees.

    Raises:
        psycopg.Error: it could not be made within `CONNECT_S` seconds.
    """
    return psycopg.connect(
        dsn, connect_timeout=CONNECT_S, client_encoding="utf8", application_name=name,
        keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
        tcp_user_timeout=statement_timeout_ms + GRACE_MS,
        # A pooler that hands out another session per transaction knows nothing of ours.
        prepare_threshold=None,
    )  # fmt: skip


def connect_migrated(dsn: str, statement_timeout_ms: int, name: str) -> psycopg.Connection:
    """A connection to a database that has our tables; they are made if they are missing.

    Raises:
        psycopg.Error: the database is away, or refused.
        SchemaError: a newer fsacd has changed its tables.
    """
    connection = connect(dsn, statement_timeout_ms, name)
    try:
        with gevent.Timeout(
            MIGRATION_S, psycopg.OperationalError("the database took the connection, and says nothing")
        ):
            migrate(connection)
            connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection


def limit_statements(connection: psycopg.Connection, timeout_ms: int, idle_ms: int = 0) -> None:
    """Let no statement of the transaction that begins here take longer, and none be awaited for longer (0: for ever).

    Raises:
        psycopg.Error: the connection is dead.
    """
    # By transaction and not by session: a pooler hands sessions out anew.
    connection.execute(
        "SELECT set_config('statement_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true)",
        (str(timeout_ms), str(idle_ms)),
    )


def sentence(error: BaseException) -> str:
    """What went wrong on one line, without values of rows (the server's primary message has none of ours)."""
    if isinstance(error, gevent.Timeout):
        return f"it did not answer within {error.seconds:g} s"
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return " ".join(str(error).split()) or type(error).__name__
