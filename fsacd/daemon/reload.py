"""Reloads, one after the other: the file is read beside the calls, judged, put in force, and what came of it is kept.

A reload that begins later reads the file later, so the newest file is in force when all have ended. Whoever asks for
what waits already joins it: any number of signals during a reload are one more reload.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import gevent
import structlog
from gevent.event import Event as Signal

from fsacd.config.effects import Effects, effects
from fsacd.config.model import Config
from fsacd.config.problems import ConfigErrors
from fsacd.core.rules import Rules
from fsacd.core.views import Snapshot
from fsacd.daemon.plugging import Reading, read
from fsacd.daemon.systemd import Notifier
from fsacd.errors import FsacdError, Refused, Unavailable
from fsacd.http.api import ReloadResult, ReloadStatus
from fsacd.runtime import watched

log = structlog.get_logger(__name__)

_AT_START = ("switches", "api", "store", "journal", "log", "lease_ms", "instance", "number_plan")
# How many reloads may wait for their turn.
_MOST_WAITING: Final = 8
# A file system that has gone away may never answer; the next reload must have its turn all the same.
_LONGEST_S: Final = 120.0
_STOPPING: Final = "fsacd is stopping"

# Puts a configuration and its rules in force; nothing in it yields. Gives the parts that need a restart.
Change = Callable[[Reading, Rules], Sequence[str]]


@dataclass(slots=True)
class Reload:
    """One reload: who asked for what, and what came of it, for those who wait."""

    by: str
    dry_run: bool
    even_so: bool
    _over: Signal = field(default_factory=Signal)
    _message: str = ""
    _error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        """Whether those who wait go on."""
        return bool(self._over.is_set())

    def end(self, message: str, error: BaseException | None = None) -> None:
        """It is over; those who wait go on."""
        self._message, self._error = message, error
        self._over.set()

    def wait(self) -> str:
        """Wait for its end, which `_LONGEST_S` bounds. Returns what it did, or raises what it raised."""
        self._over.wait()
        if self._error is not None:
            raise self._error
        return self._message


class Reloads:
    """Runs the reloads of one daemon. `view` is the present moment; `change` puts a configuration in force."""

    def __init__(self, path: Path, notifier: Notifier, view: Callable[[], Snapshot], change: Change) -> None:
        self._path = path
        self._notifier = notifier
        self._view = view
        self._change = change
        self._waiting: deque[Reload] = deque()
        self.last: ReloadStatus | None = None  # dry runs left out
        self._worker: gevent.Greenlet | None = None
        self._stopped = False

    def begin(self, by: str, *, dry_run: bool = False, even_so: bool = False) -> Reload:
        """Let a reload have its turn, or join the same one that waits for its turn. Returns at once.

        Raises Unavailable when the daemon stops, or when too many wait.
        """
        if self._stopped:
            raise Unavailable(_STOPPING)
        for waiting in self._waiting:
            if (waiting.by, waiting.dry_run, waiting.even_so) == (by, dry_run, even_so):
                return waiting
        if len(self._waiting) >= _MOST_WAITING:
            raise Unavailable(f"{_MOST_WAITING} reloads wait for their turn already")
        asked = Reload(by, dry_run, even_so)
        self._waiting.append(asked)
        if self._worker is None:
            self._worker = watched.brief("reload", self._work)
        return asked

    def stop(self) -> None:
        """End what runs and what waits; what has not changed anything yet will not."""
        self._stopped = True
        if self._worker is not None:
            self._worker.kill()
            self._worker = None
        while self._waiting:
            self._waiting.popleft().end(_STOPPING, Unavailable(_STOPPING))

    # --- the worker ---

    def _work(self) -> None:
        try:
            while self._waiting:
                self._run(self._waiting.popleft())
        finally:
            self._worker = None

    def _run(self, asked: Reload) -> None:
        """Let this reload happen; whatever goes wrong, those who wait are told, and systemd is told READY."""
        # A fault of ours may leave some parts changed and others not: only a refusal knows that nothing has changed.
        state = "serving; a reload has failed, and the log says why"
        if not asked.dry_run:
            self.last = ReloadStatus(asked.by, _wall_ms())
            self._notifier.reloading()
        try:
            result = self._reload(dry_run=asked.dry_run, even_so=asked.even_so)
        except Refused as refused:
            state = f"serving with the configuration as it was: {refused}"
            log.warning("reload refused", by=asked.by, why=str(refused), problems=list(refused.problems))
            self._end(asked, "refused", str(refused), refused)
        except FsacdError as error:
            log.warning("reload failed", by=asked.by, why=str(error))
            self._end(asked, "failed", str(error), error)
        except (Exception, gevent.Timeout) as error:  # plugins may raise anything, and the next one must have its turn
            log.exception("reload failed, by a fault of ours", by=asked.by)
            self._end(asked, "failed", "the reload has failed by a fault of ours; the log says why", error)
        else:
            state = "serving"
            log.info("reload", by=asked.by, result=result)
            self._end(asked, "in_force", result)
        finally:
            if not asked.is_over:  # the daemon stops
                self._end(asked, "failed", _STOPPING, Unavailable(_STOPPING))
            # Systemd waits for this, and would end a daemon that never says it.
            if not asked.dry_run:
                self._notifier.ready(state)

    def _end(self, asked: Reload, result: ReloadResult, message: str, error: BaseException | None = None) -> None:
        if self.last is not None and not asked.dry_run:
            self.last = replace(self.last, result=result, message=message, ended_ms=_wall_ms())
        asked.end(message, error)

    def _reload(self, *, dry_run: bool, even_so: bool) -> str:
        reading = self._read()
        if isinstance(reading, ConfigErrors):
            problems = tuple(str(problem) for problem in reading.problems)
            raise Refused("the configuration has errors; the old one stays in force", problems) from reading
        rules = reading.config.rules()
        # From here to the change nothing yields, so the effects are told for exactly the callers and agents of now.
        told = effects_on(self._view(), rules)
        if dry_run:
            return would_do(told)
        if told.throws_out and not even_so:
            raise Refused("callers would lose their place; the old configuration stays in force", told.throws_out)
        return has_done(told, self._change(reading, rules))

    def _read(self) -> Reading | ConfigErrors:
        # In a real thread: reading ten thousand agents takes seconds, and calls must not wait for that.
        with gevent.Timeout(_LONGEST_S, False):
            reading: Reading | ConfigErrors = gevent.get_hub().threadpool.apply(read_beside, (self._path,))
            return reading
        raise Unavailable(f"reading the configuration took longer than {_LONGEST_S:g} s; nothing was changed")


def read_beside(path: Path) -> Reading | ConfigErrors:
    """The errors as a value: gevent prints a traceback of whatever is raised in a thread of its pool."""
    try:
        return read(path)
    except ConfigErrors as errors:
        return errors


def effects_on(view: Snapshot, rules: Rules) -> Effects:
    """What these rules would do to the callers and agents of the moment."""
    calls = [(call.queue, call.state) for call in view.calls]
    return effects(rules, calls, {agent.agent_id: agent.state for agent in view.agents})


def needs_restart(old: Config, new: Config) -> list[str]:
    """The parts of the configuration that have changed and take effect at the next start only."""
    return [part for part in _AT_START if _at_start(old, part) != _at_start(new, part)]


def _at_start(config: Config, part: str) -> object:
    """The settings of this part of the configuration that take effect at the next start only, without the tokens."""
    return config.api.model_copy(update={"tokens": ()}) if part == "api" else getattr(config, part)


def would_do(told: Effects) -> str:
    """The answer to a dry run: a sentence on each thing that a reload would do."""
    said = [*told.told, *told.throws_out]
    return "; ".join(["nothing was changed; a reload would do this", *(said or ["nothing to anybody here"])])


def has_done(told: Effects, at_next_start: Sequence[str]) -> str:
    """The answer to a reload: what is in force, what needs a restart, and what became of callers and agents."""
    result = "the new configuration is in force"
    if at_next_start:
        result = f"queues, agents and tokens are in force; changes in {', '.join(at_next_start)} need a restart"
    return "; ".join([result, *told.told, *told.thrown_out])


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
