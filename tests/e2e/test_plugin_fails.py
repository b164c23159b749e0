"""A plugin that never ends, on a real switch: it is interrupted, and the caller is served all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig.floor import Floor
from tests.e2e.rig.switch import RealSwitch

ENDLESS = """\
from fsacd.strategy import BaseRankStrategy

API_VERSION = 1


class Strategy(BaseRankStrategy):
    def rank(self, call, candidates, chance):
        while True:
            pass
"""
FAILURES = 'fsacd_strategy_failures_total{plugin="endless",queue="support"}'
SUBSTITUTED = 'fsacd_strategy_substituted{queue="support"}'
SENTENCE = "endless.py: rank() took longer than 20 ms of processor time and was interrupted"


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch) -> Iterator[Floor]:
    plugins = workplace / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "endless.py").write_text(ENDLESS, encoding="utf-8")
    (plugins / "endless.py").chmod(0o644)
    config: dict[str, Any] = {
        "strategy_path": [str(plugins)],
        "limits": {"settle": "100ms", "plugin_retry": "1h", "plugin_retry_most": "1h"},
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {"strategy": "endless"}},
        "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in ("anna", "ben")},
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


def test_the_caller_is_served(floor: Floor) -> None:
    """The first call meets the failure and is rung by longest_idle, the next one meets nothing; it is told once."""
    assert floor.daemon.metrics()[FAILURES] == 0
    for number, agent in (("49301", "anna"), ("49302", "ben")):
        floor.call(number, "support")
        ring = floor.ring(number)
        assert ring.user == agent
        floor.talk(ring)
        floor.hang_up(ring)
        floor.becomes("ready", "anna", "ben")
    assert floor.daemon.metrics()[FAILURES] == 1
    assert floor.daemon.metrics()[SUBSTITUTED] == 1
    assert floor.daemon.log.read_text(encoding="utf-8").count(SENTENCE) == 1
