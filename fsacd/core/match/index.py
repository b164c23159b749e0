"""Who waits and who is ready, kept in the order of the two keys. A copy of the truth that `check` proves.

Each queue keeps its own (`queue_index`); what an agent does in all their queues, and calls that prefer one, are here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from fsacd.core.agent import Agent
from fsacd.core.call import Call
from fsacd.core.match.ordering import Ordering
from fsacd.core.match.plugins import PluginFailed
from fsacd.core.match.queue_index import CallEntry, GroupKey, QueueIndex, Seat, Stands, group_of
from fsacd.core.match.skilled import Skilled
from fsacd.core.match.stretches import AgentEntry, Stretches
from fsacd.core.rules import FULL, SkillLevels
from fsacd.strategy import Candidate, Key

# For no call, nobody, of nobody.
NOT_RANKED: tuple[str, tuple[str, ...], int] = ("", (), 0)
# To take so few agents out of a queue's order costs less than to sort it.
_FEW = 64


class _Indexed(NamedTuple):
    call: Call
    group: GroupKey | None
    entry: CallEntry
    preferred: str | None


class _Seats(NamedTuple):
    """An agent's number and queues, until their skills or queues change."""

    number: int
    queues: list[Seat]


class Index:
    """Best call for an agent, best agent for a call. `orderings` says how each queue sorts; `get_agent` knows all."""

    def __init__(self, orderings: Mapping[str, Ordering], get_agent: Callable[[str], Agent], rank_pool: int) -> None:
        self._skilled = Skilled()
        self._queues = {name: QueueIndex(ordering, self._skilled, get_agent) for name, ordering in orderings.items()}
        self._get_agent = get_agent
        self._rank_pool = rank_pool
        self._calls: dict[str, _Indexed] = {}
        self._preferred: dict[str, dict[str, CallEntry]] = {}  # agent → calls that prefer this agent
        self._agents: dict[str, Stands] = {}  # the ready ones
        self._seats: dict[str, _Seats] = {}
        # The call that a strategy ranked agents for last, how, and of how many candidates; for the explanation.
        self.last_ranked: tuple[str, tuple[str, ...], int] = NOT_RANKED

    def replace_queues(self, orderings: Mapping[str, Ordering], anew: Collection[str]) -> None:
        """These queues are ordered anew, or are no more; they hold no call and no ready agent now."""
        known = self._queues
        self._queues = {
            name: QueueIndex(ordering, self._skilled, self._get_agent) if name in anew else known[name]
            for name, ordering in orderings.items()
        }

    # --- calls ---

    def add_call(self, call: Call, *, already_ringing: bool) -> None:
        """The call may be offered; `already_ringing`: somebody rings for it, and it wants one more."""
        queue = self._queues[call.queue]
        key = self._call_key(queue, call)
        entry = CallEntry(key, call.call_id, -call.priority, call.virtual_ms)
        preferred = call.preferred
        if preferred is not None:
            self._preferred.setdefault(preferred.agent_id, {})[call.call_id] = entry
        group: GroupKey | None = None
        if preferred is None or not preferred.alone:
            group = group_of(call, already_ringing=already_ringing)
            queue.add_call(group, entry)
        self._calls[call.call_id] = _Indexed(call, group, entry, preferred.agent_id if preferred else None)

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
            self._queues[place.call.queue].remove_call(place.group, place.entry)

    def _call_key(self, queue: QueueIndex, call: Call) -> Key:
        try:
            return queue.ordering.call_key(call)
        except PluginFailed as failure:
            queue.ordering.fall_back_to_usual_order(failure)
            self._order_anew(call.queue)
            return queue.ordering.call_key(call)

    def _order_anew(self, queue: str) -> None:
        for place in [place for place in self._calls.values() if place.call.queue == queue]:
            already_ringing = place.group is not None and place.group.already_ringing
            self.remove_call(place.call.call_id)
            self.add_call(place.call, already_ringing=already_ringing)

    def ahead_of(self, queue: str, key: Key, call_id: str) -> int:
        """How many of the queue's calls that nobody rings for go before one with this key and id."""
        return self._queues[queue].ahead_of(key, call_id)

    def ahead_of_call(self, call: Call) -> int:
        """How many of its queue's calls that nobody rings for go before this one."""
        return self.ahead_of(call.queue, self._call_key(self._queues[call.queue], call), call.call_id)

    # --- agents ---

    def add_agent(self, agent: Agent) -> None:
        """The agent is ready, in all their queues."""
        agent_id = agent.agent_id
        here = self._agents[agent_id] = []
        seats = self._seats.get(agent_id)
        if seats is None:
            ((_, number),) = self._skilled.number([(agent_id, agent.rules.skills)])
            seats = self._seat(agent, number)
        is_free = agent.may_be_offered(FULL)
        for seat in seats.queues:
            queue = seat.queue
            if not (is_free or agent.may_be_offered(queue.ordering.rules.weight)):
                continue
            try:
                queue.enter(agent, seat, seats.number, here)
            except PluginFailed as failure:
                queue.ordering.fall_back(failure)
                queue.forget_orders()

    def _seat(self, agent: Agent, number: int) -> _Seats:
        seats = _Seats(number, [self._queues[served.queue].seat(served) for served in agent.serves])
        self._seats[agent.agent_id] = seats
        return seats

    def seat(self, agents: Iterable[Agent]) -> None:
        """Give seats to those of these agents who have none: for many in less time than `add_agent` does."""
        new = {agent.agent_id: agent for agent in agents if agent.agent_id not in self._seats}
        for agent_id, number in self._skilled.number([(agent.agent_id, agent.rules.skills) for agent in new.values()]):
            self._seat(new[agent_id], number)

    def order_agents_anew(self, queue: str) -> None:
        """Other keys hold in this queue: its ready agents are sorted when somebody looks for one."""
        self._queues[queue].forget_orders()

    def forget_seats(self, agent_id: str) -> None:
        """The agent's skills or queues have changed, or they are gone. The agent must not be ready here."""
        self.forget_many_seats((agent_id,))

    def forget_many_seats(self, agent_ids: Iterable[str]) -> None:
        """The same for many."""
        seats = self._seats
        self._skilled.forget([agent_id for agent_id in agent_ids if seats.pop(agent_id, None) is not None])

    def remove_agent(self, agent: Agent) -> None:
        """The agent is not ready any more. Must be called before their rules or skills change."""
        self._remove(agent, ())

    def _remove(self, agent: Agent, sorted_anew: Collection[Stretches]) -> None:
        agent_id = agent.agent_id
        here = iter(self._agents.pop(agent_id))
        for stretches in here:
            entry = next(here)
            if not sorted_anew or stretches not in sorted_anew:
                stretches.remove(entry)
        number, seats = self._seats[agent_id]
        bit = 1 << number
        for queue, _, bits in seats:
            if queue.members.pop(agent_id, None) is not None:  # they may have had too little room for its calls
                bits.who ^= bit

    def remove_agents(self, agents: Iterable[Agent]) -> None:
        """The same for many. A queue that loses most of its ready agents is sorted anew when somebody looks there."""
        leaving = list(agents)
        losing = Counter(chain.from_iterable([agent.served for agent in leaving]))
        sorted_anew: set[Stretches] = set()
        for name, count in losing.items():
            queue = self._queues.get(name)
            if queue is not None and count > _FEW and 2 * count > len(queue.members):
                sorted_anew.update(queue.forget_orders())
        for agent in leaving:
            self._remove(agent, sorted_anew)

    def has_ready(self, queue: str) -> bool:
        """Whether any agent of the queue is ready who does not serve it as backup."""
        return any(not served.backup for served in self._queues[queue].members.values())

    @property
    def has_ready_agent(self) -> bool:
        """Whether anybody is ready."""
        return bool(self._agents)

    # --- the best call for an agent ---

    def whom_calls_may_suit(self, agent_ids: Collection[str]) -> list[str]:
        """Those of these ready agents who may have a call now, in the same order: whoever is left out has none.

        Of many, as after a reload, that is known sooner than by a look at each.
        """
        who = 0
        for queue in self._queues.values():
            if queue.waiting:
                who |= queue.who_may_suit()
        if not (who or self._preferred):
            return []
        return [one for one in agent_ids if who >> self._seats[one].number & 1 or one in self._preferred]

    def best_call(self, agent: Agent) -> str | None:
        """The call this agent should get.

        Calls nobody rings for go before those that want more to ring; then class, the agent's rank for the queue,
        virtual arrival, id. Between calls of one queue its own order decides.
        """
        best: tuple[bool, int, int, int, str] | None = None
        for served in agent.serves:
            queue = self._queues[served.queue]
            if not queue.waiting or not agent.may_be_offered(queue.ordering.rules.weight):
                continue
            head = queue.best_call(agent, served)
            if head is not None:
                already_ringing, entry = head
                key = (already_ringing, entry.priority, served.rank, entry.virtual_ms, entry.call_id)
                if best is None or key < best:
                    best = key
        if agent.agent_id in self._preferred:
            best = self._best_preferring(agent, best)
        return best[4] if best else None

    def _best_preferring(
        self, agent: Agent, best: tuple[bool, int, int, int, str] | None
    ) -> tuple[bool, int, int, int, str] | None:
        """The better of `best` and the calls that prefer this agent, which are few."""
        ranks = {served.queue: served.rank for served in agent.serves}
        for call_id, entry in self._preferred[agent.agent_id].items():
            place = self._calls[call_id]
            if not agent.may_be_offered(self._queues[place.call.queue].ordering.rules.weight):
                continue
            already_ringing = place.group is not None and place.group.already_ringing
            key = (already_ringing, entry.priority, ranks.get(place.call.queue, 1), entry.virtual_ms, call_id)
            if best is None or key < best:
                best = key
        return best

    # --- the best agent for a call ---

    def best_agent(self, call: Call) -> str | None:
        """The agent this call should get: the preferred one, else by how often they have not taken it, then by key."""
        preferred, queue = call.preferred, self._queues[call.queue]
        if preferred is not None:
            known = preferred.agent_id in self._agents
            if known and self._get_agent(preferred.agent_id).may_be_offered(queue.ordering.rules.weight):
                return preferred.agent_id
            if preferred.alone:
                return None
        try:
            if queue.ordering.ranks is not None:
                return self._first_ranked(queue, call)
            return self._first(queue, call)
        except PluginFailed as failure:
            queue.ordering.fall_back(failure)
            queue.forget_orders()
            return self._first(queue, call)

    def _first(self, queue: QueueIndex, call: Call) -> str | None:
        not_taken = call.not_taken
        fewest: tuple[int, str] | None = None
        for entries in self._candidates(queue, call):
            for entry in entries:
                times = not_taken.get(entry[-2], 0)
                if not times:
                    return str(entry[-2])
                if fewest is None or times < fewest[0]:
                    fewest = (times, entry[-2])
        return fewest[1] if fewest else None

    def _first_ranked(self, queue: QueueIndex, call: Call) -> str | None:
        ranked, candidates = self._ranked(queue, call)
        self.last_ranked = (call.call_id, tuple(ranked), candidates)
        return ranked[0] if ranked else None

    def _ranked(self, queue: QueueIndex, call: Call) -> tuple[list[str], int]:
        """The pool in the strategy's order: of those who have not taken the call least often, the first rank and level.

        Also gives how many agents there are of these, which may be more than the pool has room for.
        """
        fewest: int | None = None
        pool: list[AgentEntry] = []
        candidates = 0
        for entries in self._candidates(queue, call):
            before = fewest  # whoever of this rank or level has not taken it as often goes behind the pool
            for entry in entries:
                times = call.not_taken.get(entry[-2], 0)
                if fewest is None or times < fewest:
                    fewest, pool, candidates = times, [], 0
                if times == fewest != before:
                    candidates += 1
                    if len(pool) < self._rank_pool:
                        pool.append(entry)
            if fewest == 0:
                break  # all further agents are of a worse rank or level
        if not pool[1:]:
            return [entry[-2] for entry in pool], candidates
        return list(queue.ordering.rank(call, self._shown(queue, call, pool))), candidates

    def _shown(self, queue: QueueIndex, call: Call, pool: list[AgentEntry]) -> list[Candidate]:
        """What a strategy that ranks sees of the pool."""
        levels = self._skilled.levels(call.required, [entry[-1] for entry in pool])
        shown = []
        for *_, agent_id, number in pool:
            facts = self._get_agent(agent_id).facts
            assert facts is not None
            shown.append(Candidate(facts, queue.members[agent_id].facts, levels[number]))
        return shown

    def _candidates(self, queue: QueueIndex, call: Call) -> Iterator[Iterator[AgentEntry]]:
        """The ready agents whom the call may have, lazily, each rank and level by itself, in the order of keys."""
        start = queue.ordering.start(call.last_place)
        order = queue.order_for(call.required, self._agents)
        for rank, agents in queue.groups(call):
            yield queue.in_order(call.required, rank, agents, start, order)

    # --- for an engine that goes on where another stopped ---

    def sorted_for(self, queue: str) -> tuple[SkillLevels, ...]:
        """The requirements that the queue's agents are sorted for now."""
        return tuple(self._queues[queue].orders)

    def sort_for(self, queue: str, requirements: Iterable[SkillLevels]) -> None:
        """Sort the queue's agents, who come later, for these requirements."""
        self._queues[queue].keep_orders(requirements)

    # --- proof ---

    def check(self, calls: Mapping[str, tuple[Call, bool]], ready: Mapping[str, Agent]) -> None:
        """Prove that the index equals the truth: calls that may be offered (and if any ring already), ready agents."""
        assert self._calls.keys() == calls.keys(), f"calls differ from the index: {self._calls.keys() ^ calls.keys()}"
        indexed = {
            (name, *group, *e) for name, q in self._queues.items() for group, es in q.waiting.items() for e in es
        }
        true = set()
        for call, already_ringing in calls.values():
            if call.preferred is not None:
                assert call.call_id in self._preferred[call.preferred.agent_id], "a call is not where it is preferred"
            if call.preferred is None or not call.preferred.alone:
                key = self._queues[call.queue].ordering.call_key(call)
                group = group_of(call, already_ringing=already_ringing)
                true.add((call.queue, *group, *CallEntry(key, call.call_id, -call.priority, call.virtual_ms)))
        assert indexed == true, f"waiting calls differ from the index: {indexed ^ true}"
        assert sum(map(len, self._preferred.values())) == sum(c.preferred is not None for c, _ in calls.values())
        assert self._agents.keys() == ready.keys(), "ready agents differ from the index"
        for name, queue in self._queues.items():
            weight = queue.ordering.rules.weight
            serving = {
                i: s for i, agent in ready.items() for s in agent.serves if s.queue == name and agent.room >= weight
            }
            assert queue.members == serving, f"ready agents of {name} differ from the index"
            queue.check_ready(ready, lambda agent_id: self._seats[agent_id].number)
        for agent_id, agent in ready.items():
            self._skilled.check(agent_id, self._seats[agent_id].number, agent.rules.skills)
