"""The journal's directory: numbered segments of lines, and snapshots. Segment n begins where snapshot n was taken."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from fsacd.errors import FsacdError
from fsacd.process import trusted
from fsacd.process.aside import Aside

_SEGMENT = "journal-{:08d}.log"
_SNAPSHOT = "snapshot-{:08d}.json"
_NUMBERED = re.compile(r"(journal|snapshot)-([0-9]{8,15})\.(log|json|draft)")
_ENDS = {"journal": "log", "snapshot": "json"}
# Ten thousand agents and twenty thousand calls take a tenth of it. A longer file was not written by us, and reading
# it might take more memory than there is.
SNAPSHOT_BYTES: Final = 256 << 20
# The most that the segments may grow to while no snapshot can be made and so nothing is removed.
LIMIT_BYTES: Final = 2 << 30


def is_ours(name: str) -> bool:
    """Whether a file of this name is a segment or a snapshot."""
    return _NUMBERED.fullmatch(name) is not None


class Directory:
    """The files of one journal. Only one process may have it, and nobody else may write to it.

    Raises:
        FsacdError: it cannot be made or used, belongs to somebody else, or another fsacd has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.aside = Aside(path)
        self._aside_before = self.aside.names()
        try:
            # Its files name callers and command the daemon, so nobody else may read or write them.
            trusted.make_directory(path)
            self._lock = trusted.open_or_create(path / "lock", os.O_RDWR)
        except OSError as error:
            raise FsacdError(f"the journal's directory {path} cannot be used: {trusted.why(error)}") from error
        try:
            # The lock is the process's, not the descriptor's: a copy of the process that lives longer has no lock.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise FsacdError(f"the journal in {path} is another running fsacd's; each needs a directory") from error

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.path / _SEGMENT.format(number)

    def snapshot(self, number: int) -> Path:
        """The file of a snapshot."""
        return self.path / _SNAPSHOT.format(number)

    def _numbered(self, kind: str) -> Iterator[int]:
        for entry in os.scandir(self.path):
            found = _NUMBERED.fullmatch(entry.name)
            if found is not None and found[1] == kind and found[3] == _ENDS[kind]:
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
                status = self.segment(number).lstat()
                size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        return size

    # --- reading ---

    def open_segment(self, number: int) -> IO[bytes]:
        """A segment, to be read. OSError if it cannot be, or is not what we have written."""
        return os.fdopen(trusted.open_file(self.segment(number)), "rb")

    def read_snapshot(self, number: int) -> bytes:
        """What is in a snapshot. OSError as for a segment."""
        return trusted.read_file(self.snapshot(number), SNAPSHOT_BYTES)

    def set_strangers_aside(self) -> list[str]:
        """Set aside files named like a segment or snapshot that were not written by us. Returns a sentence for each."""
        told = []
        for path in sorted(entry for entry in self.path.iterdir() if _NUMBERED.fullmatch(entry.name)):
            try:
                os.close(trusted.open_file(path))
                if path.lstat().st_size > LIMIT_BYTES:
                    raise trusted.Untrusted(f"it is larger than {LIMIT_BYTES >> 30} GiB")
            except OSError as error:
                if not trusted.is_foreign(path, error):
                    continue  # a fault of the disk, which recovery reports when it reads the file
                done = "was set aside" if self.aside.move(path) else "cannot be set aside"
                told.append(f"{path} cannot be read: {trusted.why(error)}; it {done}")
        return told

    # --- writing ---

    def create_segment(self, number: int) -> int:
        """A new segment's file descriptor, to append to. OSError if that cannot be."""
        return trusted.create_file(self.segment(number), os.O_WRONLY | os.O_APPEND)

    def write_snapshot(self, number: int, content: bytes) -> None:
        """Write a snapshot, synced to the disk: the whole of it or nothing. OSError if that cannot be."""
        trusted.write_file(self.snapshot(number), content, SNAPSHOT_BYTES)
        self.sync()

    def sync(self) -> None:
        """Sync the names of new files to the disk."""
        trusted.sync_directory(self.path)

    def forget_before(self, number: int) -> None:
        """Remove the segments and snapshots before this one, and drafts that nobody finished."""
        for path in list(self.path.iterdir()):
            found = _NUMBERED.fullmatch(path.name)
            if found is not None and int(found[2]) < number + (found[3] == "draft"):
                path.unlink(missing_ok=True)

    def forget_segments(self) -> None:
        """Remove all segments. The newest snapshot stays."""
        for number in self.segments():
            self.segment(number).unlink(missing_ok=True)

    def forget_aside(self) -> None:
        """Remove what was set aside."""
        self.aside.forget()

    def set_aside(self) -> Path:
        """Move the whole journal away, replacing what an earlier start has moved there. Returns where it is now."""
        self.aside.forget(self._aside_before)
        for path in sorted(self.path.iterdir()):
            if _NUMBERED.fullmatch(path.name):
                self.aside.move(path)
        return self.aside.path
