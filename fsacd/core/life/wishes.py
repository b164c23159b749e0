"""What somebody wants changed of calls and queues by hand. Each wish returns why it was refused, or None."""

from __future__ import annotations

from typing import assert_never

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core.commands import CancelReason, SendCall
from fsacd.core.events import (
    CallChangeAsked,
    CallHangupAsked,
    CallPromoteAsked,
    CallRequeueAsked,
    CallSendAsked,
    CallWish,
    QueueSetOpen,
)
from fsacd.core.life import calls, changes, ending, offers, overflow, visits
from fsacd.core.life.world import World
from fsacd.core.reach import reaches
from fsacd.core.records import CallJoined, CallMoved, CallOutcome, TalkEnd
from fsacd.core.rules import ToHangup
from fsacd.core.visit import HowIn, VisitOutcome


def of_call(world: World, event: CallWish) -> str | None:
    """A wish about a call."""
    call = world.calls.get(event.call_id)
    if call is None:
        return f"there is no call {event.call_id}"
    match event:
        case CallRequeueAsked():
            return _requeue(world, call, event)
        case CallHangupAsked():
            return _hang_up(world, call, event)
        case CallChangeAsked():
            return _change(world, call, event)
        case CallPromoteAsked():
            return _promote(world, call, event)
        case CallSendAsked():
            return _send(world, call, event)
        case _:
            assert_never(event)


def _requeue(world: World, call: c.Call, event: CallRequeueAsked) -> str | None:
    """Back into its queue, or into another, with its arrival kept."""
    queue = event.queue or call.queue
    if not world.has_queue(queue):
        return f"there is no queue {queue!r}"
    why, talked = f"asked by {event.by}", False
    match call.state:
        case c.Waiting():
            if queue == call.queue:
                return "the call waits in that queue already"
        case c.Ringing():
            calls.take_offers_back(world, call, CancelReason.WITHDRAWN)
            world.move_call(call, c.WAITING)
        case c.Connecting() | c.Settling():
            return "the call is being connected; try again in a moment"
        case c.Talking(offer_id, _, since_ms):
            if call.leg is None or call.talks_on_another_leg:
                return "the caller was transferred to somebody else's call and has no leg to put back"
            world.command(SendCall(call.call_id, call.leg, world.rules.back))
            visits.leave_for(world, call, queue, VisitOutcome.ANSWERED, why)
            talked = True
            offers.talk_over(world, offer_id, TalkEnd.OPERATOR)
            call.talked_ms += world.now_ms - since_ms
            call.answered_after_ms = None
            call.joined_ms = world.now_ms  # otherwise the talk would count towards the maximum wait
            world.move_call(call, c.WAITING)
    changes.record(world, "call_moved", call.call_id, f"{call.queue} to {queue}", event.by)
    moves = queue != call.queue
    if moves:
        if not talked:
            visits.leave_for(world, call, queue, VisitOutcome.MOVED, why)
        world.record(CallMoved(call.call_id, call.queue, queue, world.now_ms, why, call.contact_id))
        world.requeue_call(call, queue)
        world.record(CallJoined(call.call_id, queue, world.now_ms, by_overflow=True, contact_id=call.contact_id))
    else:
        world.set_reach(call)
    if talked or moves:
        visits.go_on(world, call, HowIn.REQUEUED)
    world.note_call(call)
    overflow.arm(world, call)
    if (reason := overflow.must_leave(world, call)) is not None:
        # It may be moved into a full queue, but not into one whose waiting calls have to leave.
        overflow.send_on(world, call, *reason)
    return None


def _hang_up(world: World, call: c.Call, event: CallHangupAsked) -> str | None:
    outcome = CallOutcome.HUNG_UP
    match call.state:
        case c.Talking() as talk:
            offers.talk_over(world, talk.offer_id, TalkEnd.OPERATOR)
            call.talked_ms += world.now_ms - talk.since_ms
            outcome = CallOutcome.ANSWERED
        case c.Settling() as settling:
            calls.was_talk(world, call, settling)
            outcome = CallOutcome.ANSWERED
        case _:
            calls.take_offers_back(world, call, CancelReason.CALLER_GONE)
    changes.record(world, "call_ended", call.call_id, call.queue, event.by)
    ending.end(world, call, outcome, f"by {event.by}", send_to=ToHangup())
    return None


