"""What becomes of a talk that is held, or into which a third party comes: `core.shape` says what there is.

A wish (`talk_wishes`) sets what is wanted, a fact says who is bridged, and `_go_on` orders the step from one to the
other. Each step has a deadline: it is ordered again, and then given up. A caller whom nobody can be bridged with goes
back to the head of their queue, with the time that they have.
"""

from __future__ import annotations

from typing import Final

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import (
    AskBridged,
    CancelReason,
    HandOver,
    HoldCaller,
    HoldThird,
    JoinThird,
    Rejoin,
    SendCall,
    TalkCommand,
)
from fsacd.core.events import OfferEnd
from fsacd.core.life import (
    absence,
    asking,
    connecting,
    ending,
    gathering,
    next_asked,
    offers,
    overflow,
    phone_hold,
    thirds,
    transferring,
    visits,
)
from fsacd.core.life.world import World
from fsacd.core.records import CallOutcome, TalkEnd, TransferKind
from fsacd.core.shape import CALLER_HELD, PAIR_OF, SHAPE_MOVES, Pair, Shape, TalkShape, room_of
from fsacd.core.visit import HowIn, VisitOutcome

# How long a step may take before it is ordered again, and how often it is ordered. A busy switch takes up to a second
# for what takes 50 ms otherwise.
_STEP_MS: Final = 2_000
_TRIES: Final = 3
TIMER: Final = "talk"
# In these, caller and agent are not alone with each other.
_APART: Final = CALLER_HELD | {Shape.THREE_WAY, Shape.HANDED_OVER}
# Why a visit ended whose caller was on hold when the agent went: the next begins in the same queue.
AGENT_GONE: Final = "agent_gone"
# The same where the agent's phone fell silent, on hold or not.
CONNECTION_LOST: Final = "connection_lost"
QUEUE_REMOVED: Final = "queue_removed"
# These take the caller out of the music, or from who they were with.
_WITH_CALLER: Final = frozenset({Shape.TOGETHER, Shape.SWAPPED, Shape.HANDED_OVER})


# --- facts ---


def parked(world: World, offer: o.Offer) -> None:
    """The agent's leg is alone. Ordinary while the caller is put on hold, and when the third party has gone."""
    shape = world.shapes.get(offer.offer_id)
    if shape is None or shape.untouched:
        return  # a phone that has given the caller away leaves its leg alone for a moment
    if shape.pair in (Pair.CALLER_AGENT, Pair.AGENT_THIRD, Pair.ALL):
        _paired(world, offer, shape, Pair.NOBODY)


def joined(world: World, offer: o.Offer, pair: Pair) -> None:
    """Two legs of the talk are bridged. Nothing new for a talk that nobody has changed."""
    shape = world.shapes.get(offer.offer_id)
    if shape is not None and shape.pair is not pair:
        _paired(world, offer, shape, pair)


def in_room(world: World, offer_id: str, leg: str) -> None:
    """This leg of the talk is in its room. When all three are, they talk with each other."""
    offer, shape = world.offers.get(offer_id), world.shapes.get(offer_id)
    if offer is not None and shape is not None and gathering.are_all_inside(world, offer, shape, leg):
        joined(world, offer, Pair.ALL)


def two_left(world: World, third: o.Offer, *, ordered: bool) -> None:
    """The agent's leg has ended in the room: caller and third party, whose talk it is now, are bridged out of it.

    `ordered`: they may be bridged already.
    """
    shape = TalkShape(since_ms=world.now_ms, pair=Pair.ALL)
    if not ordered:
        want(world, third, shape, Shape.TOGETHER)
        return
    world.shapes[third.offer_id] = shape
    shape.wanted = Shape.TOGETHER
    world.refresh(world.calls[third.call_id])
    _ask(world, third, shape)


def third_answered(world: World, offer: o.Offer) -> None:
    """The third party's leg is answered and parked. Told again when it is left alone, which changes nothing."""
    shape = world.shapes[offer.offer_id]
    third = shape.third
    if third is None or third.answered_ms is not None:
        return
    third.answered_ms = world.now_ms
    thirds.answered(world, third)
    if shape.wanted is None or shape.wanted is Shape.CALLING:
        want(world, offer, shape, Shape.CONSULTING)


