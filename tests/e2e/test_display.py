"""What an agent's phone shows of a caller, on a real phone."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch


def test_a_phone_shows_what_its_queue_says(workplace: Path, switch: RealSwitch) -> None:
    """The template is filled in, without the colon, at which FreeSWITCH cuts names; the number stays the caller's."""
    config = {
        "queues": {"support": {"agent_display": "{queue}: {customer or number}"}},
        "agents": {"1001": {"queues": ["support"], "login_at_start": True}},
        "customers": {"4930222": {"name": "Miller Ltd"}},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    try:
        floor.call("4930111", "support")
        assert floor.ring("4930111").far.startswith('"support 4930111" <sip:4930111@')
        floor.gives_up("4930111")
        floor.call("4930222", "support")
        assert floor.ring("4930222").far.startswith('"support Miller Ltd" <sip:4930222@')
    finally:
        floor.stop()
