"""Callers who hung up while they waited, and call the same queue again: they get their place back, if it says so."""

from __future__ import annotations

from collections.abc import Collection

from fsacd.core import call as c
from fsacd.core.abandoned import Place
from fsacd.core.life import sticky
from fsacd.core.life.world import World

TIMER = "abandoned"


def abandoned(world: World, call: c.Call) -> None:
    """A caller has hung up: keep their place for a while, if their number allows recognising them again."""
    rules = world.rules.queues.get(call.queue)
    who = sticky.known_as(world, call) if rules is not None and rules.abandoned_resume_ms else ""
    if rules is None or not who:
        return
    until_ms = world.now_ms + rules.abandoned_resume_ms
    keep(world, Place(call.call_id, call.queue, who, call.virtual_ms, until_ms))


def keep(world: World, place: Place) -> None:
    """Keep one place until its time is over."""
    for call_id in world.abandoned.keep(place, world.rules.limits.abandoned):
        world.timers.clear(TIMER, call_id)
    if world.abandoned.of(place.queue, place.who) is place:
        world.timers.set(TIMER, place.call_id, place.until_ms)


def resume(world: World, call: c.Call) -> None:
    """A call is about to join its queue for the first time: if its caller has a place there, it is the call's now.

    Its arrival stays true: it counts as having arrived as early as the abandoned one, as by a head start.
    """
    who = sticky.known_as(world, call) if world.abandoned else ""
    place = world.abandoned.of(call.queue, who) if who else None
    if place is None or place.virtual_ms >= call.virtual_ms or place.call_id == call.call_id:
        return
    if place.until_ms <= world.now_ms:
        return  # the place has expired, and its deadline is acted on in a moment
    call.head_start_ms = call.arrived_ms - place.virtual_ms
    call.resumes = place.call_id
    forget(world, [place.call_id])


def expired(world: World, call_id: str) -> None:
    """Nobody has come back for the place."""
    world.abandoned.forget(call_id)


def forget(world: World, call_ids: Collection[str]) -> None:
    """Forget these places."""
    for call_id in call_ids:
        world.abandoned.forget(call_id)
        world.timers.clear(TIMER, call_id)


def change_rules(world: World) -> None:
    """Take other rules: places that they do not keep are forgotten."""
    kept = [name for name, rules in world.rules.queues.items() if rules.abandoned_resume_ms]
    forget(world, world.abandoned.outside(kept))
