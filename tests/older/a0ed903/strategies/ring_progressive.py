"""ring_progressive: one agent rings, and while nobody answers one more every ten seconds.

Those who ring already go on. The longest idle agent rings first. `every` says how often one more is added.
"""

from __future__ import annotations

from fsacd.strategy import AgentFacts, BaseKeyStrategy, Key, Milliseconds, Ring, ServiceFacts, SkillLevels

API_VERSION = 1

_USUAL_MS = Milliseconds(10_000)
_LEAST_MS = 500
_MOST_MS = 600_000


class Strategy(BaseKeyStrategy):
    """More and more at once, the longest idle first."""

    def __init__(self, *, every: Milliseconds = _USUAL_MS) -> None:
        if not _LEAST_MS <= every <= _MOST_MS:
            raise ValueError("every must be from 500ms to 10m")
        self.ring = Ring(at_once=1, one_more_every_ms=every)

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        """The end of his last talk."""
        return (agent.idle_since_ms,)
