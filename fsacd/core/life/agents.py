"""What state an agent comes into when an offer, a talk, a pause or a call of their own is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from fsacd.core import agent as a
from fsacd.core.events import Leg, OutsideCallEnded, OutsideCallStarted, OutsideEvent
from fsacd.core.life import roster, shared_phones
from fsacd.core.life.world import World
from fsacd.core.rules import AgentRules, Cause, WrapUp

_READY, _BUSY = a.Ready(), a.Busy()


def ready(agent: a.Agent) -> a.Ready | a.Busy:
    """The state of an agent who wants calls: ready, unless their phone is in a call that is not ours."""
    return _BUSY if agent.outside else _READY


def go_to(world: World, agent: a.Agent, contact: str) -> None:
    """Move the agent to this phone. Calls at the phone they leave do not keep them busy any more."""
    shared_phones.move(world, agent, contact)
    if isinstance(agent.state, a.Busy) and not agent.outside:
        become_free(world, agent)


def become_free(world: World, agent: a.Agent, by: str = "") -> None:
    """Nothing holds the agent any more: they get what they asked for meanwhile, or are ready."""
    wish, agent.then = agent.then, None
    roster.move(world, agent, a.LoggedOut() if agent.removed else wish or ready(agent), by)
    if agent.removed:
        _drop(world, agent)


def hold_back(world: World, agent: a.Agent, reason: str, for_ms: int) -> None:
    """An offer came to nothing: do not ring the agent for a while, unless they have asked for a break or a log-out."""
    if agent.then is not None or agent.removed or for_ms <= 0:
        become_free(world, agent)
    else:
        roster.move(world, agent, a.HeldBack(reason, world.now_ms + for_ms))


def in_vain(world: World, agent: a.Agent, cause: Cause, limit: int) -> bool:
    """Count an offer that came to nothing. At the limit the agent becomes not ready, and this returns True."""
    agent.in_vain[cause] = agent.in_vain.get(cause, 0) + 1
    if not limit or agent.in_vain[cause] < limit or agent.removed or agent.then is not None:
        return False
    agent.in_vain.clear()
    roster.move(world, agent, a.NotReady(cause.value), "fsacd")
    return True


def wrap_up(world: World, agent: a.Agent, for_ms: int, ends: WrapUp) -> None:
    """A talk is over, and the agent's leg has ended (or they have work to do until long after its end)."""
    agent.idle_since_ms = world.now_ms
    if for_ms <= 0 or agent.removed or isinstance(agent.then, a.LoggedOut):
        become_free(world, agent)
    else:
        roster.move(world, agent, a.WrappingUp(world.now_ms + for_ms, ends=ends))


def wrap_up_until_leg_ends(world: World, agent: a.Agent, offer_id: str, give_up_ms: int) -> None:
    """A talk is over and no work follows, but the agent's leg is still there: their phone would be busy."""
    agent.idle_since_ms = world.now_ms
    roster.move(world, agent, a.WrappingUp(give_up_ms, offer_id))


def leg_ended(world: World, agent: a.Agent, offer_id: str) -> None:
    """A leg of the agent has ended: they become free, if their wrap-up only waited for it."""
    if isinstance(agent.state, a.WrappingUp) and agent.state.leg == offer_id:
        become_free(world, agent)


def pause_over(world: World, agent_id: str) -> None:
    """Wrap-up or hold-back has run out."""
    agent = world.agents[agent_id]
    if isinstance(agent.state, a.WrappingUp) and agent.state.leg in world.offers:
        # The agent's leg is still asked to end: a daemon that was away has not done so yet, or its switch is away.
        # With the leg's end the agent is free, so there is nothing to look at before the leg's own deadline.
        ends_ms = world.timers.at("offer", agent.state.leg) or world.now_ms
        world.timers.set("agent", agent_id, max(ends_ms, world.now_ms) + _LEG_LOOK_MS)
    elif isinstance(agent.state, a.WrappingUp) and agent.state.ends is WrapUp.UNTIL_READY and agent.then is None:
        # Only the agent could end it and has not: they may not be at their desk, so no call is offered to them.
        roster.move(world, agent, a.NotReady("wrap_up_not_ended"), "fsacd")
    else:
        become_free(world, agent)


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
            if isinstance(agent.state, a.Ready):
                roster.move(world, agent, a.Busy())
        case OutsideCallEnded() if _is_kept_busy(world, agent, event.leg):
            pass  # a colleague's offer at the same phone keeps them busy until the phone has been told of its end
        case OutsideCallEnded():
            agent.outside.pop(event.leg, None)
            if isinstance(agent.state, a.Busy) and not agent.outside:
                become_free(world, agent)


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
        if found is not None and found.rules is rules.get(agent_id) and _takes(agent, found.rules):
            taking.append((agent, found if found.contact == agent.contact else roster.made(world, agent, found.rules)))
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


def _takes(agent: a.Agent, rules: AgentRules) -> bool:
    """Whether other rules are all that there is to it: nothing was changed by hand, and nobody moves."""
    before = agent.rules
    return (
        before is agent.configured
        and agent.contact == before.contact == rules.contact
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


def drop_removed(world: World, agents: Iterable[a.Agent]) -> None:
    """Let go of those of these agents who are gone from the configuration and hold no call."""
    for agent in list(agents):
        if agent.removed and not isinstance(agent.state, a.Offered | a.Talking):
            if not isinstance(agent.state, a.LoggedOut):
                roster.move(world, agent, a.LoggedOut(), "configuration")
            _drop(world, agent)


def _drop(world: World, agent: a.Agent) -> None:
    shared_phones.leave(world, agent)
    roster.forget(world, agent)
