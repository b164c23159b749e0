"""What an agent asks for, or somebody for them. A refusal says why; a change is recorded with who asked for it."""

from __future__ import annotations

from dataclasses import replace

from fsacd.core import agent as a
from fsacd.core import offer as o
from fsacd.core.commands import CancelReason
from fsacd.core.events import (
    AgentChangeAsked,
    AgentEndedWrapUp,
    AgentEvent,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetNotReadyFor,
    AgentSetReady,
    AgentSetReadyFor,
    QueueBreakEvent,
)
from fsacd.core.life import agents, calls, changes, offers, roster
from fsacd.core.life.world import World
from fsacd.core.rules import WrapUp


def handle(world: World, event: AgentEvent) -> str | None:
    """One wish of an agent, or of somebody on their behalf. Returns why it was refused, or None."""
    agent = world.agents.get(event.agent_id)
    if agent is None or agent.removed:
        return f"there is no agent {event.agent_id!r}"
    refused = _granted(world, agent, event)
    if event.agent_id in world.agents:
        world.changed_agents[event.agent_id] = None
        roster.recount(world, agent)  # a wish that is only remembered counts, too
    return refused


def _granted(world: World, agent: a.Agent, event: AgentEvent) -> str | None:
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
            if agent.state.ends is WrapUp.FIXED:
                return _FIXED
            agents.become_free(world, agent, event.by)
            return None
        case AgentSetReadyFor() | AgentSetNotReadyFor():
            return _take_queues_break(world, agent, event)
        case AgentChangeAsked():
            return _change(world, agent, event)


_FIXED = "wrap-up takes its fixed time"


def _log_in(world: World, agent: a.Agent, event: AgentLoggedIn) -> str | None:
    """The agent is at work: ready, or not, as they say, whether they were at work before or not."""
    agents.go_to(world, agent, event.contact or agent.rules.contact)
    roster.look_from_there(world, agent)
    agents.is_there(world, agent)
    agent.in_vain.clear()  # they may be at another phone, and they are certainly there
    if isinstance(agent.then, a.LoggedOut):
        agent.then = None
    match agent.state:
        case a.LoggedOut():
            agent.idle_since_ms = world.now_ms
            roster.move(world, agent, agents.ready(agent) if event.ready else a.NotReady(), event.by)
        case a.NotReady() if event.ready:
            roster.move(world, agent, agents.ready(agent), event.by)
        case a.NotReady():
            pass  # the reason of the break stays
        case _ if event.ready:
            agent.then = None
        case _ if agent.then is None:
            return _ask_for(world, agent, a.NotReady(), event.by)
    return None


def _set_ready(world: World, agent: a.Agent, by: str) -> str | None:
    match agent.state:
        case a.LoggedOut():
            return f"agent {agent.agent_id} is logged out"
        case a.WrappingUp(ends=WrapUp.FIXED):
            if agent.then is None:
                return _FIXED
            agent.then = None
        case a.Ready() | a.Offered() | a.Talking() | a.Busy():
            agent.then = None
        case a.NotReady() | a.WrappingUp() | a.HeldBack():
            agent.then = None
            agent.in_vain.clear()
            roster.move(world, agent, agents.ready(agent), by)
    return None


def _ask_for(world: World, agent: a.Agent, wish: a.LoggedOut | a.NotReady, by: str) -> str | None:
    """A break or the end of work: at once if the agent is free for it, else remembered until they are."""
    match agent.state:
        case a.LoggedOut():
            return None if isinstance(wish, a.LoggedOut) else f"agent {agent.agent_id} is logged out"
        case a.Offered(offer_id, _):
            agent.then = wish
            _stop_ringing(world, offer_id)
        case a.Talking():
            agent.then = wish
        case a.WrappingUp():
            # A break waits for the end of wrap-up; a log-out ends wrap-up at once.
            if isinstance(wish, a.LoggedOut):
                agent.then = None
                roster.move(world, agent, wish, by)
            else:
                agent.then = wish
        case a.Ready() | a.NotReady() | a.HeldBack() | a.Busy():
            agent.then = None
            roster.move(world, agent, wish, by)
    return None


def _stop_ringing(world: World, offer_id: str) -> None:
    """The agent wants no calls, and their phone rings: their wish takes effect as soon as it is silent.

    Whoever has answered gets the talk: the caller hears them in a moment.
    """
    offer = world.offers[offer_id]
    if isinstance(offer.state, o.OfferRinging):
        offers.withdraw(world, offer_id, CancelReason.WITHDRAWN)
        calls.one_less(world, world.calls[offer.call_id], offer_id)


def _take_queues_break(world: World, agent: a.Agent, event: QueueBreakEvent) -> str | None:
    """The agent takes no calls of one queue, or takes them again. A wish that is fulfilled already changes nothing."""
    queue, known = event.queue, agent.not_ready_for.get(event.queue)
    if not world.has_queue(queue):
        return f"there is no queue {queue!r}"
    if queue not in agent.rules.queues:
        return f"agent {agent.agent_id} does not serve queue {queue}"
    if isinstance(agent.state, a.LoggedOut):
        return f"agent {agent.agent_id} is logged out"
    match event:
        case AgentSetReadyFor() if known is not None:
            changes.record(world, "agent_ready_for", agent.agent_id, queue, event.by)
            roster.rest(world, agent, queue, None)
        case AgentSetNotReadyFor() if known is None or known.reason != event.reason:
            detail = f"{queue}: {event.reason}" if event.reason else queue
            changes.record(world, "agent_not_ready_for", agent.agent_id, detail, event.by)
            roster.rest(world, agent, queue, a.NotReadyFor(event.reason, known.since_ms if known else world.now_ms))
            if isinstance(agent.state, a.Offered) and world.offers[agent.state.offer_id].queue == queue:
                _stop_ringing(world, agent.state.offer_id)
    return None


def _change(world: World, agent: a.Agent, event: AgentChangeAsked) -> str | None:
    """Other skills, other queues."""
    unknown = sorted(set(event.queues or ()) - set(world.rules.queues))
    if unknown:
        return f"there is no queue {unknown[0]!r}"
    if event.skills is None and event.queues is None:
        return "nothing was asked to be changed"
    done, rules = [], agent.rules
    if event.skills is not None:
        done.append(f"skills {changes.told(rules.skills)} to {changes.told(event.skills)}")
        rules = replace(rules, skills=event.skills)
    if event.queues is not None:
        done.append(f"queues {' '.join(sorted(rules.queues)) or 'none'} to {' '.join(sorted(event.queues)) or 'none'}")
        rules = replace(rules, queues=event.queues)
    changes.record(world, "agent_changed", agent.agent_id, ", ".join(done), event.by)
    roster.change(world, agent, rules)
    return None
