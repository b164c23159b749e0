"""Figures by agent are switched off: what reports, exports and explanations of history give then, and what goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from fsacd.core.log_in import HowBegun, HowEnded, LogIn
from fsacd.core.records import AgentPresence, AgentWorkEnded, LegMeasured, WrapUpEnded
from fsacd.store import lines
from fsacd.store.figures import LEFT_OUT, document_without_counters, without_agents
from fsacd.store.last_agents import LastAgents
from fsacd.store.reporting import Reporting
from fsacd.store.rows import row
from tests.store.records import CALL, CHANGE, OFFER, wall
from tests.store.rig import await_true, execute, quick, rows
from tests.store.test_talks import FIRST as TALK
from tests.store.test_talks import SECOND as NEXT_TALK
from tests.store.test_visits import FIRST as VISIT
from tests.store.test_visits import SECOND as NEXT_VISIT
from tests.store.test_visits import as_role, write

pytestmark = pytest.mark.postgres
AGENTS = ("anna", "ben")
LOG_IN = LogIn(
    "l1", "anna", "user/anna", (), 1_000, HowBegun.LOGGED_IN, "phone:anna", 9_000, HowEnded.MOVED, "phone:ben"
)
RECORDS = (
    CALL,
    OFFER,
    VISIT,
    replace(NEXT_VISIT, detail="asked by phone:anna", agent_id="anna"),
    TALK,
    NEXT_TALK,
    replace(TALK, offer_id="o3", to="queue sales"),
    LegMeasured("leg", "agent", "o1", "c1", 61_000, 440, 1_000, 3, 4),
    AgentWorkEnded("anna", "talking", "", 1_000, 61_000, "phone:anna", "o1", "c1", "support", "voice", 100),
    AgentPresence("anna", "ready", "", 1_000, 61_000, "phone:anna"),
    LOG_IN,
    WrapUpEnded("o1", "anna", "c1", "support", "K-7", 61_000, 62_000, ("sale",), "ben knows", "phone:anna", "+491", 0),
    CHANGE,
    replace(CHANGE, kind="agent_ready_for", subject="anna", by="phone:anna"),
)


@contextmanager
def told(dsn: str) -> Iterator[Reporting]:
    with closing(_Closing(quick(dsn))) as reporting:
        reporting.start()
        yield reporting


class _Closing(Reporting):
    def close(self) -> None:
        self.stop()


def shown(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """What each view shows that reports may read."""
    with as_role(dsn, "fsacd_report") as connection:
        views = connection.execute("SELECT viewname FROM pg_views WHERE viewname LIKE 'v\\_%' ORDER BY 1").fetchall()
        return {name: connection.execute(f"SELECT * FROM {name}".encode()).fetchall() for (name,) in views}


def named(found: object) -> list[str]:
    """Which agents are named in it."""
    return [agent for agent in AGENTS if agent in repr(found)]


def switch(dsn: str, reporting: Reporting, *, on: bool) -> None:
    reporting.show_agents(on)
    await_true(lambda: rows(dsn, "SELECT to_regclass('reporting') IS NOT NULL") == [(True,)])
    await_true(lambda: rows(dsn, "SELECT agent_figures FROM reporting") == [(on,)])


def test_no_view_names_an_agent(database: str) -> None:
    """Whatever views there are; what they show of calls stays. Switched on again, all is as it was."""
    write(database, *RECORDS)
    before = shown(database)
    assert all(named(found) for found in before.values()), "each view is about agents, and has rows here"
    with told(database) as reporting:
        switch(database, reporting, on=False)
        without = shown(database)
        assert named(without) == []
        assert without.pop("v_log_ins") == []
        assert {name: len(found) for name, found in without.items()} == {name: len(before[name]) for name in without}
        to = rows(database, "SELECT transferred_to FROM v_talks ORDER BY offer_id")
        assert to == [("an agent",), ("",), ("queue sales",)]
        switch(database, reporting, on=True)
    assert shown(database) == before


def test_a_database_that_is_away_is_told_when_it_is_back(database: str) -> None:
    """What is written first is there when its tables are made; what fails is tried again."""
    with capture_logs() as logs, told(database) as reporting:
        switch(database, reporting, on=True)
        execute(database, "ALTER TABLE reporting RENAME TO away")
        reporting.show_agents(False)
        await_true(lambda: any("tried again" in line["event"] for line in logs))
        execute(database, "ALTER TABLE away RENAME TO reporting")
        await_true(lambda: rows(database, "SELECT agent_figures FROM reporting") == [(False,)])


def test_rows_of_an_export_name_no_agent(database: str) -> None:
    """Of every table that a span of time is exported of; those about agents alone are left out whole."""
    del database
    for record in RECORDS:
        made = row(record, wall)
        assert made is not None
        table, fields = made.table.name, made.fields()
        if table not in LEFT_OUT:
            assert named(without_agents(table, fields)) == [], table
            assert without_agents(table, fields).keys() == fields.keys()
    decision = {"offer_id": "o1", "agent_id": "anna", "explanation": {"chosen": "anna"}}
    assert without_agents("decisions", decision) == {"offer_id": "o1", "agent_id": None, "explanation": None}
    of_agents = {name for name, columns in lines.CURRENT.items() if "agent_id" in columns and "call_id" not in columns}
    assert {name.removesuffix("_before") for name in of_agents} == set(LEFT_OUT)


def test_an_explanation_of_history_tells_no_counters() -> None:
    """Who was eligible stays; a form that nobody knows here has no counters either."""
    eligible = {"agent": "anna", "rank": 1, "key": [123.0]}
    assert document_without_counters({"chosen": "anna", "eligible": [eligible]}) == {
        "chosen": "anna",
        "eligible": [{"agent": "anna", "rank": 1, "key": []}],
    }
    for strange in (None, [1], "anna"):
        assert document_without_counters({"eligible": strange}) == {"eligible": None}


def test_whom_a_caller_talked_with_is_still_known(database: str) -> None:
    """The memory for sticky agents reads the table, not the views."""
    known: list[object] = []
    write(database, replace(CALL, number_believed=True, ended_ms=wall(0)))
    with told(database) as reporting:
        switch(database, reporting, on=False)
    found = LastAgents(quick(database), known.append, 100, key_of=lambda number: number)
    found.start()
    await_true(lambda: bool(known))
    found.stop()
    assert "anna" in repr(known)
