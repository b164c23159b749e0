"""What the switch tells of standing legs, and their deadlines."""

from __future__ import annotations

from typing import Final, assert_never

from fsacd.core import agent as a
from fsacd.core import offer as o
from fsacd.core.commands import CancelOffer, CancelReason, EndStandingLeg, ReturnStandingLeg
from fsacd.core.events import (
    Leg,
    OutsideCallEnded,
    OutsideCallStarted,
    OutsideEvent,
    StandingEvent,
    StandingLegEnded,
    StandingLegUp,
)
from fsacd.core.life import absence, agents, roster, standing, thirds
from fsacd.core.life.world import World
from fsacd.core.records import StandingLegLost
from fsacd.core.standing_leg import LIVE, Stand, StandingLeg

# Why an agent is not ready whose leg was not answered, or has ended soon, so often in a row.
NOT_STANDING: Final = "standing_leg"
_FAILURES: Final = 3
# A leg that ends within this has not stood.
_SOON_MS: Final = 10_000
_STEP_MS: Final = 1_000
_TRIES: Final = 3
# How long a leg has to tell of itself after the link came back, and a phone to be told of an end, before it is rung.
_TOLD_MS: Final = 500


def of_phone(world: World, event: OutsideEvent | StandingEvent) -> None:
    """What an agent's phone is in beside offers: a call that is not ours, or its standing leg."""
    match event:
        case OutsideCallStarted() | OutsideCallEnded():
            agents.outside_call(world, event)
        case StandingLegUp():
            _up(world, event)
        case StandingLegEnded():
            _ended(world, event)


def _up(world: World, event: StandingLegUp) -> None:
    agent = world.agents.get(event.agent_id)
    leg = agent.standing if agent is not None else None
    if agent is None or leg is None or leg.leg != event.leg.uuid or leg.state not in LIVE:
        _stranger(world, agent, event.leg)
        return
    match leg.state:
        case Stand.RINGING:
            leg.stands_since_ms = world.now_ms
            standing.move(world, agent, leg, Stand.STANDS)
        case Stand.RETURNING:
            standing.move(world, agent, leg, Stand.STANDS)
        case Stand.USED:
            # Told before the end of the offer's leg. Else it was told just before the offer was made, or means nothing.
            offer = world.offers.get(leg.offer_id)
            leg.is_back = event.back and offer is not None and isinstance(offer.state, o.OfferEnding)
        case Stand.ENDING:
            world.command(EndStandingLeg(leg.leg, leg.switch))  # answered while it was ended
        case _:
            pass  # it says so every ten seconds
    roster.settle(world, agent)


def is_known(world: World, event: StandingLegUp) -> bool:
    """Whether the fact tells nothing new, as most of them do."""
    agent = world.agents.get(event.agent_id)
    leg = agent.standing if agent is not None else None
    return leg is not None and leg.leg == event.leg.uuid and leg.state is Stand.STANDS


def _stranger(world: World, agent: a.Agent | None, where: Leg) -> None:
    """A leg of an earlier daemon, or one that was given up: it is the agent's, if they have and want one."""
    if agent is None or not standing.wants(agent) or agent.rules.switch != where.switch:
        world.command(EndStandingLeg(where.uuid, where.switch))
        return
    leg = agent.standing
    if leg is not None and leg.state is Stand.RINGING:
        world.command(EndStandingLeg(leg.leg, leg.switch))  # it was rung while this one stood unseen
    elif leg is not None and leg.state in LIVE:
        world.command(EndStandingLeg(where.uuid, where.switch))
        return
    standing.drop(world, agent)
    agent.standing = StandingLeg(where.uuid, where.switch, agent.contact, Stand.STANDS, world.now_ms, world.now_ms)
    world.standing[where.uuid] = agent.agent_id
    world.changed_agents[agent.agent_id] = None
    roster.settle(world, agent)


def _ended(world: World, event: StandingLegEnded) -> None:
    agent = world.agents.get(world.standing.get(event.leg.uuid, ""))
    leg = agent.standing if agent is not None else None
    if agent is None or leg is None:
        return  # told twice; or its agent is gone
    if leg.state is Stand.ENDING:
        _next(world, agent, leg)
        return
    stood_ms = world.now_ms - leg.stands_since_ms if leg.state is not Stand.RINGING else 0
    was_used = leg.state is Stand.USED
    world.record(StandingLegLost(agent.agent_id, event.cause, world.now_ms))
    if event.sent:
        leg.failures = 1 if stood_ms >= _SOON_MS else leg.failures + 1
    if was_used:
        leg.fell_silent = event.silent
        _end_offer(world, leg)
    _down(world, agent, leg)
    roster.settle(world, agent)


