"""An agent: their presence, apart from the work they hold.

Presence is what the agent wants: LoggedOut, NotReady (with a reason) or Ready. It changes at once, in the middle of a
talk, too. Work is what they hold, piece by piece, each with a weight of the agent's hundred:

Offered ──answer──> Talking ──> WrappingUp ──> (gone)
   └── not taken ──> (gone)

A piece found as a talk on the switch begins as Talking. A phone call fills the agent; pieces that weigh less may be
held at once. An agent may be offered something if they are Ready, nothing keeps them away (they are held back after an
offer in vain, their phone is in a call that is not ours, or their standing leg does not stand), and what they hold
leaves room for it: `Agent.room`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fsacd.core import skills
from fsacd.core.events import Leg
from fsacd.core.fact import NOTHING, fact
from fsacd.core.load import Load
from fsacd.core.log_in import LogIn
from fsacd.core.rules import FULL, AgentRules, Cause, SkillLevels, WrapUp
from fsacd.core.standing_leg import Stand, StandingLeg
from fsacd.strategy import AgentFacts, ServiceFacts


@fact
class LoggedOut:
    """Not at work."""


@fact
class NotReady:
    """The agent is at work and wants no calls."""

    reason: str = ""


@fact
class Ready:
    """The agent wants calls."""


@fact
class Offered:
    """The agent's phone rings, or the agent has answered and is being connected."""

    offer_id: str
    call_id: str


@fact
class Talking:
    """The agent talks with a caller."""

    offer_id: str
    call_id: str


@fact
class WrappingUp:
    """After-call work (ACW). With `leg` there is no work: the state lasts until the leg of this offer has ended."""

    until_ms: int
    leg: str = ""
    ends: WrapUp = WrapUp.CAPPED


@fact
class Busy:
    """The agent's phone is in a call that is not ours."""


@fact
class HeldBack:
    """The agent is not rung for a while after an offer that came to nothing; `reason` says why it did."""

    reason: str
    until_ms: int


Presence = LoggedOut | NotReady | Ready
WorkState = Offered | Talking | WrappingUp
AgentState = Presence | WorkState | HeldBack | Busy

WORK_MOVES: dict[type, frozenset[type]] = {
    Offered: frozenset({Talking}),
    Talking: frozenset({WrappingUp}),
    WrappingUp: frozenset(),
}

STATE_NAMES: dict[type, str] = {
    LoggedOut: "logged_out",
    NotReady: "not_ready",
    Ready: "ready",
    Offered: "offered",
    Talking: "talking",
    WrappingUp: "wrapping_up",
    HeldBack: "held_back",
    Busy: "busy",
}

# An agent in one of these states is off duty: what they have done does not fade meanwhile.
OFF_DUTY = (LoggedOut, NotReady)
WORKING = (Offered, Talking, WrappingUp)
PAUSES = (WrappingUp, HeldBack)
LOGGED_OUT, READY, BUSY = LoggedOut(), Ready(), Busy()
# Until their standing leg stands. One state for all that time, so without the moment at which it will be tried again.
WITHOUT_LEG: Final = HeldBack("standing_leg", 0)
WITH_REASON = (NotReady, HeldBack)
NEVER_OFFERED_MS = -1
# Of several pieces of work the one whose kind stands first is told where one state alone can be.
_FIRST: Final = {Talking: 0, Offered: 1, WrappingUp: 2}


# For how many requirement sets an agent's fit is remembered; a bound, not a tuning knob.
_MEMO_LIMIT = 256


class Served(NamedTuple):
    """One of the agent's queues, as the index needs it."""

    queue: str
    rank: int
    delay_ms: int
    backup: bool
    facts: ServiceFacts
    not_ready: str | None = None  # why they take no calls of this one queue for now; None: they do
    within: tuple[str, ...] = ()  # the switches that can ring the agent; (): any


@fact
class NotReadyFor:
    """The agent takes no calls of one queue, for a reason, but goes on taking those of their other queues."""

    reason: str
    since_ms: int


@dataclass(slots=True)
class Said:
    """What the agent has said of a talk, and what is known of it that outlives its call."""

    codes: tuple[str, ...] = ()
    note: str = ""
    by: str = ""  # who has set them last
    contact_id: str = ""
    number: str = ""  # the caller's, if it may be seen
    over_ms: int | None = None  # when the talk was over
    # When its wrap-up was over. From then on each change is told anew, and counted.
    ended_ms: int | None = None
    changes: int = 0


@dataclass(slots=True)
class Wrapped:
    """A talk whose wrap-up is over: its codes and note may still be set for a while."""

    offer_id: str
    call_id: str
    queue: str
    said: Said


@dataclass(slots=True)
class Work:
    """One piece of work: what an offer has become. `weight` is its share of the agent, in hundredths."""

    offer_id: str
    call_id: str
    queue: str
    channel: str
    weight: int
    state: WorkState
    since_ms: int
    talks_since_ms: int | None = None  # handling is counted from here
    said: Said | None = None  # of a talk: from when its agent says something of it, or from its end


