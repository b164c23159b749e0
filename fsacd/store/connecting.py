"""Connects every part of fsacd to the database: bounded in time, with the schema that this version writes."""

from __future__ import annotations

import re
from typing import Final

import gevent
import psycopg

from fsacd.errors import FsacdError
from fsacd.process.trouble import shortened
from fsacd.store.migrate import migrate

CONNECT_S = 5
# The margin beyond the server's own statement_timeout, for the case that even its refusal does not arrive.
GRACE_MS = 2_000
# Changing large tables may take minutes; a database that has stopped answering must not hold anybody for ever.
MIGRATION_S = 630.0


def connect(dsn: str, statement_timeout_ms: int, name: str = "fsacd") -> psycopg.Connection:
    """A connection that notices when the other side is gone; `name` is what the database's administrator sees.

    Raises:
        psycopg.Error: it could not be made within `CONNECT_S` seconds.
    """
    return psycopg.connect(
        dsn, connect_timeout=CONNECT_S, client_encoding="utf8", application_name=name,
        keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
        tcp_user_timeout=statement_timeout_ms + GRACE_MS,
        # Prepared statements belong to a session, and a pooler may give each transaction another session.
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
    """Limit each statement of the transaction that begins here, and the wait for the next statement (0: no limit).

    Raises:
        psycopg.Error: the connection is dead.
    """
    # Set for the transaction, not for the session, which a pooler may give to others.
    connection.execute(
        "SELECT set_config('statement_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true)",
        (str(timeout_ms), str(idle_ms)),
    )


def sentence(error: BaseException) -> str:
    """The error on one line of at most 300 characters, without values of rows and without the connection string.

    The driver's error about a failed connection quotes host, user and, where a password has an '@' or a '/' in it,
    pieces of the password. So only the kind of such an error is told, in words of ours. A connected server's own
    message (the primary message) quotes nothing of the connection string.
    """
    if isinstance(error, gevent.Timeout):
        return f"it did not answer within {error.seconds:g} s"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return shortened(_missing_right(error))
    if isinstance(error, psycopg.Error):
        if error.diag.message_primary:
            return shortened(error.diag.message_primary)
        return _kind(str(error)) or _IN_GENERAL.get(type(error), "it cannot be used")
    if isinstance(error, FsacdError):
        return shortened(str(error))
    if isinstance(error, OSError):
        return shortened(error.strerror or type(error).__name__)
    return type(error).__name__


_DENIED: Final = re.compile(
    r'(?:permission denied for|must be (?P<owner>owner) of) (?P<kind>[a-z ]+) "?(?P<name>[^"]+)"?'
)
_RIGHTS: Final = {
    "schema": "GRANT USAGE, CREATE ON SCHEMA {name} TO {role}",
    "database": "GRANT CONNECT, CREATE ON DATABASE {name} TO {role}",
    "table": "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "function": "GRANT EXECUTE ON FUNCTION {name} TO {role}",
    "owner": "ALTER {kind} {name} OWNER TO {role}",
}


def _missing_right(error: psycopg.errors.InsufficientPrivilege) -> str:
    """What our role may not do, and the SQL that grants it, so that the database's administrator need not search."""
    told = error.diag.message_primary or "permission denied"
    denied = _DENIED.match(told)
    # A server's message in another language is not understood; the right below is the most likely one then.
    kind, name, owner = (denied["kind"], _name(denied["name"]), denied["owner"]) if denied else ("table", "", None)
    role = _name(error.pgconn.user.decode()) if error.pgconn is not None else "fsacd"
    right = _RIGHTS.get(owner or kind, _RIGHTS["table"]).format(kind=kind.upper(), name=name, role=role)
    return f"fsacd's role lacks a right ({told}); this grants it: {right}"


def _name(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else f'"{name}"'


# The driver's words for a connection that could not be made, or broke -> our words.
_KINDS: Final = (
    (r"Connection refused|No such file or directory", "nothing listens there"),
    (r"resolve host|translate host name|getaddrinfo", "its host name has no address"),
    (r"password authentication failed|no password supplied|authentication", "it refuses our user or password"),
    (r"no pg_hba\.conf entry", "its pg_hba.conf does not let us in"),
    (r'database ".*" does not exist', "there is no database of that name"),
    (r'role ".*" does not exist', "there is no user of that name"),
    (
        r"permission denied for database",
        "fsacd's role lacks a right; this grants it: GRANT CONNECT ON DATABASE ... TO ...",
    ),
    (r"too many clients|remaining connection slots|too many connections", "it has too many connections already"),
    (r"starting up", "it is starting up"),
    (r"shutting down", "it is shutting down"),
    (r"recovery mode", "it is recovering from a crash"),
    (r"SSL|certificate|GSSAPI", "no encrypted connection can be agreed on"),
    (r"timeout|timed out", "it did not answer in time"),
    (r"[Nn]o route to host|unreachable", "there is no way to its host"),
    (
        r"invalid .* value|connection option|connection info string|percent-encoded",
        "the connection string is malformed",
    ),
    (
        r"closed the connection|connection (is|was) closed|consuming input|EOF|reset by|Broken pipe|connection is lost",
        "the connection broke",
    ),
    (r"took the connection, and says nothing", "it took the connection, and says nothing"),
)
_IN_GENERAL: Final[dict[type[psycopg.Error], str]] = {
    psycopg.OperationalError: "the connection cannot be made, or broke",
    psycopg.InterfaceError: "the connection broke",
    psycopg.DataError: "a value does not fit",
}


def _kind(text: str) -> str:
    return next((words for pattern, words in _KINDS if re.search(pattern, text)), "")
