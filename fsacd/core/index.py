"""Who waits and who is ready, kept in the order of the two keys. A copy of the truth that `check` proves.

Calls that ask the same of an agent stand in one group of their queue, best first: an agent looks at the heads of the
groups alone. Ready agents of a queue are kept once for each requirement in use there, and apart by when they help, so
a call looks at the heads alone, too. Sorted lists are plain lists: with ten thousand entries, to find a place by
bisection and to move the rest takes C code a few microseconds, less than any cleverer structure written in Python.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from typing import Any, NamedTuple

from fsacd.core.agent import Agent, Served
from fsacd.core.call import Call
from fsacd.core.circle import AgentEntry, row
from fsacd.core.ordering import Ordering
from fsacd.core.plugins import PluginFailed
from fsacd.core.rules import SkillLevels
from fsacd.strategy import Candidate, Key

# How many requirements a queue keeps agents sorted for. Those nobody waits with are dropped beyond it.
REQUIREMENT_SETS = 64


class CallEntry(NamedTuple):
    """A waiting call within its group: the queue's order first; the rest is what queues compare their best calls by."""

    key: Key
    call_id: str
    priority: int  # negated
    virtual_ms: int


class _GroupKey(NamedTuple):
    """What calls of one group have in common: all that decides whether an agent may take them.

    `extra`: somebody rings for them already, and they want more; `bound`: but only agents of this rank and level.
    """

    extra: bool
    required: SkillLevels
    delay_ms: int
    backup: bool
    bound: tuple[int, int] | None


class _Place(NamedTuple):
    call: Call
    group: _GroupKey | None
    entry: CallEntry
    preferred: str | None


# The ready agents of a queue who have the required skills, apart by when they help: (delay, backup).
_Row = dict[tuple[int, bool], list[AgentEntry]]
# Where an agent belongs in a queue whenever he is ready: the list, his level (negated) and what is required there.
_Fitting = list[tuple[list[AgentEntry], int, SkillLevels]]


class _Queue:
    def __init__(self, ordering: Ordering) -> None:
        self.ordering = ordering
        self.waiting: dict[_GroupKey, list[CallEntry]] = {}
        self.ready: dict[SkillLevels, _Row] = {}
        self.version = 0  # of the requirements that agents are sorted for
        self.members: dict[str, Served] = {}  # the ready ones

    def forget_rows(self) -> None:
        """They are made again when they are asked for. What is left of agents in the old lists harms nobody."""
        self.ready = {}
        self.version += 1


