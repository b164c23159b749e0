"""A call's end: its row of history, and what its leg is told."""

from __future__ import annotations

from fsacd.core import call as c
from fsacd.core.commands import EndCall, SendCall
from fsacd.core.evidence import Evidence
from fsacd.core.life import resuming
from fsacd.core.life.world import World
from fsacd.core.records import CallEnded, CallOutcome
from fsacd.core.rules import ToExtension, ToHangup


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
    turns up in the music again; `where` is where others have taken the caller. `evidence` is what the end is told by;
    None: it is decided here, or told in service.
    """
    farewell = farewell_to(call, send_to or after)
    if send_to is not None and farewell is not None:
        world.command(farewell)
    write(world, call, outcome, detail, where or name_of(send_to), evidence)
    world.forget_call(call, farewell)
    if outcome is CallOutcome.ABANDONED:
        resuming.abandoned(world, call)


def farewell_to(call: c.Call, target: ToExtension | ToHangup | None) -> SendCall | EndCall | None:
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
    """Write the call's row of history, and count it."""
    world.outcomes[call.queue, outcome] += 1
    if evidence is None:
        evidence = Evidence.SAW_END if world.may_offer(call) else Evidence.GUESSED
    if evidence is Evidence.SAW_END:
        epoch = call.epoch if call.leg is None else world.epochs.get(call.leg.switch, 0)
    else:
        epoch = call.epoch
        if outcome is CallOutcome.ANSWERED:
            evidence = Evidence.SAW_TALK
        if call.came_back and evidence is not Evidence.HANDED_OVER:
            evidence = Evidence.SAW_END  # of ours alone: another daemon's end in a later epoch stands over it
    shown = world.shows(call)
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
            call.leg.switch if call.leg else None,
            call.leg.uuid if call.leg else None,
            after,
            call.language,
            call.number_believed,
            evidence,
            epoch,
            call.resumes,
            call.customer_id if shown else 0,
        )
    )
