"""How soon the database is tried again: ever later while it is away, and soon again after a success."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.store.postgres import Store
from fsacd.store.retries import Retries
from fsacd.store.settings import StoreSettings

SETTINGS = StoreSettings("host=/nowhere", retry_min_ms=200, retry_max_ms=1_000)
AWAY = psycopg.OperationalError("connection refused")


class Dice:
    """The longest pause of those that may be."""

    def uniform(self, _least: float, most: float) -> float:
        return most


# --- a part that reads or deletes -----------------------------------------------------------------------------------


@pytest.fixture(name="slept")
def _slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("fsacd.store.retries.gevent.sleep", slept.append)
    return slept


@pytest.fixture
def part() -> Retries:
    part = Retries("customers", "customers cannot be read", SETTINGS)
    part._dice = Dice()  # type: ignore[assignment]
    return part


def test_pauses_double_up_to_the_longest(part: Retries, slept: list[float]) -> None:
    """Each failure in a row is followed by a pause twice as long."""
    for _ in range(5):
        part.failed(AWAY)
    assert slept == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_success_begins_anew(part: Retries, slept: list[float]) -> None:
    """A short outage in the evening does not wait as long as the one of the morning came to wait."""
    for _ in range(5):
        part.failed(AWAY)
    part.succeeded()
    slept.clear()
    part.failed(AWAY)
    part.failed(AWAY)
    assert slept == [0.2, 0.4]


def test_each_outage_is_told_once(part: Retries, slept: list[float]) -> None:
    """One line for all tries of an outage, and one for the next."""
    with capture_logs() as logs:
        part.failed(AWAY)
        part.failed(AWAY)
        part.succeeded()
        part.failed(AWAY)
    assert [line["event"] for line in logs] == ["customers cannot be read; it is tried again"] * 2
    assert len(slept) == 3


# --- history ---------------------------------------------------------------------------------------------------------


def _pauses(monkeypatch: pytest.MonkeyPatch, tries: str) -> list[float]:
    """The pause before each try: `a` finds the database away, `f` fails after the connection, `w` after a write."""
    store, pauses = Store(SETTINGS, lambda at_ms: at_ms), list[float]()
    store._dice = Dice()  # type: ignore[assignment]
    left: Iterator[str] = iter(tries)
    now = [""]

    def rest(seconds: float) -> None:
        now[0] = next(left, "")
        if not now[0]:
            raise gevent.GreenletExit
        pauses.append(seconds)

    def connect() -> None:
        if now[0] == "a":
            raise AWAY

    def await_rows() -> None:
        raise AWAY

    monkeypatch.setattr(store, "_rest", rest)
    monkeypatch.setattr(store, "_connect", connect)
    monkeypatch.setattr(store, "_write_next", lambda: now[0] == "w")
    monkeypatch.setattr(store, "_await_rows", await_rows)
    monkeypatch.setattr(store, "_lose", lambda _error: None)
    with pytest.raises(gevent.GreenletExit):
        store._run()
    return pauses


def test_history_waits_ever_longer_and_no_longer_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try is at once."""
    assert _pauses(monkeypatch, "aaaaaa") == [0.0, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_row_that_was_written_lets_history_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that took something works: the next outage is another one."""
    assert _pauses(monkeypatch, "aaaawaa") == [0.0, 0.2, 0.4, 0.8, 1.0, 0.2, 0.4]


def test_a_connection_alone_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that accepts connections and fails each write is away still."""
    assert _pauses(monkeypatch, "aaffff") == [0.0, 0.2, 0.4, 0.8, 1.0, 1.0]
