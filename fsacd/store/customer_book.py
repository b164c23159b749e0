"""The customers, to be looked at and changed by hand: a connection for each request, few at once.

No call waits for anything here. Each request has a limit of time; if the database is away or slow, nothing is done, and
one sentence says so. Only if a connection breaks during a commit is the outcome unknown, and the sentence says that,
too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Final, TypeVar

import gevent
import psycopg
from gevent.lock import BoundedSemaphore

from fsacd.caller.customers import Change, Imported, ImportRow, Page, Record, Search, called, changed
from fsacd.caller.number_plan import NumberPlan
from fsacd.errors import Refused, Unavailable
from fsacd.store import customer_records as records
from fsacd.store import holds
from fsacd.store.connecting import connect, limit_statements, sentence
from fsacd.store.customer_import import take
from fsacd.store.settings import StoreSettings

_AT_ONCE: Final = 4
_PATIENCE_MS: Final = 3_500
_Answer = TypeVar("_Answer")

_ALL: Final = "SELECT '' AS key, id FROM customers WHERE id > %(id)s ORDER BY id LIMIT %(limit)s"
_BY_NAME: Final = """
    SELECT lower(name) COLLATE "C" AS key, id FROM customers
    WHERE lower(name) COLLATE "C" LIKE lower(%(begins)s) AND (lower(name) COLLATE "C", id) > (%(key)s, %(id)s)
    ORDER BY lower(name) COLLATE "C", id LIMIT %(limit)s
"""
_BY_FIELD: Final = """
    SELECT lower(value) COLLATE "C" AS key, customer_id FROM customer_fields
    WHERE name = %(field)s AND lower(value) COLLATE "C" LIKE lower(%(begins)s)
        AND (lower(value) COLLATE "C", customer_id) > (%(key)s, %(id)s)
    ORDER BY lower(value) COLLATE "C", customer_id LIMIT %(limit)s
"""
# One such query for each way to write the beginning: the index serves each query, but not an OR in this order.
_BY_NUMBER: Final = """
    (SELECT {bare} AS key, customer_id FROM customer_numbers
    WHERE {bare} LIKE %({name})s AND {bare} >= %(key)s AND ({bare}, customer_id) > (%(key)s, %(id)s)
    ORDER BY {bare}, customer_id LIMIT %(limit)s)