@dataclass(slots=True)
class Agent:
    """One configured agent. `state` is the first of what they are and do, where one state alone can be told.

    `rules` hold now; `configured` is what the configuration said last, which somebody may have changed by hand since.
    """

    agent_id: str  # the id in the configuration, which is also the agent's SIP user
    rules: AgentRules
    configured: AgentRules
    presence: Presence = LOGGED_OUT
    presence_since_ms: int = 0
    presence_by: str = ""  # who asked for it; empty: nobody, it followed
    log_in: LogIn | None = None  # the one that goes on, else their last one: `log_ins` sees to it
    work: dict[str, Work] = field(default_factory=dict)  # by offer
    held_back: HeldBack | None = None
    outside: dict[Leg, None] = field(default_factory=dict)  # legs of the agent's phone that are not ours
    state: AgentState = LOGGED_OUT  # follows from the five above: `roster` sees to it
    since_ms: int = 0
    room: int = 0  # how much may be offered to them, in hundredths: `roster` sees to it
    contact: str = ""
    # When the agent's last talk ended, or when they logged in: what longest_idle orders by. A break does not change it,
    # so nobody moves to the back of the line, or to its front, by asking for one.
    idle_since_ms: int = 0
    last_offered_ms: int = NEVER_OFFERED_MS
    working_since_ms: int = 0
    load: Load = field(default_factory=Load)
    facts: AgentFacts | None = None  # as they became ready
    within: tuple[str, ...] = ()  # the switches that can ring them where they are now; (): any
    services: tuple[Served, ...] = ()  # all their queues
    served: dict[str, None] = field(default_factory=dict)  # the names of all their queues
    serves: tuple[Served, ...] = ()  # those whose calls they take
    # By queue; until the agent is ready for it again, or logs out.
    not_ready_for: Mapping[str, NotReadyFor] = field(default_factory=lambda: NOTHING)
    # Offers in a row that came to nothing, by their cause. Replaced, not changed, as what stands above.
    in_vain: Mapping[Cause, int] = field(default_factory=lambda: NOTHING)
    removed: bool = False  # gone from the configuration while they were busy
    wrapped: Wrapped | None = None  # their last talk, once its wrap-up is over
    standing: StandingLeg | None = None  # only of agents who have one
    _fits: dict[SkillLevels, int | None] | None = None

    @property
    def state_reason(self) -> str:
        """The reason that belongs to the state, or nothing."""
        return self.state.reason if isinstance(self.state, WITH_REASON) else ""

    @property
    def on_duty(self) -> bool:
        """Whether they want calls, now or when they are done with what they do."""
        return type(self.presence) is Ready

    @property
    def then(self) -> LoggedOut | NotReady | None:
        """The break or the log-out that shows when their work is done; None: they will be ready, or have it."""
        presence = self.presence
        return None if isinstance(presence, Ready) or presence == self.state else presence

    @property
    def live(self) -> Work | None:
        """The piece of work for which they are rung or talk; None: there is none."""
        return next((work for work in self.work.values() if not isinstance(work.state, WrappingUp)), None)

    def may_be_offered(self, weight: int) -> bool:
        """Whether the agent may be offered a piece of work of this weight now."""
        return self.room >= weight

    def state_and_room(self) -> tuple[AgentState, int]:
        """What of all that they are and do is told first, and how much more they can hold, in hundredths.

        That is nothing while they want no calls or are kept away.
        """
        state: AgentState = self.presence
        room = 0
        if type(state) is Ready:
            if self.held_back is not None:
                state = self.held_back
            elif self.outside:
                state = BUSY
            elif self.standing is not None and self.standing.state is not Stand.STANDS:
                state = WITHOUT_LEG
            else:
                room = FULL
        if self.work:
            states = []
            for work in self.work.values():
                states.append(work.state)
                room -= work.weight
            state = states[0] if len(states) == 1 else min(states, key=lambda state: _FIRST[type(state)])
        return state, max(room, 0)

    def show(self) -> None:
        """Let strategies see the agent as they are on becoming ready."""
        load, rules = self.load, self.rules
        calls, talk, work = load.calls, load.talk, load.work
        self.facts = AgentFacts(
            self.agent_id, self.idle_since_ms, self.last_offered_ms, calls, talk, work, rules.skills
        )

    def configure(self, rules: AgentRules, services: tuple[Served, ...]) -> None:
        """Take (new) rules."""
        if rules.skills != self.rules.skills:
            self._fits = None
        self.rules = rules
        if services is not self.services:
            self.services = services
            self.served = dict.fromkeys(rules.queues)
            rests = any(served.not_ready is not None for served in services)
            self.serves = tuple(served for served in services if served.not_ready is None) if rests else services

    def take(self, rules: AgentRules, services: tuple[Served, ...], served: dict[str, None]) -> None:
        """The same for other skills or services, none of which rests; `served` are their queues' names."""
        self.rules, self.services, self.serves, self.served = rules, services, services, served
        self._fits = None

    def fit(self, required: SkillLevels) -> int | None:
        """As `skills.fit`, remembered: the same few requirements are asked for at every decision."""
        if not required:
            return 0
        fits = self._fits
        if fits is None:
            fits = self._fits = {}
        elif required in fits:
            return fits[required]
        elif len(fits) >= _MEMO_LIMIT:
            fits.clear()
        level = fits[required] = skills.fit(required, dict(self.rules.skills))
        return level
