"""The index before a crowd: many ready agents, more requirement sets than anything is kept for."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

import pytest

from fsacd.core import skills
from fsacd.core.agent import Agent
from fsacd.core.call import Call, Preferred
from fsacd.core.events import Leg
from fsacd.core.life import distribute
from fsacd.core.match.index import Index
from fsacd.core.match.queue_index import KEPT_ORDERS
from fsacd.core.match.stretches import LONGEST
from fsacd.core.rules import Parameters, Service, SkillLevels
from fsacd.strategy import CallOrder, KeyStrategy, Start, Strategy
from fsacd.testing import PLUGINS, agent, queue, replay, rules_of
from strategies.most_skilled import Strategy as MostSkilled
from tests.core.built import Built, make_agent, make_call
from tests.core.centres import AGENTS
from tests.core.plugins import TestPlugins
from tests.core.test_holdings import walk

SKILLS = [f"skill{number}" for number in range(12)]
KEY_STRATEGIES = (
    "fewest_calls",
    "least_occupied",
    "least_recent",
    "least_talk_time",
    "longest_idle",
    "most_skilled",
    "ring_all",
    "ring_progressive",
    "round_robin",
    "round_robin_memory",
    "top_down",
)
BY_SKILL = "by_skill"


class BySkill(MostSkilled):
    """most_skilled, if it did not say that its key is a sum."""

    by_sum = False


class MyPlugins:
    """The shipped plugins, and that one."""

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """A strategy."""
        return BySkill() if name == BY_SKILL else PLUGINS.strategy(name, parameters)

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """A shipped call order."""
        return PLUGINS.call_order(name, parameters)


def requirement(dice: random.Random, most: int = 3) -> SkillLevels:
    """Some skills at some levels; `SkillLevels` are sorted."""
    return tuple(sorted((skill, dice.randint(1, 6)) for skill in dice.sample(SKILLS, dice.randint(0, most))))


class Crowd:
    """A queue with agents of all kinds, and the truth about it by a look at all of them."""

    def __init__(self, dice: random.Random, strategy: str, *, level_first: bool, agents: int = 60) -> None:
        self.dice = dice
        self.level_first = level_first
        self.strategy = MyPlugins().strategy(strategy, ())
        made = [agent(f"a{number}", ("support", self._service()), skills=self._skills()) for number in range(agents)]
        rules = rules_of(queue("support", strategy=strategy, level_first=level_first), *made)
        # Many are idle since the same moment, so that ids decide, too.
        self.built = Built(rules, MyPlugins(), **{one.agent_id: dice.randrange(20) for one in made})

    def _service(self) -> Service:
        dice = self.dice
        return Service(rank=dice.choice((1, 1, 2, 3)), delay_ms=dice.choice((0, 0, 5_000)), backup=dice.random() < 0.1)

    def _skills(self) -> dict[str, int]:
        return {skill: self.dice.randint(1, 10) for skill in self.dice.sample(SKILLS, self.dice.randrange(len(SKILLS)))}

    def change(self) -> None:
        """An agent comes, goes, or comes back with other skills."""
        built, agent_id = self.built, f"a{self.dice.randrange(len(self.built.agents))}"
        if agent_id in built.ready:
            built.take_out(agent_id)
            return
        old = built.agents[agent_id]
        if self.dice.random() < 0.5:
            built.index.forget_seats(agent_id)
            place = old.serves[0].facts.place
            rules = agent(agent_id, ("support", self._service()), skills=self._skills())
            within = self.dice.choice(((), ("fs1",), ("fs1", "fs2")))
            old = built.agents[agent_id] = make_agent(rules, place, self.dice.randrange(20), within)
        built.ready[agent_id] = old
        built.index.add_agent(old)

    def call(self, number: int, required: SkillLevels) -> Call:
        """A call that may have been ringing before and may ring those of one rank and level alone."""
        dice = self.dice
        call = make_call(f"c{number}", "support", number, required, delay_ms=dice.choice((0, 5_000)))
        call.backup = dice.random() < 0.5
        if dice.random() < 0.5:
            call.leg = Leg(dice.choice(("fs1", "fs2")), f"leg{number}")
        call.last_place = dice.choice((None, dice.randrange(60)))
        call.not_taken = {f"a{dice.randrange(60)}": dice.randint(1, 2) for _ in range(dice.choice((0, 0, 5, 60)))}
        if dice.random() < 0.2:
            call.only_rank_and_level = (dice.randint(1, 3), -dice.randint(0, 10) if self.level_first else 0)
        return call

    def before_the_strategy(self, call: Call) -> dict[str, tuple[int, int, int]]:
        """Everybody whom the call may have: how often they have not taken it, rank, level (negated)."""
        found = {}
        for agent_id, one in self.built.ready.items():
            served, level = one.serves[0], skills.fit(call.required, dict(one.rules.skills))
            in_time = served.delay_ms <= call.delay_ms and (call.backup or not served.backup)
            rings = not served.within or call.leg is None or call.leg.switch in served.within
            if level is not None and in_time and rings:
                key = (served.rank, -level if self.level_first else 0)
                if call.only_rank_and_level in {None, key}:
                    found[agent_id] = (call.not_taken.get(agent_id, 0), *key)
        return found

    def best(self, call: Call) -> str | None:
        """Who must get the call by a strategy that has keys."""
        strategy = cast(KeyStrategy, self.strategy)
        last = self.built.orderings["support"].last_place
        start = strategy.start(Start(last, call.last_place)) if strategy.goes_round else None

        def key(agent_id: str) -> tuple[Any, ...]:
            one: Agent = self.built.ready[agent_id]
            assert one.facts is not None
            mine = strategy.key(one.facts, one.serves[0].facts, call.required if strategy.by_skill else ())
            return (*fitting[agent_id], start is not None and mine <= start, mine, agent_id)

        fitting = self.before_the_strategy(call)
        return min(fitting, key=key, default=None)


@pytest.mark.parametrize("level_first", [True, False])
@pytest.mark.parametrize("strategy", [*KEY_STRATEGIES, BY_SKILL])
def test_the_same_agent_as_by_a_look_at_all(strategy: str, level_first: bool) -> None:
    """The best agent is found for any requirement, however many are in use and whoever comes and goes."""
    dice = random.Random(f"{strategy} {level_first}")
    crowd = Crowd(dice, strategy, level_first=level_first)
    requirements = list(dict.fromkeys(requirement(dice) for _ in range(4 * KEPT_ORDERS)))
    assert len(requirements) > 2 * KEPT_ORDERS
    nobody = 0
    for number in range(4 * len(requirements)):
        crowd.built.orderings["support"].last_place = dice.choice((None, dice.randrange(60)))
        call = crowd.call(number, requirements[number % len(requirements)])
        found = crowd.built.index.best_agent(call)
        assert crowd.best(call) == found
        nobody += found is None
        crowd.change()
        if number % 100 == 0:
            crowd.built.check()
    crowd.built.check()
    assert 0 < nobody < 2 * len(requirements)


@pytest.mark.parametrize("level_first", [True, False])
def test_the_same_pool_as_by_a_look_at_all(level_first: bool) -> None:
    """A strategy that ranks sees all of the first rank and level who have not taken the call least often."""
    dice = random.Random(7)
    crowd = Crowd(dice, "random", level_first=level_first)
    for number in range(1_000):
        call = crowd.call(number, requirement(dice, most=2))
        found = crowd.built.index.best_agent(call)
        fitting = crowd.before_the_strategy(call)
        first = min(fitting.values(), default=None)
        _, ranked, candidates = crowd.built.index.last_ranked
        assert {agent_id for agent_id, key in fitting.items() if key == first} == set(ranked)
        assert candidates == len(ranked)
        assert found == (ranked[0] if ranked else None)
        crowd.change()
    crowd.built.check()


def test_what_a_ranking_is_shown() -> None:
    """Each candidate's level is the lowest of theirs in what the call requires, also where it decides nothing."""
    dice = random.Random(8)
    crowd = Crowd(dice, "random", level_first=False)
    index = crowd.built.index
    for number in range(200):
        call = crowd.call(number, requirement(dice))
        queue_index = index._queues["support"]
        pool = [entry for entries in index._candidates(queue_index, call) for entry in entries]
        for shown in index._shown(queue_index, call, pool):
            one = crowd.built.ready[shown.agent.agent_id]
            assert shown.level == skills.fit(call.required, dict(one.rules.skills))


