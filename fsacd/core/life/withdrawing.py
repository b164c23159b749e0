"""How an offer is taken back, and its record: what both the life of offers and talks of three need."""

from __future__ import annotations

from fsacd.core import offer as o
from fsacd.core.commands import CancelOffer, CancelReason
from fsacd.core.evidence import Evidence
from fsacd.core.life.told import told_ms
from fsacd.core.life.world import World
from fsacd.core.records import OfferClosed, OfferOutcome, TalkEnd, TalkEnded, TransferKind

OUTCOMES: dict[CancelReason, OfferOutcome] = {
    CancelReason.CALLER_GONE: OfferOutcome.WITHDRAWN,
    CancelReason.LOST_RACE: OfferOutcome.WITHDRAWN,
    CancelReason.WITHDRAWN: OfferOutcome.WITHDRAWN,
    CancelReason.NO_ANSWER: OfferOutcome.UNANSWERED,
    CancelReason.BRIDGE_WINDOW: OfferOutcome.FAILED,
    CancelReason.TALK_OVER: OfferOutcome.ANSWERED,
    CancelReason.UNKNOWN: OfferOutcome.FAILED,
}


_SAW_END = Evidence.SAW_END  # as in `grounds`


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


def write(
    world: World,
    offer: o.Offer,
    outcome: OfferOutcome,
    reason: str,
    evidence: Evidence | None = None,
    ended_by: TalkEnd | None = None,
    to: str = "",
    kind: TransferKind = TransferKind.NONE,
) -> None:
    """Write the offer's record, once, and that of its talk, if one has ended by `ended_by`.

    `evidence` None: derived from the link to its switch and from what was heard. `to`, `kind`: as in `TalkEnded`.
    """
    if offer.closed:
        return
    offer.closed = True
    if offer.number:
        return  # history has rows of agents' offers and talks alone
    epoch = offer.epoch
    if evidence is None and world.switches.get(offer.switch, False):
        evidence, epoch = _SAW_END, world.epochs.get(offer.switch, 0)
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
    if ended_by is not None and offer.connected_ms is not None:
        _write_talk(world, offer, ended_by, to, kind, evidence, epoch)


def _write_talk(
    world: World, offer: o.Offer, ended_by: TalkEnd, to: str, kind: TransferKind, evidence: Evidence, epoch: int
) -> None:
    call, started_ms = world.calls.get(offer.call_id), offer.connected_ms
    assert started_ms is not None
    ended_ms = max(started_ms, offer.ended_ms) if offer.ended_ms is not None else told_ms(world, started_ms)
    if offer.talked_ms:
        ended_ms = started_ms + offer.talked_ms  # as the switch has measured it
    world.record(
        TalkEnded(
            offer.offer_id,
            offer.call_id,
            call.visit.n if call is not None and call.visit is not None else 0,
            offer.queue,
            offer.agent_id,
            started_ms,
            ended_ms,
            offer.held_ms,
            offer.holds,
            offer.consults,
            ended_by,
            to,
            evidence,
            epoch,
            call.contact_id if call is not None else offer.contact_id,
            kind,
        )
    )
