"""A switch comes and goes, as far as time goes: how long it has been away, and deadlines that wait for its return.

While the link is down nobody can tell how a bridge or a leg stands. So a deadline that needs the switch's word waits
until the switch is back, or is given up (`switches.gone`). It is not set again and again meanwhile: a thousand talks
whose switch is away would keep the engine busy for nothing.
"""

from __future__ import annotations

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.life.world import World

TIMER = "switch_gone"
# Where switches are never given up (rules of an old journal), a deadline that waits for one looks again after this.
_LOOK_MS = 600_000
# So long after its return a talk is decided upon whose time has come: what the switch has to tell of it comes first.
_TOLD_MS = 500
# A later deadline of a leg that is to end has waited for the switch.
_LONGEST_CANCEL_PAUSE_MS = 1_000


def lost(world: World, switch: str) -> None:
    """The link to the switch is down; it was there until now, so the time until it is given up begins now."""
    _set(world, switch, up=False)
    forget(world, switch)
    world.miss(switch)


def ended(world: World, switch: str) -> None:
    """The switch is there: let its waiting calls be offered, and the deadlines that have waited for it come soon."""
    if world.switches.get(switch, False):
        return
    _set(world, switch, up=True)
    forget(world, switch)
    now_ms, limits = world.now_ms, world.rules.limits
    for call in world.calls.values():
        if call.switch == switch and isinstance(call.state, c.Talking | c.Settling):
            due_ms = (
                call.state.until_ms if isinstance(call.state, c.Settling) else call.state.since_ms + limits.settle_ms
            )
            _bring_forward(world, "settle", call.call_id, max(due_ms, now_ms + _TOLD_MS))
    for offer_id in world.shapes:
        if world.offers[offer_id].switch == switch:
            _bring_forward(world, "talk", offer_id, now_ms + _TOLD_MS)
    for offer in world.offers.values():
        if offer.switch == switch and isinstance(offer.state, o.OfferConnecting):
            _bring_forward(world, "offer", offer.offer_id, now_ms + limits.connect_ms)
        elif offer.switch == switch and isinstance(offer.state, o.OfferEnding):
            ends_ms = world.timers.at("offer", offer.offer_id)
            if ends_ms is not None and ends_ms > now_ms + _LONGEST_CANCEL_PAUSE_MS:
                world.timers.set("offer", offer.offer_id, now_ms + limits.cancel_retry_ms)


def forget(world: World, switch: str) -> None:
    """The switch is not waited for any more."""
    world.absent.pop(switch, None)
    world.timers.clear(TIMER, switch)


def until_ms(world: World, switch: str) -> int:
    """When a deadline that needs the switch comes again: just behind the switch's being given up, or at its return."""
    gone_ms = world.timers.at(TIMER, switch)
    return world.now_ms + _LOOK_MS if gone_ms is None else gone_ms + 1


def change_rules(world: World) -> None:
    """Other rules: switches that are away are given up by the new time, counted from when they were lost."""
    # A snapshot of an earlier fsacd says nothing of how long a switch has been away: the time begins now.
    there = {call.leg.switch for call in world.calls.values() if call.leg is not None}
    there.update(leg.switch for agent in world.agents.values() for leg in agent.outside)
    for switch in sorted(there):
        world.miss(switch)
    gone_ms = world.rules.limits.switch_gone_ms
    for switch, since_ms in world.absent.items():
        if gone_ms:
            world.timers.set(TIMER, switch, max(since_ms + gone_ms, world.now_ms))
        else:
            world.timers.clear(TIMER, switch)


def _set(world: World, switch: str, *, up: bool) -> None:
    """A switch came or went: its waiting calls can, or cannot, be offered."""
    if world.switches.get(switch, False) == up:
        return
    world.switches[switch] = up
    epoch = world.epochs.get(switch, 0)
    for call in world.calls.values():
        if call.switch == switch:
            if up:
                call.epoch = epoch  # it is there, as the switch has just said
            world.refresh(call)
    if up:
        for offer in world.offers.values():
            if offer.switch == switch:
                offer.epoch = epoch


def _bring_forward(world: World, kind: str, owner: str, to_ms: int) -> None:
    at_ms = world.timers.at(kind, owner)
    if at_ms is not None and at_ms > to_ms:
        world.timers.set(kind, owner, to_ms)
