"""What was written reaches the disk soon, in a thread that holds nobody up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from fsacd.journal.syncer import Syncer


@pytest.fixture
def syncer() -> Iterator[Syncer]:
    syncer = Syncer()
    syncer.start()
    yield syncer
    syncer.stop()


def wait_for(syncer: Syncer, syncs: int) -> None:
    with gevent.Timeout(10):
        while syncer.syncs < syncs:
            gevent.sleep(0.002)


def opened(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)


def test_what_is_written_is_synced(syncer: Syncer, tmp_path: Path) -> None:
    """Writes that come together are synced together, and nothing waits for the disk after that."""
    fd = opened(tmp_path / "file")
    syncer.follow(fd)
    for _ in range(100):
        os.write(fd, b"entry\n")
        syncer.written()
    assert syncer.unsynced_ms() > 0
    wait_for(syncer, 1)
    with gevent.Timeout(10):
        while syncer.unsynced_ms():
            gevent.sleep(0.002)
    assert syncer.syncs < 100
    assert syncer.longest_lag_ms > 0


def test_the_file_before_is_synced_and_closed(syncer: Syncer, tmp_path: Path) -> None:
    """A segment that is full is brought to the disk before it is let go."""
    first, second = opened(tmp_path / "first"), opened(tmp_path / "second")
    syncer.follow(first)
    os.write(first, b"entry\n")
    syncer.written()
    syncer.follow(second)
    with gevent.Timeout(10):
        while Path(f"/proc/self/fd/{first}").exists():
            gevent.sleep(0.002)
    assert syncer.error == ""


def test_a_disk_that_fails_is_told(syncer: Syncer) -> None:
    """An error of fsync is kept for whoever looks: what was written may be lost."""
    reading, writing = os.pipe()
    syncer.follow(writing)
    syncer.written()
    with gevent.Timeout(10):
        while not syncer.error:
            gevent.sleep(0.002)
    assert syncer.error == "Invalid argument"
    os.close(reading)


def test_chores_are_done_in_the_thread(syncer: Syncer) -> None:
    """What may take long is done there, and its error is kept, too."""
    done: list[str] = []
    syncer.do(lambda: done.append("chore"))
    with gevent.Timeout(10):
        while not done:
            gevent.sleep(0.002)

    def fail() -> None:
        raise OSError(5, "Input/output error")

    syncer.do(fail)
    with gevent.Timeout(10):
        while not syncer.error:
            gevent.sleep(0.002)
    assert syncer.error == "Input/output error"
