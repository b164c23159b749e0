"""least_occupied: the agent who has been occupied the least lately rings first: ringing, talk and wrap-up count.

What has been fades: after `limits.counters_half_life` on duty each minute counts half, and while an agent is away
theirs does not fade. Fairer than least_talk_time where wrap-up is long. Of two alike, the longer idle one rings first.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Least occupied lately first, then longest idle."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The agent's occupied time lately."""
        return (agent.recent_work, agent.idle_since_ms)
