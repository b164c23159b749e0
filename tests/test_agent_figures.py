"""Figures by agent are switched off by a reload: in explanations, in the log, and in the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from fsacd.core import events as e
from fsacd.core.views import Explanation
from fsacd.daemon.main import Daemon
from fsacd.daemon.plugging import read
from fsacd.daemon.telling import log_records
from fsacd.log import setup as logs
from tests.reloaded import Reloaded
from tests.store.records import CALL
from tests.store.rig import await_true, rows


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Reloaded]:
    """A daemon, of which the engine alone runs."""
    yield Reloaded(tmp_path)
    logs.show_agents(True)


def explained(daemon: Daemon) -> Explanation:
    return daemon.explain("anna")[0]


def kept(daemon: Daemon) -> Explanation | None:
    """What history gets to keep."""
    parts = daemon.runtime.explain_decision(1)
    assert parts is not None
    while True:
        try:
            next(parts)
        except StopIteration as done:
            found: Explanation | None = done.value
            return found


def logged() -> list[Any]:
    with capture_logs() as lines:
        log_records([CALL])
    return [line["agent"] for line in lines]


def test_a_reload_applies_it(one: Reloaded) -> None:
    """Who was chosen and why is told all the same, and what an agent does now: nobody could work without."""
    daemon = one.daemon
    daemon._parts.begin()
    daemon.runtime.post(e.SwitchConnected("fs1"))
    daemon.runtime.post(e.AgentLoggedIn("1001", "test"))
    one.calls()
    assert explained(daemon).eligible[0].key
    assert logged() == ["anna"]
    one.reload(agent_figures=False)
    without = explained(daemon)
    assert (without.chosen, without.eligible[0].agent_id, without.eligible[0].key) == ("1001", "1001", ())
    assert kept(daemon) == without
    assert logged() == [None]
    assert [agent.presence for agent in daemon.runtime.snapshot().agents] == ["ready"]
    one.reload(agent_figures=True)
    assert explained(daemon).eligible[0].key
    assert kept(daemon) == explained(daemon)
    assert logged() == ["anna"]


@pytest.mark.postgres
def test_the_database_is_told(tmp_path: Path, database: str) -> None:
    """At the start and by a reload."""
    one = Reloaded(tmp_path)
    store: dict[str, Any] = {"store": {"dsn": database}}
    one.write(agent_figures=False, **store)
    daemon = one.daemon = Daemon(one.file, read(one.file))
    daemon._parts.begin()
    assert daemon._history is not None
    daemon._history.start()
    try:
        for on in (False, True, False):
            await_true(lambda on=on: _is_told(database, on))  # type: ignore[misc]
            one.reload(agent_figures=not on, **store)
    finally:
        daemon._history.stop()
        logs.show_agents(True)


def _is_told(dsn: str, on: bool) -> bool:
    there = rows(dsn, "SELECT to_regclass('reporting') IS NOT NULL") == [(True,)]
    return there and rows(dsn, "SELECT agent_figures FROM reporting") == [(on,)]
