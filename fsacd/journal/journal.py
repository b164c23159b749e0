"""The journal: every fact is written before it is handled, so that a killed daemon has lost nothing it acted on.

Each step is one write to the operating system, so a process that is killed loses nothing. A thread syncs it to the disk
within some tens of milliseconds, which is what a power cut can lose. A disk that is full or broken never holds a call
up: the daemon goes on without a journal, says so once, and tries again every few seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import gevent
import structlog

from fsacd.caller.traces import Traces
from fsacd.core.engine import Engine
from fsacd.core.events import Event, QueueSetOpen, RulesAmended
from fsacd.core.match.plugins import Plugins
from fsacd.core.plain import to_plain
from fsacd.core.records import StrategyFailed
from fsacd.journal import erasure, lines
from fsacd.journal.child import Copy
from fsacd.journal.clock import EngineClock, clocks, go_on_after
from fsacd.journal.files import LIMIT_BYTES, Directory
from fsacd.journal.recovery import HopelessError, Notes, Recovered, recover
from fsacd.journal.settings import JournalSettings, JournalState
from fsacd.journal.syncer import Syncer
from fsacd.process.trouble import Trouble
from fsacd.runtime import watched

log = structlog.get_logger(__name__)

_LOOK_S = 0.25
# The pause before requests are looked for again; in it the thread removes what was erased.
_ERASURE_PAUSE_S = 2.0
_CLOCK_STEP_MS = 100
_END_S = 2.0
# How many damaged places of a journal are logged; the rest are counted.
_MOST_TOLD = 20


class Journal:
    """One daemon's journal. `hours` is the `by` of facts that open and close queues by their hours.

    Raises:
        FsacdError: the directory cannot be used, or another fsacd has it.
    """

    def __init__(self, settings: JournalSettings, *, hours: str = "hours") -> None:
        self._settings = settings
        self._hours = hours
        self._directory = Directory(settings.directory)
        self._aside = self._directory.aside.names()
        self._syncer = Syncer()
        self._clock = EngineClock()
        self._engine: Engine | None = None
        self._notes = Notes(self._clock.anchor())
        self._post: Callable[[Event], None] | None = None
        self._erasing: list[Path] = []  # requests that the snapshot which is being made fulfils
        self._next_erasure = 0.0
        self._fd = -1
        self._rendered: lines.Rendered | None = None  # of a fact that comes soon
        self._number = 0
        self._good = 0  # the newest snapshot that is on the disk
        self._damaged = False  # part of the journal could not be recovered
        self._child: Copy | None = None
        self._copy: gevent.Greenlet | None = None
        self._watch: gevent.Greenlet | None = None
        self._next_try = 0.0
        self._next_snapshot = 0.0
        self._since_snapshot = 0
        self._entries = self._bytes = self._lost = self._errors = 0
        self._snapshots, self._snapshot_failures, self._snapshot_s = 0, 0, 0.0

    # --- before the engine ---

    def recover(self, plugins: Plugins) -> Recovered | None:
        """The engine as it was when the last daemon ended, or None if there is nothing to go on from."""
        try:
            recovered = recover(self._directory, plugins, self._hours)
        except HopelessError as error:
            aside = self._directory.set_aside()
            log.critical(
                "the journal cannot be used and was set aside; this is a first start", why=str(error), to=aside
            )
            return None
        finally:
            self._aside = self._directory.aside.names()
        if recovered is not None:
            for sentence in recovered.damage[:_MOST_TOLD]:
                log.error("the journal is damaged", what=sentence)
            if len(recovered.damage) > _MOST_TOLD:
                log.error("the journal is damaged", what=f"in {len(recovered.damage) - _MOST_TOLD} places more")
            self._notes = recovered.notes
            self._clock = EngineClock(go_on_after(recovered.notes.anchor, recovered.last_ms, clocks()))
            self._good = recovered.number
            self._damaged = bool(recovered.damage)
        return recovered

    @property
    def clock(self) -> EngineClock:
        """The engine's clock: it goes on after `recover`."""
        return self._clock

    @property
    def hours(self) -> dict[str, bool]:
        """Whether each queue was last opened or closed by its hours."""
        return self._notes.hours

    def troubles(self) -> Iterator[Trouble]:
        """What is wrong with the journal now."""
        if self._aside:
            yield Trouble(
                "A part of the journal could not be read and was set aside; what it held may be missing.",
                f"look at {self._directory.aside.path} and remove what is there: {', '.join(self._aside[:5])}",
            )

    def to_be_erased(self) -> Traces:
        """The callers who are to be erased, to be found in numbers and texts."""
        return Traces(frozenset().union(*self._requests().values()), self._settings.plan)

    def begin(self, engine: Engine, post: Callable[[Event], None] | None = None) -> None:
        """From now on write what enters this engine. `post` sends it a fact; without `post` nobody can be erased."""
        self._engine = engine
        self._post = post
        self._number = self._directory.last()
        self._syncer.start()
        self._open(after_gap=False)
        if self._fd < 0:
            pass  # it is tried again soon
        elif not self._good or self._damaged:
            # Nothing is served yet. The segment needs a snapshot to begin with: after a first start there is none, and
            # after damage the next start would stop at the same damage, before what is written from now on.
            self._snapshot_here()
        else:
            self._snapshot_beside()
        self._watch = watched.keep("journal", self._look_after)

    def close(self) -> None:
        """Bring everything to the disk, and let another daemon have the directory."""
        if self._watch is not None:
            self._watch.kill()
        if self._child is not None:
            self._child.end()
        if self._copy is not None:
            self._copy.join(_END_S)
        self._fd = -1
        self._syncer.stop()
        self._directory.close()

    # --- within a step: nothing here yields, and nothing raises ---

    def put(self, now_ms: int, event: Event | None) -> None:
        """A fact (None: the time) is about to enter the engine."""
        if isinstance(event, QueueSetOpen) and event.by == self._hours:
            self._notes.hours[event.queue] = event.open
        if self._fd < 0:
            self._lost += 1
            return
        self._entries += 1
        self._since_snapshot += 1
        if self._rendered is not None and self._rendered.event is event:
            line, self._rendered = lines.of_rendered(now_ms, self._rendered), None
        else:
            line = lines.of_entry(now_ms, event)
        self._write(line)

    def put_plugin_failures(self, now_ms: int, failures: Sequence[StrategyFailed]) -> None:
        """Note that plugins have failed in this step."""
        for failure in failures:
            self._write(lines.of_plugin_failure(now_ms, failure))

    def put_engine_failure(self, now_ms: int) -> None:
        """Note that this step was never finished: a replay must leave out what entered."""
        self._write(lines.of_engine_failure(now_ms))

    def _write(self, line: bytes) -> None:
        if self._fd < 0:
            return
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            self._broken(error.strerror or str(error))
            return
        self._bytes += written
        if written != len(line):
            self._broken("the disk took only a part of an entry")
            return
        self._syncer.written()

    def _broken(self, why: str) -> None:
        """Go on without a journal: until there is a new snapshot, a restart loses what enters the engine meanwhile."""
        self._errors += 1
        self._fd = -1
        self._syncer.follow(-1)
        self._next_try = monotonic() + self._settings.retry_s
        log.error("the journal cannot be written; calls go on, but a restart would forget them", why=why)

    # --- between steps ---

    def prepare(self, event: RulesAmended) -> Generator[None, None, None]:
        """Write this fact down beforehand, in parts; others may enter meanwhile. `put` then takes less."""
        self._rendered = yield from lines.rendered(event)

    def state(self) -> JournalState:
        """A picture for the metrics."""
        return JournalState(
            writing=self._fd >= 0,
            entries=self._entries,
            bytes=self._bytes,
            lost=self._lost,
            errors=self._errors,
            syncs=self._syncer.syncs,
            sync_lag_s=max(self._syncer.lag_ms, self._syncer.unsynced_ms()) / 1_000,
            longest_sync_lag_s=self._syncer.longest_lag_ms / 1_000,
            snapshots=self._snapshots,
            snapshot_failures=self._snapshot_failures,
            snapshot_s=self._snapshot_s,
        )

    def snapshot(self) -> None:
        """Begin a new segment, and let a snapshot be made of the engine as it is now; returns before that is done."""
        if self._copy is None:
            self._open(after_gap=False)
            self._snapshot_beside()

    def _look_after(self) -> None:
        while True:
            gevent.sleep(_LOOK_S)
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - nothing else bounds or mends the journal
                watched.caught("journal", error)
                gevent.sleep(self._settings.retry_s)

    def _look(self) -> None:
        if self._syncer.error and self._fd >= 0:
            self._broken(f"what was written does not reach the disk: {self._syncer.error}")
        if self._fd < 0:
            if monotonic() >= self._next_try:
                self._next_try = monotonic() + self._settings.retry_s
                self._begin_anew()
        elif self._copy is None and not self._erase() and self._is_time():
            self.snapshot()
        self._aside = self._directory.aside.names()
        self._tell_clocks()

    def _is_time(self) -> bool:
        if not self._since_snapshot or monotonic() < self._next_snapshot:
            return False
        overdue_s = monotonic() - self._next_snapshot + self._settings.snapshot_pause_s
        return self._since_snapshot >= self._settings.snapshot_entries or overdue_s >= self._settings.snapshot_s

    def _erase(self) -> bool:
        """If callers are to be erased and the engine has forgotten them, begin a snapshot; returns whether it did."""
        engine, post = self._engine, self._post
        if engine is None or post is None or monotonic() < self._next_erasure:
            return False
        wanted = self._requests().items()
        self._erasing = [
            path for path, numbers in wanted if erasure.forgotten(engine, post, numbers, self._settings.plan)
        ]
        if self._erasing:
            self.snapshot()
        return bool(self._erasing)

    def _requests(self) -> dict[Path, frozenset[str]]:
        try:
            return erasure.requests(self._directory.path, self._directory.aside, self._settings.plan)
        except OSError:
            return {}  # the next write here reports it

    def _erased(self, number: int, requests: Sequence[Path]) -> None:
        """In the thread: remove everything before this snapshot, what was set aside, and the fulfilled requests."""
        self._directory.forget_before(number)
        self._directory.forget_aside()
        erasure.fulfilled(requests)

    def _tell_clocks(self) -> None:
        """Note by how much the wall clock was set: a reboot needs to know."""
        anchor, known = self._clock.anchor(), self._notes.anchor
        stepped_ms = (anchor.wall_ms - anchor.engine_ms) - (known.wall_ms - known.engine_ms)
        if abs(stepped_ms) > _CLOCK_STEP_MS and self._fd >= 0:
            self._notes.anchor = anchor
            self._write(lines.of_clocks(anchor))

    def _begin_anew(self) -> None:
        """After an error: a new segment, which counts only with a snapshot of its own."""
        if self._copy is not None:
            return
        self._open(after_gap=True)
        if self._fd >= 0:
            log.info("the journal can be written again", segment=self._number)
            self._snapshot_beside()

    def _open(self, *, after_gap: bool) -> None:
        """Begin the next segment. If that cannot be, the old one is not written to any more, either."""
        number = self._number + 1
        self._notes.anchor = self._clock.anchor()
        try:
            has_grown = self._directory.size() > LIMIT_BYTES
            fd = self._directory.create_segment(number) if not has_grown else -1
        except OSError as error:
            self._broken(error.strerror or str(error))
            return
        if has_grown:
            # A replay of so much would take longer than anybody waits. So the journal is given up, which makes room for
            # a new snapshot.
            self._syncer.do(self._directory.forget_segments)
            self._broken(f"it has grown to {LIMIT_BYTES >> 30} GiB while no snapshot could be made, and is given up")
            return
        self._number, self._fd = number, fd
        self._syncer.follow(fd)
        self._syncer.do(self._directory.sync)
        self._write(lines.of_object({**self._head("journal"), "after_gap": after_gap}))
        if self._fd < 0:
            # A full disk still has room for empty files: each try would leave one.
            with suppress(OSError):
                self._directory.segment(number).unlink(missing_ok=True)
                self._number -= 1

    def _head(self, kind: str) -> dict[str, object]:
        return {
            "fsacd": kind,
            "version": lines.VERSION,
            "number": self._number,
            "notes": to_plain(self._notes, Notes),
        }

    # --- snapshots ---

    def _content(self) -> bytes:
        assert self._engine is not None, "begin comes first"
        return lines.of_object(self._head("snapshot")) + lines.of_object(self._engine.dump())

    def _snapshot_here(self) -> None:
        """Make a snapshot in this process, before anything is served."""
        began = monotonic()
        try:
            self._directory.write_snapshot(self._number, self._content())
        except OSError as error:
            self._broken(error.strerror or str(error))
            return
        self._snapshot_done(self._number, began, "")

    def _snapshot_beside(self) -> None:
        """Make a snapshot in a copy of this process, which sees the engine as it is when the segment has just begun."""
        if self._fd < 0:
            self._erasing = []  # the next snapshot may know the callers again
            return
        number, began = self._number, monotonic()
        self._since_snapshot = 0
        try:
            self._child = copy = Copy.start(lambda: self._directory.write_snapshot(number, self._content()))
        except OSError as error:
            self._snapshot_done(number, began, error.strerror or str(error))
            return
        self._copy = watched.bound(
            "journal snapshot",
            lambda: self._await_copy(copy, number, began),
            lambda why: self._copy_failed(copy, number, began, why),
        )

    def _await_copy(self, copy: Copy, number: int, began: float) -> None:
        self._copy_ended(number, began, copy.wait())

    def _copy_failed(self, copy: Copy, number: int, began: float, why: str) -> None:
        copy.end()
        self._copy_ended(number, began, why)

    def _copy_ended(self, number: int, began: float, failed: str) -> None:
        if self._copy is not None:  # None: it has failed and ended already
            self._child = self._copy = None
            self._snapshot_done(number, began, failed)

    def _snapshot_done(self, number: int, began: float, failed: str) -> None:
        self._snapshot_s = monotonic() - began
        erasing, self._erasing = self._erasing, []
        if failed:
            self._next_erasure = monotonic() + self._settings.snapshot_retry_s
            self._snapshot_failures += 1
            self._since_snapshot = self._settings.snapshot_entries  # due as soon as the retry pause is over
            self._next_snapshot = monotonic() + self._settings.snapshot_retry_s
            log.error("no snapshot could be made; the journal grows until one can", why=failed)
            return
        self._snapshots += 1
        self._next_snapshot = monotonic() + self._settings.snapshot_pause_s
        before, self._good = self._good, number
        if erasing:
            self._next_erasure = monotonic() + _ERASURE_PAUSE_S
            self._syncer.do(lambda: self._erased(number, erasing))
            log.info("callers were erased from the journal", requests=len(erasing))
            return
        # The snapshot before this one stays with its segments, in case this one turns out to be unreadable.
        self._syncer.do(lambda: self._directory.forget_before(before))
