"""An agent's standing leg follows what is wanted: rung while they are logged in, lent to their offers, ended then.

`roster.settle` lets it follow, so it is right whenever an agent has changed. `stood` has what the switch tells of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fsacd.core import agent as a
from fsacd.core import offer as o
from fsacd.core.commands import EndStandingLeg, RingStandingLeg
from fsacd.core.events import OfferEnd, OfferEnded
from fsacd.core.life import absence
from fsacd.core.life.world import World
from fsacd.core.standing_leg import LIVE, WITH_DEADLINE, Stand, StandingLeg

TIMER: Final = "standing"
# How long it rings: an agent on a public number may have to be found by several networks.
RING_MS: Final = 45_000
# The switch ends the ring by itself before this deadline of ours comes.
_RING_LATE_MS: Final = 5_000
# How long a leg may take to be back after a talk before it is ordered to, and an ended one to end.
_STEP_MS: Final = 1_000
# The pause before it is rung anew; twice as long each time in a row.
_PAUSE_MS: Final = 2_000
# While the agent's phone is in another call, it is not rung.
_LOOK_MS: Final = 2_000


def wants(agent: a.Agent) -> bool:
    """Whether the agent is to have a standing leg now."""
    return agent.rules.standing_leg and not agent.removed and not isinstance(agent.presence, a.LoggedOut)


def follow(world: World, agent: a.Agent) -> None:
    """Let the leg be as the agent is: after each change of either. The agent's room follows from it."""
    leg = agent.standing
    if leg is None:
        if wants(agent):
            agent.standing = leg = StandingLeg("", agent.rules.switch, agent.contact, Stand.DOWN, world.now_ms)
            _ring_or_wait(world, agent, leg)
        return
    if leg.state in (Stand.USED, Stand.ENDING):
        return  # a talk goes on, on whatever leg it is
    elsewhere = leg.contact != agent.contact or leg.switch != agent.rules.switch
    if not wants(agent) or elsewhere:
        leg.failures = 0
        if leg.state in LIVE:
            end(world, agent, leg)
        elif not wants(agent):
            drop(world, agent)
        else:
            _ring_or_wait(world, agent, leg)
    elif leg.state is Stand.GIVEN_UP and isinstance(agent.presence, a.Ready):
        leg.failures = 0
        _ring_or_wait(world, agent, leg)


def _ring_or_wait(world: World, agent: a.Agent, leg: StandingLeg) -> None:
    """Ring it, unless its switch is away or the agent's phone is in another call."""
    leg.contact, leg.switch = agent.contact, agent.rules.switch
    if not world.switches.get(leg.switch, False):
        move(world, agent, leg, Stand.DOWN, absence.until_ms(world, leg.switch))
    elif agent.outside or agent.live is not None:
        move(world, agent, leg, Stand.DOWN, world.now_ms + _LOOK_MS)
    else:
        # By the time, as no two legs may ever have the same name.
        seed = world.seed + world.takeovers
        leg.leg = o.offer_id(seed, f"standing leg of {agent.agent_id}", world.now_ms)
        world.standing[leg.leg] = agent.agent_id
        move(world, agent, leg, Stand.RINGING, world.now_ms + RING_MS + _RING_LATE_MS)
        phone = agent.rules.phone
        world.command(
            RingStandingLeg(leg.leg, agent.agent_id, leg.contact, leg.switch, RING_MS, phone.media_timeout_ms)
        )


def move(world: World, agent: a.Agent, leg: StandingLeg, state: Stand, until_ms: int | None = None) -> None:
    """The leg comes into this state, whose deadline is `until_ms`. `roster.settle` must follow."""
    assert (until_ms is not None) == (state in WITH_DEADLINE), f"a standing leg in {state} until {until_ms}"
    world.changed_agents[agent.agent_id] = None
    if state is not leg.state:
        leg.state, leg.since_ms, leg.tries = state, world.now_ms, 0
    if until_ms is not None:
        world.timers.set(TIMER, agent.agent_id, until_ms)
    else:
        world.timers.clear(TIMER, agent.agent_id)


