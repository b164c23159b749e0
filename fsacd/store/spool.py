"""The spool: rows of history on disk that the database has not confirmed yet. They survive the death of this process.

Under the directory, which belongs to one daemon at a time:

    lock            held while a daemon uses the directory
    done            up to where the database has confirmed: SEGMENT OFFSET CHECKSUM
    000000000007    segments, each with lines as `fsacd.store.lines` makes them; the newest is written at its end

A row is written here, with one write() for the rows of a step, before anything else is done with it; so the next
process finds it, whatever this one dies of. A power cut may cost the rows since the last `sync`. Old segments are never
appended to again: an odd end of one was cut off, and only that part of a line is lost. `done` may lag behind, because
the database stores a row only once.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from fsacd.process.aside import Aside
from fsacd.store import lines
from fsacd.store import spool_files as there
from fsacd.store.disk import Disk
from fsacd.store.rows import Row
from fsacd.store.spool_files import Place

_log = structlog.get_logger(__name__)

_SEGMENT_BYTES: Final = 4 * 1024 * 1024
# A wholly confirmed segment is given up when it is this long; with shorter ones, new segments would cost more.
_GIVE_UP_BYTES: Final = 256 * 1024
# Parsing this many bytes into rows holds calls up for a millisecond or less.
_CHUNK_BYTES: Final = 16 * 1024
# No row is longer: an explanation names at most a few hundred agents.
_LINE_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, and the place after it."""

    row: Row
    after: Place


