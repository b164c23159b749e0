"""A strategy that fails at its nth call, as one does that took too long: a replay cannot tell by what it is asked."""

from __future__ import annotations

from fsacd.core.match.plugins import PluginFailed
from fsacd.core.rules import Parameters
from fsacd.strategy import AgentFacts, BaseKeyStrategy, CallOrder, Key, ServiceFacts, SkillLevels, Strategy
from fsacd.testing import PLUGINS


class Tired(BaseKeyStrategy):
    """Longest idle, until it has been called often enough; counts its calls, as the guard does."""

    def __init__(self, left: int | None) -> None:
        self.calls = 0
        self._left = left

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The opposite of longest idle, so that it matters whether it has failed."""
        self.calls += 1
        if self._left is not None and self.calls >= self._left:
            raise PluginFailed("tired", self.calls)
        return (-agent.idle_since_ms,)


class TiredPlugins:
    """`left` says how often the strategy may be called; None: a replay, in which it would never fail by itself."""

    def __init__(self, left: int | None) -> None:
        self.left = left

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """The tired one, or a shipped one."""
        return Tired(self.left) if name == "tired" else PLUGINS.strategy(name, parameters)

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """None of ours."""
        return PLUGINS.call_order(name, parameters)
