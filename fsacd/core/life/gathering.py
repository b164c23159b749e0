"""Three in a talk: caller, agent and third party in a room of the switch, and what becomes of two of them.

No event tells who is in the room, for one that is lost would leave a talk unfinished: soon after all were sent there,
the switch is asked for each leg, again and again at growing distances. In the room nobody hangs up on the others. Who
leaves it is bridged with whom they go on with; so is the caller with the third party when the agent's leg has ended.
"""

from __future__ import annotations

from typing import Final

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import Gather
from fsacd.core.events import OfferEnd, TalkVerb
from fsacd.core.life import connecting, offers, phone_hold, thirds, transferring, visits, withdrawing
from fsacd.core.life.told import told_ms
from fsacd.core.life.world import World
from fsacd.core.records import OfferOutcome, TalkEnd, TransferKind
from fsacd.core.shape import Pair, Shape, TalkShape, room_of

# These mean what two others do, and only in a talk of three.
ONLY_OF_THREE: Final = frozenset({TalkVerb.LEAVE, TalkVerb.DROP})
# When the switch is asked first whether all are in the room, and how often before they are sent there again: each time
# after twice as long.
_LOOK_MS: Final = 200
_LOOKS: Final = 3


def order(world: World, offer: o.Offer, shape: TalkShape, third: o.Offer) -> Gather:
    """The order that brings all three into the talk's room, from wherever they are."""
    call = world.calls[offer.call_id]
    assert call.leg is not None
    shape.looks, shape.inside = 0, ()
    with_agent = {Pair.CALLER_AGENT: call.leg.uuid, Pair.AGENT_THIRD: third.agents_leg}.get(shape.pair)
    alone = tuple(leg for leg in (call.leg.uuid, third.agents_leg) if leg != with_agent)
    room = room_of(offer.offer_id)
    return Gather(offer.offer_id, call.call_id, call.leg, offer.agents_leg, third.agents_leg, room, alone)


def look_after_ms(shape: TalkShape) -> int:
    """How long to wait until the switch is asked again."""
    return _LOOK_MS << shape.looks


def looks_again(shape: TalkShape) -> bool:
    """Whether the switch is to be asked once more before all are sent into the room again."""
    return shape.wanted is Shape.THREE_WAY and shape.looks < _LOOKS


def are_all_inside(world: World, offer: o.Offer, shape: TalkShape, leg: str) -> bool:
    """This leg is in the room. Whether the other two are, too."""
    call, third = world.calls[offer.call_id], shape.third
    if leg not in shape.inside:
        shape.inside = (*shape.inside, leg)
    if third is None or call.leg is None or shape.caller_gone:
        return False
    return {call.leg.uuid, offer.agents_leg, third.agents_leg} <= set(shape.inside)


def scatter(world: World, shape: TalkShape) -> None:
    """They may be on the way into the room, or in it: nobody is known to be bridged with anybody."""
    if shape.wanted is Shape.THREE_WAY and shape.pair is not Pair.ALL:
        shape.pair = Pair.NOBODY
        phone_hold.count(world, shape)


def talk_on_without_agent(shape: TalkShape | None) -> bool:
    """Whether caller and third party go on when the agent's leg ends."""
    if shape is None or shape.pair is not Pair.ALL or shape.third is None or shape.caller_gone:
        return False
    return shape.wanted is not Shape.TOGETHER  # the third party is about to go


def agent_gone(world: World, offer: o.Offer, end: OfferEnd) -> o.Offer:
    """The agent's leg has ended in the room: the talk of caller and third party begins. Gives the third party's."""
    third = _part(world, world.calls[offer.call_id], world.shapes[offer.offer_id])
    offers.over(world, offer, end)
    lost = end is OfferEnd.CONNECTION_LOST
    ended_by, kind = TalkEnd.CONNECTION_LOST if lost else TalkEnd.TRANSFER, TransferKind.CONFERENCE
    to = third.agent_id or transferring.A_NUMBER
    withdrawing.write(world, offer, OfferOutcome.ANSWERED, "talk", None, ended_by, to, kind)
    if third.number:
        transferring.left_with(world, third)
    else:
        connecting.connected(world, third, told_ms(world), handed_over=True)
    return third


def hand_over(world: World, offer: o.Offer, shape: TalkShape, kind: TransferKind) -> None:
    """The caller is with the third party: the agent's talk is over, and that of a colleague begins."""
    call, number = world.calls[offer.call_id], shape.third
    if number is not None and number.number:
        shape.third = None
        thirds.let_go(world, number)
        transferring.handed_over(world, call, offer, number.number, kind)
        return
    third = _part(world, call, shape)
    offers.talk_over(world, offer.offer_id, TalkEnd.TRANSFER, third.agent_id, kind)
    connecting.connected(world, third, told_ms(world), handed_over=True)
    phone_hold.begin(world, third)


def _part(world: World, call: c.Call, shape: TalkShape) -> o.Offer:
    """Caller and third party go on without the agent, whose talk must be ended next."""
    third = shape.third
    assert third is not None
    assert isinstance(call.state, c.Talking)
    shape.third = None
    visits.handed_over(call)
    thirds.become_the_talk(world, third)
    call.talked_ms += world.now_ms - call.state.since_ms
    world.move_call(call, c.WAITING)
    return third
