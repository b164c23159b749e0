"""The decision: a freed agent gets the best eligible waiting call, a call gets the best eligible ready agent.

Before each step no ready agent is idle while an eligible call waits. A step can only change that through the agents
and calls that became free in it, so only these are looked at.
"""

from __future__ import annotations

from fsacd.core import offers
from fsacd.core.agent import Ready
from fsacd.core.world import World


def run(world: World) -> None:
    """Match what became free in this step until nothing more matches."""
    if len(world.free_agents) == 1 and not world.free_calls and _offer_at_once(world):
        return
    agents = list(world.free_agents)
    world.index_free_agents()
    for agent_id in agents:
        while isinstance(world.agents[agent_id].state, Ready) and _offer_next(world, agent_id):
            pass  # perhaps to another, who suits the call better
    for call_id in sorted(world.free_calls, key=lambda call_id: world.calls[call_id].order):
        while call_id in world.free_calls:
            best_id = world.index.best_agent(world.calls[call_id], world.now_ms)
            if best_id is None:
                del world.free_calls[call_id]
            else:
                offered = _offer_next(world, best_id)
                assert offered, "an agent who suits a call must be suited by one"


def _offer_at_once(world: World) -> bool:
    """One agent became free and nothing else happened: his best call prefers him, for nobody else was ready for it.

    Unless the queue has agents who help late: one of them may have become eligible since the last step.
    """
    (agent_id,) = world.free_agents
    call_id = world.index.best_call(world.agents[agent_id], world.now_ms)
    if call_id is None or world.calls[call_id].queue in world.delays:
        return False
    offers.make(world, world.calls[call_id], world.agents[agent_id])
    return True


def _offer_next(world: World, agent_id: str) -> bool:
    """Make one offer between two who prefer each other, found by following the preferences from this agent on.

    Usually that is this agent and his best call. If several became free at once, his best call may prefer another
    agent, who in turn may prefer another call: giving the call to either at sight would break the promise to the
    other. If the preferences go round in a circle, each agent in it getting his best call is as good as any.
    """
    passed: set[str] = set()
    while True:
        call_id = world.index.best_call(world.agents[agent_id], world.now_ms)
        if call_id is None:
            assert not passed, "a call that prefers an agent must suit him"
            return False
        preferred_id = world.index.best_agent(world.calls[call_id], world.now_ms)
        assert preferred_id is not None, "an agent whom a call suits must suit the call"
        if preferred_id == agent_id or agent_id in passed:
            offers.make(world, world.calls[call_id], world.agents[agent_id])
            return True
        passed.add(agent_id)
        agent_id = preferred_id
