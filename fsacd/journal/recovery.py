"""The engine as it was: the newest snapshot that can be read, and what entered the engine since.

The commands of the second time are thrown away: they were sent the first time, or their failure will be seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from fsacd.core.engine import Engine
from fsacd.core.events import QueueSetOpen
from fsacd.core.plain import Unreadable, from_plain
from fsacd.core.plugins import PluginError, Plugins
from fsacd.core.records import CallEnded, OfferClosed, StrategyFailed
from fsacd.core.rules import Parameters
from fsacd.journal import lines
from fsacd.journal.clock import Anchor
from fsacd.journal.files import Directory
from fsacd.strategy import CallFacts, CallOrder, Key, Strategy

# An engine that breaks at this many entries is not worth more tries.
_TRIES = 16
# An engine that has broken so often within so short a time breaks again: the memory itself is at fault.
_FAULTS = 3
_FAULTS_WITHIN_MS = 120_000
_LATELY_MS = 5_000
_MOST_ENDED = 10_000


class HopelessError(Exception):
    """The journal cannot be used; one sentence."""


@dataclass(slots=True)
class Notes:
    """What the journal itself must carry on: from the head of each file, and from the entries after it."""

    anchor: Anchor
    hours: dict[str, bool] = field(default_factory=dict)  # what the hours said of each queue last
    faults: tuple[int, ...] = ()  # when the engine broke lately


@dataclass(frozen=True, slots=True)
class Recovered:
    """An engine that goes on. `damage` says, a sentence each, what could not be used, with file and offset."""

    engine: Engine
    notes: Notes
    number: int  # of the snapshot that it began with
    last_ms: int
    entries: int
    damage: tuple[str, ...]
    # What ended shortly before. Rows of history follow their facts and are on the disk a second later, so these may be
    # missing; of two rows with one key history makes one.
    lately_ended: tuple[CallEnded | OfferClosed, ...] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    """One step: what entered the engine, and what was noted of it. `place` tells it from all others."""

    place: tuple[int, int]
    entered: lines.Entered
    failures: tuple[StrategyFailed, ...]
    engine_failed: bool


class Forgiving:
    """Plugins for a replay: one that is not there any more is replaced, for soon other rules hold."""

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
        HopelessError: there is a journal, and nothing can be made of it.
    """
    damage: list[str] = []
    for number in reversed(directory.snapshots()):
        try:
            plain, notes = _load(directory, number)
        except (lines.Damaged, Unreadable, OSError) as error:
            damage.append(f"{directory.snapshot(number)} cannot be used: {error}")
            continue
        return _Replay(directory, number, plugins, hours).run(plain, notes, damage)
    if damage:
        raise HopelessError("; ".join(damage))
    # A daemon that was killed before its first snapshot had served nobody: it began with that.
    return None


def _load(directory: Directory, number: int) -> tuple[dict[str, object], Notes]:
    path = directory.snapshot(number)
    rows = path.read_bytes().splitlines()
    if len(rows) != _SNAPSHOT_LINES:
        raise lines.Damaged("it is not complete")
    head = lines.opened(rows[0])
    return lines.opened(rows[1]), read_notes(head)


_SNAPSHOT_LINES = 2


def read_notes(head: dict[str, object]) -> Notes:
    """The notes in the head of a file. Raises Unreadable."""
    notes: Notes = from_plain(head.get("notes"), Notes)
    return notes


class _Replay:
    def __init__(self, directory: Directory, number: int, plugins: Plugins, hours: str) -> None:
        self._directory = directory
        self._number = number
        self._plugins = plugins
        self._hours = hours
        self._ended: deque[CallEnded | OfferClosed] = deque(maxlen=_MOST_ENDED)
        self._damage: dict[str, None] = {}

    def run(self, plain: dict[str, object], notes: Notes, damage: list[str]) -> Recovered:
        skip: set[tuple[int, int]] = set()
        for _ in range(_TRIES):
            plugins = Forgiving(self._plugins)
            try:
                engine = Engine.restore(plain, plugins)
            except (Unreadable, PluginError, AssertionError, KeyError) as error:
                raise HopelessError(f"no engine can be made of snapshot {self._number}: {error}") from error
            now = Notes(notes.anchor, dict(notes.hours), notes.faults)
            broken, entries = self._replay(engine, now, skip)
            if broken is None:
                plugins.strict = True
                self._judge(now, engine)
                told = (*damage, *self._damage)
                ended = tuple(record for record in self._ended if record.ended_ms > engine.now_ms - _LATELY_MS)
                return Recovered(engine, now, self._number, engine.now_ms, entries, told, ended)
            skip.add(broken)
        raise HopelessError(f"the engine breaks at {_TRIES} entries of the journal")

    def _judge(self, notes: Notes, engine: Engine) -> None:
        """Whether the memory is what breaks the engine again and again. Raises HopelessError."""
        lately = [at_ms for at_ms in notes.faults if at_ms > engine.now_ms - _FAULTS_WITHIN_MS]
        if len(lately) >= _FAULTS:
            raise HopelessError(f"the engine has failed {len(lately)} times within two minutes")

    def _replay(self, engine: Engine, notes: Notes, skip: set[tuple[int, int]]) -> tuple[tuple[int, int] | None, int]:
        """Let everything enter the engine again; the place at which it broke, if it did, and how many entries."""
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
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the journal shall be used
                self._damage[f"{self._told(group.place)} breaks the engine and is left out: {error!r}"] = None
                return group.place, entries
            self._ended.extend(record for record in step.records if isinstance(record, CallEnded | OfferClosed))
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
                    pass  # a note whose entry is lost
        if group is not None:
            yield group

    def _entries(self) -> Iterator[tuple[tuple[int, int], lines.Entry]]:
        """Everything since the snapshot: segments in a row, up to one that begins after something was lost."""
        numbers = [number for number in self._directory.segments() if number >= self._number]
        for before, number in pairwise([self._number - 1, *numbers]):
            if number != before + 1:
                self._damage[f"{self._directory.segment(before + 1)} is missing; what came after it is not used"] = None
                return
            path = self._directory.segment(number)
            try:
                content = path.read_bytes()
            except OSError as error:
                self._damage[f"{path} cannot be read: {error.strerror}; what came from there on is not used"] = None
                return
            offset = 0
            for row in content.splitlines(keepends=True):
                place, offset = (number, offset), offset + len(row)
                if not row.endswith(b"\n"):
                    break  # the process ended while it wrote this
                try:
                    if place[1] == 0:
                        head = lines.opened(row[:-1])
                        if head.get("after_gap") and number != self._number:
                            self._damage[f"{path} begins after entries that were lost, and is not used"] = None
                            return
                        yield place, read_notes(head).anchor
                        continue
                    entry = lines.read(row[:-1])
                except (lines.Damaged, Unreadable, ValueError) as error:
                    self._damage[f"{path} at byte {place[1]}: {error}; the rest is used"] = None
                    continue
                if entry is not None:
                    yield place, entry
