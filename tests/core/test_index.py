from __future__ import annotations

from fsacd.core import index
from fsacd.core.agent import Agent, Ready
from fsacd.core.call import Call
from fsacd.core.index import Index
from fsacd.core.rules import AgentRules, Rules, Service, SkillLevels
from fsacd.testing import STRATEGIES, agent, queue, rules_of


def make_agent(rules: AgentRules, idle_since_ms: int = 0) -> Agent:
    made = Agent(rules, state=Ready(), idle_since_ms=idle_since_ms)
    made.configure(rules)
    return made


def make_call(call_id: str, queue_name: str, arrived_ms: int, required: SkillLevels = (), priority: int = 0) -> Call:
    return Call(call_id, queue_name, arrived_ms, arrived_ms, 0, priority, required, required, None)


def build(rules: Rules) -> tuple[Index, dict[str, Agent]]:
    made = Index(rules, STRATEGIES)
    agents = {agent_id: make_agent(one) for agent_id, one in rules.agents.items()}
    for one in agents.values():
        made.add_agent(one)
    return made, agents


def test_requirement_sets_nobody_waits_with_are_dropped() -> None:
    """A queue keeps agents sorted for a bounded number of requirement sets, and answers rightly for all."""
    built, agents = build(rules_of(queue("support"), agent("1001", "support", skills={"german": 5})))
    calls = {}
    for number in range(3 * index.REQUIREMENT_SETS):
        required = (("german", 5), (f"skill{number}", 1))
        call = make_call(f"c{number}", "support", number, required)
        built.add_call(call)
        assert built.best_agent(call, 1_000) is None
        built.remove_call(call)
    german = make_call("german", "support", 0, (("german", 5),))
    built.add_call(german)
    calls["german"] = german
    assert built.best_agent(german, 1_000) == "1001"
    assert len(built._queues["support"].ready) <= index.REQUIREMENT_SETS + 1
    built.check(calls, agents)


def test_sets_in_use_are_kept_beyond_the_bound() -> None:
    """Calls that wait with more requirement sets than the bound are all found."""
    many = index.REQUIREMENT_SETS + 10
    skills = {f"skill{number}": 1 for number in range(many)}
    built, agents = build(rules_of(queue("support"), agent("1001", "support", skills=skills)))
    calls = {f"c{n}": make_call(f"c{n}", "support", n, ((f"skill{n}", 1),)) for n in range(many)}
    for call in calls.values():
        built.add_call(call)
    assert [built.best_agent(call, 1_000) for call in calls.values()] == ["1001"] * many
    assert built.best_call(agents["1001"], 1_000) == "c0"
    built.check(calls, agents)


def test_the_best_call_over_all_queues() -> None:
    """Class first, then the agent's rank for the queue, then virtual arrival, then id."""
    rules = rules_of(
        queue("first"), queue("second"), agent("1001", ("first", Service(rank=1)), ("second", Service(rank=2)))
    )
    built, agents = build(rules)
    in_order = [
        make_call("class", "second", 900, priority=1),
        make_call("b", "first", 500),
        make_call("c", "first", 500),
        make_call("late", "first", 501),
        make_call("oldest", "second", 1),
    ]
    for call in reversed(in_order):
        built.add_call(call)
    for call in in_order:
        assert call.call_id == built.best_call(agents["1001"], 1_000)
        built.remove_call(call)
    assert built.best_call(agents["1001"], 1_000) is None


def test_the_best_agent_for_a_call() -> None:
    """Rank first, then the better skilled, then the strategy's key, then id; a delayed one only when it is time."""
    rules = rules_of(
        queue("support"),
        agent("delayed", ("support", Service(rank=1, delay_ms=5_000)), skills={"german": 9}),
        agent("skilled", "support", skills={"german": 8}),
        agent("a", "support", skills={"german": 5}),
        agent("b", "support", skills={"german": 5}),
        agent("last", ("support", Service(rank=2)), skills={"german": 10}),
        agent("never", "support", skills={"english": 10}),
    )
    built, agents = build(rules)
    call = make_call("anna", "support", 0, (("german", 5),))
    assert built.best_agent(call, 5_000) == "delayed"
    order = []
    while (agent_id := built.best_agent(call, 4_999)) is not None:
        order.append(agent_id)
        built.remove_agent(agents[agent_id])
    assert order == ["skilled", "a", "b", "last"]


def test_longest_idle_first() -> None:
    """Among equals the strategy's key decides: here, who has had no talk for longest."""
    rules = rules_of(queue("support"), agent("a", "support"), agent("b", "support"))
    built = Index(rules, STRATEGIES)
    built.add_agent(make_agent(rules.agents["a"], idle_since_ms=20))
    built.add_agent(make_agent(rules.agents["b"], idle_since_ms=10))
    assert built.best_agent(make_call("anna", "support", 0), 100) == "b"
