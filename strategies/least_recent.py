"""least_recent: the agent whose phone was rung longest ago rings first, whether they answered or not.

An agent who has not been rung yet comes before all others. Unlike with longest_idle, an agent who misses a call
(RONA) goes to the end of the line.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Longest without a ring first; of those who were never rung, the longest idle."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The moment of the agent's last ring."""
        return (agent.last_offered_ms, agent.idle_since_ms)
