"""Other rules told as what differs: nothing else is touched, and to work it out beforehand changes nothing."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsacd.core.amending import amended, differing
from fsacd.core.commands import RingAgent
from fsacd.core.events import AgentChangeAsked, AgentLoggedIn, RulesAmended, RulesChanged, SwitchConnected
from fsacd.core.rules import AgentRules, Limits, Rules, Service
from fsacd.core.show.parts import whole
from fsacd.testing import Driver, agent, queue, queued, rules_of
from tests.core.centres import Pick, build_rules
from tests.core.plugins import TestPlugins

NUMBERS = st.integers(min_value=0, max_value=2**660)


def with_agents(rules: Rules, *agents: AgentRules) -> Rules:
    """The same queues, and these agents in this order."""
    return replace(rules, agents=MappingProxyType({one.agent_id: one for one in agents}))


@given(NUMBERS, NUMBERS)
@settings(deadline=None, max_examples=50)
def test_what_differs_makes_the_new_rules_of_the_old(old_number: int, new_number: int) -> None:
    """In their order, too; and what is the same is the very object that it was."""
    old, new = build_rules(Pick(old_number)), build_rules(Pick(new_number))
    event = whole(differing(old, new, 7))
    if event is None:
        assert old == new
        assert (list(old.queues), list(old.agents)) == (list(new.queues), list(new.agents))
        return
    made = amended(old, (), event)
    assert made == new
    assert (list(made.queues), list(made.agents)) == (list(new.queues), list(new.agents))
    same = [agent_id for agent_id, one in old.agents.items() if new.agents.get(agent_id) == one]
    assert all(made.agents[agent_id] is old.agents[agent_id] for agent_id in same)


RULES = rules_of(queue("support"), queue("sales"), *(agent(f"a{n}", "support", "sales") for n in range(6)))


@pytest.fixture
def driver() -> Driver:
    driver = Driver(RULES, TestPlugins())
    driver.tell(SwitchConnected("fs1"))
    for agent_id in RULES.agents:
        driver.tell(AgentLoggedIn(agent_id, "test"))
    return driver


def what_differs(driver: Driver, new: Rules) -> RulesAmended:
    event = whole(differing(driver.rules, new, driver.engine.edition))
    assert event is not None
    return event


def test_nothing_differs_in_the_same_rules() -> None:
    """Read from the same file once more, say."""
    again = rules_of(queue("support"), queue("sales"), *(agent(f"a{n}", "support", "sales") for n in range(6)))
    assert whole(differing(RULES, again, 0)) is None
    assert whole(differing(RULES, replace(again, limits=Limits(calls=1)), 0)) is not None
    assert whole(differing(RULES, again, 0, anew=["support"])) is not None


def test_who_has_not_changed_is_not_touched(driver: Driver) -> None:
    """Their services, their place in the index, the queues' plugins."""
    world = driver.engine._world
    before = {
        agent_id: (one.services, one.facts, world.index._agents[agent_id]) for agent_id, one in world.agents.items()
    }
    orderings = dict(world.orderings)
    changed = replace(RULES.agents["a3"], skills=(("german", 3),))
    driver.tell(what_differs(driver, with_agents(RULES, *({**RULES.agents, "a3": changed}).values())))
    for agent_id, (services, facts, stands) in before.items():
        now = world.agents[agent_id]
        same = now.services is services and now.facts is facts and world.index._agents[agent_id] is stands
        assert same == (agent_id != "a3"), agent_id
    assert world.orderings == orderings
    assert world.agents["a3"].rules is changed


def test_who_has_only_another_name_stays_in_the_index(driver: Driver) -> None:
    """Calls find them as before; a plugin is not asked for their key once more."""
    world = driver.engine._world
    before = world.index._agents["a3"]
    changed = replace(RULES.agents["a3"], name="Anna")
    driver.tell(what_differs(driver, with_agents(RULES, *({**RULES.agents, "a3": changed}).values())))
    assert world.index._agents["a3"] is before
    assert world.agents["a3"].rules.name == "Anna"