def _change(world: World, call: c.Call, event: CallChangeAsked) -> str | None:
    """Another class, other skills, another head start. Agents who ring already go on ringing."""
    done = []
    if event.priority is not None:
        done.append(f"priority {call.own_priority} to {event.priority}")
        call.own_priority = event.priority
    if event.required is not None:
        done.append(f"skills {changes.told(call.asked)} to {changes.told(event.required)}")
        call.asked = event.required
    if event.head_start_ms is not None:
        done.append(f"head start {call.head_start_ms / 1000:g} s to {event.head_start_ms / 1000:g} s")
        call.head_start_ms = event.head_start_ms
    if not done:
        return "nothing was asked to be changed"
    changes.record(world, "call_changed", call.call_id, ", ".join(done), event.by)
    world.set_reach(call)
    world.note_call(call)
    return None


def _promote(world: World, call: c.Call, event: CallPromoteAsked) -> str | None:
    """Put the call before all others of its queue, whatever their class."""
    if not isinstance(call.state, c.Waiting | c.Ringing):
        return "the call does not wait"
    order = world.queue_rules(call).call_order
    if order is not None:
        return f"the queue orders its calls by {order}, which a promotion cannot change"
    others = [
        other
        for other in world.calls.values()
        if other.queue == call.queue and other is not call and isinstance(other.state, c.Waiting | c.Ringing)
    ]
    highest = max((other.priority for other in others), default=call.priority)
    if highest > call.priority:
        call.own_priority += highest - call.priority
        call.priority = highest
    first_ms = min((other.virtual_ms for other in others if other.priority == call.priority), default=None)
    if first_ms is not None and call.virtual_ms >= first_ms:
        call.head_start_ms = call.arrived_ms - first_ms + 1
    changes.record(world, "call_promoted", call.call_id, call.queue, event.by)
    world.set_reach(call)
    world.note_call(call)
    return None


def _send(world: World, call: c.Call, event: CallSendAsked) -> str | None:
    """Reserve the call for one agent alone for a while; then it is for all again."""
    agent = world.agents.get(event.agent_id)
    if agent is None or agent.removed:
        return f"there is no agent {event.agent_id!r}"
    if isinstance(agent.state, a.LoggedOut):
        return f"agent {event.agent_id} is logged out"
    if call.queue in agent.not_ready_for:
        return f"agent {event.agent_id} is not ready for queue {call.queue}"
    if not reaches(agent.within, call.switch):
        return f"agent {event.agent_id} cannot be rung from switch {call.switch}, where the call is"
    match call.state:
        case c.Waiting():
            pass
        case c.Ringing():
            calls.take_offers_back(world, call, CancelReason.WITHDRAWN)
            world.move_call(call, c.WAITING)
        case c.Connecting() | c.Settling():
            return "the call is being connected; try again in a moment"
        case c.Talking():
            return "the call talks with an agent; put it back into its queue first"
    changes.record(world, "call_sent", call.call_id, f"to agent {event.agent_id}", event.by)
    world.prefer(call, c.Preferred(event.agent_id, world.now_ms + event.for_ms, alone=True))
    return None


def of_queue(world: World, event: QueueSetOpen) -> str | None:
    """A queue opens or closes."""
    if not world.has_queue(event.queue):
        return f"there is no queue {event.queue!r}"
    if world.staffing.is_open(event.queue) == event.open:
        return None
    world.staffing.set_open(event.queue, is_open=event.open, now_ms=world.now_ms)
    changes.record(world, "queue_opened" if event.open else "queue_closed", event.queue, "", event.by)
    world.arm_conditions(event.queue)
    return None
