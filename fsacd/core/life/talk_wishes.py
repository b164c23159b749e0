"""What an agent asks for in a talk. A refusal says why; what is done is recorded with who asked for it."""

from __future__ import annotations

from typing import Final, assert_never

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.events import TalkChangeAsked, TalkConsultAsked, TalkTransferAsked, TalkVerb, TalkWish
from fsacd.core.life import changes, gathering, shaping, thirds, transferring
from fsacd.core.life.world import World
from fsacd.core.shape import SHAPE_MOVES, Shape, TalkShape

_WANTED: Final[dict[TalkVerb, Shape]] = {
    TalkVerb.HOLD: Shape.HELD,
    TalkVerb.RESUME: Shape.TOGETHER,
    TalkVerb.CANCEL: Shape.TOGETHER,
    TalkVerb.COMPLETE: Shape.HANDED_OVER,
    TalkVerb.THREE_WAY: Shape.THREE_WAY,
    TalkVerb.LEAVE: Shape.HANDED_OVER,
    TalkVerb.DROP: Shape.TOGETHER,
}
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
    if offer is None or not isinstance(offer.state, o.OfferTalking):
        return f"there is no talk {event.offer_id}"
    if offer.agent_id != event.agent_id:
        return f"talk {event.offer_id} is not that of agent {event.agent_id}"
    call = world.calls[offer.call_id]
    assert isinstance(call.state, c.Talking)
    shape = world.shapes.get(offer.offer_id) or TalkShape(since_ms=call.state.since_ms)
    refused = _cannot_change(world, call, shape)
    if refused is None:
        match event:
            case TalkChangeAsked(verb=verb):
                refused = _change(world, offer, shape, verb)
                done = f"talk_{verb}".replace("-", "_")
            case TalkConsultAsked():
                refused = _consult(world, call, offer, shape, event)
                done = "talk_consult"
            case TalkTransferAsked():
                refused = transferring.transfer(world, call, offer, shape, event)
                done = "talk_transfer"
            case _:
                assert_never(event)
    if refused is None:
        changes.record(world, done, call.call_id, offer.agent_id, event.by)
    return refused


def _cannot_change(world: World, call: c.Call, shape: TalkShape) -> str | None:
    if shape.caller_gone:
        return "the caller has hung up"
    if call.leg is None or call.talks_on_another_leg:
        return "the caller was transferred to somebody else's call and has no leg to hold"
    if not world.may_offer(call):
        return f"switch {call.switch} cannot be reached now"
    if call.confirmed_ms is None:
        return "the talk has just begun; try again in a moment"
    if shape.wanted is not None:
        return "the talk is being changed; try again in a moment"
    return None


def _change(world: World, offer: o.Offer, shape: TalkShape, verb: TalkVerb) -> str | None:
    wanted = _WANTED.get(verb)
    if wanted is None:  # a swap
        wanted = Shape.SWAPPED if shape.shape is Shape.CONSULTING else Shape.CONSULTING
        fits = shape.shape in (Shape.CONSULTING, Shape.SWAPPED)
    else:
        with_third = shape.third is not None
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
    refused = thirds.why_not(world, call, event.colleague, offer.agent_id)
    if refused is None:
        shape.third = thirds.ring(world, call, offer, event.colleague)
        shape.consults += 1
        shaping.want(world, offer, shape, Shape.CALLING)
    return refused
