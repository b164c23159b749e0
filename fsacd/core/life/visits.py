"""Visits begin and end: whenever a call's queue changes, one ends and the next begins, at the same moment."""

from __future__ import annotations

from typing import Final

from fsacd.core import call as c
from fsacd.core import skills
from fsacd.core.evidence import Evidence
from fsacd.core.life import grounds
from fsacd.core.life.world import World
from fsacd.core.records import VisitEnded
from fsacd.core.rules import QueueRules
from fsacd.core.visit import HowIn, Visit, VisitOutcome

# In the place of its queue: the visit is over, though its call may come back.
OVER: Final = ""
_ANSWERED, _DIRECT = VisitOutcome.ANSWERED, HowIn.DIRECT  # as in `grounds`


def first(world: World, call: c.Call, noted: int, how_in: HowIn | None, before: Visit | None) -> None:
    """A call has come that this engine did not have: it begins its first visit, or goes on with one.

    Args:
        world: The engine's state.
        call: The call, in its queue.
        noted: The number of the visit, as the leg says; 0: it says none, as in nearly all cases.
        how_in: How it came into the queue, as the leg says.
        before: The visit whose end was reported when sight of the call was lost; this visit's end replaces that one.
    """
    if before is not None and before.queue == call.queue:
        call.visit = before
        return
    joined_ms = call.joined_ms
    if before is not None:
        # It was moved where nobody of us could see it, or its queue was renamed meanwhile; or its agent has transferred
        # the caller to a number that does not exist.
        unseen = HowIn.TRANSFERRED if before.queue == OVER else HowIn.MOVED
        noted, how_in, joined_ms = max(noted, before.n + 1), how_in or unseen, world.now_ms
    elif how_in is None:
        contact_id = call.contact_id
        # A live call counts if it has given the contact its id.
        known = contact_id != call.call_id and (contact_id in world.calls or world.ended.has_of_contact(contact_id))
        how_in = HowIn.TRANSFERRED if known else _DIRECT
    call.visit = as_at_entry(call, noted or 1, joined_ms, how_in, world.queue_rules(call))


def as_at_entry(call: c.Call, n: int, joined_ms: int, how_in: HowIn, rules: QueueRules) -> Visit:
    """What the call is now, as it joins the queue with these rules."""
    return Visit(
        n,
        call.queue,
        joined_ms,
        how_in,
        skills.merge(rules.required, call.asked),
        call.own_priority,
        call.head_start_ms,
        call.named_agent,
        call.language,
        rules.service_level_ms,
        rules.short_abandon_ms,
        call.offers,
    )


def go_on(world: World, call: c.Call, how_in: HowIn, rules: QueueRules | None = None) -> None:
    """The visit before has ended now, and the call stands in its next queue, whose rules are `rules` (None: known)."""
    assert call.visit is not None
    n = call.visit.n + 1
    call.first_talk = None
    call.visit = as_at_entry(call, n, world.now_ms, how_in, rules or world.queue_rules(call))


def leave_for(world: World, call: c.Call, queue: str, outcome: VisitOutcome, why: str) -> None:
    """The call is about to go into this queue, which may be the same one after a talk: its visit ends."""
    evidence, epoch = grounds.of_report(world, call, None, talked=outcome is VisitOutcome.ANSWERED)
    end(world, call, outcome, why, f"queue {queue}", evidence, epoch)


def end(
    world: World, call: c.Call, outcome: VisitOutcome, detail: str, to: str, evidence: Evidence, epoch: int
) -> None:
    """Write the row of the visit that ends now. The call's state is still that in which it ends."""
    visit = call.visit
    assert visit is not None
    offer_id, agent_id, answered_ms, connected_ms = _talk(call) if outcome is _ANSWERED else _NONE
    waited_until_ms = answered_ms if answered_ms is not None else connected_ms
    # By position, as once for each call: see `offers.make`.
    world.record(
        VisitEnded(
            call.call_id,
            visit,
            world.now_ms,
            outcome,
            detail,
            to,
            max(0, (world.now_ms if waited_until_ms is None else waited_until_ms) - visit.joined_ms),
            call.offers - visit.offers_before,
            agent_id,
            offer_id,
            answered_ms,
            connected_ms,
            evidence,
            epoch,
            call.contact_id,
        )
    )


_NONE: c.TalkFacts = (None, None, None, None)


def handed_over(call: c.Call) -> None:
    """The caller goes on with another agent, without a stay in a queue: the first one has answered the visit."""
    call.first_talk = _talk(call)


def _talk(call: c.Call) -> c.TalkFacts:
    """The talk in which the call is, or was before it was handed over."""
    if call.first_talk is not None:
        return call.first_talk
    match call.state:
        case c.Talking(offer_id, agent_id, since_ms, answered_ms):
            return offer_id, agent_id, answered_ms, since_ms
        case c.Settling(offer=offer):
            return offer.offer_id, offer.agent_id, offer.answered_ms, offer.connected_ms
        case _:
            raise AssertionError(f"a call in {call.state} is not answered")
