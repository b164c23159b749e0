"""Each stay of a call in a queue is told once, whatever happens to calls: random walks, judged by their records."""

from __future__ import annotations

import random
from functools import cache

import pytest

from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.engine import Engine
from fsacd.core.visit import HowIn, VisitOutcome
from fsacd.testing import PLUGINS, agent, queue, rules_of
from tests.core import walks
from tests.core.adversary import Adversary
from tests.core.stays import Stays
from tests.core.test_machine import LONG, QUIET_AFTER_MS

ACTS = 400
WALKS = LONG or 12


@cache
def judged(seed: int) -> Stays:
    dice = random.Random(f"visits {seed}")
    adversary = walks.walk(walks.at_work(Adversary(walks.rules_of_chance(dice))), dice, ACTS)
    adversary.wait(QUIET_AFTER_MS)
    stays = Stays()
    for step in adversary.driver.steps:
        stays.take(step.records)
    here = {call.call_id for call in adversary.driver.engine.snapshot(adversary.driver.now_ms).calls}
    assert stays.open.keys() == here, "each call that is here stays somewhere"
    return stays


@pytest.mark.timeout(7_200 if LONG else 300)
@pytest.mark.parametrize("seed", range(WALKS))
def test_each_stay_is_told_once(seed: int) -> None:
    """Numbered without a gap, none before the end of the one before; history has a row for each."""
    stays = judged(seed)
    assert stays.stays >= len(stays.rows) > 0
    for call_id, n in stays.rows:
        assert all((call_id, before) in stays.rows for before in range(1, n)), f"{call_id} has no visits before {n}"


def test_walks_go_all_ways() -> None:
    """In and out of queues, by each way that there is."""
    ways = set[tuple[str, str]]().union(*(judged(seed).ways for seed in range(WALKS)))
    assert {way for kind, way in ways if kind == "out"} == set(VisitOutcome)
    # Walks have no rules that rename a queue, or say into which queue the callers of a removed one go; stories have.
    assert {way for kind, way in ways if kind == "in"} == set(HowIn) - {HowIn.MOVED, HowIn.RENAMED}


def started() -> Engine:
    engine = Engine(rules_of(queue("support"), queue("sales"), agent("1001", "support")), PLUGINS, 0, seed=1)
    engine.handle(e.SwitchConnected("fs1"), 0)
    engine.handle(e.CallQueued("anna", "support", 1_000, e.Leg("fs1", "leg-anna")), 1_000)
    return engine


def last_visit(engine: Engine) -> r.VisitEnded:
    records = engine.handle(e.CallerGone("anna"), 9_000).records
    (visit,) = (record for record in records if isinstance(record, r.VisitEnded))
    return visit


def test_a_visit_outlasts_a_restart() -> None:
    """The number goes on, and what it was at its beginning stays."""
    engine = started()
    engine.handle(e.CallRequeueAsked("anna", "test", "sales"), 3_000)
    engine.handle(e.CallChangeAsked("anna", "test", priority=5), 4_000)
    dumped = engine.dump()
    assert last_visit(Engine.restore(dumped, PLUGINS)) == last_visit(engine)
    assert last_visit(Engine.restore(dumped, PLUGINS)).visit.n == 2


def test_a_snapshot_of_before() -> None:
    """It knows of no visits: a call that is there is in its first, since it joined the queue it stands in."""
    engine = started()
    engine.handle(e.CallRequeueAsked("anna", "test", "sales"), 3_000)
    dumped = engine.dump()
    for call in dumped["calls"]:
        del call["visit"]
    visit = last_visit(Engine.restore(dumped, PLUGINS)).visit
    assert (visit.n, visit.queue, visit.joined_ms, visit.how_in) == (1, "sales", 3_000, HowIn.DIRECT)
