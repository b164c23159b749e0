"""When a call leaves its queue by rule, at joining or while it waits, and where it goes."""

from __future__ import annotations

from fsacd.core import call as c
from fsacd.core.life import ending, estimate, sticky, visits
from fsacd.core.life.world import World
from fsacd.core.records import CallJoined, CallMoved, CallOutcome
from fsacd.core.rules import Target, ToQueue
from fsacd.core.staffing import Condition, overflow_rules
from fsacd.core.visit import HowIn, VisitOutcome

Reason = tuple[Target, str]

# How often the estimated wait of those who wait is looked at.
_ESTIMATE_EVERY_MS = 5_000


def join(world: World, call: c.Call) -> None:
    """The call has just come into its queue: it stays, or is sent on at once."""
    reason = _not_taken(world, call)
    if reason is None:
        arm(world, call)
        sticky.at_joining(world, call)
    else:
        send_on(world, call, *reason)


def send_on(world: World, call: c.Call, target: Target, why: str) -> None:
    """The call, which waits, leaves its queue. A queue that does not take it sends it on."""
    passed = {call.queue}
    while isinstance(target, ToQueue):
        if target.queue in passed:
            # The configuration excludes circles; should one get here, no call goes round in it for ever.
            target = world.rules.fallback
            break
        passed.add(target.queue)
        removed = call.queue in world.retired
        visits.leave_for(world, call, target.queue, VisitOutcome.MOVED if removed else VisitOutcome.OVERFLOWED, why)
        world.record(CallMoved(call.call_id, call.queue, target.queue, world.now_ms, why, call.contact_id))
        world.requeue_call(call, target.queue)
        visits.go_on(world, call, HowIn.MOVED if removed else HowIn.OVERFLOW)
        world.record(CallJoined(call.call_id, call.queue, world.now_ms, by_overflow=True, contact_id=call.contact_id))
        reason = _not_taken(world, call)
        if reason is None:
            world.note_call(call)
            arm(world, call)
            sticky.at_joining(world, call)
            return
        target, why = reason
    ending.end(world, call, CallOutcome.OVERFLOWED, why, send_to=target)


def _not_taken(world: World, call: c.Call) -> Reason | None:
    """Why the queue does not take the call that has just come."""
    rules = world.queue_rules(call)
    if rules.max_per_number and world.origins.of_number(call) > rules.max_per_number:
        return rules.when_max_per_number, "max_per_number"
    if rules.max_per_source and world.origins.of_source(call) > rules.max_per_source:
        return rules.when_max_per_source, "max_per_source"
    if rules.is_unconditional:
        if world.queue_lengths[call.queue] > rules.max_length:
            return rules.when_full, "full"
        return _by_step(call)
    if (reason := _condition(world, call.queue, Condition.CLOSED)) is not None:
        return reason
    if world.queue_lengths[call.queue] > rules.max_length:
        return rules.when_full, "full"
    for condition in (Condition.NOBODY_LOGGED_IN, Condition.NOBODY_READY):
        if (reason := _condition(world, call.queue, condition)) is not None:
            return reason
    overflow = rules.when_estimated_wait
    if overflow is not None and overflow.joining:
        wait_ms = estimate.for_call(world, call)
        if wait_ms is not None and wait_ms > rules.max_estimated_wait_ms:
            return overflow.target, "estimated_wait"
    return _by_step(call)


def _by_step(call: c.Call) -> Reason | None:
    return (call.step_overflow, "step") if call.step_overflow is not None else None


def _condition(world: World, queue: str, condition: Condition, *, waits: bool = False) -> Reason | None:
    """Where the queue sends its calls because the condition has held long enough; None if it has not."""
    overflow = overflow_rules(world.rules.queues[queue], condition)
    since_ms = world.staffing.since.get((condition, queue))
    # Calls that would have to leave as soon as they wait do not join, either.
    if overflow is None or since_ms is None or not (overflow.waiting or (overflow.joining and not waits)):
        return None
    return (overflow.target, condition.value) if world.now_ms >= since_ms + overflow.after_ms else None


def must_leave(world: World, call: c.Call) -> Reason | None:
    """Why a call that waits again must leave, by what happened while an agent rang for it; None if it may stay."""
    if call.overdue is not None:
        return call.overdue
    for condition in Condition:
        if (reason := _condition(world, call.queue, condition, waits=True)) is not None:
            return reason
    return _by_step(call)


def arm(world: World, call: c.Call) -> None:
    """Set the deadlines of a call that has just joined its queue, or whose rules have changed."""
    call.overdue = None
    rules = world.queue_rules(call)
    if rules.max_wait_ms is not None:
        world.timers.set("max_wait", call.call_id, call.joined_ms + rules.max_wait_ms)
    else:
        world.timers.clear("max_wait", call.call_id)
    if rules.when_estimated_wait is not None and rules.when_estimated_wait.waiting:
        world.timers.set_unless_set("estimated_wait", call.queue, world.now_ms + _ESTIMATE_EVERY_MS)


def leave_or_remember(world: World, call: c.Call, target: Target, why: str) -> None:
    """The call's time in this queue is over. While an agent rings for it, it stays until the agent does not answer."""
    if isinstance(call.state, c.Waiting) and not call.orphan:
        send_on(world, call, target, why)
    else:
        call.overdue = (target, why)


def max_wait_passed(world: World, call_id: str) -> None:
    """The maximum wait is over."""
    call = world.calls[call_id]
    leave_or_remember(world, call, world.queue_rules(call).when_max_wait, "max_wait")


def reach_changed(world: World, call_id: str) -> None:
    """A step's or a delay's time has come."""
    call = world.calls.get(call_id)
    if call is None:
        world.look(world.asking[call_id])  # an agent asks the queue, and is sent nowhere by its steps
        return
    world.set_reach(call)
    leave_by_step(world, call)


def leave_by_step(world: World, call: c.Call) -> None:
    """The call leaves if a step whose time has come sends it away."""
    if call.step_overflow is not None:
        leave_or_remember(world, call, call.step_overflow, "step")


def condition_held(world: World, condition: Condition, queue: str) -> None:
    """The condition has held for as long as the queue's rules say: whoever waits leaves."""
    if queue not in world.rules.queues:
        return
    for call in _waiting_in(world, queue):
        reason = _condition(world, queue, condition, waits=True)
        if reason is not None:
            send_on(world, call, *reason)


def look_at_estimates(world: World, queue: str) -> None:
    """Whoever would still wait too long leaves."""
    rules = world.rules.queues.get(queue)
    if rules is None or rules.when_estimated_wait is None or not rules.when_estimated_wait.waiting:
        return  # a reload has taken it away
    calls = _waiting_in(world, queue)
    if not calls:
        return
    world.timers.set("estimated_wait", queue, world.now_ms + _ESTIMATE_EVERY_MS)
    ahead = 0
    for call in calls:
        wait_ms = estimate.at_place(world, queue, ahead)
        if wait_ms is not None and wait_ms > rules.max_estimated_wait_ms:
            send_on(world, call, rules.when_estimated_wait.target, "estimated_wait")
        else:
            ahead += 1


def _waiting_in(world: World, queue: str) -> list[c.Call]:
    """The queue's calls that nobody rings for and that can be sent on, in their usual order."""
    waiting = (call for call in world.calls.values() if call.queue == queue and isinstance(call.state, c.Waiting))
    return sorted((call for call in waiting if not call.orphan), key=world.orderings[queue].place_key)
