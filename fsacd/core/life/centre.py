"""Facts about switches, queues, callers as persons, and the rules: what each of them sets going."""

from __future__ import annotations

from typing import assert_never

from fsacd.core.events import (
    CallersForgotten,
    LastAgentsKnown,
    QueueSetOpen,
    RulesAmended,
    RulesChanged,
    SwitchConnected,
    SwitchHeld,
    SwitchLost,
    SwitchRestarted,
    SwitchTaken,
    WorldEvent,
)
from fsacd.core.life import reloading, resuming, sticky, switches, wishes, wrap_ups
from fsacd.core.life.world import World
from fsacd.core.numbers import identity


def handle(world: World, event: WorldEvent) -> str | None:
    """One of these facts. Returns why it was refused, or None."""
    match event:
        case SwitchHeld() | SwitchConnected() | SwitchLost() | SwitchRestarted() | SwitchTaken():
            switches.handle(world, event)
        case QueueSetOpen():
            return wishes.of_queue(world, event)
        case LastAgentsKnown(pairs):
            sticky.known_from_history(world, pairs)
        case CallersForgotten(numbers):
            sticky.forget(world, numbers)
            callers = set(map(identity, numbers))
            resuming.forget(world, world.abandoned.of_callers(callers))
            wrap_ups.forget(world, callers)
        case RulesChanged(rules):
            reloading.change_rules(world, rules)
        case RulesAmended():
            return reloading.amend_rules(world, event)
        case _:
            assert_never(event)
    return None