class Work:
    """How many lines of Python have run: work that no machine does faster."""

    lines = 0

    def trace(self, _frame: FrameType, event: str, _arg: object) -> Callable[..., Any]:
        """For `sys.settrace`."""
        self.lines += event == "line"
        return self.trace

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count until the end of the block."""
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)


def work_of(built: Built, requirements: list[SkillLevels]) -> list[int]:
    """The work of one decision for each of these."""
    done = []
    for number, required in enumerate(requirements):
        call, work = make_call(f"c{number}", "support", number, required), Work()
        with work.counting():
            built.index.best_agent(call)
        done.append(work.lines)
    return done


def big_crowd(agents: int, **rules: Any) -> Built:
    """So many ready agents, each with half of the skills; the last two have one skill more."""
    dice = random.Random(agents)
    made = []
    for number in range(agents):
        levels = {skill: dice.randint(1, 10) for skill in dice.sample(SKILLS, len(SKILLS) // 2)}
        if number >= agents - 2:
            levels["rare"] = 5
        made.append(agent(f"a{number}", "support", skills=levels))
    idle = {one.agent_id: number for number, one in enumerate(made)}
    return Built(rules_of(queue("support", **rules), *made), MyPlugins(), **idle)


def sets_of_two(dice: random.Random, many: int) -> list[SkillLevels]:
    """So many different requirements of two skills."""
    sets: dict[SkillLevels, None] = {}
    while len(sets) < many:
        sets[tuple(sorted((skill, dice.randint(1, 5)) for skill in dice.sample(SKILLS, 2)))] = None
    return list(sets)


@pytest.mark.parametrize("level_first", [True, False])
@pytest.mark.parametrize("strategy", ["longest_idle", "most_skilled"])
def test_a_requirement_asked_for_the_first_time_costs_no_more(strategy: str, level_first: bool) -> None:
    """640 sets in rotation, each asked for as if for the first time, cost at most twice what a few cost."""
    built = big_crowd(2_000, strategy=strategy, level_first=level_first)
    sets = sets_of_two(random.Random(3), 640)
    misses, hits = work_of(built, sets), work_of(built, sets[:4] * 160)
    assert sum(misses) <= 2 * sum(hits)
    assert max(misses) <= 2 * max(hits)
    assert sum(work_of(built, sets)) <= 2 * sum(hits)


@pytest.mark.parametrize("strategy", ["longest_idle", "most_skilled", "round_robin"])
def test_the_first_call_sorts_nobody(strategy: str) -> None:
    """Agents are put in order as they come."""
    built = big_crowd(2_000, strategy=strategy)
    first, second = work_of(built, [(), ()])
    assert first <= second + 10


def test_agents_are_put_in_order_anew_by_the_first_call() -> None:
    """As after a reload: by the first call of each queue, for one step would do it in all queues."""
    built = big_crowd(200)
    built.index.order_agents_anew("support")
    assert built.index._queues["support"].orders == {}
    built.take_out("a0")
    built.check()
    assert built.index.best_agent(make_call("anna", "support", 0)) == "a1"
    built.check()
    assert built.order(make_call("bert", "support", 0)) == [f"a{number}" for number in range(1, 200)]
    built.check()


def test_work_does_not_grow_with_the_crowd() -> None:
    """Who has a rare skill is found without a look at everybody, also at the end; and that nobody has one, at once."""
    sets: list[SkillLevels] = [(("rare", 1),), ((SKILLS[0], 1), ("rare", 1)), (("nobody", 1),), ((SKILLS[0], 11),)]
    work = []
    for agents in (250, 4_000):
        built = big_crowd(agents)
        work_of(built, sets)
        work.append(work_of(built, sets))
    small, large = work
    # 16 times as many agents stand in 16 times as many stretches, each at least half full; one costs three lines.
    assert all(more <= less + 3 * 4_000 // (LONGEST // 2) for less, more in zip(small, large, strict=True))
    assert large[2] <= small[2] + 10
    assert large[3] <= small[3] + 10


def test_agents_who_come_and_go_cost_the_same_however_many_sets_are_in_use() -> None:
    """An agent is put into one place for each queue, whatever calls require."""
    work = []
    for many in (4, 640):
        built = big_crowd(1_000)
        work_of(built, sets_of_two(random.Random(3), many))
        counted = Work()
        with counted.counting():
            for number in range(0, 1_000, 10):
                built.index.remove_agent(built.agents[f"a{number}"])
                built.index.add_agent(built.agents[f"a{number}"])
        work.append(counted.lines)
    assert work[1] <= 1.1 * work[0]


def test_nothing_is_kept_for_a_requirement() -> None:
    """Calls may require whatever they like, also skills that nobody has: memory does not grow by it."""
    built = big_crowd(100)
    work_of(built, [*sets_of_two(random.Random(3), 640), *(((f"unheard{number}", 1),) for number in range(640))])
    queue_index = built.index._queues["support"]
    assert [len(list(stretches)) for stretches in queue_index.orders[()].values()] == [100]
    assert list(queue_index.orders) == [()]
    assert set(built.index._skilled._levels) == {*SKILLS, "rare"}
    built.check()


def test_orders_by_skill_are_bounded() -> None:
    """A strategy whose keys depend on the requirement has agents kept in order for a bounded number of them."""
    built = big_crowd(100, strategy=BY_SKILL)
    sets = sets_of_two(random.Random(3), 3 * KEPT_ORDERS)
    work_of(built, sets)
    assert list(built.index._queues["support"].orders) == sets[:KEPT_ORDERS]
    built.check()


def test_an_agent_who_is_gone_leaves_no_skill_behind() -> None:
    """Numbers are given again, and the skills of their former owners are not found."""
    built = big_crowd(50)
    for agent_id in list(built.ready):
        built.take_out(agent_id)
        built.index.forget_seats(agent_id)
    assert built.index._skilled._levels == {}
    late = make_agent(agent("late", "support", skills={"rare": 1}), 0)
    built.agents["late"] = built.ready["late"] = late
    built.index.add_agent(late)
    assert len(built.index._skilled.ids) == 50
    assert built.index.best_agent(make_call("anna", "support", 0, (("rare", 1),))) == "late"
    assert built.index.best_agent(make_call("bert", "support", 0, ((SKILLS[0], 1),))) is None
    built.check()


def test_calls_that_wait_with_many_requirements_are_found() -> None:
    """An agent finds the oldest of calls that wait with more requirement sets than anything is kept for."""
    many = KEPT_ORDERS + 10
    built = Built(rules_of(queue("support"), agent("1001", "support", skills={f"s{n}": 1 for n in range(many)})))
    calls = [built.add(make_call(f"c{n}", "support", n, ((f"s{n}", 1),))) for n in range(many)]
    assert [built.index.best_agent(call) for call in calls] == ["1001"] * many
    assert built.best_call("1001") == "c0"
    built.check()


def test_whom_calls_may_suit_are_all_who_find_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """If agents who come free together are found by the calls, all goes as if each had looked for a call."""
    told = Counter[str]()
    find = Index.whom_calls_may_suit

    def counted(index: Index, agent_ids: Collection[str]) -> list[str]:
        found = find(index, agent_ids)
        told["found"] += len(found)
        told["left out"] += len(agent_ids) - len(found)
        return found

    monkeypatch.setattr(Index, "whom_calls_may_suit", counted)
    for seed in range(12):
        monkeypatch.setattr(distribute, "_MANY", 0)
        adversary = walk(seed, acts=200)
        monkeypatch.setattr(distribute, "_MANY", len(AGENTS))
        driver = adversary.driver
        assert replay(adversary.first_rules, driver.journal, TestPlugins()) == driver.steps
    assert min(told["found"], told["left out"]) > 0, told


def test_a_call_suits_whom_it_waits_for_alone() -> None:
    """A call that waits for one agent alone stands in no group, and is theirs all the same."""
    built = Built(rules_of(queue("support"), agent("a", "support"), agent("b", "support")))
    assert built.index.whom_calls_may_suit(["a", "b"]) == []
    call = make_call("c", "support", 0)
    call.preferred = Preferred("b", 1_000, alone=True)
    built.add(call)
    assert built.index.whom_calls_may_suit(["a", "b"]) == ["b"]
