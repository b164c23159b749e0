"""The agents' side of the world: the only way to change an agent's state, rules or place in the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fsacd.core import agent as a
from fsacd.core import reach
from fsacd.core.life import sticky
from fsacd.core.life.world import World
from fsacd.core.load import plus_call, plus_time
from fsacd.core.records import AgentStateEnded
from fsacd.core.rules import AgentRules
from fsacd.strategy import AgentFacts, ServiceFacts


def add(world: World, rules: AgentRules, made: Made | None = None, counted: set[str] | None = None) -> None:
    """A newly configured agent, LoggedOut. `made` and `counted`: as for `configure`."""
    agent = a.Agent(rules.agent_id, rules, rules, contact=rules.contact, since_ms=world.now_ms)
    agent.load.away_since_ms = world.now_ms
    world.agents[agent.agent_id] = agent
    world.decisions.remember(agent)  # so that the change is from serving no queue
    configure(world, agent, rules, made, counted)


class Made(NamedTuple):
    """What follows from an agent's rules at a contact, computed beforehand; nothing of it holds for other ones."""

    rules: AgentRules
    contact: str
    within: tuple[str, ...]
    services: tuple[a.Served, ...]
    helps_late: bool


def make(rules: AgentRules, contact: str, place_in: Callable[[str], int]) -> Made:
    """The services of an agent who takes the calls of all their queues. `place_in`: their place in each."""
    within = reach.within(contact, rules.switches)
    services = [
        a.Served(
            queue,
            service.rank,
            service.delay_ms,
            service.backup,
            ServiceFacts(place_in(queue), service.rank, service.weight),
            None,
            within,
        )
        for queue, service in rules.queues.items()
    ]
    return Made(rules, contact, within, tuple(services), any(served.delay_ms for served in services))


def configure(
    world: World, agent: a.Agent, rules: AgentRules, ready_made: Made | None = None, counted: set[str] | None = None
) -> None:
    """Give the agent other rules. The agent must not be in the index.

    `ready_made` holds if it is of these rules and the agent's contact. Who configures many agents gives `counted`, gets
    the queues there whose conditions may have changed, and arms them.
    """
    # What the rules do not name is forgotten.
    resting = agent.not_ready_for
    if resting:
        resting = agent.not_ready_for = {queue: why for queue, why in resting.items() if queue in rules.queues}
    if ready_made is None or ready_made.rules is not rules or ready_made.contact != agent.contact:
        ready_made = made(world, agent, rules)
    services = ready_made.services
    if resting:
        services = tuple(
            served._replace(not_ready=resting[served.queue].reason) if served.queue in resting else served
            for served in services
        )
    if ready_made.helps_late:
        _note_delays(world, services)
    same = services == agent.services
    if same and counted is not None:
        services = agent.services  # nothing of theirs is to be counted anew
    agent.within = ready_made.within
    if not same or rules.skills != agent.rules.skills:
        world.decisions.remember(agent)
        world.index.forget_seats(agent.agent_id)
    agent.configure(rules, services)
    recount(world, agent, counted)


def take(world: World, ready_made: Sequence[tuple[a.Agent, Made]], counted: set[str]) -> None:
    """The same as `configure`, in a fifth of the time, for many agents: other rules for those who rest in no queue."""
    others = [
        (agent, made)
        for agent, made in ready_made
        if made.services != agent.services or made.rules.skills != agent.rules.skills
    ]
    world.decisions.remember_all([agent for agent, _ in others])
    for agent, made in others:
        world.index.forget_seats(agent.agent_id)
        if made.helps_late:
            _note_delays(world, made.services)
        agent.take(made.rules, made.services)
        agent.within = made.within
    for agent, made in ready_made:
        agent.rules = agent.configured = made.rules
    counted |= world.staffing.configured([agent for agent, _ in others], world.now_ms)
    world.present.count_all(agent for agent, _ in others if agent.on_duty)


