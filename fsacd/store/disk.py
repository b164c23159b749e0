"""The spool's file operations, in one place, so that a test can simulate a crash between any two."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from fsacd.process import trusted


class Disk:
    """The real file system. Every method raises OSError when it refuses, or when a file is not one of ours.

    `users`: who may own the files; None: root and the user who runs this.
    """

    users: frozenset[int] | None = None

    def create(self, path: Path) -> int:
        """Create a file that is only ever appended to; returns its descriptor."""
        return trusted.create_file(path, os.O_WRONLY | os.O_APPEND)

    def append(self, descriptor: int, data: bytes) -> None:
        """Write all of the data; after a failure, a part of the data may stand in the file."""
        if os.write(descriptor, data) != len(data):
            # A short write raises no error: only the next one would say that the disk is full.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut off what a failed `append` has left."""
        os.ftruncate(descriptor, size)

    def overwrite(self, path: Path, data: bytes, offset: int = 0) -> None:
        """Write over a part of a file; the file is made when it is missing."""
        descriptor = trusted.open_or_create(path, os.O_WRONLY, self.users)
        try:
            os.pwrite(descriptor, data, offset)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Remove a file, if it exists."""
        path.unlink(missing_ok=True)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Read at most `size` bytes from this offset."""
        descriptor = trusted.open_file(path, trusted=self.users)
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)
