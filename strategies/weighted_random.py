"""weighted_random: chance decides who rings, each agent as likely as their weight in the queue says.

Of two ready agents, one with weight 3 rings first three times as often as one with weight 1. The die is the daemon's
and kept with the journal: a replay rings the same agents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fsacd.strategy import BaseRankStrategy, CallFacts, Candidate, Chance

API_VERSION = 1


class Strategy(BaseRankStrategy):
    """Agents in random order, by weight."""

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """Each agent draws a waiting time, shorter with more weight; the shortest goes first.

        The times have an exponential distribution, so each agent's chance to be first is their share of the weights.
        """
        drawn = sorted(
            (-math.log(1.0 - chance.random()) / candidate.service.weight, candidate.agent.agent_id)
            for candidate in candidates
        )
        return [agent_id for _, agent_id in drawn]
