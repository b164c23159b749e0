"""The steps by which a talk changes its shape, as orders for the switch. Pure; each sequence was tried on a real one.

A leg that a bridge leaves alone ends, unless it is to be parked then; parking may use that up, so it is said before
each bridge anew. A caller who is about to be bridged is armed as one who waits: if the other leg is gone by then, they
come back into the music of their queue. The switch's own hold (uuid_hold) is not used: it re-invites the phone, and the
caller hears nothing.
"""

from __future__ import annotations

from typing import Final, assert_never

from fsacd.core.commands import (
    AskBridged,
    Gather,
    HandOver,
    HoldCaller,
    HoldThird,
    JoinThird,
    MuteAgent,
    Rejoin,
    SendDigits,
    TalkCommand,
)
from fsacd.core.events import Event, LegInRoom, LegsJoined, OfferAnswered, OfferConnected
from fsacd.esl import encoder
from fsacd.esl.codec import Kind, Message, read_leg
from fsacd.esl.differences import CONTEXT, HOLD, PARTNER, armed, is_in_room
from fsacd.esl.wire import Wire

# A leg that is left parked, because no daemon runs any more, ends after this.
_LONGEST_HOLD_S: Final = 3_600
_SURVIVES: Final = {"park_after_bridge": "true", "park_timeout": str(_LONGEST_HOLD_S)}
_ENDS: Final = {"park_after_bridge": ""}
# A colleague's leg has this from its beginning; that of whoever has a number must not have it while it dials.
_DIALS_NOTHING: Final = {"force_transfer_context": encoder.LEG_CONTEXT}
_STAYS: Final = {"park_after_bridge": "", "transfer_after_bridge": ""}


def wires(command: TalkCommand) -> tuple[Wire, ...]:
    """The command's steps, in their order. Raises encoder.EncodeError for a name of a leg that no command can carry."""
    match command:
        case AskBridged(agents_leg=agents_leg, third_leg=third_leg, callers_leg=callers_leg, room=room):
            # Who is with the third party is told by the third party's leg: the agent's may be alone meanwhile.
            return tuple(encoder.uuid_dump(leg) for leg in (third_leg, agents_leg, room and callers_leg) if leg)
        case HoldCaller(leg=leg, agents_leg=agents_leg):
            return _survive(agents_leg), encoder.uuid_transfer(leg.uuid, HOLD, CONTEXT)
        case HoldThird(agents_leg=agents_leg, third_leg=third_leg):
            return _survive(agents_leg), encoder.uuid_transfer(third_leg, HOLD, CONTEXT)
        case JoinThird(agents_leg=agents_leg, third_leg=third_leg):
            thirds = encoder.uuid_setvar_multi(third_leg, {**_SURVIVES, **_DIALS_NOTHING})
            return _survive(agents_leg), thirds, encoder.uuid_bridge(agents_leg, third_leg)
        case Rejoin(leg=leg, agents_leg=agents_leg):
            return (
                armed(leg.uuid),
                encoder.uuid_bridge(leg.uuid, agents_leg),
                encoder.uuid_setvar_multi(agents_leg, _ENDS),
            )
        case HandOver(leg=leg, third_leg=third_leg, agents_leg=agents_leg):
            return (
                *((_survive(agents_leg),) if agents_leg else ()),
                armed(leg.uuid),
                encoder.uuid_bridge(leg.uuid, third_leg),
                encoder.uuid_setvar_multi(third_leg, _ENDS),
            )
        case Gather(leg=leg, agents_leg=agents_leg, third_leg=third_leg, room=room, alone=alone):
            # Whoever is bridged would be parked, ended or sent elsewhere by the end of that bridge.
            return (
                *(encoder.uuid_setvar_multi(one, _STAYS) for one in (leg.uuid, agents_leg, third_leg)),
                *(encoder.uuid_transfer_into_room(one, room, both=False) for one in alone),
                encoder.uuid_transfer_into_room(agents_leg, room, both=True),
            )
        case MuteAgent(agents_leg=agents_leg, muted=muted):
            return (encoder.mute(agents_leg, on=muted),)
        case SendDigits(legs=legs, digits=digits):
            return tuple(encoder.send_digits(leg, digits) for leg in legs)
        case _:
            assert_never(command)


def answer(command: AskBridged, dump: str) -> Event | None:
    """Who are bridged, read from the switch's dump of one of the legs; None if it does not say."""
    leg = Message(Kind.EVENT, read_leg(dump))
    partner = leg.get(PARTNER)
    if leg.get("Answer-State") == "hangup":
        return None
    if command.room and not partner and is_in_room(leg, command.room):
        return LegInRoom(command.offer_id, leg.get("Unique-ID"))
    match leg.get("Unique-ID"):
        case command.agents_leg if partner and partner == command.callers_leg:
            return OfferConnected(command.offer_id)
        case command.agents_leg if partner and partner == command.third_leg:
            return LegsJoined(command.offer_id, partner)
        case command.agents_leg if not partner and leg.get("variable_current_application") == "park":
            return OfferAnswered(command.offer_id, command.switch)
        case command.third_leg if partner and partner == command.callers_leg:
            return OfferConnected(command.third_leg)
    return None


def _survive(leg: str) -> Wire:
    return encoder.uuid_setvar_multi(leg, _SURVIVES)
