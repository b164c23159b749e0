"""What becomes of a talk that is held, or into which a third party comes: `core.shape` says what there is.

A wish sets what is wanted, a fact says who is bridged, and `_go_on` orders the step from one to the other. Each step
has a deadline: it is ordered again, and then given up. A caller whom nobody can be bridged with goes back to the head
of their queue, with the time that they have.
"""

from __future__ import annotations

from typing import Final, assert_never

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import (
    AskBridged,
    ConfirmTalk,
    HandOver,
    HoldCaller,
    HoldThird,
    JoinThird,
    Rejoin,
    SendCall,
    TalkCommand,
)
from fsacd.core.events import TalkChangeAsked, TalkConsultAsked, TalkTransferAsked, TalkVerb, TalkWish
from fsacd.core.life import absence, changes, connecting, ending, offers, overflow, thirds, transferring, visits
from fsacd.core.life.world import World
from fsacd.core.records import CallOutcome, TalkEnd, TransferKind
from fsacd.core.shape import CALLER_HELD, PAIR_OF, SHAPE_MOVES, Pair, Shape, TalkShape
from fsacd.core.visit import HowIn, VisitOutcome

# How long a step may take before it is ordered again, and how often it is ordered. A busy switch takes up to a second
# for what takes 50 ms otherwise.
_STEP_MS: Final = 2_000
_TRIES: Final = 3
TIMER: Final = "talk"
# Why a visit ended whose caller was on hold when the agent went: the next begins in the same queue.
AGENT_GONE: Final = "agent_gone"
QUEUE_REMOVED: Final = "queue_removed"

_WANTED: Final[dict[TalkVerb, Shape]] = {
    TalkVerb.HOLD: Shape.HELD,
    TalkVerb.RESUME: Shape.TOGETHER,
    TalkVerb.CANCEL: Shape.TOGETHER,
    TalkVerb.COMPLETE: Shape.HANDED_OVER,
}
_SAID: Final[dict[Shape, str]] = {
    Shape.TOGETHER: "caller and agent talk",
    Shape.HELD: "the caller is on hold",
    Shape.CALLING: "the third party has not answered yet",
    Shape.CONSULTING: "the agent talks with the third party",
    Shape.SWAPPED: "the third party is on hold",
    Shape.HANDED_OVER: "the caller is being handed over",
}


# --- wishes ---


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
                done = f"talk_{verb}"
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
        fits = fits and (wanted is not Shape.TOGETHER or with_third == (verb is TalkVerb.CANCEL))
    if not fits:
        return f"there is nothing to {verb}: {_SAID[shape.shape]}"
    _want(world, offer, shape, wanted)
    return None


def _consult(world: World, call: c.Call, offer: o.Offer, shape: TalkShape, event: TalkConsultAsked) -> str | None:
    if Shape.CALLING not in SHAPE_MOVES[shape.shape]:
        return f"a talk has one third party: {_SAID[shape.shape]}"
    refused = thirds.why_not(world, call, event.colleague, offer.agent_id)
    if refused is None:
        shape.third = thirds.ring(world, call, offer, event.colleague)
        shape.consults += 1
        _want(world, offer, shape, Shape.CALLING)
    return refused


# --- facts ---


def parked(world: World, offer: o.Offer) -> None:
    """The agent's leg is alone. Ordinary while the caller is put on hold, and when the third party has gone."""
    shape = world.shapes.get(offer.offer_id)
    if shape is not None and shape.pair in (Pair.CALLER_AGENT, Pair.AGENT_THIRD):
        _paired(world, offer, shape, Pair.NOBODY)


def joined(world: World, offer: o.Offer, pair: Pair) -> None:
    """Two legs of the talk are bridged. Nothing new for a talk that nobody has changed."""
    shape = world.shapes.get(offer.offer_id)
    if shape is not None and shape.pair is not pair:
        _paired(world, offer, shape, pair)


