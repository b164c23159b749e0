"""What an agent asks for, and what state he comes into when an offer, a talk or a pause is over."""

from __future__ import annotations

from fsacd.core import agent as a
from fsacd.core.events import (
    AgentEndedWrapUp,
    AgentEvent,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetReady,
)
from fsacd.core.rules import AgentRules
from fsacd.core.world import World


def handle(world: World, event: AgentEvent) -> str | None:
    """One wish of an agent, or of somebody for him. Returns why it was refused, or None."""
    agent = world.agents.get(event.agent_id)
    if agent is None or agent.removed:
        return f"there is no agent {event.agent_id!r}"
    match event:
        case AgentLoggedIn():
            return _log_in(world, agent, event)
        case AgentLoggedOut():
            return _ask_for(world, agent, a.LoggedOut(), event.by)
        case AgentSetReady():
            return _set_ready(world, agent, event.by)
        case AgentSetNotReady():
            return _ask_for(world, agent, a.NotReady(event.reason), event.by)
        case AgentEndedWrapUp():
            if not isinstance(agent.state, a.WrappingUp):
                return f"agent {agent.agent_id} is not in wrap-up"
            become_free(world, agent, event.by)
            return None


def _log_in(world: World, agent: a.Agent, event: AgentLoggedIn) -> str | None:
    agent.contact = event.contact or agent.rules.contact
    if isinstance(agent.then, a.LoggedOut):
        agent.then = None
    if isinstance(agent.state, a.LoggedOut):
        agent.idle_since_ms = world.now_ms
        world.move_agent(agent, a.Ready() if event.ready else a.NotReady(), event.by)
    return None


def _set_ready(world: World, agent: a.Agent, by: str) -> str | None:
    match agent.state:
        case a.LoggedOut():
            return f"agent {agent.agent_id} is logged out"
        case a.Ready() | a.Offered() | a.Talking():
            agent.then = None
        case a.NotReady() | a.WrappingUp() | a.HeldBack():
            agent.then = None
            world.move_agent(agent, a.Ready(), by)
    return None


def _ask_for(world: World, agent: a.Agent, wish: a.LoggedOut | a.NotReady, by: str) -> str | None:
    """A break or the end of work: at once if he is free for it, else remembered until he is."""
    match agent.state:
        case a.LoggedOut():
            return None if isinstance(wish, a.LoggedOut) else f"agent {agent.agent_id} is logged out"
        case a.Offered() | a.Talking():
            agent.then = wish
        case a.WrappingUp():
            # A break waits for the wrap-up; whoever goes home does not finish it.
            if isinstance(wish, a.LoggedOut):
                agent.then = None
                world.move_agent(agent, wish, by)
            else:
                agent.then = wish
        case a.Ready() | a.NotReady() | a.HeldBack():
            agent.then = None
            world.move_agent(agent, wish, by)
    return None


def become_free(world: World, agent: a.Agent, by: str = "") -> None:
    """Nothing holds the agent any more: he gets what he asked for meanwhile, or is ready."""
    wish, agent.then = agent.then, None
    world.move_agent(agent, a.LoggedOut() if agent.removed else wish or a.Ready(), by)
    if agent.removed:
        _drop(world, agent)


def hold_back(world: World, agent: a.Agent, reason: str, for_ms: int) -> None:
    """An offer came to nothing: do not ring him for a while. A wish of his takes effect instead."""
    if agent.then is not None or agent.removed or for_ms <= 0:
        become_free(world, agent)
    else:
        world.move_agent(agent, a.HeldBack(reason, world.now_ms + for_ms))


def wrap_up(world: World, agent: a.Agent, for_ms: int) -> None:
    """A talk is over, and the agent's leg has ended (or he has work to do until long after its end)."""
    agent.idle_since_ms = world.now_ms
    if for_ms <= 0 or agent.removed or isinstance(agent.then, a.LoggedOut):
        become_free(world, agent)
    else:
        world.move_agent(agent, a.WrappingUp(world.now_ms + for_ms))


def wrap_up_until_leg_ends(world: World, agent: a.Agent, offer_id: str, give_up_ms: int) -> None:
    """A talk is over and no work follows, but the agent's leg is still there: his phone would be busy."""
    agent.idle_since_ms = world.now_ms
    world.move_agent(agent, a.WrappingUp(give_up_ms, offer_id))


def leg_ended(world: World, agent: a.Agent, offer_id: str) -> None:
    """A leg of his has ended: he is free, if that is what he waited for."""
    if isinstance(agent.state, a.WrappingUp) and agent.state.leg == offer_id:
        become_free(world, agent)


def pause_over(world: World, agent_id: str) -> None:
    """Wrap-up or hold-back has run out."""
    become_free(world, world.agents[agent_id])


def configure(world: World, rules: dict[str, AgentRules]) -> None:
    """Take the agents of a new configuration; called while none of them is in the index.

    An agent who is gone from it finishes his call first.
    """
    for agent_id, agent in list(world.agents.items()):
        if agent_id in rules:
            if agent.contact == agent.rules.contact:
                agent.contact = rules[agent_id].contact
            agent.configure(rules[agent_id])
            agent.removed = False
        else:
            agent.configure(AgentRules(agent_id, name=agent.rules.name, contact=agent.rules.contact))
            agent.removed = True
    for agent_id, agent_rules in rules.items():
        if agent_id not in world.agents:
            agent = a.Agent(agent_rules, contact=agent_rules.contact)
            agent.configure(agent_rules)
            world.add_agent(agent)


def drop_removed(world: World) -> None:
    """Let go of the agents who are gone from the configuration and hold no call."""
    for agent in list(world.agents.values()):
        if agent.removed and not isinstance(agent.state, a.Offered | a.Talking):
            if not isinstance(agent.state, a.LoggedOut):
                world.move_agent(agent, a.LoggedOut(), "configuration")
            _drop(world, agent)


def _drop(world: World, agent: a.Agent) -> None:
    world.timers.clear("agent", agent.agent_id)
    del world.agents[agent.agent_id]
