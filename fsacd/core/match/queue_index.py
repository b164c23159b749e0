"""One queue's part of the index: who waits in groups, who is ready in rows.

Calls that ask the same of an agent stand in one group, best first: an agent looks at the heads of the groups alone.
Ready agents are kept once for each requirement in use, and apart by when they help, so a call looks at the heads alone,
too. Sorted lists are plain lists: with ten thousand entries, to find a place by bisection and to move the rest takes
C code a few microseconds, less than any cleverer structure written in Python.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any, NamedTuple

from fsacd.core.agent import Agent, Served
from fsacd.core.call import Call
from fsacd.core.match.circle import AgentEntry
from fsacd.core.match.ordering import Ordering
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


# The ready agents who have the required skills, apart by when they help and from where they can be rung:
# (delay, backup, switches).
Row = dict[tuple[int, bool, tuple[str, ...]], list[AgentEntry]]
# Where an agent belongs when ready: the list, how their entry begins (rank, level) and what is required there.
Place = tuple[list[AgentEntry], tuple[int, int], SkillLevels]
# Where a ready agent stands: a list, their entry in it, the next list, and so on. Flat, for a pair for each would be
# twenty more objects whenever an agent becomes ready; only `QueueIndex.enter` writes it, only `Index` reads it.
Stands = list[Any]


class QueueIndex:
    """Waiting calls and ready agents of one queue, as its `ordering` has them."""

    def __init__(self, ordering: Ordering) -> None:
        self.ordering = ordering
        self.waiting: dict[GroupKey, list[CallEntry]] = {}
        self.ready: dict[SkillLevels, Row] = {}
        self.version = 0  # of the requirements that agents are sorted for
        self.members: dict[str, Served] = {}  # the ready ones

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

    def place(self, required: SkillLevels, agent: Agent, served: Served) -> Place | None:
        """Where the agent belongs among those sorted for this requirement; None if they lack the skills."""
        level = agent.fit(required)
        if level is None:
            return None
        entries = self.ready[required].setdefault((served.delay_ms, served.backup, served.within), [])
        return entries, self._rank_and_level(served, level), required

    def places(self, agent: Agent, served: Served) -> list[Place]:
        """Where the agent belongs among those sorted for any requirement, until `version` changes."""
        return [place for required in self.ready if (place := self.place(required, agent, served))]

    def enter(self, agent: Agent, served: Served, places: list[Place], here: Stands) -> None:
        """Put the agent into these places, and note it in `here`. May raise PluginFailed."""
        if not places:
            return
        facts, ordering = agent.facts, self.ordering
        assert facts is not None
        end = () if ordering.by_skill else (*ordering.key(facts, served.facts, ()), agent.agent_id)
        for entries, begin, required in places:
            if ordering.by_skill:
                end = (*ordering.key(facts, served.facts, required), agent.agent_id)
            entry = begin + end
            insort(entries, entry)
            here += (entries, entry)

    def forget_rows(self) -> None:
        """Drop the rows, which are made again when they are asked for. Entries left in the old lists do no harm."""
        self.ready = {}
        self.version += 1

    def _rank_and_level(self, served: Served, level: int) -> tuple[int, int]:
        return served.rank, -level if self.ordering.level_first else 0

    # --- proof ---

    def check_ready(self, ready: Mapping[str, Agent]) -> None:
        """Prove that the rows hold exactly the ready agents who have the skills, in order."""
        for required, row in self.ready.items():
            indexed = {(reach, *entry) for reach, entries in row.items() for entry in entries}
            true = set()
            for agent_id, served in self.members.items():
                agent = ready[agent_id]
                level = agent.fit(required)
                if level is not None:
                    assert agent.facts is not None
                    key = self.ordering.key(agent.facts, served.facts, required if self.ordering.by_skill else ())
                    reach = (served.delay_ms, served.backup, served.within)
                    true.add((reach, *self._rank_and_level(served, level), *key, agent_id))
            assert indexed == true, f"eligible agents for {required} differ from the index: {indexed ^ true}"
            for entries in row.values():
                assert entries == sorted(entries), "a list is out of order"
