"""What becomes of a call: it joins, waits, is returned, overflows, ends. Offers to agents are in `offers`."""

from __future__ import annotations

from fsacd.core import call as c
from fsacd.core import ending, offers, skills
from fsacd.core import offer as o
from fsacd.core.commands import CancelReason, ConfirmTalk, SendCall
from fsacd.core.events import (
    CallerGone,
    CallHangupAsked,
    CallLeft,
    CallLost,
    CallQueued,
    CallRequeueAsked,
    CallReturned,
    Leg,
)
from fsacd.core.records import CallJoined, CallMoved, CallOutcome, OfferOutcome
from fsacd.core.rules import Target, ToHangup, ToQueue
from fsacd.core.world import World


def queued(world: World, event: CallQueued) -> str | None:
    """A caller announces himself, for the first time or again."""
    if world.has_ended(event.call_id) or event.call_id in world.calls:
        # The music loop announces its caller every few seconds, so a known call is the ordinary case.
        return None
    call = _make_call(world, event)
    if not world.has_queue(event.queue):
        return _refuse(world, call, f"there is no queue {event.queue!r}")
    if event.leg is None:
        # Until callbacks are dialled nothing could connect it, and an agent would be rung for nobody.
        return _refuse(world, call, "it has no leg to talk on")
    if len(world.calls) >= world.rules.limits.calls:
        return _refuse(world, call, f"the limit of {world.rules.limits.calls} calls is reached")
    rules = world.rules.queues[event.queue]
    is_full = world.queue_lengths[event.queue] >= rules.max_length
    world.add_call(call)
    world.record(CallJoined(call.call_id, call.queue, world.now_ms))
    if is_full:
        overflow(world, call, rules.when_full, "full")
    else:
        _arm(world, call)
    return None


def _make_call(world: World, event: CallQueued) -> c.Call:
    rules = world.rules.queues.get(event.queue)
    priority = event.priority if event.priority is not None else (rules.priority if rules else 0)
    arrived_ms = min(event.arrived_ms, world.now_ms)  # a leg cannot come from the future, but two clocks can differ
    return c.Call(
        call_id=event.call_id,
        queue=event.queue,
        arrived_ms=arrived_ms,
        joined_ms=arrived_ms,
        head_start_ms=event.head_start_ms,
        priority=priority,
        required=skills.merge(rules.required if rules else (), event.required),
        asked=event.required,
        leg=event.leg,
        number=event.number,
        name=event.name,
        customer=event.customer,
    )


def _refuse(world: World, call: c.Call, why: str) -> str:
    """The call never stands in a queue; its caller takes the dialplan's fallback."""
    world.anomaly("call_refused", f"call {call.call_id} was refused: {why}")
    call.queue = call.queue if call.queue in world.rules.queues else ""
    farewell = ending.farewell_to(call, world.rules.fallback)
    ending.write(
        world, call, CallOutcome.REFUSED, why, after=ending.name_of(world.rules.fallback if farewell else None)
    )
    world.remember_ended(call.call_id, farewell)
    if farewell is not None:
        world.command(farewell)
    return why


def _arm(world: World, call: c.Call) -> None:
    """Set the deadlines of a call that has just joined its queue."""
    call.overdue = False
    rules = world.queue_rules(call)
    if rules.max_wait_ms is not None:
        world.timers.set("max_wait", call.call_id, call.joined_ms + rules.max_wait_ms)
    else:
        world.timers.clear("max_wait", call.call_id)
    arm_delay(world, call)


def arm_delay(world: World, call: c.Call) -> None:
    """Look at the call again when the next of the queue's delayed agents may help it."""
    waited_ms = world.now_ms - call.virtual_ms
    for delay_ms in world.delays.get(call.queue, ()):
        if delay_ms > waited_ms:
            world.timers.set("delay", call.call_id, call.virtual_ms + delay_ms)
            return
    world.timers.clear("delay", call.call_id)


def delay_passed(world: World, call_id: str) -> None:
    """Another of the queue's delays has passed: agents who help late may help now."""
    call = world.calls[call_id]
    if world.is_indexed(call):
        world.free_calls[call_id] = None
    arm_delay(world, call)


def max_wait_passed(world: World, call_id: str) -> None:
    """The maximum wait is over. A caller for whom an agent rings right now is not torn away from him."""
    call = world.calls[call_id]
    if isinstance(call.state, c.Waiting):
        overflow(world, call, world.queue_rules(call).when_max_wait, "max_wait")
    else:
        call.overdue = True


def back_to_waiting(world: World, call: c.Call) -> None:
    """The call waits (again), with the place it had; or overflows, if its time came while an agent rang."""
    call.answered_after_ms = None
    world.move_call(call, c.Waiting())
    if call.queue in world.retired:
        queue_removed(world, call)
    elif call.overdue:
        call.overdue = False
        overflow(world, call, world.queue_rules(call).when_max_wait, "max_wait")


