"""What the oracle knows: kept from the facts that were told and the records that came out, by the words of the rules.

Where the rules leave something open, the books say so (`unsure`), take what the engine shows, and judge nothing by it.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.rules import QueueRules, Rules, Sticky, StickyAgent
from fsacd.core.views import AgentView, CallView
from tests.core.tally import Tally

# How an offer ended that its agent has not taken: their phone rang, and nothing was taken from them.
NOT_TAKEN = frozenset(
    {
        "refused",
        "busy",
        "diverted",
        "no_answer",
        "unreachable",
        "hung_up",
        "transferred",
        "connection_lost",
        "cancelled",
    }
)


def is_somebodys(event: e.CallQueued) -> bool:
    """Whether the caller is known by the number that the call shows."""
    return event.number not in {"", "anonymous"} and event.number_believed is not False


def shown_number(number: str) -> str:
    """The number without what people write for the eye."""
    return number.replace(" ", "")


@dataclass
class CallBook:
    """One call, from its announcement to its end."""

    event: e.CallQueued
    queue: str
    arrived_ms: int
    joined_ms: int
    priority: int  # without what steps add
    head_start_ms: int
    asked: dict[str, int]
    not_taken: Counter[str] = field(default_factory=Counter)
    preferred: str | None = None
    reserved: str | None = None
    until_ms: int = 0  # of both
    sent: bool = False  # to the agent in `reserved`, by an operator
    last_rung: str | None = None  # whom it rang last in this queue
    unsure_last: bool = False
    offers: int = 0
    ring_began_ms: int = 0
    first_scope: tuple[int, int] | None = None  # rank and level of the first who rings in this round
    first_required: dict[str, int] | None = None  # what the first was chosen by; None: it changed since
    decisions: list[int] = field(default_factory=list)
    resumes: str = ""  # the abandoned call whose place it got

    @property
    def virtual_ms(self) -> int:
        """Arrival minus head start."""
        return self.arrived_ms - self.head_start_ms


@dataclass
class PlaceBook:
    """The place of a caller who hung up while they waited."""

    call_id: str
    virtual_ms: int
    until_ms: int


@dataclass
class AgentBook:
    """One agent, for as long as they are configured."""

    idle_since_ms: int = 0
    last_offered_ms: float = -math.inf
    since_ms: int = 0
    state: str = "logged_out"
    tally: Tally = field(default_factory=Tally)
    legs: set[e.Leg] = field(default_factory=set)
    # Offers in a row that the agent left unanswered: since the last answer, and since anything that may begin a count.
    no_answers_most: int = 0
    no_answers_least: int = 0


@dataclass
class PluginBook:
    """One plugin of a queue: whether it is out of service, since when it is what it is, and until when."""

    failed: bool = False
    in_a_row: int = 0
    since_ms: int = 0
    again_ms: int = 0


@dataclass
class QueueBook:
    """One queue."""

    last_rung: str | None = None
    unsure_last: bool = False
    strategy: PluginBook = field(default_factory=PluginBook)  # while it is out, longest_idle does its work
    order: PluginBook = field(default_factory=PluginBook)
    is_open: bool = True


@dataclass
class Books:
    """All of it. `last_agents`: number → agent, the one talked with longest ago first."""

    rules: Rules
    calls: dict[str, CallBook] = field(default_factory=dict)
    agents: dict[str, AgentBook] = field(default_factory=dict)
    queues: dict[str, QueueBook] = field(default_factory=dict)
    last_agents: OrderedDict[str, str] = field(default_factory=OrderedDict)
    announced: dict[str, e.CallQueued] = field(default_factory=dict)  # every call that ever was
    numbers: dict[int, r.DecisionMade] = field(default_factory=dict)
    talks: Counter[str] = field(default_factory=Counter)
    places: dict[tuple[str, str], PlaceBook] = field(default_factory=dict)  # by queue and number

    def queue(self, name: str) -> QueueBook:
        """This queue's book."""
        return self.queues.setdefault(name, QueueBook())

    def agent(self, agent_id: str) -> AgentBook:
        """This agent's book."""
        return self.agents.setdefault(agent_id, AgentBook())

    def queue_rules(self, name: str) -> QueueRules:
        """The rules of a queue; an empty one's for a queue that is gone while a call of it talks."""
        return self.rules.queues.get(name) or QueueRules(name)

    def strategy(self, queue: str) -> str:
        """By which strategy a queue works now."""
        return "longest_idle" if self.queue(queue).strategy.failed else self.queue_rules(queue).strategy

    def place(self, agent_id: str, queue: str) -> int:
        """The agent's place in the configuration's list; who serves the queue by a live change stands behind it."""
        line_up = list(self.rules.agents)
        configured = agent_id in self.rules.agents and queue in self.rules.agents[agent_id].queues
        return line_up.index(agent_id) + (0 if configured else len(line_up))

    def in_reach(self, call: CallBook, agent: AgentView) -> bool:
        """Whether the call's switch can ring the agent: at a number outside, or where their phone registers."""
        known = self.rules.agents.get(agent.agent_id)
        switches = known.switches if known is not None else ()
        leg = call.event.leg
        return not switches or leg is None or not agent.contact.startswith("user/") or leg.switch in switches

    # --- what holds for a call at a time ---

    def due(self, call: CallBook, at_ms: int) -> list[int]:
        """Which of its queue's steps hold: their places in the list."""
        steps = self.queue_rules(call.queue).steps
        return [place for place, step in enumerate(steps) if at_ms - call.joined_ms >= step.after_ms]

    def required(self, call: CallBook, at_ms: int) -> dict[str, int]:
        """What an agent must be able to do for it."""
        rules = self.queue_rules(call.queue)
        wanted = dict(rules.required)
        for skill, level in call.asked.items():
            wanted[skill] = max(level, wanted.get(skill, level))
        for place in self.due(call, at_ms):
            for skill, level in rules.steps[place].lower:
                if skill in wanted:
                    wanted[skill] = min(level, wanted[skill])
            for skill in rules.steps[place].drop:
                wanted.pop(skill, None)
        return wanted

    def priority(self, call: CallBook, at_ms: int) -> int:
        """Its class, what steps have raised it by included."""
        steps = self.queue_rules(call.queue).steps
        return call.priority + sum(steps[place].raise_by for place in self.due(call, at_ms))

    def backup_open(self, call: CallBook, at_ms: int) -> bool:
        """Whether agents who serve the queue as backup may take it."""
        steps = self.queue_rules(call.queue).steps
        return any(steps[place].backup for place in self.due(call, at_ms))

    def reserved(self, call: CallBook, at_ms: int) -> str | None:
        """The only agent who may have it."""
        return call.reserved if at_ms < call.until_ms else None

    def preferred(self, call: CallBook, at_ms: int) -> str | None:
        """The agent who comes first for it."""
        return call.preferred if at_ms < call.until_ms else None

    # --- coming back ---

    def abandoned(self, call: CallBook, now_ms: int) -> None:
        """The caller has hung up while they waited."""
        resume_ms = self.queue_rules(call.queue).abandoned_resume_ms
        if resume_ms and is_somebodys(call.event):
            place = PlaceBook(call.event.call_id, call.virtual_ms, now_ms + resume_ms)
            self.places[call.queue, shown_number(call.event.number)] = place

    def comes_back(self, call: CallBook, now_ms: int) -> None:
        """A call joins: perhaps its caller has a place from before."""
        key = call.queue, shown_number(call.event.number)
        place = self.places.get(key) if is_somebodys(call.event) else None
        if place is None or place.call_id == call.event.call_id:
            return
        if now_ms < place.until_ms and place.virtual_ms < call.virtual_ms:
            call.head_start_ms, call.resumes = call.arrived_ms - place.virtual_ms, place.call_id
            del self.places[key]

    # --- joining ---

    def join(
        self, call: CallBook, queue: str, joined_ms: int, now_ms: int, agents: dict[str, AgentView], *, by_hand: bool
    ) -> None:
        """The call stands in this queue from `joined_ms` on: steps and stickiness begin anew.

        That may have been before now: then steps hold already.

        A caller who is moved by hand is moved for a reason: no agent comes first for them.
        """
        if queue != call.queue:
            call.last_rung = None
            call.unsure_last = False
        call.queue, call.joined_ms = queue, joined_ms
        call.preferred = call.reserved = None
        call.sent = False
        sticky = self.queue_rules(queue).sticky
        if sticky is None or by_hand:
            return
        agent_id = self._found(call, sticky, agents)
        if agent_id is None or agents[agent_id].state == "logged_out":
            return
        if queue in dict(agents[agent_id].not_ready_for):
            return
        view = agents[agent_id]
        if not self.in_reach(call, view):
            return
        fits = queue in dict(view.queues) and lacks(dict(view.skills), self.required(call, now_ms)) is None
        if fits or sticky.any_queue:
            call.preferred = agent_id
            call.reserved = agent_id if sticky.wait else None
            call.until_ms = joined_ms + sticky.for_ms

    def _found(self, call: CallBook, sticky: Sticky, agents: dict[str, AgentView]) -> str | None:
        named = call.event.named_agent if call.event.named_agent in agents else None
        last = self.last_agents.get(shown_number(call.event.number)) if is_somebodys(call.event) else None
        match sticky.agent:
            case StickyAgent.NAMED:
                found = named
            case StickyAgent.LAST:
                found = last
            case StickyAgent.NAMED_OR_LAST:
                found = named or last
        return found if found in agents else None

    def talked(self, number: str, agent_id: str) -> None:
        """The caller of this number has talked with this agent."""
        if number := shown_number(number):
            self.last_agents[number] = agent_id
            self.last_agents.move_to_end(number)
            while len(self.last_agents) > self.rules.limits.last_agents:
                self.last_agents.popitem(last=False)


def lacks(levels: dict[str, int], required: dict[str, int]) -> set[str] | None:
    """The required skills that an agent has not, or not well enough; None if there are none."""
    return {skill for skill, level in required.items() if levels.get(skill, 0) < max(level, 1)} or None


def shown(call: CallView) -> tuple[str, int, dict[str, int]]:
    """What the engine shows of a call and the books know, too."""
    return call.queue, call.priority, dict(call.required)
