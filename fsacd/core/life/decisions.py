"""What is remembered of decisions, so that they can be explained later without costing anything now.

A decision is noted with what it knew of the call. What it knew of the agents is found by going back from the present:
before an agent changes, what they were is noted with a number, and whoever explains decision n undoes all that was
noted after it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from fsacd.core.agent import Agent, AgentState, Served
from fsacd.core.call import Preferred
from fsacd.core.match.ordering import Ordering
from fsacd.core.rules import AgentRules, QueueRules, SkillLevels
from fsacd.strategy import AgentFacts, Start

# How many changes of agents can be undone: at a thousand a minute, about twenty minutes.
_MOMENTS = 20_000
_PARTS = 6


class Moment(NamedTuple):
    """What an agent was."""

    state: AgentState
    facts: AgentFacts | None
    rules: AgentRules
    services: tuple[Served, ...]

    def service(self, queue: str) -> Served | None:
        """How the agent served this queue, if they did."""
        for served in self.services:
            if served.queue == queue:
                return served
        return None


def moment_of(agent: Agent) -> Moment:
    """What the agent is now."""
    return Moment(agent.state, agent.facts, agent.rules, agent.services)


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
        self._moment = 0
        self._number = 0
        # Number, agent, and the fields of that moment, one after the other: a tuple for each would live long enough to
        # cost the garbage collector more than it costs to make.
        self._moments: deque[Any] = deque(maxlen=_MOMENTS * _PARTS)
        self._decisions: OrderedDict[int, Decision] = OrderedDict()
        self._of_call: dict[str, list[int]] = {}

    @property
    def number(self) -> int:
        """Of the latest decision; 0 before the first."""
        return self._number

    def go_on_from(self, number: int) -> None:
        """The next decision comes after this one."""
        self._number = number

    def remember(self, agent: Agent) -> None:
        """The agent is about to change."""
        self._moment += 1
        self._moments.extend((self._moment, agent.agent_id, agent.state, agent.facts, agent.rules, agent.services))

    def add(self, call: CallMoment, agent_id: str, now_ms: int, limit: int) -> int:
        """A decision was made, and nothing has been done about it yet. Returns its number."""
        self._number += 1
        self._decisions[self._number] = Decision(self._number, self._moment, now_ms, agent_id, call)
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
        return Past(self._moments, decision.moment if decision is not None else self._moment)


class Past:
    """What agents were at one moment, however much happens while somebody looks at them."""

    def __init__(self, moments: deque[Any], at: int) -> None:
        self._moments = moments
        self._seen = at
        self.changed: dict[str, Moment] = {}

    def catch_up(self) -> bool:
        """Undo the changes of agents since the last look, too; False when they are not remembered any more."""
        moments, seen = self._moments, self._seen
        if not moments:
            return True
        if moments[0] > seen + 1:
            return False
        newest = moments[-_PARTS]
        fresh: dict[str, Moment] = {}
        if newest > seen:
            parts = reversed(moments)
            for services, rules, facts, state, agent_id, number in zip(*[parts] * _PARTS, strict=True):
                if number <= seen:
                    break
                fresh[agent_id] = Moment(state, facts, rules, services)
        self._seen = newest
        # An entry that is there already is older, and older is what is wanted.
        self.changed = {**fresh, **self.changed}
        return True
