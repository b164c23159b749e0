"""An offer: one attempt to give one call to one agent. Its id is also the UUID of the agent's leg.

Where several phones ring for it, each has a leg of its own, and the names of all follow from the offer's id: whoever
knows the offer finds them, and a ring that is ordered twice is refused by the switch for each of them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from hashlib import sha1

from fsacd.core.commands import CancelReason
from fsacd.core.events import OfferEnd
from fsacd.core.fact import fact

# The name space of leg UUIDs. Never change it: a restarted daemon must compute the same ones.
_NAMESPACE = uuid.UUID("8a6e4e0c-5f43-4b06-9a5e-6f7361636400").bytes


@fact
class OfferRinging:
    """The agent's phone has been told to ring."""


@fact
class OfferConnecting:
    """The agent's leg is answered and about to be bridged."""


@fact
class OfferTalking:
    """Bridged with the caller."""


@fact
class OfferEnding:
    """The leg is being ended by us, or must end by itself after the talk; its end is asked for until it has ended."""

    reason: CancelReason
    give_up_ms: int


# A busy switch makes a leg long after it has accepted the order for it. Seen on FreeSWITCH 1.10.12: over five seconds,
# where ten others wanted the processors.
MAKING_MS = 10_000

# A state without fields is made once: there is nothing in it to tell two of them apart.
RINGING, CONNECTING, TALKING = OfferRinging(), OfferConnecting(), OfferTalking()

OfferState = OfferRinging | OfferConnecting | OfferTalking | OfferEnding

OFFER_MOVES: dict[type, frozenset[type]] = {
    OfferRinging: frozenset({OfferConnecting, OfferEnding}),
    OfferConnecting: frozenset({OfferTalking, OfferEnding}),
    OfferTalking: frozenset({OfferEnding}),
    OfferEnding: frozenset(),
}


@dataclass(slots=True)
class Offer:
    """One live offer."""

    offer_id: str
    call_id: str
    queue: str
    agent_id: str
    switch: str
    attempt: int
    started_ms: int
    state: OfferState
    rang_ms: int | None = None
    answered_ms: int | None = None
    connected_ms: int | None = None
    ended_ms: int | None = None  # when the agent's leg ended
    cancels: int = 0  # how often the order to end the leg was repeated
    closed: bool = False  # its record is written
    asked: bool = False  # the switch was asked whether the bridge stands, as nothing was heard of it in time
    talked_ms: int = 0  # how long it was bridged, as the switch said at its end
    epoch: int = 0  # the last epoch of its switch in which this daemon had it
    legs: int = 1  # how many legs it may have: the most possible, until the switch has said how many phones there are
    leg: str = ""  # the leg that was answered, where there are several
    legs_over: dict[str, OfferEnd] = field(default_factory=dict)  # of several legs: those that have ended, and how
    legs_told: tuple[str, ...] = ()  # of these: those whose phones have been told
    contact: str = ""  # where it rings
    keeps_busy: tuple[str, ...] = ()  # agents at the same phone, not rung until its leg ends: `shared_phones`
    contact_id: str = ""  # its call's
    held_ms: int = 0  # how long the caller was on hold, known when the talk is over, as the next two
    holds: int = 0
    consults: int = 0
    phone_since_ms: int | None = None  # of a colleague who is being asked: since when their phone holds by itself
    place_in: str = ""  # its phone has given its caller the place of its own call in this queue, at that moment
    place_ms: int = 0
    keeps_caller: bool = False  # the switch brings the caller back into the music when this leg ends
    hangs_up: bool = False  # the agent has wished its end
    released: bool = False  # neither they nor their phone has ended it: the caller has hung up, which is told next
    number: str = ""  # the third party is no agent of ours, but whoever has this number: `agent_id` is empty then

    @property
    def heard_of(self) -> bool:
        """Whether the switch has told something of its leg: that it rings, or was answered."""
        return self.rang_ms is not None or self.answered_ms is not None

    @property
    def agents_leg(self) -> str:
        """The leg on which the agent is, or would be if there is one alone."""
        return self.leg or self.offer_id

    @property
    def live_legs(self) -> tuple[str, ...]:
        """The legs that may be there: the answered one, or all."""
        return (self.leg,) if self.leg else legs_of(self.offer_id, self.legs)

    @property
    def named_legs(self) -> tuple[str, ...]:
        """The live legs; empty where the offer's own leg is the only one."""
        return () if self.legs == 1 else self.live_legs

    def talk_ms(self, now_ms: int) -> int:
        """How long caller and agent were connected, once the talk is over: as the switch said, if it did.

        We may have heard of its beginning late, when the switch is busy, or of its end, when we were stopped.
        """
        assert self.connected_ms is not None
        return self.talked_ms or now_ms - self.connected_ms


def offer_id(seed: int, call_id: str, attempt: int) -> str:
    """The UUID of the leg of this attempt: the same after a restart, so an agent cannot be rung twice for it.

    An engine that begins anew has another seed: it counts the attempts of a call that was there before from one, and
    the legs of the engine before it may still ring.
    """
    # uuid.uuid5, written out: that goes through integers and takes four times as long.
    digits = sha1(_NAMESPACE + f"{seed}/{call_id}/{attempt}".encode(), usedforsecurity=False).hexdigest()
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:31]}{_FIRST}"
    )


# What the 17th digit becomes, which says by whose rules the UUID is made.
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
# The last digit of an offer's id; the names of its further legs have the leg's number in its place.
_FIRST = "0"
# So many digits there are.
MOST_LEGS = 16


def legs_of(offer_id: str, count: int) -> tuple[str, ...]:
    """The names of an offer's legs; the first one's is the offer's id."""
    return (offer_id, *(f"{offer_id[:-1]}{number:x}" for number in range(1, count)))


def legs_up_to(leg: str) -> int:
    """How many legs an offer has that has this one: those before it, and itself."""
    return int(leg[-1], MOST_LEGS) + 1


def is_leg_of(leg: str, offer_id: str) -> bool:
    """Whether this is the name of one of the offer's legs."""
    return leg == offer_id or (offer_id[-1:] == _FIRST and leg[:-1] == offer_id[:-1] and len(leg) == len(offer_id))


def offer_of(leg: str) -> str:
    """The id of the offer that one of several legs belongs to."""
    return leg[:-1] + _FIRST
