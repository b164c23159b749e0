"""random: chance decides who rings, each agent as likely as any other.

The die is the daemon's and kept with the journal: a replay rings the same agents.
"""

from __future__ import annotations

from collections.abc import Sequence

from fsacd.strategy import BaseRankStrategy, CallFacts, Candidate, Chance

API_VERSION = 1


class Strategy(BaseRankStrategy):
    """Agents in random order."""

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """Each agent draws a number; the smallest goes first."""
        drawn = sorted((chance.random(), candidate.agent.agent_id) for candidate in candidates)
        return [agent_id for _, agent_id in drawn]
