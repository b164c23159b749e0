"""The database is frozen while calls come: all are served, whoever looks is told, and afterwards each has one row."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fsacd.store.embedded import EmbeddedPostgres
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.postgres import freeze, thaw

RATE = 10
BEFORE_S, AWAY_S, AFTER_S = 4, 15, 4
CALLERS = [Caller(f"4930{number:05}", "queue-support") for number in range(RATE * (BEFORE_S + AWAY_S + AFTER_S))]


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A database of the test's own."""
    with tempfile.TemporaryDirectory(prefix="fsacd-pg-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place) / "pg", durable=False) as running:
            yield running


@pytest.fixture
def daemon(workplace: Path, switch: RealSwitch, server: EmbeddedPostgres) -> Iterator[Daemon]:
    agents = phones.run_punctual_agents(workplace / "agents", 300, 2_000, 9)
    config = {
        "store": {
            "dsn": server.dsn,
            "statement_timeout": "2s",  # so that it is noticed early in the test
            "spool": {"directory": str(workplace / "spool")},
        },
        "log": {"level": "info", "format": "json"},
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {}},
        "agents": {
            str(number): {
                "contact": f"sofia/trunk/{number}@127.0.0.1:{agents.port}",
                "queues": ["support"],
                "login_at_start": True,
            }
            for number in range(1001, 1051)
        },
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    yield daemon
    daemon.stop()
    agents.stop()


def outcomes(dsn: str) -> list[tuple[str, str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT number, outcome FROM calls").fetchall()


def said(daemon: Daemon, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_frozen_for_a_while(workplace: Path, switch: RealSwitch, server: EmbeddedPostgres, daemon: Daemon) -> None:
    """Calls go on as if nothing were, and nothing of them is missing or doubled afterwards."""
    dsn = server.dsn
    callers = phones.run_callers(workplace / "callers", CALLERS, switch.trunk_port, RATE)
    await_true(lambda: len(outcomes(dsn)) >= RATE, 20, "the first calls have their rows")
    frozen = freeze(server)
    until = time.monotonic() + AWAY_S
    try:
        await_true(lambda: said(daemon, "the database is away; history waits"), AWAY_S, "the log says so, in one line")
        await_true(lambda: time.monotonic() > until, AWAY_S + 1, "the time has passed")
        store, metrics = daemon.get("status")["store"], daemon.metrics()
        assert not store["connected"]
        assert store["queued"] > RATE * AWAY_S / 2
        assert store["detail"]
        assert metrics["fsacd_store_up"] == 0
        assert metrics["fsacd_store_queued_rows"] >= store["queued"]
        assert metrics["fsacd_store_spool_bytes"] > 0
        assert daemon.is_ready(), "calls are served all the same"
    finally:
        thaw(frozen)
    callers.wait(60)
    await_true(lambda: len(outcomes(dsn)) >= len(CALLERS), 60, "every call has its row")
    await_true(lambda: daemon.get("status")["store"]["queued"] == 0, 30, "nothing waits any more")
    assert Counter(outcomes(dsn)) == Counter((caller.number, "answered") for caller in CALLERS)
    metrics = daemon.metrics()
    lost = {name: metrics[f"fsacd_store_{name}_total"] for name in ("dropped_rows", "refused_rows", "unspooled_rows")}
    assert set(lost.values()) == {0.0}, lost
    assert metrics["fsacd_store_up"] == 1
    assert len(said(daemon, "the database is away; history waits")) == 1
