"""Explanations of random decisions, compared with what an oracle finds that looks at everybody.

The oracle (`oracle.py`, `reasons.py`) explains each decision of a day itself and compares: the eligible agents, their
order, rank, level and key, and for every other agent of the queue the first reason why not; and so for calls that wait.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from fsacd.core import events as e
from fsacd.core.rules import Limits, WrapUp
from fsacd.core.views import WhyNot
from fsacd.testing import Driver, agent, queue, queued, rules_of
from tests.core import acts
from tests.core.adversary import Adversary
from tests.core.centres import AGENTS, Pick, build_rules
from tests.core.walks import RULES_BITS

# tests/prove/explanations.py has more of them.
DECISIONS = 1_000
ACTS_OF_A_DAY = 200
# Calls come until so many wait: whoever becomes free is given one.
MOST_WAITING = 6

REFUSALS = (e.OfferEnd.REFUSED, e.OfferEnd.BUSY, e.OfferEnd.NO_ANSWER, e.OfferEnd.UNREACHABLE, e.OfferEnd.HUNG_UP)


class Day:
    """A busy day of a random centre, whose switch does at once what it is told."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.adversary = Adversary(build_rules(Pick(self.dice.getrandbits(RULES_BITS))), proved=False)
        self.adversary.oracle.only_decisions = True
        self.adversary.oracle.explain_waiting_one_in = 12
        for agent_id in AGENTS:
            self.adversary.tell(e.AgentLoggedIn(agent_id, "test"))

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
        """One agent's phone changes: they refuse it, answer it and are connected, or hang up; or its leg ends."""
        offers = self.adversary.oracle.before.offers
        if not offers:
            return
        offer = pick.of(offers)
        match offer.state:
            case "ringing" if pick.below(6):
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
                acts.rules_change(self.adversary, Pick(self.dice.getrandbits(RULES_BITS)))


WEIGHTS: dict[Callable[[Day, Pick], None], int] = {
    Day.calls_come: 3,
    Day.phone: 20,
    Day.agent: 3,
    Day.time: 3,
    Day.change: 1,
}


def judge(decisions: int, first_day: int) -> tuple[set[WhyNot], int]:
    """Explain so many decisions of random days from that one on; each is compared with the oracle's explanation.

    Returns the reasons that were met, and of how many calls that waited it was explained why.
    """
    judged = waits = 0
    why: set[WhyNot] = set()
    while judged < decisions:
        day = Day(first_day)
        day.work()
        oracle = day.adversary.oracle
        oracle.all_over(quiet=False)
        judged += oracle.reasons.judged
        waits += oracle.waits_explained
        why |= {one.why for told in oracle.explained.values() for one in told.rejected}
        first_day += 1
    return why, waits


@pytest.mark.timeout(300)
def test_decisions_are_explained_as_the_oracle_explains_them() -> None:
    """For a thousand random decisions explain's order and every reason equal the oracle's."""
    why, waits = judge(DECISIONS, first_day=0)
    assert waits > DECISIONS // 10, "calls that wait are explained, too"
    # Whoever is out of the scope of a ring is met on some days only.
    assert set(WhyNot) - {WhyNot.SCOPE} <= why, f"never met: {set(WhyNot) - why}"


@pytest.mark.parametrize("strategy", ["fewest_calls", "least_talk_time", "least_occupied"])
def test_counters_are_the_sums_of_all_that_was_done(strategy: str) -> None:
    """After hundreds of calls and breaks, whoever is chosen has done least lately by a sum over all of it."""
    dice = random.Random(strategy)
    limits = Limits(settle_ms=500, counters_half_life_ms=120_000)
    rules = rules_of(
        queue("support", strategy=strategy, wrap_up_ms=3_000, wrap_up=WrapUp.FIXED),
        *(agent(agent_id, "support") for agent_id in AGENTS),
        limits=limits,
    )
    adversary = Adversary(rules, proved=False)
    for agent_id in AGENTS:
        adversary.tell(e.AgentLoggedIn(agent_id, "test"))
    for number in range(300):
        adversary.tell(queued(f"c{number}", "support", adversary.driver.now_ms))
        offers = [offer for offer in adversary.oracle.before.offers if offer.state == "ringing"]
        adversary.wait(dice.randrange(5_000))
        for offer in offers:
            adversary.tell(e.OfferAnswered(offer.offer_id, "fs1"))
            adversary.tell(e.OfferConnected(offer.offer_id))
        _turn_away(adversary, dice)
        adversary.wait(dice.randrange(1_000, 20_000))
        for offer in [one for one in adversary.oracle.before.offers if one.state == "talking" and dice.randrange(3)]:
            adversary.tell(e.CallerGone(offer.call_id))
            adversary.tell(e.OfferEnded(offer.offer_id, e.OfferEnd.HUNG_UP))
    choices = [told for told in adversary.oracle.explained.values() if len(told.eligible) > 1]
    assert len(choices) > 100, "there was a choice"


def _turn_away(adversary: Adversary, dice: random.Random) -> None:
    """Some agents take a break or go home, and some come back."""
    for view in adversary.oracle.before.agents:
        if view.state in {"not_ready", "logged_out"} and dice.randrange(4) == 0:
            adversary.tell(e.AgentLoggedIn(view.agent_id, "phone"))
            adversary.tell(e.AgentSetReady(view.agent_id, "phone"))
        elif view.state == "ready" and dice.randrange(8) == 0:
            wish = dice.choice((e.AgentSetNotReady, e.AgentLoggedOut))
            adversary.tell(wish(view.agent_id, "phone"))


WISHES = (e.AgentLoggedIn, e.AgentSetReady, e.AgentSetNotReady, e.AgentLoggedOut)


def test_an_explanation_in_parts_tells_of_its_beginning() -> None:
    """However much happens between its parts, it is what it would have been at once."""
    dice = random.Random(1)
    everybody = [str(number) for number in range(1000, 1400)]
    driver = Driver(rules_of(queue("support"), *(agent(who, "support") for who in everybody)))
    driver.tell(e.SwitchConnected("fs1"))
    for who in dice.sample(everybody, 300):
        driver.tell(e.AgentLoggedIn(who, "test"))
    for number in range(5):
        driver.tell(queued(f"c{number}", "support", driver.now_ms))
    at_once = driver.engine.explain("c3", driver.now_ms)
    parts = driver.engine.explain_in_parts("c3", driver.now_ms)
    count, told = 0, None
    while told is None:
        try:
            next(parts)
        except StopIteration as end:
            told = end.value
        count += 1
        for who in dice.sample(everybody, 40):
            driver.tell(
                dice.choice((e.AgentLoggedIn, e.AgentSetReady, e.AgentSetNotReady, e.AgentLoggedOut))(who, "test")
            )
        driver.tell(queued(f"later{count}", "support", driver.now_ms))
    assert count > 10, "there were parts"
    assert told == at_once
    # Its agent may have gone on a break meanwhile, and others been rung.
    later = driver.engine.explain("c3", driver.now_ms)
    assert later[: len(at_once)] == at_once, "and whoever asks later is told the same"
