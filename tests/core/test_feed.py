"""The feed of changes: views that are kept by nothing but the feed equal the engine's, always."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from fsacd.core import events as e
from fsacd.core.commands import RingAgent
from fsacd.core.engine import Engine
from fsacd.core.rules import QueueRules, Rules, Service
from fsacd.core.show.feed import Feed, Place, read, written
from fsacd.core.show.parts import whole
from fsacd.core.views import AgentView, CallView, QueueView, Step
from fsacd.testing import PLUGINS, Driver, agent, queue, queued, rules_of
from tests.core import walks
from tests.core.adversary import Adversary
from tests.core.centres import AGENTS, NUMBERS, QUEUES, SWITCHES
from tests.core.tired import TiredPlugins

View = TypeVar("View", AgentView, CallView, QueueView)

# Orders that give a call the same key at each look.
STEADY = (None, "by_class", "newest_first")


def timeless_call(view: CallView) -> CallView:
    """Without what the time does, which must follow from the moments; and without its position, the queue's part."""
    return replace(view, waited_ms=0, talked_ms=0, position=0)


def timeless_queue(view: QueueView) -> QueueView:
    """Without what the time does."""
    by_time = view.call_order is not None
    return replace(view, oldest_wait_ms=None, estimated_wait_ms=None if by_time else view.estimated_wait_ms)


class Reader:
    """Shows calls, agents and queues by what the feed tells, and looks at nothing else."""

    def __init__(self, engine: Engine, limit: int = 10_000) -> None:
        self.engine = engine
        self.feed = Feed("here", engine.is_there, limit)
        self.anew = 0
        self.read_everything()

    def read_everything(self) -> None:
        shown = self.engine.snapshot(self.engine.now_ms)
        self.place = self.feed.here
        self.calls = {view.call_id: timeless_call(view) for view in shown.calls}
        self.positions = {view.call_id: (view.queue, view.position) for view in shown.calls}
        self.agents = {view.agent_id: view for view in shown.agents}
        self.queues = {view.name: timeless_queue(view) for view in shown.queues}

    def catch_up(self) -> None:
        told = self.feed.since(self.place)
        if told is None:
            self.anew += 1
            self.read_everything()
            return
        assert [change.number for change in told] == sorted({change.number for change in told})
        assert len({change[1:] for change in told}) == len(told), "a thing is told twice"
        look = self.engine.look(self.engine.now_ms)
        self.place = self.feed.here
        for _, kind, key in told:
            if kind == "call":
                keep(self.calls, key, look.call(key), timeless_call)
            elif kind == "agent":
                keep(self.agents, key, look.agent(key), lambda view: view)
            else:
                keep(self.queues, key, whole(look.queue(key)), timeless_queue)
                stand = whole(look.calls(queue=key, limit=10_000)).views
                self.positions = {one: place for one, place in self.positions.items() if place[0] != key}
                self.positions.update((view.call_id, (key, view.position)) for view in stand)

    def compare(self) -> None:
        """What is shown is what the engine is, and the time explains the rest."""
        now_ms = self.engine.now_ms
        shown = self.engine.snapshot(now_ms)
        assert self.agents == {view.agent_id: view for view in shown.agents}
        assert self.queues == {view.name: timeless_queue(view) for view in shown.queues}
        assert self.calls == {view.call_id: timeless_call(view) for view in shown.calls}
        steady = {view.name for view in shown.queues if view.call_order in STEADY}
        assert {one: place for one, place in self.positions.items() if place[0] in steady} == {
            view.call_id: (view.queue, view.position) for view in shown.calls if view.queue in steady
        }
        for call in shown.calls:
            assert call.waits_since_ms is None or call.waited_ms == now_ms - call.waits_since_ms
            assert call.talks_since_ms is None or call.talked_ms == now_ms - call.talks_since_ms
        for one in shown.queues:
            assert one.oldest_wait_ms == (None if one.oldest_since_ms is None else now_ms - one.oldest_since_ms)


def keep(views: dict[str, View], key: str, view: View | None, kept: Callable[[View], View]) -> None:
    """Show this view from now on, or nothing."""
    if view is None:
        views.pop(key, None)
    else:
        views[key] = kept(view)


