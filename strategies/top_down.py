"""top_down: each call begins at the top of the configuration's list and goes down, one agent after the other.

A call that an agent has not taken rings the next one in the list, not the first again. Behind the last of the list
comes the first. Other calls do not matter: each has a round of its own.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels, Start

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """The next agent of the list after the one whom this call rang last."""

    goes_round = True

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The agent's place in the list."""
        return (service.place,)

    def start(self, start: Start) -> Key | None:
        """Behind the agent whom this call rang last."""
        return None if start.call_last_place is None else (start.call_last_place,)