def overflow(world: World, call: c.Call, target: Target, why: str) -> None:
    """The call leaves its queue by rule. A full queue on the way sends it on; the configuration excludes circles."""
    while isinstance(target, ToQueue):
        world.record(CallMoved(call.call_id, call.queue, target.queue, world.now_ms, why))
        rules = world.rules.queues[target.queue]
        is_full = world.queue_lengths[target.queue] >= rules.max_length
        world.requeue_call(call, target.queue)
        world.record(CallJoined(call.call_id, call.queue, world.now_ms, by_overflow=True))
        if not is_full:
            _arm(world, call)
            return
        target, why = rules.when_full, "full"
    ending.end(world, call, CallOutcome.OVERFLOWED, why, send_to=target)


def returned(world: World, event: CallReturned) -> None:
    """The caller hears music again. Ordinary after a broken bridge; also after a talk whose end we saw first."""
    call = _call_of(world, event.call_id, event.leg)
    if call is None:
        world.say_farewell(event.call_id)
        return
    match call.state:
        case c.Connecting(offer_id):
            offers.withdraw(world, offer_id, CancelReason.BRIDGE_WINDOW)
            back_to_waiting(world, call)
        case c.Talking() as talk:
            if world.now_ms - talk.since_ms < world.rules.limits.settle_ms:
                offers.talk_broken(world, talk.offer_id)
                back_to_waiting(world, call)
            else:
                _end_talk(world, call, talk, "agent_hung_up")
                world.say_farewell(call.call_id)
        case c.Settling(_, offer, _):
            offers.write(world, offer, OfferOutcome.FAILED, str(CancelReason.BRIDGE_WINDOW))
            back_to_waiting(world, call)
        case c.Waiting() | c.Ringing():
            pass  # put back by us already, when the agent's leg ended


def _call_of(world: World, call_id: str, leg: Leg | None) -> c.Call | None:
    """The live call that this leg may speak for.

    FreeSWITCH copies variables from leg to leg in more places than one, and some of them can be reached from outside
    (a REFER whose target carries headers); whoever has got hold of a call's id must not end it.
    """
    call = world.calls.get(call_id)
    if call is None or leg is None or call.leg is None or leg == call.leg:
        return call
    world.anomaly("foreign_leg", f"leg {leg.uuid} on {leg.switch} claims to be that of call {call_id}")
    return None


def gone(world: World, event: CallerGone | CallLeft | CallLost) -> None:
    """The caller's leg has ended, has taken the fallback, or is lost with its switch."""
    call = _call_of(world, event.call_id, None if isinstance(event, CallLost) else event.leg)
    if call is None:
        return  # it ended by our doing, and this is the echo; or it is not this leg's
    match event:
        case CallerGone(transferred=True):
            if isinstance(call.state, c.Talking):
                # Ending the agent's leg now would cut a talk. It tells by its own end when the talk is over.
                call.replaced = True
                return
            outcome, detail = CallOutcome.LEFT, "transferred"
        case CallerGone():
            outcome, detail = CallOutcome.ABANDONED, event.cause
        case CallLeft():
            outcome, detail = CallOutcome.LEFT, "fallback"
        case CallLost():
            outcome, detail = CallOutcome.LOST, event.cause
    match call.state:
        case c.Waiting():
            ending.end(world, call, outcome, detail)
        case c.Ringing():
            _take_offers_back(world, call, CancelReason.CALLER_GONE)
            ending.end(world, call, outcome, detail)
        case c.Connecting():
            _take_offers_back(world, call, CancelReason.CALLER_GONE)
            ending.end(world, call, outcome, "bridge_window" if outcome is CallOutcome.ABANDONED else detail)
        case c.Talking() as talk:
            _end_talk(world, call, talk, "caller_hung_up" if outcome is CallOutcome.ABANDONED else detail)
        case c.Settling() as settling:
            # It was the agent who hung up, even if the caller's leg followed at once.
            _was_talk(world, call, settling)
            _end_answered(world, call, "agent_hung_up" if outcome is CallOutcome.ABANDONED else detail)


def agent_hung_up(world: World, call: c.Call, talk: c.Talking, offer: o.Offer) -> None:
    """The agent's leg ended during the talk."""
    settling = c.Settling(world.now_ms + world.rules.limits.settle_ms, offer, world.now_ms - talk.since_ms)
    if settling.talk_ms < world.rules.limits.settle_ms:
        world.move_call(call, settling)
    else:
        _was_talk(world, call, settling)
        _end_answered(world, call, "agent_hung_up")


def _was_talk(world: World, call: c.Call, settling: c.Settling) -> None:
    offers.write(world, settling.offer, OfferOutcome.ANSWERED, "talk")
    call.talked_ms += settling.talk_ms


