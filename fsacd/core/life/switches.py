"""What becomes of all that is on a switch: its link comes and goes, it restarts, is another daemon's, or is gone."""

from __future__ import annotations

from fsacd.core.events import (
    CallLost,
    SwitchConnected,
    SwitchEvent,
    SwitchHeld,
    SwitchLost,
    SwitchRestarted,
    SwitchTaken,
)
from fsacd.core.life import absence, agents, asking, calls, leaving, offers, stood, talk_wishes
from fsacd.core.life.world import World
from fsacd.core.records import Elsewhere


def handle(world: World, event: SwitchEvent) -> None:
    """One fact about a switch."""
    match event:
        case SwitchHeld(switch, epoch):
            world.epochs[switch] = epoch
        case SwitchConnected(switch):
            absence.ended(world, switch)
            calls.arm_again(world, switch)
            asking.look_anew(world, switch)
            talk_wishes.mute_again(world, switch)
            stood.switch_is_back(world, switch)
        case SwitchLost(switch):
            absence.lost(world, switch)
            asking.look_anew(world, switch)
        case SwitchRestarted(switch):
            _end_all(world, switch, "switch_restarted")
        case SwitchTaken(switch):
            _taken(world, switch)


def gone(world: World, switch: str) -> None:
    """The switch has been away for too long: what it does there is not waited for any more.

    The switch may have crashed, or only the way to it: nobody has seen how its calls ended, and they are told so. If it
    comes back, catching up finds what is still there, and takes it for what it is.
    """
    away_s = (world.now_ms - world.absent[switch]) / 1_000
    absence.forget(world, switch)
    left = [call for call in world.calls.values() if call.switch == switch]
    given_up = _count(len(left), "call")
    if left or agents.kept_busy(world, switch) or any(offer.switch == switch for offer in world.offers.values()):
        world.anomaly("switch_gone", f"switch {switch} has been away for {away_s:g} s and is given up, with {given_up}")
    _end_all(world, switch, "switch_gone")


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def _end_all(world: World, switch: str, why: str) -> None:
    """Every leg on the switch is gone: its calls are lost, or over if they were talking."""
    for call in [call for call in world.calls.values() if call.switch == switch]:
        leaving.lost(world, CallLost(call.call_id, why))
    agents.end_outside_calls(world, switch)
    # The calls of these offers stood on this switch, so none of the offers is wanted any more.
    for offer in [offer for offer in world.offers.values() if offer.switch == switch]:
        offers.ended_with_switch(world, offer, why)
    stood.switch_lost_all(world, switch)


def _taken(world: World, switch: str) -> None:
    """Another daemon has the switch and its calls. Calls still there when we hold it again are new calls to us."""
    absence.lost(world, switch)
    taken = [call.call_id for call in world.calls.values() if call.switch == switch]
    _end_all(world, switch, Elsewhere.SERVED_ELSEWHERE)
    absence.forget(world, switch)  # nothing of ours is left there
    for call_id in taken:
        world.ended.forget(call_id)
    world.takeovers += 1
