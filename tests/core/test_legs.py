"""Legs: whose word about a call is believed, and what an agent's leg is called."""

from __future__ import annotations

import pytest

from fsacd.core.commands import RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import (
    AgentLoggedIn,
    CallerGone,
    CallLeft,
    CallLost,
    CallQueued,
    CallReturned,
    Event,
    Leg,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    SwitchConnected,
    SwitchRestarted,
)
from fsacd.core.records import Anomaly, Elsewhere
from fsacd.core.rules import QueueRules, Rules
from fsacd.plugins import shipped
from fsacd.testing import agent, queue, rules_of

CALL = "11111111-2222-4333-8444-555555555555"
OWN, OTHER = Leg("fs1", "own"), Leg("fs1", "other")


@pytest.fixture
def engine() -> Engine:
    engine = Engine(Rules({"support": QueueRules("support")}, {}), shipped())
    engine.handle(SwitchConnected("fs1"), 0)
    engine.handle(CallQueued(CALL, "support", 0, OWN), 0)
    return engine


@pytest.mark.parametrize("fact", [CallerGone(CALL, leg=OTHER), CallLeft(CALL, OTHER), CallReturned(CALL, OTHER)])
def test_another_leg_cannot_speak_for_a_call(engine: Engine, fact: Event) -> None:
    """A leg that has got hold of a call's id neither ends the call nor moves it, and the attempt is told."""
    before = engine.snapshot(10)
    step = engine.handle(fact, 10)
    assert engine.snapshot(10) == before
    assert [record.kind for record in step.records if isinstance(record, Anomaly)] == ["foreign_leg"]


@pytest.mark.parametrize("fact", [CallerGone(CALL, leg=OWN), CallerGone(CALL), CallLeft(CALL, OWN)])
def test_the_calls_own_leg_ends_it(engine: Engine, fact: Event) -> None:
    """The caller's own hangup is believed, and what the link found out without a leg's word."""
    engine.handle(fact, 10)
    assert engine.snapshot(10).calls == ()


def _first_ring(engine: Engine) -> str:
    """The name of the leg that rings first for the call."""
    engine.handle(SwitchConnected("fs1"), 0)
    engine.handle(AgentLoggedIn("1001", "test"), 0)
    (ring,) = engine.handle(CallQueued(CALL, "support", 0, OWN), 0).commands
    assert isinstance(ring, RingAgent)
    return ring.offer_id


def test_an_engine_that_begins_anew_uses_no_name_twice() -> None:
    """It knows nothing of the attempts before it, whose legs may still ring: its first one is called otherwise."""
    rules = rules_of(queue("support"), agent("1001", "support"))
    names = [_first_ring(Engine(rules, shipped(), seed=seed)) for seed in (1, 2)]
    assert len(set(names)) == 2


def test_an_engine_that_goes_on_uses_the_same_names() -> None:
    """The switch refuses a second leg of the same name: that is why no agent rings twice for one attempt."""
    rules = rules_of(queue("support"), agent("1001", "support"))
    first = Engine(rules, shipped(), seed=1)
    name = _first_ring(first)
    heirs = [Engine.restore(first.dump(), shipped()) for _ in range(2)]
    for heir in heirs:
        heir.handle(OfferEnded(name, OfferEnd.NOT_SENT), 10)
    rings = [command for heir in heirs for command in heir.advance(10_000).commands]
    assert [type(ring) for ring in rings] == [RingAgent, RingAgent]
    assert rings[0] == rings[1]


@pytest.mark.parametrize("loss", [SwitchRestarted("fs1"), CallLost(CALL, "switch_restarted")])
@pytest.mark.parametrize("state", ["waiting", "talking"])
@pytest.mark.parametrize("restarted", [False, True], ids=["the same engine", "a restored one"])
def test_a_lost_call_that_turns_up_again_is_served(loss: Event, state: str, *, restarted: bool) -> None:
    """Its switch has recovered it late, or is configured again: the caller is not left in the music, nor released."""
    engine = Engine(rules_of(queue("support"), agent("1001", "support")), shipped())
    before = _first_ring(engine)
    if state == "talking":
        engine.handle(OfferAnswered(before), 100)
        engine.handle(OfferConnected(before), 140)
    engine.handle(loss, 10_000)
    if restarted:
        engine = Engine.restore(engine.dump(), shipped())
    engine.handle(OfferEnded(before, OfferEnd.HUNG_UP), 10_000)
    engine.handle(SwitchConnected("fs1"), 10_000)
    steps = [engine.handle(CallQueued(CALL, "support", 0, OWN), 20_000), engine.advance(60_000)]
    (ring,) = [command for step in steps for command in step.commands if isinstance(command, RingAgent)]
    assert ring.call_id == CALL
    assert ring.offer_id != before


def test_who_talks_with_somebody_else_is_not_taken_out_of_their_talk() -> None:
    """A late announcement of a caller who talks where we did not send them is of the time before."""
    engine = Engine(Rules({"support": QueueRules("support")}, {}), shipped())
    engine.handle(CallQueued(CALL, "support", 0, OWN), 0)
    engine.handle(CallLost(CALL, Elsewhere.TALKS_UNSEEN), 10)
    engine.handle(CallQueued(CALL, "support", 0, OWN), 20)
    assert engine.snapshot(30).calls == ()
