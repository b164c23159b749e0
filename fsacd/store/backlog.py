"""Rows of history that wait for the database: the first of them in memory, all of them in the spool if there is one.

`take` is called where calls are decided, so it neither waits nor fails; everything else belongs to the one greenlet
that writes to the database.

With a spool a row is on disk before it is anywhere else. Memory then holds the oldest rows, up to its limits, and is
filled up from the disk again. At the spool's limit the NEWEST rows are dropped and counted, so that history has no gap
up to a time that can be named. Dropping the oldest would only move the gap, and needs room on a disk that may be full.
Explanations, which are nearly all of the bytes, may take half of the spool. When the disk fails, or without a spool,
rows wait in memory alone, with the same rule at its limits.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import gevent
import orjson
import structlog
from gevent.hub import get_hub

from fsacd.process import trusted
from fsacd.process.trouble import Trouble
from fsacd.store import lines
from fsacd.store.rows import Row
from fsacd.store.settings import StoreSettings
from fsacd.store.spool import Spool
from fsacd.store.spool_files import Place, SpoolError

_log = structlog.get_logger(__name__)

# How long a disk that failed, or a directory that another process uses, is left alone.
_MEND_S = 5.0
# The most bytes of documents in one transaction: joining them into one text holds every call up.
_BATCH_BYTES = 512 * 1024
# How many rows are moved to a spool that works again before calls get their turn.
_MOVED_AT_ONCE = 50
# How long rows are searched for what is to be erased before calls get their turn.
_TURN_S = 0.001
# The assumed length of a row, until the rows have been counted.
_ROW_BYTES = 200


@dataclass(slots=True)
class _Item:
    row: Row
    after: Place | None  # where the spool goes on after this row; None: the row is in memory alone
    size: int  # the length of its documents


class Backlog:
    """The queue to the database. `counts` gets dropped, refused, unspooled and erased."""

    def __init__(self, settings: StoreSettings, counts: Counter[str]) -> None:
        self._settings = settings
        self._counts = counts
        self._items: deque[_Item] = deque()
        self._documents = 0  # bytes of the documents in memory
        self._on_disk = 0  # rows in the spool that are not in memory
        self._uncounted = 0  # how many of these are only estimated
        self._spool: Spool | None = None
        self._next = Place(0, 0)  # the place in the spool from which rows are not in memory
        self._confirmed: Place | None = None
        self._moving: deque[Row] = deque()  # rows on their way from memory to the spool
        self._tried_s = -_MEND_S
        self._broken = False
        self._refused = ""  # why there is no spool
        self._told: set[str] = set()  # what was logged of dropped rows; logged again after there was room
        self._documents_full = False

    def __len__(self) -> int:
        """How many rows wait, in memory or on disk."""
        return len(self._items) + len(self._moving) + self._on_disk

    @property
    def spooled_bytes(self) -> int:
        """How much of the disk is in use."""
        return 0 if self._spool is None else self._spool.size

    @property
    def corrupt(self) -> int:
        """Lines of the spool that could not be used."""
        return 0 if self._spool is None else self._spool.corrupt

    def troubles(self) -> Iterator[Trouble]:
        """What is wrong with the spool now."""
        if self._refused:
            yield Trouble("History that waits for the database is in memory alone.", self._refused)
        if self._spool is not None and self._spool.set_aside:
            yield Trouble(
                "A part of the history that waited for the database could not be read and was set aside.",
                f"look at {self._spool.aside.path} and remove what is there: {', '.join(self._spool.set_aside[:5])}",
            )

    @property
    def is_safe(self) -> bool:
        """Whether rows that come now survive the end of this process."""
        return self._spool is not None and not self._broken

    @property
    def owns_spool(self) -> bool:
        """Whether the spool's directory is held by this process, and not, for now, by another one."""
        return self._spool is not None

    @property
    def unsafe(self) -> int:
        """How many rows would be lost if this process ended now."""
        return len(self._moving) + sum(item.after is None for item in self._items)

    # --- in ---

    def take(self, rows: Sequence[Row]) -> None:
        """Take rows; never waits, never fails."""
        spool = self._spool
        if spool is None or self._broken:
            for row in rows:
                self._take_unsafe(row)
            return
        kept, texts = self._with_room(spool, rows)
        if not kept:
            return
        is_all_in_memory = self._next == spool.end
        try:
            place = spool.append(b"".join(texts))
        except OSError as error:
            self._fail(error)
            for row in kept:
                self._take_unsafe(row)
            return
        sizes = [row.document_bytes for row in kept]
        if is_all_in_memory and self._has_memory(len(kept), sum(sizes)):
            offset = place.offset
            for row, text, size in zip(kept, texts, sizes, strict=True):
                offset += len(text)
                self._items.append(_Item(row, Place(place.segment, offset), size))
            self._documents += sum(sizes)
            self._next = spool.end
        else:
            if is_all_in_memory:
                self._next = place
            self._on_disk += len(kept)

    def _with_room(self, spool: Spool, rows: Sequence[Row]) -> tuple[list[Row], list[bytes]]:
        """The rows that the spool has room for, with their lines."""
        kept, texts = [], []
        used = spool.size
        for row in rows:
            try:
                text = lines.line(lines.encoded(row))
            except (orjson.JSONEncodeError, OverflowError) as error:
                self._counts["refused"] += 1
                _log.error("a row of history cannot be written", table=row.table.name, why=str(error))
                continue
            if row.document_bytes and used + len(text) > spool.limit // 2:
                self._drop("the spool is half full; new explanations are dropped until the database takes the old ones")
                continue
            if used + len(text) > spool.limit:
                self._drop("the spool is full; new history is dropped until the database takes the old one")
                continue
            used += len(text)
            kept.append(row)
            texts.append(text)
        return kept, texts

    def _has_memory(self, count: int, size: int) -> bool:
        return (
            len(self._items) + count <= self._settings.queue_limit
            and self._documents + size <= self._settings.documents_limit
        )

    def _take_unsafe(self, row: Row) -> None:
        """Keep a row in memory alone, or drop it."""
        size = row.document_bytes
        if size and not self._has_room_for_document(size):
            self._counts["dropped"] += 1
            return
        if len(self._items) >= self._settings.queue_limit:
            self._drop("the queue to the database is full; new history is dropped until there is room")
            return
        self._items.append(_Item(row, None, size))
        self._documents += size
        if self._settings.spool is not None and self._tried_s >= 0:
            self._counts["unspooled"] += 1

    def _has_room_for_document(self, size: int) -> bool:
        """Beyond the limit no document is taken until half of them are written; other rows are still taken."""
        limit = self._settings.documents_limit
        if self._documents <= limit // 2:
            self._documents_full = False
        if not self._documents_full and self._documents + size > limit:
            self._documents_full = True
            _log.error("too many explanations wait for the database; new ones are dropped", bytes_limit=limit)
        return not self._documents_full

    def _drop(self, sentence: str) -> None:
        self._counts["dropped"] += 1
        if sentence not in self._told:
            self._told.add(sentence)
            _log.error(sentence, waiting=len(self), spool_bytes=self.spooled_bytes)

    def _fail(self, error: OSError) -> None:
        self._broken = True
        self._tried_s = time.monotonic()
        _log.error(
            "the spool cannot be written; history that waits for the database is in memory alone",
            why=trusted.why(error), directory=str(self._settings.spool),
        )  # fmt: skip

    # --- out, for the greenlet that writes to the database ---

    def first(self, count: int) -> list[Row]:
        """The oldest rows, at most `count` and as many as fit into one transaction; waits for the disk."""
        self._fill_up()
        batch: list[Row] = []
        size = 0
        for item in islice(self._items, count):
            size += item.size
            if batch and size > _BATCH_BYTES:
                break
            batch.append(item.row)
        return batch

    def leave(self, count: int) -> None:
        """Remove the oldest rows: the database has stored them, or refuses them for good."""
        for _ in range(count):
            item = self._items.popleft()
            self._documents -= item.size
            self._confirmed = item.after or self._confirmed
        if self._told and self._has_half() and self.spooled_bytes <= self._settings.spool_limit // 4:
            self._told.clear()
        if self._spool is None:
            return
        if not self._items and self._next == self._spool.end:
            self._confirmed = self._spool.end  # past lines that were left out, too
        if self._confirmed is not None:
            self._spool.confirm(self._confirmed)
            self._confirmed = None

    def put_last(self) -> None:
        """Move the first row behind all others; it is written to its new place before it leaves the old one."""
        self.take([self._items[0].row])
        self.leave(1)

    def mend(self) -> None:
        """Open the spool, at first or after a failure, and move rows from memory there; others run meanwhile."""
        if self._settings.spool is None or self.is_safe or time.monotonic() < self._tried_s + _MEND_S:
            return
        is_first = self._tried_s < 0
        self._tried_s = time.monotonic()
        if self._spool is None:
            try:
                self._open(Spool(self._settings.spool, self._settings.spool_limit))
            except SpoolError as error:
                self._refused = str(error)
                if is_first:
                    _log.error("history that waits for the database is in memory alone", why=str(error))
                return
            self._refused = ""
        if self._move() and not is_first:
            _log.info("the spool can be written again", directory=str(self._settings.spool))

    def _move(self) -> bool:
        """Move rows that are in memory alone to the spool, a little at a time; False when the disk fails again."""
        self._broken = False
        self._moving.extend(item.row for item in self._items if item.after is None)
        self._items = deque(item for item in self._items if item.after is not None)
        self._documents = sum(item.size for item in self._items)
        while self._moving:
            self.take([self._moving.popleft() for _ in range(min(_MOVED_AT_ONCE, len(self._moving)))])
            gevent.sleep(0.0005)
        return self.is_safe

    def _open(self, spool: Spool) -> None:
        self._spool = spool
        self._next = spool.start
        if spool.start != spool.end:
            # The greenlet that writes counts these rows, because that may take a second.
            self._uncounted = max(1, spool.size // _ROW_BYTES)
            self._on_disk += self._uncounted

    def _count(self, spool: Spool) -> None:
        """Replace the estimate by the number of rows that were found at the start."""
        estimate, self._uncounted = self._uncounted, 0
        try:
            counted: int = get_hub().threadpool.apply(spool.count, (spool.start, spool.first_end))
        except OSError:
            return  # whoever reads them reports it
        self._on_disk += counted - estimate
        if counted:
            _log.info("history from before the start waits for the database", rows=counted)

    def _fill_up(self) -> None:
        """Take rows from the disk into memory while less than half of it is in use."""
        spool = self._spool
        if spool is not None and self._uncounted:
            self._count(spool)
        while spool is not None and self._next != spool.end and self._has_half():
            try:
                data: bytes = get_hub().threadpool.apply(spool.chunk, (self._next,))
                entries, self._next = spool.understood(self._next, data)
            except OSError as error:
                # A part of a disk that cannot be read now can seldom be read later, and the rows behind it must not
                # wait for it.
                entries, self._next = [], spool.unreadable(self._next, trusted.why(error))
            items = [_Item(entry.row, entry.after, entry.row.document_bytes) for entry in entries]
            self._items.extend(items)
            self._documents += sum(item.size for item in items)
            self._on_disk -= len(entries)
        if spool is not None and self._next == spool.end:
            self._on_disk = 0  # a line that was counted unread may have been no row

    def _has_half(self) -> bool:
        return (
            len(self._items) <= self._settings.queue_limit // 2
            and self._documents <= self._settings.documents_limit // 2
        )

    # --- beside ---

    def sync(self) -> None:
        """Sync to the disk, in a thread, what a power cut would lose. Must not be called by two greenlets at once."""
        try:
            work = None if self._spool is None else self._spool.to_sync()
            if work is not None:
                get_hub().threadpool.apply(work)
        except OSError as error:
            if not self._broken:
                self._fail(error)

    def change(self, change: Callable[[Row], Row | None]) -> int:
        """Replace each row for which `change` gives another one; returns how many. Waits for the disk.

        Must not be called while the first rows are on their way to the database: they would arrive unchanged.

        Raises:
            OSError: the disk fails, and some rows may be unchanged.
        """
        spool = self._spool
        written = 0
        if spool is not None:
            written = get_hub().threadpool.apply(spool.rewrite, (change,))
        alone = 0
        began_s = time.perf_counter()
        # A copy, because other greenlets run in between and add rows at the end.
        for item in list(self._items):
            new = change(item.row)
            if new is not None:
                alone += item.after is None
                item.row, before = new, item.size
                item.size = new.document_bytes
                self._documents += item.size - before
            if time.perf_counter() - began_s > _TURN_S:
                gevent.sleep(_TURN_S)
                began_s = time.perf_counter()
        return int(written) + alone

    def close(self) -> None:
        """Release the spool; its rows stay."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None
