"""What is remembered of decisions, so that they can be explained later without costing anything now.

A decision is noted with what it knew of the call. What it knew of the agents is found by going back from the present:
before an agent changes, what they were is noted with a number, and whoever explains decision n undoes all that was
noted after it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from fsacd.core.agent import Agent, AgentState, Served
from fsacd.core.call import Preferred
from fsacd.core.match.ordering import Ordering
from fsacd.core.rules import QueueRules, SkillLevels
from fsacd.strategy import AgentFacts, Start

# How many changes of agents can be undone: at a thousand a minute, about twenty minutes.
_MOMENTS = 20_000


class Moment(NamedTuple):
    """What an agent was."""

    state: AgentState
    facts: AgentFacts | None
    skills: SkillLevels
    services: tuple[Served, ...]
    room: int

    def service(self, queue: str) -> Served | None:
        """How the agent served this queue, if they did."""
        for served in self.services:
            if served.queue == queue:
                return served
        return None


def moment_of(agent: Agent) -> Moment:
    """What the agent is now."""
    return Moment(agent.state, agent.facts, agent.rules.skills, agent.services, agent.room)


class Changes:
    """What agents were before their latest changes, one after the other: a column for each field.

    Columns, for what is made for each change lives so long that the garbage collector comes by for it. Measured with
    `tests.bench.engine` at 1,000 agents: objects of a slotted class take 120 bytes for each change and not 41, 260 ns
    and not 155 to be noted, and a quarter more collections: 1 µs for each step of 50 µs.
    """

    def __init__(self) -> None:
        self.number = 0  # of the latest change
        self._agent_ids: deque[str] = deque(maxlen=_MOMENTS)
        self._states: deque[AgentState] = deque(maxlen=_MOMENTS)
        self._facts: deque[AgentFacts | None] = deque(maxlen=_MOMENTS)
        self._skills: deque[SkillLevels] = deque(maxlen=_MOMENTS)
        self._services: deque[tuple[Served, ...]] = deque(maxlen=_MOMENTS)
        self._rooms: deque[int] = deque(maxlen=_MOMENTS)

    def put(self, agent: Agent) -> None:
        """The agent is about to change."""
        self.number += 1
        self._agent_ids.append(agent.agent_id)
        self._states.append(agent.state)
        self._facts.append(agent.facts)
        self._skills.append(agent.rules.skills)
        self._services.append(agent.services)
        self._rooms.append(agent.room)

    def put_all(self, agents: Sequence[Agent]) -> None:
        """All these agents are about to change."""
        self.number += len(agents)
        self._agent_ids.extend([agent.agent_id for agent in agents])
        self._states.extend([agent.state for agent in agents])
        self._facts.extend([agent.facts for agent in agents])
        self._skills.extend([agent.rules.skills for agent in agents])
        self._services.extend([agent.services for agent in agents])
        self._rooms.extend([agent.room for agent in agents])

    def remembers(self, number: int) -> bool:
        """Whether all that has changed after this change is still known."""
        return self.number - number <= len(self._agent_ids)

    def since(self, number: int) -> Iterator[tuple[str, Moment]]:
        """Who has changed after this change, and what they were before it; the latest first."""
        states, facts = reversed(self._states), reversed(self._facts)
        moments = map(Moment, states, facts, reversed(self._skills), reversed(self._services), reversed(self._rooms))
        return islice(zip(reversed(self._agent_ids), moments, strict=True), self.number - number)


class CallMoment(NamedTuple):
    """What the call was, and how its queue ordered agents."""

    call_id: str
    queue: QueueRules
    ordering: Ordering
    strategy: str  # longest_idle instead of the queue's, if that has failed
    required: SkillLevels
    priority: int
    delay_ms: int
    backup: bool
    waited_ms: int
    preferred: Preferred | None
    not_taken: Mapping[str, int]
    only_rank_and_level: tuple[int, int] | None
    start: Start | None  # of a strategy that goes round
    ranked: tuple[str, ...]
    candidates: int  # eligible agents; a strategy that ranks was shown only the first of them
    number_believed: bool
    switch: str  # as `Call.switch`
    contact_id: str


class Decision(NamedTuple):
    """One agent chosen for one call."""

    number: int
    moment: int
    at_ms: int
    agent_id: str
    call: CallMoment


class Decisions:
    """The latest decisions and changes of agents, both bounded."""

    def __init__(self) -> None:
        self._number = 0
        self._changes = Changes()
        # An agent is about to change.
        self.remember: Callable[[Agent], None] = self._changes.put
        self.remember_all: Callable[[Sequence[Agent]], None] = self._changes.put_all
        self._decisions: OrderedDict[int, Decision] = OrderedDict()
        self._of_call: dict[str, list[int]] = {}

    @property
    def number(self) -> int:
        """Of the latest decision; 0 before the first."""
        return self._number

    def go_on_from(self, number: int) -> None:
        """The next decision comes after this one."""
        self._number = number

    def add(self, call: CallMoment, agent_id: str, now_ms: int, limit: int) -> int:
        """A decision was made, and nothing has been done about it yet. Returns its number."""
        self._number += 1
        self._decisions[self._number] = Decision(self._number, self._changes.number, now_ms, agent_id, call)
        self._of_call.setdefault(call.call_id, []).append(self._number)
        while len(self._decisions) > limit:
            number, oldest = self._decisions.popitem(last=False)
            mine = self._of_call[oldest.call.call_id]
            mine.remove(number)
            if not mine:
                del self._of_call[oldest.call.call_id]
        return self._number

    def get(self, number: int) -> Decision | None:
        """One decision, or None if it is not remembered any more."""
        return self._decisions.get(number)

    def of_call(self, call_id: str) -> list[Decision]:
        """The decisions about a call, oldest first."""
        return [self._decisions[number] for number in self._of_call.get(call_id, ())]

    def past(self, decision: Decision | None = None) -> Past:
        """The agents as they were when this was decided, or as they are now."""
        return Past(self._changes, decision.moment if decision is not None else self._changes.number)


class Past:
    """What agents were at one moment, however much happens while somebody looks at them."""

    def __init__(self, changes: Changes, at: int) -> None:
        self._changes = changes
        self._seen = at
        self.changed: dict[str, Moment] = {}

    def catch_up(self) -> bool:
        """Take in what has changed meanwhile; False when that is not remembered any more."""
        if not self._changes.remembers(self._seen):
            return False
        fresh = dict(self._changes.since(self._seen))  # of several changes of one agent the first one stays
        self._seen = self._changes.number
        # What was known of an agent before is older.
        self.changed = {**fresh, **self.changed}
        return True
