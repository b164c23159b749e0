"""One agent first: the caller's last one, the customer's own, or the one an operator chose."""

from __future__ import annotations

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core.life.world import World
from fsacd.core.numbers import identity
from fsacd.core.reach import reaches
from fsacd.core.rules import Sticky, StickyAgent


def at_joining(world: World, call: c.Call) -> None:
    """The call has come into its queue: if the queue says so, one agent comes first for it, for a while."""
    rules = world.queue_rules(call).sticky
    if rules is None or call.joined_ms + rules.for_ms <= world.now_ms:
        return
    agent = world.agents.get(_whom(world, call, rules))
    if agent is None or isinstance(agent.state, a.LoggedOut) or call.queue in agent.not_ready_for:
        return
    if not reaches(agent.within, call.switch):
        return
    serves = call.queue in agent.rules.queues and agent.fit(call.required) is not None
    if serves or rules.any_queue:
        world.prefer(call, c.Preferred(agent.agent_id, call.joined_ms + rules.for_ms, alone=rules.wait))


def _whom(world: World, call: c.Call, rules: Sticky) -> str:
    who = known_as(world, call)
    last = world.last_agents.get(who, "") if who else ""
    match rules.agent:
        case StickyAgent.LAST:
            return last
        case StickyAgent.NAMED:
            return call.named_agent
        case StickyAgent.NAMED_OR_LAST:
            return call.named_agent if call.named_agent in world.agents else last


def known_as(world: World, call: c.Call) -> str:
    """The identity to remember; empty for a caller whose number is withheld, not believed or to be hidden."""
    return (call.remembered_as or call.who) if call.number_believed and world.shows(call) else ""


def remember(world: World, number: str, agent_id: str) -> None:
    """Remember that the caller with this identity talked with this agent; without an identity nothing is remembered."""
    who = identity(number)
    if not who:
        return
    world.last_agents[who] = agent_id
    world.last_agents.move_to_end(who)
    while len(world.last_agents) > world.rules.limits.last_agents:
        world.last_agents.popitem(last=False)


def known_from_history(world: World, pairs: tuple[tuple[str, str], ...]) -> None:
    """Take last agents from history, in parts. What is known already is newer and stays."""
    for number, agent_id in dict(pairs).items():
        if identity(number) not in world.last_agents:
            remember(world, number, agent_id)


def forget(world: World, numbers: tuple[str, ...]) -> None:
    """Forget the last agents of these callers."""
    for number in numbers:
        world.last_agents.pop(identity(number), None)


def expired(world: World, call_id: str) -> None:
    """The time is over in which one agent came first."""
    world.prefer(world.calls[call_id], None)


def keep_in_reach(world: World, call: c.Call) -> None:
    """Agents have moved, or the call has: it waits for nobody who cannot be rung from its switch."""
    agent = world.agents.get(call.preferred.agent_id) if call.preferred is not None else None
    if agent is not None and not reaches(agent.within, call.switch):
        world.prefer(call, None)


def release(world: World, agent_id: str, queue: str | None = None) -> None:
    """The agent logs out, or takes no calls of this queue any more: no call waits for them alone."""
    for call in list(world.calls.values()):
        if call.preferred is not None and call.preferred.agent_id == agent_id and queue in (None, call.queue):
            world.prefer(call, None)