def _note_delays(world: World, services: Iterable[a.Served]) -> None:
    for served in services:
        known = world.delays.get(served.queue, ())
        if served.delay_ms and served.delay_ms not in known:
            # Somebody has changed the agent by hand; calls must be looked at again when this delay is over, too.
            world.delays[served.queue] = tuple(sorted((*known, served.delay_ms)))


def made(world: World, agent: a.Agent, rules: AgentRules) -> Made:
    """What follows from these rules where the agent is now."""
    return make(rules, agent.contact, lambda queue: _place(world, queue, agent.agent_id))


def _place(world: World, queue: str, agent_id: str) -> int:
    places = world.places[queue]
    place = places.get(agent_id)
    if place is None:
        # Of agents who are gone, gaps may be left.
        place = places[agent_id] = 1 + max(places.values(), default=-1)
    return place


def change(world: World, agent: a.Agent, rules: AgentRules) -> None:
    """Somebody changes by hand what an agent can do or serves."""
    world.by_hand += 1
    is_ready = isinstance(agent.state, a.Ready)
    if is_ready:
        _take_out(world, agent)
    delays, before = dict(world.delays), agent.rules
    configure(world, agent, rules)
    for queue, service in before.queues.items():
        if service.delay_ms and not _is_used(world, queue, service.delay_ms):
            left = tuple(delay_ms for delay_ms in world.delays[queue] if delay_ms != service.delay_ms)
            world.delays[queue] = left
    for call in [call for call in world.calls.values() if delays.get(call.queue) != world.delays.get(call.queue)]:
        world.set_reach(call)
    if is_ready:
        _let_look(world, agent)


def rest(world: World, agent: a.Agent, queue: str, why: a.NotReadyFor | None) -> None:
    """From now on the agent takes no calls of this one queue; with `why` None they take them again."""
    is_ready = isinstance(agent.state, a.Ready)
    if is_ready:
        _take_out(world, agent)
    if why is None:
        del agent.not_ready_for[queue]
    else:
        agent.not_ready_for[queue] = why
        sticky.release(world, agent.agent_id, queue)
    configure(world, agent, agent.rules)
    if is_ready:
        _let_look(world, agent)


def look_from_there(world: World, agent: a.Agent) -> None:
    """The agent is at another phone, perhaps: other switches may ring it."""
    if reach.within(agent.contact, agent.rules.switches) == agent.within:
        return
    is_ready = isinstance(agent.state, a.Ready)
    if is_ready:
        _take_out(world, agent)
    configure(world, agent, agent.rules)
    for call in list(world.calls.values()):
        sticky.keep_in_reach(world, call)
    if is_ready:
        _let_look(world, agent)


def _is_used(world: World, queue: str, delay_ms: int) -> bool:
    """Whether any agent helps the queue so late."""
    services = (agent.rules.queues.get(queue) for agent in world.agents.values())
    return any(service is not None and service.delay_ms == delay_ms for service in services)


def move(world: World, agent: a.Agent, state: a.AgentState, by: str = "") -> None:
    """Change an agent's state and write the interval down. AssertionError for a forbidden move."""
    old, new = type(agent.state), type(state)
    assert new in a.AGENT_MOVES[old], f"agent {agent.state} -> {state}"
    if new is old and state == agent.state:
        return
    world.record(
        AgentStateEnded(agent.agent_id, a.STATE_NAMES[old], agent.state_reason, agent.since_ms, world.now_ms, by)
    )
    world.decisions.remember(agent)
    if old is a.Ready:
        _take_out(world, agent)
    _count_work(world, agent, new)
    agent.state = state
    agent.since_ms = world.now_ms
    if new is a.Ready:
        _let_look(world, agent)
    if isinstance(state, _PAUSES):
        world.timers.set("agent", agent.agent_id, state.until_ms)
    elif old in _PAUSES:
        world.timers.clear("agent", agent.agent_id)
    if new is a.LoggedOut:
        sticky.release(world, agent.agent_id)
        if agent.not_ready_for:
            agent.not_ready_for = {}
            configure(world, agent, agent.rules)
    if old in a.OFF_DUTY or new in a.OFF_DUTY:
        recount(world, agent)


