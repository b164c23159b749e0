"""by_region: agents who speak the caller's language natively ring first, then the longest idle ones."""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    by_skill = True  # ask again for each set of required skills

    def __init__(self, *, native: int = 10) -> None:  # a parameter: `strategy: {name: by_region, native: 9}`
        if not 1 <= native <= 10:
            raise ValueError("native must be from 1 to 10")
        self._native = native

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        levels = dict(agent.skills)
        natives = sum(levels.get(skill, 0) >= self._native for skill, _ in required)
        return (-natives, agent.idle_since_ms)