class Index:
    """Best call for an agent, best agent for a call. `orderings` says how each queue sorts; `get_agent` knows all."""

    def __init__(self, orderings: Mapping[str, Ordering], get_agent: Callable[[str], Agent], rank_pool: int) -> None:
        self._queues = {name: _Queue(ordering) for name, ordering in orderings.items()}
        self._get_agent = get_agent
        self._rank_pool = rank_pool
        self._calls: dict[str, _Place] = {}
        self._preferred: dict[str, dict[str, CallEntry]] = {}  # agent → calls that prefer him
        # Ready agent → the lists he stands in and his entries there, alternating: flat, for there are many.
        self._agents: dict[str, list[Any]] = {}
        # Agent → queue → where he belongs, by the version of the queue's rows.
        self._fitting: dict[str, dict[str, tuple[int, _Fitting]]] = {}
        # The call that a strategy ranked agents for last, and how; for the explanation.
        self.last_ranked: tuple[str, tuple[str, ...]] = ("", ())

    # --- calls ---

    def add_call(self, call: Call, *, extra: bool) -> None:
        """The call may be offered; `extra`: somebody rings for it already."""
        queue = self._queues[call.queue]
        key = self._call_key(queue, call)
        entry = CallEntry(key, call.call_id, -call.priority, call.virtual_ms)
        preferred = call.preferred
        if preferred is not None:
            self._preferred.setdefault(preferred.agent_id, {})[call.call_id] = entry
        group: _GroupKey | None = None
        if preferred is None or not preferred.alone:
            group = _GroupKey(extra, call.required, call.delay_ms, call.backup, call.bound if extra else None)
            entries = queue.waiting.get(group)
            if entries is None:
                queue.waiting[group] = [entry]
            else:
                insort(entries, entry)
        self._calls[call.call_id] = _Place(call, group, entry, preferred.agent_id if preferred else None)

    def remove_call(self, call_id: str) -> None:
        """The call may not be offered any more; nothing happens if it could not before."""
        place = self._calls.pop(call_id, None)
        if place is None:
            return
        if place.preferred is not None:
            mine = self._preferred[place.preferred]
            del mine[call_id]
            if not mine:
                del self._preferred[place.preferred]
        if place.group is not None:
            waiting = self._queues[place.call.queue].waiting
            entries = waiting[place.group]
            del entries[bisect_left(entries, place.entry)]
            if not entries:
                del waiting[place.group]

    def _call_key(self, queue: _Queue, call: Call) -> Key:
        try:
            return queue.ordering.call_key(call)
        except PluginFailed as failure:
            queue.ordering.fall_back_to_usual_order(failure)
            self._order_anew(call.queue)
            return queue.ordering.call_key(call)

    def _order_anew(self, queue: str) -> None:
        for place in [place for place in self._calls.values() if place.call.queue == queue]:
            extra = place.group is not None and place.group.extra
            self.remove_call(place.call.call_id)
            self.add_call(place.call, extra=extra)

    def ahead_of(self, queue: str, key: Key, call_id: str) -> int:
        """How many of the queue's calls that nobody rings for go before one with this key and id."""
        waiting = self._queues[queue].waiting
        return sum(bisect_left(entries, (key, call_id)) for group, entries in waiting.items() if not group.extra)

    def ahead_of_call(self, call: Call) -> int:
        """How many of its queue's calls that nobody rings for go before this one."""
        return self.ahead_of(call.queue, self._call_key(self._queues[call.queue], call), call.call_id)

    # --- agents ---

    def add_agent(self, agent: Agent) -> None:
        """The agent is ready, in all his queues."""
        places = self._agents[agent.agent_id] = []
        known = self._fitting.setdefault(agent.agent_id, {})
        for served in agent.serves:
            queue = self._queues[served.queue]
            queue.members[agent.agent_id] = served
            version, fitting = known.get(served.queue, (-1, []))
            if version != queue.version:
                fitting = [place for required in queue.ready if (place := _place(queue, required, agent, served))]
                known[served.queue] = queue.version, fitting
            try:
                self._enter(queue, agent, served, fitting, places)
            except PluginFailed as failure:
                queue.ordering.fall_back(failure)
                queue.forget_rows()

    def _enter(self, queue: _Queue, agent: Agent, served: Served, fitting: _Fitting, places: list[Any]) -> None:
        """Put the agent into these lists of the queue. May raise PluginFailed."""
        if not fitting:
            return
        assert agent.facts is not None
        ordering, rank, agent_id = queue.ordering, served.rank, agent.agent_id
        key = () if ordering.by_skill else ordering.key(agent.facts, served.facts, ())
        for entries, level, required in fitting:
            if ordering.by_skill:
                key = ordering.key(agent.facts, served.facts, required)
            entry = (rank, level, *key, agent_id)
            insort(entries, entry)
            places += (entries, entry)

    def forget_fitting(self, agent_id: str) -> None:
        """The agent's skills or queues have changed, or he is gone."""
        self._fitting.pop(agent_id, None)

    def remove_agent(self, agent: Agent) -> None:
        """The agent is not ready any more. Must be called before his rules or skills change."""
        places = iter(self._agents.pop(agent.agent_id))
        for entries in places:
            del entries[bisect_left(entries, next(places))]
        for served in agent.serves:
            del self._queues[served.queue].members[agent.agent_id]

    def has_ready(self, queue: str) -> bool:
        """Whether any agent of the queue is ready who does not serve it as backup."""
        return any(not served.backup for served in self._queues[queue].members.values())

    @property
    def has_ready_agent(self) -> bool:
        """Whether anybody is ready."""
        return bool(self._agents)

    # --- the best call for an agent ---

    def best_call(self, agent: Agent) -> str | None:
        """The call this agent should get.

        Calls nobody rings for go before those that want more to ring; then class, his rank for the queue, virtual
        arrival, id (design law 8). Between calls of one queue its own order decides.
        """
        best: tuple[bool, int, int, int, str] | None = None
        for served in agent.serves:
            waiting = self._queues[served.queue].waiting
            if not waiting:
                continue
            mine: tuple[bool, CallEntry] | None = None
            for group, entries in waiting.items():
                if served.delay_ms > group.delay_ms or (served.backup and not group.backup):
                    continue
                level = agent.fit(group.required)
                if level is None or not self._in_bound(group, served, level):
                    continue
                head = (group.extra, entries[0])
                if mine is None or head < mine:
                    mine = head
            if mine is not None:
                extra, entry = mine
                key = (extra, entry.priority, served.rank, entry.virtual_ms, entry.call_id)
                if best is None or key < best:
                    best = key
        if agent.agent_id in self._preferred:
            best = self._best_preferring(agent, best)
        return best[4] if best else None

    def _in_bound(self, group: _GroupKey, served: Served, level: int) -> bool:
        if group.bound is None:
            return True
        level_first = self._queues[served.queue].ordering.level_first
        return group.bound == (served.rank, -level if level_first else 0)

    def _best_preferring(
        self, agent: Agent, best: tuple[bool, int, int, int, str] | None
    ) -> tuple[bool, int, int, int, str] | None:
        """The better of `best` and the calls that prefer this agent; few do."""
        ranks = {served.queue: served.rank for served in agent.serves}
        for call_id, entry in self._preferred[agent.agent_id].items():
            place = self._calls[call_id]
            extra = place.group is not None and place.group.extra
            key = (extra, entry.priority, ranks.get(place.call.queue, 1), entry.virtual_ms, call_id)
            if best is None or key < best:
                best = key
        return best

    # --- the best agent for a call ---

    def best_agent(self, call: Call) -> str | None:
        """The agent this call should get: the preferred one, else by how often he has let it pass, then his key."""
        preferred = call.preferred
        if preferred is not None:
            if preferred.agent_id in self._agents:
                return preferred.agent_id
            if preferred.alone:
                return None
        queue = self._queues[call.queue]
        try:
            if queue.ordering.ranks is not None:
                return self._first_ranked(queue, call)
            return self._first(queue, call)
        except PluginFailed as failure:
            queue.ordering.fall_back(failure)
            queue.forget_rows()
            return self._first(queue, call)

    def _first(self, queue: _Queue, call: Call) -> str | None:
        passed = call.let_pass
        fewest: tuple[int, str] | None = None
        for entry in self._candidates(queue, call):
            times = passed.get(entry[-1], 0)
            if not times:
                return str(entry[-1])
            if fewest is None or times < fewest[0]:
                fewest = (times, entry[-1])
        return fewest[1] if fewest else None

    def _first_ranked(self, queue: _Queue, call: Call) -> str | None:
        ranked = self._ranked(queue, call)
        self.last_ranked = (call.call_id, tuple(ranked))
        return ranked[0] if ranked else None

    def _ranked(self, queue: _Queue, call: Call) -> list[str]:
        """The pool in the strategy's order: of those who let the call pass least often, the first rank and level."""
        best: tuple[int, int, int] | None = None
        pool: list[AgentEntry] = []
        for entry in self._candidates(queue, call):
            group = (call.let_pass.get(entry[-1], 0), entry[0], entry[1])
            if best is None or group < best:
                best, pool = group, []
            if group == best and len(pool) < self._rank_pool:
                pool.append(entry)
            if best[0] == 0 and (entry[0], entry[1]) > best[1:]:
                break  # whoever comes now is of a worse rank or level
        if not pool[1:]:
            return [entry[-1] for entry in pool]
        return list(queue.ordering.rank(call, [self._candidate(queue, call, entry) for entry in pool]))

    def _candidate(self, queue: _Queue, call: Call, entry: AgentEntry) -> Candidate:
        agent = self._get_agent(entry[-1])
        level = agent.fit(call.required)
        assert agent.facts is not None and level is not None
        return Candidate(agent.facts, queue.members[entry[-1]].facts, level)

    def _candidates(self, queue: _Queue, call: Call) -> Iterator[AgentEntry]:
        """The ready agents whom the call may have, lazily, in the order of their keys."""
        start = queue.ordering.start(call.last_place)
        rows = [
            row(entries, call.bound, start)
            for (delay_ms, backup), entries in self._sorted_for(queue, call.required).items()
            if delay_ms <= call.delay_ms and (call.backup or not backup) and entries
        ]
        if len(rows) == 1:
            return rows[0]
        if start is None:
            return merge(*rows)
        return merge(*rows, key=lambda entry: (*entry[:2], entry[2:-1] <= start, *entry[2:]))

    def _sorted_for(self, queue: _Queue, required: SkillLevels) -> _Row:
        row = queue.ready.get(required)
        if row is not None:
            return row
        queue.version += 1
        if len(queue.ready) >= REQUIREMENT_SETS:
            in_use = {group.required for group in queue.waiting}
            for unused in [known for known in queue.ready if known not in in_use]:
                del queue.ready[unused]
        row = queue.ready[required] = {}
        for agent_id, served in queue.members.items():
            agent = self._get_agent(agent_id)
            place = _place(queue, required, agent, served)
            if place is not None:
                self._enter(queue, agent, served, [place], self._agents[agent_id])
        return row

    # --- for an engine that goes on where another stopped ---

    def sorted_for(self, queue: str) -> tuple[SkillLevels, ...]:
        """The requirements that the queue's agents are sorted for now."""
        return tuple(self._queues[queue].ready)

    def sort_for(self, queue: str, requirements: Iterable[SkillLevels]) -> None:
        """Sort the queue's agents, who come later, for these requirements."""
        self._queues[queue].ready = {required: {} for required in requirements}
        self._queues[queue].version += 1

    # --- proof ---

    def check(self, calls: Mapping[str, tuple[Call, bool]], ready: Mapping[str, Agent]) -> None:
        """Prove that the index equals the truth: calls that may be offered (and if extra), ready agents."""
        assert self._calls.keys() == calls.keys(), f"calls differ from the index: {self._calls.keys() ^ calls.keys()}"
        indexed = {
            (name, *group, *e) for name, q in self._queues.items() for group, es in q.waiting.items() for e in es
        }
        true = set()
        for call, extra in calls.values():
            if call.preferred is not None:
                assert call.call_id in self._preferred[call.preferred.agent_id], "a call is not where it is preferred"
            if call.preferred is None or not call.preferred.alone:
                key = self._queues[call.queue].ordering.call_key(call)
                group = _GroupKey(extra, call.required, call.delay_ms, call.backup, call.bound if extra else None)
                true.add((call.queue, *group, *CallEntry(key, call.call_id, -call.priority, call.virtual_ms)))
        assert indexed == true, f"waiting calls differ from the index: {indexed ^ true}"
        assert sum(map(len, self._preferred.values())) == sum(c.preferred is not None for c, _ in calls.values())
        assert self._agents.keys() == ready.keys(), "ready agents differ from the index"
        for name, queue in self._queues.items():
            serving = {i: s for i, agent in ready.items() for s in agent.serves if s.queue == name}
            assert queue.members == serving, f"ready agents of {name} differ from the index"
            for required, by_reach in queue.ready.items():
                _check_ready(queue, required, by_reach, ready)


