from __future__ import annotations

from fsacd.core.agent import Agent, Ready, Served
from fsacd.core.call import Call, Preferred
from fsacd.core.match import index
from fsacd.core.match.index import Index
from fsacd.core.match.ordering import Failure, Ordering
from fsacd.core.rules import AgentRules, Rules, Service, SkillLevels
from fsacd.strategy import AgentFacts, ServiceFacts
from fsacd.testing import PLUGINS, agent, queue, rules_of


def make_agent(rules: AgentRules, place: int, idle_since_ms: int = 0) -> Agent:
    facts = AgentFacts(rules.agent_id, idle_since_ms, 0, 0.0, 0.0, 0.0, rules.skills)
    made = Agent(rules.agent_id, rules, rules, presence=Ready(), state=Ready(), room=100, facts=facts)
    serves = tuple(
        Served(name, service.rank, service.delay_ms, service.backup, ServiceFacts(place, service.rank, service.weight))
        for name, service in rules.queues.items()
    )
    made.configure(rules, serves)
    return made


def make_call(
    call_id: str, queue_name: str, arrived_ms: int, required: SkillLevels = (), priority: int = 0, delay_ms: int = 0
) -> Call:
    return Call(
        call_id,
        queue_name,
        arrived_ms,
        arrived_ms,
        0,
        priority,
        required,
        None,
        priority=priority,
        required=required,
        delay_ms=delay_ms,
    )


class Built:
    """An index with all agents of some rules ready in it."""

    def __init__(self, rules: Rules, **idle_since_ms: int) -> None:
        self.failures: list[Failure] = []
        self.orderings = {
            name: Ordering(one, PLUGINS, seed=0, failures=self.failures, expected={}, last_place=None, now_ms=0)
            for name, one in rules.queues.items()
        }
        self.agents = {
            agent_id: make_agent(one, place, idle_since_ms.get(agent_id, 0))
            for place, (agent_id, one) in enumerate(rules.agents.items())
        }
        self.index = Index(self.orderings, self.agents.__getitem__, rank_pool=200)
        self.calls: dict[str, tuple[Call, bool]] = {}
        self.ready = dict(self.agents)
        for one in self.agents.values():
            self.index.add_agent(one)

    def add(self, call: Call, *, already_ringing: bool = False) -> Call:
        self.index.add_call(call, already_ringing=already_ringing)
        self.calls[call.call_id] = (call, already_ringing)
        return call

    def remove(self, call: Call) -> None:
        self.index.remove_call(call.call_id)
        del self.calls[call.call_id]

    def take_out(self, agent_id: str) -> None:
        self.index.remove_agent(self.ready.pop(agent_id))

    def best_call(self, agent_id: str) -> str | None:
        return self.index.best_call(self.agents[agent_id])

    def check(self) -> None:
        self.index.check(self.calls, self.ready)

    def order(self, call: Call) -> list[str]:
        """All agents whom the call would ring, one after the other; they are taken out."""
        found = []
        while (agent_id := self.index.best_agent(call)) is not None:
            found.append(agent_id)
            self.take_out(agent_id)
        return found


def test_requirement_sets_nobody_waits_with_are_dropped() -> None:
    """A queue keeps agents sorted for a bounded number of requirement sets, and answers rightly for all."""
    built = Built(rules_of(queue("support"), agent("1001", "support", skills={"german": 5})))
    for number in range(3 * index.REQUIREMENT_SETS):
        call = built.add(make_call(f"c{number}", "support", number, (("german", 5), (f"skill{number}", 1))))
        assert built.index.best_agent(call) is None
        built.remove(call)
    german = built.add(make_call("german", "support", 0, (("german", 5),)))
    assert built.index.best_agent(german) == "1001"
    assert len(built.index._queues["support"].ready) <= index.REQUIREMENT_SETS + 1
    built.check()


def test_sets_in_use_are_kept_beyond_the_bound() -> None:
    """Calls that wait with more requirement sets than the bound are all found."""
    many = index.REQUIREMENT_SETS + 10
    skills = {f"skill{number}": 1 for number in range(many)}
    built = Built(rules_of(queue("support"), agent("1001", "support", skills=skills)))
    calls = [built.add(make_call(f"c{n}", "support", n, ((f"skill{n}", 1),))) for n in range(many)]
    assert [built.index.best_agent(call) for call in calls] == ["1001"] * many
    assert built.best_call("1001") == "c0"
    built.check()