"""


class CustomerBook:
    """Answers each request within `patience_ms`; `on_change` is called after each change, and must not wait."""

    def __init__(
        self, settings: StoreSettings, on_change: Callable[[], None] = lambda: None, patience_ms: int = _PATIENCE_MS
    ) -> None:
        self._settings = settings
        self._plan: NumberPlan = settings.plan
        self._on_change = on_change
        self._patience_ms = patience_ms
        self._free = BoundedSemaphore(_AT_ONCE)

    def show(self, customer_id: int) -> Record:
        """The customer of this id, or the customer with whom they were merged. Raises KeyError, Unavailable."""

        def ask(connection: psycopg.Connection) -> Record:
            now = records.survivor(connection, customer_id) or customer_id
            return records.read(connection, [now])[now]

        return self._ask(ask)

    def search(self, wanted: Search) -> Page:
        """The customers who fit, a page of them. Raises Unavailable."""
        return self._ask(lambda connection: self._search(connection, wanted))

    def create(self, wanted: Change, by: str) -> Record:
        """Write a new customer. Raises Refused where a number is somebody else's, and Unavailable."""

        def ask(connection: psycopg.Connection) -> Record:
            record = changed(Record(0, ()), wanted)
            self._check_numbers(connection, record.numbers, None)
            (customer_id,) = records.create(connection, [record], by)
            return records.read(connection, [customer_id])[customer_id]

        return self._change(ask)

    def change(self, customer_id: int, wanted: Change, by: str) -> Record:
        """Change a customer. Raises KeyError, Refused, and Unavailable.

        Refused: a number is somebody else's, or one would be taken from a customer who is under a legal hold.
        """

        def ask(connection: psycopg.Connection) -> Record:
            known = self._plan.identities(records.one(connection, customer_id).numbers)
            if wanted.numbers is not None and known - self._plan.identities(wanted.numbers):
                holds.check(connection, known, self._plan)
            more = tuple(number for number in wanted.more_numbers if number not in known)
            self._check_numbers(connection, (*(wanted.numbers or ()), *more), customer_id)
            records.change(connection, customer_id, replace(wanted, more_numbers=more), by)
            return records.read(connection, [customer_id])[customer_id]

        return self._change(ask)

    def delete(self, customer_id: int, by: str) -> Record:
        """Take a customer out. Raises KeyError, Refused where they are under a legal hold, Unavailable."""

        def ask(connection: psycopg.Connection) -> Record:
            holds.check(connection, records.one(connection, customer_id).numbers, self._plan)
            return records.delete(connection, customer_id, by)

        return self._change(ask)

    def merge(self, kept_id: int, gone_id: int, by: str) -> tuple[Record, str]:
        """Merge two: returns the record, and what of the other was not kept. Raises KeyError, Refused, Unavailable."""

        def ask(connection: psycopg.Connection) -> tuple[Record, str]:
            _, lost = records.merge(connection, kept_id, gone_id, by)
            return records.read(connection, [kept_id])[kept_id], lost

        return self._change(ask)

    def take(self, rows: Sequence[ImportRow], by: str, *, dry_run: bool) -> Imported:
        """Import a batch of a table, whole or not at all, or only say what that would do. Raises Unavailable."""
        return self._change(lambda connection: take(connection, self._plan, rows, by), dry_run=dry_run)

    # --- within a transaction ---

    def _check_numbers(self, connection: psycopg.Connection, numbers: Sequence[str], customer_id: int | None) -> None:
        for number, owner in records.find(connection, self._plan, numbers).items():
            if owner != customer_id:
                raise records.taken(records.read(connection, [owner])[owner], number, customer_id)

    def _search(self, connection: psycopg.Connection, wanted: Search) -> Page:
        if wanted.number:
            found = records.find(connection, self._plan, [wanted.number])
            return Page(tuple(records.read(connection, found.values()).values()))
        query, values = self._query(wanted)
        values |= {"key": wanted.after[0], "id": wanted.after[1], "limit": wanted.limit + 1}
        rows = connection.execute(query.encode(), values).fetchall()
        shown = rows[: wanted.limit]
        known = records.read(connection, (row[1] for row in shown))
        # Each customer once, even with two numbers that begin so.
        ids = dict.fromkeys(row[1] for row in shown if row[1] in known)
        return Page(tuple(known[one] for one in ids), (shown[-1][0], shown[-1][1]) if len(rows) > len(shown) else None)

    def _query(self, wanted: Search) -> tuple[str, dict[str, Any]]:
        if wanted.name_begins:
            return _BY_NAME, {"begins": _beginning(wanted.name_begins)}
        if wanted.field:
            return _BY_FIELD, {"field": wanted.field, "begins": _beginning(wanted.value_begins)}
        if wanted.number_begins:
            ways = [records.bare(way) for way in self._plan.beginnings(wanted.number_begins)]
            values = {f"way{place}": _beginning(way) for place, way in enumerate(ways)}
            union = " UNION ".join(_BY_NUMBER.format(bare=records.BARE, name=name) for name in values)
            return f"SELECT key, customer_id FROM ({union}) AS found ORDER BY 1, 2 LIMIT %(limit)s", values  # noqa: S608 - texts of this module
        return _ALL, {}

    # --- the transaction ---

    def _change(self, ask: Callable[[psycopg.Connection], _Answer], *, dry_run: bool = False) -> _Answer:
        def alone(connection: psycopg.Connection) -> _Answer:
            records.begin(connection)
            return ask(connection)

        answer = self._ask(alone, keep=not dry_run)
        if not dry_run:
            self._on_change()
        return answer

    def _ask(self, ask: Callable[[psycopg.Connection], _Answer], *, keep: bool = False) -> _Answer:
        """Raises what `ask` raises, Refused for what the database has no place for, and Unavailable."""
        keeping = False
        patience = gevent.Timeout(self._patience_ms / 1_000)
        try:
            with (
                patience,
                self._free,
                # The connection is closed, not returned: it may be in the middle of a query whose time is over.
                closing(connect(self._settings.dsn, self._patience_ms, "fsacd customers by hand")) as connection,
            ):
                limit_statements(connection, self._patience_ms)
                answer = ask(connection)
                if keep:
                    keeping = True
                    connection.commit()
                return answer
        except psycopg.errors.UniqueViolation:
            raise Refused("a number has become another customer's in this moment; look, and try again") from None
        except (psycopg.errors.DataError, psycopg.errors.IntegrityError) as error:
            raise Refused(f"the database refuses it: {sentence(error)}") from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            raise Unavailable("the database has not got the tables of this version yet; try again soon") from None
        except psycopg.Error as error:
            raise Unavailable(_unavailable(sentence(error), keeping=keeping)) from error
        except gevent.Timeout as timeout:
            if timeout is not patience:
                raise
            raise Unavailable(_unavailable(f"no answer within {self._patience_ms} ms", keeping=keeping)) from None


def _unavailable(why: str, *, keeping: bool) -> str:
    if keeping:
        return f"the database was lost while the change was being kept ({why}); look whether it is there"
    return f"the customers cannot be reached, and nothing was changed: {why}"


def _beginning(text: str) -> str:
    """The LIKE pattern for a value that begins with this text."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def missing(customer_id: int) -> str:
    """The sentence for a customer who does not exist."""
    return f"there is no customer {called(customer_id)}"