def third_ended(world: World, offer: o.Offer, end: OfferEnd) -> None:
    """The third party's leg is gone, or was never made: the agent goes back to the caller, or asks the next."""
    shape = world.shapes[offer.offer_id]
    assert shape.third is not None
    if shape.asks is not None:
        next_asked.after_end(world, offer, shape, end)
        return
    thirds.ended(world, shape.third, end)
    shape.third = None
    world.refresh(world.calls[offer.call_id])
    if shape.caller_gone:
        _end_without_caller(world, offer)
    elif shape.shape is not Shape.TOGETHER or shape.wanted is not None:
        gathering.scatter(world, shape)
        want(world, offer, shape, Shape.TOGETHER)


def cancel(world: World, offer: o.Offer) -> None:
    """The third party goes, and the agent talks with the caller, or the queue's next is rung."""
    shape = world.shapes[offer.offer_id]
    if shape.asks is not None:
        next_asked.instead(world, offer, shape, CancelReason.WITHDRAWN)
    else:
        want(world, offer, shape, Shape.TOGETHER)


def deadline(world: World, offer_id: str) -> None:
    """A step has not come about in time, or the third party has rung for long enough."""
    offer, shape = world.offers[offer_id], world.shapes[offer_id]
    if shape.wanted is None:
        if shape.asks is None or not next_asked.after_deadline(world, offer, shape, shape.asks):
            want(world, offer, shape, Shape.TOGETHER)  # nobody has answered
    elif not world.switches.get(offer.switch, False):
        # Nothing can be ordered, and no event comes.
        world.timers.set(TIMER, offer_id, absence.until_ms(world, offer.switch))
    elif not shape.asked or gathering.looks_again(shape):
        _ask(world, offer, shape)
    elif shape.tries < _TRIES:
        _go_on(world, offer, shape, again=True)
    elif shape.caller_gone:
        _end_without_caller(world, offer)
    elif shape.wanted is not Shape.TOGETHER:
        hint = " (is mod_conference loaded, with the profile desk?)" if shape.wanted is Shape.THREE_WAY else ""
        world.anomaly("talk_step", f"talk {offer_id} did not become {shape.wanted} in time{hint}")
        gathering.scatter(world, shape)
        shape.ordered = "nothing"  # what was ordered has not come about, and may be what leads back, too
        want(world, offer, shape, Shape.TOGETHER)
    else:
        world.anomaly("talk_step", f"caller and agent of talk {offer_id} could not be bridged again")
        call = world.calls[offer.call_id]
        offers.talk_over(world, offer_id, TalkEnd.LOST)
        back_to_queue(world, call)


# --- ends ---


def back_to_queue(world: World, call: c.Call, why: str = AGENT_GONE) -> None:
    """The caller hears music, and the agent's part is over: they go back to the head of their queue."""
    assert call.leg is not None
    world.command(SendCall(call.call_id, call.leg, world.rules.back))
    _wait_again(world, call, why)


def _end_without_caller(world: World, offer: o.Offer) -> None:
    """The caller has hung up before, and now the agent has nobody left to talk with: their leg is ended, too."""
    call = world.calls[offer.call_id]
    assert isinstance(call.state, c.Talking)
    call.talked_ms += world.now_ms - call.state.since_ms
    offers.talk_over(world, offer.offer_id, TalkEnd.CALLER)
    ending.end(world, call, CallOutcome.ANSWERED, "caller_hung_up")


def _wait_again(world: World, call: c.Call, why: str = AGENT_GONE) -> None:
    assert isinstance(call.state, c.Talking)
    visits.leave_for(world, call, call.queue, VisitOutcome.ANSWERED, why)
    call.talked_ms += world.now_ms - call.state.since_ms
    call.confirmed_ms = None
    _next_visit(world, call)


def next_is_gone(world: World, call: c.Call) -> None:
    """The caller was handed over to somebody with whom they did not talk: they wait again, in their next visit.

    The one before has been answered, by whoever has handed them over.
    """
    visits.leave_for(world, call, call.queue, VisitOutcome.ANSWERED, AGENT_GONE)
    _next_visit(world, call)


