"""Plugins for stories: all that are shipped, and three that break as the guard tells of it."""

from __future__ import annotations

from collections.abc import Sequence

from fsacd.core.match.plugins import PluginFailed
from fsacd.core.rules import Parameters
from fsacd.plugins import shipped
from fsacd.strategy import (
    AgentFacts,
    BaseKeyStrategy,
    BaseRankStrategy,
    CallFacts,
    CallOrder,
    Candidate,
    Chance,
    Key,
    ServiceFacts,
    SkillLevels,
    Strategy,
)


class _Fuse:
    """Raises, as the guard would, whenever the plugin is asked about the agent or call `at`."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        self._name = name
        self._at = str(dict(parameters)["at"])

    def burn(self, asked_about: str) -> None:
        if asked_about == self._at:
            raise PluginFailed(f"strategies/{self._name}.py: raised ZeroDivisionError: division by zero")


class BreakingKey(BaseKeyStrategy):
    """Rings the highest place first, until it breaks."""

    def __init__(self, fuse: _Fuse) -> None:
        self._fuse = fuse

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The last of the list first."""
        self._fuse.burn(agent.agent_id)
        return (-service.place,)


class BreakingRank(BaseRankStrategy):
    """Rings the shortest idle first, until it breaks."""

    def __init__(self, fuse: _Fuse) -> None:
        self._fuse = fuse

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """The usual order, upside down."""
        self._fuse.burn(call.call_id)
        return [candidate.agent.agent_id for candidate in reversed(candidates)]


class BreakingOrder:
    """The latest call first, until it breaks."""

    def __init__(self, fuse: _Fuse) -> None:
        self._fuse = fuse

    def key(self, call: CallFacts) -> Key:
        """Later goes first."""
        self._fuse.burn(call.call_id)
        return (-call.arrived_ms,)


class _Plugins:
    def __init__(self) -> None:
        self._shipped = shipped()

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        match name:
            case "breaking_key":
                return BreakingKey(_Fuse(name, parameters))
            case "breaking_rank":
                return BreakingRank(_Fuse(name, parameters))
            case _:
                return self._shipped.strategy(name, parameters)

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        if name == "breaking_order":
            return BreakingOrder(_Fuse(name, parameters))
        return self._shipped.call_order(name, parameters)


PLUGINS = _Plugins()
