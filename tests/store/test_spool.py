from __future__ import annotations

import errno
import fcntl
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typing_extensions import override

from fsacd.store.backlog import Backlog
from fsacd.store.disk import Disk
from fsacd.store.rows import AGENT_STATES, DECISIONS, Row
from fsacd.store.settings import StoreSettings
from fsacd.store.spool import Spool
from fsacd.store.spool_files import SpoolError

LIMIT = 1_000_000


def state(number: int) -> Row:
    """A row that is like no other."""
    return Row(AGENT_STATES, ("anna", "ready", f"r{number}", number, number + 1, ""))


def document(number: int, size: int) -> Row:
    return Row(DECISIONS, (f"o{number}", "c1", number, "support", "anna", number, b'"' + b"x" * size + b'"'))


def waiting(directory: Path, **changes: Any) -> Backlog:
    backlog = Backlog(replace(StoreSettings("", spool=directory, spool_limit=LIMIT), **changes), Counter())
    backlog.mend()
    return backlog


def drained(backlog: Backlog, count: int = 7) -> list[Row]:
    found: list[Row] = []
    while batch := backlog.first(count):
        found += batch
        backlog.leave(len(batch))
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_rows_survive(directory: Path) -> None:
    """What was taken and not confirmed is there at the next start, in order; what was confirmed is not."""
    first = waiting(directory)
    rows = [state(number) for number in range(50)]
    for row in rows:
        first.take([row])
    assert first.first(20) == rows[:20]
    first.leave(20)
    assert first.unsafe == 0
    first.close()
    second = waiting(directory)
    assert len(second) > 0
    assert (second.first(5), len(second)) == (rows[20:25], 30)
    assert drained(second) == rows[20:]
    assert len(second) == 0
    second.close()
    third = waiting(directory)
    assert drained(third) == []
    third.close()


def test_more_than_memory(directory: Path) -> None:
    """What has no room in memory waits on disk and comes back in order; memory never holds more than its limit."""
    backlog = waiting(directory, queue_limit=10)
    rows = [state(number) for number in range(500)]
    for number in range(0, 500, 5):
        backlog.take(rows[number : number + 5])
    assert len(backlog) == 500
    assert drained(backlog) == rows
    backlog.take(rows[:3])
    assert (backlog.first(9), len(backlog)) == (rows[:3], 3)
    backlog.close()


def test_one_write_for_the_rows_of_a_step(directory: Path) -> None:
    """Rows that come together are written together."""
    backlog = waiting(directory)
    disk = Failing(directory)
    assert backlog._spool is not None
    backlog._spool._disk = disk
    backlog.take([state(number) for number in range(5)])
    assert [what for what in disk.done if what == "append"] == ["append"]
    backlog.close()


def test_segments_go_when_they_are_confirmed(directory: Path) -> None:
    """The disk is used for what waits, and little else."""
    backlog = waiting(directory)
    for number in range(2_500):
        backlog.take([state(number)])
    assert backlog.spooled_bytes > 100_000
    assert len(segments(directory)) > 1
    assert len(drained(backlog, 500)) == 2_500
    assert len(segments(directory)) <= 1
    assert backlog.spooled_bytes == sum(path.stat().st_size for path in segments(directory)) < 100_000
    backlog.close()


def test_limit(directory: Path) -> None:
    """At the limit the newest rows are dropped and counted, and that is said once; explanations may take half of it."""
    backlog = waiting(directory)
    with capture_logs() as logs:
        for number in range(100):
            backlog.take([document(number, 10_000)])
            backlog.take([state(number)])
        for number in range(100, 12_000):
            backlog.take([state(number)])
    assert LIMIT * 0.9 < backlog.spooled_bytes <= LIMIT + 1_000
    found = drained(backlog, 500)
    documents = [row.values[2] for row in found if row.table is DECISIONS]
    states = [row.values[3] for row in found if row.table is AGENT_STATES]
    assert documents == list(range(len(documents)))
    assert 40 <= len(documents) <= 50
    assert states == list(range(len(states)))
    assert backlog._counts["dropped"] == 12_100 - len(found)
    assert [line["log_level"] for line in logs] == ["error", "error"], "one of explanations and one of all, not of each"
    backlog.take([state(77)])
    assert drained(backlog) == [state(77)]
    backlog.close()


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_a_torn_end_is_normal(directory: Path, cut: int) -> None:
    """The end of a line that a death cut off is left out without a word; all before it is used."""
    first = waiting(directory)
    first.take([state(1), state(2), state(3)])
    first.close()
    (path,) = segments(directory)
    os.truncate(path, path.stat().st_size - cut)
    with capture_logs() as logs:
        second = waiting(directory)
        second.take([state(4)])
        assert drained(second) == [state(1), state(2), state(4)]
        assert second.corrupt == 0
        second.close()
    assert [line for line in logs if line["log_level"] == "error"] == []


