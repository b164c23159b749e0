"""How a caller leaves: they hang up, are taken away, or their leg is replaced or lost with its switch."""

from __future__ import annotations

from fsacd.core import call as c
from fsacd.core.call import in_queue
from fsacd.core.commands import CancelReason, LetGo, NoteContact, TakeIn
from fsacd.core.events import (
    CallerGone,
    CallerReplaced,
    CallerTaken,
    CallLeft,
    CallLost,
    Leg,
    Taken,
)
from fsacd.core.evidence import Evidence
from fsacd.core.life import calls, ending, shaping, transferring
from fsacd.core.life.world import World
from fsacd.core.records import CallOutcome, Elsewhere

# As in `grounds`.
_ABANDONED = CallOutcome.ABANDONED


def handle(world: World, event: CallerGone | CallLeft | CallerTaken | CallerReplaced | CallLost) -> None:
    """A caller leaves, or their leg is replaced."""
    match event:
        case CallerGone():
            world.late_ms = event.late_ms
            gone(world, event)
        case CallLeft():
            gone(world, event)
        case CallerTaken():
            taken(world, event)
        case CallerReplaced():
            replaced(world, event)
        case CallLost():
            lost(world, event)


def gone(world: World, event: CallerGone | CallLeft | CallLost) -> None:
    """The caller's leg has ended, has taken the fallback, or is lost with its switch."""
    call = calls.call_of(world, event.call_id, None if isinstance(event, CallLost) else event.leg)
    if call is None:
        return  # we ended the call and this is the switch's echo, or the leg is not the call's
    if call.orphan and not isinstance(event, CallLost) and (event.leg is None or event.leg != call.heir):
        return  # the end of the replaced leg, which is known already
    if call.taken is not None and not isinstance(event, CallLost):
        calls.take_offers_back(world, call, CancelReason.CALLER_GONE)
        ending.has_left(world, call, call.taken)
        world.ended.lose_sight(call.call_id, call.offers, call.visit)  # another leg may come back with the call
        return
    if isinstance(event, CallerGone) and event.transferred and _gives_place(world, call):
        return
    replaced_on_hold = isinstance(call.state, c.Talking) and isinstance(event, CallerGone) and event.transferred
    outcome, detail = _how_it_ended(event)
    evidence = ending.evidence_of(event)
    match call.state:
        case c.Waiting() | c.Ringing():
            calls.take_offers_back(world, call, CancelReason.CALLER_GONE)
            where = f"queue {event.into}" if isinstance(event, CallLeft) and event.into else ""
            ending.end(world, call, outcome, detail, where=where, evidence=evidence)
        case c.Connecting():
            calls.take_offers_back(world, call, CancelReason.CALLER_GONE)
            detail = "bridge_window" if outcome is CallOutcome.ABANDONED else detail
            ending.end(world, call, outcome, detail, evidence=evidence)
        case c.Talking() as talk if (
            world.shapes and not isinstance(event, CallLost) and shaping.caller_gone(world, call, talk.offer_id)
        ):
            return  # the agent's leg tells when the talk is over, and the call with it
        case c.Talking() as talk:
            by = "caller_hung_up" if outcome is _ABANDONED else detail
            calls.end_talk(world, call, talk, by, world.now_ms, evidence)
            if replaced_on_hold:
                ending.may_come_back(world, call)  # the leg that has taken this one's place goes into the queue
                return
        case c.Settling() as settling:
            # It was the agent who hung up, even if the caller's leg followed at once, unless theirs was released.
            calls.was_talk(world, call, settling)
            by = calls.who_hung_up(settling.offer) if outcome is CallOutcome.ABANDONED else detail
            calls.end_answered(world, call, by, evidence)
    if not isinstance(event, CallLost) and event.found:
        # Nobody has seen the end. A leg that has taken this one's place may not have been in the switch's list yet.
        world.ended.lose_sight(call.call_id, call.offers, call.visit)


