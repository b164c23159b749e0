"""A full call centre on a real FreeSWITCH: three hundred wait, fifty talk, ten phones ring, and people live on."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.real.site import Site, calls_of
from tests.e2e.conftest import AGENTS
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.switch import RealSwitch

WAITING, TALKING = 300, 50
RINGING = len(AGENTS) - TALKING
CALLS_A_SECOND = 40
SOON_S = 60.0
# A phone that a busy machine keeps from ringing in time holds its agent back for half a minute, perhaps more than once.
_FULL_S = 180.0

CONFIG: dict[str, Any] = {
    # A daemon that is slow to come back, because others use the processors, loses nobody: that is what is tested.
    "lease": "10m",
    "defaults": {"wrap_up": "0s", "ring_timeout": "5m"},
    "queues": {"support": {}},
    "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in AGENTS},
}


@dataclass(frozen=True)
class Deeds:
    """What people did while nobody looked: callers who have gone, agents who are free since, rings answered."""

    gone: frozenset[str]
    free: frozenset[str]
    answered: tuple[Dialog, ...]
    at_s: float


class Centre:
    """The site with all its people."""

    def __init__(self, place: Path, switch: RealSwitch) -> None:
        self.site = Site(place, switch, CONFIG)
        self.twice: list[str] = []  # who has been rung twice at once
        self._chance = random.Random(1)
        self._calls = 0
        self.site.phones.on_ring = self._rung
        self.site.daemon.start()

    def _rung(self, ring: Dialog) -> None:
        others = [other for other in self.site.live() if other.user == ring.user and other is not ring]
        self.twice += [f"{ring.user} for {ring.caller}, and for {other.caller}" for other in others]

    def fill(self) -> None:
        """As many wait, talk and are rung for as shall."""
        site = self.site
        missing = WAITING + TALKING + RINGING - sum(site.there(number) for number in site.callers)
        for _ in range(missing):
            self._calls += 1
            site.call(f"4930{self._calls:05}", "support")
            time.sleep(1 / CALLS_A_SECOND)
        deadline = time.monotonic() + _FULL_S
        while (now := self.figures()) != (WAITING, RINGING, TALKING):
            assert time.monotonic() < deadline, f"waiting, rung for, talking: {now}; others: {self._idle()}"
            for ring in site.rings()[: max(0, TALKING - len(site.talks()))]:
                site.phones.answer(ring)
            time.sleep(0.2)
        # A talk that has just begun is not one yet; see `limits.settle`.
        time.sleep(1.2)

    def figures(self) -> tuple[int, int, int]:
        """How many wait, are rung for, and talk, by the daemon."""
        states = [call["state"] for call in calls_of(self.site.daemon).values()]
        return states.count("waiting"), states.count("offered"), states.count("talking")

    def _idle(self) -> dict[str, object]:
        """The agents who neither talk nor are rung, and what the phones have of them."""
        agents = self.site.daemon.agents()
        idle = [agent for agent, now in agents.items() if now["state"] not in ("talking", "offered")]
        legs = [leg for leg in self.site.phones.rung if leg.user in idle]
        return {agent: (agents[agent], [leg for leg in legs if leg.user == agent][-3:]) for agent in idle}

    def live_on(self) -> Deeds:
        """People do what they do."""
        site, chance = self.site, self._chance
        rings, talks = site.rings(), site.talks()
        rung_for = {ring.caller for ring in rings}
        talking = {talk.caller for talk in talks}
        waiting = [n for n in site.callers if site.there(n) and n not in rung_for | talking]
        leaving = [*chance.sample(waiting, 20), rings[0].caller, rings[1].caller]
        done = talks[:5]
        for number in (*leaving, done[0].caller, done[1].caller):
            site.phones.hang_up(number)
        for talk in done[2:]:
            site.phones.hang_up(talk.user)
        answered = tuple(rings[2:4])
        for ring in answered:
            site.phones.answer(ring)
        site.phones.refuse(rings[4])
        gone = {*leaving, *(talk.caller for talk in done)}
        return Deeds(frozenset(gone), frozenset(talk.user for talk in done), answered, time.time())
