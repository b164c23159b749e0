"""What the tests of the store share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import psycopg

from fsacd.store.settings import StoreSettings


def quick(dsn: str, statement_timeout_ms: int = 1_000) -> StoreSettings:
    """Settings that try again at once."""
    return StoreSettings(dsn, retry_min_ms=10, retry_max_ms=50, statement_timeout_ms=statement_timeout_ms)


def execute(dsn: str, statement: str, *values: Any) -> None:
    """One statement in a transaction of its own."""
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode(), values)


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def await_true(condition: Callable[[], bool], deadline_s: float = 120.0) -> None:
    """Wait for it, and fail when it does not come true."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the awaited condition did not come true"
        gevent.sleep(0.01)
