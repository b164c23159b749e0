"""Between the switch's words and the engine's: message → fact, command → wire. Pure.

Facts are told from the channel variables that the dialplan and our own originate put on the legs, so nothing here
remembers which leg belongs to what, and a restarted daemon understands the legs of the one before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never
from urllib.parse import quote, unquote

import orjson

from fsacd.core.commands import (
    ArmCall,
    AskConnected,
    CancelOffer,
    CancelReason,
    Command,
    ConfirmTalk,
    Connect,
    EndCall,
    NoteCall,
    RingAgent,
    SendCall,
)
from fsacd.core.events import (
    CallerGone,
    CallLeft,
    CallQueued,
    CallReturned,
    ConnectFailed,
    Event,
    Leg,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OfferRang,
    TalkFound,
)
from fsacd.core.rules import SkillLevels, ToExtension
from fsacd.esl import encoder
from fsacd.esl.codec import Message
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import Wire

# What this module understands; the link subscribes to it.
EVENTS = (
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_PARK",
    "CHANNEL_BRIDGE",
    "CHANNEL_HANGUP",
    "CHANNEL_HANGUP_COMPLETE",
)
SUBCLASSES = ("fsacd::queued", "fsacd::waiting", "fsacd::returned", "fsacd::left", "fsacd::feature")
# Channel events of other legs than ours stay in the switch.
FILTERS = (("variable_fsacd_leg", "/^./"),)

_JOB = "ring-"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The switch ends a ring by itself this much after we should have: only a daemon that died leaves it to the switch.
_RING_MARGIN_S = 3
# An answered leg that nobody connects, because the daemon died, ends after this.
_PARK_TIMEOUT_S = 10
_LONGEST_TEXT = 256
_NUMBER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Feature:
    """An agent dialled a feature code. `user` is who authenticated, `agent` whom it is for (or nobody else)."""

    what: str
    leg: Leg
    user: str
    agent: str
    reason: str
    pin: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one switch's messages. `warn` gets one sentence for each part of an announcement that makes no sense."""

    switch: str
    warn: Callable[[str], None]

    def read(self, message: Message, clock: SwitchClock, now_ms: int) -> Event | Feature | None:
        """The fact in a message, or None."""
        match message.name:
            case "CUSTOM":
                return self._announcement(message, clock, now_ms)
            case "BACKGROUND_JOB":
                return _job_ended(message)
        match message.get("variable_fsacd_leg"):
            case "agent":
                return self._agent_leg(message)
            case "caller":
                return _caller_leg(message, self._leg(message))
        return None

    def waiting(self, leg: Message, clock: SwitchClock, now_ms: int) -> CallQueued | None:
        """What a waiting caller's announcement would say, read from all that the switch knows of his leg."""
        call_id = leg.get("variable_fsacd_call")
        return self._queued(leg, call_id, clock, now_ms) if _UUID.fullmatch(call_id) else None

    def returned(self, leg: Message, clock: SwitchClock, now_ms: int) -> CallReturned:
        """That a caller is back in the music, and since when, read from what the switch knows of his leg."""
        back_at = leg.get("variable_fsacd_back_at").strip()
        at_ms = clock.ours(int(back_at), now_ms) if _NUMBER.fullmatch(back_at) else None
        return CallReturned(leg.get("variable_fsacd_call"), self._leg(leg), at_ms)

    def talk(self, callers: Message, agents: Message, clock: SwitchClock, now_ms: int) -> TalkFound | None:
        """The talk of a caller's leg with an agent's, read from all that the switch knows of both; None if it is none.

        Who connected them does not matter: the legs carry what there is to know.
        """
        offer_id, call_id = agents.get("Unique-ID"), callers.get("variable_fsacd_call")
        ours = agents.get("variable_fsacd_leg") == "agent" and agents.get("variable_fsacd_offer") == offer_id
        if not (ours and callers.get("Unique-ID") and agents.get("variable_fsacd_call") == call_id):
            return None
        call = self.waiting(callers, clock, now_ms)
        connected_ms = _since(agents, "Caller-Channel-Bridged-Time", now_ms)
        if call is None or call.leg is None or connected_ms is None:
            return None
        answered_ms = _since(agents, "Caller-Channel-Answered-Time", now_ms)
        rang_ms = _since(agents, "Caller-Channel-Created-Time", now_ms)
        answered_ms = connected_ms if answered_ms is None else min(answered_ms, connected_ms)
        rang_ms = answered_ms if rang_ms is None else min(rang_ms, answered_ms)
        return TalkFound(call, offer_id, agents.get("variable_fsacd_agent"), rang_ms, answered_ms, connected_ms)

    def _announcement(self, message: Message, clock: SwitchClock, now_ms: int) -> Event | Feature | None:
        call_id = message.get("variable_fsacd_call")
        match message.subclass:
            case "fsacd::feature":
                return self._feature(message)
            case "fsacd::queued" | "fsacd::waiting" | "fsacd::returned" | "fsacd::left" if not _UUID.fullmatch(call_id):
                self.warn(f"a call announced itself without a proper fsacd_call ({_shown(call_id)}); it is ignored")
                return None
            case "fsacd::queued" | "fsacd::waiting":
                if clock.before is None and _is_recovered(message):
                    return None  # whoever came before the crash is looked for all at once: that tells their order
                return self._queued(message, call_id, clock, now_ms)
            case "fsacd::returned":
                return self.returned(message, clock, now_ms)
            case "fsacd::left":
                return CallLeft(call_id, self._leg(message))
        return None

    def _queued(self, message: Message, call_id: str, clock: SwitchClock, now_ms: int) -> CallQueued:
        queued_at = message.get("variable_fsacd_queued_at").strip()
        is_known = _NUMBER.fullmatch(queued_at) is not None
        recovered = _is_recovered(message)
        leg: Leg | None = self._leg(message)
        if not _UUID.fullmatch(message.get("Unique-ID")):
            self.warn(
                f"call {call_id}: its leg is called {_shown(message.get('Unique-ID'))}, which no command can name; "
                "inbound-use-callid-as-uuid must be off in the SIP profile"
            )
            leg = None
        priority = message.get("variable_fsacd_priority").strip()
        if priority and not re.fullmatch(r"-?\d{1,3}", priority):
            self.warn(f"call {call_id}: fsacd_priority {_shown(priority)} is not a number; the queue's is used")
            priority = ""
        queued = CallQueued(
            call_id=call_id,
            queue=message.get("variable_fsacd_queue")[:_LONGEST_TEXT],
            arrived_ms=clock.ours(int(queued_at), now_ms, recovered=recovered) if is_known else now_ms,
            leg=leg,
            priority=int(priority) if priority else None,
            required=self._skills(message.get("variable_fsacd_skills"), call_id),
            number=message.get("Caller-Caller-ID-Number")[:_LONGEST_TEXT],
            name=message.get("Caller-Caller-ID-Name")[:_LONGEST_TEXT],
            customer=message.get("variable_fsacd_customer")[:_LONGEST_TEXT],
            head_start_ms=self._head_start_ms(message.get("variable_fsacd_head_start").strip(), call_id),
            language=message.get("variable_fsacd_language")[:_LONGEST_TEXT],
        )
        return _as_changed(queued, message.get("variable_fsacd_changed"))

    def _head_start_ms(self, text: str, call_id: str) -> int:
        if re.fullmatch(r"\d{0,5}", text):
            return int(text or 0) * 1_000
        self.warn(f"call {call_id}: fsacd_head_start {_shown(text)} is no number of seconds; none is given")
        return 0

    def _skills(self, text: str, call_id: str) -> SkillLevels:
        """`german:5,billing` → levels; a skill without a level needs level 1."""
        levels: dict[str, int] = {}
        for word in filter(None, (word.strip() for word in text[: 4 * _LONGEST_TEXT].split(","))):
            found = re.fullmatch(r"([A-Za-z0-9_.-]{1,64})(?::(10|[1-9]))?", word)
            if found:
                levels[found[1]] = int(found[2] or 1)
            else:
                self.warn(f"call {call_id}: fsacd_skills has {_shown(word)}, which is no skill with a level 1 to 10")
        return tuple(sorted(levels.items()))

    def _feature(self, message: Message) -> Feature:
        return Feature(
            what=message.get("variable_fsacd_feature"),
            leg=self._leg(message),
            user=message.get("variable_fsacd_user"),
            agent=message.get("variable_fsacd_agent"),
            reason=message.get("variable_fsacd_reason"),
            pin=message.get("variable_fsacd_pin"),
        )

    def _leg(self, message: Message) -> Leg:
        return Leg(self.switch, message.get("Unique-ID"))

    def _agent_leg(self, message: Message) -> Event | None:
        offer_id = message.get("variable_fsacd_offer")
        if message.get("Unique-ID") != offer_id:
            # The variables were copied: the far side of a loopback contact carries them all, and it is parked or
            # played to long before a person answers.
            return None
        match message.name:
            case "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA":
                return OfferRang(offer_id)
            case "CHANNEL_PARK":
                return OfferAnswered(offer_id, self.switch)
            case "CHANNEL_BRIDGE":
                return OfferConnected(offer_id)
            case "CHANNEL_HANGUP" | "CHANNEL_HANGUP_COMPLETE":
                cause = message.get("Hangup-Cause")
                answered = message.get("Caller-Channel-Answered-Time", "0") != "0"
                # The first comes when the leg is killed, the second when BYE or CANCEL is on its way.
                told = message.name == "CHANNEL_HANGUP_COMPLETE"
                return OfferEnded(offer_id, end_of(cause), cause, answered, _talked_ms(message), told)
        return None


