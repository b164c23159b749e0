"""Exports or erases what history holds about a caller, by their number. For the command line, never on a call's path.

Numbers are compared by the number plan, as everywhere (`fsacd.caller.number_plan`). A caller who is a customer in the
database is one person with all the numbers of that customer, and of the customers merged into them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg
from psycopg import sql

from fsacd.caller.number_plan import PLAIN, NumberPlan
from fsacd.caller.traces import traces
from fsacd.errors import Refused
from fsacd.store import holds, mentions, partitions
from fsacd.store.erasure import CUSTOMER_CHANGES, scrub
from fsacd.store.rows import AGENT_STATES

_FETCH: Final = 500
# The order of a reader's interest: the person, their calls, what was decided about the calls.
TABLES: Final = (
    "customers", "customer_numbers", "customer_fields", "contacts", "calls", "visits", "offers", "talks", "leg_quality",
    "decisions", "wrap_ups", "changes", "agent_presence", "agent_work", "log_ins", "agent_states",
)  # fmt: skip
_CHANGED: Final = "(SELECT c.changed_at FROM customers c WHERE c.id = customer_id)"
# Table → (the column that a span of time selects by, the order).
_MOMENTS: Final = {
    "contacts": "arrived_at",
    "calls": "arrived_at",
    "visits": "joined_at",
    "offers": "started_at",
    "talks": "started_at",
    "leg_quality": "ended_at",
    "decisions": "at",
    "wrap_ups": "started_at",
    "changes": "at",
    "agent_presence": "started_at",
    "agent_work": "started_at",
    "log_ins": "started_at",
    "agent_states": "started_at",
    "customers": "changed_at",
    "customer_numbers": _CHANGED,
    "customer_fields": _CHANGED,
}
# The condition for a person's rows of a table, by the forms in which their numbers stand in history.
_CALLS: Final = "number = ANY(%(forms)s) OR customer_id = ANY(%(ids)s)"
_OF_CALLS: Final = f"IN (SELECT call_id FROM calls WHERE {_CALLS})"  # noqa: S608 - texts of this module
_CONTACT: Final = "COALESCE(NULLIF(contact_id, ''), call_id)"
CONDITIONS: Final = {
    "customers": "id = ANY(%(ids)s)",
    "customer_numbers": "customer_id = ANY(%(ids)s)",
    "customer_fields": "customer_id = ANY(%(ids)s)",
    # Found by their calls, along an index. A contact may begin with somebody else's call, and then shows their number.
    "contacts": f"contact_id {_OF_CALLS.replace('call_id', _CONTACT)} AND ({_CALLS})",
    "calls": _CALLS,
    "visits": f"call_id {_OF_CALLS}",
    "offers": f"call_id {_OF_CALLS}",
    "talks": f"call_id {_OF_CALLS}",
    "leg_quality": f"call_id {_OF_CALLS}",
    "decisions": f"call_id {_OF_CALLS}",
    "agent_work": f"call_id {_OF_CALLS}",
    # By the number, too: the row may have come before that of its call.
    "wrap_ups": f"number = ANY(%(forms)s) OR call_id {_OF_CALLS}",
    "changes": f"subject {_OF_CALLS} OR (kind = ANY(%(kinds)s) AND subject = ANY(%(forms)s))",
}
_BLANK_CALLS: Final = f"""
    UPDATE calls SET number = '', name = '', customer = '', leg_uuid = NULL, customer_id = NULL WHERE {_CALLS}
