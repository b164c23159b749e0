"""Turns the switch's messages into the engine's facts. Pure.

Facts are read from the channel variables that the dialplan and our own originate put on the legs. So nothing here
remembers which leg belongs to what, and a restarted daemon understands the legs of the one before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote

from fsacd.core.commands import AskConnected
from fsacd.core.events import (
    CallerGone,
    CallerReplaced,
    CallerTaken,
    CallLeft,
    CallQueued,
    CallReturned,
    ConnectFailed,
    Event,
    Leg,
    OfferConnected,
    OfferEnded,
    Taken,
    TalkFound,
)
from fsacd.core.offer import is_leg_of
from fsacd.esl import agents_leg, announced, standing
from fsacd.esl.agents_leg import MICROSECONDS, end_of, legs_rung, since
from fsacd.esl.announced import LONGEST_TEXT
from fsacd.esl.carried import Carried
from fsacd.esl.codec import Kind, Message, read_leg
from fsacd.esl.ringing import JOB
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import UUID, is_offer

# What this module understands; the link subscribes to it.
EVENTS = (
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_PARK",
    "CHANNEL_BRIDGE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_HANGUP",
    "CHANNEL_HANGUP_COMPLETE",
)
SUBCLASSES = ("fsacd::queued", "fsacd::waiting", "fsacd::returned", "fsacd::left", "fsacd::feature")
# The switch sends us the channel events of our own legs only, and of legs that talk with a caller of ours: when
# somebody picks a waiting caller up, their leg is the first of the two, and the bridge event is that leg's.
_CONTEXT = "fsacd"
# Where a caller leaves the queue by the dialplan; see `freeswitch/dialplan/fsacd.xml`.
_FALLBACK = "fsacd_fallback"
# The application of a leg that replaces one which talks, or is about to (sofia.c): it takes over that leg's partner.
INTO_A_TALK = "answer,intercept:"
# The last event of a caller's leg is the largest of a call, and all that is needed is in the leg's CHANNEL_HANGUP.
# FreeSWITCH can refuse an event by one header only. This one is in the last event alone, and names the last application
# that was noted: for a caller in a queue the dialplan's multiset, for an agent's leg park.
CALLERS_LAST_EVENT = ("variable_last_app", "-multiset")
FILTERS = (("variable_fsacd_leg", "/^./"), ("Other-Leg-Context", _CONTEXT), CALLERS_LAST_EVENT)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Feature:
    """An agent dialled a feature code. `user` is who authenticated, `agent` whom it is for (or nobody else).

    `domain` is the directory's domain in which they authenticated, empty if the dialplan does not say it; `home` is the
    switch's own domain.
    """

    what: str
    leg: Leg
    user: str
    agent: str
    reason: str
    pin: str
    domain: str = ""
    home: str = ""
    code: str = ""  # the digits of a wrap-up code


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """A caller has been announced whose ACK has not come. Holds the call that they will be when it comes.

    `again`: they were announced before, and the ACK had not come then either; or we did not hear of it.
    """

    fact: CallQueued
    again: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one switch's messages. `warn` gets one sentence for each part of an announcement that makes no sense.

    `require_ack`: callers who have not acknowledged our answer are told from the others. `carried`: which of a caller's
    variables go along to agents' legs.
    """

    switch: str
    warn: Callable[[str], None]
    require_ack: bool = True
    carried: Carried = announced.NOTHING

    def read(self, message: Message, clock: SwitchClock, now_ms: int) -> Event | Feature | Unacknowledged | None:
        """The fact in a message, or None."""
        match message.name:
            case "CUSTOM" if message.get("variable_fsacd_leg") != standing.KIND:
                return self._announcement(message, clock, now_ms)
            case "BACKGROUND_JOB":
                return _job_ended(message, self.switch)
        match message.get("variable_fsacd_leg"):
            case "agent" | "third":
                return agents_leg.fact(message, self.switch, now_ms)
            case "caller":
                return _caller_leg(message, self._leg(message))
            case standing.KIND:
                return standing.fact(message, self.switch)
            case _ if message.name == "CHANNEL_BRIDGE":
                return self._picked_up(message)
            case _ if message.name == "CHANNEL_CREATE":
                return self._replaced(message)
        return None

    def _picked_up(self, message: Message) -> CallerTaken | None:
        """A leg that is not ours is bridged; if the other leg is a caller of ours, they do not wait any more."""
        caller = message.get("Bridge-B-Unique-ID")
        if message.get("Other-Leg-Context") != _CONTEXT or UUID.fullmatch(caller) is None:
            return None
        number = message.get("Caller-Caller-ID-Number")[:LONGEST_TEXT]
        return CallerTaken(Leg(self.switch, caller), Taken.PICKED_UP, number)

    def _replaced(self, message: Message) -> CallerReplaced | None:
        """A new leg; if it has replaced a caller's leg, FreeSWITCH writes so on it."""
        leg, by = message.get("Other-Leg-Unique-ID"), message.get("Unique-ID")
        if message.get("Other-Leg-Context") != _CONTEXT or not message.get("variable_sip_replaces_call_id"):
            return None
        if UUID.fullmatch(leg) is None or UUID.fullmatch(by) is None:
            return None
        talks = message.get("Caller-Destination-Number").startswith(INTO_A_TALK)
        return CallerReplaced(Leg(self.switch, leg), Leg(self.switch, by), talks)

    def waiting(self, leg: Message, clock: SwitchClock, now_ms: int) -> CallQueued | None:
        """What a waiting caller's announcement would say, read from all that the switch knows of their leg.

        None for a leg that is no call's, or whose caller has not acknowledged our answer: they are announced again.
        """
        call_id = leg.get("variable_fsacd_call")
        if not _UUID.fullmatch(call_id) or not self._is_acknowledged(leg):
            return None
        return self._queued(leg, call_id, clock, now_ms)

    def returned(self, leg: Message, clock: SwitchClock, now_ms: int) -> CallReturned:
        """That a caller is back in the music, and since when, read from what the switch knows of their leg."""
        call_id = leg.get("variable_fsacd_call")
        back_at = announced.uptime(leg, "fsacd_back_at", lambda sentence: self.warn(f"call {call_id}: {sentence}"))
        return CallReturned(call_id, self._leg(leg), None if back_at is None else clock.ours(back_at, now_ms))

    def talk(self, callers: Message, agents: Message, clock: SwitchClock, now_ms: int) -> TalkFound | None:
        """The talk of a caller's leg with an agent's, read from all that the switch knows of both; None if it is none.

        Who connected them does not matter: the legs carry what there is to know.
        """
        offer_id, call_id = agents.get("variable_fsacd_offer"), callers.get("variable_fsacd_call")
        leg = agents.get("Unique-ID")
        ours = agents.get("variable_fsacd_leg") == "agent" and is_leg_of(leg, offer_id)
        if not (ours and callers.get("Unique-ID") and agents.get("variable_fsacd_call") == call_id):
            return None
        call = self.waiting(callers, clock, now_ms)
        connected_ms = since(agents, "Caller-Channel-Bridged-Time", now_ms)
        if call is None or call.leg is None or connected_ms is None:
            return None
        answered_ms = since(agents, "Caller-Channel-Answered-Time", now_ms)
        rang_ms = since(agents, "Caller-Channel-Created-Time", now_ms)
        answered_ms = connected_ms if answered_ms is None else min(answered_ms, connected_ms)
        rang_ms = answered_ms if rang_ms is None else min(rang_ms, answered_ms)
        which = leg if legs_rung(agents) > 1 else ""
        agent_id, muted = agents.get("variable_fsacd_agent"), agents.get("variable_fsacd_muted") == "1"
        standing_leg = agents.get("variable_fsacd_standing_leg")[:LONGEST_TEXT]
        return TalkFound(call, offer_id, agent_id, rang_ms, answered_ms, connected_ms, which, muted, standing_leg)

    def _announcement(
        self, message: Message, clock: SwitchClock, now_ms: int
    ) -> Event | Feature | Unacknowledged | None:
        call_id = message.get("variable_fsacd_call")
        match message.subclass:
            case "fsacd::feature":
                return self._feature(message)
            case "fsacd::queued" | "fsacd::waiting" | "fsacd::returned" | "fsacd::left" if not _UUID.fullmatch(call_id):
                self.warn(
                    f"a call announced itself without a proper fsacd_call ({announced.shown(call_id)}); it is ignored"
                )
                return None
            case "fsacd::queued" | "fsacd::waiting":
                if clock.before is None and announced.is_recovered(message):
                    return None  # callers of before a crash are looked for all at once: that tells their order
                fact = self._queued(message, call_id, clock, now_ms)
                if self._is_acknowledged(message):
                    return fact
                return Unacknowledged(fact, again=message.subclass == "fsacd::waiting")
            case "fsacd::returned":
                return self.returned(message, clock, now_ms)
            case "fsacd::left":
                # At any other destination the leg enters a queue anew, and the event is about the call that ends by
                # that.
                there = message.get("Caller-Destination-Number")
                queue = "" if there in ("", _FALLBACK) else message.get("variable_fsacd_queue")[:LONGEST_TEXT]
                return CallLeft(call_id, self._leg(message), into=queue)
        return None

    def _queued(self, message: Message, call_id: str, clock: SwitchClock, now_ms: int) -> CallQueued:
        queued = announced.queued(message, self._leg(message), call_id, clock, now_ms, self.warn, self.carried)
        return _as_changed(announced.in_visit(queued, message), message.get("variable_fsacd_changed"))

    def _is_acknowledged(self, message: Message) -> bool:
        return not self.require_ack or announced.is_acknowledged(message)

    def _feature(self, message: Message) -> Feature:
        return Feature(
            what=message.get("variable_fsacd_feature"),
            leg=self._leg(message),
            user=message.get("variable_fsacd_user"),
            agent=message.get("variable_fsacd_agent"),
            reason=message.get("variable_fsacd_reason"),
            pin=message.get("variable_fsacd_pin"),
            domain=message.get("variable_fsacd_domain"),
            home=message.get("variable_fsacd_home_domain"),
            code=message.get("variable_fsacd_code"),
        )

    def _leg(self, message: Message) -> Leg:
        return Leg(self.switch, message.get("Unique-ID")[:LONGEST_TEXT])


