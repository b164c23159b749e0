"""Reads the table `customers`, by whose numbers callers are recognised.

The daemon asks for the table's revision every few seconds, and reads what has changed since: a few numbers, or
everything after many changes. Polling is better than LISTEN here: it works through poolers, misses no change when a
connection breaks, and costs the database one row. The daemon reads its own changes at once (`wake`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

import gevent
import orjson
import psycopg
import structlog
from gevent.event import Event as Signal
from psycopg.rows import class_row

from fsacd.caller.customers import Record, Settings, differing, told
from fsacd.caller.number_plan import PLAIN, NumberPlan
from fsacd.caller.recognition import Customer
from fsacd.core.rules import SkillLevels
from fsacd.store import customer_records as records
from fsacd.store import holds
from fsacd.store.connecting import GRACE_MS, connect_migrated, limit_statements
from fsacd.store.customer_records import BARE, bare
from fsacd.store.settings import StoreSettings
from fsacd.store.worker import Worker

_log = structlog.get_logger(__name__)

POLL_MS = 2_000
_FETCH = 500
# Reading a number by the plan takes a while: after this many, calls get their turn.
_AT_ONCE = 50
_BREATH_S = 0.0005
_LEVELS = range(1, 11)
# How many changes the database remembers one by one.
_REMEMBERED = 10_000
_ENTRY = """
    SELECT n.number, c.priority, c.head_start_ms, c.skills::text, c.agent, c.language, c.name, c.id, c.number
    FROM customer_numbers n JOIN customers c ON c.id = n.customer_id
"""
# In pages along the index: a million rows take longer than a statement may.
_READ = f"{_ENTRY} WHERE n.number > %s ORDER BY n.number LIMIT {_FETCH}"
_READ_SOME = f"{_ENTRY} WHERE {BARE.replace('number', 'n.number')} = ANY(%s) ORDER BY n.number"
_CHANGED = "SELECT DISTINCT number FROM customers_changed WHERE revision > %s"


class Known(Protocol):
    """The known customers (fsacd.caller.recognition). Both methods return a sentence on entries that they refuse."""

    def replace_stored(self, entries: Iterable[Customer]) -> str:
        """Replace all entries."""
        ...

    def update_stored(self, numbers: Iterable[str], entries: Iterable[Customer]) -> str:
        """Replace the entries of these numbers."""
        ...


@dataclass(frozen=True, slots=True)
class StoredCustomer:
    """One row as people see it. `changed_at` is RFC 3339 in UTC."""

    number: str
    priority: int | None
    head_start_ms: int
    skills: dict[str, int]
    agent: str
    language: str
    name: str
    changed_at: str
    changed_by: str


class CustomerFeed:
    """Hands `known` the table at the start, and after each change what has changed; nothing while the database is away.

    `known` is given an iterable that waits for the database during iteration, so that the calls go on. If the database
    is lost meanwhile, the iterable raises, and `known` must then keep its old entries. `after` is called after each
    change of `known`; it may take its time, but must not wait for IO.
    """

    def __init__(
        self,
        settings: StoreSettings,
        known: Known,
        *,
        poll_ms: int = POLL_MS,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._table = known
        self._after = after
        self._poll_ms = poll_ms
        self._wake = Signal()
        self._worker = Worker(
            "customers", "the customers cannot be read; those known already stay in force", settings, self._work
        )
        self._known: int | None = None
        self._anew = False
        self._wrong = 0

    def start(self) -> None:
        """Begin to read."""
        self._worker.start()

    def wake(self) -> None:
        """The table has changed: read it at once."""
        self._wake.set()

    def read_anew(self) -> None:
        """Read everything, not only what has changed: `known` has room for more or fewer entries now."""
        self._anew = True
        self._wake.set()

    def stop(self) -> None:
        """End; what has been read stays in force."""
        self._worker.stop()

    def _work(self, succeeded: Callable[[], None]) -> None:
        """Poll over one connection, for as long as it lasts."""
        timeout_ms = self._settings.statement_timeout_ms
        with closing(connect_migrated(self._settings.dsn, timeout_ms, "fsacd customers")) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while True:
                self._look(connection)
                succeeded()
                self._wake.wait(self._poll_ms / 1_000)
                self._wake.clear()

    def _look(self, connection: psycopg.Connection) -> None:
        """Read the table if it has changed; revision and rows are of one snapshot.

        Raises:
            psycopg.Error, gevent.Timeout: the database is away or too slow.
        """
        with self._bounded():
            limit_statements(connection, self._settings.statement_timeout_ms)
            found = connection.execute("SELECT revision FROM customers_revision").fetchone()
        revision = None if found is None else int(found[0])
        if self._anew:
            self._anew, self._known = False, None
        is_new = revision is None or revision != self._known
        if is_new:
            self._read(connection, revision)
        with self._bounded():
            connection.commit()
        if is_new:
            self._after()

    def _read(self, connection: psycopg.Connection, revision: int | None) -> None:
        self._wrong = 0
        numbers = self._changed_since(connection, revision)
        if numbers is None:
            counted = _Counted(self._all(connection))
            said = self._table.replace_stored(counted)
        else:
            forms = {bare(form) for form in self._settings.plan.forms(self._settings.plan.identities(numbers))}
            forms |= {bare(number) for number in numbers}
            counted = _Counted(self._customers(self._fetched(connection, _READ_SOME, (sorted(forms),))))
            # All rows are read first, because nothing may yield while entries are replaced.
            said = self._table.update_stored(numbers, list(counted))
        self._known = revision
        _log.info(
            "customers are known",
            numbers=counted.count,
            revision=revision,
            read="all" if numbers is None else "changed",
        )
        if self._wrong:
            _log.error("customers are left out: their skills are no levels from 1 to 10", customers=self._wrong)
        if said:
            _log.error(said)

    def _changed_since(self, connection: psycopg.Connection, revision: int | None) -> list[str] | None:
        """The numbers that have changed since the last reading; None: read everything."""
        known = self._known
        if revision is None or known is None or not 0 < revision - known < _REMEMBERED:
            return None
        numbers = [row[0] for row in self._fetched(connection, _CHANGED, (known,))]
        return None if None in numbers else numbers

    def _all(self, connection: psycopg.Connection) -> Iterator[Customer]:
        last = ""
        while True:
            rows = self._fetched(connection, _READ, (last,))
            yield from self._customers(rows)
            if len(rows) < _FETCH:
                return
            last = rows[-1][0]
            gevent.sleep(0.001)  # calls get their turn, even when the database is faster than we are

    def _customers(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Customer]:
        for place, (number, priority, head_start_ms, skills, *rest) in enumerate(rows, 1):
            if place % _AT_ONCE == 0:
                gevent.sleep(_BREATH_S)
            levels = _levels(skills)
            if levels is None:
                self._wrong += 1
                continue
            agent, language, name, customer_id, first = rest
            main = "" if first == number else first
            yield Customer(
                number=number,
                priority=priority,
                head_start_ms=head_start_ms,
                skills=levels,
                agent=agent,
                language=language,
                name=name,
                customer_id=customer_id,
                main=main,
            )

    def _fetched(self, connection: psycopg.Connection, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._bounded():
            return connection.execute(query.encode(), values).fetchall()

    def _bounded(self) -> gevent.Timeout:
        return gevent.Timeout((self._settings.statement_timeout_ms + GRACE_MS) / 1_000)


class _Counted:
    """Counts the entries that pass through."""

    def __init__(self, entries: Iterable[Customer]) -> None:
        self._entries = entries
        self.count = 0

    def __iter__(self) -> Iterator[Customer]:
        for entry in self._entries:
            self.count += 1
            yield entry


def _levels(text: str) -> SkillLevels | None:
    """Skills from the table's JSON; None when the JSON is no map of skills to levels."""
    if text == "{}":
        return ()
    skills = orjson.loads(text)
    if all(type(level) is int and level in _LEVELS for level in skills.values()):
        return tuple(sorted(skills.items()))
    return None