def _gives_place(world: World, call: c.Call) -> bool:
    """Whether the call goes on although its leg has ended, because another leg takes its place."""
    if isinstance(call.state, c.Talking):
        if shaping.is_apart(world.shapes.get(call.state.offer_id)):
            return False  # they were on hold, and whom their agent talks with is the third party
        # Ending the agent's leg now would cut a talk. The end of that leg tells when the talk is over.
        call.talks_on_another_leg = True
        world.changed_calls[call.call_id] = None
        return True
    if in_queue(call.state):
        transferring.gives_place(world, call)
        _await_heir(world, call)
        return True
    return False


def _how_it_ended(event: CallerGone | CallLeft | CallLost) -> tuple[CallOutcome, str]:
    match event:
        case CallerGone(transferred=True):
            return CallOutcome.LEFT, "transferred"
        case CallerGone():
            return _ABANDONED, event.cause
        case CallLeft(into=""):
            return CallOutcome.LEFT, "fallback"
        case CallLeft():
            return CallOutcome.LEFT, str(Taken.MOVED)
        case CallLost():
            return CallOutcome.LOST, event.cause


def taken(world: World, event: CallerTaken) -> None:
    """Somebody else has taken the caller away: the call has left, and no agent rings for it any more."""
    call = world.call_on(event.leg)
    if call is None:
        return  # the call has ended (its agent has transferred the caller), or this is no caller's leg
    match call.state:
        case c.Waiting() | c.Ringing():
            calls.take_offers_back(world, call, CancelReason.WITHDRAWN)
            ending.let_go(world, call, event)
        case c.Connecting():
            # The bridge to the agent is ordered, too. Whichever came later has the caller: coming facts tell which.
            call.taken = event
        case c.Talking():
            pass  # the agent has transferred the caller, or a colleague took the call: the agent's leg tells its end
        case c.Settling() as settling:
            calls.was_talk(world, call, settling)
            world.command(LetGo(call.call_id, event.leg, talks=event.how is Taken.PICKED_UP))
            calls.end_answered(world, call, "agent_hung_up", ending.evidence_of(event))


def replaced(world: World, event: CallerReplaced) -> None:
    """Another leg has replaced a caller's. If they wait, the switch has put it into no queue, so this orders that."""
    call = world.call_on(event.leg)
    if call is not None and event.talks:
        # Their agent may transfer them into a queue later: that is the same contact.
        world.command(NoteContact(call.call_id, event.heir, call.contact_id))
        return
    if call is None or not in_queue(call.state):
        return  # a talking caller has no place in a queue; or the call has ended
    _await_heir(world, call, event.heir)
    age_ms = world.now_ms - call.arrived_ms
    world.command(TakeIn(call.call_id, event.heir, call.queue, age_ms, call.contact_id))


def _await_heir(world: World, call: c.Call, heir: Leg | None = None) -> None:
    """Another leg takes the place of the caller's, and is about to announce itself with the call's id."""
    calls.take_offers_back(world, call, CancelReason.WITHDRAWN)
    if not isinstance(call.state, c.Waiting):
        world.move_call(call, c.WAITING)
    call.taken = None
    world.orphan_call(call, world.now_ms + _HEIR_MS, heir)


# FreeSWITCH has sent the other leg into our dialplan 0.2 s after it has ended the first one.
_HEIR_MS = 5_000


def no_heir(world: World, call_id: str) -> None:
    """The leg that was to take the place of the call's has not announced itself in time."""
    call = world.calls[call_id]
    call.orphan = False
    ending.end(world, call, CallOutcome.LEFT, "transferred", evidence=Evidence.SAW_END)
    world.ended.lose_sight(call_id, call.offers, call.visit)


def lost(world: World, event: CallLost) -> None:
    """The call's leg is lost with its switch, or nobody knows what has become of it."""
    call = world.calls.get(event.call_id)
    gone(world, event)
    if call is not None and event.cause != Elsewhere.TALKS_UNSEEN:
        world.ended.lose_sight(call.call_id, call.offers, call.visit)
