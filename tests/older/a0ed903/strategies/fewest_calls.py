"""fewest_calls: the agent who has answered the fewest calls lately rings first.

Calls fade: after `limits.counters_half_life` on duty each counts half, and while an agent is away his do not fade. So
nobody gets behind or ahead by a break, and who begins late does not get every call until he has caught up with the day.
Of two with the same count, the longer idle one rings first.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Fewest calls lately first, then longest idle."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """His calls lately."""
        return (agent.recent_calls, agent.idle_since_ms)
