"""few_skills: the agent with the fewest skills rings first, so that those who know more stay free.

Of two who know as many, the longer idle one rings first. `most` is how many skills are counted at most.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Fewest skills first, then longest idle."""

    def __init__(self, *, most: int = 10) -> None:
        if most < 1:
            raise ValueError("most must be 1 or more")
        self._most = most

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """Smaller rings first."""
        return (min(len(agent.skills), self._most), agent.idle_since_ms)
