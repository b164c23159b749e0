"""Rows of history as lines of a file, each with its checksum, and back. Pure.

    1a2b3c4d ["calls","c1","support",…]

The first line of a file names the columns, so that a newer fsacd, whose tables have grown, still understands it:
a column that the line does not have is empty, one that the table does not have any more is left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from fsacd.store.rows import AGENT_STATES, CALLS, CHANGES, DECISIONS, OFFERS, Row, Value, clean

FORMAT: Final = 1
TABLES: Final = {table.name: table for table in (CALLS, OFFERS, AGENT_STATES, DECISIONS, CHANGES)}
# Table → the names of the columns, in the order of the values in a line.
Columns = Mapping[str, tuple[str, ...]]
CURRENT: Final[Columns] = {name: tuple(column for column, _ in table.columns) for name, table in TABLES.items()}
# What stands before the JSON: eight digits and a space.
_SUM: Final = 9


def line(payload: bytes, length: int = 0) -> bytes:
    """A line, its end included; filled up with spaces to `length` bytes if it is shorter."""
    padded = payload.ljust(length - _SUM - 1)
    return b"%08x %b\n" % (zlib.crc32(padded), padded)


def payload(text: bytes) -> bytes | None:
    """What stands in a line (given without its end); None when the checksum is not that of what stands there."""
    head, body = text[:_SUM], text[_SUM:]
    return body if head == b"%08x " % zlib.crc32(body) else None


def header() -> bytes:
    """The first line of a file."""
    return line(orjson.dumps({"fsacd_spool": FORMAT, "columns": CURRENT}))


def columns(text: bytes) -> Columns | None:
    """The columns that a file's first line names; None when it does not."""
    body = payload(text)
    if body is None:
        return None
    named = orjson.loads(body)
    if not isinstance(named, dict) or "columns" not in named:
        return None
    return {table: tuple(names) for table, names in named["columns"].items()}


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
    """The row of a payload; None when there is no such table (any more), or it is no row at all."""
    try:
        name, *values = orjson.loads(body)
    except (ValueError, TypeError):
        return None
    table = TABLES.get(name) if isinstance(name, str) else None
    if table is None or len(values) != len(named.get(name, ())):
        return None
    if named[name] == CURRENT[name]:  # nearly always, and many rows are read at once after an outage
        document = _DOCUMENTS.get(name)
        if document is not None:
            values[document] = orjson.dumps(values[document])
        return Row(table, tuple(values))
    found = dict(zip(named[name], values, strict=True))
    if found.get("seen") is False and "evidence" not in found:
        found["evidence"] = "guessed"  # so an earlier fsacd said it
    return Row(table, tuple(_value(kind, found.get(column, _EMPTY)) for column, kind in table.columns))


# Table → which of its values is a document.
_DOCUMENTS: Final = {
    name: index for name, table in TABLES.items() for index, (_, kind) in enumerate(table.columns) if kind == "jsonb"
}
_EMPTY: Final = object()


def _plain(value: Value) -> object:
    match value:
        case str():
            return clean(value)
        case bytes():
            # Between the values of a document a line end is only a space.
            return orjson.Fragment(value.replace(b"\n", b" "))
        case _:
            return value


def _value(kind: str, value: object) -> Value:
    if value is _EMPTY:
        return "" if kind == "text" else None
    if kind == "jsonb":
        return orjson.dumps(value)
    assert value is None or isinstance(value, str | int)
    return value