def test_a_corrupt_line_is_reported(directory: Path) -> None:
    """A line that is not what was written is told with file and offset, and the rest is used."""
    first = waiting(directory)
    first.take([state(number) for number in range(5)])
    first.close()
    (path,) = segments(directory)
    text = path.read_bytes()
    at = text.index(b'"r2"')
    path.write_bytes(text[:at] + b'"R2"' + text[at + 4 :])
    with capture_logs() as logs:
        second = waiting(directory)
        assert drained(second) == [state(0), state(1), state(3), state(4)]
        assert (second.corrupt, len(second)) == (1, 0)
        second.close()
    (told,) = [line for line in logs if line["log_level"] == "error"]
    assert (told["file"], told["offset"]) == (str(path), text.rindex(b"\n", 0, at) + 1)


def test_two_daemons(directory: Path) -> None:
    """A spool that another process uses is left alone, in one sentence; rows wait in memory until it is free."""
    first = waiting(directory)
    with pytest.raises(SpoolError, match="is used by another process"):
        Spool(directory, LIMIT)
    with capture_logs() as logs:
        second = waiting(directory)
    assert [line["log_level"] for line in logs] == ["error"]
    second.take([state(1)])
    assert (second.is_safe, second.unsafe, len(second)) == (False, 1, 1)
    first.close()
    second._tried_s -= 10
    second.mend()
    assert (second.is_safe, second.unsafe, len(second)) == (True, 0, 1)
    second.close()
    third = waiting(directory)
    assert drained(third) == [state(1)]
    third.close()


@pytest.mark.parametrize("part", [0, 20, 200])
def test_full_disk(directory: Path, part: int) -> None:
    """On a full disk rows wait in memory, and go to it when there is room again; a half-written line does no harm."""
    backlog = waiting(directory)
    backlog.take([state(1)])
    assert backlog._spool is not None
    disk = backlog._spool._disk = Failing(directory, part=part)
    disk.full = True
    with capture_logs() as logs:
        for number in range(2, 6):
            backlog.take([state(number)])
    assert [line["why"] for line in logs] == ["no space left on device"]
    assert (backlog.is_safe, backlog.unsafe, len(backlog)) == (False, 4, 5)
    disk.full = False
    backlog.mend()
    assert not backlog.is_safe, "a disk that has just failed is left alone for a while"
    backlog._tried_s -= 10
    backlog.mend()
    assert (backlog.is_safe, backlog.unsafe, len(backlog)) == (True, 0, 5)
    backlog.take([state(6)])
    backlog.close()
    again = waiting(directory)
    assert drained(again) == [state(number) for number in range(1, 7)]
    assert again.corrupt == 0
    again.close()


def test_a_row_that_no_line_can_hold(directory: Path) -> None:
    """A number beyond 64 bits is refused where it comes from; the rows beside it are taken."""
    backlog = waiting(directory)
    with capture_logs() as logs:
        backlog.take([state(1), state(2**70), state(3)])
    assert [line["log_level"] for line in logs] == ["error"]
    assert drained(backlog) == [state(1), state(3)]
    backlog.close()


