"""Reloads, one after the other: the file is read beside the calls, judged, put in force, and what came of it is kept.

A reload that begins later reads the file later, so the newest file is in force when all have ended. Whoever asks for
what waits already joins it: any number of signals during a reload are one more reload.
"""

from __future__ import annotations

import copy
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import gevent
import structlog
from gevent.event import Event as Signal

from fsacd.config.effects import Effects
from fsacd.config.problems import ConfigErrors
from fsacd.daemon.change import Parts
from fsacd.daemon.reading import Origin, read_beside
from fsacd.daemon.systemd import Notifier
from fsacd.desk.rights import BY_SIGNAL
from fsacd.errors import FsacdError, Refused, Unavailable
from fsacd.http.api import ReloadStatus
from fsacd.http.problem import sentence
from fsacd.process import reload_outcome
from fsacd.process.reload_outcome import Outcome
from fsacd.runtime import watched
from fsacd.runtime.pace import Pace

log = structlog.get_logger(__name__)

# How many reloads may wait, and of how many it is remembered what came of them.
_MOST_WAITING: Final = 8
_REMEMBERED: Final = 50
_STOPPING: Final = "fsacd is stopping"


@dataclass(slots=True)
class Reload:
    """One reload: what was asked for, how far it is, and what it raised, for those who wait."""

    status: ReloadStatus
    even_so: bool
    began_ns: int = 0
    _over: Signal = field(default_factory=Signal)
    _error: BaseException | None = None

    def is_as(self, by: str, *, dry_run: bool, even_so: bool) -> bool:
        """Whether this was asked for by the same one in the same way."""
        return (self.status.by, self.status.dry_run, self.even_so) == (by, dry_run, even_so)

    def begin(self) -> None:
        """Its turn has come."""
        self.began_ns = time.monotonic_ns()
        self.status = replace(self.status, result="running", began_ms=_wall_ms())

    def end(
        self,
        result: Literal["in_force", "tried", "refused", "failed"],
        message: str,
        error: BaseException | None = None,
    ) -> None:
        """It is over; those who wait go on."""
        problems = error.problems if isinstance(error, Refused) else ()
        self.status = replace(self.status, result=result, message=message, problems=problems, ended_ms=_wall_ms())
        self._error = None if error is None else _bare(error)
        self._over.set()

    def within(self, within_s: float) -> ReloadStatus:
        """How far it is when it has ended, or after this time."""
        if within_s > 0:
            self._over.wait(within_s)
        return self.status

    def wait(self) -> str:
        """Wait for its end. Returns what it did, or raises what it raised."""
        self._over.wait()
        if self._error is not None:
            raise _again(self._error)
        return self.status.message


