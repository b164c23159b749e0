"""Work beside the calls: turns of a millisecond of processor time, and rests that do not add up for ever."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import gevent
import pytest

from fsacd.runtime import pace
from fsacd.runtime.pace import Pace


@dataclass
class Machine:
    """Clocks that a test turns. A rest takes `late` times as long as it was asked for, as on a machine that is busy."""

    processor_s: float = 0.0
    now_s: float = 100.0
    late: float = 1.0
    rests: list[float] = field(default_factory=list)

    def thread_time(self) -> float:
        return self.processor_s

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, rest_s: float) -> None:
        self.rests.append(rest_s)
        self.now_s += rest_s * self.late

    def work(self, took_s: float, elapsed_s: float | None = None) -> None:
        self.processor_s += took_s
        self.now_s += took_s if elapsed_s is None else elapsed_s


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine()
    monkeypatch.setattr(pace, "time", made)
    with monkeypatch.context() as patched:
        patched.setattr(gevent, "sleep", made.sleep)
        yield made


def test_a_short_turn_needs_no_rest(machine: Machine) -> None:
    """Less than a millisecond of work goes on."""
    paced = Pace()
    for _ in range(9):
        machine.work(0.0001)
        paced.rest_if_due()
    assert machine.rests == []


def test_a_turn_is_followed_by_four_times_as_much_rest(machine: Machine) -> None:
    """Calls have four fifths of the time, and the next turn begins after the rest."""
    paced = Pace()
    machine.work(0.002)
    paced.rest_if_due()
    machine.work(0.0005)
    paced.rest_if_due()
    assert machine.rests == [pytest.approx(0.008)]


def test_waiting_for_a_processor_is_not_work(machine: Machine) -> None:
    """A turn in which others had the processor is not longer for that."""
    paced = Pace()
    machine.work(0.0005, elapsed_s=3.0)
    paced.rest_if_due()
    assert machine.rests == []


def test_rests_take_two_seconds_in_all(machine: Machine) -> None:
    """Beside a switch that keeps the processors to itself, an answer still comes within its deadline."""
    machine.late = 200.0  # a rest of 4 ms takes 0.8 s
    paced, began = Pace(), machine.now_s
    for _ in range(50):
        machine.work(0.001)
        paced.rest_if_due()
    assert machine.rests[:4] == [pytest.approx(0.004)] * 3 + [0]
    assert set(machine.rests[3:]) == {0}  # others still go first, but nothing is waited for
    assert machine.now_s - began < 3.0


def test_work_that_nobody_waits_for_rests_as_long_as_it_takes(machine: Machine) -> None:
    """Explaining goes on for hours: it never takes more than its fifth of the time."""
    machine.late = 200.0
    paced = Pace(answer=False)
    for _ in range(50):
        machine.work(0.001)
        paced.rest_if_due()
    assert machine.rests == [pytest.approx(0.004)] * 50


def test_onlookers_do_not_hold_up_what_nobody_waits_for() -> None:
    """It does not stand in line with the answers."""
    first = gevent.spawn(Pace()._rest, 60.0)
    gevent.sleep(0)
    gevent.spawn(Pace(answer=False)._rest, 0.001).get(timeout=10)
    first.kill()


def test_parts_are_run_to_their_result(machine: Machine) -> None:
    """With rests between them."""

    def parts() -> Generator[None, None, str]:
        for _ in range(3):
            machine.work(0.001)
            yield
        return "done"

    assert Pace().whole(parts()) == "done"
    assert len(machine.rests) == 3


def test_one_rests_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many look on, calls have the same share: nobody's rest passes beside another's."""
    resting, most, sleep = 0, 0, gevent.sleep

    def watched(rest_s: float) -> None:
        nonlocal resting, most
        resting += 1
        most = max(most, resting)
        sleep(0.002)
        resting -= 1

    def work() -> None:
        paced = Pace()
        for _ in range(3):
            paced._rest(0.004)

    with monkeypatch.context() as patched:
        patched.setattr(gevent, "sleep", watched)
        gevent.joinall([gevent.spawn(work) for _ in range(10)])
    assert most == 1


def test_who_is_ended_in_a_rest_holds_nobody_up() -> None:
    """A client that goes away in the middle leaves the others their turns."""
    first = gevent.spawn(Pace()._rest, 60.0)
    gevent.sleep(0)
    second = gevent.spawn(Pace()._rest, 0.001)
    gevent.sleep(0)
    first.kill()
    second.get(timeout=10)
