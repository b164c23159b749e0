"""What an agent's leg tells: it rings, is answered, bridged, held by its phone, and how it ended. Pure.

A phone that gives its caller away (REFER) is obeyed by the switch at once. What tells of it are variables of the leg,
which the switch sets whether or not its profile fires events of transfers.
"""

from __future__ import annotations

import re
from typing import Final

from fsacd.core.events import (
    Event,
    GivenAway,
    HeldByPhone,
    LegsJoined,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OfferRang,
    ResumedByPhone,
)
from fsacd.core.offer import is_leg_of
from fsacd.core.records import TransferKind
from fsacd.esl.announced import LONGEST_TEXT
from fsacd.esl.codec import Message
from fsacd.esl.wire import UUID, is_offer

MICROSECONDS: Final = re.compile(r"[1-9][0-9]{0,18}")
# When its phone began to hold, and for how long it has held in all; both also in the leg's dump.
_HOLD_BEGAN: Final = "Caller-Channel-Last-Hold"
_HELD: Final = "Caller-Channel-Hold-Accum"
_FEW: Final = re.compile(r"[1-9][0-9]?", re.ASCII)
_REDIRECTS: Final = re.compile(r"sip:30[0-5]")
_DISPOSITION: Final = "variable_endpoint_disposition"
_ATTENDED: Final = "ATTENDED_TRANSFER"
# The leg that a REFER names (by Replaces) has this as soon as the switch begins to obey, and the disposition only when
# the bridge of the other two is ordered: by then the leg may have hung up or parked by itself, as its own bridge broke.
_FATE: Final = "variable_transfer_disposition"
_ENDS: Final = {
    OfferEnd.REFUSED: ("CALL_REJECTED",),
    OfferEnd.BUSY: ("USER_BUSY",),
    OfferEnd.NO_ANSWER: ("NO_ANSWER", "ALLOTTED_TIMEOUT", "PROGRESS_TIMEOUT"),
    OfferEnd.CANCELLED: ("ORIGINATOR_CANCEL", "LOSE_RACE", "PICKED_OFF"),
    OfferEnd.HUNG_UP: ("NORMAL_CLEARING",),
    OfferEnd.CONNECTION_LOST: ("MEDIA_TIMEOUT",),
}
_END_OF: Final = {cause: end for end, causes in _ENDS.items() for cause in causes}


def fact(message: Message, switch: str, now_ms: int) -> Event | None:
    """The fact in an event of an agent's leg, or None."""
    offer_id, leg = message.get("variable_fsacd_offer"), message.get("Unique-ID")
    if not is_leg_of(leg, offer_id):
        # The variables were copied: the far side of a loopback contact carries them all, and it is parked or
        # played to long before a person answers.
        return None
    match message.name:
        case "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA":
            return OfferRang(offer_id)
        case "CHANNEL_PARK":
            if message.get(_DISPOSITION) == _ATTENDED or is_replaced(message):
                # Its phone has joined its caller with whom it talked with on another line. The switch leaves the leg
                # alone for two seconds, if the phone does not hang up.
                kind, to = _given_away(message)
                return GivenAway(offer_id, kind, to, _talked_ms(message), _held_ms(message))
            return OfferAnswered(offer_id, switch, leg if legs_rung(message) > 1 else "")
        case "CHANNEL_BRIDGE":
            other = message.get("Bridge-B-Unique-ID")
            if is_offer(other) and not is_leg_of(other, offer_id):
                return LegsJoined(offer_id, other)  # with a colleague
            return OfferConnected(offer_id)
        case "CHANNEL_HOLD" | "CHANNEL_UNHOLD":
            return hold(message, offer_id, now_ms, holds=message.name == "CHANNEL_HOLD")
        case "CHANNEL_HANGUP" | "CHANNEL_HANGUP_COMPLETE":
            return _ended(message, offer_id, leg)
    return None


def hold(leg: Message, offer_id: str, now_ms: int, *, holds: bool) -> HeldByPhone | ResumedByPhone:
    """That the leg's phone holds, or does not any more, read from an event or a dump of the leg."""
    began_ms = since(leg, _HOLD_BEGAN, now_ms)
    began_ms = now_ms if began_ms is None else began_ms
    return HeldByPhone(offer_id, began_ms) if holds else ResumedByPhone(offer_id, began_ms)


