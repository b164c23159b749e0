"""Rows of history as lines of a file, each with its checksum, and back. Pure.

    1a2b3c4d ["calls","c1","support",…]

The first line of a file names the columns, so that a newer fsacd, whose tables have grown, still understands it:
a column that the line does not have is empty, one that the table does not have any more is left out.
"""

from __future__ import annotations

import types
import zlib
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from fsacd.store.rows import (
    AGENT_PRESENCE,
    AGENT_STATES,
    AGENT_WORK,
    CALLS,
    CHANGES,
    DECISIONS,
    DOCUMENTS,
    LEG_QUALITY,
    LOG_INS,
    NOTE_LIMIT,
    OFFERS,
    TALKS,
    VISITS,
    WRAP_UPS,
    Row,
    Value,
    clean,
    kind_of,
)

FORMAT: Final = 1
_ALL: Final = (
    CALLS, VISITS, OFFERS, TALKS, LEG_QUALITY, AGENT_PRESENCE, AGENT_WORK, LOG_INS, WRAP_UPS, AGENT_STATES, DECISIONS,
    CHANGES,
)  # fmt: skip
# By the name in a line. An earlier fsacd has left lines for a table that has another name now.
TABLES: Final = {table.name: table for table in _ALL} | {"agent_states": AGENT_STATES}
# Table → the names of the columns, in the order of the values in a line.
Columns = Mapping[str, tuple[str, ...]]
CURRENT: Final[Columns] = {name: tuple(column for column, _ in table.columns) for name, table in TABLES.items()}
# The prefix before the JSON: eight digits and a space.
_SUM: Final = 9


def line(payload: bytes, length: int = 0) -> bytes:
    """A line, its end included; filled up with spaces to `length` bytes if it is shorter."""
    padded = payload.ljust(length - _SUM - 1)
    return b"%08x %b\n" % (zlib.crc32(padded), padded)


def payload(text: bytes) -> bytes | None:
    """The payload of a line (given without its end); None when the checksum does not match."""
    head, body = text[:_SUM], text[_SUM:]
    return body if head == b"%08x " % zlib.crc32(body) else None


def header() -> bytes:
    """The first line of a file."""
    return line(orjson.dumps({"fsacd_spool": FORMAT, "columns": CURRENT}))


def columns(text: bytes) -> Columns | None:
    """The columns that a file's first line names; None when it is no such line."""
    body = payload(text)
    if body is None:
        return None
    try:
        given = orjson.loads(body)["columns"]
        named = {table: tuple(map(_name, names)) for table, names in given.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return named


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError("the name of a column is a text")
    return name


def encoded(row: Row) -> bytes:
    """A row as a line's payload.

    Raises:
        orjson.JSONEncodeError: a number has more than 64 bits.
    """
    return encoded_values(row.table.name, row.values)


def encoded_values(table: str, values: Iterable[Value]) -> bytes:
    """A table's values, in the order of a file's columns, as a line's payload. Raises as `encoded`."""
    return orjson.dumps([table, *map(_plain, values)])


def decoded(body: bytes, named: Columns = CURRENT) -> Row | None:
    """The row of a payload; None when its table does not exist (any more), or it is no row at all."""
    try:
        name, *values = orjson.loads(body)
    except (ValueError, TypeError):
        return None
    table = TABLES.get(name) if isinstance(name, str) else None
    if table is None or name not in named or len(values) != len(named[name]):
        return None
    document = _DOCUMENTS.get(name)
    if named[name] != CURRENT[name]:  # seldom, and many rows are read at once after an outage
        found = dict(zip(named[name], values, strict=True))
        if found.get("seen") is False and "evidence" not in found:
            found["evidence"] = "guessed"  # an earlier fsacd wrote this form
        if table is TALKS and "kind" not in found:
            found["kind"] = kind_of("", str(found.get("ended_by")))
        values = [found.get(column, "" if kind == "text" else None) for column, kind in table.columns]
    try:
        if document is not None:
            values[document] = orjson.dumps(values[document])
    except TypeError:
        return None  # nested deeper than anything that fsacd writes
    # A value that no line of ours holds would fail wherever the row is used.
    return Row(table, tuple(values)) if _VALUES.issuperset(map(type, values)) else None


# Table → the index of the value that is a document.
_DOCUMENTS: Final = {
    name: index for name, table in TABLES.items() for index, (_, kind) in enumerate(table.columns) if kind in DOCUMENTS
}
_VALUES: Final = frozenset({str, int, bool, bytes, types.NoneType})


def _plain(value: Value) -> object:
    match value:
        case str():
            return clean(value, NOTE_LIMIT)  # to the column's own length when it goes to the database
        case bytes():
            # Between the values of a document a line end is only a space.
            return orjson.Fragment(value.replace(b"\n", b" "))
        case _:
            return value
