"""Finds out how the legs of a talk stand, and whether its phone holds, when events of it may have been missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fsacd.core.events import Event, LegsJoined, OfferAnswered, OfferConnected
from fsacd.core.shape import Pair
from fsacd.core.views import CallView, OfferView, Underway
from fsacd.esl import agents_leg
from fsacd.esl.codec import Kind, Message
from fsacd.esl.differences import PARTNER, Ask, Difference, Finding, Row, dump

# How the switch shows a leg whose phone holds, in its list of legs and in the leg's dump.
_HELD: Final = "HELD"


def findings(underway: Underway, switch: str, rows: Mapping[str, Row], ask: Ask) -> Iterator[Finding]:
    """The talks on this switch that are otherwise than the engine knows: who are bridged, and whether the phone holds.

    Blocks as `ask` does: a question for each talk that somebody has changed, and for each of whose hold the list of
    legs says something new. Ends of legs are found like those of all others.
    """
    for talk in underway.offers:
        if talk.switch == switch and talk.state == "talking":
            yield from _phone_hold(talk, rows.get(talk.live_legs[0]), underway.now_ms, ask)
    calls = {call.call_id: call for call in underway.calls}
    for talk in underway.offers:
        call = calls.get(talk.call_id)
        if talk.switch == switch and talk.pair and call is not None:
            pair, fact = _as_it_is(talk, call, ask)
            if fact is not None and pair != talk.pair:
                yield Finding(Difference.TALK_OTHERWISE, talk.offer_id, fact)


def _phone_hold(talk: OfferView, row: Row | None, now_ms: int, ask: Ask) -> Iterator[Finding]:
    if row is None or (row.get("callstate") == _HELD) == talk.phone_holds:
        return
    leg = Message(Kind.EVENT, dump(talk.live_legs[0], ask))
    holds = leg.get("Channel-Call-State") == _HELD
    if leg.get("Unique-ID") == talk.live_legs[0] and leg.get("Answer-State") != "hangup" and holds != talk.phone_holds:
        fact = agents_leg.hold(leg, talk.offer_id, now_ms, holds=holds)
        yield Finding(Difference.PHONE_HOLD_UNHEARD, talk.offer_id, fact)


def _as_it_is(talk: OfferView, call: CallView, ask: Ask) -> tuple[str, Event | None]:
    """Which two are bridged, and the fact that says so; no fact where the switch does not say it for certain."""
    callers_leg = call.leg.uuid if call.leg is not None else ""
    leg = talk.live_legs[0]
    agents = Message(Kind.EVENT, dump(leg, ask))
    if agents.get("Unique-ID") != leg or agents.get("Answer-State") == "hangup":
        return "", None
    partner = agents.get(PARTNER)
    if partner and partner == callers_leg:
        return Pair.CALLER_AGENT, OfferConnected(talk.offer_id)
    if partner and partner == talk.third_leg:
        return Pair.AGENT_THIRD, LegsJoined(talk.offer_id, partner)
    if partner or agents.get("variable_current_application") != "park":
        return "", None
    if talk.third_leg and callers_leg:
        callers = Message(Kind.EVENT, dump(callers_leg, ask))
        if callers.get(PARTNER) == talk.third_leg:
            return Pair.CALLER_THIRD, OfferConnected(talk.third_leg)
    return Pair.NOBODY, OfferAnswered(talk.offer_id, talk.switch, leg if talk.legs else "")
