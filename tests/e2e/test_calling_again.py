"""A caller who hangs up while they wait and calls again, on a real switch: they get their old place back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true

NUMBER, OTHER = "4930111", "4930222"


def position(floor: Floor, number: str) -> int:
    """The caller's position in the queue."""
    return int(floor.call_of(number)["position"])


def history(database: str, resumes: str) -> list[tuple[Any, ...]]:
    """The outcome of the call that got this one's place."""
    with psycopg.connect(database) as connection:
        query = "SELECT number, outcome FROM calls WHERE resumes = %s"
        return connection.execute(query, (resumes,)).fetchall()


def test_who_calls_again_has_their_old_place(workplace: Path, switch: RealSwitch, database: str) -> None:
    """Also where the daemon was killed meanwhile, and once alone; the phone rings for them first."""
    config = {
        "queues": {"support": {"abandoned_resume": "10m"}},
        "agents": {"1001": {"queues": ["support"]}},
        "journal": {"directory": str(workplace / "journal")},
        "store": {"dsn": database},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    try:
        floor.call(NUMBER, "support")
        first = floor.call_of(NUMBER)["id"]
        floor.call(OTHER, "support")
        await_true(lambda: position(floor, OTHER) == 2, 10, "the other one waits behind them")
        floor.gives_up(NUMBER)
        await_true(lambda: position(floor, OTHER) == 1, 10, "they have gone")
        floor.daemon.kill()
        floor.daemon.start()
        floor.call(NUMBER, "support")
        again = floor.call_of(NUMBER)
        assert (again["position"], again["resumes"], again["waited_seconds"] < 60) == (1, first, True)
        await_true(lambda: position(floor, OTHER) == 2, 10, "the other one waits behind them again")
        floor.daemon.post("agents/1001/login")
        ring = floor.ring(NUMBER)
        assert floor.rings_for(OTHER) == []
        floor.talk(ring)
        floor.hang_up(ring)
        await_true(lambda: history(database, first) == [(NUMBER, "answered")], 30, "history tells of it")
    finally:
        floor.stop()
