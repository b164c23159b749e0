"""The journal's directory: numbered segments of lines, and snapshots. Segment n begins where snapshot n was taken."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fsacd.errors import FsacdError

_SEGMENT = "journal-{:08d}.log"
_SNAPSHOT = "snapshot-{:08d}.json"
_NUMBERED = re.compile(r"(journal|snapshot)-([0-9]{8})\.(?:log|json)")
_SET_ASIDE = "set-aside"
# What it holds names callers: nobody else's business.
_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


class Directory:
    """The files of one journal. Only one process may have it.

    Raises:
        FsacdError: it cannot be made or used, or another fsacd has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FsacdError(f"the journal's directory {path} cannot be used: {error.strerror}") from error
        try:
            # Of the process and not of the descriptor: a copy of the process that lives longer does not hold it.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise FsacdError(f"the journal in {path} is another running fsacd's; each needs a directory") from error

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)
        os.close(self._fd)

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.path / _SEGMENT.format(number)

    def snapshot(self, number: int) -> Path:
        """The file of a snapshot."""
        return self.path / _SNAPSHOT.format(number)

    def _numbered(self, kind: str) -> Iterator[int]:
        for entry in os.scandir(self.path):
            found = _NUMBERED.fullmatch(entry.name)
            if found is not None and found[1] == kind:
                yield int(found[2])

    def segments(self) -> list[int]:
        """The numbers of the segments that are there, ascending."""
        return sorted(self._numbered("journal"))

    def snapshots(self) -> list[int]:
        """The numbers of the snapshots that are there, ascending."""
        return sorted(self._numbered("snapshot"))

    def last(self) -> int:
        """The highest number in use; 0 if none is."""
        return max((*self.segments(), *self.snapshots()), default=0)

    def size(self) -> int:
        """The bytes of all segments. Others may remove some of them meanwhile."""
        size = 0
        for number in self.segments():
            with suppress(OSError):
                size += self.segment(number).stat().st_size
        return size

    def create_segment(self, number: int) -> int:
        """A new segment's file descriptor, to append to. OSError if that cannot be."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        return os.open(self.segment(number), flags, _FILE_MODE)

    def write_snapshot(self, number: int, content: bytes) -> None:
        """Put a snapshot there whole, and on the disk, or not at all. OSError if that cannot be."""
        path = self.snapshot(number)
        draft = path.with_suffix(".draft")
        fd = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, _FILE_MODE)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
        except OSError:
            # Each try would leave one, and together they would take what is left of a disk that is nearly full.
            draft.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        draft.rename(path)
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def sync(self) -> None:
        """Let the names of new files reach the disk."""
        os.fsync(self._fd)

    def forget_before(self, number: int) -> None:
        """Remove the segments and snapshots before this one, and drafts that nobody finished."""
        gone = [self.segment(n) for n in self.segments() if n < number]
        gone += [self.snapshot(n) for n in self.snapshots() if n < number]
        gone += [draft for draft in self.path.glob("*.draft") if draft.name < self.snapshot(number).name]
        for path in gone:
            path.unlink(missing_ok=True)

    def forget_segments(self) -> None:
        """Remove all segments. The newest snapshot stays."""
        for number in self.segments():
            self.segment(number).unlink(missing_ok=True)

    def forget_aside(self) -> None:
        """Remove what was set aside."""
        aside = self.path / _SET_ASIDE
        for old in aside.iterdir() if aside.is_dir() else ():
            old.unlink(missing_ok=True)

    def set_aside(self) -> Path:
        """Move everything out of the way, in the place of what was there before; returns where to."""
        aside = self.path / _SET_ASIDE
        aside.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        for old in aside.iterdir():
            old.unlink()
        for path in self.path.iterdir():
            if _NUMBERED.fullmatch(path.name) or path.suffix == ".draft":
                path.rename(aside / path.name)
        return aside