_PAUSES = (a.WrappingUp, a.HeldBack)


def recount(world: World, agent: a.Agent, counted: set[str] | None = None) -> None:
    """The agent's state or wish has changed: queues may have lost their last agent, or have one again.

    `counted`: as for `configure`.
    """
    if counted is not None:
        counted |= world.staffing.count(agent, world.now_ms)
    else:
        for queue in sorted(world.staffing.count(agent, world.now_ms)):
            world.arm_conditions(queue)
    world.present.count(agent)


def answered(world: World, agent: a.Agent, queue: str) -> None:
    """The agent begins to talk with a caller of this queue."""
    agent.in_vain.clear()
    agent.handling = (queue, world.now_ms)
    agent.load.calls = plus_call(agent.load.calls, world.now_ms, world.rules.limits.counters_half_life_ms)


def forget(world: World, agent: a.Agent) -> None:
    """The agent is gone from the configuration, and holds no call."""
    world.timers.clear("agent", agent.agent_id)
    sticky.release(world, agent.agent_id)
    for queue in sorted(world.staffing.forget(agent, world.now_ms)):
        world.arm_conditions(queue)
    world.present.forget(agent.agent_id)
    world.index.forget_seats(agent.agent_id)
    del world.agents[agent.agent_id]


def leave_index(world: World, agents: Iterable[a.Agent], *, is_new: bool = False) -> None:
    """Before a change of the rules: no call finds these agents until they look. `is_new`: nobody is in the index."""
    for agent in agents:
        if isinstance(agent.state, a.Ready) and agent.agent_id not in world.free_agents:
            if not is_new:
                world.index.remove_agent(agent)
            world.free_agents[agent.agent_id] = None


def let_look(world: World, agents: Iterable[a.Agent]) -> None:
    """After a change of the rules: those of these agents who are ready look for a call anew."""
    for agent in agents:
        if isinstance(agent.state, a.Ready):
            _let_look(world, agent)


def _let_look(world: World, agent: a.Agent) -> None:
    show(agent)
    world.free_agents[agent.agent_id] = None


def show(agent: a.Agent) -> None:
    """Let strategies see the agent as they are on becoming ready."""
    load = agent.load
    agent.facts = AgentFacts(
        agent.agent_id,
        agent.idle_since_ms,
        agent.last_offered_ms,
        load.calls,
        load.talk,
        load.work,
        agent.rules.skills,
    )


def _take_out(world: World, agent: a.Agent) -> None:
    if agent.agent_id in world.free_agents:
        del world.free_agents[agent.agent_id]
    else:
        world.index.remove_agent(agent)


def _count_work(world: World, agent: a.Agent, new: type[a.AgentState]) -> None:
    """The agent leaves their state for one of this kind: add the interval to what they have done."""
    old, load, half_life_ms = type(agent.state), agent.load, world.rules.limits.counters_half_life_ms
    if new in a.WORKING:
        if old not in a.WORKING:
            agent.working_since_ms = world.now_ms
    elif old in a.WORKING:
        load.work = plus_time(load.work, agent.working_since_ms, world.now_ms, half_life_ms)
    if old is a.Talking:
        load.talk = plus_time(load.talk, agent.since_ms, world.now_ms, half_life_ms)
    if new in a.OFF_DUTY:
        load.leave(world.now_ms)
    elif load.away_since_ms is not None:
        load.come_back(world.now_ms, half_life_ms)
    if agent.handling is not None and new is not a.Talking and new is not a.WrappingUp:
        queue, began_ms = agent.handling
        agent.handling = None
        if queue in world.rules.queues:
            mean_ms = world.handling_ms(queue)
            world.handling[queue] = mean_ms + (world.now_ms - began_ms - mean_ms) / 8
