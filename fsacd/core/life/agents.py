"""What state an agent comes into when an offer, a talk, a pause or a call of their own is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from fsacd.core import agent as a
from fsacd.core.events import Leg, OutsideCallEnded, OutsideCallStarted, OutsideEvent
from fsacd.core.fact import NOTHING
from fsacd.core.life import log_ins, roster, shared_phones, standing
from fsacd.core.life.world import World
from fsacd.core.rules import AgentRules, Cause, WrapUp


def go_to(world: World, agent: a.Agent, contact: str) -> None:
    """Move the agent to this phone. Calls at the phone they leave do not keep them busy any more.

    `log_ins.move` must follow, when it is known which switches can ring them there.
    """
    shared_phones.move(world, agent, contact)
    roster.settle(world, agent)


def done(world: World, agent: a.Agent, by: str = "") -> None:
    """The agent has less to do than before. Whoever is gone from the configuration goes with the last of it."""
    if agent.removed and agent.live is None:
        _let_go(world, agent, by)
        return
    roster.settle(world, agent, by)
    if agent.work and not isinstance(agent.presence, a.Ready):
        roster.recount(world, agent)  # they want no more, though their state does not show it yet


def come_to_nothing(world: World, agent: a.Agent, offer_id: str, reason: str, for_ms: int, by: str = "") -> None:
    """An offer came to nothing: the agent is not rung for a while, unless they want no calls anyway."""
    roster.end_work(world, agent, offer_id, by)
    if isinstance(agent.presence, a.Ready) and not agent.removed and for_ms > 0:
        roster.hold(world, agent, reason, for_ms)
    done(world, agent, by)


def in_vain(world: World, agent: a.Agent, cause: Cause, limit: int) -> bool:
    """Count an offer that came to nothing. At the limit the agent is not ready, and this returns True.

    `roster.settle` must follow.
    """
    times = agent.in_vain.get(cause, 0) + 1
    agent.in_vain = {**agent.in_vain, cause: times}
    at_limit = bool(limit) and times >= limit
    if not at_limit or agent.removed or not isinstance(agent.presence, a.Ready):
        return False
    agent.in_vain = NOTHING
    roster.set_presence(world, agent, a.NotReady(cause.value), FSACD)
    return True


def wrap_up(world: World, agent: a.Agent, offer_id: str, for_ms: int, ends: WrapUp) -> None:
    """A talk is over, and the agent's leg has ended (or they have work to do until long after its end)."""
    agent.idle_since_ms = world.now_ms
    if for_ms <= 0 or agent.removed or isinstance(agent.presence, a.LoggedOut):
        roster.end_work(world, agent, offer_id)
    else:
        roster.move_work(world, agent, offer_id, a.WrappingUp(world.now_ms + for_ms, ends=ends))
    done(world, agent)


def lose(world: World, agent: a.Agent, offer_id: str, reason: str) -> None:
    """The agent's connection was lost in the talk: they are not ready for this reason, and have nothing to wrap up."""
    agent.idle_since_ms = world.now_ms
    if isinstance(agent.presence, a.Ready) and not agent.removed:
        roster.set_presence(world, agent, a.NotReady(reason), FSACD)
    end(world, agent, offer_id, FSACD)


def wrap_up_until_leg_ends(world: World, agent: a.Agent, offer_id: str, give_up_ms: int) -> None:
    """A talk is over and no work follows, but the agent's leg is still there: their phone would be busy."""
    agent.idle_since_ms = world.now_ms
    roster.move_work(world, agent, offer_id, a.WrappingUp(give_up_ms, offer_id))
    roster.settle(world, agent)


def leg_ended(world: World, agent: a.Agent, offer_id: str) -> None:
    """A leg of the agent has ended: they become free, if their wrap-up only waited for it."""
    work = agent.work.get(offer_id)
    if work is not None and isinstance(work.state, a.WrappingUp) and work.state.leg == offer_id:
        end(world, agent, offer_id)


def end(world: World, agent: a.Agent, offer_id: str, by: str = "") -> None:
    """A piece of work is over, and nothing follows."""
    roster.end_work(world, agent, offer_id, by)
    done(world, agent, by)


def pause_over(world: World, agent_id: str) -> None:
    """The first of the agent's pauses has run out: wrap-up, or the time for which they are held back."""
    agent = world.agents[agent_id]
    later_ms, by = [], ""
    for work in list(agent.work.values()):
        state = work.state
        if not isinstance(state, a.WrappingUp):
            continue
        if state.until_ms > world.now_ms:
            later_ms.append(state.until_ms)
        elif state.leg in world.offers:
            # The agent's leg is still asked to end: a daemon that was away has not done so yet, or its switch is away.
            # With the leg's end the agent is free, so there is nothing to look at before the leg's own deadline.
            ends_ms = world.timers.at("offer", state.leg) or world.now_ms
            later_ms.append(max(ends_ms, world.now_ms) + _LEG_LOOK_MS)
        else:
            if state.ends is WrapUp.UNTIL_READY and isinstance(agent.presence, a.Ready):
                # Only the agent could end it and has not: they may not be at their desk, so nothing is offered to them.
                by = FSACD
                roster.set_presence(world, agent, a.NotReady("wrap_up_not_ended"), by)
            roster.end_work(world, agent, work.offer_id, by)
    if agent.held_back is not None and agent.held_back.until_ms <= world.now_ms:
        roster.end_hold(world, agent)
    elif agent.held_back is not None:
        later_ms.append(agent.held_back.until_ms)
    if later_ms:
        world.timers.set("agent", agent_id, min(later_ms))
    done(world, agent, by)