def test_the_best_call_over_all_queues() -> None:
    """Nobody rings yet, class, the agent's rank for the queue, virtual arrival, id: in this order."""
    rules = rules_of(
        queue("first"), queue("second"), agent("1001", ("first", Service(rank=1)), ("second", Service(rank=2)))
    )
    built = Built(rules)
    in_order = [
        make_call("class", "second", 900, priority=1),
        make_call("b", "first", 500),
        make_call("c", "first", 500),
        make_call("late", "first", 501),
        make_call("oldest", "second", 1),
    ]
    rings_already = built.add(make_call("rings", "first", 0, priority=2), already_ringing=True)
    for call in reversed(in_order):
        built.add(call)
    for call in in_order:
        assert call.call_id == built.best_call("1001")
        built.remove(call)
    assert built.best_call("1001") == "rings"
    built.remove(rings_already)
    assert built.best_call("1001") is None


def test_the_best_agent_for_a_call() -> None:
    """Rank first, then the better skilled, then the strategy's key, then id; a delayed one only when it is time."""
    rules = rules_of(
        queue("support"),
        agent("delayed", ("support", Service(rank=1, delay_ms=5_000)), skills={"german": 9}),
        agent("skilled", "support", skills={"german": 8}),
        agent("a", "support", skills={"german": 5}),
        agent("b", "support", skills={"german": 5}),
        agent("last", ("support", Service(rank=2)), skills={"german": 10}),
        agent("backup", ("support", Service(backup=True)), skills={"german": 10}),
        agent("never", "support", skills={"english": 10}),
    )
    call = make_call("anna", "support", 0, (("german", 5),))
    assert Built(rules).order(call) == ["skilled", "a", "b", "last"]
    call = make_call("anna", "support", 0, (("german", 5),), delay_ms=5_000)
    call.backup = True
    assert Built(rules).order(call) == ["backup", "delayed", "skilled", "a", "b", "last"]


def test_who_has_not_taken_the_call() -> None:
    """How often an agent has not taken this very call goes before their rank."""
    rules = rules_of(
        queue("support"), agent("a", "support"), agent("b", "support"), agent("c", ("support", Service(rank=2)))
    )
    call = make_call("anna", "support", 0)
    call.not_taken = {"a": 2, "b": 1}
    assert Built(rules).order(call) == ["c", "b", "a"]


def test_longest_idle_first() -> None:
    """Among equals the strategy's key decides: here, who has had no talk for longest."""
    built = Built(rules_of(queue("support"), agent("a", "support"), agent("b", "support")), a=20, b=10)
    assert built.order(make_call("anna", "support", 0)) == ["b", "a"]


def test_a_reserved_call() -> None:
    """A reserved call is its agent's alone, whether they serve its queue or not, and is ranked by the usual key."""
    rules = rules_of(queue("support"), queue("sales"), agent("a", "support"), agent("b", "sales"))
    built = Built(rules)
    reserved = make_call("reserved", "support", 500)
    reserved.preferred = Preferred("b", until_ms=9_000, alone=True)
    built.add(reserved)
    built.add(make_call("older", "sales", 400))
    assert built.best_call("a") is None
    assert built.best_call("b") == "older"
    assert built.index.best_agent(reserved) == "b"
    built.check()
    built.remove(built.calls["older"][0])
    assert built.best_call("b") == "reserved"
    built.take_out("b")
    assert built.index.best_agent(reserved) is None


def test_the_circle_goes_on_over_ranks_and_delays() -> None:
    """Where a strategy goes round, each rank is a circle of its own, whoever helps when."""
    rules = rules_of(
        queue("support", strategy="round_robin_memory"),
        agent("a", "support"),
        agent("b", ("support", Service(delay_ms=5_000))),
        agent("c", ("support", Service(rank=2))),
        agent("d", "support"),
        agent("e", ("support", Service(rank=2, backup=True))),
    )
    built = Built(rules)
    built.orderings["support"].last_place = 2
    call = make_call("anna", "support", 0, delay_ms=5_000)
    call.backup = True
    assert built.order(call) == ["d", "a", "b", "e", "c"]