# The causes with which a caller's leg ends that another leg has replaced: by a REFER, or by the INVITE with Replaces of
# another phone of theirs, which in a talk is an intercept of the agent's leg. BLIND_TRANSFER is not among them: it
# sends the agent's leg to a number, and the leg's context (encoder.LEG_CONTEXT) has none.
_REPLACED = frozenset(("ATTENDED_TRANSFER", "PICKED_OFF"))
# The leg that sent the REFER ends as any other; the leg with which the agent talks now stands in `transfer_to`. If that
# is an agent's leg (a UUID of version 5), a caller with two talks has joined two agents, who have no caller.
_JOINED = re.compile(r"att:[0-9a-f]{8}-[0-9a-f]{4}-(?!5)[0-9a-f-]{22}")


def _caller_leg(message: Message, leg: Leg) -> Event | None:
    match message.name:
        case "CHANNEL_BRIDGE":
            # The agent's leg is the other one; its uuid leads to the offer.
            partner = message.get("Bridge-B-Unique-ID")
            if is_offer(partner):
                # Who has talked before brings their contact: their agent joins them with a colleague.
                again = message.get("variable_fsacd_over") == "true"
                return OfferConnected(partner, announced.contact_id(message, _quietly) if again else "")
            # An agent has transferred the caller to them, and the call is over; or others have taken the caller away.
            number = message.get("Other-Leg-Callee-ID-Number") or message.get("Caller-Callee-ID-Number")
            return CallerTaken(leg, Taken.PICKED_UP, number[:LONGEST_TEXT])
        case "CHANNEL_HANGUP":
            # The cause says that the leg was replaced only if it was not bridged.
            ways = (message.get("Hangup-Cause"), message.get("variable_endpoint_disposition"))
            replaced = (
                not _REPLACED.isdisjoint(ways)
                or agents_leg.is_replaced(message)
                or _JOINED.fullmatch(message.get("variable_transfer_to")) is not None
            )
            call_id = message.get("variable_fsacd_call")[:LONGEST_TEXT]
            return CallerGone(call_id, ways[0][:LONGEST_TEXT], replaced, leg)
    return None


