"""How an offer is taken back, and its record: what both the life of offers and talks of three need."""

from __future__ import annotations

from fsacd.core import offer as o
from fsacd.core.commands import CancelOffer, CancelReason
from fsacd.core.evidence import Evidence
from fsacd.core.life.world import World
from fsacd.core.records import OfferClosed, OfferOutcome

OUTCOMES: dict[CancelReason, OfferOutcome] = {
    CancelReason.CALLER_GONE: OfferOutcome.WITHDRAWN,
    CancelReason.LOST_RACE: OfferOutcome.WITHDRAWN,
    CancelReason.WITHDRAWN: OfferOutcome.WITHDRAWN,
    CancelReason.NO_ANSWER: OfferOutcome.UNANSWERED,
    CancelReason.BRIDGE_WINDOW: OfferOutcome.FAILED,
    CancelReason.TALK_OVER: OfferOutcome.ANSWERED,
    CancelReason.UNKNOWN: OfferOutcome.FAILED,
}


def withdraw(world: World, offer_id: str, reason: CancelReason) -> None:
    """End the agent's leg, ringing or answered; asked for again until the switch says that it has ended.

    Until then the phone may still ring and the agent may still answer. So only then does the agent become free, and
    the outcome known.
    """
    offer = world.offers[offer_id]
    if offer.answered_ms is not None:
        # The agent had answered and got no talk: the record says why.
        write(world, offer, OUTCOMES[reason], str(CancelReason.BRIDGE_WINDOW))
    limits = world.rules.limits
    world.move_offer(offer, o.OfferEnding(reason, world.now_ms + limits.offer_grace_ms))
    world.timers.set("offer", offer_id, world.now_ms + limits.cancel_retry_ms)
    world.command(CancelOffer(offer_id, offer.switch, reason, offer.named_legs))


def write(world: World, offer: o.Offer, outcome: OfferOutcome, reason: str, evidence: Evidence | None = None) -> None:
    """Write the offer's record, once. `evidence` None: derived from the link to its switch and from what was heard."""
    if offer.closed:
        return
    offer.closed = True
    epoch = offer.epoch
    if evidence is None and world.switches.get(offer.switch, False):
        evidence, epoch = Evidence.SAW_END, world.epochs.get(offer.switch, 0)
    elif offer.connected_ms is not None:
        evidence = Evidence.SAW_TALK
    elif evidence is None:
        evidence = Evidence.GUESSED
    call = world.calls.get(offer.call_id)
    world.record(
        OfferClosed(
            offer.offer_id,
            offer.call_id,
            offer.queue,
            offer.agent_id,
            offer.attempt,
            outcome,
            reason,
            offer.started_ms,
            offer.answered_ms,
            offer.connected_ms,
            offer.ended_ms if offer.ended_ms is not None else world.now_ms,
            evidence,
            epoch,
            call.contact_id if call is not None else offer.contact_id,
        )
    )
