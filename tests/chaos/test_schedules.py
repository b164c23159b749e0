"""Random faults at random moments, on the simulated switch and in virtual time: nothing and nobody is lost."""

from __future__ import annotations

import os
from pathlib import Path

import gevent
import pytest

from fsacd.sim.agenda import SECOND, Agenda
from tests.chaos.planted import PLANTED, Planted, found_within
from tests.chaos.schedule import Schedule
from tests.chaos.told import Differences
from tests.chaos.virtual import Frozen, VirtualTime, spawn_for

# A handful in every run; FSACD_CHAOS=200 is what is asked for before a release.
SCHEDULES = int(os.environ.get("FSACD_CHAOS", "4"))
WITHIN = 20


@pytest.mark.timeout(300 + 60 * SCHEDULES)
def test_no_schedule_of_faults_costs_anybody_anything(tmp_path: Path) -> None:
    """One outcome for each call, one live offer for each agent, no leg in limbo, the order as it was, replay exact."""
    wrong = []
    talks = wishes = 0
    differences = Differences()
    for seed in range(1, SCHEDULES + 1):
        place = tmp_path / str(seed)
        place.mkdir()
        verdict = Schedule(seed, place).run()
        talks += verdict.talks
        wishes += verdict.wishes
        differences.add(verdict.differences)
        if verdict.faults:
            wrong.append(str(verdict))
    assert wrong == []
    assert talks > 5 * SCHEDULES, "callers have been served"
    assert wishes > 5 * SCHEDULES, "agents have held, asked, handed over and given away"
    compared = {kind: len(found) for kind, found in differences.by_kind.items()}
    assert min(compared["talk"], compared["wait"]) > 5 * SCHEDULES, "history was compared with what the switch said"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_bug_is_found(planted: Planted, tmp_path: Path) -> None:
    """A bench that does not find a bug that is known to be there would find no other."""
    verdict = found_within(planted, WITHIN, tmp_path)
    assert verdict is not None, f"not found within {WITHIN} schedules"


def test_a_schedule_can_be_run_again(tmp_path: Path) -> None:
    """The same seed gives the same story, or no finding could be looked into."""
    stories = []
    for name in ("once", "again"):
        place = tmp_path / name
        place.mkdir()
        stories.append(Schedule(5, place, faults=1).run())
    assert stories[0] == stories[1]


def test_a_daemon_that_stands_still_hears_of_its_timers_later() -> None:
    """What came due while it was stopped comes when it goes on, and not before."""
    agenda = Agenda()
    clock = VirtualTime(agenda)
    life = Frozen()
    woken: list[int] = []

    def sleeper() -> None:
        gevent.sleep(1)
        woken.append(agenda.now_us)

    with clock.installed():
        spawn_for(life, sleeper)
        clock.settle()
        life.frozen = True
        clock.advance(3 * SECOND, lambda: None)
        assert woken == []
        life.frozen = False
        for timer in life.kept:
            timer.late()
        clock.settle()
    assert woken == [3 * SECOND]