def _is_recovered(leg: Message) -> bool:
    # The first is FreeSWITCH's own, until the dialplan has put the second in its place.
    return "true" in (leg.get("variable_recovered"), leg.get("variable_fsacd_recovered"))


def _talked_ms(hangup: Message) -> int:
    """How long the leg was bridged until this moment, by the switch's clock: we may have heard of the bridge late."""
    if hangup.get("variable_recovered") == "true":
        return 0  # a crash of the switch was in the middle of it, and its clock knows of the rest alone
    began_us, ended_us = hangup.get("Caller-Channel-Bridged-Time"), hangup.get("Event-Date-Timestamp")
    if not (_MICROSECONDS.fullmatch(began_us) and _MICROSECONDS.fullmatch(ended_us)):
        return 0  # it was never bridged
    return max(0, int(ended_us) - int(began_us)) // 1_000


def _since(leg: Message, moment: str, now_ms: int) -> int | None:
    """When something was, which the switch tells by its wall clock, as it tells its time; None if it never was."""
    at_us, now_us = leg.get(moment), leg.get("Event-Date-Timestamp")
    if not (_MICROSECONDS.fullmatch(at_us) and _MICROSECONDS.fullmatch(now_us)):
        return None
    return now_ms - max(0, int(now_us) - int(at_us)) // 1_000


