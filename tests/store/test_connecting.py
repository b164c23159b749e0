from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.errors import FsacdError
from fsacd.store.connecting import connect, sentence
from fsacd.store.postgres import Store
from fsacd.store.settings import StoreSettings

# Each part of each word is a piece of somebody's secret, or of where it is used.
SECRETS = ("Pa55", "w0rd", "inner.example", "keeper")
BROKEN = [
    "postgresql://keeper:Pa55@w0rd@127.0.0.1:1/db",
    "postgresql://keeper:Pa55/w0rd@127.0.0.1:1/db",
    "postgresql://keeper:Pa55%w0rd@127.0.0.1:1/db",
    "postgresql://keeper:Pa55 w0rd@127.0.0.1:1/db",
    "postgresql://keeper:Pa55[w0rd@inner.example.invalid/db",
    "postgresql://keeper:Pa55w0rd@127.0.0.1:1/db",
    "postgresql://keeper:Pa55w0rd@inner.example.invalid/db",
    "host=127.0.0.1 port=1 user=keeper password=Pa55 w0rd",
    "host=127.0.0.1 port=Pa55w0rd user=keeper",
    "host=127.0.0.1 port=1 user=keeper sslmode=Pa55w0rd",
    "host=127.0.0.1 port=1 Pa55w0rd=keeper",
    "Pa55w0rd",
    "host=/inner.example/Pa55w0rd user=keeper",
    "host=127.0.0.1 port=1 user=keeper passfile=/Pa55/w0rd sslcert=/Pa55/w0rd sslmode=require",
]


@contextmanager
def refused() -> Iterator[list[str]]:
    """What is said of whatever is raised within."""
    said: list[str] = []
    try:
        yield said
    except (psycopg.Error, FsacdError) as error:
        said.append(sentence(error))


@pytest.mark.parametrize("dsn", BROKEN)
def test_no_piece_of_a_connection_string_is_ever_told(dsn: str) -> None:
    """However a connection string is broken, what is said of it is ours: neither host nor user nor secret."""
    with refused() as said:
        connect(dsn, 1_000).close()
    assert said
    assert [secret for secret in SECRETS if secret in said[0]] == []
    assert len(said[0]) <= 300


@pytest.mark.parametrize("dsn", BROKEN)
def test_neither_state_nor_log_holds_a_piece_of_it(dsn: str) -> None:
    """The store's state, which readiness and status show, and what it logs meanwhile."""
    store = Store(StoreSettings(dsn, retry_min_ms=10, retry_max_ms=20), lambda at_ms: at_ms)
    with capture_logs() as logs:
        store.start()
        with gevent.Timeout(20):
            while not store.state().error:
                gevent.sleep(0.01)
        state = store.state()
        store.stop(patience_ms=100)  # there is nothing to be written
    told = f"{state} {json.dumps(logs, default=repr)}"
    assert [secret for secret in SECRETS if secret in told] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('connection to server at "inner.example" (10.0.0.3), port 5432 failed: Connection refused', "nothing listens"),
        ("failed to resolve host 'Pa55@inner.example': [Errno -2] Name or service not known", "no address"),
        ('FATAL:  password authentication failed for user "keeper"', "refuses our user or password"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.3", user "keeper", no encryption', "pg_hba.conf"),
        ('FATAL:  database "Pa55" does not exist', "no database of that name"),
        ("FATAL:  sorry, too many clients already", "too many connections"),
        ("FATAL:  the database system is starting up", "starting up"),
        ("connection timeout expired", "did not answer in time"),
        ("server closed the connection unexpectedly", "the connection broke"),
        ("the connection is closed", "the connection broke"),
        ("consuming input failed: Connection reset by peer", "the connection broke"),
        ("root certificate file does not exist", "no encrypted connection"),
        ("Pa55 in words that nobody has foreseen", "cannot be made, or broke"),
    ],
)
def test_the_kind_of_trouble_is_told(text: str, words: str) -> None:
    """An operator learns what to look for, in words of ours."""
    said = sentence(psycopg.OperationalError(text))
    assert words in said
    assert [secret for secret in SECRETS if secret in said] == []
