"""by_chance: of the two longest idle agents chance decides who rings; the others follow in their turn."""

from __future__ import annotations

from collections.abc import Sequence

from fsacd.strategy import BaseRankStrategy, CallFacts, Candidate, Chance

API_VERSION = 1


class Strategy(BaseRankStrategy):
    """Chance between the first two."""

    def rank(self, call: CallFacts, candidates: Sequence[Candidate], chance: Chance) -> Sequence[str]:
        """All candidates, the first to be rung first. They come longest idle first."""
        ids = [candidate.agent.agent_id for candidate in candidates]
        if chance.random() < 0.5:
            ids[:2] = reversed(ids[:2])
        return ids
