"""The real and the simulated switch tell the same story of command sequences that nobody has seen before."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import gevent
import pytest

from fsacd.sim.trace import TraceLine, differences
from tests.e2e.rig.performance import Moments
from tests.e2e.rig.play import write
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.stage import RealStage, perform, simulate
from tests.e2e.rig.switch import RealSwitch, free_port

PLAYS = 5
# What one performance leaves open (a leg that dies while it is being bridged, a phone that answers in the moment of its
# timeout) goes this way or that on a real switch, too. There the simulated outcome has to be one of those observed.
MOST_PERFORMANCES = 6
LAST_CURTAIN_S = 36.0
SEEDS = 24
# A real switch on a busy machine is late, and then everything after it is: what counts is what happens, in what order.
SLACK_MS, RACE_MS = 400, 200
LEASE_S = 3_600


@dataclass
class Comparison:
    """One sequence: how often the real switch has played it, and what the two closest performances differ in."""

    number: int
    seed: str
    performances: int = 0
    agree: bool = False
    closest: list[str] | None = None

    def judge(self, real: list[TraceLine], moments: Moments) -> None:
        """Look for a simulated performance that a client could not tell from this real one."""
        self.performances += 1
        play = write(self.seed, "00")
        for chance in range(1, SEEDS + 1):
            found = differences(real, simulate(play, chance, moments), SLACK_MS, RACE_MS)
            if self.closest is None or len(found) < len(self.closest):
                self.closest = found
            if not found:
                self.agree = True
                return

    def report(self) -> str:
        """For the reader of a failed test: the sequence and the differences."""
        return "\n".join([str(self), str(write(self.seed, "00")), *(self.closest or [])])

    def __str__(self) -> str:
        races = "" if self.performances == 1 else ": a race, or a busy machine"
        verdict = f"agree, performance {self.performances}{races}" if self.agree else "DIFFER"
        return f"sequence {self.number} (seed {self.seed}): {verdict}"


class Theatre:
    """A real switch on which several sequences are played side by side."""

    def __init__(self, switch: RealSwitch, telephones: Telephones) -> None:
        self._switch = switch
        self._telephones = telephones
        self._dead_port = free_port(socket.SOCK_DGRAM)
        self._performances = 0
        esl = switch.esl()
        self._uptime_ms, self._asked_s = float(esl.api("uptime ms")), time.monotonic()
        esl.api(f"global_setvar fsacd_lease={int(self._uptime_ms / 1_000) + LEASE_S}")
        esl.close()

    def perform(self, comparisons: Sequence[Comparison]) -> None:
        """Play each of them once, all at the same time, and judge them when the real switch has fallen silent."""
        players = [(each, gevent.spawn(self._play, each.seed)) for each in comparisons]
        gevent.joinall([player for _, player in players])
        for each, player in players:
            each.judge(*player.get())

    def _play(self, seed: str) -> tuple[list[TraceLine], Moments]:
        self._performances += 1
        play = write(seed, f"{10 + self._performances}")
        uptime_ms = self._uptime_ms + (time.monotonic() - self._asked_s) * 1_000
        return perform(play, RealStage(play, self._switch.esl_port, self._telephones, self._dead_port, uptime_ms))


@pytest.fixture
def seed() -> str:
    """Another one in each run; FSACD_PLAY_SEED repeats one."""
    return os.environ.get("FSACD_PLAY_SEED") or str(random.SystemRandom().randrange(1_000_000))


@pytest.fixture
def telephones(switch: RealSwitch) -> Iterator[Telephones]:
    telephones = Telephones(switch.trunk_port)
    yield telephones
    telephones.stop()


def test_sequences_never_seen_before(switch: RealSwitch, telephones: Telephones, seed: str) -> None:
    """Five random sequences of calls and commands have the same effects on both, leg by leg and reply by reply."""
    print(f"FSACD_PLAY_SEED={seed}")
    theatre = Theatre(switch, telephones)
    comparisons = [Comparison(number, f"{seed}-{number}") for number in range(1, PLAYS + 1)]
    begun_s = time.monotonic()
    for _ in range(MOST_PERFORMANCES):
        open_ones = [each for each in comparisons if not each.agree]
        if not open_ones or time.monotonic() - begun_s > LAST_CURTAIN_S:
            break
        theatre.perform(open_ones)
    print(*comparisons, sep="\n")
    differing = "\n\n".join(each.report() for each in comparisons if not each.agree)
    assert not differing, differing
