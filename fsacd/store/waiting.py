"""What a daemon's spool holds about a person: rows that the database may not have yet. Read as they lie there.

The daemon need not run, and is not asked when it does: a line that it is just writing has no valid checksum yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.traces import traces
from fsacd.process import trusted
from fsacd.store import lines
from fsacd.store import spool_files as there
from fsacd.store.erasure import CUSTOMER_CHANGES
from fsacd.store.mentions import told_in
from fsacd.store.persons import Person
from fsacd.store.rows import Row

_BYTES: Final = 256 << 20


def of_person(directory: Path, whose: Person, calls: frozenset[str], plan: NumberPlan) -> Iterator[dict[str, Any]]:
    """The rows about a person, and what others' rows tell of them (`mentions`). The database may have a row, too.

    `calls` are the ids of their calls that the database knows.

    Raises:
        SpoolError: the directory cannot be read.
    """
    try:
        yield from _of_person(directory, whose, calls, plan)
    except OSError as error:
        raise there.unusable(directory, error) from error


def _of_person(directory: Path, whose: Person, calls: frozenset[str], plan: NumberPlan) -> Iterator[dict[str, Any]]:
    theirs = traces(whose.identities, plan)
    # Twice: an offer is written before the row of its call, which says whose it is.
    for row, _ in _rows(directory):
        values = _values(row)
        if _is_theirs(row, values, whose, plan) and values.get("call_id"):
            calls |= {str(values["call_id"])}
    for row, file in _rows(directory):
        values = _values(row)
        if values.get("call_id") in calls or values.get("subject") in calls or _is_theirs(row, values, whose, plan):
            yield {"table": row.table.name, "spool": file, **row.fields()}
        elif named := told_in(row, theirs):
            yield {"table": row.table.name, "spool": file, **named}


def _is_theirs(row: Row, values: dict[str, Any], whose: Person, plan: NumberPlan) -> bool:
    match row.table.name:
        case "calls":
            return plan.identity(str(values["number"])) in whose.identities or values["customer_id"] in whose.ids
        case "wrap_ups":
            return plan.identity(str(values["number"])) in whose.identities
        case "changes":
            return values["kind"] in CUSTOMER_CHANGES and plan.identity(str(values["subject"])) in whose.identities
        case _:
            return False


def _values(row: Row) -> dict[str, Any]:
    return dict(zip(lines.CURRENT[row.table.name], row.values, strict=True))


def _rows(directory: Path) -> Iterator[tuple[Row, str]]:
    users = trusted.users_of(directory)
    for path in there.segment_files(directory):
        try:
            first, *texts = trusted.read_file(path, _BYTES, users).split(b"\n")
        except FileNotFoundError:
            continue  # the database has confirmed all of it
        named = lines.columns(first) or lines.CURRENT
        for text in texts:
            body = lines.payload(text)
            row = None if body is None else lines.decoded(body, named)
            if row is not None:
                yield row, path.name
