"""The decision: a freed agent gets the best eligible waiting call, a call gets the best eligible ready agent.

Before each step no ready agent is idle while an eligible call waits. A step can only change that through the agents
and calls that became free in it, so only these are looked at.
"""

from __future__ import annotations

from fsacd.core import reach
from fsacd.core.call import Call, Ringing, Waiting, in_queue
from fsacd.core.life import offers
from fsacd.core.life.world import World

# From so many agents on who become free at once, it is found by the calls who of them may have one.
_MANY = 64


def run(world: World) -> None:
    """Match what became free in this step until nothing more matches."""
    if world.present.changed:
        _let_delays_hold(world)
    _match(world)
    # An agent who has room left after an offer looks for more.
    while world.failures or world.free_agents:
        if world.failures:
            world.note_failures()
        _match(world)


def _let_delays_hold(world: World) -> None:
    """Agents have come or gone in this step, so delays of other agents begin or cease to hold."""
    changed, rules = {queue for queue in world.present.changed if world.delays.get(queue)}, world.rules.queues
    world.present.changed.clear()
    queues = {queue for queue in changed if queue in rules and rules[queue].no_agent_no_delay}
    for call in list(world.calls.values()) if queues else ():
        if call.queue in queues and in_queue(call.state):
            # Only the delay is looked at: steps have deadlines of their own.
            passed_ms = reach.passed_ms(world.delays[call.queue], call.virtual_ms, world.now_ms)
            delay_ms = max(passed_ms, world.nobody_before_ms(call, call.required, call.backup))
            if delay_ms != call.delay_ms:
                call.delay_ms = delay_ms
                world.refresh(call)
    for entry in list(world.asking.values()):
        if entry.queue in queues:
            world.look(entry)


def _match(world: World) -> None:
    if len(world.free_agents) + len(world.free_calls) == 1 and _offer_at_once(world):
        return
    agents = list(world.free_agents)
    _index_free_agents(world)
    looking = dict.fromkeys(_index_free_calls(world))
    if len(agents) > _MANY:
        agents = world.index.whom_calls_may_suit(agents)
    for agent_id in agents:
        while _looks(world, agent_id) and _offer_next(world, agent_id, looking):
            pass  # the offer may have gone to another agent, who suits the call better
    while looking:
        # Twice at most, unless several agents ring for one call: then it comes up again, behind those nobody rings for.
        for call_id in sorted(looking, key=lambda call_id: _turn(world, call_id)):
            _look_for_agent(world, call_id, looking)


def _looks(world: World, agent_id: str) -> bool:
    """Whether calls can find the agent. Whoever has room left after an offer looks for more when all had their turn."""
    return world.agents[agent_id].room > 0 and agent_id not in world.free_agents


def _turn(world: World, call_id: str) -> tuple[bool, tuple[int, int, str]]:
    call = _seeking(world, call_id)
    return not isinstance(call.state, Waiting), call.order


def _look_for_agent(world: World, call_id: str, looking: dict[str, None]) -> None:
    """Offer the call until enough agents ring or none is left. Offers for other calls that this needs are made, too."""
    while call_id in looking:
        call = _seeking(world, call_id)
        best_id = world.index.best_agent(call)
        if best_id is None:
            del looking[call_id]
            return
        was_waiting = isinstance(call.state, Waiting)
        offered = _offer_next(world, best_id, looking)
        assert offered, "an agent who suits a call must be suited by one"
        if was_waiting and not isinstance(call.state, Waiting):
            return  # if it wants more agents, it takes its turn again


def _offer_at_once(world: World) -> bool:
    """Only one agent, or one call, became free: the best match for it had none before, so it prefers this one, too.

    Returns whether all is done.
    """
    if world.free_agents:
        (agent_id,) = world.free_agents
        best_call = world.index.best_call(world.agents[agent_id])
        call = _seeking(world, best_call) if best_call is not None else None
        agent = world.agents[agent_id]
    else:
        (call_id,) = world.free_calls
        call = _seeking(world, call_id)
        best_agent = world.index.best_agent(call)
        if best_agent is None:
            _index_free_calls(world)
            return True
        agent = world.agents[best_agent]
    if call is None:
        _index_free_agents(world)
        return True
    offers.make(world, call, agent)
    return not world.free_calls


def _offer_next(world: World, agent_id: str, looking: dict[str, None]) -> bool:
    """Make one offer between two who prefer each other, found by following the preferences from this agent on.

    Usually that is this agent and their best call. If several became free at once, that call may prefer another
    agent, who in turn may prefer another call: giving the call to either at sight would break the promise to the
    other. If the preferences go round in a circle, each agent in it getting their best call is as good as any.
    """
    passed: set[str] = set()
    while True:
        call_id = world.index.best_call(world.agents[agent_id])
        if call_id is None:
            assert not passed, "a call that prefers an agent must suit that agent"
            return False
        call = _seeking(world, call_id)
        preferred_id = world.index.best_agent(call)
        assert preferred_id is not None, "an agent whom a call suits must suit the call"
        if preferred_id == agent_id or agent_id in passed:
            offers.make(world, call, world.agents[agent_id])
            looking.pop(call_id, None)
            looking.update(dict.fromkeys(_index_free_calls(world)))  # the call again, if it wants more agents to ring
            return True
        passed.add(agent_id)
        agent_id = preferred_id


def _seeking(world: World, call_id: str) -> Call:
    """The call of this id, or what stands in its place where an agent asks a queue."""
    return world.calls.get(call_id) or world.asking[call_id]


def _index_free_calls(world: World) -> list[str]:
    """Let agents find the calls that became free in this step, and return them."""
    free = list(world.free_calls)
    for call_id in free:
        call = _seeking(world, call_id)
        world.index.add_call(call, already_ringing=isinstance(call.state, Ringing))
    world.free_calls.clear()
    return free


def _index_free_agents(world: World) -> None:
    """Let calls find the agents who became free in this step."""
    free = [world.agents[agent_id] for agent_id in world.free_agents]
    if len(free) > 1:
        world.index.seat(free)
    for agent in free:
        world.index.add_agent(agent)
    world.free_agents.clear()
