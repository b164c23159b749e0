"""A phone rings for one call at a time, whoever is logged in at it.

Colleagues who share a desk have the same contact. While one of them is rung or talks there, the others' phone is in a
call that is not theirs: they are busy, as if somebody had called them (`Agent.outside`), from the decision on, until
the leg has ended. An agent's own leg keeps themselves busy, too, when they are free before it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from fsacd.core import agent as a
from fsacd.core import contact
from fsacd.core import offer as o
from fsacd.core.events import Leg
from fsacd.core.life import roster
from fsacd.core.life.world import World
from fsacd.core.shape import with_thirds


def join(world: World, agent: a.Agent) -> None:
    """Enter the agent at their phones. To be called before they can be rung."""
    for phone in contact.endpoints(agent.contact):
        world.lines[phone] = (*world.lines.get(phone, ()), agent.agent_id)


def leave(world: World, agent: a.Agent) -> None:
    """Remove the agent from their phones; calls of others there do not keep them busy any more."""
    for phone in contact.endpoints(agent.contact):
        there = tuple(other for other in world.lines.get(phone, ()) if other != agent.agent_id)
        if there:
            world.lines[phone] = there
        else:
            world.lines.pop(phone, None)
    for offer in [world.offers[leg.uuid] for leg in agent.outside if leg.uuid in world.offers]:
        offer.keeps_busy = tuple(other for other in offer.keeps_busy if other != agent.agent_id)
        agent.outside.pop(_leg(offer), None)  # told by another switch, it has another name


def move(world: World, agent: a.Agent, to: str) -> None:
    """Move the agent to this contact; offers and talks of colleagues there keep them busy."""
    if to != agent.contact:
        leave(world, agent)
        agent.contact = to
        world.changed_agents[agent.agent_id] = None
        join(world, agent)
        phones = frozenset(contact.endpoints(to))
        # Whoever rang or talks there may have gone to another phone meanwhile, so all offers are looked at.
        for offer in with_thirds(world.offers, world.shapes):
            if not (phones.isdisjoint(contact.endpoints(offer.contact)) or _holds(agent, offer)):
                _keep_busy(world, offer, agent)


def meet(world: World, newcomers: Iterable[a.Agent]) -> None:
    """New agents have joined: offers and talks of colleagues at their phones keep them busy."""
    in_use: dict[str, list[o.Offer]] = {}
    for offer in with_thirds(world.offers, world.shapes):
        for phone in contact.endpoints(offer.contact):
            in_use.setdefault(phone, []).append(offer)
    for agent in newcomers if in_use else ():
        for phone in contact.endpoints(agent.contact):
            for offer in in_use.get(phone, ()):
                _keep_busy(world, offer, agent)


def take(world: World, offer: o.Offer) -> None:
    """An agent is rung or talks: nobody else is rung at that phone."""
    for phone in contact.endpoints(offer.contact):
        there = world.lines.get(phone, ())
        if len(there) > 1:
            # Sorted: a restored engine does not know who has come to the phone first.
            for agent_id in sorted(other for other in there if other != offer.agent_id):
                _keep_busy(world, offer, world.agents[agent_id])


def take_own(offer: o.Offer, agent: a.Agent) -> None:
    """The agent's talk is over and their leg is still there: they are not rung until it ends, whatever their state.

    `roster.settle` must follow.
    """
    _note_busy(offer, agent)


def free(world: World, offer: o.Offer) -> list[a.Agent]:
    """The offer's leg is gone. Returns the agents whom nothing keeps busy any more."""
    found = []
    for agent_id in offer.keeps_busy:
        agent = world.agents.get(agent_id)
        if agent is not None:
            agent.outside.pop(_leg(offer), None)
            if not agent.outside:
                found.append(agent)
    offer.keeps_busy = ()
    return found


def _keep_busy(world: World, offer: o.Offer, agent: a.Agent) -> None:
    if _note_busy(offer, agent):
        roster.settle(world, agent)


def _note_busy(offer: o.Offer, agent: a.Agent) -> bool:
    if agent.agent_id in offer.keeps_busy:
        return False
    offer.keeps_busy = (*offer.keeps_busy, agent.agent_id)
    agent.outside[_leg(offer)] = None
    return True


def _holds(agent: a.Agent, offer: o.Offer) -> bool:
    """Whether the agent is rung or talks for this offer now; a leg that is only still ending does not count."""
    work = agent.work.get(offer.offer_id)
    return work is not None and not isinstance(work.state, a.WrappingUp)


def _leg(offer: o.Offer) -> Leg:
    return Leg(offer.switch, offer.offer_id)
