"""Legs that have replaced a waiting caller's leg (INVITE with Replaces) while no event of it was heard.

FreeSWITCH lets the new leg do what the old one did, by the dialplan "inline" and in no queue, and says so by one event
alone. If that event was lost, the new leg is found here; otherwise its caller would hear music for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fsacd.core.events import CallerReplaced, Leg
from fsacd.core.views import Underway
from fsacd.esl import encoder
from fsacd.esl.codec import Kind, Message
from fsacd.esl.differences import CONTEXT, PARTNER, Ask, Difference, Finding, Row, dump
from fsacd.esl.translate import INTO_A_TALK
from fsacd.esl.wire import Wire, is_offer

# Few legs come by an INVITE with Replaces, and no more than this are asked for in one round.
_INBOUND = "inbound"
_MOST = 100
# The new leg answers, and then does what the old one did (sofia_handle_sip_i_invite_replaces in sofia.c).
_DOES_THE_SAME = "answer,"
# Extensions of our own dialplan; a caller never came in at one of them.
_INNER = "fsacd_"
_PLACES = ("Other-Leg-RDNIS", "variable_sip_req_user")


def suspected(rows: Mapping[str, Row]) -> list[str]:
    """The legs that may have replaced a waiting caller's, by the switch's list; a hundred at most."""
    return [leg for leg, row in rows.items() if row.get("dialplan") == "inline" and _seems_to_wait(leg, row)][:_MOST]


def _seems_to_wait(leg: str, row: Row) -> bool:
    does = str(row.get("dest"))
    waits = does.startswith(_DOES_THE_SAME) and not does.startswith(INTO_A_TALK)
    return waits and row.get("direction") == _INBOUND and not is_offer(leg)


def findings(underway: Underway, switch: str, legs: Iterable[str], ask: Ask) -> Iterator[Finding]:
    """The repair for each of these legs that has replaced a waiting caller's.

    The engine is told by which leg its call goes on. If the engine does not know the old leg, the new one is sent where
    the old one came in, and waits anew: nobody knows any more since when the old one had waited. Blocks for as long as
    `ask` does, one question for each leg.
    """
    calls = {call.leg.uuid: call for call in underway.calls if call.leg is not None and call.leg.switch == switch}
    for leg in legs:
        channel = Message(Kind.EVENT, dump(leg, ask))
        if not _does_the_same(leg, channel):
            continue
        before = channel.get("Other-Leg-Unique-ID")
        if before not in calls:
            yield Finding(Difference.HEIR_UNHEARD, leg, remedy=_comes_in_anew(leg, channel))
        elif calls[before].state != "talking":
            yield Finding(Difference.HEIR_UNHEARD, before, CallerReplaced(Leg(switch, before), Leg(switch, leg)))


def _does_the_same(leg: str, channel: Message) -> bool:
    """Whether this leg has replaced one in our context, and does the same outside it."""
    is_there = channel.get("Unique-ID") == leg and channel.get("Answer-State") != "hangup"
    replaced = bool(channel.get("variable_sip_replaces_call_id")) and channel.get("Other-Leg-Context") == CONTEXT
    return is_there and replaced and channel.get("Caller-Dialplan") == "inline" and not channel.get(PARTNER)


def _comes_in_anew(leg: str, channel: Message) -> Wire:
    """Send the leg to the number that led the old leg into the queue; without one, release it."""
    for place in _PLACES:
        extension = channel.get(place)
        if extension and not extension.startswith(_INNER):
            try:
                return encoder.uuid_transfer(leg, extension, channel.get("Caller-Context"))
            except encoder.EncodeError:
                pass  # no command can carry this extension or context
    return encoder.uuid_kill(leg, "NORMAL_TEMPORARY_FAILURE")
