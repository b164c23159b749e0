"""The moments in which an agent gets a caller: their answer is taken, and the two are bridged."""

from __future__ import annotations

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import CancelReason, ConfirmTalk
from fsacd.core.life import roster, sticky, withdrawing
from fsacd.core.life.world import World
from fsacd.core.records import CallConnected


def take_answer(world: World, offer: o.Offer, call: c.Call) -> None:
    """This agent has answered: nobody else rings for the call any more, and the two are about to be bridged."""
    assert isinstance(call.state, c.Ringing)
    for other_id in call.state.offer_ids:
        if other_id != offer.offer_id:
            withdrawing.withdraw(world, other_id, CancelReason.LOST_RACE)
    world.move_offer(offer, o.CONNECTING)
    world.timers.set("offer", offer.offer_id, world.now_ms + world.rules.limits.connect_ms)
    world.move_call(call, c.Connecting(offer.offer_id))


def connected(world: World, offer: o.Offer, since_ms: int, *, handed_over: bool = False) -> None:
    """Caller and agent talk since `since_ms`; `handed_over`: the caller has talked with another agent before."""
    if not isinstance(offer.state, o.OfferConnecting):
        return  # told twice; or we gave the offer up, so its leg is being ended and the caller returns to the music
    call = world.calls[offer.call_id]
    since_ms = min(max(since_ms, offer.answered_ms or 0), world.now_ms)
    offer.connected_ms, call.confirmed_ms, call.taken = since_ms, None, None
    world.move_offer(offer, o.TALKING)
    world.timers.clear("offer", offer.offer_id)
    world.move_call(call, c.Talking(offer.offer_id, offer.agent_id, since_ms, offer.answered_ms))
    call.agent_id = offer.agent_id
    call.answered_after_ms = max(0, call.waited_ms(offer.answered_ms if offer.answered_ms is not None else since_ms))
    agent = world.agents[offer.agent_id]
    _talk(world, agent, offer)
    sticky.remember(world, sticky.known_as(world, call), offer.agent_id)
    waited_ms = call.answered_after_ms
    world.record(
        CallConnected(call.call_id, call.queue, offer.agent_id, world.now_ms, waited_ms, call.contact_id, handed_over)
    )


def confirm(world: World, call: c.Call, offer: o.Offer) -> None:
    """Tell the caller's leg that they talk: after it they are released, unless the agent's connection may be lost."""
    assert call.leg is not None
    agent = world.agents.get(offer.agent_id)  # none: they talk with whoever has a number
    offer.keeps_caller = agent is not None and agent.rules.phone.media_timeout_ms > 0
    world.command(ConfirmTalk(call.call_id, call.leg, world.queue_rules(call).after_talk, offer.keeps_caller))


def _talk(world: World, agent: a.Agent, offer: o.Offer) -> None:
    """The agent talks, whatever they were rung for: a talk that is found on the switch was no offer of ours."""
    state = a.Talking(offer.offer_id, offer.call_id)
    work = agent.work.get(offer.offer_id)
    if work is not None and isinstance(work.state, a.Offered):
        roster.move_work(world, agent, offer.offer_id, state)
    else:
        if work is not None:
            roster.end_work(world, agent, offer.offer_id)  # they were taken to wrap this very talk up
        roster.take_work(world, agent, offer, state)
        if agent.held_back is not None:
            roster.end_hold(world, agent)
    roster.settle(world, agent)
    roster.answered(world, agent, offer.offer_id)
