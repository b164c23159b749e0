"""Facts about offers: an agent is rung for a call."""

from __future__ import annotations

from enum import StrEnum

from fsacd.core.fact import fact
from fsacd.core.records import TransferKind


class OfferEnd(StrEnum):
    """Why an agent's leg is no more, told from the hangup cause that the switch gave."""

    REFUSED = "refused"
    BUSY = "busy"
    # The phone diverts the call (SIP 302) to a place that the queue does not serve.
    DIVERTED = "diverted"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    HUNG_UP = "hung_up"
    # The agent's phone has given the caller away (REFER), which ends its leg.
    TRANSFERRED = "transferred"
    # The phone has sent no sound for the leg's `media_timeout`, so the switch ended it.
    CONNECTION_LOST = "connection_lost"
    # The order to ring never left this process, so no phone rang and the agent is not to blame.
    NOT_SENT = "not_sent"


@fact
class OfferForked:
    """So many phones are rung for the offer, each on a leg of its own; the switch was asked how many there are."""

    offer_id: str
    legs: int


@fact
class OfferUnheard:
    """The link broke before anything was heard of the offer. It has no leg now, and perhaps never will."""

    offer_id: str


@fact
class OfferRang:
    """The agent's phone rings."""

    offer_id: str


@fact
class OfferAnswered:
    """The agent's leg is answered and parked: it can be bridged. `switch`: where an unknown offer's leg can be ended.

    `leg`: the leg that was answered, where several phones were rung.
    """

    offer_id: str
    switch: str = ""
    leg: str = ""
    late_ms: int = 0


@fact
class OfferConnected:
    """Caller and agent are bridged: they talk.

    `contact_id` is that of a caller who has talked before, with somebody else; empty for all others. `late_ms`, here
    and elsewhere: so long ago the switch has told it.
    """

    offer_id: str
    contact_id: str = ""
    late_ms: int = 0


@fact
class ConnectFailed:
    """The switch refused to bridge, or the order never reached it."""

    offer_id: str
    cause: str = ""


@fact
class OfferEnded:
    """The agent's leg has ended or was never made: a failed originate and a hangup are the same fact.

    `answered`: the phone had been answered, though the leg may have ended before it could be bridged. `talked_ms`: how
    long it was bridged, by the switch's own clock; 0 if it was not, or this is not known. `phone_told`: the phone has
    been told, too. A leg that we end is over in the switch up to 20 ms before that, and its phone is still busy for the
    next ring. `leg`: only this one of `legs` that were rung at once has ended; empty: no leg of the offer is left.
    `held_ms`: for how long the phone held its caller by itself, by the switch's clock. `kind`, `to`: how the phone has
    given the caller away, and where to: the number that it named, or the leg with which they were bridged.
    `by_phone`: the phone may have ended it; False: the switch has released it, as it does when the caller hangs up.
    """

    offer_id: str
    end: OfferEnd
    cause: str = ""
    answered: bool = False
    talked_ms: int = 0
    phone_told: bool = True
    leg: str = ""
    legs: int = 1
    held_ms: int = 0
    kind: TransferKind = TransferKind.NONE
    to: str = ""
    by_phone: bool = True
    late_ms: int = 0


OfferEvent = OfferForked | OfferUnheard | OfferRang | OfferAnswered | OfferConnected | ConnectFailed | OfferEnded
