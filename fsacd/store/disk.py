"""The few things that the spool asks of a file system, in one place, so that a test can end the world between two."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from fsacd.process import trusted


class Disk:
    """The real one. Every method raises OSError when the file system refuses, or a file is not what we have written.

    `users`: who may own the files; None: root and the user who runs this.
    """

    users: frozenset[int] | None = None

    def create(self, path: Path) -> int:
        """A new file that is only ever written at its end; returns its descriptor."""
        return trusted.create_file(path, os.O_WRONLY | os.O_APPEND)

    def append(self, descriptor: int, data: bytes) -> None:
        """Write all of it; when that fails, a part of it may stand in the file."""
        if os.write(descriptor, data) != len(data):
            # A short write has no error of its own: the next one would say that the disk is full.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def truncate(self, descriptor: int, size: int) -> None:
        """Take back what a failed `append` has left."""
        os.ftruncate(descriptor, size)

    def overwrite(self, path: Path, data: bytes, offset: int = 0) -> None:
        """Write over a part of a file; the file is made when it is missing."""
        descriptor = trusted.open_or_create(path, os.O_WRONLY, self.users)
        try:
            os.pwrite(descriptor, data, offset)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Remove a file; that it is gone already is fine."""
        path.unlink(missing_ok=True)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """At most `size` bytes from there."""
        descriptor = trusted.open_file(path, trusted=self.users)
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)
