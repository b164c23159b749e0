"""How the daemon is asked to erase callers from its journal: by files in the journal's directory.

A journal cannot be changed without becoming another one, so what knows of a caller is left behind as a whole: when he
is in no call, the engine forgets whom he talked with, a new snapshot is made, and everything before it is removed.
Until then the request stays, over restarts; it names the caller, as the files beside it do, and goes with them.
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

from fsacd.core.engine import Engine
from fsacd.core.events import CallersForgotten, Event
from fsacd.errors import FsacdError
from fsacd.recognition import normalised

_PREFIX: Final = "erase-"
_REQUEST_BYTES: Final = 65_536
_LOOK_S: Final = 0.05
# So many numbers are compared at a time, and then the calls go first.
_AT_ONCE: Final = 500
_BREATH_S: Final = 0.0005


class Outcome(Enum):
    """What has become of a request by now."""

    DONE = auto()
    WAITS_FOR_CALL = auto()  # or for a snapshot: a daemon runs and will do it
    WAITS_FOR_DAEMON = auto()


def ask(directory: Path, numbers: Sequence[str], patience_s: float) -> Outcome:
    """Ask that callers be erased, and wait for it for a while; later it is done all the same. Not within the daemon.

    Raises:
        FsacdError: the directory cannot be used.
    """
    try:
        path = _write(directory, sorted(map(normalised, numbers)))
        deadline = time.monotonic() + patience_s
        while path.exists():
            if not _is_in_use(directory):
                return Outcome.WAITS_FOR_DAEMON
            if time.monotonic() > deadline:
                return Outcome.WAITS_FOR_CALL
            time.sleep(_LOOK_S)
    except OSError as error:
        raise FsacdError(f"the journal's directory {directory} cannot be used: {error.strerror}") from error
    return Outcome.DONE


def _write(directory: Path, numbers: Sequence[str]) -> Path:
    path = directory / f"{_PREFIX}{secrets.token_hex(8)}"
    draft = directory / f".{path.name}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({"numbers": numbers}))
        # The daemon need not be root, as we may be; the directory is its own.
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    draft.rename(path)
    return path


def _is_in_use(directory: Path) -> bool:
    """Whether a daemon has the journal; it holds the lock of fsacd.journal.files.

    Not to be asked within that daemon: closing the file would let its own lock go.
    """
    if not (directory / "lock").exists():
        return False
    with (directory / "lock").open("r+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def requests(directory: Path) -> dict[Path, frozenset[str]]:
    """What is asked for: each file with the numbers in it, as they are compared. Raises OSError."""
    names = [entry.name for entry in os.scandir(directory) if entry.name.startswith(_PREFIX)]
    return {path: _numbers(path) for path in (directory / name for name in sorted(names))}


def _numbers(path: Path) -> frozenset[str]:
    with path.open("rb") as file:
        text = file.read(_REQUEST_BYTES)
    try:
        return frozenset(normalised(str(number)) for number in orjson.loads(text)["numbers"])
    except (ValueError, KeyError, TypeError):
        return frozenset()  # nobody of ours has written it; it asks for nothing, and is removed


def forgotten(engine: Engine, post: Callable[[Event], None], numbers: AbstractSet[str]) -> bool:
    """Let the engine forget these callers; False while one of them is in a call. Others run meanwhile.

    What is true when this returns stays true until somebody yields.
    """
    known = []
    for place, number in enumerate(engine.numbers_remembered(), 1):
        if normalised(number) in numbers:
            known.append(number)
        if place % _AT_ONCE == 0:
            gevent.sleep(_BREATH_S)
    if not numbers.isdisjoint(map(normalised, engine.numbers_in_calls())):
        return False
    if known:
        post(CallersForgotten(tuple(known)))
    return True