def test_a_spool_that_loses_a_file(directory: Path) -> None:
    """A segment that somebody has removed is reported, and what is left is used."""
    first = waiting(directory)
    for number in range(3_000):
        first.take([state(number)])
    first.close()
    gone, *others = segments(directory)
    assert others
    second = waiting(directory)
    gone.unlink()
    with capture_logs() as logs:
        found = drained(second, 500)
    assert found == [state(number) for number in range(3_000)][-len(found) :]
    assert 1_000 < len(found) < 3_000
    assert [line["file"] for line in logs if line["log_level"] == "error"] == [str(gone)]
    second.close()


# --- killed at each step ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The end of the process; nobody catches it."""


class Failing(Disk):
    """A disk that can be full, and that ends the process at its `last` operation after `part` bytes of it."""

    def __init__(self, directory: Path, last: int = -1, part: int = 0) -> None:
        self.directory = directory
        self.last = last
        self.part = part
        self.full = False
        self.done: list[str] = []

    def _step(self, what: str) -> bool:
        self.done.append(what)
        return len(self.done) - 1 == self.last

    @override
    def create(self, path: Path) -> int:
        if self._step("create"):
            raise Killed
        return super().create(path)

    @override
    def append(self, descriptor: int, data: bytes) -> None:
        if self.full:
            os.write(descriptor, data[: self.part])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._step("append"):
            os.write(descriptor, data[: self.part])
            raise Killed
        super().append(descriptor, data)

    @override
    def overwrite(self, path: Path, data: bytes, offset: int = 0) -> None:
        if self._step("overwrite"):
            raise Killed
        super().overwrite(path, data, offset)

    @override
    def remove(self, path: Path) -> None:
        if self._step("remove"):
            raise Killed
        super().remove(path)


class Database:
    """What PostgreSQL does with rows: each key once, and all of a batch or nothing."""

    def __init__(self) -> None:
        self.rows: Counter[Row] = Counter()

    def commit(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.rows[row] |= 1


def story(backlog: Backlog, database: Database, steps: Sequence[int], handed: list[Row]) -> None:
    """Put (a positive step: so many rows) and write (a negative one: a batch of so many)."""
    for step in steps:
        if step > 0:
            rows = [state(len(handed) + number) for number in range(step)]
            # Before, because whatever happens within, some of them may be written.
            handed += rows
            backlog.take(rows)
        else:
            batch = backlog.first(-step)
            database.commit(batch)
            if batch:
                backlog.leave(len(batch))


def abandoned(backlog: Backlog) -> None:
    """What the kernel does with a dead process: it closes its files."""
    assert backlog._spool is not None
    fcntl.flock(backlog._spool._lock, fcntl.LOCK_UN)
    backlog.close()


def killed_at(directory: Path, steps: Sequence[int], last: int, part: int) -> bool:
    """Whether the process was killed; what it had taken is in the database once, and nothing else is."""
    database = Database()
    handed: list[Row] = []
    backlog = waiting(directory, queue_limit=20)
    assert backlog._spool is not None
    backlog._spool._largest = 300  # several segments in a short story
    backlog._spool._disk = Failing(directory, last, part)
    killed = False
    taken = 0
    try:
        for step in steps:
            story(backlog, database, [step], handed)
            taken = len(handed)
    except Killed:
        killed = True
    abandoned(backlog)
    again = waiting(directory, queue_limit=20)
    story(again, database, [3, *[-5] * (len(handed) + 10)], handed)
    again.close()
    assert again.corrupt == 0
    # The rows of the step that the end came in may be lost: nobody was told that they are safe. No other is.
    assert set(handed[:taken]) <= set(database.rows)
    assert set(database.rows) <= set(handed)
    assert set(database.rows.values()) <= {1}
    return killed


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(st.one_of(st.integers(1, 8), st.integers(-8, -1)), min_size=4, max_size=25),
    part=st.integers(0, 400),
)
def test_killed_at_each_step(tmp_path_factory: pytest.TempPathFactory, steps: list[int], part: int) -> None:
    """Killed at any step of writing, sending, confirming and clearing away, no row is lost and none is there twice."""
    last = 0  # the operation that the end comes in; beyond the story's own there is none
    while killed_at(tmp_path_factory.mktemp("spool"), steps, last, part):
        last += 1
    assert last > 0 or all(step < 0 for step in steps)


def segments(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.name.isdecimal())
