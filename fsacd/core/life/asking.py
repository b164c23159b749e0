"""An agent in a talk asks whoever is next in a queue, while their caller hears music.

An entry in the queue's index stands for them (`TalkShape.asks`). It is a `Call` with the talk's id, which has arrived
at the moment of the wish: it competes with callers by the two keys, and whoever becomes free finds it. But it is no
caller: it stands in `world.asking`, never in `world.calls`, so it is not counted as waiting or abandoned, or sent on.

While somebody rings for it, it is in no index. Whoever does not answer is held back as usual, and the next is rung.
It ends with the answer, with any other wish for the talk, and after `ASKS_MS`: then the agent goes back to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.life.world import World
from fsacd.core.rules import FULL
from fsacd.core.shape import TalkShape

# How long a queue is asked: so long the caller hears music for it at most.
ASKS_MS: Final = 60_000


def why_not(world: World, queue: str, asking: str) -> str | None:
    """Why nobody of this queue can be asked by this agent now, in one sentence; None if the queue can be asked."""
    if not world.has_queue(queue):
        return f"there is no queue {queue!r}"
    if not _fills(world, queue):
        return f"queue {queue} leaves its agents room for other work, so nobody of it can be asked"
    others = (agent for agent_id, agent in world.agents.items() if agent_id != asking and queue in agent.served)
    if all(isinstance(agent.presence, a.LoggedOut) for agent in others):
        return f"nobody else who serves queue {queue} is logged in"
    return None


def _fills(world: World, queue: str) -> bool:
    """Whether the queue's calls fill an agent. Then whoever asks, and talks, has no room for being asked."""
    return world.rules.queues[queue].weight >= FULL


def begin(world: World, call: c.Call, talk_id: str, shape: TalkShape, queue: str) -> None:
    """Look for whoever is next in this queue, for the agent of the talk."""
    now_ms = world.now_ms
    priority = world.rules.queues[queue].priority
    shape.asks = c.Call(talk_id, queue, now_ms, now_ms, 0, priority, (), call.leg, contact_id=call.contact_id)
    look(world, shape.asks)


def look(world: World, entry: c.Call) -> None:
    """Nobody rings for the entry any more: let agents find it, if its queue is still there."""
    if is_there(world, entry):
        world.asking[entry.call_id] = entry
        world.look(entry)


def is_there(world: World, entry: c.Call) -> bool:
    """Whether the queue can still be asked: a reload may have taken it away."""
    return world.has_queue(entry.queue) and _fills(world, entry.queue)


def leave(world: World, entry: c.Call) -> None:
    """Nobody finds the entry any more: somebody is rung for it, or it is over."""
    if world.asking.pop(entry.call_id, None) is not None:
        _hide(world, entry)


def _hide(world: World, entry: c.Call) -> None:
    world.free_calls.pop(entry.call_id, None)
    world.index.remove_call(entry.call_id)
    world.timers.clear_all(("reach", "more"), entry.call_id)
    world.changed_queues[entry.queue] = None


def stop(world: World, shape: TalkShape) -> None:
    """The queue is not asked any more."""
    if shape.asks is not None:
        leave(world, shape.asks)
        shape.asks = None


def has_time(world: World, entry: c.Call) -> bool:
    """Whether the next one of the queue may still be rung."""
    return world.now_ms < entry.arrived_ms + ASKS_MS and is_there(world, entry)


def ends_ms(world: World, entry: c.Call, third: o.Offer | None) -> int:
    """When the queue has been asked for long enough, or whoever rings has rung for so long; now if it is gone."""
    if not is_there(world, entry):
        return world.now_ms
    until_ms = entry.arrived_ms + ASKS_MS
    if third is not None:
        until_ms = min(until_ms, third.started_ms + world.rules.queues[entry.queue].ring_timeout_ms)
    return max(world.now_ms, until_ms)


def look_anew(world: World, switch: str) -> None:
    """The switch can be reached again, or no more: so can the talks on it."""
    for entry in [entry for entry in world.asking.values() if entry.switch == switch]:
        world.look(entry)


def leave_index(world: World) -> None:
    """Before a change of the rules: no agent finds any entry until it looks again."""
    for entry in world.asking.values():
        _hide(world, entry)


def rename(world: World, old: str, new: str) -> None:
    """The queue has another name. The entries have left the index."""
    for shape in world.shapes.values():
        if shape.asks is not None and shape.asks.queue == old:
            shape.asks.queue = new


def delays_changed(world: World, before: Mapping[str, tuple[int, ...]]) -> None:
    """Agents help some queues later than before, or sooner."""
    for entry in list(world.asking.values()):
        if before.get(entry.queue) != world.delays.get(entry.queue):
            world.look(entry)


def rules_changed(world: World) -> None:
    """After a change of the rules: look again. Where the queue is no more, the agent goes back to the caller now."""
    for talk_id, shape in world.shapes.items():
        if shape.asks is None:
            continue
        if world.asking.pop(talk_id, None) is not None:
            look(world, shape.asks)
        if shape.wanted is None:
            world.timers.set("talk", talk_id, ends_ms(world, shape.asks, shape.third))
