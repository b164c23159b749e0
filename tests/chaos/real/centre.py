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
from tests.e2e.rig.switch import RealSwitch, await_true

WAITING, TALKING = 300, 50
RINGING = len(AGENTS) - TALKING
# So many calls at once wait for the switch to answer them: what would come beyond it only costs it repetitions.
UNANSWERED = 5
SOON_S = 60.0
# A phone that a busy machine keeps from ringing in time holds its agent back for half a minute, perhaps more than once.
_FULL_S = 180.0
# Of all the sound nobody hears anything: sent in the longest packets there are, it costs the switch a sixth.
PTIME_MS = 120

CONFIG: dict[str, Any] = {
    # A daemon that is slow to come back, because others use the processors, loses nobody: that is what is tested.
    "lease": "10m",
    "defaults": {"wrap_up": "0s", "ring_timeout": "10m"},
    "queues": {"support": {}},
    "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in AGENTS},
}


@dataclass(frozen=True)
class Deeds:
    """What people did while nobody looked: callers who have gone, agents who are free since, rings answered.

    `at_s` is when they began (Unix time).
    """

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
            await_true(lambda: self._unanswered() < UNANSWERED, SOON_S, "the switch answers those who call")
            self._calls += 1
            site.call(f"4930{self._calls:05}", "support")
        try:
            await_true(self._is_full, _FULL_S, "as many wait, are rung for and talk as shall")
        except AssertionError as error:
            error.add_note(f"waiting, rung for, talking: {self.figures()}; others: {self._idle()}")
            raise
        # A talk that has just begun is not one yet; see `limits.settle`.
        time.sleep(1.2)

    def _unanswered(self) -> int:
        return sum(caller.state == "calling" for caller in self.site.callers.values())

    def _is_full(self) -> bool:
        """Whether all is as it shall be; if not, phones that ring are answered until as many talk as shall."""
        for ring in self.site.rings()[: max(0, TALKING - len(self.site.talks()))]:
            self.site.phones.answer(ring)
        if (len(self.site.rings()), len(self.site.talks())) != (RINGING, TALKING):
            return False
        # To list hundreds of calls costs the daemon what it needs for the calls themselves.
        time.sleep(0.2)
        return self.figures() == (WAITING, RINGING, TALKING)

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
        site, chance, at_s = self.site, self._chance, time.time()
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
        return Deeds(frozenset(gone), frozenset(talk.user for talk in done), answered, at_s)
