from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from fsacd.core.events import LastAgentsKnown
from fsacd.store.last_agents import LastAgents
from tests.store.rig import await_true, execute, quick

pytestmark = pytest.mark.postgres

_CALL = """
    INSERT INTO calls (call_id, queue, outcome, detail, arrived_at, ended_at, waited_ms, talked_ms, agent_id, offers,
        priority, number, name, customer, after)
    VALUES (gen_random_uuid()::text, 'support', %s, '', now(), now() - %s::interval, 0, 0, %s, 1, 0, %s, '', '', '')
"""


@pytest.fixture
def history(with_tables: str) -> str:
    """An empty history."""
    return with_tables


def call(dsn: str, number: str, agent: str | None, ago: str, outcome: str = "answered") -> None:
    execute(dsn, _CALL, outcome, ago, agent, number)


def read(dsn: str, limit: int = 1_000) -> list[tuple[str, str]]:
    """What the engine is told, after the log has said that it is all."""
    told: list[LastAgentsKnown] = []
    with capture_logs() as logs:
        reader = LastAgents(quick(dsn), told.append, limit)
        reader.start()
        await_true(lambda: any("are known from history" in line["event"] for line in logs))
        reader.stop()
    return [pair for fact in told for pair in fact.pairs]


def test_the_last_one_of_each_caller(history: str) -> None:
    """Each caller's last talk counts, and the callers who talked longest ago come first."""
    call(history, "+491", "anna", "3 days")
    call(history, "+491", "ben", "2 days")
    call(history, "+492", "anna", "5 days")
    call(history, "+493", "carl", "1 hour")
    assert read(history) == [("+492", "anna"), ("+491", "ben"), ("+493", "carl")]


def test_only_talks_of_the_last_month_with_a_number(history: str) -> None:
    """Calls without an answer, without a number, or older than 30 days say nothing."""
    call(history, "+491", None, "1 day", "abandoned")
    call(history, "", "anna", "1 day")
    call(history, "+492", "anna", "31 days")
    call(history, "+493", "anna", "29 days")
    assert read(history) == [("+493", "anna")]


def test_a_number_that_was_not_believed_is_nobodys(history: str) -> None:
    """Whoever claimed a number and talked with somebody is not the caller whose number it is."""
    call(history, "+491", "anna", "2 days")
    call(history, "+491", "ben", "1 day")
    execute(history, "UPDATE calls SET number_believed = false WHERE agent_id = 'ben'")
    call(history, "+492", "carl", "1 hour")
    execute(history, "UPDATE calls SET number_believed = true WHERE agent_id = 'carl'")
    assert read(history) == [("+491", "anna"), ("+492", "carl")]


def test_the_newest_are_kept(history: str) -> None:
    """Of more callers than may be remembered the newest are told."""
    for number in range(5):
        call(history, f"+49{number}", "anna", f"{number} hours")
    assert read(history, limit=2) == [("+491", "anna"), ("+490", "anna")]


def test_many_callers(history: str) -> None:
    """A long history is told in facts of a bounded size."""
    execute(
        history,
        "INSERT INTO calls SELECT gen_random_uuid()::text, 'support', 'answered', '', now(), "
        "now() - make_interval(secs => number), 0, 0, 'anna', 1, 0, '+49' || number, '', '', NULL, NULL, '' "
        "FROM generate_series(1, 1234) AS number",
    )
    told: list[LastAgentsKnown] = []
    reader = LastAgents(quick(history), told.append, 10_000)
    reader.start()
    await_true(lambda: sum(len(fact.pairs) for fact in told) == 1234)
    assert max(len(fact.pairs) for fact in told) <= 500
    assert (told[0].pairs[0][0], told[-1].pairs[-1][0]) == ("+491234", "+491")


def test_nobody_is_remembered(history: str) -> None:
    """With a limit of 0 history is not asked."""
    reader = LastAgents(quick(history), lambda fact: pytest.fail("told"), 0)
    reader.start()
    assert not reader._worker.is_started


def test_an_empty_database(database: str) -> None:
    """Where nothing was ever written, nobody is known, and that is no error."""
    assert read(database) == []


def test_the_database_comes_later(postgres_dsn_of_none: str, history: str) -> None:
    """While the database is away it is tried again, with one warning for the outage."""
    call(history, "+491", "anna", "1 day")
    told: list[LastAgentsKnown] = []
    reader = LastAgents(quick(postgres_dsn_of_none), told.append, 10)
    with capture_logs() as logs:
        reader.start()
        await_true(lambda: any(line["log_level"] == "warning" for line in logs))
        assert told == []
        reader._settings = quick(history)
        await_true(lambda: len(logs) == 2)
    assert told == [LastAgentsKnown((("+491", "anna"),))]
    assert [line["log_level"] for line in logs] == ["warning", "info"]
    reader.stop()


def test_a_locked_history_holds_nobody_up(history: str) -> None:
    """A question that waits too long is given up, and asked again."""
    call(history, "+491", "anna", "1 day")
    told: list[LastAgentsKnown] = []
    reader = LastAgents(quick(history, statement_timeout_ms=50), told.append, 10)
    with psycopg.connect(history) as rival, capture_logs() as logs:
        rival.execute("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
        reader.start()
        await_true(lambda: any("statement timeout" in line.get("why", "") for line in logs))
        rival.rollback()
        await_true(lambda: told != [])
    reader.stop()


@pytest.fixture
def postgres_dsn_of_none(tmp_path: Path) -> str:
    """How to reach a database that is not there."""
    return f"host={tmp_path} dbname=none"