def follow(driver: Driver, *readers: Reader) -> None:
    """Let these readers catch up and compare after each step of the engine."""
    taken = driver._take

    def take(event: e.Event | None) -> Step:
        step = taken(event)
        for reader in readers:
            reader.feed.take(step)
            reader.catch_up()
            reader.compare()
        return step

    driver._take = take  # type: ignore[method-assign]  # each step must be seen, whoever asks for it


def hostile(seed: int) -> tuple[Adversary, Callable[[], None]]:
    """A hostile day, and what does its next deed."""
    dice = random.Random(seed)
    # In every other one some queues hold no phone calls, so that agents hold several pieces of work.
    shape = walks.weighed if seed % 2 else (lambda rules: rules)
    adversary = Adversary(walks.rules_of_chance(dice), proved=False, shape=shape)
    adversary.oracle.only_holdings = bool(seed % 2)
    return adversary, walks.deeds(adversary, dice)


@pytest.mark.parametrize("seed", range(8))
def test_views_by_the_feed_are_the_engines(seed: int) -> None:
    """At every step of a hostile day, for a reader who forgets nothing and for one whose feed is short."""
    adversary, deed = hostile(seed)
    readers = Reader(adversary.driver.engine), Reader(adversary.driver.engine, limit=3)
    follow(adversary.driver, *readers)
    for agent_id in AGENTS:
        adversary.tell(e.AgentLoggedIn(agent_id, "test"))
    for _ in range(120):
        deed()
    assert readers[0].anew == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_reader_who_comes_seldom_misses_nothing(seed: int) -> None:
    """However long they were away: of many changes of a thing the last one is told; or they are told to begin anew."""
    adversary, deed = hostile(seed)
    often, seldom = Reader(adversary.driver.engine), Reader(adversary.driver.engine, limit=8)
    taken = len(adversary.driver.steps)
    for agent_id in AGENTS:
        adversary.tell(e.AgentLoggedIn(agent_id, "test"))
    for round_ in range(200):
        deed()
        for step in adversary.driver.steps[taken:]:
            often.feed.take(step)
            seldom.feed.take(step)
        taken = len(adversary.driver.steps)
        if round_ % 5 == 4:
            often.catch_up()
            often.compare()
        if round_ % 40 == 39:
            seldom.catch_up()
            seldom.compare()
    assert often.anew == 0 and seldom.anew


class Strange:
    """What the hostile day leaves out: names to hide, legs that take over, talks that are found, switches taken."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.adversary, self.deed = hostile(seed)
        # The oracle knows none of these facts, so nobody judges what the engine does.
        self.adversary.oracle.watch = lambda *_: None  # type: ignore[method-assign]
        self.number = 0

    def do(self) -> None:
        deeds = (self.comes, self.takes_over, self.is_found, self.is_replaced, self.switch_goes, self.shows, self.deed)
        self.dice.choices(deeds, (3, 2, 2, 1, 0.3, 0.3, 8))[0]()

    def tell(self, event: e.Event) -> None:
        self.adversary.tell(event)

    def queued(self) -> e.CallQueued:
        self.number += 1
        name, leg = f"strange-{self.number}", e.Leg(self.dice.choice(SWITCHES), f"leg-s{self.number}")
        return e.CallQueued(
            name, self.dice.choice(QUEUES), self.adversary.driver.now_ms, leg, number=self.dice.choice(NUMBERS),
            name="Anna", customer=self.dice.choice(("", "ACME")), hidden=self.dice.random() < 0.5,
        )  # fmt: skip

    def comes(self) -> None:
        event = self.queued()
        assert event.leg is not None
        self.adversary.callers[event.call_id] = event.leg.switch
        self.adversary.queued[event.call_id] = event
        self.tell(event)

    def known(self) -> e.CallQueued:
        return self.dice.choice([*self.adversary.queued.values()] or [self.queued()])

    def takes_over(self) -> None:
        """Another leg of another caller has the call, and perhaps said so before the first one's end."""
        event = self.known()
        if self.dice.random() < 0.7:
            self.tell(e.CallerGone(event.call_id, transferred=True, leg=event.leg))
        self.number += 1
        heir = e.Leg(self.dice.choice(SWITCHES), f"heir-{self.number}")
        self.tell(replace(event, leg=heir, name="Berta", hidden=self.dice.random() < 0.5))

    def is_replaced(self) -> None:
        event = self.known()
        if event.leg is not None:
            self.number += 1
            self.tell(e.CallerReplaced(event.leg, e.Leg(event.leg.switch, f"heir-{self.number}")))

    def is_found(self) -> None:
        event, now_ms = self.dice.choice((self.known(), self.queued())), self.adversary.driver.now_ms
        rings = [command for step in self.adversary.driver.steps[-20:] for command in step.commands]
        offers = [ring.offer_id for ring in rings if isinstance(ring, RingAgent)]
        self.number += 1
        offer_id = self.dice.choice([*offers, f"found-{self.number}"])
        agent_id, times = self.dice.choice(AGENTS), (now_ms - 9_000, now_ms - 8_000, now_ms - 7_000)
        self.tell(e.TalkFound(event, offer_id, agent_id, *times))

    def switch_goes(self) -> None:
        switch = self.dice.choice(SWITCHES)
        self.tell(self.dice.choice((e.SwitchTaken(switch), e.SwitchLost(switch))))
        self.adversary.wait(self.dice.choice((0, 25_000)))
        self.tell(e.SwitchConnected(switch))

    def shows(self) -> None:
        """A reload that shows hidden callers, or hides them again."""
        rules = self.adversary.rules
        queues = {
            name: replace(one, show_withheld=self.dice.random() < 0.5, was=()) for name, one in rules.queues.items()
        }
        self.tell(e.RulesChanged(replace(rules, queues=queues)))


