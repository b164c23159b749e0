"""The contract of a ring strategy: types only, the bottom layer.

Which call goes first is the queue's rule, never the strategy's. A strategy answers one question: of the eligible
ready agents, in which order would a call ring them?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

# Raised when the contract changes in a way that a strategy must know of.
API_VERSION = 1


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What a strategy may know of a ready agent. Times are milliseconds of one monotonic clock."""

    agent_id: str
    idle_since_ms: int  # when his last talk ended, or when he logged in


class Strategy(Protocol):
    """A strategy that can say its order as a key, so that the engine keeps the agents sorted by it."""

    name: str

    def key(self, agent: AgentFacts) -> tuple[float, ...]:
        """Smaller rings first. Called when the agent becomes ready; must depend on its argument alone."""
        ...
