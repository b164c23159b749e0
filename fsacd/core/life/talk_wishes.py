"""What an agent asks for in a talk. A refusal says why; what is done is recorded with who asked for it."""

from __future__ import annotations

import re
from typing import Final

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import CancelOffer, CancelReason, MuteAgent, SendDigits
from fsacd.core.events import (
    MOVES_NOBODY,
    TalkChangeAsked,
    TalkConsultAsked,
    TalkDigitsAsked,
    TalkTransferAsked,
    TalkVerb,
    TalkWish,
    TransferTo,
)
from fsacd.core.life import asking, changes, gathering, shaping, thirds, transferring
from fsacd.core.life.world import World
from fsacd.core.shape import SHAPE_MOVES, Pair, Shape, TalkShape

_WANTED: Final[dict[TalkVerb, Shape]] = {
    TalkVerb.HOLD: Shape.HELD,
    TalkVerb.RESUME: Shape.TOGETHER,
    TalkVerb.CANCEL: Shape.TOGETHER,
    TalkVerb.COMPLETE: Shape.HANDED_OVER,
    TalkVerb.THREE_WAY: Shape.THREE_WAY,
    TalkVerb.LEAVE: Shape.HANDED_OVER,
    TalkVerb.DROP: Shape.TOGETHER,
}
# The digits that one wish may send: those of a phone, and pauses of half a second (w) and a second (W).
DIGITS: Final = re.compile(r"(?=.*[0-9A-D*#])[0-9A-D*#wW]{1,64}")
_TOO_SOON: Final = "the talk has just begun; try again in a moment"
_CHANGING: Final = "the talk is being changed; try again in a moment"
_SAID: Final[dict[Shape, str]] = {
    Shape.TOGETHER: "caller and agent talk",
    Shape.HELD: "the caller is on hold",
    Shape.CALLING: "the third party has not answered yet",
    Shape.CONSULTING: "the agent talks with the third party",
    Shape.SWAPPED: "the third party is on hold",
    Shape.THREE_WAY: "all three talk",
    Shape.HANDED_OVER: "the caller is being handed over",
}


def asked(world: World, event: TalkWish) -> str | None:
    """A wish about a talk. Gives why it is refused, if it is."""
    offer = world.offers.get(event.offer_id)
    if offer is None or not isinstance(offer.state, o.OfferTalking) or offer.number:
        return f"there is no talk {event.offer_id}"
    if offer.agent_id != event.agent_id:
        return f"talk {event.offer_id} is not that of agent {event.agent_id}"
    call = world.calls[offer.call_id]
    assert isinstance(call.state, c.Talking)
    shape = world.shapes.get(offer.offer_id) or TalkShape(since_ms=call.state.since_ms, untouched=True)
    if isinstance(event, TalkDigitsAsked) or (isinstance(event, TalkChangeAsked) and event.verb in MOVES_NOBODY):
        refused = _cannot_reach(world, call, offer) or _unmoved(world, call, offer, shape, event)
    else:
        refused = _cannot_change(world, call, shape) or _moved(world, call, offer, shape, event)
    if refused is None:
        detail = offer.agent_id
        if isinstance(event, TalkDigitsAsked):
            # How many, and never which: they may be a card's number.
            detail += f", {event.count} digit{'' if event.count == 1 else 's'}"
        changes.record(world, _done(event), call.call_id, detail, event.by)
    return refused


def mute_again(world: World, switch: str) -> None:
    """The link to the switch is back: of the orders to mute or unmute the last may have been lost with it."""
    for talk_id, shape in world.shapes.items():
        offer = world.offers[talk_id]
        if shape.silenced and offer.switch == switch:
            world.command(MuteAgent(talk_id, switch, offer.agents_leg, shape.muted))


def _done(event: TalkWish) -> str:
    """What was done, as it stands in `changes`."""
    match event:
        case TalkChangeAsked(verb=verb):
            return f"talk_{verb}".replace("-", "_")
        case TalkConsultAsked():
            return "talk_consult"
        case TalkTransferAsked():
            return "talk_transfer"
        case TalkDigitsAsked():
            return "talk_dtmf"


def _moved(
    world: World,
    call: c.Call,
    offer: o.Offer,
    shape: TalkShape,
    event: TalkChangeAsked | TalkConsultAsked | TalkTransferAsked,
) -> str | None:
    """The wishes after which others hear each other than before."""
    match event:
        case TalkChangeAsked(verb=verb):
            return _change(world, offer, shape, verb)
        case TalkConsultAsked():
            return _consult(world, call, offer, shape, event)
        case TalkTransferAsked():
            return transferring.transfer(world, call, offer, shape, event)


