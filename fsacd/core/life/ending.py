"""A call's end: its row of history, and what its leg is told."""

from __future__ import annotations

from dataclasses import replace

from fsacd.core import call as c
from fsacd.core.commands import EndCall, LetGo, SendCall
from fsacd.core.events import (
    CallerGone,
    CallerTaken,
    CallLeft,
    CallLost,
    Taken,
)
from fsacd.core.evidence import Evidence
from fsacd.core.life import grounds, resuming, visits
from fsacd.core.life.world import World
from fsacd.core.records import CallEnded, CallOutcome, Elsewhere
from fsacd.core.rules import ToExtension, ToHangup
from fsacd.core.visit import VisitOutcome

# As in `grounds`.
_SAW_END, _ANSWERED, _ABANDONED = Evidence.SAW_END, CallOutcome.ANSWERED, CallOutcome.ABANDONED


def end(
    world: World,
    call: c.Call,
    outcome: CallOutcome,
    detail: str,
    *,
    send_to: ToExtension | ToHangup | None = None,
    after: ToExtension | ToHangup | None = None,
    where: str = "",
    evidence: Evidence | None = None,
) -> None:
    """The call is over: write it down and forget it.

    `send_to` is ordered now; `after` is what the switch does by itself after a talk, and is ordered only if the leg
    turns up in the music again; `where` is where somebody else has taken the caller. `evidence` is what the report of
    the end rests on; None: the end is decided here, or the switch tells it while it is connected.
    """
    final_command = final_command_to(call, send_to or after)
    if send_to is not None and final_command is not None:
        world.command(final_command)
    write(world, call, outcome, detail, where or name_of(send_to), evidence)
    world.forget_call(call, final_command)
    if outcome is _ABANDONED:
        resuming.abandoned(world, call)


def final_command_to(call: c.Call, target: ToExtension | ToHangup | None) -> SendCall | EndCall | None:
    """The command that sends the call's leg to its target; None for a call without a leg."""
    if call.leg is None or target is None:
        return None
    if isinstance(target, ToExtension):
        return SendCall(call.call_id, call.leg, target)
    return EndCall(call.call_id, call.leg, target.cause)


def name_of(target: ToExtension | ToHangup | None) -> str:
    """The target as history has it."""
    match target:
        case None:
            return ""
        case ToExtension(extension, context):
            return f"extension {extension} {context}"
        case ToHangup(cause):
            return f"hangup {cause}"


def write(
    world: World,
    call: c.Call,
    outcome: CallOutcome,
    detail: str,
    after: str = "",
    evidence: Evidence | None = None,
) -> None:
    """Write the rows of the call and of its last visit, and count the call."""
    world.outcomes[call.queue, outcome] += 1
    evidence, epoch = grounds.of_report(world, call, evidence, talked=outcome is _ANSWERED)
    if call.visit is not None:
        visits.end(world, call, _VISIT[outcome], detail, _without_person(after), evidence, epoch)
    shown, leg = world.shows(call), call.leg
    # By position, as once for each call: see `offers.make`.
    world.record(
        CallEnded(
            call.call_id,
            call.queue,
            outcome,
            detail,
            call.arrived_ms,
            world.now_ms,
            call.waited_ms(world.now_ms),
            call.talked_ms,
            call.agent_id,
            call.offers,
            call.priority,
            call.number if shown else "",
            call.name if shown else "",
            call.customer if shown else "",
            leg.switch if leg else None,
            leg.uuid if leg else None,
            after,
            call.language,
            call.number_believed,
            evidence,
            epoch,
            call.resumes,
            call.customer_id if shown else 0,
            call.contact_id,
        )
    )


_VISIT: dict[CallOutcome, VisitOutcome] = {
    CallOutcome.ANSWERED: VisitOutcome.ANSWERED,
    CallOutcome.ABANDONED: VisitOutcome.ABANDONED,
    CallOutcome.OVERFLOWED: VisitOutcome.OVERFLOWED,
    CallOutcome.HUNG_UP: VisitOutcome.HUNG_UP,
    CallOutcome.LEFT: VisitOutcome.LEFT,
    CallOutcome.LOST: VisitOutcome.LOST,
}


def _without_person(where: str) -> str:
    """Visits hold nobody's number, so that erasing somebody need not look through them."""
    return "" if where.startswith(_NUMBER) else where


_NUMBER = "number "


def number(digits: str) -> str:
    """A number as history has it; rows of visits leave it out."""
    return f"{_NUMBER}{digits}"


def let_go(world: World, call: c.Call, event: CallerTaken) -> None:
    """Somebody else has the caller, whose leg is an ordinary one from now on. They may give the caller back."""
    world.command(LetGo(call.call_id, event.leg, talks=event.how is Taken.PICKED_UP))
    has_left(world, call, event)
    # Whoever has the caller may give them back.
    world.ended.lose_sight(call.call_id, call.offers, call.visit)


def may_come_back(world: World, call: c.Call) -> None:
    """The call has ended after a talk, and its caller may be in the music again: then it goes on in another visit."""
    over = replace(call.visit, queue=visits.OVER) if call.visit is not None else None
    world.ended.lose_sight(call.call_id, call.offers, over)


def has_left(world: World, call: c.Call, taken: CallerTaken) -> None:
    """The call is over: somebody else has taken its caller, and there is no leg to be let go of."""
    end(world, call, CallOutcome.LEFT, taken.how, where=_where_taken(taken), evidence=evidence_of(taken))


def _where_taken(event: CallerTaken) -> str:
    """By whom or where to, as history has it."""
    match event.how:
        case _ if not event.where:
            return ""
        case Taken.PICKED_UP:
            return number(event.where)
        case Taken.MOVED | Taken.PARKED:
            return f"extension {event.where}"


def evidence_of(event: CallerGone | CallLeft | CallLost | CallerTaken) -> Evidence:
    """The evidence of an event: an end that the switch told was seen; one found out by asking was not."""
    match event:
        case CallLost(cause=Elsewhere.SERVED_ELSEWHERE):
            return Evidence.HANDED_OVER
        case CallLost() | CallerGone(found=True) | CallLeft(found=True) | CallerTaken(found=True):
            return Evidence.GUESSED
        case _:
            return _SAW_END