@pytest.mark.parametrize("seed", range(12))
def test_nor_is_anything_strange_missed(seed: int) -> None:
    """Hidden callers whose queue comes to show them, heirs, found talks, switches that another daemon has."""
    strange = Strange(seed)
    reader = Reader(strange.adversary.driver.engine)
    follow(strange.adversary.driver, reader)
    for agent_id in AGENTS:
        strange.tell(e.AgentLoggedIn(agent_id, "test"))
    for _ in range(150):
        strange.do()
    assert reader.anew == 0


def centre(*queues: QueueRules, **settings: Any) -> Rules:
    """Two agents at these queues."""
    names = [one.name for one in queues]
    return rules_of(*queues, agent("a", *names), agent("b", *names), **settings)


def watched(rules: Rules) -> tuple[Driver, Reader]:
    """An engine at which one agent is ready, and a reader who keeps up with it."""
    driver = Driver(rules)
    reader = Reader(driver.engine)
    follow(driver, reader)
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(e.AgentLoggedIn("a", "test"))
    return driver, reader


def test_a_queue_under_another_name() -> None:
    """The old name is gone and the new one has all: calls, breaks, counts."""
    driver, reader = watched(centre(queue("old"), queue("other")))
    driver.tell(e.AgentSetNotReadyFor("a", "test", "old", "mail"))
    driver.tell(queued("c", "old"))
    driver.tell(queued("gone", "old"))
    driver.tell(e.CallerGone("gone"))
    driver.tell(e.RulesChanged(centre(replace(queue("new"), was=("old",)), queue("other"))))
    assert set(reader.queues) == {"new", "other"}
    assert (reader.calls["c"].queue, reader.queues["new"].abandoned) == ("new", 1)
    assert reader.agents["a"].not_ready_for == (("new", "mail"),)


def test_what_a_step_names_is_in_order_and_once() -> None:
    """A call that comes is rung for: call, agent and queues; and a fact that changes nothing names nothing."""
    driver, _ = watched(centre(queue("q"), queue("other")))
    step = driver.tell(queued("c", "q"))
    assert (step.calls, step.agents, sorted(step.queues)) == (("c",), ("a",), ["other", "q"])
    step = driver.tell(queued("c", "q"))
    assert (step.calls, step.agents, step.queues) == ((), (), ())


