"""round_robin: the agents ring in the order in which the configuration lists them, always from the top.

So the first agent of the list gets most of the calls, and the last one only those that are left over. To go on after
the agent who rang last instead, use round_robin_memory.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """The top of the list first."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The agent's place in the list."""
        return (service.place,)