class Reloads:
    """Runs the reloads of one daemon: the file is read beside the calls, and its `parts` take what it says.

    `changed_ms` is when another configuration was put in force last, as Unix time in ms; 0: not since the start.
    """

    def __init__(self, origin: Origin, notifier: Notifier, parts: Parts) -> None:
        self._origin = origin
        self._notifier = notifier
        self._parts = parts
        self.changed_ms = 0
        self._waiting: deque[Reload] = deque()
        self._kept: deque[Reload] = deque(maxlen=_REMEMBERED)
        self._number = 0
        self._last: Reload | None = None
        self._worker: gevent.Greenlet | None = None
        self._stopped = False

    def begin(self, by: str, *, dry_run: bool = False, even_so: bool = False) -> Reload:
        """Let a reload have its turn, or join the same one that waits for its turn. Returns at once.

        Raises Unavailable when the daemon stops, or when too many wait.
        """
        if self._stopped:
            raise Unavailable(_STOPPING)
        for waiting in self._waiting:
            if waiting.is_as(by, dry_run=dry_run, even_so=even_so):
                return waiting
        # A signal cannot be turned away; of all that come, one waits.
        if len(self._waiting) >= _MOST_WAITING and by != BY_SIGNAL.subject:
            raise Unavailable(f"{_MOST_WAITING} reloads wait for their turn already")
        self._number += 1
        asked = Reload(ReloadStatus(self._number, by, _wall_ms(), dry_run=dry_run), even_so)
        self._waiting.append(asked)
        self._kept.append(asked)
        if self._worker is None:
            self._worker = watched.brief("reload", self._work)
        return asked

    def find(self, number: int) -> ReloadStatus | None:
        """The reload of this number, if it is remembered."""
        return next((kept.status for kept in self._kept if kept.status.number == number), None)

    def last(self) -> ReloadStatus | None:
        """The last reload that has begun, dry runs left out; None: there was none since the start."""
        return None if self._last is None else self._last.status

    def stop(self) -> None:
        """End what runs and what waits; what has not changed anything yet will not."""
        self._stopped = True
        if self._worker is not None:
            self._worker.kill()
            self._worker = None
        while self._waiting:
            self._waiting.popleft().end("failed", _STOPPING, Unavailable(_STOPPING))

    # --- the worker ---

    def _work(self) -> None:
        try:
            while self._waiting:
                self._run(self._waiting.popleft())
        finally:
            self._worker = None

    def _run(self, asked: Reload) -> None:
        """Let this reload happen; whatever goes wrong, those who wait are told, and systemd is told READY."""
        asked.begin()
        # A fault of ours may leave some parts changed and others not: only a refusal knows that nothing has changed.
        state = "serving; a reload has failed, and the log says why"
        dry_run, by = asked.status.dry_run, asked.status.by
        if not dry_run:
            self._last = asked
            self._notifier.reloading()
        try:
            result = self._reload(dry_run=dry_run, even_so=asked.even_so)
        except Refused as refused:
            state = f"serving with the configuration as it was: {refused}"
            log.warning("reload refused", by=by, why=str(refused), problems=list(refused.problems))
            asked.end("refused", str(refused), refused)
        except FsacdError as error:
            log.warning("reload failed", by=by, why=str(error))
            asked.end("failed", str(error), error)
        except (Exception, gevent.Timeout) as error:  # plugins may raise anything, and the next one must have its turn
            log.exception("reload failed, by a fault of ours", by=by)
            asked.end("failed", "the reload has failed by a fault of ours; the log says why", error)
        else:
            state = "serving"
            log.info("reload", by=by, result=result)
            asked.end("tried" if dry_run else "in_force", result)
        finally:
            if asked.status.ended_ms is None:  # the daemon stops
                asked.end("failed", _STOPPING, Unavailable(_STOPPING))
            if not dry_run:
                # Systemd waits for this, and would end a daemon that never says it.
                self._notifier.ready(state)
                self._leave_word(asked)

    def _leave_word(self, ended: Reload) -> None:
        """Leave word for whoever has asked by a signal, in the directory that systemd gives the service under /run."""
        directory = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        if not directory:
            return
        told = ended.status
        try:
            # Nothing waits for a disk: /run is memory.
            reload_outcome.write(
                Path(directory), Outcome(ended.began_ns, told.result, sentence(told.message), told.problems)
            )
        except OSError as error:
            log.warning("whoever has asked for the reload by a signal cannot be told", why=str(error))

    def _reload(self, *, dry_run: bool, even_so: bool) -> str:
        parts, pace = self._parts, Pace(answer=False)
        found = read_beside(self._origin, parts.current)
        if isinstance(found, ConfigErrors):
            problems = tuple(str(problem) for problem in found.problems)
            raise Refused("the configuration has errors; the old one stays in force", problems) from found
        if dry_run:
            return would_do(parts.effects(found))
        prepared = pace.whole(parts.prepare(found))
        # From here to the change nothing yields, so the effects are told for exactly the callers and agents of now.
        told = parts.effects(found)
        if told.throws_out and not even_so:
            raise Refused("callers would lose their place; the old configuration stays in force", told.throws_out)
        before = parts.current
        parts.change(prepared)
        self.changed_ms = _wall_ms()
        pace.whole(parts.settle(before))
        return has_done(told, found.config.at_next_start)


def _bare(error: BaseException) -> BaseException:
    """The error without where it was raised: whole configurations hang on that."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def _again(error: BaseException) -> BaseException:
    """The error for one more of those who wait; each adds to it where they have met it."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - a plugin's own exception may be anything
        return RuntimeError(f"{type(error).__name__}: {error}")


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
