"""An engine made of another's memory goes on exactly as that one: whatever the story, wherever it is cut."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import orjson
import pytest

from fsacd.core import events as e
from fsacd.core.commands import RingAgent
from fsacd.core.engine import Engine
from fsacd.core.records import CallEnded, CallOutcome, StrategyFailed, StrategyReturned
from fsacd.core.rules import Limits, Overflow, Service, ToHangup
from fsacd.core.views import Step
from fsacd.testing import PLUGINS, Driver, agent, queue, queued, replay, rules_of
from tests.core import walks
from tests.core.adversary import Adversary
from tests.core.breaking import PLUGINS as BREAKING
from tests.core.plugins import TestPlugins
from tests.core.tired import TiredPlugins

SEEDS = range(6)


class Unjudged(Adversary):
    """The hostile switch alone: whether the engine is right is proved elsewhere."""

    def _take(self, event: e.Event | None, step: Step, *, alone: bool, overdue: bool) -> None:
        self.orders.extend(command for command in step.commands if command not in self.orders)


def told(seed: int, acts: int = 200) -> Adversary:
    """A random walk."""
    dice = random.Random(seed)
    return walks.walk(walks.at_work(Unjudged(walks.rules_of_chance(dice), proved=False)), dice, acts)


def take(engine: Engine, now_ms: int, event: e.Event | None) -> Step:
    return engine.advance(now_ms) if event is None else engine.handle(event, now_ms)


def twin(engine: Engine, plugins: Any = None) -> Engine:
    """Another engine with its memory, which has been JSON between."""
    return Engine.restore(orjson.loads(orjson.dumps(engine.dump())), plugins or TestPlugins())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_twin_goes_on_like_the_original(seed: int) -> None:
    """Cut anywhere, and more than once, the rest of the story has the same commands, records and refusals."""
    adversary = told(seed)
    journal, expected = adversary.driver.journal, adversary.driver.steps
    engine = Engine(adversary.first_rules, TestPlugins())
    dice = random.Random(seed)
    for number, ((now_ms, event), step) in enumerate(zip(journal, expected, strict=True)):
        if dice.random() < 0.05:
            engine = twin(engine)
            engine.check()
        assert step == take(engine, now_ms, event), f"entry {number} of the journal"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_twin_remembers_the_same(seed: int) -> None:
    """What is dumped, restored and dumped again is the same; and so is what the engine shows."""
    engine = told(seed).driver.engine
    other = twin(engine)
    assert engine.dump() == other.dump()
    assert engine.snapshot(engine.now_ms) == other.snapshot(engine.now_ms)


def test_a_dump_is_plain_as_it_is() -> None:
    """It need not go through JSON to be read again, with a deadline of each kind of owner."""
    rules = rules_of(
        queue("support", when_nobody_ready=Overflow(ToHangup(), after_ms=30_000)), agent("1001", "support")
    )
    driver = Driver(rules)
    for event in (e.AgentLoggedIn("1001", "test"), e.AgentSetNotReady("1001", "test", "lunch")):
        driver.tell(event)
    dump = driver.engine.dump()
    assert [kind for kind, owner, _ in dump["timers"] if owner == "support"] == ["nobody_ready"]
    assert Engine.restore(dump, PLUGINS).dump() == dump


def test_facts_that_change_nothing_change_nothing() -> None:
    """A fact that is taken for idle leaves the memory as it was, but for the time."""
    idle = 0
    for adversary in map(told, range(3, 7)):
        engine = Engine(adversary.first_rules, TestPlugins())
        for now_ms, event in adversary.driver.journal:
            if event is None or not engine.changes_nothing(event):
                take(engine, now_ms, event)
                continue
            idle += 1
            before = engine.dump()
            assert take(engine, now_ms, event) == Step()
            assert {**before, "now_ms": now_ms} == engine.dump()
    assert idle


def test_a_memory_without_later_fields_is_read() -> None:
    """An older fsacd has written less, a newer one more: what is missing takes its default, what is new is ignored."""
    driver = Driver(rules_of(queue("q"), agent("a", "q")))
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(queued("c", "q"))
    plain = driver.engine.dump()
    for call in plain["calls"]:
        del call["language"], call["number_believed"], call["source"]
        call["mood"] = "good"
    for name in ("decisions", "outcomes", "last_agents"):
        del plain[name]
    engine = Engine.restore(plain, PLUGINS)
    assert [(call.call_id, call.number_believed) for call in engine.snapshot(0).calls] == [("c", True)]


def test_calls_are_counted_by_number_after_a_restart_as_before() -> None:
    """The limit of calls from one number holds for those of before and those of after together; so does disbelief."""
    driver = Driver(rules_of(queue("q", max_per_number=2), agent("a", "q")))
    driver.tell(e.SwitchConnected("fs1"))
    for number in ("+49 30 1", "+49301", "+49-301"):
        call = replace(queued(f"c{driver.now_ms}", "q", driver.now_ms), number=number, number_believed=False)
        driver.tell(call)
        driver.wait(1)
    again = twin(driver.engine)
    again.check()
    assert [call.number_believed for call in again.snapshot(driver.now_ms).calls] == [False, False]
    late = replace(queued("late", "q", driver.now_ms), number="+49301")
    for engine in (driver.engine, again):
        (ended,) = (one for one in take(engine, driver.now_ms, late).records if isinstance(one, CallEnded))
        assert (ended.outcome, ended.detail) == (CallOutcome.OVERFLOWED, "max_per_number")


def tire(left: int) -> Driver:
    """Two agents log in and out and take calls, until the strategy fails on the way."""
    driver = Driver(
        rules_of(queue("q", strategy="tired"), agent("a", "q"), agent("b", "q")), TiredPlugins(left), strict=False
    )
    driver.tell(e.SwitchConnected("fs1"))
    for number in range(6):
        driver.tell(e.AgentLoggedIn("a", "test"))
        driver.wait(10)
        driver.tell(e.AgentLoggedIn("b", "test"))
        driver.tell(queued(f"c{number}", "q", driver.now_ms))
        driver.tell(e.CallerGone(f"c{number}"))
        driver.wait(10_000)
        driver.tell(e.AgentLoggedOut("a", "test"))
        driver.tell(e.AgentLoggedOut("b", "test"))
    return driver


@pytest.mark.parametrize("left", range(1, 14))
def test_a_replay_fails_where_the_plugin_failed(left: int) -> None:
    """A plugin that failed by the clock or by chance fails in the replay at the same call into it."""
    driver = tire(left)
    assert replay(driver.rules, driver.journal, TiredPlugins(None), driver.steps) == driver.steps


@pytest.mark.parametrize("other", [-2, 5, 1_000])
def test_a_replay_fails_in_that_step_however_often_it_asks(other: int) -> None:
    """An older fsacd has asked for other keys; so its nth call may be none in that step, or one in a later step."""
    driver = tire(9)
    engine = Engine(driver.rules, TiredPlugins(None))
    failed = []
    for place, (now_ms, entry) in enumerate(driver.journal):
        for failure in driver.failures(place):
            engine.expect_failure(replace(failure, calls=failure.calls + other))
        step = take(engine, now_ms, entry)
        failed += [place] * any(isinstance(record, StrategyFailed) for record in step.records)
        engine.check()
    assert failed == [place for place in range(len(driver.journal)) if driver.failures(place)] != []


@pytest.mark.parametrize("left", range(4, 14))
def test_a_replay_from_a_memory_fails_there_too(left: int) -> None:
    """Plugins are made anew for a restored engine; the calls into them are counted on."""
    driver = tire(left)
    for cut in range(0, len(driver.journal), 3):
        engine = Engine(driver.rules, TiredPlugins(None))
        for place, (now_ms, entry) in enumerate(driver.journal):
            if place == cut:
                engine = twin(engine, TiredPlugins(None))
            failures = driver.failures(place)
            for failure in failures:
                engine.expect_failure(failure)
            assert driver.steps[place] == take(engine, now_ms, entry)


def tire_where_it_returns(left: int) -> Driver:
    """As `tire`; but an agent who is ready and may not help yet is sorted whenever a plugin comes into service.

    So it fails in the very step of its return, and in that of a reload.
    """
    rules = rules_of(queue("q", strategy="tired"), agent("a", "q"), agent("b", ("q", Service(delay_ms=10_000_000))))
    driver = Driver(rules, TiredPlugins(left), strict=False)
    for event in (e.SwitchConnected("fs1"), e.AgentLoggedIn("b", "test"), queued("c", "q")):
        driver.tell(event)
    driver.wait(100_000)
    driver.tell(e.RulesChanged(replace(rules)))
    driver.wait(100_000)
    driver.tell(e.AgentLoggedIn("a", "test"))
    return driver


@pytest.mark.parametrize("left", [1, 2, 3])
def test_a_replay_fails_in_the_step_that_puts_the_plugin_into_service(left: int) -> None:
    """The failure stands beside the step that made, or put back, what failed: nothing there could be told before it."""
    driver = tire_where_it_returns(left)
    returns = [step for step in driver.steps if any(isinstance(record, StrategyReturned) for record in step.records)]
    failed_at_once = [step for step in returns if any(isinstance(record, StrategyFailed) for record in step.records)]
    assert failed_at_once or left > 1
    assert replay(driver.rules, driver.journal, TiredPlugins(None), driver.steps) == driver.steps


def test_a_replay_fails_in_the_step_of_a_reload() -> None:
    """As after a reload of a plugin that takes too long."""
    driver = tire_where_it_returns(1)
    reload = next(n for n, (_, event) in enumerate(driver.journal) if isinstance(event, e.RulesChanged))
    assert driver.failures(reload), "it has failed in that step"
    assert replay(driver.rules, driver.journal, TiredPlugins(None), driver.steps) == driver.steps


@pytest.mark.parametrize("left", [1, 2, 5])
def test_the_twin_tries_a_failed_plugin_again_when_the_original_does(left: int) -> None:
    """Wherever it is cut: how often in a row a plugin has failed, and why, is remembered."""
    driver = tire_where_it_returns(left)
    for cut in range(1, len(driver.journal)):
        engine = Engine(driver.rules, TiredPlugins(None))
        for place, (now_ms, entry) in enumerate(driver.journal):
            if place == cut:
                before = engine.substituted()
                engine = twin(engine, TiredPlugins(None))
                assert engine.substituted() == before
                engine.check()
            for failure in driver.failures(place):
                engine.expect_failure(failure)
            assert driver.steps[place] == take(engine, now_ms, entry)
            engine.check()


def test_a_plugin_that_an_older_fsacd_gave_up_is_tried_again() -> None:
    """Its snapshot knows no deadline for that."""
    driver = tire(5)
    plain = driver.engine.dump()
    plain["timers"] = [timer for timer in plain["timers"] if timer[0] != "strategy"]
    for order in plain["orders"]:
        del order["standings"]
    engine = Engine.restore(plain, TiredPlugins(None))
    (out,) = engine.substituted()
    assert out.again_ms == driver.now_ms + driver.rules.limits.plugin_retry_ms
    engine.advance(out.again_ms)
    assert engine.substituted() == ()


def test_a_failure_is_told_in_its_own_step() -> None:
    """Also where nothing became free: a call that is refused because it would wait too long was asked about first."""
    rules = rules_of(
        queue(
            "q",
            call_order="breaking_order",
            call_order_parameters=(("at", "late"),),
            max_estimated_wait_ms=1,
            when_estimated_wait=Overflow(ToHangup("USER_BUSY"), waiting=False),
        ),
        agent("a", "q"),
    )
    driver = Driver(rules, BREAKING)
    for event in (e.SwitchConnected("fs1"), e.AgentLoggedIn("a", "test"), queued("talks", "q")):
        driver.tell(event)
    step = driver.tell(queued("late", "q"))
    assert [type(record) for record in step.records if isinstance(record, CallEnded | StrategyFailed)] == [
        CallEnded,
        StrategyFailed,
    ]


def test_a_failure_that_happened_before_stays() -> None:
    """A queue that had to do without its plugin does without it after a restart, until the rules are read anew."""
    driver = tire(5)
    engine = twin(driver.engine, TiredPlugins(None))
    assert [order["strategy_failed"] for order in engine.dump()["orders"]] == [True]
    engine.handle(e.RulesChanged(replace(driver.rules)), driver.now_ms)
    assert [order["strategy_failed"] for order in engine.dump()["orders"]] == [False]


def test_a_queue_that_is_gone_stays_gone() -> None:
    """A queue whose last talk goes on after a reload has removed it takes no new calls after a restart, either."""
    driver = Driver(rules_of(queue("q"), queue("other"), agent("a", "q")))
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(e.AgentLoggedIn("a", "test"))
    ring = driver.tell(queued("c", "q")).commands[0]
    assert isinstance(ring, RingAgent)
    driver.tell(e.OfferAnswered(ring.offer_id))
    driver.tell(e.OfferConnected(ring.offer_id))
    driver.tell(e.RulesChanged(rules_of(queue("other"), agent("a"))))
    engine = twin(driver.engine, PLUGINS)
    assert [call.queue for call in engine.snapshot(0).calls] == ["q"]
    assert engine.handle(queued("late", "q"), 0).refused == "there is no queue 'q'"


def test_what_is_gone_is_in_no_memory() -> None:
    """Delays that nobody has any more, and all that was known of a queue that is no more, are forgotten."""
    both = rules_of(queue("q"), queue("gone"), agent("a", "q", "gone"), agent("b", "q"))
    driver = Driver(both)
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(queued("c", "gone"))
    driver.tell(e.CallerGone("c"))
    for delay_ms in (1_000, 2_000, 3_000):
        driver.tell(e.AgentChangeAsked("a", "test", queues={"q": Service(delay_ms=delay_ms), "gone": Service()}))
    driver.tell(e.AgentChangeAsked("b", "test", queues={"q": Service(delay_ms=3_000)}))
    assert driver.engine.dump()["delays"]["q"] == [3_000]
    driver.tell(e.AgentChangeAsked("a", "test", queues={"q": Service()}))
    assert driver.engine.dump()["delays"]["q"] == [3_000], "another agent has it still"
    driver.tell(e.QueueSetOpen("gone", open=False, by="test"))
    assert "'gone'" in str(driver.engine.dump())
    driver.tell(e.RulesChanged(rules_of(queue("q"), agent("a", "q"), agent("b", "q"))))
    assert "'gone'" not in str(driver.engine.dump())


def test_missed_calls_of_a_memory_of_before_count_on() -> None:
    """An older fsacd counted the calls that were not answered alone, and reads that of a newer one, too."""
    driver = Driver(rules_of(queue("q", not_ready_after=2), agent("a", "q")))
    for event in (e.SwitchConnected("fs1"), e.AgentLoggedIn("a", "test"), queued("c", "q")):
        step = driver.tell(event)
    (ring,) = (command for command in step.commands if isinstance(command, RingAgent))
    driver.tell(e.OfferEnded(ring.offer_id, e.OfferEnd.NO_ANSWER))
    plain = driver.engine.dump()
    assert plain["agents"][0]["unanswered"] == 1
    del plain["agents"][0]["in_vain"]
    engine = Engine.restore(plain, PLUGINS)
    step = engine.advance(engine.next_deadline_ms() or 0)
    (ring,) = (command for command in step.commands if isinstance(command, RingAgent))
    engine.handle(e.OfferEnded(ring.offer_id, e.OfferEnd.NO_ANSWER), engine.now_ms)
    (view,) = engine.snapshot(engine.now_ms).agents
    assert (view.state, view.reason) == ("not_ready", "no_answer")


def test_agents_who_were_given_a_queue_by_hand_keep_their_places() -> None:
    """The round goes on in the order in which they were given it, not in that of the configuration."""
    driver = Driver(rules_of(queue("q", strategy="round_robin"), agent("a"), agent("b")))
    for agent_id in ("b", "a"):
        driver.tell(e.AgentChangeAsked(agent_id, "test", queues={"q": Service()}))
    engine = twin(driver.engine, PLUGINS)
    for event in (e.SwitchConnected("fs1"), e.AgentLoggedIn("a", "test"), e.AgentLoggedIn("b", "test")):
        engine.handle(event, 0)
    ring = engine.handle(queued("c", "q"), 0).commands[0]
    assert isinstance(ring, RingAgent)
    assert ring.agent_id == "b"


def test_a_place_is_kept_over_a_restart_and_by_a_bound() -> None:
    """Who has hung up before the restart gets their place after it, once; of too many the oldest places go."""
    rules = rules_of(queue("q", abandoned_resume_ms=60_000), agent("a", "q"), limits=Limits(abandoned=100))
    driver = Driver(rules)
    driver.tell(e.SwitchConnected("fs1"))
    for number in range(150):
        driver.tell(queued(f"c{number}", "q", driver.now_ms, number=f"+49{number:03}"))
        driver.tell(e.CallerGone(f"c{number}"))
    engine = twin(driver.engine, PLUGINS)
    assert engine.dump() == driver.engine.dump()
    assert [place["call_id"] for place in engine.dump()["abandoned"]] == [f"c{number}" for number in range(50, 150)]
    assert set(engine.numbers_remembered()) == {f"+49{number:03}" for number in range(50, 150)}
    for again, resumes in (("again", "c149"), ("third", "")):
        engine.handle(queued(again, "q", 1_000, number="+49149"), 1_000)
        view = next(view for view in engine.snapshot(1_000).calls if view.call_id == again)
        assert (view.resumes, view.head_start_ms) == (resumes, 1_000 if resumes else 0)
    engine.handle(e.CallersForgotten(("+49148",)), 1_000)
    assert len(engine.dump()["abandoned"]) == 98
    # Told before the deadline that has come is acted on: it is too late all the same.
    engine.handle(queued("late", "q", 60_000, number="+49147"), 60_000)
    assert [call.resumes for call in engine.snapshot(60_000).calls if call.call_id == "late"] == [""]
    engine.advance(60_000)
    assert engine.dump()["abandoned"] == []
    engine.check()
