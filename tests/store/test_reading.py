from __future__ import annotations

import json
from pathlib import Path

import gevent
import psycopg
import pytest

from fsacd.core.records import DecisionMade
from fsacd.errors import Unavailable
from fsacd.store.postgres import Store
from fsacd.store.reading import History
from fsacd.store.rows import decision
from tests.store.rig import await_true, quick

pytestmark = pytest.mark.postgres


def put(dsn: str, *decisions: DecisionMade) -> None:
    """Write decisions as the daemon does."""
    store = Store(quick(dsn), lambda ms: 1_700_000_000_000 + ms)
    store.start()
    store.put_rows([
        decision(made, json.dumps({"decision": made.number}).encode(), lambda ms: 1_700_000_000_000 + ms)
        for made in decisions
    ])  # fmt: skip
    await_true(lambda: store.state().written == len(decisions))
    store.stop()


def made(number: int, call_id: str = "c1", at_ms: int | None = None) -> DecisionMade:
    return DecisionMade(number, call_id, "support", "anna", f"{call_id}-{number}", number if at_ms is None else at_ms)


def test_explanations_of_one_call(database: str) -> None:
    """A call's decisions come back as they were written, the oldest first, and no other call's."""
    put(database, made(3), made(1), made(2, "c2"), made(4, at_ms=3))
    assert History(quick(database)).explanations("c1", 10) == [{"decision": 1}, {"decision": 3}, {"decision": 4}]


def test_the_latest_explanations(database: str) -> None:
    """Of more than are wanted the latest come."""
    put(database, *(made(number) for number in range(5)))
    assert History(quick(database)).explanations("c1", 2) == [{"decision": 3}, {"decision": 4}]


def test_before_anything_was_written(database: str) -> None:
    """A database without our tables knows of no decision."""
    assert History(quick(database)).explanations("c1", 2) == []


def test_no_database(tmp_path: Path) -> None:
    """When the database is down the sentence says so."""
    with pytest.raises(Unavailable, match=r"the database cannot be asked: nothing listens there"):
        History(quick(f"host={tmp_path} dbname=none")).explanations("c1", 2)


def test_patience(database: str) -> None:
    """A locked table, and a crowd of questions before it, end in time with a sentence, and the next one is answered."""
    put(database, made(1))
    history = History(quick(database), patience_ms=300)
    with psycopg.connect(database) as rival:
        rival.execute("LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE")
        asked = [gevent.spawn(_answer, history) for _ in range(12)]
        gevent.joinall(asked, timeout=50, raise_error=True)
        assert {job.value for job in asked} <= {
            "the database did not answer within 300 ms",
            "the database cannot be asked: canceling statement due to statement timeout",
        }
    # Its patience is short, and the machine may be busy.
    while (answer := _answer(history)) == "the database did not answer within 300 ms":
        pass
    assert answer == "[{'decision': 1}]"


def _answer(history: History) -> str:
    try:
        return str(history.explanations("c1", 2))
    except Unavailable as error:
        return str(error)
