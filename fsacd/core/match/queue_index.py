"""One queue's part of the index: who waits in groups, who is ready in order.

Calls that ask the same of an agent stand in one group, best first: an agent looks at the heads of the groups alone.
Ready agents of one rank are kept in the order of the strategy's keys, once, whatever is required. A call finds by bits
who helps, who fits and of which level they are (`skilled`), and then the first of these in that order (`stretches`).
Bits tell the sum of levels, too. Only where the key depends on what is required by more than this is there an order for
each requirement, for a bounded number of them.
Groups of calls are plain lists: with ten thousand entries, to find a place by bisection and to move the rest takes
C code a few microseconds, less than any cleverer structure written in Python.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fsacd.core.agent import Agent, Served
from fsacd.core.call import Call
from fsacd.core.match.ordering import Ordering
from fsacd.core.match.skilled import Skilled, numbers
from fsacd.core.match.stretches import AgentEntry, Stretches, round_from
from fsacd.core.reach import reaches
from fsacd.core.rules import SkillLevels
from fsacd.strategy import Key


class CallEntry(NamedTuple):
    """A waiting call within its group: its key in the queue's order; class and arrival compare it across queues."""

    key: Key
    call_id: str
    priority: int  # negated
    virtual_ms: int


class GroupKey(NamedTuple):
    """What calls of one group have in common: all that decides whether an agent may take them.

    `already_ringing`: an agent rings for them, and they want more; `only_rank_and_level`: of this rank and level only.
    """

    already_ringing: bool
    required: SkillLevels
    delay_ms: int
    backup: bool
    only_rank_and_level: tuple[int, int] | None
    switch: str


def group_of(call: Call, *, already_ringing: bool) -> GroupKey:
    """The group that the call stands in."""
    only = call.only_rank_and_level if already_ringing else None
    return GroupKey(already_ringing, call.required, call.delay_ms, call.backup, only, call.switch)


# For how many requirements a queue keeps agents in order whose strategy's keys depend on them. For one more, those of
# the first rank and level are sorted when a call asks: to drop one for another would sort all of them for each call.
KEPT_ORDERS = 64
# The ready agents of each rank, in order.
Order = dict[int, Stretches]
# Where a ready agent stands: stretches, their entry in them, the next, and so on. Flat, for a pair for each would be
# one more object for each queue whenever an agent becomes ready; only `QueueIndex` writes it, only `Index` reads it.
Stands = list[Any]
# How an agent helps, beside their rank: (delay, backup, switches that can ring them).
_Kind = tuple[int, bool, tuple[str, ...]]


class Bits:
    """Who of one kind is ready. Each agent's seat has it at hand: to look the kind up takes longer than the change."""

    __slots__ = ("who",)

    def __init__(self) -> None:
        self.who = 0


class Seat(NamedTuple):
    """How an agent serves one queue, and the bits among which they are while they are ready."""

    queue: QueueIndex
    served: Served
    bits: Bits


