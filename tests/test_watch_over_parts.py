"""The watch over parts that live long: one that dies is started again or ends its owner, and is counted and told."""

from __future__ import annotations

import time

import gevent
import pytest
from structlog.testing import capture_logs

from fsacd.process import threads
from fsacd.runtime import watched
from tests.esl.fake_switch import until
from tests.faults import DEADLINE_S, FaultError, told


def test_a_part_that_raises_is_started_again() -> None:
    """It works on after a pause, is counted, told as a trouble, and logged once."""
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) <= 2:
            raise FaultError("expected by the test")
        gevent.sleep(60)

    with capture_logs() as logs:
        part = watched.keep("a part", work)
        until(lambda: len(calls) == 3, DEADLINE_S)
    assert watched.failures() == {"a part": 2}
    assert told("a part") == ["FaultError: expected by the test"]
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("a part of fsacd failed, by a fault of ours", "error")
    ]
    part.kill()


def test_a_part_that_returns_without_leave_is_started_again() -> None:
    """To return is a failure, too, unless it is meant to."""
    calls: list[int] = []
    part = watched.keep("a part", lambda: calls.append(1), may_end=lambda: len(calls) == 3)
    part.join(DEADLINE_S)
    assert part.ready()
    assert watched.failures() == {"a part": 2}
    assert told("a part") == ["it ended by itself"]


def test_a_timeout_of_geventss_ends_no_part() -> None:
    """Gevent's Timeout is no Exception; a part that lets one through is started again all the same."""
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise gevent.Timeout(0)

    watched.keep("a part", work, may_end=lambda: True).join(DEADLINE_S)
    assert len(calls) == 2


def test_whom_a_part_belongs_to_is_told_of_its_end() -> None:
    """What belongs to a connection is not started again: its owner is told why, and ends the connection."""
    reasons: list[str] = []
    watched.bound("a part", lambda: int("x"), reasons.append).join(DEADLINE_S)
    watched.bound("a part", lambda: None, reasons.append, may_end=lambda: False).join(DEADLINE_S)
    watched.bound("a part", lambda: None, reasons.append).join(DEADLINE_S)
    assert [reason.partition(":")[0] for reason in reasons] == ["ValueError", "it ended by itself"]
    assert watched.failures() == {"a part": 2}


def test_a_thread_that_raises_goes_on_and_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread may neither log nor count: what it died of is logged and counted when somebody listens."""
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise FaultError("expected by the test")

    watched.thread("a thread", work)
    until(lambda: len(calls) == 2, DEADLINE_S)
    assert watched.failures() == {"a thread": 0}
    with capture_logs() as logs:
        watched.listen()
    assert watched.failures() == {"a thread": 1}
    assert told("a thread") == ["FaultError: expected by the test"]
    assert [line["part"] for line in logs] == ["a thread"]


def test_the_pauses_grow_and_begin_anew() -> None:
    """A part that fails again and again is started ever less often; one that has worked for a while at once."""
    pauses = [0.0]
    for _ in range(10):
        pauses.append(threads.next_pause_s(pauses[-1], worked_s=0.0))
    assert pauses[1] == threads.PAUSE_MIN_S
    assert pauses[1:] == sorted(pauses[1:])
    assert pauses[-1] == threads.PAUSE_MAX_S
    assert threads.next_pause_s(pauses[-1], worked_s=threads.SOUND_S + 1) == threads.PAUSE_MIN_S


def test_a_trouble_is_over_when_the_part_has_worked_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told for a minute, and no longer."""
    watched.caught("a part", FaultError("x"))
    assert told("a part") == ["FaultError: x"]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + threads.SOUND_S + 1)
    assert told("a part") == []
