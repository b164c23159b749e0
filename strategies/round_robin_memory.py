"""round_robin_memory: the agents ring in turn, in the order in which the configuration lists them.

Each call goes on after the agent whom the queue rang last, whatever became of that ring. Behind the last of the list
comes the first again.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, ServiceFacts, SkillLevels, Start

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    """The next agent of the list after the one whom the queue rang last."""

    goes_round = True

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The agent's place in the list."""
        return (service.place,)

    def start(self, start: Start) -> Key | None:
        """Behind the agent whom the queue rang last."""
        return None if start.queue_last_place is None else (start.queue_last_place,)
