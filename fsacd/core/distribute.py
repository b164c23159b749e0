"""The decision: a freed agent gets the best eligible waiting call, a call gets the best eligible ready agent.

Before each step no ready agent is idle while an eligible call waits. A step can only change that through the agents
and calls that became free in it, so only these are looked at.
"""

from __future__ import annotations

from fsacd.core import offers
from fsacd.core.world import World


def run(world: World) -> None:
    """Match what became free in this step until nothing more matches."""
    while world.free_agents:
        free_id = next(iter(world.free_agents))
        wanted_id = world.index.best_call(world.agents[free_id], world.now_ms)
        if wanted_id is None:
            del world.free_agents[free_id]
        else:
            # Usually this very agent; another one if several became free at once and he suits the call better.
            _offer(world, wanted_id)
    for call_id in sorted(world.free_calls, key=lambda call_id: world.calls[call_id].order):
        while call_id in world.free_calls:
            agent_id = world.index.best_agent(world.calls[call_id], world.now_ms)
            if agent_id is None:
                del world.free_calls[call_id]
                break
            # Of several calls freed at once, the agent's own best may be another than the oldest.
            best_id = world.index.best_call(world.agents[agent_id], world.now_ms)
            assert best_id is not None
            _offer(world, best_id)


def _offer(world: World, call_id: str) -> None:
    call = world.calls[call_id]
    agent_id = world.index.best_agent(call, world.now_ms)
    assert agent_id is not None, "an agent whom a call suits must suit the call"
    offers.make(world, call, world.agents[agent_id])