"""  # noqa: S608 - texts of this module
# How callers' legs sounded is told by the names of these legs.
_NO_QUALITY: Final = f"DELETE FROM leg_quality WHERE who = 'caller' AND {CONDITIONS['leg_quality']}"  # noqa: S608 - as above
_BLANK_WRAP_UPS: Final = f"UPDATE wrap_ups SET number = '', note = '' WHERE {CONDITIONS['wrap_ups']}"  # noqa: S608 - as above
# The numbers in history that may be theirs, along an index each (017_subjects.sql): a number ends alike however it is
# written.
# Python compares them, so that numbers are compared in one way everywhere.
_LETTERS: Final = 4
_END: Final = f"right(regexp_replace(number, '[^0-9A-Za-z]', '', 'g'), {_LETTERS}) = ANY(%(ends)s)"
_NUMBERS: Final = f"""
    SELECT DISTINCT number FROM calls WHERE number <> '' AND {_END}
    UNION SELECT DISTINCT number FROM wrap_ups WHERE number <> '' AND {_END}
    UNION SELECT number FROM customer_numbers WHERE {_END}
    UNION SELECT subject FROM changes
        WHERE kind IN ('{"', '".join(CUSTOMER_CHANGES)}') AND {_END.replace("number", "subject", 1)}
"""  # noqa: S608 - texts of this module
# Deleted and inserted: without its subject a change may equal another one, which is then there already.
_BLANK_CHANGES: Final = """
    WITH gone AS (
        DELETE FROM changes WHERE kind = ANY(%(kinds)s) AND subject = ANY(%(forms)s) RETURNING kind, by, at
    )
    INSERT INTO changes (kind, subject, detail, by, at) SELECT kind, '', '', by, at FROM gone ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in history: the identities of their numbers, the forms in which they stand there, and customers' ids."""

    identities: frozenset[str]
    forms: tuple[str, ...]
    ids: tuple[int, ...]

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of the conditions in `CONDITIONS`."""
        return {"forms": list(self.forms), "ids": list(self.ids), "kinds": list(CUSTOMER_CHANGES)}


def person(connection: psycopg.Connection, numbers: Sequence[str], plan: NumberPlan = PLAIN) -> Person:
    """The person who has these numbers. `forms` are spellings, like '+49 30/123' for +4930123.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    wanted = plan.identities(numbers)
    forms = _forms(connection, wanted, plan)
    owners = connection.execute("SELECT DISTINCT customer_id FROM customer_numbers WHERE number = ANY(%s)", (forms,))
    ids = [row[0] for row in owners]
    theirs = connection.execute("SELECT number FROM customer_numbers WHERE customer_id = ANY(%s)", (ids,))
    whole = wanted | plan.identities(row[0] for row in theirs)
    if whole != wanted:
        forms = _forms(connection, whole, plan)
    merged = connection.execute("SELECT id FROM customers_merged WHERE customer_id = ANY(%s)", (ids,)).fetchall()
    return Person(whole, tuple(forms), (*ids, *(row[0] for row in merged)))


def _forms(connection: psycopg.Connection, wanted: AbstractSet[str], plan: NumberPlan) -> list[str]:
    ends = {re.sub("[^0-9A-Za-z]", "", form)[-_LETTERS:] for form in plan.forms(wanted)}
    found = connection.execute(_NUMBERS.encode(), {"ends": list(ends)})
    return [number for (number,) in found if plan.identity(number) in wanted]


def calls_of(connection: psycopg.Connection, whose: Person) -> list[str]:
    """The ids of a person's calls, also of those whose row is still on its way. Raises psycopg.Error."""
    query = f"SELECT call_id FROM calls WHERE {_CALLS} UNION SELECT call_id FROM wrap_ups WHERE number = ANY(%(forms)s)"  # noqa: S608 - texts of this module
    return [call_id for (call_id,) in connection.execute(query.encode(), whose.values)]


def of_person(connection: psycopg.Connection, table: str, whose: Person) -> Iterator[dict[str, Any]]:
    """The rows of a table that are about a person; agents' presence and states never are.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    if table in CONDITIONS:
        yield from _read(connection, table, CONDITIONS[table], whose.values)


def of_others(
    connection: psycopg.Connection, table: str, whose: Person, plan: NumberPlan = PLAIN
) -> Iterator[dict[str, Any]]:
    """What rows of a table that are about others tell of a person: the row's key, and in `told` the texts.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    source = AGENT_STATES.name if table == "agent_states" else table  # a view; its other rows are looked at as they are
    if source in mentions.TABLES:
        theirs = traces(whose.identities, plan)
        yield from mentions.told(connection, source, theirs, CONDITIONS.get(source), whose.values)