def third_answered(world: World, offer: o.Offer) -> None:
    """The third party's leg is answered and parked. Told again when it is left alone, which changes nothing."""
    shape = world.shapes[offer.offer_id]
    third = shape.third
    if third is None or third.answered_ms is not None:
        return
    third.answered_ms = world.now_ms
    thirds.answered(world, third)
    if shape.wanted is None or shape.wanted is Shape.CALLING:
        _want(world, offer, shape, Shape.CONSULTING)


def third_ended(world: World, offer: o.Offer) -> None:
    """The third party's leg is gone, or was never made: the agent goes back to the caller."""
    shape = world.shapes[offer.offer_id]
    assert shape.third is not None
    thirds.ended(world, shape.third)
    shape.third = None
    world.refresh(world.calls[offer.call_id])
    if shape.caller_gone:
        _end_without_caller(world, offer)
    elif shape.shape is not Shape.TOGETHER or shape.wanted is not None:
        _want(world, offer, shape, Shape.TOGETHER)


def cancel(world: World, offer: o.Offer) -> None:
    """The third party goes, and the agent talks with the caller."""
    _want(world, offer, world.shapes[offer.offer_id], Shape.TOGETHER)


def deadline(world: World, offer_id: str) -> None:
    """A step has not come about in time, or the third party has rung for long enough."""
    offer, shape = world.offers[offer_id], world.shapes[offer_id]
    if shape.wanted is None:
        _want(world, offer, shape, Shape.TOGETHER)  # nobody has answered
    elif not world.switches.get(offer.switch, False):
        # Nothing can be ordered, and no event comes.
        world.timers.set(TIMER, offer_id, absence.until_ms(world, offer.switch))
    elif not shape.asked:
        _ask(world, offer, shape)
    elif shape.tries < _TRIES:
        _go_on(world, offer, shape, again=True)
    elif shape.caller_gone:
        _end_without_caller(world, offer)
    elif shape.wanted is not Shape.TOGETHER:
        world.anomaly("talk_step", f"talk {offer_id} did not become {shape.wanted} in time")
        _want(world, offer, shape, Shape.TOGETHER)
    else:
        world.anomaly("talk_step", f"caller and agent of talk {offer_id} could not be bridged again")
        call = world.calls[offer.call_id]
        offers.talk_over(world, offer_id, TalkEnd.LOST)
        back_to_queue(world, call)


# --- ends ---


def back_to_queue(world: World, call: c.Call) -> None:
    """The caller heard music, and the agent's part is over: they go back to the head of their queue."""
    assert call.leg is not None
    world.command(SendCall(call.call_id, call.leg, world.rules.back))
    _wait_again(world, call)


def _end_without_caller(world: World, offer: o.Offer) -> None:
    """The caller has hung up before, and now the agent has nobody left to talk with: their leg is ended, too."""
    call = world.calls[offer.call_id]
    assert isinstance(call.state, c.Talking)
    call.talked_ms += world.now_ms - call.state.since_ms
    offers.talk_over(world, offer.offer_id, TalkEnd.CALLER)
    ending.end(world, call, CallOutcome.ANSWERED, "caller_hung_up")


def _wait_again(world: World, call: c.Call) -> None:
    assert isinstance(call.state, c.Talking)
    visits.leave_for(world, call, call.queue, VisitOutcome.ANSWERED, AGENT_GONE)
    call.talked_ms += world.now_ms - call.state.since_ms
    # The talk does not count towards the maximum wait.
    call.answered_after_ms, call.joined_ms, call.confirmed_ms = None, world.now_ms, None
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
    return shape is not None and (shape.pair is not Pair.CALLER_AGENT or shape.wanted in CALLER_HELD)


def returned(world: World, call: c.Call, offer_id: str) -> bool:
    """The caller is in the music of their queue: whether because a bridge was not made. Then they wait again."""
    shape = world.shapes.get(offer_id)
    if shape is None or shape.pair is Pair.CALLER_AGENT:
        return False
    offers.talk_over(world, offer_id, TalkEnd.LOST)
    _wait_again(world, call)
    return True


