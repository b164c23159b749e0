"""Commands: what the engine wants done on a switch, in the imperative. It never learns of ESL."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from fsacd.core.events import Leg
from fsacd.core.fact import fact
from fsacd.core.rules import PhoneRules, SkillLevels, ToExtension
from fsacd.core.visit import HowIn


class CancelReason(StrEnum):
    """Why an agent's leg is ended by us; it becomes the hangup cause, so the phone knows whether it missed a call."""

    CALLER_GONE = "caller_gone"
    LOST_RACE = "lost_race"
    WITHDRAWN = "withdrawn"
    NO_ANSWER = "no_answer"
    BRIDGE_WINDOW = "bridge_window"
    TALK_OVER = "talk_over"
    UNKNOWN = "unknown"


@fact
class RingAgent:
    """Ring the agent at their contact. `offer_id` is a UUID made of call and attempt: ringing twice is impossible.

    A contact may lead to several phones; each has a leg of its own, named after the offer.
    """

    offer_id: str
    call_id: str
    agent_id: str
    queue: str
    contact: str
    switch: str
    caller_number: str
    caller_name: str
    timeout_ms: int
    hidden: bool = False  # the caller's name and number are shown to nobody, and are left out here
    phone: PhoneRules = PhoneRules()
    variables: tuple[
        tuple[str, str], ...
    ] = ()  # of the caller's leg, for the agent's: name and value, which may be any
    contact_id: str = ""
    standing_leg: str = ""  # the agent is not rung: this leg of theirs is fetched, after a tone


@fact
class RingStandingLeg:
    """Ring the agent at their contact, on a leg of this name, and let it stay answered when they have answered."""

    leg: str
    agent_id: str
    contact: str
    switch: str
    timeout_ms: int
    media_timeout_ms: int = 0  # the leg ends when its phone has sent nothing for so long; 0: never


@fact
class ReturnStandingLeg:
    """Let the standing leg wait for its next offer, whatever it is in. It then announces itself."""

    leg: str
    switch: str


@fact
class EndStandingLeg:
    """End the standing leg, ringing or answered. Repeated by the engine until `StandingLegEnded` comes."""

    leg: str
    switch: str


@fact
class RingNumber:
    """Dial a number for an agent who wants to ask whoever has it: where callers whom agents give away are sent, too.

    The rest is as in `RingAgent`; the leg has the id of the offer.
    """

    offer_id: str
    call_id: str
    number: str
    switch: str
    caller_number: str
    caller_name: str
    timeout_ms: int
    hidden: bool = False
    contact_id: str = ""


@fact
class CancelOffer:
    """End the agent's leg, ringing or answered. Repeated by the engine until `OfferEnded` comes.

    `legs`: those that may be there, where these are not the offer's own leg alone.
    """

    offer_id: str
    switch: str
    reason: CancelReason
    legs: tuple[str, ...] = ()


@fact
class Connect:
    """Bridge the caller to the agent's answered leg: `agents_leg`, or the offer's own."""

    offer_id: str
    call_id: str
    leg: Leg
    agents_leg: str = ""


@fact
class HoldCaller:
    """Let the caller hear music for a while; the agent's leg shall survive it."""

    offer_id: str
    call_id: str
    leg: Leg
    agents_leg: str


@fact
class Rejoin:
    """Bridge the caller with the agent again, whose leg ends with the talk from then on."""

    offer_id: str
    call_id: str
    leg: Leg
    agents_leg: str


@fact
class JoinThird:
    """Bridge the agent's leg with the third party's; whichever of them is left alone later shall survive it."""

    offer_id: str
    switch: str
    agents_leg: str
    third_leg: str


@fact
class HoldThird:
    """Let the third party hear music for a while; the agent's leg shall survive it."""

    offer_id: str
    switch: str
    agents_leg: str
    third_leg: str


