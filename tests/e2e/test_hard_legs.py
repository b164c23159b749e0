"""The sequences that the machine over legs found hardest, on a real switch: the calls end as on the simulated one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fsacd.core.records import CallOutcome
from tests.e2e.desk import Desk
from tests.e2e.rig.floor import Floor
from tests.e2e.rig.legs import RealLegs
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import DOMAIN, RealSwitch
from tests.legs.hard import HARD
from tests.legs.stage import Stage

# On a real switch these hang on less than the time that its answers take.
_TOO_QUICK = {
    "a place is handed on before it is taken",
    "a whole talk while the link is down, and handed on",
    "picked up while an agent answers, and on to another phone",
}


@pytest.fixture
def several(workplace: Path) -> Iterator[RealSwitch]:
    """A switch on which a user may register several devices."""
    real = RealSwitch(workplace / "freeswitch", ("1001", "1003"), several_registrations=True)
    real.start()
    yield real
    real.stop()


def simulated_ends(name: str) -> list[tuple[str, str]]:
    """How the calls of a sequence end on the simulated switch."""
    stage = Stage()
    try:
        stage.play(HARD[name])
        stage.finish()
        assert stage.judge.faults == []
        rows = [stage.judge._stands(call_id) for call_id in stage.judge._rows]
        return sorted((row.outcome, row.detail if row.outcome is CallOutcome.LEFT else "") for row in rows if row)
    finally:
        stage.close()


@pytest.mark.parametrize("name", [name for name in HARD if name not in _TOO_QUICK])
def test_the_hardest_end_as_on_the_simulated_switch(workplace: Path, several: RealSwitch, name: str) -> None:
    """Each deed in its turn; each call has one end, and the same one."""
    expected = simulated_ends(name)
    other = Telephones(several.trunk_port)
    contacts = {agent: f"user/{agent}@{DOMAIN}" for agent in ("1001", "1003")}
    common = {"queues": ["support", "sales"], "login_at_start": True}
    config = {
        "lease": "1h",
        "defaults": {"wrap_up": "0s", "ring_timeout": "60s"},
        "queues": {"support": {}, "sales": {}},
        "agents": {},
        "journal": {"directory": str(workplace / "journal")},
    }
    floor = Floor(workplace, several, config)
    second = f"[leg_timeout=20]sofia/trunk/1002b@127.0.0.1:{other.port}"
    first = f"[leg_timeout=20]sofia/trunk/1002@127.0.0.1:{floor.phones.port}"
    contacts["1002"] = f"{first}|{second}"
    # They log in in this order: who does so a millisecond earlier, as on a busy machine, is rung earlier.
    floor.daemon.config["agents"] = {agent: {**common, "contact": to} for agent, to in sorted(contacts.items())}
    legs = RealLegs(
        floor,
        {
            "1001a": (floor.phones, "1001"),
            "1001b": (other, "1001"),
            "1002a": (floor.phones, "1002"),
            "1002b": (other, "1002b"),
            "1003a": (floor.phones, "1003"),
        },
    )
    try:
        for user, port in (("1001", floor.phones.port), ("1001", other.port), ("1003", floor.phones.port)):
            Desk(several, workplace).register([user], port)
        floor.start()
        legs.play(HARD[name])
        legs.finish()
        assert legs.ends(len(expected)) == expected
    finally:
        floor.stop()
        other.stop()