def of_span(connection: psycopg.Connection, table: str, begin: str | None, end: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a table from a moment on (None: the first) and before another (None: all), as the server reads them.

    Raises:
        psycopg.Error: the database cannot be read, or knows no such moment.
    """
    moment = _MOMENTS[table]
    parts = [f"{moment} >= %(begin)s::timestamptz"] * (begin is not None) + [f"{moment} < %(end)s::timestamptz"] * (
        end is not None
    )
    yield from _read(connection, table, " AND ".join(parts) or "true", {"begin": begin, "end": end})


def columns(connection: psycopg.Connection, table: str) -> list[str]:
    """The names of a table's columns. Raises psycopg.Error."""
    found = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(table)))
    return [column.name for column in found.description or ()]


def _read(connection: psycopg.Connection, table: str, where: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    query = f"SELECT * FROM {table} WHERE {where} ORDER BY {_MOMENTS[table]}"  # noqa: S608 - texts of this module
    names = columns(connection, table)
    with connection.cursor("export") as cursor:
        cursor.itersize = _FETCH
        cursor.execute(query.encode(), values)
        for row in cursor:
            yield dict(zip(names, row, strict=True))


def erase(connection: psycopg.Connection, numbers: Sequence[str], by: str, plan: NumberPlan = PLAIN) -> Counter[str]:
    """Erase the callers with these numbers and return how many rows of which table were changed; all or nothing.

    Calls stay without number, name, customer and leg, wrap-ups without number and note; of changes to the customer who,
    when and what kind stay; their entry among the customers goes, with all numbers and own fields, and with whoever has
    become one with them. In texts of others' rows the number is hidden. The erasure, and who did it, is noted in
    `changes`, with a masked number.

    Raises:
        Refused: one of them is under a legal hold; nothing was changed.
        psycopg.Error: the database refused, and nothing was changed.
    """
    done: Counter[str] = Counter()
    with connection.transaction():
        partitions.stay(connection)
        whose = person(connection, numbers, plan)
        if why := holds.refusal(connection, whose.identities, plan):
            raise Refused(why)
        values = whose.values
        fields = "DELETE FROM customer_fields WHERE customer_id = ANY(%(ids)s)"
        done["customer_fields"] = connection.execute(fields, values).rowcount
        done["customers"] = connection.execute("DELETE FROM customers WHERE id = ANY(%(ids)s)", values).rowcount
        # The changed numbers are noted here for the daemons; without them, the daemons read all customers anew.
        connection.execute("UPDATE customers_changed SET number = NULL WHERE number = ANY(%(forms)s)", values)
        done["decisions"] = _scrub(connection, values, plan.forms(whose.identities))
        done["changes"] = connection.execute(_BLANK_CHANGES, values).rowcount
        done["wrap_ups"] = connection.execute(_BLANK_WRAP_UPS.encode(), values).rowcount
        done["leg_quality"] = connection.execute(_NO_QUALITY.encode(), values).rowcount
        done["calls"] = connection.execute(_BLANK_CALLS.encode(), values).rowcount
        for table in mentions.TABLES:
            done[table] += mentions.hide(connection, table, traces(whose.identities, plan))
        detail = ", ".join(f"{table} {count}" for table, count in sorted((+done).items())) or "nothing was there"
        holds.note(connection, "caller_erased", sorted(whose.identities), detail, by)
    return +done


def _scrub(connection: psycopg.Connection, values: dict[str, Any], numbers: Sequence[str]) -> int:
    """Remove the numbers from the explanations of their calls; returns how many explanations were changed."""
    changed = []
    for row in _read(connection, "decisions", CONDITIONS["decisions"], values):
        scrubbed = scrub(row["explanation"], numbers)
        if scrubbed != row["explanation"]:
            changed.append((orjson.dumps(scrubbed).decode(), row["offer_id"]))
    for document, offer_id in changed:
        connection.execute("UPDATE decisions SET explanation = %s::jsonb WHERE offer_id = %s", (document, offer_id))
    return len(changed)
