"""The agents' side of the world: the only way to change an agent's state, rules or place in the index."""

from __future__ import annotations

from fsacd.core import agent as a
from fsacd.core import reach
from fsacd.core.life import sticky
from fsacd.core.life.world import World
from fsacd.core.load import plus_call, plus_time
from fsacd.core.records import AgentStateEnded
from fsacd.core.rules import AgentRules
from fsacd.strategy import AgentFacts, ServiceFacts


def add(world: World, rules: AgentRules) -> None:
    """A newly configured agent, LoggedOut."""
    agent = a.Agent(rules.agent_id, rules, rules, contact=rules.contact, since_ms=world.now_ms)
    agent.load.away_since_ms = world.now_ms
    world.agents[agent.agent_id] = agent
    world.changed_agents[agent.agent_id] = None
    world.decisions.remember(agent)  # so that the change is from serving no queue
    configure(world, agent, rules)


def configure(world: World, agent: a.Agent, rules: AgentRules) -> None:
    """Give the agent other rules. The agent must not be in the index."""
    # What the rules do not name is forgotten.
    resting = agent.not_ready_for = {queue: why for queue, why in agent.not_ready_for.items() if queue in rules.queues}
    within = agent.within = reach.within(agent.contact, rules.switches)
    services = []
    for queue, service in rules.queues.items():
        places = world.places[queue]
        place = places.setdefault(agent.agent_id, len(places))
        facts = ServiceFacts(place, service.rank, service.weight)
        known = world.delays.get(queue, ())
        if service.delay_ms and service.delay_ms not in known:
            # Somebody has changed the agent by hand; calls must be looked at again when this delay is over, too.
            world.delays[queue] = tuple(sorted((*known, service.delay_ms)))
        not_ready = resting[queue].reason if queue in resting else None
        services.append(a.Served(queue, service.rank, service.delay_ms, service.backup, facts, not_ready, within))
    if rules != agent.rules or tuple(services) != agent.services:
        world.changed_agents[agent.agent_id] = None
        world.changed_queues.update({**agent.rules.queues, **rules.queues})
        world.decisions.remember(agent)
        world.index.forget_seats(agent.agent_id)
    agent.configure(rules, tuple(services))
    recount(world, agent)


def change(world: World, agent: a.Agent, rules: AgentRules) -> None:
    """Somebody changes by hand what an agent can do or serves."""
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
    world.changed_agents[agent.agent_id] = None  # also their wish alone may have changed
    if old in _COUNTED or new in _COUNTED:
        world.changed_queues.update(agent.served)
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
# The states in which queues count their agents: ready, and not logged in.
_COUNTED = (a.Ready, a.LoggedOut)


def recount(world: World, agent: a.Agent) -> None:
    """The agent's state or wish has changed: queues may have lost their last agent, or have one again."""
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
    world.changed_agents[agent.agent_id] = None
    world.changed_queues.update(agent.served)
    sticky.release(world, agent.agent_id)
    for queue in sorted(world.staffing.forget(agent, world.now_ms)):
        world.arm_conditions(queue)
    world.present.forget(agent.agent_id)
    world.index.forget_seats(agent.agent_id)
    del world.agents[agent.agent_id]


def let_all_look(world: World) -> None:
    """After a change of the rules: every ready agent looks for a call anew."""
    for agent in world.agents.values():
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
            world.changed_queues[queue] = None
            world.handling[queue] = mean_ms + (world.now_ms - began_ms - mean_ms) / 8
