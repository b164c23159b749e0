"""Turns the engine's commands into commands for the switch. Pure."""

from __future__ import annotations

import re
from typing import assert_never
from urllib.parse import quote

from fsacd.core.commands import (
    ArmCall,
    AskBridged,
    AskConnected,
    CancelOffer,
    Command,
    ConfirmTalk,
    Connect,
    EndCall,
    EndStandingLeg,
    Gather,
    HandOver,
    HoldCaller,
    HoldThird,
    JoinThird,
    LetGo,
    MuteAgent,
    NoteCall,
    NoteContact,
    Rejoin,
    ReturnStandingLeg,
    RingAgent,
    RingNumber,
    RingStandingLeg,
    SendCall,
    SendDigits,
    StandingCommand,
    TakeIn,
)
from fsacd.core.rules import ToExtension
from fsacd.esl import encoder, shapes
from fsacd.esl.differences import ARMED, CONTEXT, armed
from fsacd.esl.ringing import CAUSES, USUAL_CONTEXT, ring, ring_number, ring_to_stand
from fsacd.esl.wire import Wire

# A leg that enters a queue once more, sent there by an agent or by the dialplan, is a new call from here on.
_OVER = {"fsacd_over": "true"}


# Undoes `fsacd_arm` for a leg that leaves the queue. A leg that is still armed would come back to the music after any
# bridge that the operator's dialplan makes for it, again and again.
_DISARM = {
    "transfer_after_bridge": "",
    "hangup_after_bridge": "",
    "uuid_bridge_continue_on_cancel": "",
    "max_session_transfers": "",
    "disable_app_log": "",
    "force_transfer_context": "",
    "inline_destination": "",
}

# Of a caller whom an agent has sent to a number: it is looked up in `force_transfer_context`, which stays. If nobody
# has it, the last extension there brings the caller back, unless `fsacd_over` is true (zz_fsacd_last.xml).
_SENT = {name: value for name, value in _DISARM.items() if name != "force_transfer_context"} | {"fsacd_over": "sent"}


def to_wires(command: Command, uptime_ms: int = 0) -> tuple[Wire, ...]:
    """The command for the switch, in one step or several; the outcome of the last step is the command's.

    `uptime_ms` is the switch's uptime now.

    Raises encoder.EncodeError for an argument that cannot stand safely in a command.
    """
    match command:
        case RingAgent() | RingNumber():
            return (ring(command)[0] if isinstance(command, RingAgent) else ring_number(command, USUAL_CONTEXT),)
        case CancelOffer(offer_id, _, reason, legs):
            return tuple(encoder.uuid_kill(leg, CAUSES[reason]) for leg in legs or (offer_id,))
        case Connect(offer_id, _, leg, agents_leg):
            return (encoder.uuid_bridge(leg.uuid, agents_leg or offer_id),)
        case AskConnected(offer_id, _, agents_leg):
            return (encoder.uuid_dump(agents_leg or offer_id),)
        case ArmCall(_, leg):
            return (armed(leg.uuid),)
        case ConfirmTalk() | LetGo():
            return (encoder.uuid_setvar_multi(command.leg.uuid, _not_waiting(command)),)
        case TakeIn(_, leg):
            into_music = encoder.uuid_transfer(leg.uuid, "fsacd_wait", CONTEXT)
            return (encoder.uuid_setvar_multi(leg.uuid, _callers(command, uptime_ms)), into_music)
        case NoteCall() | NoteContact():
            return (_noted(command),)
        case SendCall(_, leg, target):
            return _sent(leg.uuid, target)
        case EndCall(_, leg, cause):
            return (encoder.uuid_kill(leg.uuid, cause),)
        case RingStandingLeg() | ReturnStandingLeg() | EndStandingLeg():
            return (_of_standing_leg(command),)
        case _:
            return shapes.wires(command)


