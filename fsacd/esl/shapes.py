"""The steps by which a talk changes its shape, as orders for the switch. Pure; each sequence was tried on a real one.

A leg that a bridge leaves alone ends, unless it is to be parked then; parking may use that up, so it is said before
each bridge anew. A caller who is about to be bridged is armed as one who waits: if the other leg is gone by then, they
come back into the music of their queue. The switch's own hold (uuid_hold) is not used: it re-invites the phone, and the
caller hears nothing.
"""

from __future__ import annotations

from typing import Final, assert_never

from fsacd.core.commands import HandOver, HoldCaller, HoldThird, JoinThird, Rejoin, TalkCommand
from fsacd.esl import encoder
from fsacd.esl.differences import CONTEXT, armed
from fsacd.esl.wire import Wire

# The extension of the dialplan in which a party on hold hears music.
HOLD: Final = "fsacd_hold"
# A leg that is left parked, because no daemon runs any more, ends after this.
_LONGEST_HOLD_S: Final = 3_600
_SURVIVES: Final = {"park_after_bridge": "true", "park_timeout": str(_LONGEST_HOLD_S)}
_ENDS: Final = {"park_after_bridge": ""}


def wires(command: TalkCommand) -> tuple[Wire, ...]:
    """The command's steps, in their order. Raises encoder.EncodeError for a name of a leg that no command can carry."""
    match command:
        case HoldCaller(leg=leg, agents_leg=agents_leg):
            return _survive(agents_leg), encoder.uuid_transfer(leg.uuid, HOLD, CONTEXT)
        case HoldThird(agents_leg=agents_leg, third_leg=third_leg):
            return _survive(agents_leg), encoder.uuid_transfer(third_leg, HOLD, CONTEXT)
        case JoinThird(agents_leg=agents_leg, third_leg=third_leg):
            return _survive(agents_leg), _survive(third_leg), encoder.uuid_bridge(agents_leg, third_leg)
        case Rejoin(leg=leg, agents_leg=agents_leg):
            return (
                armed(leg.uuid),
                encoder.uuid_bridge(leg.uuid, agents_leg),
                encoder.uuid_setvar_multi(agents_leg, _ENDS),
            )
        case HandOver(leg=leg, third_leg=third_leg):
            return (
                armed(leg.uuid),
                encoder.uuid_bridge(leg.uuid, third_leg),
                encoder.uuid_setvar_multi(third_leg, _ENDS),
            )
        case _:
            assert_never(command)


def _survive(leg: str) -> Wire:
    return encoder.uuid_setvar_multi(leg, _SURVIVES)
