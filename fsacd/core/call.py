"""A call: fsacd's own. It has exactly one state; the leg it stands on is an attribute that may be absent.

Waiting ──offer──> Ringing ──answer──> Connecting ──bridge──> Talking ──> (ended)
   ^                  │                    │                     │
   └── no answer ─────┘                    │                     v
   └── bridge window, requeue ─────────────┴───────────────── Settling
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fsacd.core.events import Leg
from fsacd.core.offer import Offer
from fsacd.core.rules import SkillLevels


@dataclass(frozen=True, slots=True)
class Waiting:
    """Stands in the queue, ready to be offered (while its switch is connected)."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """One agent rings for it, or several."""

    offer_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Connecting:
    """An agent answered; the switch has been told to bridge. Ends by the bridge or by its deadline."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class Talking:
    """Bridged with an agent."""

    offer_id: str
    agent_id: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Settling:
    """The agent's leg died when the talk had hardly begun: the caller either hangs up or returns to the music.

    Only then is it known whether this was a talk, and what to write of the offer.
    """

    until_ms: int
    offer: Offer
    talk_ms: int


CallState = Waiting | Ringing | Connecting | Talking | Settling

CALL_MOVES: dict[type, frozenset[type]] = {
    Waiting: frozenset({Ringing}),
    Ringing: frozenset({Ringing, Waiting, Connecting}),
    Connecting: frozenset({Waiting, Talking}),
    Talking: frozenset({Waiting, Settling}),
    Settling: frozenset({Waiting}),
}


@dataclass(slots=True)
class Call:
    """One live call. `order` is its key within a queue: priority class first, then virtual arrival, then id."""

    call_id: str
    queue: str
    arrived_ms: int
    joined_ms: int  # when it joined the queue it stands in now, or was put back: the maximum wait counts from here
    head_start_ms: int
    priority: int
    required: SkillLevels
    asked: SkillLevels  # what the call itself requires, without what its queue adds
    leg: Leg | None
    number: str = ""
    name: str = ""
    customer: str = ""
    state: CallState = field(default_factory=Waiting)
    offers: int = 0
    agent_id: str | None = None  # who talked with it last
    answered_after_ms: int | None = None  # how long it had waited when it was answered; talks before do not count
    talked_ms: int = 0  # in the talks that are over
    overdue: bool = False  # its maximum wait passed while an agent was ringing
    replaced: bool = False  # its leg has ended, and the agent goes on talking with the leg that took its place

    def waited_ms(self, now_ms: int) -> int:
        """How long it has waited: until now, or until it was answered. A talk that was put back is no waiting."""
        if self.answered_after_ms is not None:
            return self.answered_after_ms
        return now_ms - self.arrived_ms - self.talked_ms

    @property
    def virtual_ms(self) -> int:
        """Arrival minus head start: a VIP counts as having arrived earlier."""
        return self.arrived_ms - self.head_start_ms

    @property
    def order(self) -> tuple[int, int, str]:
        """Smaller goes first."""
        return (-self.priority, self.virtual_ms, self.call_id)
