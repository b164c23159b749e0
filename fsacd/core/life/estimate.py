"""What a caller would wait, in milliseconds.

Calls ahead, and the call itself, times what one call occupies an agent for (talk and wrap-up, smoothed over the last
calls), over the agents on duty: the rule of Mitel, Google CCAI and OpenSIPS. It takes agents of several queues for
this queue's alone, so it is too low where they are busy elsewhere.
"""

from __future__ import annotations

from fsacd.core.call import Call
from fsacd.core.life.world import World

# Greater than any call's id: of two calls with the same key, the newcomer is the later one.
_LAST = "\U0010ffff"


def for_newcomer(world: World, queue: str, now_ms: int) -> int | None:
    """For a call that joined now with the queue's class; None if nobody is on duty."""
    rules = world.rules.queues[queue]
    newcomer = Call(_LAST, queue, now_ms, now_ms, 0, rules.priority, (), None, priority=rules.priority)
    return _estimate(world, queue, world.index.ahead_of(queue, *world.orderings[queue].place_key(newcomer)))


def for_call(world: World, call: Call) -> int | None:
    """For a call that waits, or has just joined; None if nobody is on duty."""
    return _estimate(world, call.queue, world.index.ahead_of_call(call))


def at_place(world: World, queue: str, ahead: int) -> int | None:
    """For a call with so many ahead of it; None if nobody is on duty."""
    return _estimate(world, queue, ahead)


def _estimate(world: World, queue: str, ahead: int) -> int | None:
    on_duty = world.staffing.on_duty[queue]
    if not on_duty:
        return None
    if not ahead and (world.index.has_ready(queue) or _has_free(world, queue)):
        return 0
    return round((ahead + 1) * world.handling_ms(queue) / on_duty)


def _has_free(world: World, queue: str) -> bool:
    """Whether an agent of the queue became ready in this very step."""
    weight = world.rules.queues[queue].weight
    free = (world.agents[agent_id] for agent_id in world.free_agents)
    services = (served for agent in free if agent.may_be_offered(weight) for served in agent.serves)
    return any(served.queue == queue and not served.backup for served in services)
