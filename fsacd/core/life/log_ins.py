"""Log-ins of agents: each is told when it begins and when it has ended. They follow presence and phone.

The key of a log-in in history is its id, not its moment: what the wall clock said at an engine's moment differs by a
little from daemon to daemon.
"""

from __future__ import annotations

from dataclasses import replace

from fsacd.core import agent as a
from fsacd.core.life.world import World
from fsacd.core.log_in import HowBegun, HowEnded, LogIn, log_in_id


def follow(world: World, agent: a.Agent, by: str) -> None:
    """The agent's presence has changed."""
    at_work = type(agent.presence) is not a.LoggedOut
    if at_work != goes_on(agent):
        if at_work:
            world.record(_begin(world, agent, HowBegun.LOGGED_IN, by, world.now_ms))
        else:
            _end(world, agent, HowEnded.REMOVED if agent.removed else HowEnded.LOGGED_OUT, by)


def move(world: World, agent: a.Agent, by: str) -> None:
    """The agent's phone may be another one now."""
    if goes_on(agent) and agent.log_in is not None and agent.log_in.contact != agent.contact:
        _end(world, agent, HowEnded.MOVED, by)
        world.record(_begin(world, agent, HowBegun.MOVED, by, world.now_ms))


def goes_on(agent: a.Agent) -> bool:
    """Whether a log-in of theirs goes on."""
    return agent.log_in is not None and agent.log_in.ended_ms is None


def restored(world: World, agent: a.Agent) -> None:
    """An older fsacd, which told of no log-ins, may have left them logged in: since when is not known any more.

    Nothing is told of that before its end.
    """
    if type(agent.presence) is not a.LoggedOut and not goes_on(agent):
        _begin(world, agent, HowBegun.FOUND, "", agent.presence_since_ms)


def _begin(world: World, agent: a.Agent, how: HowBegun, by: str, now_ms: int) -> LogIn:
    name = log_in_id(world.seed, world.edition, agent.log_in, agent.agent_id, now_ms)
    agent.log_in = LogIn(name, agent.agent_id, agent.contact, agent.within, now_ms, how, by)
    return agent.log_in


def _end(world: World, agent: a.Agent, how: HowEnded, by: str) -> None:
    assert agent.log_in is not None
    agent.log_in = replace(agent.log_in, ended_ms=world.now_ms, how_ended=how, ended_by=by)
    world.record(agent.log_in)
