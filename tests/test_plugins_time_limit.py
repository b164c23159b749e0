"""The time limit of calls into code that is not ours."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import gevent
import pytest
from gevent import monkey

from fsacd.plugins.time_limit import TookTooLong, within

LIMIT_S = 0.02


def loop() -> None:
    while True:
        pass


def stubborn() -> None:
    """Takes the interruption for an error of its own, again and again."""
    while True:
        try:
            sum(range(50))
        except BaseException:  # noqa: BLE001 - that is what it is for
            continue


def sleep_as_others_run() -> None:
    time.sleep(30)


def sleep_in_the_system() -> None:
    monkey.get_original("time", "sleep")(30)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("code", [loop, stubborn, sleep_as_others_run, sleep_in_the_system])
def test_what_takes_too_long_is_interrupted(code: Callable[[], None]) -> None:
    """However it wastes the time, it is not waited for."""
    with pytest.raises(TookTooLong):
        within(LIMIT_S, code)


def test_what_is_quick_gets_its_answer() -> None:
    """The answer and the exception of the call are those of the limited call."""
    assert within(LIMIT_S, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        within(LIMIT_S, divmod, 7, 0)


def test_it_works_in_every_greenlet() -> None:
    """The greenlet that called is the one that is interrupted."""
    ended: list[str] = []

    def sleepy() -> None:
        try:
            within(LIMIT_S, time.sleep, 30)
        except TookTooLong:
            ended.append("interrupted")

    other = gevent.spawn(lambda: ended.extend("other" for _ in range(3) if gevent.sleep(0.001) is None))
    gevent.spawn(sleepy).join(10)
    other.join(10)
    assert sorted(ended) == ["interrupted", "other", "other", "other"]


def test_timer_and_handler_of_others_are_kept() -> None:
    """Who had set an alarm gets it, at its time."""
    rang: list[str] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append("alarm"))
    left_before = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(TookTooLong):
            within(LIMIT_S, loop)
        left_s, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left_s < 0.2
        assert not rang
        with gevent.Timeout(10):
            while not rang:
                gevent.sleep(0.01)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left_before)
    assert rang == ["alarm"]


def test_an_alarm_that_came_due_meanwhile_rings_afterwards() -> None:
    """An alarm of others is late by the limited call, but not lost."""
    rang: list[str] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append("alarm"))
    left_before = signal.setitimer(signal.ITIMER_REAL, 0.005)
    try:
        with pytest.raises(TookTooLong):
            within(LIMIT_S, loop)
        with gevent.Timeout(10):
            while not rang:
                gevent.sleep(0.001)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left_before)
    assert rang == ["alarm"]


def test_limits_may_be_nested() -> None:
    """The inner limit ends the inner call, the outer one the outer."""
    ended: list[str] = []

    def outer() -> None:
        try:
            within(LIMIT_S, loop)
        except TookTooLong:
            ended.append("inner")
        loop()

    with pytest.raises(TookTooLong):
        within(0.2, outer)
    assert ended == ["inner"]


@pytest.mark.timeout(30)
def test_it_works_in_another_thread() -> None:
    """A thread, which no signal reaches, is interrupted too."""
    assert within_in_thread(loop) == "interrupted"
    assert within_in_thread(lambda: None) == "done"


def within_in_thread(code: Callable[[], None]) -> str:
    """Whether the code came to its end in a thread of its own."""

    def limited() -> str:
        try:
            within(LIMIT_S, code)
        except TookTooLong:
            return "interrupted"
        return "done"

    answer: str = gevent.get_hub().threadpool.apply(limited)
    return answer