def _place(
    queue: _Queue, required: SkillLevels, agent: Agent, served: Served
) -> tuple[list[AgentEntry], int, SkillLevels] | None:
    """Where the agent belongs among those sorted for this requirement; None if he does not have the skills."""
    level = agent.fit(required)
    if level is None:
        return None
    entries = queue.ready[required].setdefault((served.delay_ms, served.backup), [])
    return entries, -level if queue.ordering.level_first else 0, required


def _check_ready(
    queue: _Queue,
    required: SkillLevels,
    by_reach: Mapping[tuple[int, bool], list[AgentEntry]],
    ready: Mapping[str, Agent],
) -> None:
    indexed = {(reach, *entry) for reach, entries in by_reach.items() for entry in entries}
    true = set()
    for agent_id, served in queue.members.items():
        agent = ready[agent_id]
        level = agent.fit(required)
        if level is not None:
            assert agent.facts is not None
            key = queue.ordering.key(agent.facts, served.facts, required if queue.ordering.by_skill else ())
            reach = (served.delay_ms, served.backup)
            true.add((reach, served.rank, -level if queue.ordering.level_first else 0, *key, agent_id))
    assert indexed == true, f"eligible agents for {required} differ from the index: {indexed ^ true}"
    for entries in by_reach.values():
        assert entries == sorted(entries), "a list is out of order"
