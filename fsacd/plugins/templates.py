"""What `fsacd strategy new` writes: a plugin that works, and its test. NAME stands for the plugin's name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_KEY: Final = '''"""NAME: the agent with the fewest skills rings first, so that those who know more stay free.

Of two who know as many, the longer idle one rings first. `most` is how many skills are counted at most.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Fewest skills first, then longest idle."""

    def __init__(self, *, most: int = 10) -> None:
        if most < 1:
            raise ValueError("most must be 1 or more")
        self._most = most

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """Smaller rings first."""
        return (min(len(agent.skills), self._most), agent.idle_since_ms)
'''

_KEY_TEST: Final = '''"""What NAME promises."""

from __future__ import annotations

from pathlib import Path

from fsacd.contract import candidate, check_strategy, ring_order

PLUGIN = Path(__file__).with_name("NAME.py")

ANNA = candidate("anna", idle_since_ms=1_000, skills={"english": 5, "french": 8})
BEN = candidate("ben", idle_since_ms=3_000, skills={"english": 5})
CARA = candidate("cara", idle_since_ms=2_000, skills={"english": 9})


def test_it_keeps_the_contract() -> None:
    """The daemon would load it, and it is as pure as it must be."""
    assert check_strategy(PLUGIN) == []


def test_who_knows_least_rings_first() -> None:
    """Fewest skills, then longest idle."""
    assert ring_order(PLUGIN, [ANNA, BEN, CARA]) == ["cara", "ben", "anna"]


def test_a_parameter_as_the_configuration_gives_it() -> None:
    """With `most: 1` everybody counts alike, and the longest idle one rings first."""
    assert ring_order(PLUGIN, [ANNA, BEN, CARA], parameters={"most": "1"}) == ["anna", "cara", "ben"]
'''

_RANK: Final = '''"""NAME: of the two longest idle agents chance decides who rings; the others follow in their turn."""

from __future__ import annotations

from collections.abc import Sequence

from fsacd.strategy import BaseRankStrategy, CallFacts, Candidate, Chance

API_VERSION = 1


class Strategy(BaseRankStrategy):
    """Chance between the first two."""

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """All candidates, the first to be rung first. They come longest idle first."""
        ids = [candidate.agent.agent_id for candidate in candidates]
        if chance.random() < 0.5:
            ids[:2] = reversed(ids[:2])
        return ids
'''

_RANK_TEST: Final = '''"""What NAME promises."""

from __future__ import annotations

from pathlib import Path

from fsacd.contract import candidate, check_strategy, ring_order

PLUGIN = Path(__file__).with_name("NAME.py")

# As the daemon gives them: longest idle first.
AGENTS = [candidate("anna", idle_since_ms=1_000), candidate("ben", idle_since_ms=2_000), candidate("cara")]


def test_it_keeps_the_contract() -> None:
    """The daemon would load it, and it is as pure as it must be."""
    assert check_strategy(PLUGIN) == []


def test_chance_decides_between_the_first_two() -> None:
    """Either of them comes first now and then, and the third is always last."""
    orders = {tuple(ring_order(PLUGIN, AGENTS, chance=seed)) for seed in range(20)}
    assert orders == {("anna", "ben", "cara"), ("ben", "anna", "cara")}
'''

_CALL_ORDER: Final = '''"""NAME, a call order: calls of known customers first, then who has waited longest.

The priority class goes before everything, as it does without a call order.
"""

from __future__ import annotations

from fsacd.strategy import CallFacts, Key

API_VERSION = 1


class CallOrder:
    """Class, then known customers, then virtual arrival."""

    def key(self, call: CallFacts) -> Key:
        """Smaller goes first."""
        return (-call.priority, 0 if call.customer else 1, call.arrived_ms - call.head_start_ms)
'''

_CALL_ORDER_TEST: Final = '''"""What NAME promises."""

from __future__ import annotations

from pathlib import Path

from fsacd.contract import call, call_order, check_strategy

PLUGIN = Path(__file__).with_name("NAME.py")


def test_it_keeps_the_contract() -> None:
    """The daemon would load it, and it is as pure as it must be."""
    assert check_strategy(PLUGIN) == []


def test_a_known_customer_overtakes_within_his_class() -> None:
    """Class before customer before arrival."""
    calls = [
        call("stranger", arrived_ms=1_000),
        call("customer", arrived_ms=2_000, customer="acme"),
        call("urgent", arrived_ms=3_000, priority=1),
    ]
    assert call_order(PLUGIN, calls) == ["urgent", "customer", "stranger"]
'''

# By what is written: the plugin and its test.
TEMPLATES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"key": (_KEY, _KEY_TEST), "rank": (_RANK, _RANK_TEST), "call_order": (_CALL_ORDER, _CALL_ORDER_TEST)}
)
