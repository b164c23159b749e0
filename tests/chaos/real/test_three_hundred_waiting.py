"""Three hundred callers wait, fifty talk, ten phones ring, and there is no daemon for a while: nobody loses anything.

While it is away people go on with what they do: callers give up, agents and callers end their talks, agents answer and
refuse. What is promised is measured where people stand, at their phones.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.real.site import Site, by, calls_of, order_of
from tests.e2e.conftest import AGENTS, a_place
from tests.e2e.rig.sip import Dialog
from tests.e2e.rig.switch import RealSwitch, await_true

WAITING, TALKING = 300, 50
RINGING = len(AGENTS) - TALKING
AWAY_S, STOPPED_S = 10.0, 30.0
# What the project promises, from the start of the daemon (or the return of the link): until then agents who are free
# are rung again, and no phone rings any more for a caller who has gone.
PROMISED_S = 3.0
# Where others use the processors as well, what 360 calls do takes longer: the promise is held to the second where
# nothing else runs (FSACD_QUIET=1); elsewhere its times are printed, and everything else of it holds.
HELD_TO_S = PROMISED_S if "FSACD_QUIET" in os.environ else 2 * PROMISED_S
CALLS_A_SECOND = 40
SOON_S = 20.0

CONFIG: dict[str, Any] = {
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
        deadline = time.monotonic() + SOON_S
        while (now := self.figures()) != (WAITING, RINGING, TALKING):
            assert time.monotonic() < deadline, f"waiting, rung for, talking: {now}"
            for ring in site.rings()[: max(0, TALKING - len(site.talks()))]:
                site.phones.answer(ring)
            time.sleep(0.2)
        # A talk that has just begun is not one yet; see `limits.settle`.
        time.sleep(1.2)

    def figures(self) -> tuple[int, int, int]:
        """How many wait, are rung for, and talk, by the daemon."""
        states = [call["state"] for call in calls_of(self.site.daemon).values()]
        return states.count("waiting"), states.count("offered"), states.count("talking")

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


@pytest.fixture(scope="module")
def centre() -> Iterator[Centre]:
    """One for all tests of this file: to fill it takes longer than to break it."""
    with a_place() as place:
        switch = RealSwitch(place / "freeswitch", AGENTS)
        switch.start()
        centre = Centre(place, switch)
        yield centre
        centre.site.stop()
        switch.stop()


@pytest.mark.parametrize("fault", ["killed", "cut off", "stopped"])
def test_an_absence_costs_nobody_anything(centre: Centre, fault: str) -> None:
    """No talk is cut, nobody loses his place, nobody is rung twice or for somebody who has gone; served within 3 s."""
    site = centre.site
    centre.fill()
    order, agents = order_of(site.daemon), site.daemon.agents()
    deeds, back_s = away(centre, fault)
    untouched = [talk for talk in site.talks() if talk not in deeds.answered and talk.answered_s < deeds.at_s]
    assert len(untouched) == TALKING - 5, "no talk is cut while the daemon is away"

    until_s = back_s + HELD_TO_S
    await_true(site.daemon.is_ready, SOON_S, "the daemon serves again")
    ready_s = time.time() - back_s
    await_true(lambda: len(rung_since(site, back_s)) >= len(deeds.free), SOON_S, "those who are free are rung")
    time.sleep(by(until_s))
    rung = rung_since(site, back_s)
    firsts = {ring.user: ring.began_s - back_s for ring in reversed(rung)}
    served_s = max(firsts.get(user, SOON_S) for user in deeds.free)
    late = [ring for ring in site.rings() if ring.caller in deeds.gone]
    ended_s = max(ring.over_s - back_s for ring in site.phones.rung if ring.caller in deeds.gone and ring.over_s)
    print(f"\n{fault}: in sync after {ready_s:.2f} s, every free agent rung after {served_s:.2f} s,")
    print(f"the last ring for a caller who has gone ended after {ended_s:.2f} s")
    check_order(site, order, deeds)
    assert late == [], "phones that ring for a caller who has gone"
    assert [ring.caller for ring in rung if ring.caller in deeds.gone] == []
    assert served_s <= HELD_TO_S
    assert centre.twice == [], "agents who were rung twice at once"
    assert all(talk.state == "talking" for talk in untouched), "no talk is cut when the daemon is back"
    after = site.daemon.agents()
    assert {agent["state"] for agent in after.values()} <= {"talking", "offered", "held_back", "ready"}
    kept = {talk.user: after[talk.user]["call_id"] for talk in untouched}
    assert kept == {user: agents[user]["call_id"] for user in kept}, "who talks is in the same call as before"
    assert site.daemon.metrics()["fsacd_lost_callers_total"] == 0


def away(centre: Centre, fault: str) -> tuple[Deeds, float]:
    """Let the daemon be away, and people live on; what they did, and when it was back (Unix time, s)."""
    site = centre.site
    daemon, wire = site.daemon, next(iter(site.wires.values()))
    match fault:
        case "killed":
            daemon.kill()
        case "cut off":
            wire.cut()
        case "stopped":
            daemon.signal(signal.SIGSTOP)
    until_s = time.time() + (STOPPED_S if fault == "stopped" else AWAY_S)
    time.sleep(2)
    deeds = centre.live_on()
    # What is tested is this very time, in which nothing can be awaited.
    time.sleep(by(until_s))
    back_s = time.time()
    match fault:
        case "killed":
            daemon.launch()
        case "cut off":
            wire.mend()
        case "stopped":
            daemon.signal(signal.SIGCONT)
    return deeds, back_s


def rung_since(site: Site, moment_s: float) -> list[Dialog]:
    return [ring for ring in site.phones.rung if ring.began_s >= moment_s]


def check_order(site: Site, before: list[str], deeds: Deeds) -> None:
    """Who waited and has not gone waits on in his place, all of them compared; the first of them are rung first."""
    answered = {ring.caller for ring in site.phones.rung if ring.answered_s > deeds.at_s - 1}
    stayed = [number for number in before if number not in deeds.gone]
    now = order_of(site.daemon)
    served = set(stayed) - set(now)
    assert served <= answered, "who does not wait any more talks"
    assert now == [number for number in stayed if number not in served]