def end(world: World, agent: a.Agent, leg: StandingLeg) -> None:
    """Order the leg's end. A kill can miss a leg that is just being made, so it is ordered until the leg has ended."""
    move(world, agent, leg, Stand.ENDING, world.now_ms + _STEP_MS)
    leg.tries += 1
    world.command(EndStandingLeg(leg.leg, leg.switch))


def down(world: World, agent: a.Agent, leg: StandingLeg, after_ms: int | None = None) -> None:
    """There is no leg any more; it is rung anew after a pause, if it is still wanted then."""
    world.standing.pop(leg.leg, None)
    pause_ms = _PAUSE_MS << max(0, leg.failures - 1) if after_ms is None else after_ms
    move(world, agent, leg, Stand.DOWN, world.now_ms + pause_ms)


def drop(world: World, agent: a.Agent) -> None:
    """Forget the leg, which is gone, or nobody's any more."""
    if agent.standing is not None:
        world.standing.pop(agent.standing.leg, None)
        world.timers.clear(TIMER, agent.agent_id)
        world.changed_agents[agent.agent_id] = None
        agent.standing = None


def let_go(world: World, agent: a.Agent) -> None:
    """The agent is forgotten: so is their leg, whose end is ordered once. If that misses it, it announces itself."""
    leg = agent.standing
    if leg is not None and leg.state in LIVE:
        world.command(EndStandingLeg(leg.leg, leg.switch))
    drop(world, agent)


def again(world: World, agent: a.Agent) -> None:
    """The deadline of a leg that is down has come: it is rung."""
    leg = agent.standing
    assert leg is not None
    if wants(agent):
        _ring_or_wait(world, agent, leg)
    else:
        drop(world, agent)


# --- offers --------------------------------------------------------------------------------------------------------


def lend(world: World, agent: a.Agent, offer_id: str) -> str:
    """The leg is this offer's from now on. Gives its name; empty: the agent has none, and their phone is rung."""
    leg = agent.standing
    if leg is None or leg.state is not Stand.STANDS:
        return ""
    leg.offer_id, leg.is_back, leg.fell_silent = offer_id, False, False
    move(world, agent, leg, Stand.USED)
    return leg.leg


def released(world: World, agent: a.Agent, offer_id: str) -> None:
    """The offer is over. The switch brings the leg back by itself, and says so; until then it can be lent to nobody."""
    leg = agent.standing
    if leg is None or leg.offer_id != offer_id or leg.state is not Stand.USED:
        return
    if leg.is_back:
        move(world, agent, leg, Stand.STANDS)
    else:
        move(world, agent, leg, Stand.RETURNING, world.now_ms + _STEP_MS)
    follow(world, agent)


def found_in_talk(world: World, agent: a.Agent, switch: str, name: str, offer_id: str) -> None:
    """A talk was found on the switch that uses this leg of the agent's."""
    leg = agent.standing
    if leg is None or leg.state not in LIVE or leg.leg == name:
        drop(world, agent)
        leg = agent.standing = StandingLeg(name, switch, agent.contact, Stand.STANDS, world.now_ms, world.now_ms)
        world.standing[name] = agent.agent_id
        lend(world, agent, offer_id)


def as_lost(world: World, offer: o.Offer, event: OfferEnded) -> OfferEnded:
    """The end of an offer's leg for what it is, if the standing leg has ended before because its phone fell silent."""
    agent = world.agents.get(offer.agent_id)
    leg = agent.standing if agent is not None else None
    if leg is not None and leg.fell_silent and leg.offer_id == offer.offer_id and event.end is OfferEnd.HUNG_UP:
        return replace(event, end=OfferEnd.CONNECTION_LOST)
    return event
