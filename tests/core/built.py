"""An index by itself, with agents of some rules in it, for tests that ask it and prove it."""

from __future__ import annotations

from fsacd.core.agent import Agent, Ready, Served
from fsacd.core.call import Call
from fsacd.core.match.index import Index
from fsacd.core.match.ordering import Failure, Ordering
from fsacd.core.match.plugins import Plugins
from fsacd.core.rules import AgentRules, Rules, SkillLevels
from fsacd.strategy import AgentFacts, ServiceFacts
from fsacd.testing import PLUGINS


def make_agent(rules: AgentRules, place: int, idle_since_ms: int = 0, within: tuple[str, ...] = ()) -> Agent:
    """A ready agent who has done nothing yet; `place` is theirs in every queue, `within` whence they can be rung."""
    facts = AgentFacts(rules.agent_id, idle_since_ms, 0, 0.0, 0.0, 0.0, rules.skills)
    made = Agent(rules.agent_id, rules, rules, presence=Ready(), state=Ready(), room=100, facts=facts)
    serves = tuple(
        Served(
            name,
            service.rank,
            service.delay_ms,
            service.backup,
            ServiceFacts(place, service.rank, service.weight),
            within=within,
        )
        for name, service in rules.queues.items()
    )
    made.configure(rules, serves)
    return made


def make_call(
    call_id: str, queue_name: str, arrived_ms: int, required: SkillLevels = (), priority: int = 0, delay_ms: int = 0
) -> Call:
    """A waiting call that nobody rings for."""
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

    def __init__(self, rules: Rules, plugins: Plugins = PLUGINS, **idle_since_ms: int) -> None:
        self.failures: list[Failure] = []
        self.orderings = {
            name: Ordering(one, plugins, seed=0, failures=self.failures, expected={}, last_place=None, now_ms=0)
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
