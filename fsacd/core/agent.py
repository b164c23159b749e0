"""An agent: exactly one state, and what was asked for meanwhile.

LoggedOut ──> Ready <──> NotReady
                │  ^
              offer │ ready again
                v  │
             Offered ──> Talking ──> WrappingUp ──> Ready (or what was asked for meanwhile)
                └──────> HeldBack ──> Ready <──> Busy (with a call that is not ours)

An agent who is found talking on the switch becomes Talking from any state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fsacd.core import skills
from fsacd.core.events import Leg
from fsacd.core.fact import fact
from fsacd.core.load import Load
from fsacd.core.rules import AgentRules, Cause, SkillLevels, WrapUp
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


AgentState = LoggedOut | NotReady | Ready | Offered | Talking | WrappingUp | HeldBack | Busy

_RESTING = frozenset({LoggedOut, NotReady, Ready, Busy})
AGENT_MOVES: dict[type, frozenset[type]] = {
    LoggedOut: frozenset({Ready, NotReady, Busy, Talking}),
    NotReady: _RESTING | {Talking},
    Ready: frozenset({LoggedOut, NotReady, Offered, Busy, Talking}),
    Offered: _RESTING | {Talking, HeldBack},
    Talking: _RESTING | {WrappingUp, HeldBack},
    WrappingUp: _RESTING | {Talking},
    HeldBack: _RESTING | {Talking},
    Busy: (_RESTING - {Busy}) | {Talking},
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
_WITH_REASON = (NotReady, HeldBack)
NEVER_OFFERED_MS = -1


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
class Agent:
    """One configured agent. `then` is a break or a log-out asked for while they could not take it.

    `rules` hold now; `configured` is what the configuration said last, which somebody may have changed by hand since.
    """

    agent_id: str  # the id in the configuration, which is also the agent's SIP user
    rules: AgentRules
    configured: AgentRules
    state: AgentState = field(default_factory=LoggedOut)
    since_ms: int = 0
    then: LoggedOut | NotReady | None = None
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
    serves: tuple[Served, ...] = ()  # those whose calls they take
    not_ready_for: dict[str, NotReadyFor] = field(
        default_factory=dict
    )  # by queue; until the agent is ready for it again, or logs out
    in_vain: dict[Cause, int] = field(default_factory=dict)  # offers in a row that came to nothing, by their cause
    outside: dict[Leg, None] = field(default_factory=dict)  # legs of the agent's phone that are not ours
    handling: tuple[str, int] | None = None  # queue and beginning of the call they talk with or wrap up
    removed: bool = False  # gone from the configuration while they were busy
    _fits: dict[SkillLevels, int | None] = field(default_factory=dict)

    @property
    def state_reason(self) -> str:
        """The reason that belongs to the state, or nothing."""
        return self.state.reason if isinstance(self.state, _WITH_REASON) else ""

    @property
    def on_duty(self) -> bool:
        """Whether they want calls, now or when they are done with what they do."""
        return self.then is None and not isinstance(self.state, OFF_DUTY)

    def configure(self, rules: AgentRules, services: tuple[Served, ...]) -> None:
        """Take (new) rules."""
        if rules.skills != self.rules.skills:
            self._fits = {}
        self.rules = rules
        if services is not self.services:
            self.services = services
            rests = any(served.not_ready is not None for served in services)
            self.serves = tuple(served for served in services if served.not_ready is None) if rests else services

    def take(self, rules: AgentRules, services: tuple[Served, ...]) -> None:
        """The same for other skills or services, none of which rests."""
        self.rules, self.services, self.serves, self._fits = rules, services, services, {}

    def fit(self, required: SkillLevels) -> int | None:
        """As `skills.fit`, remembered: the same few requirements are asked for at every decision."""
        if not required:
            return 0
        try:
            return self._fits[required]
        except KeyError:
            if len(self._fits) >= _MEMO_LIMIT:
                self._fits.clear()
            level = self._fits[required] = skills.fit(required, dict(self.rules.skills))
            return level
