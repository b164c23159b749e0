"""A look shows what a snapshot shows, and goes on while the engine does."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from fsacd.core.commands import RingAgent
from fsacd.core.events import (
    AgentLoggedIn,
    CallerGone,
    LegsJoined,
    OfferAnswered,
    OfferConnected,
    RulesChanged,
    SwitchConnected,
    TalkChangeAsked,
    TalkConsultAsked,
    TalkVerb,
)
from fsacd.core.show.look import Look
from fsacd.core.show.parts import batches, whole
from fsacd.core.views import CallView, Snapshot
from fsacd.testing import Driver, agent, queue, queued, rules_of
from tests.core import walks
from tests.core.adversary import Adversary

EVERYTHING = 10_000


def by_arrival(snapshot: Snapshot) -> list[CallView]:
    return sorted(snapshot.calls, key=lambda call: (call.arrived_ms, call.call_id))


def compare(look: Look, shown: Snapshot) -> None:
    """Each way to look gives what the snapshot of the same moment has."""
    assert look.now_ms == shown.now_ms
    assert [look.agent(agent_id) for agent_id in sorted(look.agent_ids)] == list(shown.agents)
    assert sorted(filter(None, map(look.call, (call.call_id for call in shown.calls))), key=str) == sorted(
        shown.calls, key=str
    )
    assert [look.queue_of(call.call_id) for call in shown.calls] == [call.queue for call in shown.calls]
    calls = whole(look.calls(limit=EVERYTHING))
    assert (list(calls.views), calls.total) == (by_arrival(shown), len(shown.calls))
    agents = whole(look.agents(limit=EVERYTHING))
    assert (list(agents.views), agents.total) == (list(shown.agents), len(shown.agents))
    counts = whole(look.counts())
    assert counts.queues == shown.queues
    assert counts.calls == Counter(call.state for call in shown.calls)
    assert counts.agents == Counter(one.state for one in shown.agents)
    assert counts.switches == shown.switches
    for view in shown.queues:
        assert whole(look.queue(view.name)) == view


def compare_some(look: Look, shown: Snapshot, dice: random.Random) -> None:
    """Lists keep to queue, state and page."""
    name = dice.choice([view.name for view in shown.queues])
    state = dice.choice(["waiting", "offered", "talking", None])
    offset, limit = dice.randrange(3), dice.randrange(1, 4)
    wanted = [call for call in by_arrival(shown) if call.queue == name and state in (None, call.state)]
    calls = whole(look.calls(queue=name, state=state, offset=offset, limit=limit))
    assert (list(calls.views), calls.total) == (wanted[offset : offset + limit], len(wanted))
    state = dice.choice(["ready", "talking", "logged_out", None])
    serving = [one for one in shown.agents if name in dict(one.queues) and state in (None, one.state)]
    agents = whole(look.agents(queue=name, state=state, offset=offset, limit=limit))
    assert (list(agents.views), agents.total) == (serving[offset : offset + limit], len(serving))


@pytest.mark.parametrize("seed", range(8))
def test_a_look_is_the_snapshot(seed: int) -> None:
    """At every step of a hostile day."""
    dice = random.Random(seed)
    adversary = walks.at_work(Adversary(walks.rules_of_chance(dice)))
    deed, engine, driver = walks.deeds(adversary, dice), adversary.driver.engine, adversary.driver
    for _ in range(120):
        deed()
        shown = engine.snapshot(driver.now_ms)
        compare(engine.look(driver.now_ms), shown)
        compare_some(engine.look(driver.now_ms), shown, dice)


def large() -> Driver:
    """Three hundred agents and as many calls, of which one in three has nobody to serve it."""
    rules = rules_of(queue("support"), queue("sales"), *(agent(f"a{n:03}", "support") for n in range(300)))
    driver = Driver(rules, strict=False)
    driver.tell(SwitchConnected("fs1"))
    for n in range(300):
        driver.tell(queued(f"c{n:03}", "sales" if n % 3 else "support", n), at_ms=n)
    return driver


def test_what_is_gone_when_its_turn_comes_is_left_out() -> None:
    """A list that was begun goes on after calls have ended and a queue was taken out."""
    driver = large()
    look = driver.engine.look(driver.now_ms)
    calls, counts = look.calls(limit=EVERYTHING), look.counts()
    next(calls)
    next(counts)
    gone = driver.engine.snapshot(driver.now_ms).calls[7]
    driver.tell(CallerGone(gone.call_id, leg=gone.leg))
    listed = whole(calls)
    first = next(listed.views)
    driver.tell(CallerGone(first.call_id, leg=first.leg))
    rest = [view.call_id for view in listed.views]
    assert gone.call_id not in rest and first.call_id not in rest
    assert len(rest) == 298
    driver.tell(RulesChanged(rules_of(queue("support"), *(agent(f"a{n:03}", "support") for n in range(10)))))
    assert [view.name for view in whole(counts).queues] == ["support"]


def test_a_look_is_never_of_a_moment_before_the_engine() -> None:
    """What has come since a look began is not shown as of the future."""
    driver = large()
    look = driver.engine.look(driver.now_ms)
    driver.tell(queued("late", "sales", 60_000), at_ms=60_000)
    assert look.now_ms == 60_000
    late = look.call("late")
    assert late is not None and late.waited_ms == 0


def test_long_looks_come_in_parts() -> None:
    """No part looks at more than a batch."""
    things = {str(n): n for n in range(1_000)}
    sizes = [len(batch) for batch in batches(things)]
    assert sum(sizes) == 1_000 and max(sizes) <= 128
    look = large().engine.look(300)
    for parts in (look.calls(limit=1), look.agents(queue="support", limit=1), look.counts(), look.skills()):
        assert sum(1 for _ in parts) >= 3


def test_a_batch_holds_what_is_still_there() -> None:
    """What went between two batches is not in the second."""
    things = {str(n): n for n in range(200)}
    some = batches(things)
    next(some)
    del things["150"]
    assert 150 not in next(some)


def test_callers_on_hold_are_counted_by_queue() -> None:
    """From the moment that they hear music until they talk again, or have hung up."""
    driver = Driver(rules_of(queue("support"), agent("anna", "support"), agent("ben")))
    for event in (SwitchConnected("fs1"), AgentLoggedIn("anna", "test"), AgentLoggedIn("ben", "test")):
        driver.tell(event)
    driver.tell(queued("c1", "support", 0))
    (talk_id,) = (order.offer_id for order in driver.commands_of(RingAgent))

    def held() -> dict[str, int]:
        return dict(whole(driver.engine.look(driver.now_ms).counts()).held)

    driver.tell(OfferAnswered(talk_id, "fs1"))
    driver.tell(OfferConnected(talk_id))
    driver.wait_until(5_000)
    driver.tell(TalkChangeAsked("anna", talk_id, TalkVerb.HOLD, "test"))
    assert held() == {}
    driver.tell(OfferAnswered(talk_id, "fs1"))
    assert held() == {"support": 1}
    driver.tell(TalkChangeAsked("anna", talk_id, TalkVerb.RESUME, "test"))
    driver.tell(OfferConnected(talk_id))
    assert held() == {}
    driver.tell(TalkConsultAsked("anna", talk_id, "ben", "test"))
    third = driver.commands_of(RingAgent)[-1].offer_id
    for leg in (talk_id, third):
        driver.tell(OfferAnswered(leg, "fs1"))
    driver.tell(LegsJoined(talk_id, third))
    assert held() == {"support": 1}
    driver.tell(CallerGone("c1"))
    assert held() == {}