@fact
class HandOver:
    """Bridge the caller with the third party, whose leg ends with the talk from then on.

    `agents_leg` is bridged with the caller now, and has to outlive that bridge; empty: the two are parted already.
    """

    offer_id: str
    call_id: str
    leg: Leg
    third_leg: str
    agents_leg: str = ""


@fact
class Gather:
    """Let caller, agent and third party talk in this room. Those `alone` are not bridged with the agent now."""

    offer_id: str
    call_id: str
    leg: Leg
    agents_leg: str
    third_leg: str
    room: str
    alone: tuple[str, ...]


@fact
class MuteAgent:
    """Let nobody hear the agent, or let the agent be heard again; in whatever bridge or room the leg is, or will be."""

    offer_id: str
    switch: str
    agents_leg: str
    muted: bool


@fact
class SendDigits:
    """Send digits out of these legs, to the phones at their ends. Digits may be a secret."""

    offer_id: str
    switch: str
    legs: tuple[str, ...]
    digits: str = field(repr=False)


@fact
class AskBridged:
    """Ask which two of a talk's legs are bridged; answered by the fact that says so.

    With a `room`: ask of all three, too, whether they are in it.
    """

    offer_id: str
    switch: str
    agents_leg: str
    callers_leg: str
    third_leg: str
    room: str = ""


@fact
class AskConnected:
    """Ask whether the bridge stands, not heard of so far; answered by `OfferConnected` or `ConnectFailed`."""

    offer_id: str
    switch: str
    agents_leg: str = ""


@fact
class ConfirmTalk:
    """They talk: the caller's leg need not return to the music any more; after the talk it goes to `then`.

    `stays_armed`: it returns to the music after the talk all the same, for the agent's connection may be lost.
    """

    call_id: str
    leg: Leg
    then: ToExtension | None
    stays_armed: bool = False


@fact
class ArmCall:
    """The caller waits on after all: their leg shall return to the music again when a bridge breaks."""

    call_id: str
    leg: Leg


@fact
class LetGo:
    """Somebody else has the caller: the caller's leg must not return to the music.

    `talks`: the leg ends with the talk that it is in. Otherwise it becomes an ordinary leg, outside any queue.
    """

    call_id: str
    leg: Leg
    talks: bool


@fact
class TakeIn:
    """Put the leg that has replaced the call's leg into the music as the call's own. It then announces itself."""

    call_id: str
    leg: Leg
    queue: str
    age_ms: int  # since the call's arrival
    contact_id: str = ""


@fact
class NoteCall:
    """Note on the caller's leg what has been changed of the call, so that another daemon finds its place, too."""

    call_id: str
    leg: Leg
    queue: str
    priority: int
    head_start_ms: int
    joined_after_ms: int  # its arrival → its joining the queue it stands in
    required: SkillLevels
    visit: int = 1  # the number of its stay there, and how it came in
    how_in: HowIn = HowIn.DIRECT


@fact
class NoteContact:
    """Note on the leg to which contact it belongs: its later calls, in whichever queue, are of the same contact."""

    call_id: str
    leg: Leg
    contact_id: str


@fact
class SendCall:
    """Send the caller's leg into the dialplan. A target without a context: where agents' numbers are looked up."""

    call_id: str
    leg: Leg
    target: ToExtension


@fact
class EndCall:
    """Hang the caller's leg up."""

    call_id: str
    leg: Leg
    cause: str


CallerCommand = ConfirmTalk | ArmCall | LetGo | TakeIn | NoteCall | NoteContact | SendCall | EndCall
TalkCommand = AskBridged | HoldCaller | Rejoin | JoinThird | HoldThird | HandOver | Gather | MuteAgent | SendDigits
StandingCommand = RingStandingLeg | ReturnStandingLeg | EndStandingLeg
RingCommand = RingAgent | RingNumber
Command = RingCommand | StandingCommand | CancelOffer | Connect | AskConnected | CallerCommand | TalkCommand