def test_what_differs_from_other_rules_is_refused(driver: Driver) -> None:
    """Somebody has changed them meanwhile, or a part of the journal was lost: nobody knows what would come out."""
    event = what_differs(driver, with_agents(RULES, *list(RULES.agents.values())[:3]))
    driver.tell(RulesChanged(with_agents(RULES, *list(RULES.agents.values())[:5])))
    step = driver.tell(event)
    assert step.refused == "the rules were changed meanwhile: they are of edition 1, not 0"
    assert len(driver.engine._world.agents) == 5


def order_of_rings(driver: Driver, queue_name: str) -> list[str]:
    """Whom the queue rings, one after the other, for calls that come now."""
    before = len(driver.commands_of(RingAgent))
    for number in range(len(driver.engine._world.agents)):
        driver.tell(queued(f"c{number}", queue_name, driver.now_ms))
    return [ring.agent_id for ring in driver.commands_of(RingAgent)[before:]]


@pytest.mark.parametrize("prepared", [False, True])
def test_agents_stand_in_the_order_of_the_file(prepared: bool) -> None:
    """Also one who is new in the middle, one who has moved, and those behind one who is gone."""
    top_down = rules_of(queue("support", strategy="top_down"), *(agent(f"a{n}", "support") for n in range(6)))
    driver = Driver(top_down, TestPlugins())
    driver.tell(SwitchConnected("fs1"))
    of = top_down.agents
    new = with_agents(top_down, of["a5"], of["a0"], agent("new", "support"), of["a2"], of["a3"], of["a4"])
    event = what_differs(driver, new)
    assert event.gone_agents == ("a1",)
    if prepared:
        whole(driver.engine.prepare(event))
    driver.tell(event)
    for agent_id in new.agents:
        driver.tell(AgentLoggedIn(agent_id, "test"))
    assert order_of_rings(driver, "support") == ["a5", "a0", "new", "a2", "a3", "a4"]


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_was_worked_out_beforehand_is_what_comes_of_it(by_hand: bool) -> None:
    """Also when somebody has changed an agent in between: a replay works nothing out beforehand."""
    dumps = []
    for prepared in (False, True):
        driver = Driver(RULES, TestPlugins())
        driver.tell(SwitchConnected("fs1"))
        driver.tell(AgentLoggedIn("a1", "test", contact="user/elsewhere"))
        of = RULES.agents
        moved = replace(of["a2"], queues={"sales": Service(delay_ms=5_000)})
        new = with_agents(RULES, of["a4"], agent("new", "support"), moved, of["a1"], of["a0"])
        event = what_differs(driver, new)
        if prepared:
            whole(driver.engine.prepare(event))
        if by_hand:
            driver.tell(AgentChangeAsked("a0", "test", queues={"sales": Service(rank=2)}))
        driver.tell(event)
        dumps.append(driver.engine.dump())
    assert dumps[0] == dumps[1]


def test_many_who_change_at_once_stand_where_they_would_if_all_were_made_anew() -> None:
    """A queue that loses most of its ready agents is sorted anew, one that keeps most of them is not."""
    both = [agent(f"a{n:03}", "support", "sales", skills={"german": 1 + n % 10}) for n in range(130)]
    more = [agent(f"b{n:03}", "sales") for n in range(150)]
    old = rules_of(queue("support"), queue("sales"), *both, *more)
    others = [replace(one, skills=(("german", 1 + n % 7), ("welsh", 2))) for n, one in enumerate(both[:100])]
    new = with_agents(old, *others, *both[100:], *more)
    rings = []
    for whole_rules in (False, True):
        driver = Driver(old, TestPlugins())
        driver.tell(SwitchConnected("fs1"))
        for agent_id in reversed(list(old.agents)):
            driver.tell(AgentLoggedIn(agent_id, "test"))
            driver.wait(1)
        kept = driver.engine._world.index.sorted_for("sales")
        driver.tell(RulesChanged(new) if whole_rules else what_differs(driver, new))
        driver.engine.check()
        sorted_for = [driver.engine._world.index.sorted_for(name) for name in ("support", "sales")]
        assert sorted_for == ([(), ()] if whole_rules else [(), kept])
        for number in range(120):
            driver.tell(queued(f"s{number}", "sales", driver.now_ms))
        rings.append([ring.agent_id for ring in driver.commands_of(RingAgent)] + order_of_rings(driver, "support"))
        driver.engine.check()
    assert len(set(rings[0])) == 250
    assert rings[0] == rings[1]
