"""Erases callers from rows of history, and asks a running daemon to erase them from rows that it has not written yet.

Rows stay, because they are the call centre's figures too; values that identify the caller are removed. A request to
change the spool of a running daemon is a file with the numbers in the spool's directory. The daemon overwrites it with
its answer and removes it, so that the numbers stand nowhere afterwards.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
import structlog

from fsacd.caller.number_plan import PLAIN, NumberPlan
from fsacd.caller.traces import TELLING_DIGITS, forget, traces
from fsacd.errors import Unavailable
from fsacd.process import trusted
from fsacd.process.aside import Aside
from fsacd.process.trouble import shortened
from fsacd.store.rows import (
    AGENT_PRESENCE,
    AGENT_STATES,
    AGENT_WORK,
    CALLS,
    CHANGES,
    DECISIONS,
    LOG_INS,
    VISITS,
    WRAP_UPS,
    Row,
    Value,
)
from fsacd.store.spool import Spool
from fsacd.store.spool_files import SpoolBusy, SpoolError, is_in_use

_log = structlog.get_logger(__name__)

REQUEST: Final = "erase."
ERASED: Final = "(erased)"
# The kinds of changes whose subject is a caller's number.
CUSTOMER_CHANGES: Final = ("customer_set", "customer_removed", "customer_merged")
# Table → its texts that may name a caller whose row it is not: where a call was sent, what was changed, what an agent
# has written, at which phone somebody asked for it.
TEXTS: Final = {
    CALLS.name: ("detail", "after", "name", "customer"),
    VISITS.name: ("detail", "went_to"),
    WRAP_UPS.name: ("note", "by"),
    CHANGES.name: ("detail", "by"),
    AGENT_PRESENCE.name: ("reason", "by"),
    AGENT_WORK.name: ("reason", "by"),
    LOG_INS.name: ("contact", "by", "ended_by"),
    AGENT_STATES.name: ("reason", "by"),
}
_REQUEST_BYTES: Final = 1 << 20
_ASKING_S: Final = 0.05
_CALL_BLANKS: Final = {"number": "", "name": "", "customer": "", "leg_uuid": None, "customer_id": None}


class Changeable(Protocol):
    """The rows on their way to the database."""

    @property
    def owns_spool(self) -> bool:
        """Whether requests in the spool's directory are meant for us."""

    def change(self, change: Callable[[Row], Row | None]) -> int:
        """Replace each row for which `change` gives another one. Raises OSError."""


def erased(row: Row, numbers: AbstractSet[str], plan: NumberPlan = PLAIN) -> Row | None:
    """The row without the callers of these identities; None when there is nothing of them in it."""
    names = [name for name, _ in row.table.columns]
    values: dict[str, Value] = dict(zip(names, row.values, strict=True))
    match row.table.name:
        case CALLS.name if plan.identity(str(values["number"])) in numbers:
            values |= _CALL_BLANKS
        case WRAP_UPS.name if plan.identity(str(values["number"])) in numbers:
            values |= {"number": "", "note": ""}
        case CHANGES.name if values["kind"] in CUSTOMER_CHANGES and plan.identity(str(values["subject"])) in numbers:
            values |= {"subject": "", "detail": ""}
        case DECISIONS.name:
            text = values["explanation"]
            document = orjson.loads(text) if isinstance(text, bytes) else None
            scrubbed = scrub(document, plan.forms(numbers))
            if scrubbed != document:
                values["explanation"] = orjson.dumps(scrubbed)
        case _:
            pass
    theirs = traces(frozenset(numbers), plan)
    for name in TEXTS.get(row.table.name, ()):
        if text := str(values[name] or ""):
            values[name] = theirs.without(text)
    found = tuple(values.values())
    return Row(row.table, found) if found != row.values else None


def scrub(document: Any, numbers: Sequence[str]) -> Any:
    """A JSON document without these numbers in any of its texts; a number is removed before any part of it."""
    match document:
        case str():
            for number in numbers:
                if len(number) >= TELLING_DIGITS:
                    document = document.replace(number, "")
            return document
        case list():
            return [scrub(part, numbers) for part in document]
        case dict():
            return {key: scrub(part, numbers) for key, part in document.items()}
        case _:
            return document


