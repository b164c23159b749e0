"""The third party of a talk: a colleague, or whoever has a number, whom the agent asks while the caller hears music.

Their leg is named, rung and ended as any offer's, and is kept as one: if the caller is handed over to a colleague, it
goes on as the offer of the next talk. Until then it stands in no list of offers, and history is told nothing of it.
Whoever has a number is no agent of ours: nobody's state changes with their leg.
"""

from __future__ import annotations

from typing import Final

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import contact
from fsacd.core import offer as o
from fsacd.core.commands import CancelReason, RingAgent, RingNumber
from fsacd.core.events import OfferEnd
from fsacd.core.life import agents, asking, display, roster, shared_phones, standing, withdrawing
from fsacd.core.life.told import told_ms
from fsacd.core.life.world import World
from fsacd.core.reach import reaches
from fsacd.core.shape import Pair
from fsacd.core.standing_leg import Stand

# How long a third party's phone rings.
RING_MS: Final = 30_000


def talk_of(world: World, leg: str) -> o.Offer | None:
    """The talk whose third party has this leg."""
    if not world.thirds:
        return None
    talk_id = world.thirds.get(leg) or world.thirds.get(o.offer_of(leg))
    return None if talk_id is None else world.offers[talk_id]


def why_not(world: World, call: c.Call, agent_id: str, asking: str) -> str | None:
    """Why this colleague cannot be asked now, in one sentence; None if they can."""
    agent = world.agents.get(agent_id)
    if agent is None or agent.removed:
        return f"there is no agent {agent_id!r}"
    if agent_id == asking:
        return "an agent cannot consult themselves"
    if isinstance(agent.presence, a.LoggedOut):
        return f"agent {agent_id} is logged out"
    if agent.live is not None or agent.outside:
        return f"agent {agent_id} is in a call"
    if standing.wants(agent) and (agent.standing is None or agent.standing.state is not Stand.STANDS):
        return f"the standing leg of agent {agent_id} does not stand"
    if not reaches(agent.within, call.switch):
        return f"agent {agent_id} cannot be rung from switch {call.switch}, where the call is"
    return None


def ring(world: World, call: c.Call, offer: o.Offer, agent_id: str, queue: str = "", ring_ms: int = RING_MS) -> o.Offer:
    """Ring this colleague for the agent of `offer`. They are busy from now on. `queue`: where they were asked for."""
    agent, third = world.agents[agent_id], _new(world, call, offer, agent_id)
    third.queue = queue or call.queue
    leg = third.offer_id
    standing_leg = standing.lend(world, agent, leg)
    third.legs, third.contact = 1 if standing_leg else contact.most_legs(agent.contact), agent.contact
    roster.take_work(world, agent, third, a.Offered(leg, call.call_id))
    roster.settle(world, agent)
    shared_phones.take(world, third)
    shown = world.shows(call)
    world.command(
        RingAgent(
            leg,
            call.call_id,
            agent_id,
            third.queue,
            agent.contact,
            offer.switch,
            (call.shown_number or call.number) if shown else "",
            display.name_for(call, world.queue_rules(call).agent_display or display.USUAL, hidden=not shown),
            ring_ms,
            not shown,
            agent.rules.phone,
            (),
            call.contact_id,
            standing_leg,
        )
    )
    return third


def ring_number(world: World, call: c.Call, offer: o.Offer, number: str) -> o.Offer:
    """Dial this number for the agent of `offer`, as for the caller if they were sent there."""
    third = _new(world, call, offer, "")
    third.number = number
    shown = world.shows(call)
    number_shown, name_shown = (call.number, call.name) if shown else ("", "")
    world.command(
        RingNumber(
            third.offer_id,
            call.call_id,
            number,
            offer.switch,
            number_shown,
            name_shown,
            RING_MS,
            not shown,
            call.contact_id,
        )
    )
    return third


def _new(world: World, call: c.Call, offer: o.Offer, agent_id: str) -> o.Offer:
    call.offers += 1
    leg = o.offer_id(world.seed + world.takeovers, call.call_id, call.offers)
    third = o.Offer(leg, call.call_id, call.queue, agent_id, offer.switch, call.offers, world.now_ms, o.RINGING)
    third.epoch, third.contact_id = offer.epoch, call.contact_id
    third.closed = True  # nothing of it is told to history, unless the caller is handed over
    world.thirds[leg] = offer.offer_id
    return third


def answered(world: World, third: o.Offer) -> None:
    """The third party has answered: they talk with the agent, or are about to."""
    world.move_offer(third, o.CONNECTING)
    if third.number:
        return
    agent = world.agents[third.agent_id]
    roster.move_work(world, agent, third.offer_id, a.Talking(third.offer_id, third.call_id))
    roster.settle(world, agent)


def ended(world: World, third: o.Offer, end: OfferEnd) -> None:
    """The leg is gone, or was never made: a colleague is free again, unless their phone has fallen silent."""
    del world.thirds[third.offer_id]
    if third.number:
        return
    for other in shared_phones.free(world, third):
        agents.done(world, other)
    standing.released(world, world.agents[third.agent_id], third.offer_id)
    if end is OfferEnd.CONNECTION_LOST:
        agents.lose(world, world.agents[third.agent_id], third.offer_id, end.value)
    else:
        agents.end(world, world.agents[third.agent_id], third.offer_id)


def end(world: World, third: o.Offer, reason: CancelReason = CancelReason.WITHDRAWN) -> None:
    """The third party is not needed any more: their leg is ended, and a colleague is free when it has."""
    is_an_offer(world, third)
    withdrawing.withdraw(world, third.offer_id, reason)


def is_an_offer(world: World, third: o.Offer) -> None:
    """From now on the leg is one of an offer like any other, and none of the talk's."""
    del world.thirds[third.offer_id]
    world.offers[third.offer_id] = third


def let_go(world: World, third: o.Offer) -> None:
    """The caller is with whoever has the number, whose leg is none of ours from now on."""
    del world.thirds[third.offer_id]


def become_the_talk(world: World, third: o.Offer) -> None:
    """The caller is with the third party: their leg is that of the next talk, which must begin at once."""
    is_an_offer(world, third)
    third.closed = False
    queue = world.calls[third.call_id].queue
    if third.queue != queue:  # they were asked for in another one; the caller stays in theirs
        third.queue = world.agents[third.agent_id].work[third.offer_id].queue = queue


def leave(world: World, offer: o.Offer) -> bool:
    """The agent's part in the talk is over: a third party who is not with the caller goes, too.

    Gives whether the agent's leg is bridged with nobody, or with the third party alone.
    """
    shape = world.shapes.pop(offer.offer_id, None)
    if shape is None:
        return False
    world.timers.clear("talk", offer.offer_id)
    asking.stop(world, shape)
    since_ms = shape.held_since_ms
    held_ms = shape.held_ms + (told_ms(world, since_ms) - since_ms if since_ms is not None else 0)
    offer.held_ms, offer.holds, offer.consults = held_ms, shape.holds, shape.consults
    if shape.third is not None:
        end(world, shape.third)
    return shape.pair is not Pair.CALLER_AGENT
