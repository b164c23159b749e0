"""Rows of others that name a caller in a text: whom somebody was sent to, what an agent wrote. Found, and hidden there.

A caller's own rows are found along indexes (`fsacd.store.persons`). For these, all texts are looked through: a number
may stand anywhere in them, in any spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from fsacd.caller.traces import Traces
from fsacd.store.erasure import TEXTS
from fsacd.store.rows import AGENT_PRESENCE, AGENT_STATES, AGENT_WORK, CALLS, CHANGES, LOG_INS, VISITS, WRAP_UPS, Row

_CUSTOMERS: Final = "customers"
_FIELDS: Final = "customer_fields"
# Table → its texts; those of customers are in no spool.
_TEXTS: Final[dict[str, tuple[str, ...]]] = {**TEXTS, _CUSTOMERS: ("name",), _FIELDS: ("value",)}
TABLES: Final = tuple(_TEXTS)
# Table → by what a row is told from others. It holds nobody's number, or only that of whom the row is about.
_KEYS: Final = {
    CALLS.name: ("call_id",),
    VISITS.name: ("call_id", "n"),
    WRAP_UPS.name: ("offer_id",),
    CHANGES.name: ("kind", "at"),
    AGENT_PRESENCE.name: ("agent_id", "started_at"),
    AGENT_WORK.name: ("agent_id", "started_at"),
    LOG_INS.name: ("log_in_id", "agent_id", "started_at"),
    AGENT_STATES.name: ("agent_id", "started_at"),
    _CUSTOMERS: ("id",),
    _FIELDS: ("customer_id", "name"),
}
# Where a text of a row may have a number in any of `plan.forms`; whether it has, Python says. The quicker way first.
_NAMES: Final = """
    CASE WHEN octet_length({text}) = length({text}) THEN translate({text}, E' \\t-()/.', '')
        ELSE regexp_replace({text}, '[^!-~]|[-()/.]', '', 'g') END LIKE ANY(%(likely)s)
"""
_SAY_CHANGE_ANEW: Final = """
    WITH gone AS (DELETE FROM changes WHERE ctid = %s AND tableoid = %s RETURNING kind, subject, at)
    INSERT INTO changes (kind, subject, detail, by, at) SELECT kind, subject, %s, %s, at FROM gone
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class _Found:
    part: object  # where the row is: its partition, and its place there
    place: object
    key: dict[str, Any]
    texts: tuple[str, ...]


def told(
    connection: psycopg.Connection, table: str, theirs: Traces, own: str | None, values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """What rows of others tell of the callers: each row's key, and `told`, the texts that name them, by column.

    `own` is the condition for rows that are about the callers themselves, with its values; None: there are none.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    where = f"AND ({own}) IS NOT TRUE" if own is not None else ""
    for found in _find(connection, table, theirs, where, values):
        yield {**found.key, "told": _naming(dict(zip(_TEXTS[table], found.texts, strict=True)), theirs)}


def told_in(row: Row, theirs: Traces) -> dict[str, Any] | None:
    """The same of a row that is on its way to the database; None: it does not name them."""
    fields = row.fields()
    texts = {name: str(fields[name] or "") for name in TEXTS.get(row.table.name, ())}
    if not (named := _naming(texts, theirs)):
        return None
    return {**{name: fields[name] for name in _KEYS[row.table.name]}, "told": named}


def hide(connection: psycopg.Connection, table: str, theirs: Traces) -> int:
    """Hide callers' numbers in the texts of a table; returns how many rows were changed.

    Raises:
        psycopg.Error: the database refused.
    """
    changed = 0
    names = _TEXTS[table]
    sets = ", ".join(f"{name} = %s" for name in names)
    update = f"UPDATE {table} SET {sets} WHERE ctid = %s AND tableoid = %s"  # noqa: S608 - texts of this module
    for found in list(_find(connection, table, theirs, "FOR UPDATE", {})):
        after = tuple(map(theirs.without, found.texts))
        if table == CHANGES.name:
            # All of a change is its key: without the number it may equal another one, which is then there already.
            connection.execute(_SAY_CHANGE_ANEW, (found.place, found.part, *after))
        else:
            connection.execute(update.encode(), (*after, found.place, found.part))
        changed += 1
    return changed


def _find(
    connection: psycopg.Connection, table: str, theirs: Traces, more: str, values: Mapping[str, Any]
) -> Iterator[_Found]:
    likely = ["%" + re.sub(r"([%_\\])", r"\\\1", form) + "%" for form in theirs.forms]
    if not likely:
        return
    key, texts = _KEYS[table], _TEXTS[table]
    where = _NAMES.format(text=f"concat_ws('|', {', '.join(texts)})")
    query = f"SELECT tableoid, ctid, {', '.join((*key, *texts))} FROM {table} WHERE {where} {more}"  # noqa: S608 - texts of this module
    for part, place, *row in connection.execute(query.encode(), {"likely": likely, **values}):
        found = _Found(part, place, dict(zip(key, row, strict=False)), tuple(row[len(key) :]))
        if any(theirs.without(text) != text for text in found.texts):
            yield found


def _naming(texts: Mapping[str, str], theirs: Traces) -> dict[str, str]:
    return {name: text for name, text in texts.items() if theirs.without(text) != text}
