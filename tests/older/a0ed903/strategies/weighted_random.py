"""weighted_random: chance decides who rings, each agent as likely as his weight in the queue says.

Of two ready agents, one with weight 3 rings first three times as often as one with weight 1. The die is the daemon's
and kept with the journal: a replay rings the same agents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fsacd.strategy import BaseRankStrategy, CallFacts, Candidate, Chance

API_VERSION = 1


class Strategy(BaseRankStrategy):
    """In an order of chance, by weight."""

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """Each draws how long he would take to come, the heavier the sooner; the soonest goes first.

        Waiting times with an exponential distribution: the chance to be the first of them is the share of the weight.
        """
        drawn = sorted(
            (-math.log(1.0 - chance.random()) / candidate.service.weight, candidate.agent.agent_id)
            for candidate in candidates
        )
        return [agent_id for _, agent_id in drawn]