class Spool:
    """One daemon's spool of at most about `limit` bytes.

    Raises:
        SpoolError: the directory cannot be made or belongs to somebody else.
        SpoolBusy: another process uses it.
    """

    def __init__(
        self, directory: Path, limit: int, disk: Disk | None = None, users: frozenset[int] | None = None
    ) -> None:
        self.directory = directory
        self.limit = limit
        self.aside = Aside(directory)
        self.corrupt = 0  # lines since the start that could not be used
        self._disk = disk or Disk()
        self._disk.users = users
        self._columns: tuple[int, lines.Columns] = (-1, lines.CURRENT)
        self._descriptor: int | None = None
        self._unsynced: list[int] = []
        self._dirty = False
        self._largest = max(64 * 1024, min(_SEGMENT_BYTES, limit // 16))
        self._lock = there.locked(directory, users)
        try:
            self._sizes, foreign = there.segments(directory, self.aside, users)
        except OSError as error:
            os.close(self._lock)
            raise there.unusable(directory, error) from error
        self.corrupt += foreign
        self._done = there.confirmed(directory, self.aside, users)
        if self._done.segment > max(self._sizes, default=self._done.segment) + 1:
            # No place beyond the end can be confirmed. Without a valid place all rows are sent again, and the database
            # stores a row only once.
            self._done = Place(0, 0)
        self._bytes = sum(self._sizes.values())
        self.set_aside = self.aside.names()
        # Always a new segment: the end of an old one may be cut off.
        self.end = self.first_end = Place(max([self._done.segment, *self._sizes]) + 1, 0)
        self._forget_before(self._done.segment)
        # The rows of the start are between this place and `first_end`.
        self.start = max(self._done, Place(min(self._sizes, default=self.end.segment), 0))

    @property
    def size(self) -> int:
        """The bytes of all segments together."""
        return self._bytes

    def close(self) -> None:
        """Release the directory; its files stay."""
        for descriptor in (self._descriptor, *self._unsynced, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor, self._unsynced = None, []

    # --- writing ---

    def append(self, data: bytes) -> Place:
        """Write whole lines with one write(), and return the place before the first of them.

        Raises:
            OSError: the disk refuses; none of the lines count as written.
        """
        if self._descriptor is not None and self.end.offset >= self._largest:
            self._rotate()
        if self._descriptor is None:
            self._descriptor = self._disk.create(self._path(self.end.segment))
        head = lines.header() if self.end.offset == 0 else b""
        before = Place(self.end.segment, self.end.offset + len(head))
        try:
            self._disk.append(self._descriptor, head + data)
        except OSError:
            self._take_back()
            raise
        self._grow(len(head) + len(data))
        self._dirty = True
        return before

    def _grow(self, size: int) -> None:
        self.end = Place(self.end.segment, self.end.offset + size)
        self._sizes[self.end.segment] = self.end.offset
        self._bytes += size

    def _take_back(self) -> None:
        """Cut off what a failed write has left; if even that fails, leave it as the cut end of an old segment."""
        assert self._descriptor is not None
        try:
            self._disk.truncate(self._descriptor, self.end.offset)
        except OSError:
            self._rotate()

    def _rotate(self) -> None:
        assert self._descriptor is not None
        self._sizes.setdefault(self.end.segment, 0)
        self._unsynced.append(self._descriptor)
        self._descriptor = None
        self.end = Place(self.end.segment + 1, 0)

    def to_sync(self) -> Callable[[], None] | None:
        """A function to run in a thread so that a power cut loses nothing written by now; None when nothing is new.

        The returned function raises OSError when the disk fails.
        """
        rotated, self._unsynced = self._unsynced, []
        if not self._dirty and not rotated:
            return None
        self._dirty = False
        descriptors = [*rotated, *([] if self._descriptor is None else [os.dup(self._descriptor)])]
        return lambda: _sync(descriptors, self.directory)

    # --- what the database has confirmed ---

    def confirm(self, place: Place) -> None:
        """Note that the database has all rows before this place. If the disk fails, some rows are only sent again."""
        self._done = place
        text = b"%012d %012d" % (place.segment, place.offset)
        with suppress(OSError):  # see the docstring
            self._disk.overwrite(self.directory / "done", b"%b %08x\n" % (text, zlib.crc32(text)))
        if place == self.end and place.offset >= _GIVE_UP_BYTES:
            self._rotate()
            self._forget_before(self.end.segment)
        else:
            self._forget_before(place.segment)

    def _forget_before(self, segment: int) -> None:
        for number in [number for number in self._sizes if number < segment]:
            with suppress(OSError):  # the segment is removed at the next start; nothing in it is read again
                self._disk.remove(self._path(number))
            self._bytes -= self._sizes.pop(number)

    # --- reading ---

    def chunk(self, place: Place) -> bytes:
        """Some whole lines after this place; may be called in a thread. Empty: the segment has no more.

        Raises:
            OSError: the disk fails.
        """
        end = self.end
        length = (end.offset if place.segment == end.segment else self._sizes.get(place.segment, 0)) - place.offset
        size = _CHUNK_BYTES
        while length > 0:
            data = self._disk.read(self._path(place.segment), place.offset, min(size, length))
            cut = data.rfind(b"\n") + 1
            if cut or len(data) < size or size > _LINE_BYTES:
                return data[:cut]
            size *= 2
        return b""

    def understood(self, place: Place, data: bytes) -> tuple[list[Entry], Place]:
        """The rows in a chunk that begins at this place, and the place after it; corrupt lines are reported."""
        if not data:
            size = self.end.offset if place.segment == self.end.segment else self._sizes.get(place.segment, 0)
            if size - place.offset > _LINE_BYTES:
                self._report(place.segment, place.offset)  # not just the cut-off end of a line
            return [], self.beyond(place)
        named = self._columns_of(place.segment)
        entries = []
        offset = place.offset
        for text in data[:-1].split(b"\n"):
            begin, offset = offset, offset + len(text) + 1
            body = lines.payload(text)
            row = None if body is None else lines.decoded(body, named)
            if row is not None:
                entries.append(Entry(row, Place(place.segment, offset)))
            elif begin != 0 and text.strip():  # not the header, and not what `rewrite` has made empty
                self._report(place.segment, begin)
        return entries, Place(place.segment, offset)

    def beyond(self, place: Place) -> Place:
        """Where the next segment begins, or the end."""
        if place.segment >= self.end.segment:
            return self.end
        following = [number for number in self._sizes if number > place.segment]
        return Place(min(following), 0) if following else Place(self.end.segment, 0)

    def unreadable(self, place: Place, why: str) -> Place:
        """Give up a part that the disk cannot read, and return where the spool goes on."""
        self.corrupt += 1
        _log.error(
            "a part of the spool cannot be read and is left out; the rest is used",
            file=str(self._path(place.segment)), offset=place.offset, why=why,
        )  # fmt: skip
        self._keep(place.segment)
        return self.beyond(place)

    def _columns_of(self, segment: int) -> lines.Columns:
        if self._columns[0] != segment:
            first, _, _ = self._disk.read(self._path(segment), 0, _CHUNK_BYTES).partition(b"\n")
            named = lines.columns(first)
            if named is None:
                self._report(segment, 0)
            self._columns = (segment, lines.CURRENT if named is None else named)
        return self._columns[1]

    def _report(self, segment: int, offset: int) -> None:
        self.corrupt += 1
        _log.error(
            "a line of the spool is corrupt and left out; the rest is used",
            file=str(self._path(segment)), offset=offset,
        )  # fmt: skip
        self._keep(segment)

    def _keep(self, segment: int) -> None:
        """Keep corrupt lines, so that they can be looked at when the segment is gone."""
        self.aside.keep(self._path(segment))
        self.set_aside = self.aside.names()

    def count(self, place: Place, end: Place) -> int:
        """About how many rows are between two places, counted without parsing; may be called in a thread.

        Raises:
            OSError: the disk fails.
        """
        found = 0
        for number, size in list(self._sizes.items()):
            offset = place.offset if number == place.segment else 0
            stop = end.offset if number == end.segment else size
            if not place.segment <= number <= end.segment or offset >= stop:
                continue
            found -= offset == 0  # the header
            while offset < stop:
                data = self._disk.read(self._path(number), offset, min(_LINE_BYTES, stop - offset))
                if not data:
                    break
                found += data.count(b"\n")
                offset += len(data)
        return max(0, found)

    # --- erasing ---

    def rewrite(self, change: Callable[[Row], Row | None]) -> int:
        """Overwrite each row for which `change` gives another one, in place; returns how many. A thread may do this.

        Confirmed rows that are still on disk are changed as well. The new row must not be longer.

        Raises:
            OSError: the disk fails.
        """
        changed = 0
        self.aside.forget()  # nobody knows whose rows are in there
        self.set_aside = self.aside.names()
        for number, size in list(self._sizes.items()):
            try:
                data = self._disk.read(self._path(number), 0, size)
            except FileNotFoundError:
                continue  # confirmed and removed meanwhile
            first = data.partition(b"\n")[0]
            named = lines.columns(first) or lines.CURRENT
            for offset, text in _lines(data):
                body = lines.payload(text)
                row = None if body is None else lines.decoded(body, named)
                new = None if row is None else change(row)
                if new is not None:
                    self._write_over(number, offset, len(text) + 1, new, named)
                    changed += 1
        return changed

    def _write_over(self, segment: int, offset: int, length: int, row: Row, named: lines.Columns) -> None:
        values = dict(zip(lines.CURRENT[row.table.name], row.values, strict=True))
        # In the order of the columns that this segment's header names.
        inside = lines.encoded_values(row.table.name, [values.get(name) for name in named[row.table.name]])
        text = lines.line(inside, length)
        if len(text) != length:
            text = b" " * (length - 1) + b"\n"
        self._disk.overwrite(self._path(segment), text, offset)

    def _path(self, segment: int) -> Path:
        return self.directory / f"{segment:0{there.NAME_DIGITS}}"


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole lines with their offsets."""
    offset = 0
    for text in data.split(b"\n")[:-1]:
        yield offset, text
        offset += len(text) + 1


def _sync(descriptors: list[int], directory: Path) -> None:
    try:
        descriptors.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for descriptor in descriptors:
            os.fsync(descriptor)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
