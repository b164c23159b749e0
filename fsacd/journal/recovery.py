"""The engine as it was: the newest snapshot that can be read, and what entered the engine since.

The replay's commands are thrown away: they were sent the first time, or the switch will show that they were not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from pathlib import Path

import structlog

from fsacd.core.engine import Engine
from fsacd.core.events import QueueSetOpen
from fsacd.core.match.plugins import PluginError, Plugins
from fsacd.core.plain import Unreadable, from_plain
from fsacd.core.records import CallEnded, LogIn, OfferClosed, StrategyFailed, TalkEnded, VisitEnded, WrapUpEnded
from fsacd.core.rules import Parameters
from fsacd.journal import lines
from fsacd.journal.clock import Anchor
from fsacd.journal.files import Directory
from fsacd.process import trusted
from fsacd.process.trouble import shortened
from fsacd.strategy import CallFacts, CallOrder, Key, Strategy

log = structlog.get_logger(__name__)

# If the engine fails at this many entries, the replay is given up.
_TRIES = 16
# An engine that has failed this often within this time will fail again: its recovered memory is at fault.
_FAULTS = 3
_FAULTS_WITHIN_MS = 120_000
_LATELY_MS = 5_000
# What is told once, when something has ended; a log-in when it begins, too.
Ended = CallEnded | VisitEnded | OfferClosed | TalkEnded | WrapUpEnded | LogIn
# The longest line: a change of the rules holds the whole configuration, perhaps of ten thousand agents.
_LINE_BYTES = 64 << 20
_MOST_ENDED = 10_000


class HopelessError(Exception):
    """The journal cannot be used; one sentence."""


@dataclass(slots=True)
class Notes:
    """What the journal itself must carry on: from the head of each file, and from the entries after it."""

    anchor: Anchor
    hours: dict[str, bool] = field(default_factory=dict)  # by queue: whether its hours opened or closed it last
    faults: tuple[int, ...] = ()  # when the engine failed lately


@dataclass(frozen=True, slots=True)
class Recovered:
    """An engine that goes on. `damage` says, a sentence each, what could not be used, with file and offset."""

    engine: Engine
    notes: Notes
    number: int  # of the snapshot that it began with
    last_ms: int
    entries: int
    damage: tuple[str, ...]
    # What ended shortly before. Rows of history reach the disk up to a second after their facts, so these rows may be
    # missing there. Written twice, they do no harm: history keeps one row for each key.
    lately_ended: tuple[Ended, ...] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    """One step: what entered the engine, and the notes about it. `place` (segment, offset) identifies it."""

    place: tuple[int, int]
    entered: lines.Entered
    failures: tuple[StrategyFailed, ...]
    engine_failed: bool


class Forgiving:
    """Plugins for a replay: a missing one is replaced, as the present configuration soon replaces the rules, too."""

    def __init__(self, inner: Plugins) -> None:
        self._inner = inner
        self.strict = False

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        """The strategy; longest_idle if there is none. PluginError if strict."""
        try:
            return self._inner.strategy(name, parameters)
        except PluginError:
            if self.strict:
                raise
            return self._inner.strategy("longest_idle", ())

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        """The call order; the usual one if there is none. PluginError if strict."""
        try:
            return self._inner.call_order(name, parameters)
        except PluginError:
            if self.strict:
                raise
            return _UsualOrder()


class _UsualOrder:
    def key(self, call: CallFacts) -> Key:
        return (-call.priority, call.arrived_ms - call.head_start_ms)


def recover(directory: Directory, plugins: Plugins, hours: str) -> Recovered | None:
    """The engine as it was, or None if there is no journal yet.

    Args:
        directory: Where the journal is.
        plugins: Makes the plugins that the rules name.
        hours: Who opens and closes queues by their hours.

    Raises:
        HopelessError: there is a journal, and no engine can be made of it.
    """
    damage = directory.set_strangers_aside()
    numbers = list(reversed(directory.snapshots()))
    for number in numbers:
        try:
            plain, notes = _load(directory, number)
            replay = _Replay(directory, number, plugins, hours, plain)
        except Exception as error:  # noqa: BLE001 - whatever it is, the snapshot before may be used
            done = "was set aside" if directory.aside.move(directory.snapshot(number)) else "cannot be set aside"
            damage.append(f"{directory.snapshot(number)} cannot be used: {said(error)}; it {done}")
            continue
        return replay.run(notes, damage)
    if numbers or (damage and directory.segments()):
        raise HopelessError("; ".join(damage))
    for sentence in damage:
        log.error("the journal is damaged", what=sentence)
    # A daemon makes its first snapshot before it serves anybody, so one killed before that has served nobody.
    return None


def _told_ms(record: Ended) -> int:
    return record.started_ms if isinstance(record, LogIn) and record.ended_ms is None else record.ended_ms or 0


def _load(directory: Directory, number: int) -> tuple[dict[str, object], Notes]:
    rows = directory.read_snapshot(number).splitlines()
    if len(rows) != _SNAPSHOT_LINES:
        raise lines.Damaged("it is not complete")
    head = lines.opened(rows[0])
    return lines.opened(rows[1]), read_notes(head)


_SNAPSHOT_LINES = 2


def read_notes(head: dict[str, object]) -> Notes:
    """The notes in the head of a file. Raises Unreadable."""
    notes: Notes = from_plain(head.get("notes"), Notes)
    check_anchor(notes.anchor)
    return notes


def check_anchor(anchor: Anchor) -> None:
    """Check that clocks can have shown these times. Raises Unreadable."""
    times = (anchor.engine_ms, anchor.monotonic_ms, anchor.wall_ms)
    if not all(0 <= at_ms <= lines.MOST_MS for at_ms in times):
        raise Unreadable("its clocks have shown no time")


def said(error: Exception) -> str:
    """What is wrong with a file, in words that are not too long."""
    match error:
        case OSError():
            return trusted.why(error)
        case lines.Damaged() | Unreadable() | PluginError() if str(error):
            return shortened(str(error))
        case _:
            return shortened(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


class _Ends(Enum):
    """Where a journal ends."""

    HERE = auto()
    LATER = auto()


class _Replay:
    """One replay. Raises any exception if no engine can be made of the snapshot's content."""

    def __init__(
        self, directory: Directory, number: int, plugins: Plugins, hours: str, content: dict[str, object]
    ) -> None:
        self._directory = directory
        self._number = number
        self._plugins = plugins
        self._hours = hours
        self._content = content
        self._ended: deque[Ended] = deque(maxlen=_MOST_ENDED)
        self._damage: dict[str, None] = {}
        self._first: tuple[Engine, Forgiving] | None = self._restored()
        engine, _ = self._first
        if not 0 <= engine.now_ms <= lines.MOST_MS:
            raise Unreadable("its time is not valid")
        engine.snapshot(engine.now_ms)  # a memory that names missing things would fail only later, in a view

    def _restored(self) -> tuple[Engine, Forgiving]:
        plugins = Forgiving(self._plugins)
        return Engine.restore(self._content, plugins), plugins

    def run(self, notes: Notes, damage: list[str]) -> Recovered:
        skip: set[tuple[int, int]] = set()
        for _ in range(_TRIES):
            (engine, plugins), self._first = self._first or self._restored(), None
            now = Notes(notes.anchor, dict(notes.hours), notes.faults)
            broken, entries = self._replay(engine, now, skip)
            if broken is None:
                plugins.strict = True
                self._judge(now, engine)
                told = (*damage, *self._damage)
                ended = tuple(record for record in self._ended if _told_ms(record) > engine.now_ms - _LATELY_MS)
                return Recovered(engine, now, self._number, engine.now_ms, entries, told, ended)
            skip.add(broken)
        raise HopelessError(f"the engine breaks at {_TRIES} entries of the journal")

    def _judge(self, notes: Notes, engine: Engine) -> None:
        """Raise HopelessError if the engine has failed so often lately that its recovered memory is at fault."""
        lately = [at_ms for at_ms in notes.faults if at_ms > engine.now_ms - _FAULTS_WITHIN_MS]
        if len(lately) >= _FAULTS:
            raise HopelessError(f"the engine has failed {len(lately)} times within two minutes")

    def _replay(self, engine: Engine, notes: Notes, skip: set[tuple[int, int]]) -> tuple[tuple[int, int] | None, int]:
        """Let everything enter the engine again. Returns where it failed, if it did, and the number of entries."""
        entries = 0
        for group in self._groups(notes):
            entries += 1
            if group.engine_failed:
                notes.faults = (*notes.faults, group.entered.at_ms)[-_FAULTS:]
                continue
            if group.place in skip:
                continue
            event, at_ms = group.entered.event, max(group.entered.at_ms, engine.now_ms)
            if isinstance(event, QueueSetOpen) and event.by == self._hours:
                notes.hours[event.queue] = event.open
            for failure in group.failures:
                engine.expect_failure(failure)
            try:
                step = engine.advance(at_ms) if event is None else engine.handle(event, at_ms)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the journal must be used
                told = f"{self._told(group.place)} breaks the engine and is left out: {said(error)}"
                self._tell(told, self._directory.segment(group.place[0]))
                return group.place, entries
            self._ended.extend(record for record in step.records if isinstance(record, Ended))
        return None, entries

    def _told(self, place: tuple[int, int]) -> str:
        return f"{self._directory.segment(place[0])} at byte {place[1]}"

    def _groups(self, notes: Notes) -> Iterator[_Group]:
        group: _Group | None = None
        for place, entry in self._entries():
            match entry:
                case lines.Entered():
                    if group is not None:
                        yield group
                    group = _Group(place, entry, (), engine_failed=False)
                case lines.PluginFailedThere(failure=failure) if group is not None:
                    group = _Group(group.place, group.entered, (*group.failures, failure), group.engine_failed)
                case lines.EngineFailedThere() if group is not None:
                    group = _Group(group.place, group.entered, group.failures, engine_failed=True)
                case Anchor():
                    notes.anchor = entry
                case _:
                    pass  # the entry that the note is about is lost
        if group is not None:
            yield group

    def _entries(self) -> Iterator[tuple[tuple[int, int], lines.Entry]]:
        """Everything since the snapshot: segments in a row, up to one that begins after something was lost."""
        numbers = [number for number in self._directory.segments() if number >= self._number]
        for before, number in pairwise([self._number - 1, *numbers]):
            path = self._directory.segment(number)
            if number != before + 1:
                missing = self._directory.segment(before + 1)
                self._tell(f"{missing} is missing; what came after it is not used", path)
                return
            try:
                if (yield from self._segment(number)) is _Ends.HERE:
                    return
            except OSError as error:
                self._tell(f"{path} cannot be read: {trusted.why(error)}; what came from there on is not used", path)
                return

    def _segment(self, number: int) -> Generator[tuple[tuple[int, int], lines.Entry], None, _Ends]:
        """What one segment holds, and whether what comes after it can be used. Raises OSError."""
        path = self._directory.segment(number)
        with self._directory.open_segment(number) as file:
            offset = 0
            while row := file.readline(_LINE_BYTES):
                place, offset = (number, offset), offset + len(row)
                if not row.endswith(b"\n"):
                    if len(row) < _LINE_BYTES:
                        break  # the process ended while it wrote this
                    self._tell(f"{path} at byte {place[1]}: the line is too long; the rest is not used", path)
                    break
                try:
                    if place[1] == 0:
                        head = lines.opened(row[:-1])
                        if head.get("after_gap") and number != self._number:
                            self._tell(f"{path} begins after entries that were lost, and is not used", path)
                            return _Ends.HERE
                        entry: lines.Entry | None = read_notes(head).anchor
                    else:
                        entry = lines.read(row[:-1])
                        if isinstance(entry, Anchor):
                            check_anchor(entry)
                except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the journal must be used
                    self._tell(f"{path} at byte {place[1]}: {said(error)}; the rest is used", path)
                    continue
                if entry is not None:
                    yield place, entry
        return _Ends.LATER

    def _tell(self, sentence: str, path: Path) -> None:
        """Tell of damage, and keep the damaged file for people to look at when the journal needs it no more."""
        self._damage[sentence] = None
        self._directory.aside.keep(path)
