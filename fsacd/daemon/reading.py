"""Reads the configuration in a copy of this process, which sends back what differs from what is in force.

The copy takes seconds of a processor for ten thousand agents, and calls do not wait for them: another process, unlike a
thread, does not take the interpreter. What it sends may hold PINs and goes through a pipe that nobody else has.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

import gevent

from fsacd.caller.number_plan import NumberPlan
from fsacd.config.model import Config
from fsacd.config.problems import ConfigErrors, Problem
from fsacd.daemon.difference import Collected, Message, messages, pickled
from fsacd.daemon.in_force import InForce, in_force
from fsacd.daemon.plugging import read
from fsacd.errors import Unavailable
from fsacd.plugins import Catalogue, Source, Unfit
from fsacd.process import child
from fsacd.process.child import Child
from fsacd.runtime.pace import Pace

# A file system that has gone away may never answer; the next reload must have its turn all the same.
LONGEST_S: Final = 120.0
# Calls come first, but somebody waits for the reload.
_NICE: Final = 5
# A file of 4 MiB, the largest, takes about half of it.
_MORE_BYTES: Final = 2 << 30
_MOST_ANSWER_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Current:
    """What is in force, and the plugins with it. `changed` counts what differs from what was in force before."""

    config: InForce
    catalogue: Catalogue
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the daemon's configuration comes from, and what of it was fixed at the start."""

    path: Path
    started_with: Config
    plan: NumberPlan


@dataclass(frozen=True, slots=True)
class _Done:
    """The last word of the copy: the file has been read, and these are the plugins' texts."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class _Failed:
    """The last word of a copy that has met a fault of ours, or has not enough memory."""

    why: str
    out_of_memory: bool


def read_beside(origin: Origin, now: Current) -> Current | ConfigErrors:
    """Read the file beside the calls, and give what would be in force by it, or the errors in it.

    What is as it was is the very object that it was. Plugins run in this process, but only those whose file has
    changed.

    Raises:
        Unavailable: There can be no copy, or it was ended before it was done.
    """
    try:
        copy = Child.start(
            lambda pipe: _tell(pipe, origin, now), deadline_s=ceil(LONGEST_S), nice=_NICE, more_bytes=_MORE_BYTES
        )
    except OSError as error:
        raise Unavailable(
            f"the configuration cannot be read beside the calls: {error.strerror or error}; nothing was changed"
        ) from None
    pace = Pace(answer=False)
    collected = Collected()
    last: object = None
    try:
        with gevent.Timeout(LONGEST_S, _Overdue):
            for message in copy.messages(_MOST_ANSWER_BYTES):
                last = pickle.loads(message)  # noqa: S301 - a copy of this process has made it
                if isinstance(last, Message):
                    collected.add(last)
                pace.rest_if_due()
    except _Overdue:
        raise Unavailable(f"reading the configuration took longer than {LONGEST_S:g} s; nothing was changed") from None
    except ValueError as error:
        raise Unavailable(f"the configuration changes too much at once: {error}; nothing was changed") from None
    finally:
        copy.end()
        copy.bury()
    match last:
        case tuple() as problems if problems and all(isinstance(problem, Problem) for problem in problems):
            return ConfigErrors(problems)
        case _Done(sources):
            return _made(now, collected, sources, pace)
        case _Failed(why, out_of_memory=False):
            raise RuntimeError(f"in the process that reads the configuration:\n{why}")
        case _Failed():
            raise Unavailable(f"reading the configuration took more than {_MORE_BYTES >> 20} MiB; nothing was changed")
        case _:
            raise Unavailable("the process that reads the configuration was ended; nothing was changed")


class _Overdue(Exception):  # noqa: N818 - it never leaves this file
    """The copy has taken too long."""


def _made(now: Current, collected: Collected, sources: Sequence[Source], pace: Pace) -> Current | ConfigErrors:
    config = collected.made_of(now.config, pace.rest_if_due)
    same_limit = config.plugin_call_ms == now.config.plugin_call_ms
    if same_limit and now.catalogue.is_of(sources):
        return Current(config, now.catalogue, collected.size)
    try:
        # In a thread: a plugin's own code runs, for a second at most.
        catalogue = gevent.get_hub().threadpool.apply(_catalogue, (sources, now.catalogue, config.plugin_call_ms))
    except Unfit as unfit:
        return ConfigErrors([Problem("", 0, 0, "strategy_path", unfit.text)])
    return Current(config, catalogue, collected.size)


def _catalogue(sources: Sequence[Source], known: Catalogue, limit_ms: int) -> Catalogue:
    return Catalogue.of(sources, known, limit_ms)


# --- in the copy ---


def _tell(pipe: int, origin: Origin, now: Current) -> None:
    try:
        reading = read(origin.path, now.catalogue)
        config = in_force(reading.config, origin.started_with, origin.plan)
        for message in messages(now.config, config):
            child.send(pipe, pickled(message))
        last: object = _Done(reading.catalogue.sources(now.catalogue))
    except ConfigErrors as errors:
        last = errors.problems
    except MemoryError:
        last = _Failed("", out_of_memory=True)
    except Exception:  # noqa: BLE001 - whatever it is, the daemon tells of it
        last = _Failed(traceback.format_exc(), out_of_memory=False)
    child.send(pipe, pickled(last))
