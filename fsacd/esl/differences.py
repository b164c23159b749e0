"""The kinds of differences between engine and switch, and the questions about one leg by which they are found.

Without this an agent could be rung for a caller who talks already (the bridge would take them out of their talk), a
caller of whom nobody knows would wait for their next announcement, and a leg that lost its daemon would ring on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fsacd.core.events import (
    CallReturned,
    Event,
    TalkFound,
)
from fsacd.core.views import Underway
from fsacd.esl import encoder
from fsacd.esl.codec import Kind, Message, read_leg, read_rows
from fsacd.esl.wire import Outcome, Reply, Wire, is_offer

Ask = Callable[[Wire], Reply]


Row = dict[str, Any]


Returned = Callable[[Message], CallReturned]


# Reads the talk of a caller's leg (first) with an agent's; None if it is none.
Talk = Callable[[Message, Message], TalkFound | None]


# Where callers wait (freeswitch/dialplan/fsacd.xml).
CONTEXT = "fsacd"
# The extension there in which a party on hold hears music.
HOLD = "fsacd_hold"


_MUSIC = frozenset(("fsacd_back", "fsacd_wait"))


# Whom a leg talks with now. Not signal_bond: that is set when a bridge is ordered, and stays if it never comes to be.
PARTNER = "variable_bridge_to"
# The cause of a leg that the switch has ended after its `media_timeout`.
SILENT = "MEDIA_TIMEOUT"


# In these states a leg is between two applications; a leg that stays there hears nothing and does nothing for ever.
BETWEEN = frozenset(("CS_RESET", "CS_SOFT_EXECUTE", "CS_HIBERNATE"))


class Difference(StrEnum):
    """The closed list of what can be wrong between engine and switch."""

    CALL_WITHOUT_LEG = "call_without_leg"
    CALL_ELSEWHERE = "call_elsewhere"
    CALL_RETURNED = "call_returned"
    TALK_UNBRIDGED = "talk_unbridged"
    TALK_OTHERWISE = "talk_otherwise"
    PHONE_HOLD_UNHEARD = "phone_hold_unheard"
    BRIDGE_UNHEARD = "bridge_unheard"
    ANSWER_UNHEARD = "answer_unheard"
    OFFER_WITHOUT_LEG = "offer_without_leg"
    OFFER_UNHEARD = "offer_unheard"
    UNKNOWN_CALLER = "unknown_caller"
    UNKNOWN_AGENT_LEG = "unknown_agent_leg"
    UNKNOWN_TALK = "unknown_talk"
    CALLER_IN_LIMBO = "caller_in_limbo"
    CALLER_DISARMED = "caller_disarmed"
    HEIR_UNHEARD = "heir_unheard"
    OUTSIDE_CALL = "outside_call"
    STANDING_LEG_ENDED = "standing_leg_ended"
    STANDING_LEG_UNHEARD = "standing_leg_unheard"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: its kind, its leg, and its repair: facts for the engine, or a command."""

    kind: Difference
    leg: str
    fact: Event | None = None
    remedy: Wire | None = None
    then: Event | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """What is known of the time in which this daemon did not listen to the switch.

    `lease_ended`: waiting callers may have taken the fallback.
    """

    restarted: bool = False
    lease_ended: bool = False


HERE = Absence()


def in_music(channel: Message) -> bool:
    """Whether the leg hears the music of a queue, and nothing else."""
    return channel.get("Caller-Context") == CONTEXT and channel.get("Caller-Destination-Number") in _MUSIC


def on_hold(channel: Message) -> bool:
    """Whether the leg hears the music of the hold."""
    return channel.get("Caller-Context") == CONTEXT and channel.get("Caller-Destination-Number") == HOLD


def is_in_room(channel: Message, room: str = "") -> bool:
    """Whether the leg is in this room for three, or in any of ours."""
    name = channel.get("variable_conference_name")
    named = name == room if room else name.startswith("fsacd-")
    return named and channel.get("variable_current_application") == "conference"


def talk_of(leg: str, channel: Message, talk: Talk | None, ask: Ask) -> TalkFound | None:
    """The talk with an agent of ours that the caller on this leg has, whoever connected it; None for none."""
    partner = channel.get(PARTNER)
    if talk is None or not is_offer(partner):
        return None
    agents = Message(Kind.EVENT, dump(partner, ask))
    if agents.get("Unique-ID") != partner or agents.get("Answer-State") == "hangup" or agents.get(PARTNER) != leg:
        return None
    return talk(channel, agents)


def known_legs(underway: Underway, switch: str) -> set[str]:
    """The callers' legs that the engine knows on this switch."""
    return {call.leg.uuid for call in underway.calls if call.leg is not None and call.leg.switch == switch}


def into_music(leg: str) -> Wire:
    """Put the caller into the music again."""
    return encoder.uuid_transfer(leg, "fsacd_wait", CONTEXT)


def armed(leg: str) -> Wire:
    """Let the switch bring the caller back into the music when a bridge breaks; undoes `disarmed`."""
    return encoder.uuid_setvar_multi(leg, ARMED)


# The values that the dialplan's `fsacd_arm` sets.
BACK = "fsacd_back:XML:fsacd"
ARMED = {"transfer_after_bridge": BACK, "hangup_after_bridge": "true", "fsacd_over": "false"}


def disarmed(leg: str) -> Wire:
    """Let the switch release the caller after the talk, whether or not a daemon runs then."""
    return encoder.uuid_setvar_multi(leg, {"transfer_after_bridge": "", "fsacd_over": "true"})


def has_ended(leg: str, ask: Ask) -> bool:
    """Whether the switch says that there is no such leg; no answer is no."""
    # The list of channels lags behind the truth; only the question for this one leg is sure.
    return can_be_asked_for(leg) and is_gone(ask(encoder.uuid_exists(leg)))


def can_be_asked_for(leg: str) -> bool:
    """Whether a command can carry the leg's name. A name that a phone has chosen (Call-ID as uuid) may not fit."""
    return question(leg) is not None


def is_gone(reply: Reply) -> bool:
    """Whether this answer says that there is no such leg."""
    return reply.text.strip() == "false"


def channels(ask: Ask) -> dict[str, Row] | None:
    """The switch's list of legs, which lags up to 0.3 s behind the truth; None when no answer comes."""
    reply = ask(encoder.show_channels())
    if reply.outcome is not Outcome.OK:
        return None
    rows = read_rows(reply.text)
    return None if rows is None else {leg: row for row in rows if (leg := row.get("uuid", ""))}


def dump(leg: str, ask: Ask) -> Row:
    """Everything about a leg, as in its events; empty when it is gone or no answer comes."""
    wire = question(leg)
    return {} if wire is None else read_leg(ask(wire).text)


def question(leg: str) -> Wire | None:
    """The question for everything about a leg; None if no command can carry the leg's name: such a leg is not ours."""
    try:
        return encoder.uuid_dump(leg)
    except encoder.EncodeError:
        return None