def _next_visit(world: World, call: c.Call) -> None:
    # The talk does not count towards the maximum wait.
    call.answered_after_ms, call.joined_ms = None, world.now_ms
    world.move_call(call, c.WAITING)
    visits.go_on(world, call, HowIn.REQUEUED)
    world.set_reach(call)
    world.note_call(call)
    if call.queue in world.retired:
        overflow.send_on(world, call, world.rules.when_queue_removed or world.rules.fallback, QUEUE_REMOVED)
        return
    overflow.arm(world, call)
    if (reason := overflow.must_leave(world, call)) is not None:
        overflow.send_on(world, call, *reason)


def is_apart(shape: TalkShape | None) -> bool:
    """Whether caller and agent are not bridged, or are about to be parted, so that one's end is not the other's."""
    if shape is None:
        return False
    return shape.pair is not Pair.CALLER_AGENT or shape.wanted in _APART


def returned(world: World, call: c.Call, offer_id: str) -> bool:
    """The caller is in the music of their queue: whether because a bridge was not made.

    Then it is ordered again, for who it was with may have gone while the agent is there; else they wait again.
    """
    shape = world.shapes.get(offer_id)
    if shape is None or shape.pair is Pair.CALLER_AGENT:
        return False
    if shape.wanted in _WITH_CALLER and shape.tries < _TRIES:
        _go_on(world, world.offers[offer_id], shape, again=True)
        return True
    offers.talk_over(world, offer_id, TalkEnd.LOST)
    _wait_again(world, call)
    return True


def caller_gone(world: World, call: c.Call, offer_id: str) -> bool:
    """The caller's leg has ended. Whether agent and third party talk on, and the call with them."""
    shape = world.shapes.get(offer_id)
    if shape is None or shape.third is None or shape.pair not in (Pair.AGENT_THIRD, Pair.ALL):
        return False
    if shape.wanted not in (None, Shape.CONSULTING, Shape.THREE_WAY):
        return False  # the switch may have parted agent and third party already, for a caller who is gone now
    shape.caller_gone = call.talks_on_another_leg = True
    phone_hold.count(world, shape)
    _reach(world, world.offers[offer_id], shape, Shape.CONSULTING)
    return True


# --- from what is to what is wanted ---


def want(world: World, offer: o.Offer, shape: TalkShape, wanted: Shape) -> None:
    """Bring the talk into this shape, from whatever is now."""
    world.shapes[offer.offer_id] = shape
    if wanted is not Shape.CALLING:
        asking.stop(world, shape)
    if shape.wanted is None:
        shape.ordered = "nothing"  # else the step that is on its way may be the right one, and is not ordered twice
    shape.wanted, shape.tries, shape.untouched = wanted, 0, False
    phone_hold.count(world, shape)
    world.refresh(world.calls[offer.call_id])
    _go_on(world, offer, shape)


def _paired(world: World, offer: o.Offer, shape: TalkShape, pair: Pair) -> None:
    shape.pair, shape.inside = pair, ()
    phone_hold.count(world, shape)
    if shape.wanted is not None:
        _go_on(world, offer, shape)
    elif pair is not PAIR_OF[shape.shape]:
        # Nobody asked for it: the third party's end is about to be told, somebody else has moved a leg, or a busy
        # switch tells late of what was ordered twice. To order at once what stands already would break it.
        shape.wanted, shape.tries = shape.shape, 0
        world.refresh(world.calls[offer.call_id])
        _ask(world, offer, shape)


def _ask(world: World, offer: o.Offer, shape: TalkShape) -> None:
    """Ask the switch who are bridged before anything is ordered again."""
    call, third = world.calls[offer.call_id], shape.third
    callers_leg = call.leg.uuid if call.leg is not None else ""
    third_leg = third.agents_leg if third is not None else ""
    shape.asked = True
    after_ms, room = _STEP_MS, ""
    if shape.wanted is Shape.THREE_WAY:
        shape.looks += 1
        after_ms, room = gathering.look_after_ms(shape), room_of(offer.offer_id)
    world.timers.set(TIMER, offer.offer_id, world.now_ms + after_ms)
    world.command(AskBridged(offer.offer_id, offer.switch, offer.agents_leg, callers_leg, third_leg, room))


