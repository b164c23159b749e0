"""A journal on a disk with faults: calls go on, the next daemon starts, and the disk is not filled by trying."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fsacd.core import events as e
from fsacd.journal import journal
from fsacd.journal.files import Directory
from fsacd.testing import queued
from tests.journal.rig import Centre
from tests.journal.test_journal import await_true


def test_a_segment_that_cannot_be_read_keeps_no_daemon_from_starting(tmp_path: Path) -> None:
    """What stands before it is used, the rest is told; a daemon that does not start loses everybody."""
    first = Centre(tmp_path)
    first.tell(queued("c1", "q", first.journal.clock()))
    first.kill()
    second = Centre(tmp_path)
    second.tell(queued("c2", "q", second.journal.clock()))
    second.kill()
    for snapshot in tmp_path.glob("snapshot-00000002.*"):
        snapshot.unlink()
    unreadable = tmp_path / "journal-00000002.log"
    unreadable.unlink()
    unreadable.symlink_to(unreadable)  # reading it is an error of the system, as on a disk with a bad sector
    third = Centre(tmp_path)
    assert [call.call_id for call in third.engine.snapshot(third.engine.now_ms).calls] == ["c1"]
    assert third.recovered is not None
    assert "cannot be read" in third.recovered.damage[0]
    third.kill()


def test_a_segment_may_be_removed_while_its_size_is_asked_for(tmp_path: Path) -> None:
    """The thread removes old segments at any moment: the journal is not broken by that."""
    directory = Directory(tmp_path)
    (tmp_path / "journal-00000001.log").write_bytes(b"12345")
    (tmp_path / "journal-00000002.log").symlink_to(tmp_path / "gone")
    assert directory.size() == 5
    directory.close()


def test_a_full_disk_is_not_filled_with_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a new file, but nothing in it: however long that lasts, there are no more files than before."""
    centre = Centre(tmp_path, retry_s=0)
    make, tries = Directory.create_segment, list[int]()

    def make_and_fill(directory: Directory, number: int) -> int:
        os.close(make(directory, number))
        tries.append(number)
        return os.open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(Directory, "create_segment", make_and_fill)
    before = sorted(tmp_path.iterdir())
    centre.journal.snapshot()
    await_true(lambda: len(tries) == 3, "the journal is tried again")
    assert sorted(tmp_path.iterdir()) == before
    monkeypatch.undo()
    await_true(lambda: centre.journal.state().snapshots == 2, "the journal begins anew")
    centre.tell(queued("c1", "q", centre.journal.clock()))
    centre.kill()
    second = Centre(tmp_path)
    assert len(second.engine.snapshot(second.engine.now_ms).calls) == 1
    second.kill()


def test_a_snapshot_that_failed_is_soon_tried_again_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a gap only a snapshot makes the journal good again: it does not wait for its usual time."""
    centre = Centre(tmp_path, snapshot_retry_s=0)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    centre.journal.snapshot()
    await_true(lambda: centre.journal.state().snapshot_failures, "the copy tells that it has failed")
    assert not list(tmp_path.glob("*.draft"))
    monkeypatch.undo()
    await_true(lambda: centre.journal.state().snapshots == 2, "it is tried again")
    centre.kill()


def test_the_hours_are_remembered_also_while_nothing_can_be_written(tmp_path: Path) -> None:
    """What they have told meanwhile stands in the head of the next segment."""
    centre = Centre(tmp_path, retry_s=0)
    centre.journal._broken("a test")
    centre.tell(e.QueueSetOpen("q", open=False, by="hours"))
    await_true(lambda: centre.journal.state().snapshots == 2, "the journal begins anew")
    centre.kill()
    second = Centre(tmp_path)
    assert second.journal.hours == {"q": False}
    second.kill()


def test_a_journal_that_has_grown_too_large_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No snapshot could be made for long: the disk is not filled, and when one can be made all is well again."""
    monkeypatch.setattr(journal, "LIMIT_BYTES", 1_000)
    centre = Centre(tmp_path, retry_s=0)
    centre.tell(*(queued(f"c{number}", "q", centre.journal.clock()) for number in range(10)))
    centre.journal.snapshot()
    assert not centre.journal.state().writing
    await_true(lambda: centre.journal.state().snapshots == 2, "the journal begins anew")
    centre.tell(queued("after", "q", centre.journal.clock()))
    centre.kill()
    second = Centre(tmp_path)
    assert len(second.engine.snapshot(second.engine.now_ms).calls) == 11
    second.kill()


def test_a_fault_of_ours_leaves_the_journal_looked_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else makes snapshots, without which it grows and grows."""
    centre = Centre(tmp_path, retry_s=0, snapshot_entries=1, snapshot_pause_s=0)
    faults: list[int] = []

    def fail(*_: object) -> bool:
        faults.append(1)
        raise ValueError("a fault of ours")

    monkeypatch.setattr(journal.Journal, "_erase", fail)
    await_true(lambda: faults, "it is looked after")
    monkeypatch.undo()
    centre.tell(queued("c1", "q", centre.journal.clock()))
    await_true(lambda: centre.journal.state().snapshots == 2, "it is looked after again")
    centre.kill()