class Requests:
    """The requests in a daemon's spool; none without a spool."""

    def __init__(self, directory: Path | None, plan: NumberPlan = PLAIN) -> None:
        self._directory = directory
        self._plan = plan

    def waiting(self) -> bool:
        """Whether any request is waiting."""
        return any(True for _ in self._files())

    def fulfil(self, rows: Changeable) -> None:
        """Fulfil all requests; not while rows are on their way to the database. Waits for the disk."""
        for path in list(self._files()) if rows.owns_spool else ():
            try:
                changed = self._fulfil(path, rows)
            except FileNotFoundError:
                continue  # the requester has stopped waiting
            except OSError as error:
                if trusted.is_foreign(path, error):
                    self._refuse(path, trusted.why(error))
                else:
                    _log.error("what is asked to be erased cannot be", why=trusted.why(error))
            except Exception as error:  # noqa: BLE001 - whatever a reader raises: other requests shall be fulfilled
                self._refuse(path, f"{type(error).__name__}: {error}")
            else:
                forget()
                _log.info("callers were erased from history that waits for the database", rows=changed)

    def _fulfil(self, path: Path, rows: Changeable) -> int:
        """Fulfil one; returns how many rows were changed. Raises OSError, or any parser's error for a bad request."""
        with os.fdopen(trusted.open_file(path, os.O_RDWR), "r+b", buffering=0) as file:
            numbers = _numbers(file.read(_REQUEST_BYTES) or b"", self._plan)
            changed = rows.change(partial(erased, numbers=numbers, plan=self._plan))
            file.seek(0)
            file.truncate()
            file.write(orjson.dumps({"rows": changed}))
        path.unlink()
        return changed

    def _refuse(self, path: Path, why: str) -> None:
        if Aside(path.parent).move(path):
            _log.error(
                "a request to erase callers cannot be read and was set aside", file=str(path), why=shortened(why)
            )

    def _files(self) -> Iterator[Path]:
        if self._directory is None:
            return
        try:
            yield from (path for path in self._directory.iterdir() if path.name.startswith(REQUEST))
        except OSError:
            return  # no directory, no request


def erase_waiting(directory: Path, numbers: Sequence[str], patience_s: float, plan: NumberPlan = PLAIN) -> int:
    """Erase callers in a daemon's spool, by the daemon if it runs; returns how many rows were changed.

    Raises:
        Unavailable: a daemon runs and does not do it in time.
        SpoolError: the directory cannot be used.
    """
    wanted = plan.identities(numbers)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _rewritten(directory, wanted, plan)
        except SpoolBusy:
            answer = _ask(directory, wanted, deadline)
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the daemon that uses {directory} has not erased the caller from what waits for the database within "
                f"{patience_s:g} s; nothing is changed"
            )


def _rewritten(directory: Path, numbers: AbstractSet[str], plan: NumberPlan) -> int:
    spool = Spool(directory, 0, users=_users_of(directory))
    try:
        return spool.rewrite(partial(erased, numbers=numbers, plan=plan))
    except OSError as error:
        raise SpoolError(f"the spool {directory} cannot be changed: {trusted.why(error)}") from error
    finally:
        spool.close()


def _users_of(directory: Path) -> frozenset[int]:
    try:
        return trusted.users_of(directory)
    except OSError as error:
        raise SpoolError(f"the spool {directory} cannot be used: {trusted.why(error)}") from error


def _ask(directory: Path, numbers: AbstractSet[str], deadline: float) -> int | None:
    """Place a request, and return the answer; None without one, because the daemon has ended or is too slow."""
    path = directory / f"{REQUEST}{secrets.token_hex(8)}"
    users = _users_of(directory)
    try:
        draft = path.with_name(f".{path.name}")
        with os.fdopen(trusted.create_file(draft, os.O_RDWR), "r+b", buffering=0) as file:
            trusted.give_to_owner_of(directory, file.fileno())
            file.write(orjson.dumps({"numbers": sorted(numbers)}))
            draft.rename(path)
            while os.fstat(file.fileno()).st_nlink and time.monotonic() < deadline:
                if not is_in_use(directory, users):
                    break
                time.sleep(_ASKING_S)
            path.unlink(missing_ok=True)
            file.seek(0)
            answer = orjson.loads(file.read())
    except OSError as error:
        raise SpoolError(f"the spool {directory} cannot be used: {trusted.why(error)}") from error
    rows = answer.get("rows")
    return rows if isinstance(rows, int) else None


def _numbers(text: bytes, plan: NumberPlan) -> frozenset[str]:
    """The numbers in a request. Raises any parser's error for a file that fsacd has not written."""
    asked = orjson.loads(text)["numbers"]
    if not isinstance(asked, list) or not all(isinstance(number, str) for number in asked):
        raise ValueError("it names no numbers")
    return plan.identities(asked)