def _down(world: World, agent: a.Agent, leg: StandingLeg) -> None:
    """There is no leg any more: it is rung anew after a pause, or given up."""
    if leg.failures < _FAILURES:
        standing.down(world, agent, leg, None if leg.failures else _TOLD_MS)
        return
    world.standing.pop(leg.leg, None)
    standing.move(world, agent, leg, Stand.GIVEN_UP)
    if isinstance(agent.presence, a.Ready):
        roster.set_presence(world, agent, a.NotReady(NOT_STANDING), agents.FSACD)


def _end_offer(world: World, leg: StandingLeg) -> None:
    """The agent has gone, and the offer's leg with them, except if the two were about to be bridged."""
    offer = world.offers.get(leg.offer_id)
    if offer is None and (talk := thirds.talk_of(world, leg.offer_id)) is not None:
        offer = world.shapes[talk.offer_id].third
    if offer is not None and not isinstance(offer.state, o.OfferEnding):
        world.command(CancelOffer(offer.offer_id, offer.switch, CancelReason.TALK_OVER, offer.named_legs))


def _next(world: World, agent: a.Agent, leg: StandingLeg) -> None:
    """A leg that was to end has ended, or is given up."""
    if standing.wants(agent):
        _down(world, agent, leg)
    else:
        standing.drop(world, agent)
    roster.settle(world, agent)


def deadline(world: World, agent_id: str) -> None:
    """The time of a leg's state is over."""
    agent = world.agents[agent_id]
    leg = agent.standing
    assert leg is not None
    if leg.state is not Stand.DOWN and not world.switches.get(leg.switch, False):
        # Nobody can tell how it stands; the switch does when it is back.
        standing.move(world, agent, leg, leg.state, absence.until_ms(world, leg.switch))
        return
    match leg.state:
        case Stand.DOWN:
            standing.again(world, agent)
        case Stand.RINGING:
            leg.failures += 1
            world.record(StandingLegLost(agent_id, "NO_ANSWER", world.now_ms))
            standing.end(world, agent, leg)
        case Stand.RETURNING if leg.tries < _TRIES:
            leg.tries += 1
            standing.move(world, agent, leg, Stand.RETURNING, world.now_ms + _STEP_MS)
            world.command(ReturnStandingLeg(leg.leg, leg.switch))
        case Stand.RETURNING:
            world.anomaly(
                "offer_unconfirmed", f"the standing leg of agent {agent_id} did not come back, and is rung anew"
            )
            standing.end(world, agent, leg)
        case Stand.ENDING if leg.tries < _TRIES:
            standing.end(world, agent, leg)
        case Stand.ENDING:
            world.anomaly("offer_unconfirmed", f"the standing leg of agent {agent_id} did not end in time")
            _next(world, agent, leg)
        case Stand.STANDS | Stand.USED | Stand.GIVEN_UP:
            raise AssertionError(f"a standing leg in {leg.state} has no deadline")
        case _:
            assert_never(leg.state)
    roster.settle(world, agent)


# --- switches and rules --------------------------------------------------------------------------------------------


def switch_is_back(world: World, switch: str) -> None:
    """Deadlines that have waited for the switch come soon."""
    for agent in _there(world, switch):
        at_ms = world.timers.at(standing.TIMER, agent.agent_id)
        if at_ms is not None and at_ms > world.now_ms + _TOLD_MS:
            world.timers.set(standing.TIMER, agent.agent_id, world.now_ms + _TOLD_MS)


def switch_lost_all(world: World, switch: str) -> None:
    """No leg is left on the switch, or none that is ours: they are rung anew when it can be done."""
    for agent in _there(world, switch):
        leg = agent.standing
        assert leg is not None
        if leg.state in LIVE:
            standing.down(world, agent, leg, _TOLD_MS)
            roster.settle(world, agent)


def _there(world: World, switch: str) -> list[a.Agent]:
    return [agent for agent in world.agents.values() if agent.standing is not None and agent.standing.switch == switch]


def rules_changed(world: World) -> None:
    """After a change of the rules: who is to have a leg now has one, and nobody else."""
    for agent in list(world.agents.values()):
        if agent.rules.standing_leg or agent.standing is not None:
            roster.settle(world, agent)
