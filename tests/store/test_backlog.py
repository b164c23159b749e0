"""Rows that wait: within the limits, in order, and never in the way of the calls."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import gevent
from structlog.testing import capture_logs

from fsacd.store.backlog import Backlog
from fsacd.store.rows import Row
from fsacd.store.settings import StoreSettings
from tests.store.test_spool import Failing, directory, drained, state, waiting

__all__ = ["directory"]


def test_full_disk_and_no_database(directory: Path) -> None:
    """With nowhere to go, rows stay within the limit of memory; what is dropped is counted, and said once."""
    backlog = waiting(directory, queue_limit=10)
    assert backlog._spool is not None
    disk = backlog._spool._disk = Failing(directory)
    disk.full = True
    with capture_logs() as logs:
        for number in range(50):
            backlog.take([state(number)])
    assert (len(backlog), backlog.unsafe, backlog._counts["dropped"]) == (10, 10, 40)
    assert [line["log_level"] for line in logs] == ["error", "error"], "one of the disk, and one of what is dropped"
    assert drained(backlog) == [state(number) for number in range(10)]
    backlog.close()


def test_put_last(directory: Path) -> None:
    """A row that goes behind the others is there once, also after a death in between."""
    backlog = waiting(directory)
    backlog.take([state(1), state(2)])
    assert backlog.first(1) == [state(1)]
    backlog.put_last()
    assert backlog.first(5) == [state(2), state(1)]
    backlog.close()
    again = waiting(directory)
    assert drained(again) == [state(2), state(1)]
    again.close()


def test_others_run_while_many_rows_are_looked_through() -> None:
    """To change what waits in memory holds nobody up, and rows that come meanwhile are taken."""
    backlog = Backlog(StoreSettings(""), Counter())
    backlog.take([state(number) for number in range(1_000)])

    def slowly(row: Row) -> Row:
        end = time.perf_counter() + 50e-6
        while time.perf_counter() < end:
            pass
        return replace(row, values=("bert", *row.values[1:]))

    comes = gevent.spawn(lambda: backlog.take([state(1_000)]))
    assert backlog.change(slowly) == 1_000
    assert comes.ready()
    assert [row.values[0] for row in drained(backlog, 500)] == ["bert"] * 1_000 + ["anna"]