def outside_call(world: World, event: OutsideEvent) -> None:
    """The agent's phone is in a call that is not ours, or is not any more."""
    agent = world.agents.get(event.agent_id)
    if agent is None:
        return  # the switch may know more phones than we have agents
    match event:
        case OutsideCallStarted():
            if len(agent.outside) < _OUTSIDE_LIMIT:
                agent.outside[event.leg] = None
                world.miss(event.leg.switch)
            roster.settle(world, agent)
        case OutsideCallEnded() if _is_kept_busy(world, agent, event.leg):
            pass  # a colleague's offer at the same phone keeps them busy until the phone has been told of its end
        case OutsideCallEnded():
            agent.outside.pop(event.leg, None)
            roster.settle(world, agent)


def _is_kept_busy(world: World, agent: a.Agent, leg: Leg) -> bool:
    offer = world.offers.get(leg.uuid)
    return offer is not None and agent.agent_id in offer.keeps_busy


def end_outside_calls(world: World, switch: str) -> None:
    """Calls at agents' phones that are not ours have ended with the switch, too."""
    for agent in world.agents.values():
        for leg in [leg for leg in agent.outside if leg.switch == switch]:
            outside_call(world, OutsideCallEnded(agent.agent_id, leg))


def kept_busy(world: World, switch: str) -> bool:
    """Whether a leg on this switch keeps any agent busy."""
    return any(leg.switch == switch for agent in world.agents.values() for leg in agent.outside)


def is_there(world: World, agent: a.Agent) -> None:
    """The agent says that they are at their phone: calls of theirs on a switch that is away do not keep them busy.

    The switch cannot tell whether such a call goes on. If it does, the switch tells so when it is back.
    """
    for leg in [leg for leg in agent.outside if not world.switches.get(leg.switch, False)]:
        outside_call(world, OutsideCallEnded(agent.agent_id, leg))


# Who has changed an agent's presence whom nobody has asked to.
FSACD = "fsacd"
CONFIGURATION = "configuration"
_LEG_LOOK_MS = 1_000
# Legs that are not ours, per agent: a phone has a few lines.
_OUTSIDE_LIMIT = 16


def configure(
    world: World,
    rules: Mapping[str, AgentRules],
    only: Collection[str] | None = None,
    made: Mapping[str, roster.Made] | None = None,
    counted: set[str] | None = None,
) -> None:
    """Take the agents of a new configuration (`only` these), called while none of those is in the index.

    An agent who is gone from it finishes their call first. `made` and `counted`: as for `roster.configure`.
    """
    ready_made = made or {}
    known = world.agents
    taking: list[tuple[a.Agent, roster.Made]] = []
    for agent_id in list(known) if only is None else [one for one in only if one in known]:
        agent = known[agent_id]
        found = ready_made.get(agent_id)
        if found is not None and _takes(agent, found) and found.rules is rules.get(agent_id):
            taking.append((agent, found))
        elif agent_id in rules:
            _configure(world, agent, rules[agent_id], ready_made.get(agent_id), counted)
        else:
            agent.configured = AgentRules(agent_id, name=agent.rules.name, contact=agent.rules.contact)
            roster.configure(world, agent, agent.configured, counted=counted)
            agent.removed = True
    if taking and counted is not None:
        roster.take(world, taking, counted)
    new = [agent_id for agent_id in (rules if only is None else only) if agent_id in rules and agent_id not in known]
    for agent_id in new:
        roster.add(world, rules[agent_id], ready_made.get(agent_id), counted)
        shared_phones.join(world, known[agent_id])
    shared_phones.meet(world, map(known.__getitem__, new))


def _takes(agent: a.Agent, made: roster.Made) -> bool:
    """Whether other rules are all that there is to it: nothing was changed by hand, and nobody moves."""
    before = agent.rules
    return (
        before is agent.configured
        and agent.contact == before.contact == made.rules.contact == made.contact
        and not (agent.not_ready_for or agent.removed)
    )


def _configure(
    world: World, agent: a.Agent, rules: AgentRules, made: roster.Made | None, counted: set[str] | None
) -> None:
    if agent.contact == agent.rules.contact:
        go_to(world, agent, rules.contact)
    # What was changed by hand holds until the configuration has something new to say of the agent.
    changed_by_hand = agent.rules is not agent.configured and agent.rules != agent.configured
    if not changed_by_hand or agent.removed or rules != agent.configured:
        agent.configured = rules
        roster.configure(world, agent, rules, made, counted)
    else:
        queues = {name: how for name, how in agent.rules.queues.items() if name in world.rules.queues}
        roster.configure(world, agent, replace(agent.rules, queues=queues), counted=counted)
    agent.removed = False
    log_ins.move(world, agent, CONFIGURATION)


def drop_removed(world: World, agents: Iterable[a.Agent]) -> None:
    """Let go of those of these agents who are gone from the configuration and neither ring nor talk."""
    for agent in list(agents):
        if agent.removed and agent.live is None:
            _let_go(world, agent, CONFIGURATION)


def _let_go(world: World, agent: a.Agent, by: str) -> None:
    for offer_id in list(agent.work):
        roster.end_work(world, agent, offer_id, by)
    standing.let_go(world, agent)
    roster.set_presence(world, agent, a.LOGGED_OUT, by)
    roster.settle(world, agent, by)
    shared_phones.leave(world, agent)
    roster.forget(world, agent)