def caller_gone(world: World, call: c.Call, offer_id: str) -> bool:
    """The caller's leg has ended. Whether agent and third party talk on, and the call with them."""
    shape = world.shapes.get(offer_id)
    if shape is None or shape.pair is not Pair.AGENT_THIRD or shape.wanted not in (None, Shape.CONSULTING):
        return False  # the switch may have parted agent and third party already, for a caller who is gone now
    shape.caller_gone = call.talks_on_another_leg = True
    _reach(world, world.offers[offer_id], shape, Shape.CONSULTING)
    return True


# --- from what is to what is wanted ---


def _want(world: World, offer: o.Offer, shape: TalkShape, wanted: Shape) -> None:
    world.shapes[offer.offer_id] = shape
    shape.wanted, shape.tries, shape.ordered = wanted, 0, "nothing"
    world.refresh(world.calls[offer.call_id])
    _go_on(world, offer, shape)


def _paired(world: World, offer: o.Offer, shape: TalkShape, pair: Pair) -> None:
    shape.pair = pair
    _count_hold(world, shape)
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
    world.timers.set(TIMER, offer.offer_id, world.now_ms + _STEP_MS)
    world.command(AskBridged(offer.offer_id, offer.switch, offer.agents_leg, callers_leg, third_leg))


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
    world.timers.set(TIMER, offer.offer_id, world.now_ms + _STEP_MS)
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
        case Shape.HANDED_OVER, _ if third is not None:
            return HandOver(offer.offer_id, call.call_id, call.leg, third.agents_leg)
        case _:
            return None  # the third party's end has set what is wanted to together, or a step before is on its way


def _reach(world: World, offer: o.Offer, shape: TalkShape, reached: Shape) -> None:
    if reached is not shape.shape:
        assert reached in SHAPE_MOVES[shape.shape], f"talk {shape.shape} -> {reached}"
        shape.shape, shape.since_ms = reached, world.now_ms
    shape.wanted, shape.tries, shape.asked = None, 0, False
    world.timers.clear(TIMER, offer.offer_id)
    world.refresh(world.calls[offer.call_id])
    third, call = shape.third, world.calls[offer.call_id]
    if reached in (Shape.TOGETHER, Shape.SWAPPED) and call.leg is not None:
        # They were armed for the bridge; from now on they are released after the talk.
        world.command(ConfirmTalk(call.call_id, call.leg, world.queue_rules(call).after_talk))
    match reached:
        case Shape.TOGETHER if third is not None:
            shape.third = None
            thirds.end(world, third)
        case Shape.CALLING if third is not None and third.answered_ms is not None:
            _want(world, offer, shape, Shape.CONSULTING)
        case Shape.CALLING if third is not None:
            world.timers.set(TIMER, offer.offer_id, max(world.now_ms, third.started_ms + thirds.RING_MS))
        case Shape.HANDED_OVER:
            assert third is not None
            _hand_over(world, offer, shape, third)
        case _:
            pass


def _hand_over(world: World, offer: o.Offer, shape: TalkShape, third: o.Offer) -> None:
    """The caller is with the third party: the agent's talk is over, and the next one begins."""
    call = world.calls[offer.call_id]
    assert isinstance(call.state, c.Talking)
    shape.third = None
    visits.handed_over(call)
    thirds.become_the_talk(world, third)
    call.talked_ms += world.now_ms - call.state.since_ms
    world.move_call(call, c.WAITING)
    offers.talk_over(world, offer.offer_id, TalkEnd.TRANSFER, third.agent_id, TransferKind.ATTENDED)
    connecting.connected(world, third, world.now_ms, handed_over=True)


def _count_hold(world: World, shape: TalkShape) -> None:
    """The caller's time on hold: whenever they are bridged with nobody."""
    is_held = shape.pair in (Pair.NOBODY, Pair.AGENT_THIRD)
    if is_held and shape.held_since_ms is None:
        shape.held_since_ms = world.now_ms
        shape.holds += 1
    elif not is_held and shape.held_since_ms is not None:
        shape.held_ms += world.now_ms - shape.held_since_ms
        shape.held_since_ms = None