def _of_standing_leg(command: StandingCommand) -> Wire:
    match command:
        case RingStandingLeg():
            return ring_to_stand(command)
        case ReturnStandingLeg(leg):
            return encoder.uuid_transfer(leg, "fsacd_stand", CONTEXT)
        case EndStandingLeg(leg):
            return encoder.uuid_kill(leg, "NORMAL_CLEARING")
        case _:
            assert_never(command)


def _sent(leg: str, target: ToExtension) -> tuple[Wire, ...]:
    if not target.context:
        return (encoder.uuid_setvar_multi(leg, _SENT), encoder.uuid_transfer_as_forced(leg, target.extension))
    transfer = encoder.uuid_transfer(leg, target.extension, target.context)
    return (encoder.uuid_setvar_multi(leg, {**_DISARM, **_OVER}), transfer)


# A queue with any other name is noted on the leg by `NoteCall` alone; here its name would break the list of variables.
_PLAIN = re.compile(r"[0-9A-Za-z_.-]{1,64}")


def _callers(call: TakeIn, uptime_ms: int) -> dict[str, str]:
    """The variables that make a leg the call's; they clear the mark of a bridge that was ordered but never made."""
    queue = {"fsacd_queue": call.queue} if _PLAIN.fullmatch(call.queue) else {}
    queued_at = str(max(0, uptime_ms - call.age_ms) % (1 << 32))
    contact = {"fsacd_contact_id": call.contact_id} if call.contact_id else {}
    own = {"fsacd_leg": "caller", "fsacd_call": call.call_id, "fsacd_queued_at": queued_at, "bridge_uuid": ""}
    return {**own, **contact, **queue}


def _noted(command: NoteCall | NoteContact) -> Wire:
    leg = command.leg.uuid
    if isinstance(command, NoteContact):
        return encoder.uuid_setvar_multi(leg, {"fsacd_contact_id": command.contact_id})
    # A call in its first queue says nothing of its visit, and never has: visits are counted up.
    visit = {"fsacd_visit": f"{command.call_id}/{command.visit}/{command.how_in}"} if command.visit > 1 else {}
    return encoder.uuid_setvar_multi(leg, {**visit, "fsacd_changed": _changed(command)})


def _changed(call: NoteCall) -> str:
    skills = "+".join(f"{skill}:{level}" for skill, level in call.required)
    place = f"{call.priority}/{call.head_start_ms}/{call.joined_after_ms}"
    return f"{call.call_id}/{place}/{skills}/{quote(call.queue, safe='')}"


def switch_of(command: Command) -> str:
    """The switch that the command is for."""
    match command:
        case RingAgent() | CancelOffer() | AskConnected() | AskBridged() | JoinThird() | HoldThird():
            return command.switch
        case MuteAgent() | SendDigits() | RingNumber() | RingStandingLeg() | ReturnStandingLeg() | EndStandingLeg():
            return command.switch
        case (
            Connect()
            | ConfirmTalk()
            | ArmCall()
            | LetGo()
            | TakeIn()
            | NoteCall()
            | NoteContact()
            | SendCall()
            | EndCall()
            | HoldCaller()
            | Rejoin()
            | HandOver()
            | Gather()
        ):
            return command.leg.switch
        case _:
            assert_never(command)


def _not_waiting(command: ConfirmTalk | LetGo) -> dict[str, str]:
    """The variables of a caller who waits no more."""
    if isinstance(command, ConfirmTalk) and command.stays_armed:
        # For the daemon's eyes they talk; the switch itself brings them back when the agent's leg ends.
        return {**ARMED, **_OVER}
    if isinstance(command, ConfirmTalk):
        return _talking(command.then)
    return _talking(None) if command.talks else {**_DISARM, **_OVER}


def _talking(then: ToExtension | None) -> dict[str, str]:
    """The variables of a caller who talks: after it they are released, or go on elsewhere as an ordinary caller."""
    if then is None:
        return {"transfer_after_bridge": "", **_OVER}
    after = f"{then.extension}:XML:{then.context}"
    return {"transfer_after_bridge": after, "hangup_after_bridge": "", **_OVER}