def settled(world: World, call_id: str) -> None:
    """The talk has lasted long enough to be one; or it broke at once, and the caller did not come back."""
    call = world.calls[call_id]
    match call.state:
        case c.Talking() if call.replaced:
            pass  # the leg that talks now is not ours to tell
        case c.Talking():
            assert call.leg is not None
            # Not earlier: until now a caller whose agent's leg dies is sent back to the music by the switch itself.
            world.command(ConfirmTalk(call.call_id, call.leg, world.queue_rules(call).after_talk))
        case c.Settling() as settling:
            _was_talk(world, call, settling)
            _end_answered(world, call, "agent_hung_up")
        case c.Waiting() | c.Ringing() | c.Connecting():
            raise AssertionError(f"a call in {call.state} has nothing to settle")


def _end_talk(world: World, call: c.Call, talk: c.Talking, detail: str) -> None:
    """The caller's side of the talk is over."""
    offers.talk_over(world, talk.offer_id)
    call.talked_ms += world.now_ms - talk.since_ms
    _end_answered(world, call, detail)


def _end_answered(world: World, call: c.Call, detail: str) -> None:
    ending.end(world, call, CallOutcome.ANSWERED, detail, after=world.queue_rules(call).after_talk or ToHangup())


def requeue_asked(world: World, event: CallRequeueAsked) -> str | None:
    """An operator puts a call back into its queue, or into another, with its arrival kept."""
    call = world.calls.get(event.call_id)
    if call is None:
        return f"there is no call {event.call_id}"
    queue = event.queue or call.queue
    if not world.has_queue(queue):
        return f"there is no queue {queue!r}"
    match call.state:
        case c.Waiting():
            if queue == call.queue:
                return "the call waits in that queue already"
        case c.Ringing():
            _take_offers_back(world, call, CancelReason.WITHDRAWN)
            world.move_call(call, c.Waiting())
        case c.Connecting() | c.Settling():
            return "the call is being connected; try again in a moment"
        case c.Talking(offer_id, _, since_ms):
            if call.leg is None or call.replaced:
                return "the caller was transferred to somebody else's call and has no leg to put back"
            world.command(SendCall(call.call_id, call.leg, world.rules.back))
            offers.talk_over(world, offer_id)
            call.talked_ms += world.now_ms - since_ms
            call.answered_after_ms = None
            call.joined_ms = world.now_ms  # or the talk would count towards the maximum wait, and end the call now
            world.move_call(call, c.Waiting())
    if queue != call.queue:
        world.record(CallMoved(call.call_id, call.queue, queue, world.now_ms, f"asked by {event.by}"))
        world.requeue_call(call, queue)
        world.record(CallJoined(call.call_id, queue, world.now_ms, by_overflow=True))
    _arm(world, call)
    return None


def hangup_asked(world: World, event: CallHangupAsked) -> str | None:
    """An operator ends a call."""
    call = world.calls.get(event.call_id)
    if call is None:
        return f"there is no call {event.call_id}"
    outcome = CallOutcome.HUNG_UP
    match call.state:
        case c.Talking() as talk:
            offers.talk_over(world, talk.offer_id)
            call.talked_ms += world.now_ms - talk.since_ms
            outcome = CallOutcome.ANSWERED
        case c.Settling() as settling:
            _was_talk(world, call, settling)
            outcome = CallOutcome.ANSWERED
        case _:
            _take_offers_back(world, call, CancelReason.CALLER_GONE)
    ending.end(world, call, outcome, f"by {event.by}", send_to=ToHangup())
    return None


def _take_offers_back(world: World, call: c.Call, reason: CancelReason) -> None:
    """No agent shall ring for this call any more. The call's own state is the caller's to change."""
    match call.state:
        case c.Ringing(offer_ids):
            for offer_id in offer_ids:
                offers.withdraw(world, offer_id, reason)
        case c.Connecting(offer_id):
            offers.withdraw(world, offer_id, reason)
        case c.Waiting() | c.Talking() | c.Settling():
            pass


def switch_restarted(world: World, switch: str) -> None:
    """Every leg on the switch is gone: its calls are lost, or over if they were talking."""
    for call in [call for call in world.calls.values() if call.leg is not None and call.leg.switch == switch]:
        gone(world, CallLost(call.call_id, "switch_restarted"))
    # Their calls stood on this switch, too, so none of these offers is wanted any more.
    for offer in [offer for offer in world.offers.values() if offer.switch == switch]:
        offers.ended_with_switch(world, offer)


def queue_removed(world: World, call: c.Call) -> None:
    """The call's queue is gone from the configuration, and it does not talk yet: it takes the fallback."""
    _take_offers_back(world, call, CancelReason.WITHDRAWN)
    ending.end(world, call, CallOutcome.OVERFLOWED, "queue_removed", send_to=world.rules.fallback)


def rearm(world: World) -> None:
    """After a reload: the new rules' deadlines hold for the calls that wait already, or may come back to waiting."""
    for call in world.calls.values():
        _arm(world, call)
