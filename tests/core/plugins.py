"""The shipped strategies as the engine gets them in these tests: watched, and beside them two that break now and then.

What breaks does so by its arguments alone, so that a journal replays.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fsacd.core.match.plugins import PluginError, PluginFailed
from fsacd.core.rules import Parameters
from fsacd.strategy import (
    AgentFacts,
    BaseKeyStrategy,
    BaseRankStrategy,
    CallFacts,
    CallOrder,
    Candidate,
    Chance,
    Key,
    RankStrategy,
    ServiceFacts,
    SkillLevels,
    Strategy,
)

FRAGILE = "fragile"
FRAGILE_ORDER = "fragile_order"

# Every so many milliseconds an agent has become idle at a bad moment.
BAD_MOMENT = 7


@dataclass(frozen=True)
class Shown:
    """What a strategy that throws its die was shown, and what it answered."""

    call: CallFacts
    candidates: tuple[Candidate, ...]
    answer: tuple[str, ...]


class Watched(BaseRankStrategy):
    """A rank strategy that tells what it was asked."""

    def __init__(self, inner: RankStrategy, given: list[Shown]) -> None:
        self.ring = inner.ring
        self._inner = inner
        self._given = given

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """The inner strategy's answer, noted."""
        answer = tuple(self._inner.rank(call, candidates, chance))
        self._given.append(Shown(call, tuple(candidates), answer))
        return answer


class Fragile(BaseKeyStrategy):
    """Orders by the agent's place, from the end; breaks for agents who became idle at a bad moment."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The place, the last one first."""
        if agent.idle_since_ms % BAD_MOMENT == BAD_MOMENT - 1:
            raise PluginFailed("fragile broke, as it does")
        return (-service.place,)


class FragileOrder:
    """Orders calls as they came; breaks for those that came at a bad moment."""

    def key(self, call: CallFacts) -> Key:
        """When it came."""
        if call.arrived_ms % BAD_MOMENT == BAD_MOMENT - 1:
            raise PluginFailed("fragile_order broke, as it does")
        return (call.arrived_ms,)


@dataclass
class TestPlugins:
    """Makes plugins; `given` is what the strategies that throw their die were shown since it was emptied last."""

    __test__ = False  # to pytest it is no test
    given: list[Shown] = field(default_factory=list)

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """A shipped strategy, watched; or the fragile one."""
        if name == FRAGILE:
            return Fragile()
        made: Any = _make("Strategy", name, parameters)
        strategy: Strategy = Watched(made, self.given) if hasattr(made, "rank") else made
        return strategy

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """A shipped call order, or the fragile one."""
        if name == FRAGILE_ORDER:
            return FragileOrder()
        made: CallOrder = _make("CallOrder", name, parameters)
        return made


def _make(kind: str, name: str, parameters: Parameters) -> Any:
    try:
        plugin = getattr(importlib.import_module(f"strategies.{name}"), kind)
    except (ModuleNotFoundError, AttributeError) as error:
        raise PluginError(f"there is no {kind} {name!r}") from error
    return plugin(**dict(parameters))