def _ended(hangup: Message, offer_id: str, leg: str) -> OfferEnded:
    cause, legs = hangup.get("Hangup-Cause")[:LONGEST_TEXT], legs_rung(hangup)
    answered = hangup.get("Caller-Channel-Answered-Time", "0") != "0"
    # If this variable is still there, somebody or something has answered without pressing the key.
    answered = answered and not hangup.get("variable_group_confirm_key")
    # CHANNEL_HANGUP comes when the leg is killed, the other event when BYE or CANCEL is on its way.
    phone_told = hangup.name == "CHANNEL_HANGUP_COMPLETE"
    end = OfferEnd.DIVERTED if _is_diverted(hangup) else end_of(cause)
    kind, to = _given_away(hangup)
    if kind is not TransferKind.NONE:
        end = OfferEnd.TRANSFERRED
    talked_ms, held_ms, one_of_several = _talked_ms(hangup), _held_ms(hangup), leg if legs > 1 else ""
    by_phone = not _is_released(hangup)
    return OfferEnded(
        offer_id, end, cause, answered, talked_ms, phone_told, one_of_several, legs, held_ms, kind, to, by_phone
    )


def _is_released(hangup: Message) -> bool:
    """Whether the leg was ended from the switch's side: by the end of whom it was bridged with, or by a command.

    A phone's BYE leaves its status on a SIP leg before the leg ends. When a caller hangs up, the switch tells now and
    then of the end of the agent's leg first. Of other legs nobody can tell.
    """
    return bool(hangup.get("variable_sip_call_id")) and not hangup.get("variable_sip_term_status")


def _given_away(leg: Message) -> tuple[TransferKind, str]:
    """How the leg's phone has given its caller away, and to which number or leg.

    An attended transfer leaves its mark on both lines of the phone. On the one that was not named in it (by Replaces)
    is the leg that the caller talks with now; on the other one, or if they have to wait for somebody there, is none.
    """
    disposition = leg.get(_DISPOSITION)
    if disposition == "BLIND_TRANSFER":
        return TransferKind.BLIND, leg.get("variable_transfer_destination").removeprefix("blind:")[:LONGEST_TEXT]
    how, _, other = leg.get("variable_transfer_to").partition(":")
    if how == "att" and UUID.fullmatch(other):
        return TransferKind.ATTENDED, other
    if _ATTENDED in (disposition, leg.get("Hangup-Cause")) or is_replaced(leg):
        return TransferKind.ATTENDED, ""
    return TransferKind.NONE, ""


def is_replaced(leg: Message) -> bool:
    """Whether a REFER on the other line of its phone has named this leg, whose bridge ends by that."""
    return leg.get(_FATE) == "replaced"


def end_of(cause: str) -> OfferEnd:
    """What a hangup cause says of the agent. Whatever else kept the phone from ringing makes it unreachable."""
    return _END_OF.get(cause, OfferEnd.UNREACHABLE)


def _is_diverted(leg: Message) -> bool:
    """Whether the leg's phone has diverted the ring (a 3xx response)."""
    return _REDIRECTS.fullmatch(leg.get("variable_proto_specific_hangup_cause")) is not None


def legs_rung(leg: Message) -> int:
    """How many phones were rung for the offer of this leg."""
    text = leg.get("variable_fsacd_legs", "1")
    return int(text) if _FEW.fullmatch(text) else 1


def _talked_ms(end: Message) -> int:
    """How long the leg was bridged until this moment, by the switch's clock: we may have heard of the bridge late."""
    if end.get("variable_recovered") == "true":
        return 0  # the switch crashed during the talk, and its clock knows only the time after that
    began_us, ended_us = end.get("Caller-Channel-Bridged-Time"), end.get("Event-Date-Timestamp")
    if not (MICROSECONDS.fullmatch(began_us) and MICROSECONDS.fullmatch(ended_us)):
        return 0  # it was never bridged
    return max(0, int(ended_us) - int(began_us)) // 1_000


def _held_ms(end: Message) -> int:
    """For how long the leg's phone has held, by the switch's clock; it ends a hold before it ends the leg."""
    held_us = end.get(_HELD)
    return int(held_us) // 1_000 if MICROSECONDS.fullmatch(held_us) else 0


def since(leg: Message, moment: str, now_ms: int) -> int | None:
    """The time on our clock of a moment that the leg has by the switch's wall clock; None if the leg has none."""
    at_us, now_us = leg.get(moment), leg.get("Event-Date-Timestamp")
    if not (MICROSECONDS.fullmatch(at_us) and MICROSECONDS.fullmatch(now_us)):
        return None
    return now_ms - max(0, int(now_us) - int(at_us)) // 1_000
