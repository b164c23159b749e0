"""A call: fsacd's own. It has exactly one state; the leg it stands on is an attribute that may be absent.

Waiting ──offer──> Ringing ──answer──> Connecting ──bridge──> Talking ──> (ended)
   ^                  │                    │                     │
   └── no answer ─────┘                    │                     v
   └── bridge window, requeue ─────────────┴───────────────── Settling
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fsacd.core.events import CallerTaken, Leg, LegVariable
from fsacd.core.fact import NOTHING, fact
from fsacd.core.numbers import identity
from fsacd.core.offer import Offer
from fsacd.core.rules import SkillLevels, Target
from fsacd.core.visit import Visit


@fact
class Waiting:
    """The call stands in its queue and may be offered (while its switch is connected)."""


@fact
class Ringing:
    """One agent rings for it, or several."""

    offer_ids: tuple[str, ...]


@fact
class Connecting:
    """An agent answered; the switch has been told to bridge. Ends by the bridge or by its deadline."""

    offer_id: str


@fact
class Talking:
    """The caller is bridged with an agent."""

    offer_id: str
    agent_id: str
    since_ms: int
    answered_ms: int | None = None  # when the agent answered; the offer may be over before the talk is


@fact
class Settling:
    """The agent's leg died when the talk had hardly begun: the caller either hangs up or returns to the music.

    Only then is it known whether this was a talk, and what to write of the offer.
    """

    until_ms: int
    offer: Offer
    talk_ms: int


# Without fields: one is all of them.
WAITING = Waiting()

CallState = Waiting | Ringing | Connecting | Talking | Settling

CALL_MOVES: dict[type, frozenset[type]] = {
    Waiting: frozenset({Ringing, Talking}),  # Talking: a talk that was found on the switch
    Ringing: frozenset({Ringing, Waiting, Connecting}),
    Connecting: frozenset({Waiting, Talking}),
    Talking: frozenset({Waiting, Settling}),
    Settling: frozenset({Waiting}),
}


@fact
class Preferred:
    """One agent comes first for the call until `until_ms`. With `alone`, no other agent gets it meanwhile."""

    agent_id: str
    until_ms: int
    alone: bool


# A talk's offer, its agent, when they answered, and since when they have talked.
TalkFacts = tuple[str | None, str | None, int | None, int | None]


@dataclass(slots=True)
class Call:
    """One live call. `order` is its usual key within a queue: priority class first, then virtual arrival, then id.

    `priority` and `required` are what holds now; `World.set_reach` computes them from what the call has of its own.
    """

    call_id: str
    queue: str
    arrived_ms: int
    joined_ms: int  # when it joined the queue it stands in now, or was put back: the maximum wait counts from here
    head_start_ms: int
    own_priority: int  # its class before any step has raised it
    asked: SkillLevels  # what the call itself requires, without what its queue adds
    leg: Leg | None
    number: str = ""
    name: str = ""
    customer: str = ""
    language: str = ""
    named_agent: str = ""
    source: str = ""
    number_believed: bool = True
    identity: str | None = None  # as in CallQueued
    hidden: bool = False  # the caller asks that number and name be shown to nobody
    priority: int = 0
    required: SkillLevels = ()
    delay_ms: int = 0  # agents with a delay of up to this may take it
    backup: bool = False  # backup agents may take it
    step_overflow: Target | None = None  # where the latest step in force sends it
    at_once: int = 1  # agents to ring at once, by the queue and its steps
    more: int = 0  # agents to ring in addition, because nobody has answered yet
    preferred: Preferred | None = None
    # Agent → how often they were rung for this call and did not take it: missed (RONA), refused, busy, unreachable.
    not_taken: Mapping[str, int] = field(default_factory=lambda: NOTHING)  # replaced, not changed
    last_place: int | None = None  # the place of the agent rung last, in this queue
    # (rank, -level) of the first agent who rings, where the strategy rings only agents of one rank and level.
    only_rank_and_level: tuple[int, int] | None = None
    state: CallState = WAITING
    offers: int = 0
    agent_id: str | None = None  # who talked with it last
    answered_after_ms: int | None = None  # its wait when it was answered, without earlier talks
    talked_ms: int = 0  # in all earlier talks
    confirmed_ms: int | None = None  # when the current talk was confirmed
    # Its time in the queue ran out while an agent was ringing: where it goes if the agent does not answer, and why.
    overdue: tuple[Target, str] | None = None
    # Somebody else took its caller while it was being connected: the call ends, unless the agent gets the caller.
    taken: CallerTaken | None = None
    # Another leg is to take the place of its leg, and has not announced itself yet: nobody is rung meanwhile.
    orphan: bool = False
    heir: Leg | None = None  # the other leg, if the switch has named it
    talks_on_another_leg: bool = False  # its own leg has ended, and the agent talks on with the leg that took its place
    epoch: int = 0  # the last epoch of its switch in which this daemon had the call
    came_back: bool = False  # its end was recorded before it came back: the new record of its end replaces that one
    shown_name: str = ""  # what the dialplan has set for the phones that are rung
    shown_number: str = ""
    variables: tuple[LegVariable, ...] = ()  # as in CallQueued
    resumes: str = ""  # the abandoned call whose place it got
    customer_id: int = 0  # as in CallQueued, as is the next
    remembered_as: str = ""
    # Everything from the caller's first leg on, over queues, transfers and returns. It is the id of the first call,
    # unless the dialplan has brought another one.
    contact_id: str = ""
    visit: Visit | None = None  # its stay in its queue; None: it stands in none yet
    first_talk: TalkFacts | None = None  # of this visit, once the caller was handed over to another agent

    def waited_ms(self, now_ms: int) -> int:
        """How long it has waited: until now, or until it was answered. Talks before a requeue do not count."""
        if self.answered_after_ms is not None:
            return self.answered_after_ms
        return now_ms - self.arrived_ms - self.talked_ms

    @property
    def switch(self) -> str:
        """Where its leg is, and so where agents are rung for it; empty for a call without a leg."""
        return self.leg.switch if self.leg is not None else ""

    @property
    def who(self) -> str:
        """What tells this caller from others; empty for nobody in particular."""
        return identity(self.number) if self.identity is None else self.identity

    @property
    def virtual_ms(self) -> int:
        """Arrival minus head start: a VIP counts as having arrived earlier."""
        return self.arrived_ms - self.head_start_ms

    @property
    def order(self) -> tuple[int, int, str]:
        """Smaller goes first."""
        return (-self.priority, self.virtual_ms, self.call_id)


def in_queue(state: CallState) -> bool:
    """Whether a call in this state counts towards its queue's length."""
    return type(state) in _IN_QUEUE


_IN_QUEUE = frozenset({Waiting, Ringing, Connecting})
