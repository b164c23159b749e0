"""Facts about talks that go on, and wishes about them. A talk has the id of its offer."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import Final

from fsacd.core.events.legs import By
from fsacd.core.fact import fact
from fsacd.core.records import TransferKind


class TalkVerb(StrEnum):
    """What can be wished for a talk, beside a consultation."""

    HOLD = "hold"
    RESUME = "resume"
    SWAP = "swap"  # the agent talks with the other of caller and third party
    COMPLETE = "complete"  # caller and third party talk, and the agent leaves
    CANCEL = "cancel"  # the third party goes, and the agent talks with the caller
    THREE_WAY = "three-way"  # all three talk; the next two end that, as complete and cancel do, and mean nothing else
    LEAVE = "leave"
    DROP = "drop"
    MUTE = "mute"  # nobody hears the agent, who hears everybody; until the talk ends, whatever its shape
    UNMUTE = "unmute"
    HANG_UP = "hangup"  # the agent's part ends as if their phone had hung up


# These leave everybody with whom they are bridged, or in which room.
MOVES_NOBODY: Final = frozenset({TalkVerb.MUTE, TalkVerb.UNMUTE, TalkVerb.HANG_UP})


@fact
class TalkChangeAsked:
    """Somebody wants another shape of this agent's talk, or what `TalkVerb` has beside shapes."""

    agent_id: str
    offer_id: str
    verb: TalkVerb
    by: By


class TransferTo(StrEnum):
    """To what a caller can be given away, and who can be asked."""

    AGENT = "agent"
    QUEUE = "queue"
    NUMBER = "number"  # an extension, too


@fact
class TalkConsultAsked:
    """The agent wants to talk with somebody while the caller hears music: with `colleague`, which is a `kind`.

    Of a queue, it is whoever is next in it.
    """

    agent_id: str
    offer_id: str
    colleague: str
    by: By
    kind: TransferTo = TransferTo.AGENT


@fact
class TalkTransferAsked:
    """The agent wants to give the caller away without asking whoever is next: to `target`, which is a `kind`."""

    agent_id: str
    offer_id: str
    kind: TransferTo
    target: str
    by: By


@fact
class TalkDigitsAsked:
    """Digits are to be sent to whoever hears the agent: `count` of them, pauses among `digits` not counted.

    They may be a secret of the agent's or the caller's, so they are written down nowhere: empty in a journal.
    """

    agent_id: str
    offer_id: str
    count: int
    by: By
    digits: str = field(default="", repr=False)


@fact
class LegsJoined:
    """The leg of this offer, or of a talk's third party, is bridged with `other`, which is no caller's."""

    offer_id: str
    other: str
    late_ms: int = 0


@fact
class LegInRoom:
    """This leg, one of the talk's three, is in the talk's room."""

    offer_id: str
    leg: str


@fact
class HeldByPhone:
    """The phone on this leg has put its talk on hold by itself (a re-INVITE), at `since_ms`. The bridge stands."""

    offer_id: str
    since_ms: int


@fact
class ResumedByPhone:
    """The phone on this leg has taken its talk back from a hold that began at `since_ms`."""

    offer_id: str
    since_ms: int


@fact
class GivenAway:
    """The phone on this leg has given its caller away (REFER), and its leg is left alone, and about to end.

    The fields are those of `OfferEnded`.
    """

    offer_id: str
    kind: TransferKind
    to: str = ""
    talked_ms: int = 0
    held_ms: int = 0


PhoneHold = HeldByPhone | ResumedByPhone
PhoneEvent = PhoneHold | GivenAway
TalkWish = TalkChangeAsked | TalkConsultAsked | TalkTransferAsked | TalkDigitsAsked
TalkEvent = TalkWish | LegsJoined | LegInRoom