_MICROSECONDS = re.compile(r"[1-9][0-9]{0,18}")


# So ends a leg whose user has transferred its partner: that one goes on, bridged to another leg or in the dialplan.
_TRANSFERS = frozenset(("ATTENDED_TRANSFER", "BLIND_TRANSFER"))


def _caller_leg(message: Message, leg: Leg) -> Event | None:
    match message.name:
        case "CHANNEL_BRIDGE":
            # The agent's leg is the other one; its uuid is the offer's id. A bridge with somebody else, whom an agent
            # has transferred the caller to, is no offer that anybody knows.
            return OfferConnected(message.get("Bridge-B-Unique-ID"))
        case "CHANNEL_HANGUP":
            # The cause tells it only if the leg was not bridged.
            ways = (message.get("Hangup-Cause"), message.get("variable_endpoint_disposition"))
            transferred = not _TRANSFERS.isdisjoint(ways)
            return CallerGone(message.get("variable_fsacd_call"), ways[0], transferred, leg)
    return None


def _job_ended(message: Message) -> Event | None:
    job = message.get("Job-UUID")
    text = message.text.strip()
    if not job.startswith(_JOB) or not text.startswith("-ERR"):
        return None
    cause = text.removeprefix("-ERR").strip()
    return OfferEnded(job.removeprefix(_JOB), end_of(cause), cause, told=False)


