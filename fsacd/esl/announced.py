"""What a caller's announcement says: their leg and the variables that the dialplan has set on it. Pure.

A variable may hold whatever a caller has sent. Each variable is read strictly, and only ASCII digits are digits. A
value that does not fit is left out, and one sentence says so; no announcement fails because of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fsacd.core.events import CallQueued, Leg
from fsacd.core.rules import SkillLevels
from fsacd.core.visit import HowIn
from fsacd.esl.carried import Carried
from fsacd.esl.codec import Message
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import UUID

# Gets one sentence for each variable that makes no sense.
Warn = Callable[[str], None]

NOTHING: Final = Carried()
LONGEST_TEXT: Final = 256
_LONGEST_ADDRESS: Final = 64
# As in the configuration, the API and the database.
_HIGHEST_PRIORITY: Final = 100
_LONGEST_HEAD_START_S: Final = 86_400
_MOST_SKILLS: Final = 32

_PRIORITY: Final = re.compile(r"-?[0-9]{1,3}")
_SECONDS: Final = re.compile(r"[0-9]{1,5}")
_SKILL: Final = re.compile(r"([A-Za-z0-9_.-]{1,64})(?::(10|[1-9]))?")
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# It stands in SIP headers, in the variables of other legs and in lists of variables; the dialplan has the same bounds.
_CONTACT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DIGITS: Final = re.compile(r"[0-9]+")
# As many last digits identify a number, however it is written; fewer may be in any id by chance.
_TELLING_DIGITS: Final = 7
# `${uptime(ms)}`, which is printed as an unsigned 32-bit number.
_UPTIME: Final = re.compile(r"[0-9]{1,10}")
_MICROSECONDS: Final = re.compile(r"[1-9][0-9]{0,18}")
# CALL/NUMBER/HOW_IN; the leg's next call has another id, and visits of its own.
_VISIT: Final = re.compile(r"([0-9a-f-]{36})/([1-9][0-9]{0,8})/([a-z_]{1,32})")
_WAYS_IN: Final = {str(way): way for way in HowIn}
# The To of a request within the dialog: our tag stands behind the address.
_OUR_TAG: Final = re.compile(r'(?:"[^"]*" *|[^"<>]*)<[^<>"]*>;(?:[^<>"]*;)?tag=[^<>";]+')
# FreeSWITCH itself ends a call whose ACK has not come within 32 s of its answer (SIP's timer H).
_SURELY_ACKNOWLEDGED_US: Final = 40_000_000


def queued(
    message: Message, leg: Leg, call_id: str, clock: SwitchClock, now_ms: int, warn: Warn, carried: Carried = NOTHING
) -> CallQueued:
    """The call that a caller's leg announces. `now_ms` is our clock's, `clock` tells the switch's time on it.

    `carried` reads the variables that go along to agents' legs.
    """

    def tell(sentence: str) -> None:
        warn(f"call {call_id}: {sentence}")

    recovered = is_recovered(message)
    queued_at = uptime(message, "fsacd_queued_at", tell)
    reachable = UUID.fullmatch(leg.uuid) is not None
    if not reachable:
        tell(
            f"its leg is called {shown(leg.uuid)}, which no command can name; "
            "inbound-use-callid-as-uuid must be off in the SIP profile"
        )
    return CallQueued(
        call_id=call_id,
        queue=message.get("variable_fsacd_queue")[:LONGEST_TEXT],
        arrived_ms=now_ms if queued_at is None else clock.ours(queued_at, now_ms, recovered=recovered),
        leg=leg if reachable else None,
        priority=_priority(message.get("variable_fsacd_priority").strip(), tell),
        required=_skills(message.get("variable_fsacd_skills"), tell),
        number=message.get("Caller-Caller-ID-Number")[:LONGEST_TEXT],
        name=message.get("Caller-Caller-ID-Name")[:LONGEST_TEXT],
        customer=_customer(message.get("variable_fsacd_customer"), tell),
        shown_name=message.get("variable_effective_caller_id_name")[:LONGEST_TEXT],
        shown_number=message.get("variable_effective_caller_id_number")[:LONGEST_TEXT],
        head_start_ms=_head_start_ms(message.get("variable_fsacd_head_start").strip(), tell),
        language=_language(message.get("variable_fsacd_language").strip(), tell),
        source=message.get("Caller-Network-Addr")[:_LONGEST_ADDRESS],
        number_believed=_believed(message.get("variable_fsacd_number_believed").strip(), tell),
        hidden=_is_hidden(message, tell),
        variables=carried.of(message),
        contact_id=contact_id(message, tell),
    )


def uptime(message: Message, variable: str, tell: Warn) -> int | None:
    """The switch's uptime (ms) that the dialplan has noted in this variable; None if it has noted none."""
    text = message.get(f"variable_{variable}").strip()
    if _UPTIME.fullmatch(text):
        return int(text)
    if text:
        tell(f"{variable} {shown(text)} is no uptime of the switch; it is left out")
    return None


def is_recovered(leg: Message) -> bool:
    """Whether FreeSWITCH has crashed and brought this leg back."""
    # FreeSWITCH sets the first variable; the dialplan replaces it by the second.
    return "true" in (leg.get("variable_recovered"), leg.get("variable_fsacd_recovered"))