def _unmoved(
    world: World, call: c.Call, offer: o.Offer, shape: TalkShape, event: TalkChangeAsked | TalkDigitsAsked
) -> str | None:
    """The wishes that leave everybody with whom they are bridged, or end the agent's leg."""
    if isinstance(event, TalkChangeAsked) and event.verb is TalkVerb.HANG_UP:
        # Also while the talk is being changed: what becomes of whoever is left is decided when the leg has ended.
        legs = (offer.leg,) if offer.leg else ()
        offer.hangs_up = True
        world.command(CancelOffer(offer.offer_id, offer.switch, CancelReason.TALK_OVER, legs))
        return None
    if shape.wanted is not None:
        return _CHANGING
    if isinstance(event, TalkDigitsAsked):
        return _send(world, call, offer, shape, event)
    if shape.untouched and not shape.silenced and (call.leg is None or call.talks_on_another_leg):
        return "the caller was transferred to somebody else's call, and nothing of it is ours to change"
    # Asked for again, it is ordered again: whoever did so first may have been another daemon, which forgot.
    shape.muted, shape.silenced = event.verb is TalkVerb.MUTE, True
    world.shapes[offer.offer_id] = shape
    world.refresh(call)
    world.command(MuteAgent(offer.offer_id, offer.switch, offer.agents_leg, shape.muted))
    return None


def _send(world: World, call: c.Call, offer: o.Offer, shape: TalkShape, event: TalkDigitsAsked) -> str | None:
    # A journal holds no digits, and what is replayed is sent to nobody.
    if event.digits and not DIGITS.fullmatch(event.digits):
        return "digits are 1 to 64 of 0-9, A-D, * and #, and the pauses w and W"
    legs = []
    if shape.pair in (Pair.CALLER_AGENT, Pair.ALL) and not shape.caller_gone:
        if call.leg is None or call.talks_on_another_leg:
            return "the caller was transferred to somebody else's call and has no leg to send digits to"
        legs.append(call.leg.uuid)
    if shape.pair in (Pair.AGENT_THIRD, Pair.ALL) and shape.third is not None:
        legs.append(shape.third.agents_leg)
    if not legs:
        return f"nobody would hear the digits: {_SAID[shape.shape]}"
    world.command(SendDigits(offer.offer_id, offer.switch, tuple(legs), event.digits))
    return None


def _cannot_reach(world: World, call: c.Call, offer: o.Offer) -> str | None:
    if not world.switches.get(offer.switch, False):
        return f"switch {offer.switch} cannot be reached now"
    if call.confirmed_ms is None and call.leg is not None and not call.talks_on_another_leg:
        # An agent's leg that ends now is taken for a bridge that broke, and the caller would wait again.
        return _TOO_SOON
    return None


def _cannot_change(world: World, call: c.Call, shape: TalkShape) -> str | None:
    if shape.caller_gone:
        return "the caller has hung up"
    if call.leg is None or call.talks_on_another_leg:
        return "the caller was transferred to somebody else's call and has no leg to hold"
    if not world.may_offer(call):
        return f"switch {call.switch} cannot be reached now"
    if call.confirmed_ms is None:
        return _TOO_SOON
    if shape.wanted is not None:
        return _CHANGING
    return None


def _change(world: World, offer: o.Offer, shape: TalkShape, verb: TalkVerb) -> str | None:
    wanted = _WANTED.get(verb)
    if wanted is None:  # a swap
        wanted = Shape.SWAPPED if shape.shape is Shape.CONSULTING else Shape.CONSULTING
        fits = shape.shape in (Shape.CONSULTING, Shape.SWAPPED)
    else:
        with_third = shape.third is not None or shape.asks is not None
        fits = wanted in SHAPE_MOVES[shape.shape]
        fits = fits and (wanted is not Shape.TOGETHER or with_third == (verb is not TalkVerb.RESUME))
        fits = fits and (shape.shape is Shape.THREE_WAY or verb not in gathering.ONLY_OF_THREE)
    if not fits:
        what = "nobody to join in" if verb is TalkVerb.THREE_WAY else f"nothing to {verb}"
        return f"there is {what}: {_SAID[shape.shape]}"
    shaping.want(world, offer, shape, wanted)
    return None


def _consult(world: World, call: c.Call, offer: o.Offer, shape: TalkShape, event: TalkConsultAsked) -> str | None:
    if Shape.CALLING not in SHAPE_MOVES[shape.shape]:
        return f"a talk has one third party: {_SAID[shape.shape]}"
    whom = event.colleague
    if event.kind is TransferTo.NUMBER:
        if (refused := transferring.why_no_number(whom)) is not None:
            return refused
        shape.third = thirds.ring_number(world, call, offer, whom)
    elif event.kind is TransferTo.QUEUE:
        if (refused := asking.why_not(world, whom, offer.agent_id)) is not None:
            return refused
        asking.begin(world, call, offer.offer_id, shape, whom)
    else:
        if (refused := thirds.why_not(world, call, whom, offer.agent_id)) is not None:
            return refused
        shape.third = thirds.ring(world, call, offer, whom)
    shape.consults += 1
    shaping.want(world, offer, shape, Shape.CALLING)
    return None
