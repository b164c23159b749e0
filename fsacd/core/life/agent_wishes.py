"""What an agent asks for, or somebody for them. A refusal says why; a change is recorded with who asked for it."""

from __future__ import annotations

from dataclasses import replace

from fsacd.core import agent as a
from fsacd.core import choices
from fsacd.core import offer as o
from fsacd.core.commands import CancelReason
from fsacd.core.events import (
    AgentChangeAsked,
    AgentCodedWrapUp,
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
from fsacd.core.fact import NOTHING
from fsacd.core.life import agents, calls, changes, log_ins, roster, shaping, thirds, withdrawing, wrap_ups
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
            return _ask_for(world, agent, a.LOGGED_OUT, event.by)
        case AgentSetReady():
            return _set_ready(world, agent, event.by)
        case AgentSetNotReady():
            reason = _reason(world, event.reason)
            if reason is None:
                return _no_such_reason(world, event.reason)
            return _ask_for(world, agent, a.NotReady(reason), event.by)
        case AgentEndedWrapUp():
            return _end_wrap_up(world, agent, event.by)
        case AgentSetReadyFor() | AgentSetNotReadyFor():
            return _take_queues_break(world, agent, event)
        case AgentCodedWrapUp():
            return _code(world, agent, event)
        case AgentChangeAsked():
            return _change(world, agent, event)


_FIXED = "wrap-up takes its fixed time"


def _log_in(world: World, agent: a.Agent, event: AgentLoggedIn) -> str | None:
    """The agent is at work: ready, or not, as they say, whether they were at work before or not."""
    agents.go_to(world, agent, event.contact or agent.rules.contact)
    roster.look_from_there(world, agent)
    log_ins.move(world, agent, event.by)
    agents.is_there(world, agent)
    agent.in_vain = NOTHING  # they may be at another phone, and they are certainly there
    if isinstance(agent.state, a.LoggedOut):
        agent.idle_since_ms = world.now_ms
    if event.ready:
        missing = wrap_ups.refusal_of_last(world, agent) is not None
        roster.set_presence(world, agent, a.NotReady(wrap_ups.CODE_MISSING) if missing else a.READY, event.by)
        roster.settle(world, agent, event.by)
        return None
    if isinstance(agent.presence, a.NotReady):
        return None  # the reason of the break stays
    if isinstance(agent.presence, a.LoggedOut):
        roster.set_presence(world, agent, a.NotReady(), event.by)
        roster.settle(world, agent, event.by)
        return None
    return _ask_for(world, agent, a.NotReady(), event.by)


def _set_ready(world: World, agent: a.Agent, by: str) -> str | None:
    if isinstance(agent.state, a.LoggedOut):
        return f"agent {agent.agent_id} is logged out"
    wanted_calls = isinstance(agent.presence, a.Ready)
    if not wanted_calls and (refused := wrap_ups.refusal_of_last(world, agent)) is not None:
        return refused
    roster.set_presence(world, agent, a.READY, by)
    refused = None
    if any(isinstance(work.state, a.WrappingUp) for work in agent.work.values()):
        refused = _end_wrap_up(world, agent, by)
        if refused is None:
            agent.in_vain = NOTHING
    elif isinstance(agent.state, a.NotReady | a.HeldBack):
        agent.in_vain = NOTHING
        if agent.held_back is not None:
            roster.end_hold(world, agent)
    roster.settle(world, agent, by)
    # Whoever had asked for a break has got what they ask for now: they go on with their work, and are ready then.
    return refused if wanted_calls else None


def _end_wrap_up(world: World, agent: a.Agent, by: str) -> str | None:
    """End all wrap-up that the agent may end. Refused if there is none."""
    held = [work for work in agent.work.values() if isinstance(work.state, a.WrappingUp)]
    if not held:
        return f"agent {agent.agent_id} is not in wrap-up"
    refusals = {work.offer_id: _stays(world, work) for work in held}
    mine = [offer_id for offer_id, why in refusals.items() if why is None]
    for offer_id in mine:
        roster.end_work(world, agent, offer_id, by)
    agents.done(world, agent, by)
    return None if mine else next(iter(refusals.values()))


def _stays(world: World, work: a.Work) -> str | None:
    """Why the agent may not end this wrap-up; None: they may."""
    if isinstance(work.state, a.WrappingUp) and work.state.ends is WrapUp.FIXED:
        return _FIXED
    # What was no talk has nothing to be said of.
    return wrap_ups.refusal(world, work.queue, work.said) if work.said is not None else None


def _code(world: World, agent: a.Agent, event: AgentCodedWrapUp) -> str | None:
    """Codes and a note for a talk. Whoever was not ready for want of a code is ready when it is there."""
    refused = wrap_ups.code(world, agent, event)
    waited = agent.presence == a.NotReady(wrap_ups.CODE_MISSING)
    if refused is None and waited and wrap_ups.refusal_of_last(world, agent) is None:
        roster.set_presence(world, agent, a.READY, event.by)
        roster.settle(world, agent, event.by)
    return refused


def _reason(world: World, given: str) -> str | None:
    """The reason that is meant: any text where none are configured, else one of those; None: it is none."""
    reasons = world.rules.not_ready_reasons
    return choices.find(reasons, given) if reasons else given


def _no_such_reason(world: World, given: str) -> str:
    return choices.refusal(world.rules.not_ready_reasons, given, "reason")


def _ask_for(world: World, agent: a.Agent, wish: a.LoggedOut | a.NotReady, by: str) -> str | None:
    """A break or the end of work, at once. What rings is withdrawn; a talk and a break's wrap-up go on."""
    if isinstance(agent.state, a.LoggedOut):
        return None if isinstance(wish, a.LoggedOut) else f"agent {agent.agent_id} is logged out"
    roster.set_presence(world, agent, wish, by)
    for work in list(agent.work.values()):
        match work.state:
            case a.Offered(offer_id, _):
                _stop_ringing(world, offer_id)
            case a.WrappingUp() if isinstance(wish, a.LoggedOut):
                roster.end_work(world, agent, work.offer_id, by)
            case a.Talking() | a.WrappingUp():
                pass
    agents.done(world, agent, by)
    return None


def _stop_ringing(world: World, offer_id: str) -> None:
    """The agent wants no calls, and their phone rings: their wish takes effect as soon as it is silent.

    Whoever has answered gets the talk: the caller hears them in a moment.
    """
    offer = world.offers.get(offer_id)
    if offer is None:
        talk = thirds.talk_of(world, offer_id)
        assert talk is not None
        shaping.cancel(world, talk)  # a colleague asks them, who goes back to the caller
    elif isinstance(offer.state, o.OfferRinging):
        withdrawing.withdraw(world, offer_id, CancelReason.WITHDRAWN)
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
        case AgentSetNotReadyFor():
            reason = _reason(world, event.reason)
            if reason is None:
                return _no_such_reason(world, event.reason)
            if known is not None and known.reason == reason:
                return None
            detail = f"{queue}: {reason}" if reason else queue
            changes.record(world, "agent_not_ready_for", agent.agent_id, detail, event.by)
            roster.rest(world, agent, queue, a.NotReadyFor(reason, known.since_ms if known else world.now_ms))
            for work in list(agent.work.values()):
                # Being asked by a colleague is no call of the queue.
                offer = world.offers.get(work.offer_id) if isinstance(work.state, a.Offered) else None
                if offer is not None and offer.queue == queue:
                    _stop_ringing(world, work.offer_id)
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
