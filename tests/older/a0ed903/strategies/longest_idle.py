"""longest_idle: the agent whose last talk ended longest ago rings first. A break does not change his turn.

An agent who has not talked yet is idle since he logged in. The default: everybody gets his share and nobody can gain
by being away.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """Longest without a talk first."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The end of his last talk."""
        return (agent.idle_since_ms,)
