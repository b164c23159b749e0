"""The records of customers in the database: found, read, written, merged, each within the transaction of a connection.

Every writer first locks the row of `customers_revision` (`begin`): then nobody else can give a number to another
customer between the check whose it is and the writing. Every change is noted in `changes` in the same transaction, a
row for each number that it is about, so that a person's numbers find and erase it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
import psycopg

from fsacd.caller.customers import Change, Record, Settings, called, changed, differing, merged, told
from fsacd.caller.number_plan import NumberPlan
from fsacd.errors import Refused
from fsacd.store.rows import clean

# In SQL the same as `bare`, and the expression of an index, whose collation must be named, or it is not used.
BARE: Final = "translate(number, ' -()/.', '') COLLATE \"C\""
FIND: Final = f"SELECT number, customer_id FROM customer_numbers WHERE {BARE} = ANY(%s) ORDER BY number"  # noqa: S608 - texts of this module
_PUNCTUATION: Final = str.maketrans("", "", " -()/.")
# What of a change is told; a row of `changes` is found by its sum, and need not be longer.
_DETAIL: Final = 1_000
READ: Final = """
    SELECT c.id, c.number, c.name, c.priority, c.head_start_ms, c.skills, c.agent, c.language, c.changed_by,
        to_char(c.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS changed_at,
        ARRAY(SELECT n.number FROM customer_numbers n WHERE n.customer_id = c.id ORDER BY n.number COLLATE "C"),
        (SELECT json_object_agg(f.name, f.value ORDER BY f.name) FROM customer_fields f WHERE f.customer_id = c.id),
        ARRAY(SELECT m.id FROM customers_merged m WHERE m.customer_id = c.id ORDER BY m.id)
    FROM customers c
"""
_INSERT: Final = """
    INSERT INTO customers (number, name, priority, head_start_ms, skills, agent, language, changed_at, changed_by)
    SELECT number, name, priority, head_start_ms, skills, agent, language, now(), %s
    FROM json_to_recordset(%s) AS new (
        number text, name text, priority integer, head_start_ms bigint, skills jsonb, agent text, language text
    )
    RETURNING id, number
"""
_UPDATE: Final = """
    UPDATE customers SET number = %(number)s, name = %(name)s, priority = %(priority)s,
        head_start_ms = %(head_start_ms)s, skills = %(skills)s::jsonb, agent = %(agent)s, language = %(language)s,
        changed_at = now(), changed_by = %(by)s
    WHERE id = %(id)s
"""
_NOTE: Final = """
    INSERT INTO changes (kind, subject, detail, by, at)
    SELECT kind, subject, detail, %s, clock_timestamp()
    FROM json_to_recordset(%s) AS new (kind text, subject text, detail text) ON CONFLICT DO NOTHING
"""

# The kinds of changes whose subject is a number of a customer's.
SET: Final = "customer_set"
REMOVED: Final = "customer_removed"
MERGED: Final = "customer_merged"


def bare(number: str) -> str:
    """A number in the form in which it is looked for."""
    return number.translate(_PUNCTUATION)


def begin(connection: psycopg.Connection) -> None:
    """Lock the customers: until the end of the transaction nobody else writes them. Raises psycopg.Error."""
    connection.execute("SELECT revision FROM customers_revision FOR UPDATE")


def record_of(row: Sequence[Any]) -> Record:
    """A row of `READ` as a record."""
    (number_id, first, name, priority, head_start_ms, skills, agent, language, by, at, numbers, own, gone) = row
    levels = tuple(sorted((skill, level) for skill, level in skills.items() if type(level) is int))
    settings = Settings(name, priority, head_start_ms, levels, agent, language)
    all_numbers = tuple(dict.fromkeys((first, *numbers)))
    return Record(number_id, all_numbers, settings, own or {}, at, by, tuple(gone))


def find(connection: psycopg.Connection, plan: NumberPlan, numbers: Iterable[str]) -> dict[str, int]:
    """The id of the customer who has each number, by the number's identity. Raises psycopg.Error."""
    wanted = plan.identities(numbers)
    written = sorted({bare(form) for form in plan.forms(wanted)})
    found: dict[str, int] = {}
    for number, customer_id in connection.execute(FIND.encode(), (written,)):
        identity = plan.identity(number)
        if identity in wanted:
            found.setdefault(identity, customer_id)
    return found


def read(connection: psycopg.Connection, ids: Iterable[int]) -> dict[int, Record]:
    """The records of these customers, by id; unknown ids are left out. Raises psycopg.Error."""
    rows = connection.execute(f"{READ} WHERE c.id = ANY(%s)".encode(), (sorted(set(ids)),))
    return {row[0]: record_of(row) for row in rows}


def survivor(connection: psycopg.Connection, customer_id: int) -> int | None:
    """The customer into whom the customer of this id was merged; None if they were not. Raises psycopg.Error."""
    row = connection.execute("SELECT customer_id FROM customers_merged WHERE id = %s", (customer_id,)).fetchone()
    return None if row is None else int(row[0])


def one(connection: psycopg.Connection, customer_id: int) -> Record:
    """The customer of this id, to be changed.

    Raises:
        KeyError: there is none.
        Refused: the customer was merged into another one, whom the sentence names.
        psycopg.Error: the database cannot be read.
    """
    found = read(connection, [customer_id]).get(customer_id)
    if found is not None:
        return found
    now = survivor(connection, customer_id)
    if now is None:
        raise KeyError(customer_id)
    raise Refused(f"{called(customer_id)} has become one with {called(now)}; name that one")


def create(connection: psycopg.Connection, records: Sequence[Record], by: str) -> list[int]:
    """Write new customers, whose numbers are nobody's, and give their ids, in order. Raises psycopg.Error."""
    if not records:
        return []
    values = (by, _document([_columns(record) for record in records]))
    made = {number: customer_id for customer_id, number in connection.execute(_INSERT, values)}
    ids = [made[record.numbers[0]] for record in records]
    more = [(number, owner) for owner, one in zip(ids, records, strict=True) for number in one.numbers[1:]]
    _add_numbers(connection, more)
    own = [(owner, *field) for owner, one in zip(ids, records, strict=True) for field in one.own.items()]
    _add_fields(connection, own)
    _note(connection, ((SET, number, told(record)) for record in records for number in record.numbers), by)
    return ids


def write(connection: psycopg.Connection, before: Record, after: Record, by: str, kind: str = SET) -> None:
    """Replace one record of a customer by the other. Raises psycopg.Error."""
    customer_id = before.customer_id
    values = _columns(after) | {"by": by, "id": customer_id}
    connection.execute(_UPDATE, values | {"skills": orjson.dumps(values["skills"]).decode()})
    gone = [number for number in before.numbers if number not in after.numbers]
    # If the first number has changed, the trigger has deleted the old first number, which may still be wanted.
    kept = {
        row[0]
        for row in connection.execute("SELECT number FROM customer_numbers WHERE customer_id = %s", (customer_id,))
    }
    if kept & set(gone):
        connection.execute(
            "DELETE FROM customer_numbers WHERE customer_id = %s AND number = ANY(%s)", (customer_id, gone)
        )
    _add_numbers(connection, [(number, customer_id) for number in after.numbers if number not in kept])
    taken = [name for name, value in before.own.items() if after.own.get(name) != value]
    if taken:
        connection.execute(
            "DELETE FROM customer_fields WHERE customer_id = %s AND name = ANY(%s)", (customer_id, taken)
        )
    _add_fields(connection, [(customer_id, *each) for each in after.own.items() if before.own.get(each[0]) != each[1]])
    if kind == SET:
        detail = f"changed {differing(before, after)}: {told(after)}"
        _note(connection, ((SET, number, detail) for number in dict.fromkeys((*after.numbers, *gone))), by)


def change(connection: psycopg.Connection, customer_id: int, wanted: Change, by: str) -> Record:
    """Change a customer; without a difference nothing is written, and the last change keeps its author.

    Raises:
        KeyError, Refused: as `one`, and `fsacd.caller.customers.changed`.
        psycopg.Error: the database refused, and nothing was changed.
    """
    before = one(connection, customer_id)
    after = changed(before, wanted)
    if differing(before, after):
        write(connection, before, after, by)
    return after


def delete(connection: psycopg.Connection, customer_id: int, by: str) -> Record:
    """Take a customer out, with own fields and all numbers. Raises KeyError and Refused as `one`, and psycopg.Error."""
    gone = one(connection, customer_id)
    connection.execute("DELETE FROM customers WHERE id = %s", (customer_id,))
    _note(connection, ((REMOVED, number, told(gone)) for number in gone.numbers), by)
    return gone


def merge(connection: psycopg.Connection, kept_id: int, gone_id: int, by: str) -> tuple[Record, str]:
    """Merge two customers; returns the remaining one, and what of the other was not kept.

    Raises:
        KeyError, Refused: as `one` and `fsacd.caller.customers.merged`, or the two are one already.
        psycopg.Error: the database refused, and nothing was changed.
    """
    if kept_id == gone_id:
        raise Refused(f"{called(kept_id)} cannot become one with itself; name two customers")
    kept, gone = one(connection, kept_id), one(connection, gone_id)
    result, lost = merged(kept, gone)
    connection.execute("UPDATE customers_merged SET customer_id = %s WHERE customer_id = %s", (kept_id, gone_id))
    connection.execute("DELETE FROM customers WHERE id = %s", (gone_id,))
    connection.execute("INSERT INTO customers_merged (id, customer_id) VALUES (%s, %s)", (gone_id, kept_id))
    write(connection, kept, result, by, kind=MERGED)
    detail = f"{gone.title} has become one with {kept.title}"
    detail += f"; not kept: {lost}" if lost else ""
    _note(connection, ((MERGED, number, detail) for number in result.numbers), by)
    return result, lost


def taken(record: Record, number: str, wanting: int | None) -> Refused:
    """Why a number cannot be given to somebody (None: to somebody new): it is this customer's."""
    theirs = called(record.customer_id)
    if wanting is None:
        return Refused(
            f"the number {number} is {record.title}'s already: change that customer, or create this one with its "
            f"other numbers and merge the two: fsacd customer merge {theirs} OTHER"
        )
    return Refused(
        f"the number {number} is {record.title}'s already; if they are one customer, merge them: "
        f"fsacd customer merge {called(wanting)} {theirs}"
    )


def _columns(record: Record) -> dict[str, Any]:
    known = record.settings
    return {
        "number": record.numbers[0],
        "name": clean(known.name),
        "priority": known.priority,
        "head_start_ms": known.head_start_ms,
        "skills": dict(known.skills),
        "agent": known.agent,
        "language": known.language,
    }


def _document(rows: Sequence[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode()


def _add_numbers(connection: psycopg.Connection, rows: Sequence[tuple[str, int]]) -> None:
    if rows:
        document = _document([{"number": number, "customer_id": owner} for number, owner in rows])
        connection.execute(
            "INSERT INTO customer_numbers (number, customer_id) "
            "SELECT number, customer_id FROM json_to_recordset(%s) AS new (number text, customer_id bigint)",
            (document,),
        )


def _add_fields(connection: psycopg.Connection, rows: Sequence[tuple[int, str, str]]) -> None:
    if rows:
        document = _document([{"customer_id": owner, "name": name, "value": value} for owner, name, value in rows])
        connection.execute(
            "INSERT INTO customer_fields (customer_id, name, value) SELECT customer_id, name, value "
            "FROM json_to_recordset(%s) AS new (customer_id bigint, name text, value text)",
            (document,),
        )


def _note(connection: psycopg.Connection, rows: Iterable[tuple[str, str, str]], by: str) -> None:
    document = [{"kind": kind, "subject": number, "detail": clean(detail, _DETAIL)} for kind, number, detail in rows]
    connection.execute(_NOTE, (by, _document(document)))
