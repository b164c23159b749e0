"""How legs sounded, as a real switch measures it: of an agent whose packets are lost, and of callers if wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.e2e.rig.voice import Voice

CALLER, ANNA = "4930111", "1001"
SOON_S = 30.0
# The switch needs some hundred packets before it counts what is lost. It passes over some when it is behind.
SPOKEN = 600


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch, database: str, request: pytest.FixtureRequest) -> Iterator[Floor]:
    """Anna serves support."""
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {}},
        "agents": {ANNA: {"queues": ["support"], "login_at_start": True}},
        "store": {"dsn": database},
    }
    floor = Floor(workplace, switch, config)
    floor.daemon.config["switches"] = {"fs1": {**floor.daemon.switch, "measure_callers": request.param}}
    floor.start()
    yield floor
    floor.stop()


def measured(database: str) -> dict[str, tuple[int, int, int]]:
    """By whose leg it was: MOS, packets and flaws."""
    with psycopg.connect(database) as connection:
        if connection.execute("SELECT to_regclass('v_talk_quality')").fetchone() == (None,):
            return {}  # the daemon is still making the tables
        found = connection.execute("SELECT who, mos, packets, flaws FROM leg_quality").fetchall()
    return {who: (mos, packets, flaws) for who, mos, packets, flaws in found}


@pytest.mark.parametrize("floor", [False, True], indirect=True)
def test_who_speaks_is_measured(floor: Floor, database: str, request: pytest.FixtureRequest) -> None:
    """Every tenth packet of anna's phone is lost; the caller's come all, and count only if that is wanted."""
    caller = floor.call(CALLER, "support")
    ring = floor.ring(CALLER)
    floor.talk(ring)
    anna, callers = Voice(ring, loses=10), Voice(caller)
    await_true(lambda: min(anna.sent, callers.sent) >= SPOKEN, SOON_S, "both have spoken")
    floor.phones.hang_up(CALLER)
    wants_callers = floor.daemon.config["switches"]["fs1"]["measure_callers"]
    await_true(lambda: len(measured(database)) == 1 + wants_callers, SOON_S, "history has heard of it")
    anna.stop()
    callers.stop()
    legs = measured(database)
    mos, packets, flaws = legs["agent"]
    assert packets > SPOKEN / 4, legs
    assert flaws >= 3, legs
    assert 100 <= mos < 445, legs
    assert ("caller" in legs) is wants_callers
    if wants_callers:
        mos, packets, _ = legs["caller"]
        assert packets > SPOKEN / 4, legs
        assert mos > legs["agent"][0], legs