def is_acknowledged(message: Message) -> bool:
    """Whether the caller has shown that our answer has reached them: SIP's ACK has come.

    Anybody can send an INVITE with a forged address; only a caller who is really there can acknowledge the answer.
    Outgoing legs, and legs that are not SIP, have no ACK to wait for.
    """
    if not message.get("Channel-Name").startswith("sofia/") or message.get("Call-Direction") != "inbound":
        return True
    if message.get("variable_sip_cseq") or _is_tagged(message.get("variable_sip_full_to")):
        return True  # FreeSWITCH sets these at a request within the dialog, of which the ACK is the first
    if is_recovered(message):
        return True
    answered_us, now_us = message.get("Caller-Channel-Answered-Time"), message.get("Event-Date-Timestamp")
    if not (_MICROSECONDS.fullmatch(answered_us) and _MICROSECONDS.fullmatch(now_us)):
        return False
    return int(now_us) - int(answered_us) > _SURELY_ACKNOWLEDGED_US


def _is_tagged(address: str) -> bool:
    return ";tag=" in address and _OUR_TAG.fullmatch(address) is not None


def _priority(text: str, tell: Warn) -> int | None:
    if not text:
        return None
    if _PRIORITY.fullmatch(text) and abs(int(text)) <= _HIGHEST_PRIORITY:
        return int(text)
    tell(f"fsacd_priority {shown(text)} is no class from -100 to 100; the queue's is used")
    return None


def _head_start_ms(text: str, tell: Warn) -> int:
    if not text:
        return 0
    if _SECONDS.fullmatch(text) and int(text) <= _LONGEST_HEAD_START_S:
        return int(text) * 1_000
    tell(f"fsacd_head_start {shown(text)} is no number of seconds up to a day; none is given")
    return 0


def _skills(text: str, tell: Warn) -> SkillLevels:
    """`german:5,billing` → levels; a skill without a level needs level 1."""
    if not text:
        return ()
    words = [word for word in (word.strip() for word in text[: 4 * LONGEST_TEXT].split(",")) if word]
    found = [_SKILL.fullmatch(word) for word in words]
    levels = {match[1]: int(match[2] or 1) for match in found[:_MOST_SKILLS] if match is not None}
    wrong = next((word for word, match in zip(words, found, strict=True) if match is None), None)
    if wrong is not None:
        tell(f"fsacd_skills has {shown(wrong)}, which is no skill with a level 1 to 10; it is left out")
    elif len(words) > _MOST_SKILLS:
        tell(f"fsacd_skills has {len(words)} skills; the first {_MOST_SKILLS} are required")
    return tuple(sorted(levels.items()))


def _customer(text: str, tell: Warn) -> str:
    if len(text) <= LONGEST_TEXT and text.isprintable():
        return text
    tell(f"fsacd_customer {shown(text)} is no printable text of up to {LONGEST_TEXT} characters; it is left out")
    return ""


def _language(text: str, tell: Warn) -> str:
    if not text or _LANGUAGE.fullmatch(text):
        return text
    tell(f"fsacd_language {shown(text)} is no name of a language; it is left out")
    return ""


def contact_id(message: Message, tell: Warn) -> str:
    """The contact that the leg belongs to; empty if it says none, or none that can be used."""
    text = message.get("variable_fsacd_contact_id").strip()
    number = "".join(_DIGITS.findall(message.get("Caller-Caller-ID-Number")))
    if not text:
        return ""
    if _CONTACT.fullmatch(text) is None:
        tell(
            f"fsacd_contact_id {shown(text)} is no id of up to 64 letters, digits, '_', '.' and '-'; "
            "the call's own id takes its place"
        )
    elif len(number) >= _TELLING_DIGITS and number[-_TELLING_DIGITS:] in text:
        # It stays in history when the caller is erased, and goes to agents' phones when their number is hidden.
        tell("fsacd_contact_id has the caller's number in it; the call's own id takes its place")
    else:
        return text
    return ""


def in_visit(queued: CallQueued, message: Message) -> CallQueued:
    """The call with the number of its visit, as a daemon has noted it on the leg; another call's note says nothing."""
    noted = message.get("variable_fsacd_visit")
    found = _VISIT.fullmatch(noted) if noted else None
    if found is None or found[1] != queued.call_id:
        return queued
    return replace(queued, visit=int(found[2]), how_in=_WAYS_IN.get(found[3], HowIn.MOVED))


def _believed(text: str, tell: Warn) -> bool | None:
    match text:
        case "":
            return None
        case "true":
            return True
        case "false":
            return False
        case _:
            tell(f"fsacd_number_believed {shown(text)} is neither true nor false; the number is not believed")
            return False


def _is_hidden(message: Message, tell: Warn) -> bool:
    """Whether the caller asks for privacy (`Privacy: id`, or what a trunk says instead), and the line respects it."""
    if message.get("Caller-Privacy-Hide-Number") != "true":
        return False
    match message.get("variable_fsacd_show_withheld").strip():
        case "true":
            return False
        case "" | "false":
            return True
        case text:
            tell(f"fsacd_show_withheld {shown(text)} is neither true nor false; the number is not shown")
            return True


def shown(text: str) -> str:
    """A text from outside, made safe to be quoted in a sentence."""
    return repr(text[:64])
