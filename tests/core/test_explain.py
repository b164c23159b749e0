"""Explanations of random decisions, compared with what an oracle finds that looks at everybody.

The oracle (`oracle.py`, `reasons.py`) explains each decision of a day itself and compares: the eligible agents, their
order, rank, level and key, and for every other agent of the queue the first reason why not; and so for calls that wait.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import pytest

from fsacd.core import events as e
from fsacd.core.rules import Rules
from fsacd.core.views import WhyNot
from tests.core import acts
from tests.core.adversary import Adversary
from tests.core.centres import AGENTS, Pick, build_rules
from tests.core.test_machine import RULES_BITS

DECISIONS = 10_000
# On some days all queues work by what agents have done, and most calls are answered.
COUNTING = ("fewest_calls", "least_talk_time", "least_occupied")
# In so many parts, so that a machine with more cores may do them at the same time.
PARTS = 4
ACTS_OF_A_DAY = 200
# Calls come until so many wait: whoever becomes free is given one.
MOST_WAITING = 6

REFUSALS = (e.OfferEnd.REFUSED, e.OfferEnd.BUSY, e.OfferEnd.NO_ANSWER, e.OfferEnd.UNREACHABLE, e.OfferEnd.HUNG_UP)


class Day:
    """A busy day of a random centre, whose switch does at once what it is told."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.counting = self.dice.randrange(3) == 0
        self.adversary = Adversary(self._rules(), proved=False)
        self.adversary.oracle.only_decisions = True
        self.adversary.oracle.explain_waiting_one_in = 12
        for agent_id in AGENTS:
            self.adversary.tell(e.AgentLoggedIn(agent_id, "test"))

    def _rules(self) -> Rules:
        rules = build_rules(Pick(self.dice.getrandbits(RULES_BITS)))
        if not self.counting:
            return rules
        queues = {
            name: replace(one, strategy=self.dice.choice(COUNTING), strategy_parameters=(), level_first=False)
            for name, one in rules.queues.items()
        }
        return replace(rules, queues=MappingProxyType(queues))

    def work(self) -> None:
        """The whole of it."""
        doings = [doing for doing, weight in WEIGHTS.items() for _ in range(weight)]
        for _ in range(ACTS_OF_A_DAY):
            self.dice.choice(doings)(self, Pick(self.dice.getrandbits(64)))

    def calls_come(self, pick: Pick) -> None:
        """Callers queue."""
        waiting = sum(call.state == "waiting" for call in self.adversary.oracle.before.calls)
        for _ in range(MOST_WAITING - waiting):
            self.adversary.callers.clear()
            acts.call_comes(self.adversary, Pick(self.dice.getrandbits(64)))

    def phone(self, pick: Pick) -> None:
        """Something becomes of one agent's phone: he refuses, answers and is connected, hangs up, or its leg ends."""
        offers = self.adversary.oracle.before.offers
        if not offers:
            return
        offer = pick.of(offers)
        match offer.state:
            case "ringing" if pick.below(6) > (3 if self.counting else 0):
                self.adversary.tell(e.OfferEnded(offer.offer_id, pick.of(REFUSALS)))
            case "ringing":
                self.adversary.tell(e.OfferAnswered(offer.offer_id, offer.switch))
                self.adversary.tell(e.OfferConnected(offer.offer_id))
            case "talking":
                self.adversary.tell(e.OfferEnded(offer.offer_id, e.OfferEnd.HUNG_UP))
                self.adversary.tell(pick.event(e.CallerGone(offer.call_id), e.CallReturned(offer.call_id)))
            case _:
                self.adversary.tell(e.OfferEnded(offer.offer_id, e.OfferEnd.CANCELLED))

    def agent(self, pick: Pick) -> None:
        """An agent who is away comes back; or one presses a button, or phones."""
        away = [one for one in self.adversary.oracle.before.agents if one.state in {"logged_out", "not_ready"}]
        if away and pick.below(2):
            who = pick.of(away).agent_id
            self.adversary.tell(e.AgentLoggedIn(who, "phone"))
            self.adversary.tell(e.AgentSetReady(who, "phone"))
        elif pick.below(3):
            acts.agent_asks(self.adversary, pick)
        else:
            acts.agent_phones(self.adversary, pick)
            while self.adversary.facts:
                self.adversary.tell(self.adversary.facts.pop(0))

    def time(self, pick: Pick) -> None:
        """Some of it passes."""
        self.adversary.wait(pick.of((1, 40, 1_000, 4_000, 12_000)))

    def change(self, pick: Pick) -> None:
        """Somebody changes something."""
        match pick.below(8):
            case 0 | 1 | 2 | 3:
                acts.operator_asks(self.adversary, pick)
            case 4 | 5:
                acts.operator_changes(self.adversary, pick)
            case 6:
                acts.history_is_read(self.adversary, pick)
            case _:
                self.adversary.tell(e.RulesChanged(self._rules()))


WEIGHTS: dict[Callable[[Day, Pick], None], int] = {
    Day.calls_come: 3,
    Day.phone: 20,
    Day.agent: 3,
    Day.time: 3,
    Day.change: 1,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", range(PARTS))
def test_decisions_are_explained_as_the_oracle_explains_them(part: int) -> None:
    """For 10,000 random decisions explain's order and every reason equal the oracle's."""
    judged = waits = 0
    why: set[WhyNot] = set()
    seed = part
    while judged < DECISIONS // PARTS:
        day = Day(seed)
        day.work()
        oracle = day.adversary.oracle
        oracle.all_over(quiet=False)
        judged += oracle.reasons.judged
        waits += oracle.waits_explained
        why |= {one.why for told in oracle.explained.values() for one in told.rejected}
        seed += PARTS
    assert waits > judged // 10, "calls that wait are explained, too"
    assert why == set(WhyNot), f"never met: {set(WhyNot) - why}"
