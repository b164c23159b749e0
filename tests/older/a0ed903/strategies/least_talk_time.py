"""least_talk_time: the agent who has talked the least lately rings first, however many calls that were.

Talk time fades: after `limits.counters_half_life` on duty each minute counts half, and while an agent is away his does
not fade. Of two who have talked alike, the longer idle one rings first.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Least talk time lately first, then longest idle."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """His talk time lately."""
        return (agent.recent_talk, agent.idle_since_ms)
