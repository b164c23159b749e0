"""Reads a spool's directory at the start: its owner, its segments, and the confirmed place."""

from __future__ import annotations

import fcntl
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from fsacd.errors import FsacdError
from fsacd.process import trusted
from fsacd.process.aside import Aside

_log = structlog.get_logger(__name__)

NAME_DIGITS: Final = 12
_SEGMENT: Final = re.compile(f"[0-9]{{{NAME_DIGITS},{NAME_DIGITS + 6}}}")
_DONE_BYTES: Final = 4_096
# A segment is closed at a sixtieth of this size; even with one step's rows more it stays far below.
_NOT_OURS_BYTES: Final = 256 * 1024 * 1024


class SpoolError(FsacdError):
    """The directory cannot be used."""


class SpoolBusy(SpoolError):  # noqa: N818 - a state of the directory, which passes
    """Another process uses the directory."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place between two lines."""

    segment: int
    offset: int


def segment_files(directory: Path) -> list[Path]:
    """The segments, the oldest first. Raises OSError."""
    return sorted(path for path in directory.iterdir() if _SEGMENT.fullmatch(path.name))


def segments(directory: Path, aside: Aside, users: frozenset[int] | None) -> tuple[dict[int, int], int]:
    """The size of each segment by its number, and how many files with such a name are not ours and were set aside.

    Raises:
        OSError: the directory cannot be read.
    """
    sizes: dict[int, int] = {}
    foreign = 0
    for path in segment_files(directory):
        try:
            sizes[int(path.name)] = _size(path, users)
        except OSError as error:
            if not trusted.is_foreign(path, error):
                sizes[int(path.name)] = path.lstat().st_size  # the later reading reports the disk's error
                continue
            foreign += 1
            done = "was set aside" if aside.move(path) else "cannot be set aside"
            told = f"a file of the spool cannot be used and {done}; the rest is used"
            _log.error(told, file=str(path), why=trusted.why(error))
    return sizes, foreign


def _size(path: Path, users: frozenset[int] | None) -> int:
    descriptor = trusted.open_file(path, trusted=users)
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if size > _NOT_OURS_BYTES:
        raise trusted.Untrusted("it is larger than any that we write")
    return size


def confirmed(directory: Path, aside: Aside, users: frozenset[int] | None) -> Place:
    """The place up to which the database has confirmed. If unknown, all rows are sent again, and stored only once."""
    try:
        content = trusted.read_file(directory / "done", _DONE_BYTES, users)
        text, _, checksum = content.strip().rpartition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            segment, offset = map(int, text.split())
            return Place(segment, offset)
    except FileNotFoundError:
        pass  # none yet
    except OSError:
        aside.move(directory / "done")  # not a regular file of ours, such as a link: we must not write to it
    except ValueError:
        pass  # cut off by a power cut
    return Place(0, 0)


def is_in_use(directory: Path, users: frozenset[int] | None = None) -> bool:
    """Whether a process uses the directory. Raises SpoolError."""
    try:
        os.close(locked(directory, users))
    except SpoolBusy:
        return True
    return False


def locked(directory: Path, users: frozenset[int] | None) -> int:
    """Lock the directory, which is made if it is missing; returns a descriptor, which holds the lock.

    Raises:
        SpoolError: it cannot be used, or somebody else can write to it.
        SpoolBusy: another process has it.
    """
    try:
        trusted.make_directory(directory, users)
        # A lock file made by root is given to the directory's owner: root's erasing must not lock the daemon out.
        descriptor = trusted.open_or_create(directory / "lock", os.O_RDWR, users)
    except OSError as error:
        raise unusable(directory, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SpoolBusy(f"the spool {directory} is used by another process") from error
    return descriptor


def unusable(directory: Path, error: OSError) -> SpoolError:
    """The error to raise where the directory cannot be used."""
    return SpoolError(f"the spool {directory} cannot be used: {trusted.why(error)}")
