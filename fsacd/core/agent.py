"""An agent: exactly one state, and what was asked for meanwhile.

LoggedOut ──> Ready <──> NotReady
                │  ^
              offer │ ready again
                v  │
             Offered ──> Talking ──> WrappingUp ──> Ready (or what was asked for meanwhile)
                └──────> HeldBack ──> Ready
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fsacd.core import skills
from fsacd.core.rules import AgentRules, SkillLevels


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """Not at work."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """At work, wants no calls."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """Wants calls."""


@dataclass(frozen=True, slots=True)
class Offered:
    """His phone rings, or is being connected."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class Talking:
    """Talks with a caller."""

    offer_id: str
    call_id: str


@dataclass(frozen=True, slots=True)
class WrappingUp:
    """After-call work. `leg` is the offer whose leg must still end: with it the work is over, if the queue has none."""

    until_ms: int
    leg: str = ""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Not rung for a while after an offer that came to nothing; the reason is the offer's."""

    reason: str
    until_ms: int


AgentState = LoggedOut | NotReady | Ready | Offered | Talking | WrappingUp | HeldBack

_RESTING = frozenset({LoggedOut, NotReady, Ready})
AGENT_MOVES: dict[type, frozenset[type]] = {
    LoggedOut: frozenset({Ready, NotReady}),
    NotReady: _RESTING,
    Ready: frozenset({LoggedOut, NotReady, Offered}),
    Offered: _RESTING | {Talking, HeldBack},
    Talking: _RESTING | {WrappingUp, HeldBack},
    WrappingUp: _RESTING,
    HeldBack: _RESTING,
}

STATE_NAMES: dict[type, str] = {
    LoggedOut: "logged_out",
    NotReady: "not_ready",
    Ready: "ready",
    Offered: "offered",
    Talking: "talking",
    WrappingUp: "wrapping_up",
    HeldBack: "held_back",
}

# How many requirement sets an agent remembers his fit for; a bound, not a tuning knob.
_MEMO_LIMIT = 256


@dataclass(slots=True)
class Agent:
    """One configured agent. `then` is a break or a log-out asked for while he could not take it."""

    rules: AgentRules
    state: AgentState = field(default_factory=LoggedOut)
    since_ms: int = 0
    then: LoggedOut | NotReady | None = None
    contact: str = ""
    # When his last talk ended, or when he logged in: what longest_idle orders by. A break does not change it,
    # so nobody moves to the back of the line, or to its front, by asking for one.
    idle_since_ms: int = 0
    removed: bool = False  # gone from the configuration while he was busy
    levels: dict[str, int] = field(default_factory=dict)
    _fits: dict[SkillLevels, int | None] = field(default_factory=dict)

    @property
    def agent_id(self) -> str:
        """The id in the configuration, which is also his SIP user."""
        return self.rules.agent_id

    @property
    def state_reason(self) -> str:
        """The reason that belongs to the state, or nothing."""
        return self.state.reason if isinstance(self.state, NotReady | HeldBack) else ""

    def configure(self, rules: AgentRules) -> None:
        """Take (new) rules."""
        self.rules = rules
        self.levels = dict(rules.skills)
        self._fits = {}

    def fit(self, required: SkillLevels) -> int | None:
        """As `skills.fit`, remembered: the same few requirements are asked for at every decision."""
        if not required:
            return 0
        try:
            return self._fits[required]
        except KeyError:
            if len(self._fits) >= _MEMO_LIMIT:
                self._fits.clear()
            level = self._fits[required] = skills.fit(required, self.levels)
            return level