def _go_on(world: World, offer: o.Offer, shape: TalkShape, *, again: bool = False) -> None:
    """Order the next step towards what is wanted, or note that it is reached.

    `again`: also if it is the step that was ordered last.
    """
    assert shape.wanted is not None
    if shape.pair is PAIR_OF[shape.wanted]:
        _reach(world, offer, shape, shape.wanted)
        return
    step = _step(world, offer, shape, shape.wanted)
    name = type(step).__name__ if step is not None else ""
    if name == shape.ordered and not again:
        # On the way to it the agent's leg may be alone for a moment; ordered twice, it would break what it has made.
        return
    shape.ordered, shape.asked = name, False
    shape.tries += 1
    after_ms = gathering.look_after_ms(shape) if shape.wanted is Shape.THREE_WAY else _STEP_MS
    world.timers.set(TIMER, offer.offer_id, world.now_ms + after_ms)
    if step is not None:
        world.command(step)


def _step(world: World, offer: o.Offer, shape: TalkShape, wanted: Shape) -> TalkCommand | None:
    """The order that leads on from the pair of now; None if nothing but waiting does."""
    third, call, agents_leg = shape.third, world.calls[offer.call_id], offer.agents_leg
    assert call.leg is not None
    match wanted, shape.pair:
        case ((Shape.HELD | Shape.CALLING | Shape.CONSULTING), Pair.CALLER_AGENT):
            return HoldCaller(offer.offer_id, call.call_id, call.leg, agents_leg)
        case Shape.TOGETHER, Pair.AGENT_THIRD if third is None:
            return None  # the agent's leg is about to be parked
        case (Shape.TOGETHER, _) | (Shape.SWAPPED, Pair.NOBODY):
            return Rejoin(offer.offer_id, call.call_id, call.leg, agents_leg)
        case Shape.CONSULTING, _ if third is not None:
            return JoinThird(offer.offer_id, offer.switch, agents_leg, third.agents_leg)
        case Shape.SWAPPED, _ if third is not None:
            return HoldThird(offer.offer_id, offer.switch, agents_leg, third.agents_leg)
        case Shape.THREE_WAY, _ if third is not None:
            return gathering.order(world, offer, shape, third)
        case Shape.HANDED_OVER, pair if third is not None:
            # The end of the agent's leg would be taken for the talk's, and told before the new bridge is.
            outlives = agents_leg if pair is Pair.CALLER_AGENT else ""
            return HandOver(offer.offer_id, call.call_id, call.leg, third.agents_leg, outlives)
        case _:
            return None  # the third party's end has set what is wanted to together, or a step before is on its way


def _reach(world: World, offer: o.Offer, shape: TalkShape, reached: Shape) -> None:
    kind = TransferKind.CONFERENCE if shape.shape is Shape.THREE_WAY else TransferKind.ATTENDED
    if reached is not shape.shape:
        assert reached in SHAPE_MOVES[shape.shape], f"talk {shape.shape} -> {reached}"
        shape.shape, shape.since_ms = reached, world.now_ms
    shape.wanted, shape.tries, shape.asked = None, 0, False
    world.timers.clear(TIMER, offer.offer_id)
    world.refresh(world.calls[offer.call_id])
    third, call = shape.third, world.calls[offer.call_id]
    if offer.number:
        transferring.out_of_sight(world, call, offer)
        return
    if reached in (Shape.TOGETHER, Shape.SWAPPED) and call.leg is not None:
        # They were armed for the bridge; from now on they are released after the talk.
        connecting.confirm(world, call, offer)
    match reached:
        case Shape.TOGETHER if third is not None:
            shape.third = None
            thirds.end(world, third)
        case Shape.CALLING if third is not None and third.answered_ms is not None:
            want(world, offer, shape, Shape.CONSULTING)
        case Shape.CALLING if shape.asks is not None:
            world.timers.set(TIMER, offer.offer_id, asking.ends_ms(world, shape.asks, third))
        case Shape.CALLING if third is not None:
            world.timers.set(TIMER, offer.offer_id, max(world.now_ms, third.started_ms + thirds.RING_MS))
        case Shape.HANDED_OVER:
            gathering.hand_over(world, offer, shape, kind)
        case _:
            pass
