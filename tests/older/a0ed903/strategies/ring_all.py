"""ring_all: everybody rings at once, and who answers first gets the call.

`scope: best` (the default) rings the agents of the first rank and level that has a ready one; `scope: all` rings every
eligible ready agent. If there are more than `limits.ringing`, the longest idle ones ring.
"""

from __future__ import annotations

from typing import Literal

from fsacd.strategy import EVERYBODY, AgentFacts, BaseKeyStrategy, Key, Ring, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """All at once, the longest idle first."""

    def __init__(self, *, scope: Literal["best", "all"] = "best") -> None:
        self.ring = Ring(EVERYBODY, beyond_best=scope == "all")

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The end of his last talk."""
        return (agent.idle_since_ms,)