def test_a_reload_that_changes_no_agent_names_none() -> None:
    """Ten thousand desks need not look anew because one queue has changed."""
    driver, _ = watched(centre(queue("q")))
    assert driver.tell(e.RulesChanged(centre(queue("q", max_length=7)))).agents == ()
    more = rules_of(queue("q"), agent("a", ("q", Service(rank=2))), agent("b", "q"))
    assert driver.tell(e.RulesChanged(more)).agents == ("a",)


def test_who_serves_no_queue_comes_and_goes_too() -> None:
    """No queue tells of them."""
    driver, reader = watched(centre(queue("q")))
    driver.tell(e.RulesChanged(rules_of(queue("q"), agent("a", "q"), agent("b", "q"), agent("new"))))
    assert set(reader.agents) == {"a", "b", "new"}
    driver.tell(e.RulesChanged(centre(queue("q"))))
    assert set(reader.agents) == {"a", "b"}


def test_a_plugin_that_comes_back_changes_its_queue() -> None:
    """Also where no call stands in it."""
    rules = rules_of(queue("q", strategy="tired"), agent("a", "q"), agent("b", "q"))
    driver = Driver(rules, TiredPlugins(2), strict=False)  # the proof asks the strategy, too
    reader = Reader(driver.engine)
    follow(driver, reader)
    for event in (e.SwitchConnected("fs1"), e.AgentLoggedIn("a", "test"), e.AgentLoggedIn("b", "test")):
        driver.tell(event)
    (ring,) = driver.tell(queued("c", "q")).commands
    assert isinstance(ring, RingAgent)
    assert reader.queues["q"].substituted
    driver.tell(e.CallerGone("c"))
    driver.tell(e.OfferEnded(ring.offer_id, e.OfferEnd.CANCELLED))
    driver.wait(120_000)
    assert reader.queues["q"].substituted == ()


def test_an_engine_that_goes_on_has_changed_nothing() -> None:
    """What a restart makes anew is no change."""
    driver, _ = watched(centre(queue("q")))
    again = Engine.restore(driver.engine.dump(), PLUGINS)
    assert again.handle(e.CallerGone("nobody"), driver.now_ms) == Step()


def test_a_reader_of_another_feed_reads_everything() -> None:
    """After a restart numbers begin anew, and nobody takes them for the old ones."""
    feed = Feed("here", lambda *_: True)
    feed.take(Step(calls=("c",), agents=("a", "b"), queues=("q",)))
    assert feed.here == Place("here", 4)
    assert feed.since(Place("before", 2)) is None
    assert feed.since(Place("here", 5)) is None
    assert feed.since(feed.here) == ()
    assert feed.since(Place("here", 2)) == ((3, "agent", "b"), (4, "queue", "q"))
    feed.take(Step(agents=("a",)))
    assert feed.since(Place("here", 2)) == ((3, "agent", "b"), (4, "queue", "q"), (5, "agent", "a"))
    assert [feed.latest("agent", "a"), feed.latest("agent", "z"), feed.latest_of("call")] == [5, 0, 1]


def test_memory_grows_with_what_there_is() -> None:
    """A feed that is full forgets what is gone, and goes on knowing the numbers of what is there."""
    there = {"stays"}
    feed = Feed("here", lambda _, key: key in there, limit=10)
    feed.take(Step(calls=("stays",)))
    place = feed.here
    for number in range(1_000):
        feed.take(Step(calls=(f"c{number}",)))
    assert feed.since(place) is None
    assert feed.since(Place("here", 991)) == tuple((number + 2, "call", f"c{number}") for number in range(990, 1_000))
    assert feed.latest("call", "stays") == 1
    assert len(feed._recent) + len(feed._settled) == 11
    feed.take(Step(calls=("stays",)))
    there.clear()
    for number in range(10):
        feed.take(Step(calls=(f"d{number}",)))
    assert feed.here.number == 1_012
    assert len(feed._recent) + len(feed._settled) == 10


@pytest.mark.parametrize("word", ["", "-", "x", "7", "x-", "x-y", "x-²", "x--", "x-1" + "0" * 5_000])
def test_a_word_that_is_no_place(word: str) -> None:
    """Whatever a stranger sends is no place."""
    assert read(word) is None


def test_a_place_is_written_as_one_word() -> None:
    """And read again."""
    assert read(written(Place("1f", 12))) == Place("1f", 12)