def _quietly(_sentence: str) -> None:
    """What does not fit was told when the call was announced."""


def _job_ended(message: Message, switch: str) -> Event | None:
    if (ended := standing.job_ended(message, switch)) is not None:
        return ended
    job = message.get("Job-UUID")
    text = message.text.strip()
    if not job.startswith(JOB) or not text.startswith("-ERR"):
        return None
    cause = text.removeprefix("-ERR").strip()[:LONGEST_TEXT]
    return OfferEnded(job.removeprefix(JOB), end_of(cause), cause, phone_told=False)


# CALL/PRIORITY/HEAD_START_MS/JOINED_AFTER_MS/SKILLS/QUEUE; the leg's next call has another id, and is not changed.
_CHANGED = re.compile(
    r"([0-9a-f-]{36})/(-?[0-9]{1,9})/(-?[0-9]{1,15})/([0-9]{1,15})/((?:[A-Za-z0-9_.-]{1,64}:(?:10|[1-9])(?:\+|(?=/)))*)/([^/]{1,512})"
)


def _as_changed(queued: CallQueued, changed: str) -> CallQueued:
    """The call with the changes that a daemon has noted on its leg; a note of another form or call is ignored."""
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
        queue=unquote(found[6])[:LONGEST_TEXT],
        changed=True,
    )


def answer(command: AskConnected, dump: str) -> OfferConnected | ConnectFailed | None:
    """Whether an agent's leg is or was bridged, read from the switch's dump of it; None for an unreadable dump."""
    leg = read_leg(dump)
    if not leg:
        return None
    # Not signal_bond: it is set as soon as the bridge is ordered.
    bridged = MICROSECONDS.fullmatch(Message(Kind.EVENT, leg).get("Caller-Channel-Bridged-Time"))
    return OfferConnected(command.offer_id) if bridged else ConnectFailed(command.offer_id, "there is no bridge")
