"""Who waits and who is ready, kept in the order of the two keys. A copy of the truth that `World.check` proves.

Waiting calls of a queue are grouped by (requirement set, priority class): within a group the oldest virtual arrival is
the best for every agent, so an agent looks at the heads of the groups alone. Ready agents of a queue are kept once
for each requirement set in use there, and apart by their delay, so a call looks at the heads alone, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sortedcontainers import SortedList

from fsacd.core.agent import Agent
from fsacd.core.call import Call
from fsacd.core.rules import Rules, SkillLevels
from fsacd.strategy import AgentFacts, Strategy

# How many requirement sets a queue keeps agents sorted for. Sets nobody waits with are dropped beyond it.
REQUIREMENT_SETS = 64


class CallEntry(NamedTuple):
    """A waiting call within its group."""

    virtual_ms: int
    call_id: str


class AgentEntry(NamedTuple):
    """A ready agent's key within a queue and requirement set: smaller is better."""

    rank: int
    level: int  # negated: the better skilled first
    key: tuple[float, ...]
    agent_id: str


class _QueueIndex:
    def __init__(self) -> None:
        self.waiting: dict[tuple[SkillLevels, int], SortedList[CallEntry]] = {}
        self.ready: dict[SkillLevels, dict[int, SortedList[AgentEntry]]] = {}
        # Every ready agent with his strategy key, to sort them for a requirement set not seen before.
        self.keys: dict[str, tuple[float, ...]] = {}


class Index:
    """Best call for an agent, best agent for a call, each in logarithmic time."""

    def __init__(self, rules: Rules, strategies: Mapping[str, Strategy]) -> None:
        self._rules = rules
        self._strategies = strategies
        self._queues = {name: _QueueIndex() for name in rules.queues}
        self._agents: dict[str, Agent] = {}

    # --- changes ---

    def add_call(self, call: Call) -> None:
        """The call waits and may be offered."""
        waiting = self._queues[call.queue].waiting
        group = waiting.get((call.required, call.priority))
        if group is None:
            group = waiting[call.required, call.priority] = SortedList()
        group.add(CallEntry(call.virtual_ms, call.call_id))

    def remove_call(self, call: Call) -> None:
        """The call waits no more. Must be called before anything in its key changes."""
        waiting = self._queues[call.queue].waiting
        group = waiting[call.required, call.priority]
        group.remove(CallEntry(call.virtual_ms, call.call_id))
        if not group:
            del waiting[call.required, call.priority]

    def add_agent(self, agent: Agent) -> None:
        """The agent is ready, in all his queues."""
        self._agents[agent.agent_id] = agent
        facts = AgentFacts(agent.agent_id, agent.idle_since_ms)
        for queue_name, service in agent.rules.queues.items():
            queue = self._queues[queue_name]
            key = self._strategies[self._rules.queues[queue_name].strategy].key(facts)
            queue.keys[agent.agent_id] = key
            for required, by_delay in queue.ready.items():
                level = agent.fit(required)
                if level is not None:
                    entry = AgentEntry(service.rank, -level, key, agent.agent_id)
                    by_delay.setdefault(service.delay_ms, SortedList()).add(entry)

    def remove_agent(self, agent: Agent) -> None:
        """The agent is not ready any more. Must be called before his rules or skills change."""
        del self._agents[agent.agent_id]
        for queue_name, service in agent.rules.queues.items():
            queue = self._queues[queue_name]
            key = queue.keys.pop(agent.agent_id)
            for required, by_delay in queue.ready.items():
                level = agent.fit(required)
                if level is not None:
                    by_delay[service.delay_ms].remove(AgentEntry(service.rank, -level, key, agent.agent_id))

    # --- questions ---

    @property
    def has_ready_agent(self) -> bool:
        """Whether anybody is ready."""
        return bool(self._agents)

    def best_call(self, agent: Agent, now_ms: int) -> str | None:
        """The call this agent should get: class, his rank for the queue, virtual arrival, id (design law 8)."""
        best: tuple[int, int, int, str] | None = None
        for queue_name, service in agent.rules.queues.items():
            for (required, priority), group in self._queues[queue_name].waiting.items():
                if best is not None and (-priority, service.rank) > best[:2]:
                    continue
                head: CallEntry = group[0]
                if now_ms - head.virtual_ms < service.delay_ms or agent.fit(required) is None:
                    continue
                key = (-priority, service.rank, head.virtual_ms, head.call_id)
                if best is None or key < best:
                    best = key
        return best[3] if best else None

    def best_agent(self, call: Call, now_ms: int) -> str | None:
        """The agent this call should get: his rank, his lowest required level, the strategy's key, id."""
        best: AgentEntry | None = None
        waited_ms = now_ms - call.virtual_ms
        for delay_ms, entries in self._sorted_for(call.queue, call.required).items():
            if delay_ms <= waited_ms and entries and (best is None or entries[0] < best):
                best = entries[0]
        return best.agent_id if best else None

    def _sorted_for(self, queue_name: str, required: SkillLevels) -> dict[int, SortedList[AgentEntry]]:
        queue = self._queues[queue_name]
        by_delay = queue.ready.get(required)
        if by_delay is not None:
            return by_delay
        if len(queue.ready) >= REQUIREMENT_SETS:
            in_use = {group[0] for group in queue.waiting}
            for unused in [known for known in queue.ready if known not in in_use]:
                del queue.ready[unused]
        entries: dict[int, list[AgentEntry]] = {}
        for agent_id, key in queue.keys.items():
            agent = self._agents[agent_id]
            level = agent.fit(required)
            if level is not None:
                service = agent.rules.queues[queue_name]
                entries.setdefault(service.delay_ms, []).append(AgentEntry(service.rank, -level, key, agent_id))
        by_delay = queue.ready[required] = {delay_ms: SortedList(found) for delay_ms, found in entries.items()}
        return by_delay

    # --- proof ---

    def check(self, waiting: Mapping[str, Call], ready: Mapping[str, Agent]) -> None:
        """Prove that the index equals the truth. Raises AssertionError."""
        indexed_calls = {
            (name, *group, *entry)
            for name, queue in self._queues.items()
            for group, entries in queue.waiting.items()
            for entry in entries
        }
        true_calls = {(c.queue, c.required, c.priority, c.virtual_ms, c.call_id) for c in waiting.values()}
        assert indexed_calls == true_calls, f"waiting calls differ from the index: {indexed_calls ^ true_calls}"
        assert self._agents.keys() == ready.keys(), "ready agents differ from the index"
        for name, queue in self._queues.items():
            serving = {agent_id for agent_id, agent in ready.items() if name in agent.rules.queues}
            assert queue.keys.keys() == serving, f"ready agents of {name} differ from the index"
            for required, by_delay in queue.ready.items():
                indexed = {(delay, e.agent_id, -e.level) for delay, entries in by_delay.items() for e in entries}
                true = {
                    (ready[agent_id].rules.queues[name].delay_ms, agent_id, ready[agent_id].fit(required))
                    for agent_id in serving
                    if ready[agent_id].fit(required) is not None
                }
                assert indexed == true, f"eligible agents of {name} for {required} differ: {indexed ^ true}"