_ENDS = {
    OfferEnd.REFUSED: ("CALL_REJECTED",),
    OfferEnd.BUSY: ("USER_BUSY",),
    OfferEnd.NO_ANSWER: ("NO_ANSWER", "ALLOTTED_TIMEOUT"),
    OfferEnd.CANCELLED: ("ORIGINATOR_CANCEL", "LOSE_RACE", "PICKED_OFF"),
    OfferEnd.HUNG_UP: ("NORMAL_CLEARING",),
}
_END_OF = {cause: end for end, causes in _ENDS.items() for cause in causes}


def end_of(cause: str) -> OfferEnd:
    """What a hangup cause says of the agent. Whatever else kept the phone from ringing makes it unreachable."""
    return _END_OF.get(cause, OfferEnd.UNREACHABLE)


# A leg that enters a queue once more, sent there by an agent or by the dialplan, is a new call from here on.
_OVER = {"fsacd_over": "true"}
# What takes back `_talking`, as `fsacd_arm` has it.
_WAITING = {"transfer_after_bridge": "fsacd_back:XML:fsacd", "hangup_after_bridge": "true", "fsacd_over": "false"}
# What `fsacd_arm` sets. A leg that leaves the queue must lose it: still armed, it would come back to the music after
# any bridge that the operator's dialplan makes for it, and be sent there again, and again.
_DISARM = {
    "transfer_after_bridge": "",
    "hangup_after_bridge": "",
    "uuid_bridge_continue_on_cancel": "",
    "max_session_transfers": "",
    "disable_app_log": "",
    "force_transfer_context": "",
    "inline_destination": "",
}

_CAUSES = {
    CancelReason.CALLER_GONE: "ORIGINATOR_CANCEL",  # the phone shows a missed call
    CancelReason.LOST_RACE: "LOSE_RACE",  # "call completed elsewhere": it does not
    CancelReason.WITHDRAWN: "LOSE_RACE",
    CancelReason.NO_ANSWER: "NO_ANSWER",
    CancelReason.BRIDGE_WINDOW: "NORMAL_CLEARING",
    CancelReason.TALK_OVER: "NORMAL_CLEARING",
    CancelReason.UNKNOWN: "NORMAL_CLEARING",
}


def to_wires(command: Command) -> tuple[Wire, ...]:
    """The command for the switch, in one step or several; what matters is what becomes of the last.

    Raises encoder.EncodeError for what has no safe way into a command.
    """
    match command:
        case RingAgent():
            return (_ring(command),)
        case CancelOffer(offer_id, _, reason):
            return (encoder.uuid_kill(offer_id, _CAUSES[reason]),)
        case Connect(offer_id, _, leg):
            return (encoder.uuid_bridge(leg.uuid, offer_id),)
        case AskConnected(offer_id, _):
            return (encoder.uuid_dump(offer_id),)
        case ConfirmTalk(_, leg, then):
            return (encoder.uuid_setvar_multi(leg.uuid, _talking(then)),)
        case ArmCall(_, leg):
            return (encoder.uuid_setvar_multi(leg.uuid, _WAITING),)
        case NoteCall(_, leg):
            return (encoder.uuid_setvar(leg.uuid, "fsacd_changed", _changed(command)),)
        case SendCall(_, leg, target):
            transfer = encoder.uuid_transfer(leg.uuid, target.extension, target.context)
            return (encoder.uuid_setvar_multi(leg.uuid, {**_DISARM, **_OVER}), transfer)
        case EndCall(_, leg, cause):
            return (encoder.uuid_kill(leg.uuid, cause),)
        case _:
            assert_never(command)


