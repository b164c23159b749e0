"""What is erased of a caller in history, and how a running daemon is asked to erase it in what it has not written yet.

Rows stay, because they are the call centre's figures too; what tells whose call it was goes. Whoever wants the spool
of a running daemon changed puts a request into its directory: a file with the numbers, which the daemon writes over
with its answer and removes. So the numbers stand nowhere afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
import structlog

from fsacd.recognition import normalised
from fsacd.store.rows import CALLS, CHANGES, DECISIONS, Row, Value

_log = structlog.get_logger(__name__)

REQUEST: Final = "erase."
ERASED: Final = "(erased)"
# The kinds of changes whose subject is a caller's number.
CUSTOMER_CHANGES: Final = ("customer_set", "customer_removed")
# In the texts of explanations shorter numbers would be found where they are none.
_TELLING_DIGITS: Final = 5
_REQUEST_BYTES: Final = 65_536
_CALL_BLANKS: Final = {"number": "", "name": "", "customer": "", "leg_uuid": None}


class Changeable(Protocol):
    """Rows on their way."""

    def change(self, change: Callable[[Row], Row | None]) -> int:
        """Put other rows in the place of those for which `change` gives one. Raises OSError."""


def erased(row: Row, numbers: AbstractSet[str]) -> Row | None:
    """The row without the callers of these numbers (normalised); None when there is nothing of them in it."""
    names = [name for name, _ in row.table.columns]
    values: dict[str, Value] = dict(zip(names, row.values, strict=True))
    match row.table.name:
        case CALLS.name if normalised(str(values["number"])) in numbers:
            values |= _CALL_BLANKS
        case CHANGES.name if values["kind"] in CUSTOMER_CHANGES and normalised(str(values["subject"])) in numbers:
            values |= {"subject": "", "detail": ""}
        case DECISIONS.name:
            text = values["explanation"]
            document = orjson.loads(text) if isinstance(text, bytes) else None
            scrubbed = scrub(document, numbers)
            if scrubbed == document:
                return None
            values["explanation"] = orjson.dumps(scrubbed)
        case _:
            return None
    return Row(row.table, tuple(values.values()))


def scrub(document: Any, numbers: AbstractSet[str]) -> Any:
    """A JSON document without these numbers in any of its texts."""
    match document:
        case str():
            for number in numbers:
                if len(number) >= _TELLING_DIGITS:
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

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def waiting(self) -> bool:
        """Whether there is any."""
        return any(True for _ in self._files())

    def fulfil(self, rows: Changeable) -> None:
        """Do what is asked for; not while rows are on their way to the database. Waits for the disk."""
        for path in list(self._files()):
            try:
                with path.open("r+b", buffering=0) as file:
                    numbers = _numbers(file.read(_REQUEST_BYTES) or b"")
                    if numbers is None:
                        continue  # it is just being written
                    changed = rows.change(partial(erased, numbers=numbers))
                    file.seek(0)
                    file.truncate()
                    file.write(orjson.dumps({"rows": changed}))
                path.unlink()
            except OSError as error:
                _log.error("what is asked to be erased cannot be", why=error.strerror or "it failed")
            else:
                _log.info("callers were erased from history that waits for the database", rows=changed)

    def _files(self) -> Iterator[Path]:
        if self._directory is None:
            return
        try:
            yield from (path for path in self._directory.iterdir() if path.name.startswith(REQUEST))
        except OSError:
            return  # no directory, no request


def _numbers(text: bytes) -> frozenset[str] | None:
    try:
        return frozenset(normalised(str(number)) for number in orjson.loads(text)["numbers"])
    except (ValueError, KeyError, TypeError):
        return None