def put(connection: psycopg.Connection, customer: Customer, by: str, plan: NumberPlan = PLAIN) -> bool:
    """Write a customer, or change how the calls of the customer with this number are treated; True for a new one.

    Other numbers and own fields stay.

    Raises:
        psycopg.Error: the database refused, and nothing was changed.
    """
    settings = Settings(
        customer.name, customer.priority, customer.head_start_ms, customer.skills, customer.agent, customer.language
    )
    with connection.transaction():
        records.begin(connection)
        wanted = plan.identity(customer.number)
        owner = records.find(connection, plan, [wanted]).get(wanted)
        if owner is None:
            records.create(connection, [Record(0, (customer.number,), settings)], by)
            return True
        before = records.one(connection, owner)
        numbers = [customer.number if plan.identity(number) == wanted else number for number in before.numbers]
        after = replace(before, numbers=tuple(dict.fromkeys(numbers)), settings=settings)
        if differing(before, after):
            records.write(connection, before, after, by)
        return False


def remove(connection: psycopg.Connection, number: str, by: str, plan: NumberPlan = PLAIN) -> bool:
    """Take the customer out who has this number, however it is written; False when there is none with it.

    Raises:
        Refused: one of their numbers is under a legal hold.
        psycopg.Error: the database refused, and nothing was changed.
    """
    with connection.transaction():
        records.begin(connection)
        owners = set(records.find(connection, plan, [number]).values())
        for owner in owners:
            holds.check(connection, records.one(connection, owner).numbers, plan)
            records.delete(connection, owner, by)
    return bool(owners)


def stored(connection: psycopg.Connection, forms: Sequence[str] | None = None) -> Iterator[StoredCustomer]:
    """All customers by number, or those of whom a number is written in one of these forms.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    with connection.cursor("list", row_factory=class_row(StoredCustomer)) as cursor:
        cursor.itersize = _FETCH
        yield from cursor.execute(
            "SELECT number, priority, head_start_ms, skills, agent, language, name, changed_by, "
            "to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS changed_at "
            "FROM customers WHERE %(forms)s::text[] IS NULL "
            "OR id IN (SELECT customer_id FROM customer_numbers WHERE number = ANY(%(forms)s)) "
            'ORDER BY number COLLATE "C"',
            {"forms": None if forms is None else list(forms)},
        )


def summary(customer: Customer) -> str:
    """What is known of a customer beside their number, on one line; what is empty is left out."""
    settings = Settings(
        customer.name, customer.priority, customer.head_start_ms, customer.skills, customer.agent, customer.language
    )
    return told(Record(0, (customer.number,), settings))
