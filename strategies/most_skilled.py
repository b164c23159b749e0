"""most_skilled: the agent who knows most of what the call requires rings first.

The levels of the required skills are added up; for a call that requires nothing, the levels of all skills. Of two
alike, the longer idle one rings first. A queue compares the lowest required level before its strategy; with
`level_first: false` the sum alone decides.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Highest sum of levels first, then longest idle."""

    by_skill = True
    by_sum = True

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The sum of the agent's levels in what is required."""
        skills = {skill for skill, _ in required}
        known = sum(level for skill, level in agent.skills if not skills or skill in skills)
        return (-known, agent.idle_since_ms)
