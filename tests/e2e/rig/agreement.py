"""Performs plays on a real switch, and looks for simulated performances that a client could not tell from them."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import replace

import gevent

from fsacd.sim.trace import TraceLine, differences
from tests.e2e.rig.performance import Moments
from tests.e2e.rig.play import Play
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.stage import RealStage, perform, simulate
from tests.e2e.rig.switch import RealSwitch, free_port

# A performance that a busy machine has disturbed is done again; so many at once.
MOST_PERFORMANCES, AT_ONCE = 8, 4
SEEDS = 48
SLACK_MS, RACE_MS = 400, 200
LEASE_S = 3_600


def closest(play: Play, real: list[TraceLine], moments: Moments, *, transfer_events: bool = False) -> list[str]:
    """What a client could tell the real performance from the most similar simulated one by; nothing, if it cannot."""
    best: list[str] | None = None
    for chance in range(1, SEEDS + 1):
        found = differences(real, simulate(play, chance, moments, transfer_events=transfer_events), SLACK_MS, RACE_MS)
        if best is None or len(found) < len(best):
            best = found
        if not found:
            break
    assert best is not None
    return best


def disagreements(plays: Mapping[str, Play], switch: RealSwitch, telephones: Telephones) -> dict[str, list[str]]:
    """The plays that have come out otherwise on the real switch than on the simulated one, each time, and how."""
    esl = switch.esl()
    uptime_ms, asked_s = float(esl.api("uptime ms")), time.monotonic()
    esl.api(f"global_setvar fsacd_lease={int(uptime_ms / 1_000) + LEASE_S}")
    esl.close()
    dead_port, number = free_port(socket.SOCK_DGRAM), 10
    differing: dict[str, list[str]] = {name: ["not performed yet"] for name in plays}

    def perform_one(name: str, label: str) -> None:
        play = replace(plays[name], name=label)
        up_ms = uptime_ms + (time.monotonic() - asked_s) * 1_000
        real, moments = perform(play, RealStage(play, switch.esl_port, telephones, dead_port, up_ms))
        differing[name] = closest(plays[name], real, moments, transfer_events=switch.transfer_events)

    for _ in range(MOST_PERFORMANCES):
        left = [name for name, found in differing.items() if found]
        while left:
            now, left = left[:AT_ONCE], left[AT_ONCE:]
            players = []
            for name in now:
                number += 1
                players.append(gevent.spawn(perform_one, name, f"{number}"))
            gevent.joinall(players, raise_error=True)
    return {name: found[:3] for name, found in differing.items() if found}
