"""How the daemon is asked to erase callers from its journal: by files in the journal's directory.

Entries of a journal are never changed, so all of it that knows a caller is removed: when the caller is in no call, the
engine forgets their last agent, a new snapshot is made, and everything before it is removed. Until then the request
stays, over restarts. It holds the caller's numbers, as the files beside it do, and is removed with them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from pathlib import Path
from typing import Final

import gevent
import orjson
import structlog

from fsacd.caller import traces
from fsacd.caller.number_plan import PLAIN, NumberPlan
from fsacd.core.engine import Engine
from fsacd.core.events import CallersForgotten, Event
from fsacd.errors import FsacdError
from fsacd.process import trusted
from fsacd.process.aside import Aside
from fsacd.process.trouble import shortened

log = structlog.get_logger(__name__)

_PREFIX: Final = "erase-"
_REQUEST_BYTES: Final = 1 << 20
_LOOK_S: Final = 0.05
# How many numbers are compared at a time; then calls go first.
_AT_ONCE: Final = 500
_BREATH_S: Final = 0.0005


class Outcome(Enum):
    """What has become of a request by now."""

    DONE = auto()
    WAITS_FOR_CALL = auto()  # also for a snapshot: a daemon runs and will do it
    WAITS_FOR_DAEMON = auto()


def ask(directory: Path, numbers: Sequence[str], patience_s: float, plan: NumberPlan = PLAIN) -> Outcome:
    """Ask that callers be erased, and wait a while for it; after that it is still done. Not to be called in the daemon.

    Raises:
        FsacdError: the directory cannot be used.
    """
    try:
        trusted.check_directory(directory, trusted.users_of(directory))
        path = _write(directory, sorted(plan.identities(numbers)))
        deadline = time.monotonic() + patience_s
        while path.exists():
            if not _is_in_use(directory):
                return Outcome.WAITS_FOR_DAEMON
            if time.monotonic() > deadline:
                return Outcome.WAITS_FOR_CALL
            time.sleep(_LOOK_S)
    except OSError as error:
        raise FsacdError(f"the journal's directory {directory} cannot be used: {trusted.why(error)}") from error
    return Outcome.DONE


def _write(directory: Path, numbers: Sequence[str]) -> Path:
    path = directory / f"{_PREFIX}{secrets.token_hex(8)}"
    draft = directory / f".{path.name}"
    with os.fdopen(trusted.create_file(draft), "wb") as file:
        file.write(orjson.dumps({"numbers": numbers}))
        trusted.give_to_owner_of(directory, file.fileno())
    draft.rename(path)
    return path


def _is_in_use(directory: Path) -> bool:
    """Whether a daemon has the journal; it holds the lock of fsacd.journal.files.

    Not to be asked within that daemon: closing the file would let its own lock go.
    """
    try:
        descriptor = trusted.open_file(directory / "lock", os.O_RDWR, trusted.users_of(directory))
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "r+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def requests(directory: Path, aside: Aside, plan: NumberPlan = PLAIN) -> dict[Path, frozenset[str]]:
    """All requests: each file with its numbers, as they are compared. A file that is no request is set aside.

    Raises:
        OSError: the directory cannot be read.
    """
    found = {}
    for name in sorted(entry.name for entry in os.scandir(directory) if entry.name.startswith(_PREFIX)):
        path = directory / name
        try:
            found[path] = _numbers(path, plan)
            continue
        except OSError as error:
            if not trusted.is_foreign(path, error):
                continue  # it was fulfilled a moment ago, or the disk fails, which the next write reports
            why = trusted.why(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other requests must be fulfilled
            why = f"{type(error).__name__}: {error}"
        if aside.move(path):
            log.error("a request to erase callers cannot be read and was set aside", file=str(path), why=shortened(why))
    return found


def fulfilled(requests: Sequence[Path]) -> None:
    """Remove these requests, and forget all numbers that were read, theirs among them."""
    for path in requests:
        path.unlink(missing_ok=True)
    traces.forget()


def _numbers(path: Path, plan: NumberPlan) -> frozenset[str]:
    """The numbers in a request. Raises any exception of a JSON reader for a file that fsacd has not written."""
    asked = orjson.loads(trusted.read_file(path, _REQUEST_BYTES, trusted.users_of(path.parent)))["numbers"]
    if not isinstance(asked, list) or not all(isinstance(number, str) for number in asked):
        raise ValueError("it names no numbers")
    return plan.identities(asked)


def forgotten(
    engine: Engine, post: Callable[[Event], None], numbers: AbstractSet[str], plan: NumberPlan = PLAIN
) -> bool:
    """Let the engine forget these callers; False while one of them is in a call. Others run meanwhile.

    What is true when this returns stays true until somebody yields.
    """
    known = []
    for place, number in enumerate(engine.numbers_remembered(), 1):
        if plan.identity(number) in numbers:
            known.append(number)
        if place % _AT_ONCE == 0:
            gevent.sleep(_BREATH_S)
    if not numbers.isdisjoint(map(plan.identity, engine.numbers_in_calls())):
        return False
    # Also where nobody is known: whoever takes the fact forgets what it has kept beside the engine.
    post(CallersForgotten(tuple(known)))
    return True