# CALL/PRIORITY/HEAD_START_MS/JOINED_AFTER_MS/SKILLS/QUEUE; the leg's next call has another id, and is not changed.
_CHANGED = re.compile(
    r"([0-9a-f-]{36})/(-?[0-9]{1,9})/(-?[0-9]{1,15})/([0-9]{1,15})/((?:[A-Za-z0-9_.-]{1,64}:(?:10|[1-9])(?:\+|(?=/)))*)/([^/]{1,512})"
)


def _changed(call: NoteCall) -> str:
    skills = "+".join(f"{skill}:{level}" for skill, level in call.required)
    place = f"{call.priority}/{call.head_start_ms}/{call.joined_after_ms}"
    return f"{call.call_id}/{place}/{skills}/{quote(call.queue, safe='')}"


def _as_changed(queued: CallQueued, changed: str) -> CallQueued:
    """The call with what a daemon has noted of it on its leg; what does not fit it is none of it."""
    found = _CHANGED.fullmatch(changed) if changed else None
    if found is None or found[1] != queued.call_id:
        return queued
    words = (word.rpartition(":") for word in found[5].split("+") if word)
    return replace(
        queued,
        priority=int(found[2]),
        head_start_ms=int(found[3]),
        joined_after_ms=int(found[4]),
        required=tuple((skill, int(level)) for skill, _, level in words),
        queue=unquote(found[6])[:_LONGEST_TEXT],
        changed=True,
    )


def answer(command: AskConnected, dump: str) -> OfferConnected | ConnectFailed | None:
    """What all that the switch knows of an agent's leg says of its bridge; None: nothing that can be understood."""
    try:
        leg = orjson.loads(dump)
    except orjson.JSONDecodeError:
        return None
    # Not signal_bond: that is there from the moment at which the bridge is ordered.
    bridged = isinstance(leg, dict) and _MICROSECONDS.fullmatch(str(leg.get("Caller-Channel-Bridged-Time")))
    return OfferConnected(command.offer_id) if bridged else ConnectFailed(command.offer_id, "there is no bridge")


def switch_of(command: Command) -> str:
    """The switch that the command is for."""
    match command:
        case RingAgent() | CancelOffer() | AskConnected():
            return command.switch
        case Connect() | ConfirmTalk() | ArmCall() | NoteCall() | SendCall() | EndCall():
            return command.leg.switch
        case _:
            assert_never(command)


def _ring(command: RingAgent) -> Wire:
    timeout_s = math.ceil(command.timeout_ms / 1000) + _RING_MARGIN_S
    return encoder.originate(
        command.contact,
        job=_JOB + command.offer_id,
        variables={
            "origination_uuid": command.offer_id,
            "fsacd_leg": "agent",
            "fsacd_offer": command.offer_id,
            "fsacd_call": command.call_id,
            "fsacd_agent": command.agent_id,
            "ignore_early_media": "true",
            "hangup_after_bridge": "true",
            "park_timeout": str(_PARK_TIMEOUT_S),
            # A loopback contact would bow out of the talk, and its leg's end would be taken for the talk's.
            "loopback_bowout": "false",
            # It leads through a dialplan to the phone itself; that leg must not be taken for a call of the agent's own.
            "export_vars": "fsacd_agent",
            "originate_timeout": str(timeout_s),
            # For the agent's phone or desk: which call this is, so that it can show what belongs to it.
            "sip_h_X-Fsacd-Call": command.call_id,
            "sip_h_X-Fsacd-Offer": command.offer_id,
            "sip_h_X-Fsacd-Queue": command.queue,
        },
        name=command.caller_name,
        number=command.caller_number,
        timeout_s=timeout_s,
    )


def _talking(then: ToExtension | None) -> dict[str, str]:
    """The variables of a caller who talks: after it he is released, or goes on elsewhere as an ordinary caller."""
    if then is None:
        return {"transfer_after_bridge": "", **_OVER}
    after = f"{then.extension}:XML:{then.context}"
    return {"transfer_after_bridge": after, "hangup_after_bridge": "", **_OVER}


def _shown(text: str) -> str:
    return repr(text[:64])
