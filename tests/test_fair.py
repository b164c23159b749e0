"""The stopwatch stands while others have the processors."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.fair import Stopwatch, children

WORK_S = 0.3
LOOP = "import os; os.sched_setaffinity(0, {%d})\nprint(flush=True)\nwhile 1: pass"


def test_it_counts_what_we_had() -> None:
    """Three others want the same processor: the clock says four times as much as we had."""
    mine = os.sched_getaffinity(0)
    processor = min(mine)
    os.sched_setaffinity(0, {processor})
    loops = [subprocess.Popen([sys.executable, "-c", LOOP % processor], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for loop in loops:
            assert loop.stdout is not None
            loop.stdout.readline()
        assert {loop.pid for loop in loops} <= set(children())
        watch, clock_s, until_s = Stopwatch(), time.monotonic(), time.thread_time() + WORK_S
        while time.thread_time() < until_s:
            pass
        had_s, clock_s = watch.look(), time.monotonic() - clock_s
    finally:
        os.sched_setaffinity(0, mine)
        for loop in loops:
            loop.kill()
            loop.communicate()
    assert clock_s > 1.5 * WORK_S, "there was a crowd"
    assert 0.9 * WORK_S < had_s < (WORK_S + clock_s) / 2


def test_it_goes_on_while_we_sleep() -> None:
    """Who waits for something that does not come is not starved."""
    watch = Stopwatch()
    time.sleep(0.2)
    assert watch.look() > 0.15
