"""A fact about a call is believed from the call's own leg alone."""

from __future__ import annotations

import pytest

from fsacd.core.engine import Engine
from fsacd.core.events import CallerGone, CallLeft, CallQueued, CallReturned, Event, Leg, SwitchConnected
from fsacd.core.records import Anomaly
from fsacd.core.rules import QueueRules, Rules
from fsacd.plugins import shipped

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
