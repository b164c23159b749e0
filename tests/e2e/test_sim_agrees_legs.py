"""The real and the simulated switch tell the same story of forks, diversions, Replaces, REFER, hold and pick-up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import gevent
import pytest

from fsacd.sim.trace import TraceLine, differences
from tests.e2e.rig.leg_plays import PLAYS
from tests.e2e.rig.performance import Moments
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.stage import RealStage, perform, simulate
from tests.e2e.rig.switch import RealSwitch, free_port

# A performance that a busy machine has disturbed is done again; so many at once.
MOST_PERFORMANCES, AT_ONCE = 8, 4
SEEDS = 24
SLACK_MS, RACE_MS = 400, 200
LEASE_S = 3_600


@pytest.fixture
def telephones(switch: RealSwitch) -> Iterator[Telephones]:
    telephones = Telephones(switch.trunk_port)
    yield telephones
    telephones.stop()


def closest(name: str, real: list[TraceLine], moments: Moments) -> list[str]:
    """What a client could tell the real performance from the most similar simulated one by; nothing, if it cannot."""
    best: list[str] | None = None
    for chance in range(1, SEEDS + 1):
        found = differences(real, simulate(PLAYS[name], chance, moments), SLACK_MS, RACE_MS)
        if best is None or len(found) < len(best):
            best = found
        if not found:
            break
    assert best is not None
    return best


@pytest.mark.timeout(1_200)
def test_what_phones_and_strangers_do_to_legs(switch: RealSwitch, telephones: Telephones) -> None:
    """Leg by leg, event by event and reply by reply, in the same order, for each of these plays."""
    esl = switch.esl()
    uptime_ms, asked_s = float(esl.api("uptime ms")), time.monotonic()
    esl.api(f"global_setvar fsacd_lease={int(uptime_ms / 1_000) + LEASE_S}")
    esl.close()
    dead_port, number = free_port(socket.SOCK_DGRAM), 10
    differing: dict[str, list[str]] = {name: ["not performed yet"] for name in PLAYS}

    def perform_one(name: str, label: str) -> None:
        play = replace(PLAYS[name], name=label)
        up_ms = uptime_ms + (time.monotonic() - asked_s) * 1_000
        real, moments = perform(play, RealStage(play, switch.esl_port, telephones, dead_port, up_ms))
        differing[name] = closest(name, real, moments)

    for _ in range(MOST_PERFORMANCES):
        left = [name for name, found in differing.items() if found]
        while left:
            now, left = left[:AT_ONCE], left[AT_ONCE:]
            players = []
            for name in now:
                number += 1
                players.append(gevent.spawn(perform_one, name, f"{number}"))
            gevent.joinall(players, raise_error=True)
    wrong = {name: found[:3] for name, found in differing.items() if found}
    assert wrong == {}, "\n".join(f"{name}: {found}" for name, found in wrong.items())
