"""A talk that is found on the switch, unknown to this daemon: it goes on as if this daemon had connected it."""

from __future__ import annotations

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import CancelReason
from fsacd.core.events import CallQueued, TalkFound
from fsacd.core.life import calls, connecting, offers, shared_phones, standing, visits, withdrawing
from fsacd.core.life.world import World
from fsacd.core.records import CallJoined, OfferOutcome
from fsacd.core.rules import FULL
from fsacd.core.shape import TalkShape


def talk(world: World, event: TalkFound) -> None:
    """Take the talk as ours, if its call is not over and its agent has no other one."""
    offer = world.offer_on(event.offer_id)
    if offer is not None and offer.agent_id == event.agent_id:
        _of_our_offer(world, offer, event)
        return
    if offer is not None:
        _never_was(world, offer)
    agent = world.agents.get(event.agent_id)
    if agent is None or not _is_free_for(agent, event.call.call_id):
        # The agent cannot be the one who talks here, or is unknown. The switch releases the caller after the talk.
        return
    call = _call_of(world, event.call)
    if call is not None:
        _adopt(world, call, agent, event)


def _is_free_for(agent: a.Agent, call_id: str) -> bool:
    """Whether the agent can be the one who talks: not if they talk elsewhere, or ring for another call."""
    return all(
        isinstance(work.state, a.WrappingUp)
        or work.weight < FULL
        or (isinstance(work.state, a.Offered) and work.call_id == call_id)
        for work in agent.work.values()
    )


def _never_was(world: World, offer: o.Offer) -> None:
    """The leg that was taken for this offer's belongs to another agent: forget the offer without ending the leg.

    A journal of an older fsacd, replayed by newer rules, may give the same attempt to somebody else.
    """
    withdrawing.write(world, offer, OfferOutcome.FAILED, str(CancelReason.UNKNOWN))
    offers.ended_with_switch(world, offer, str(CancelReason.UNKNOWN))
    call = world.calls.get(offer.call_id)
    if call is None:
        return
    match call.state:
        case c.Ringing(offer_ids) if offer.offer_id in offer_ids:
            calls.one_less(world, call, offer.offer_id)
        case c.Connecting(offer_id) | c.Talking(offer_id=offer_id) if offer_id == offer.offer_id:
            call.answered_after_ms = None
            world.move_call(call, c.WAITING)


def _of_our_offer(world: World, offer: o.Offer, event: TalkFound) -> None:
    """The talk belongs to an offer of ours whose answer or bridge has not been heard of."""
    call = world.calls.get(offer.call_id)
    if call is None or call.call_id != event.call.call_id:
        return
    if isinstance(offer.state, o.OfferRinging):
        offer.answered_ms = event.answered_ms
        if event.leg:
            offer.leg, offer.legs = event.leg, max(offer.legs, 2)
        connecting.take_answer(world, offer, call)
    connecting.connected(world, offer, since_ms=event.connected_ms)


def _call_of(world: World, announced: CallQueued) -> c.Call | None:
    """The waiting call that the talk belongs to, made anew if need be; None if the talk cannot be adopted."""
    known = world.calls.get(announced.call_id)
    if known is not None:
        return known if isinstance(known.state, c.Waiting | c.Ringing) else None
    before = world.ended.take_back(announced.call_id)
    if (
        announced.call_id in world.ended
        or announced.leg is None
        or not world.has_queue(world.queue_named(announced.queue))
    ):
        return None
    if len(world.calls) >= world.rules.limits.calls:
        return None
    call = calls.make(world, announced, before)
    world.add_call(call)
    visits.first(world, call, announced.visit, announced.how_in, before.visit if before is not None else None)
    calls.keep_contact(world, call, announced)
    world.record(CallJoined(call.call_id, call.queue, world.now_ms, contact_id=call.contact_id))
    return call


def _adopt(world: World, call: c.Call, agent: a.Agent, event: TalkFound) -> None:
    if isinstance(call.state, c.Ringing):
        calls.take_offers_back(world, call, CancelReason.WITHDRAWN)
        world.move_call(call, c.WAITING)
    assert call.leg is not None
    call.offers += 1
    offer = o.Offer(
        offer_id=event.offer_id,
        call_id=call.call_id,
        queue=call.queue,
        agent_id=agent.agent_id,
        switch=call.leg.switch,
        attempt=call.offers,
        started_ms=event.rang_ms,
        state=o.CONNECTING,
        rang_ms=event.rang_ms,
        answered_ms=event.answered_ms,
        epoch=call.epoch,
        legs=2 if event.leg else 1,
        leg=event.leg,
        contact=agent.contact,
        contact_id=call.contact_id,
    )
    world.offers[offer.offer_id] = offer
    if event.standing_leg:
        standing.found_in_talk(world, agent, offer.switch, event.standing_leg, offer.offer_id)
    shared_phones.take(world, offer)
    connecting.connected(world, offer, since_ms=event.connected_ms)
    if event.muted:
        since_ms = event.connected_ms
        world.shapes[offer.offer_id] = TalkShape(since_ms=since_ms, muted=True, silenced=True, untouched=True)
        world.refresh(call)
