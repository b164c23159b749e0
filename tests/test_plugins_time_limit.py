"""The time limit of calls into code that is not ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import monkey

from fsacd.plugins.time_limit import TookTooLong, WaitedTooLong, _Count, far_s, within

LIMIT_S = 0.02
TICK_S = LIMIT_S / 4
# For who really sleeps until the far bound. Each waking costs the thread what the machine pleases, some 0.07 ms and
# several times as much on a busy one, whatever the limit is. Of a short limit's two hundred wakings that can be all;
# this one's are forty, with the same far bound, and would have to cost 2.5 ms each.
SLEEPERS_LIMIT_S = 0.1


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


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("code", "limit_s", "late"),
    [
        (loop, LIMIT_S, TookTooLong),
        (stubborn, LIMIT_S, TookTooLong),
        (sleep_as_others_run, LIMIT_S, WaitedTooLong),
        (sleep_in_the_system, SLEEPERS_LIMIT_S, WaitedTooLong),
    ],
)
def test_what_takes_too_long_is_interrupted(
    code: Callable[[], None], limit_s: float, late: type[BaseException]
) -> None:
    """However it wastes the time, it is not waited for, and it is told whether it has computed."""
    with pytest.raises(TookTooLong) as told:
        within(limit_s, code)
    assert told.type is late


@pytest.fixture
def starved() -> Iterator[None]:
    """Three others want the processor that this thread is on, all the time."""
    mine = os.sched_getaffinity(0)
    processor = min(mine)
    loops = [
        subprocess.Popen([sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{processor}}})\nwhile 1: pass"])
        for _ in range(3)
    ]
    os.sched_setaffinity(0, {processor})
    yield
    os.sched_setaffinity(0, mine)
    for loop_ in loops:
        loop_.kill()
        loop_.wait(10)


def compute(for_s: float) -> str:
    """Until the thread has had the processor for so long, however long that takes by the clock."""
    until_s = time.thread_time() + for_s
    while time.thread_time() < until_s:
        pass
    return "done"


@pytest.mark.usefixtures("starved")
def test_who_is_starved_of_the_processor_is_not_interrupted() -> None:
    """A busy machine makes a call late by the clock; it has its limit all the same."""
    for _ in range(20):
        assert within(LIMIT_S, compute, LIMIT_S / 2) == "done"
    answers: list[str] = gevent.get_hub().threadpool.map(lambda _: within(LIMIT_S, compute, LIMIT_S / 2), range(5))
    assert answers == ["done"] * 5


@pytest.mark.usefixtures("starved")
@pytest.mark.timeout(300)
def test_who_computes_for_ever_is_interrupted_on_a_busy_machine_too() -> None:
    """By what it has computed: it had its limit, and hardly more."""
    before_s = time.thread_time()
    with pytest.raises(TookTooLong) as told:
        within(LIMIT_S, loop)
    assert told.type is TookTooLong
    # Ticks come late where others have the processor, and each counts as one.
    assert LIMIT_S * 0.9 < time.thread_time() - before_s < far_s(LIMIT_S)


STANDS_STILL = """
import os, signal, time
from fsacd.plugins.time_limit import within
from tests.test_plugins_time_limit import LIMIT_S, compute
def stopped():
    os.kill(os.getpid(), signal.SIGSTOP)
    return compute(LIMIT_S / 2)
began = time.monotonic()
print(within(LIMIT_S, stopped), time.monotonic() - began)
"""


@pytest.mark.timeout(300)
def test_who_stood_still_with_the_process_is_not_interrupted() -> None:
    """A process that was stopped, or whose machine was, meets one tick for all that time."""
    command = [sys.executable, "-c", STANDS_STILL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}) as other:
        os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
        time.sleep(far_s(LIMIT_S) + 0.1)
        other.send_signal(signal.SIGCONT)
        told, _ = other.communicate(timeout=30)
    answer, took_s = told.split()
    assert answer == "done"
    assert float(took_s) > far_s(LIMIT_S), "it has stood still"


def ticks(*computed_s: float) -> list[type[BaseException] | None]:
    """What each tick says, when the thread had computed for so long in all."""
    count = _Count(LIMIT_S, 0.0)
    return [count.tick(at_s) for at_s in computed_s]


def test_a_tick_counts_what_was_computed_and_no_more_than_itself() -> None:
    """A call is over at its fourth full tick; a long pause before one (a garbage collection) counts as one tick."""
    assert ticks(TICK_S, 2 * TICK_S, 3 * TICK_S, 4.1 * TICK_S) == [None, None, None, TookTooLong]
    assert ticks(40 * TICK_S, 41 * TICK_S, 42 * TICK_S) == [None, None, None]
    share = [TICK_S * number / 10 for number in range(1, 42)]
    assert ticks(*share)[38:] == [None, TookTooLong, TookTooLong]


def test_the_far_bound_is_counted_in_ticks() -> None:
    """Who does not compute at all is over when so many ticks have come as fit into the far bound, and not before."""
    most = round(far_s(LIMIT_S) / TICK_S)
    told = ticks(*[0.0] * most)
    assert told == [None] * (most - 1) + [WaitedTooLong]


def test_who_waits_is_not_charged_for_being_woken() -> None:
    """On a slow machine two hundred wakings cost more than a call may compute."""
    most = round(far_s(LIMIT_S) / TICK_S)
    waking_s = 0.024 * TICK_S
    assert waking_s * most > LIMIT_S
    assert ticks(*[waking_s * number for number in range(1, most + 1)])[-1] is WaitedTooLong


def test_the_far_bound_is_ten_times_the_limit_and_a_second_at_least() -> None:
    """As strategies/README.md says."""
    assert (far_s(0.001), far_s(0.02), far_s(1.0)) == (1.0, 1.0, 10.0)
    assert far_s(SLEEPERS_LIMIT_S) == far_s(LIMIT_S)


def test_a_long_operation_is_noticed_when_it_ends() -> None:
    """What nothing can interrupt, and has computed for far too long, is too late."""
    with pytest.raises(TookTooLong):
        within(LIMIT_S / 20, sum, range(20_000_000))


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
    left_before = signal.setitimer(signal.ITIMER_REAL, 600)
    try:
        with pytest.raises(TookTooLong):
            within(LIMIT_S, loop)
        left_s, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left_s < 600
        assert not rang
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        with gevent.Timeout(60):
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
        with gevent.Timeout(60):
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


@pytest.mark.timeout(300)
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