class QueueIndex:
    """Waiting calls and ready agents of one queue, as its `ordering` has them."""

    def __init__(self, ordering: Ordering, skilled: Skilled, get_agent: Callable[[str], Agent]) -> None:
        self.ordering = ordering
        self._skilled = skilled
        self._get_agent = get_agent
        self.waiting: dict[GroupKey, list[CallEntry]] = {}
        self.members: dict[str, Served] = {}  # the ready ones
        self._bits: dict[int, dict[_Kind, Bits]] = {}  # of the ready ones, by rank; kinds that nobody is of stay
        # By requirement, made when a call asks; only one, for (), kept from the beginning, unless keys depend on it.
        self.orders: dict[SkillLevels, Order] = {} if ordering.by_skill else {(): {}}

    # --- calls ---

    def add_call(self, group: GroupKey, entry: CallEntry) -> None:
        """Let agents find the call."""
        entries = self.waiting.get(group)
        if entries is None:
            self.waiting[group] = [entry]
        else:
            insort(entries, entry)

    def remove_call(self, group: GroupKey, entry: CallEntry) -> None:
        """Hide the call from agents. It must have been added with this group and entry."""
        entries = self.waiting[group]
        del entries[bisect_left(entries, entry)]
        if not entries:
            del self.waiting[group]

    def best_call(self, agent: Agent, served: Served) -> tuple[bool, CallEntry] | None:
        """The first call that the agent may take, and whether somebody rings for it already: such calls come last."""
        best: tuple[bool, CallEntry] | None = None
        for group, entries in self.waiting.items():
            if served.delay_ms > group.delay_ms or (served.backup and not group.backup):
                continue
            if served.within and not reaches(served.within, group.switch):
                continue
            level = agent.fit(group.required)
            only = group.only_rank_and_level
            if level is None or (only is not None and only != self._rank_and_level(served, level)):
                continue
            head = (group.already_ringing, entries[0])
            if best is None or head < best:
                best = head
        return best

    def ahead_of(self, key: Key, call_id: str) -> int:
        """How many of the calls that nobody rings for go before one with this key and id."""
        return sum(
            bisect_left(entries, (key, call_id)) for group, entries in self.waiting.items() if not group.already_ringing
        )

    # --- agents ---

    def seat(self, served: Served) -> Seat:
        """What `enter` and `leave` need of an agent who serves the queue so, found once."""
        kinds = self._bits.get(served.rank)
        if kinds is None:
            kinds = self._bits[served.rank] = {}
        kind = (served.delay_ms, served.backup, served.within)
        bits = kinds.get(kind)
        if bits is None:
            bits = kinds[kind] = Bits()
        return Seat(self, served, bits)

    def enter(self, agent: Agent, seat: Seat, number: int, here: Stands) -> None:
        """The agent is ready; note in `here` where they stand. PluginFailed: they are ready, but in no right order."""
        _, served, bits = seat
        rank, ordering, facts, agent_id = served.rank, self.ordering, agent.facts, agent.agent_id
        assert facts is not None
        self.members[agent_id] = served
        bits.who |= 1 << number
        for required, order in self.orders.items():
            if not required or agent.fit(required) is not None:
                # As `_entry`, written out: every call pays for it, for each of the agent's queues.
                key = ordering.key(facts, served.facts, required)
                entry = (key[1:] if ordering.by_sum else key) + (agent_id, number)
                stretches = order.get(rank)
                if stretches is None:
                    stretches = order[rank] = Stretches()
                stretches.add(entry)
                here += (stretches, entry)

    def groups(self, call: Call) -> Iterator[tuple[int, int]]:
        """The bits of the ready agents whom the call may have, lazily, for each rank, level (and sum): (rank, bits)."""
        required, only = call.required, call.only_rank_and_level
        for rank in sorted(self._bits):
            if only is not None and only[0] != rank:
                continue
            in_reach = self._in_reach(rank, call)
            if not in_reach:
                continue
            if self.ordering.level_first:
                levels = self._skilled.by_level(required, in_reach)
            else:
                levels = iter(((0, in_reach & self._skilled.fitting(required)),))
            for level, agents in levels:
                if not agents or (only is not None and only[1] != -level):
                    continue
                if self.ordering.by_sum:
                    for alike in self._skilled.by_sum(required, agents):
                        yield rank, alike
                else:
                    yield rank, agents

    def who_may_suit(self) -> int:
        """The bits of all ready agents who may take one of the waiting calls; a few more, perhaps, but nobody less."""
        found = 0
        for group in self.waiting:
            fitting = self._skilled.fitting(group.required)
            for kinds in self._bits.values():
                for (delay_ms, backup, within), bits in kinds.items():
                    if delay_ms <= group.delay_ms and (group.backup or not backup) and reaches(within, group.switch):
                        found |= bits.who & fitting
        return found

    def _in_reach(self, rank: int, call: Call) -> int:
        """The bits of the ready agents of this rank who help with such a call by now."""
        found = 0
        for (delay_ms, backup, within), bits in self._bits[rank].items():
            if delay_ms <= call.delay_ms and (call.backup or not backup) and reaches(within, call.switch):
                found = found | bits.who if found else bits.who
        return found

    def in_order(
        self, required: SkillLevels, rank: int, agents: int, start: Key | None, order: Order | None
    ) -> Iterator[AgentEntry]:
        """These agents of one rank, lazily, in the order of their keys; behind `start` first and then round.

        Without an `order` they are sorted now. May raise PluginFailed then.
        """
        if order is not None:
            return order[rank].among(agents, start)
        return iter(round_from(self._entries(agents, required), start))

    def order_for(self, required: SkillLevels, stands: Mapping[str, Stands]) -> Order | None:
        """The order in which agents are kept for this requirement, made if there is room. May raise PluginFailed.

        `stands`: where each ready agent stands; it is noted there.
        """
        if not self.ordering.by_skill:
            required = ()
        order = self.orders.get(required)
        if order is None and len(self.orders) < KEPT_ORDERS:
            order = self._sorted_for(required, stands)
            self.orders[required] = order
        return order

    def _sorted_for(self, required: SkillLevels, stands: Mapping[str, Stands]) -> Order:
        fitting = self._skilled.fitting(required)
        order: Order = {}
        for rank, kinds in self._bits.items():
            bits = sum(kind.who for kind in kinds.values()) & fitting  # an agent is of one kind, so this joins them
            order[rank] = Stretches(self._entries(bits, required))
        for stretches in order.values():
            for entry in stretches:
                stands[entry[-2]] += (stretches, entry)
        return order

    def _entry(self, agent: Agent, served: Served, number: int, required: SkillLevels) -> AgentEntry:
        ordering = self.ordering
        assert agent.facts is not None
        key = ordering.key(agent.facts, served.facts, required)
        return (*(key[1:] if ordering.by_sum else key), agent.agent_id, number)

    def _entries(self, agents: int, required: SkillLevels) -> list[AgentEntry]:
        """The entries of these agents, sorted now."""
        who = [(self._get_agent(self._skilled.ids[number]), number) for number in numbers(agents)]
        return sorted(self._entry(agent, self.members[agent.agent_id], number, required) for agent, number in who)

    def forget_orders(self) -> list[Stretches]:
        """Drop the orders, which are made again when they are asked for. Entries left in the old ones do no harm."""
        dropped = [stretches for order in self.orders.values() for stretches in order.values()]
        self.orders = {}
        return dropped

    def keep_orders(self, requirements: Iterable[SkillLevels]) -> None:
        """Keep the agents, who come later, in order for these requirements."""
        known = [required if self.ordering.by_skill else () for required in requirements]
        self.orders = {required: {} for required in known[:KEPT_ORDERS]}

    def _rank_and_level(self, served: Served, level: int) -> tuple[int, int]:
        return served.rank, -level if self.ordering.level_first else 0

    # --- proof ---

    def check_ready(self, ready: Mapping[str, Agent], number_of: Callable[[str], int]) -> None:
        """Prove that bits and orders hold exactly the ready agents, those for a requirement all who have the skills."""
        bits: dict[int, dict[_Kind, int]] = {}
        for agent_id, served in self.members.items():
            kinds, kind = bits.setdefault(served.rank, {}), (served.delay_ms, served.backup, served.within)
            kinds[kind] = kinds.get(kind, 0) | 1 << number_of(agent_id)
        there = {rank: {kind: b.who for kind, b in kinds.items() if b.who} for rank, kinds in self._bits.items()}
        assert {rank: kinds for rank, kinds in there.items() if kinds} == bits, "ready agents differ from the bits"
        for required, order in self.orders.items():
            indexed = {(rank, *entry) for rank, stretches in order.items() for entry in stretches}
            true = {
                (served.rank, *self._entry(ready[agent_id], served, number_of(agent_id), required))
                for agent_id, served in self.members.items()
                if ready[agent_id].fit(required) is not None
            }
            assert indexed == true, f"eligible agents for {required} differ from the index: {indexed ^ true}"
            for stretches in order.values():
                stretches.check()
