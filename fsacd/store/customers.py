"""Callers who are known by their number, in the table `customers`: read by the daemon, written by `fsacd customer`.

The daemon asks for the table's revision every few seconds, and reads the table when it has changed. Asking is better
than being told here: it goes through poolers, survives a broken connection without missing a change, and costs the
database one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gevent
import orjson
import psycopg
import structlog
from psycopg.rows import class_row

from fsacd import watched
from fsacd.core.rules import SkillLevels
from fsacd.number_plan import PLAIN, NumberPlan
from fsacd.recognition import Customer
from fsacd.store.connecting import GRACE_MS, connect_migrated, limit_statements
from fsacd.store.retries import Retries
from fsacd.store.rows import clean
from fsacd.store.settings import StoreSettings

_log = structlog.get_logger(__name__)

POLL_MS = 2_000
_FETCH = 500
# To read a number by the plan takes a while: after so many the calls go first.
_AT_ONCE = 50
_BREATH_S = 0.0005
_LEVELS = range(1, 11)
_READ = """
    SELECT number, priority, head_start_ms, skills::text, agent, language, name
    FROM customers ORDER BY number COLLATE "C"
"""
_WRITE = """
    INSERT INTO customers (number, priority, head_start_ms, skills, agent, language, name, changed_at, changed_by)
    VALUES (%s, %s, %s, %s::jsonb, %s, %s, %s, now(), %s)
    ON CONFLICT (number) DO UPDATE SET
        priority = excluded.priority, head_start_ms = excluded.head_start_ms, skills = excluded.skills,
        agent = excluded.agent, language = excluded.language, name = excluded.name,
        changed_at = excluded.changed_at, changed_by = excluded.changed_by
    RETURNING xmax = 0
"""

# Takes all entries in the place of those before, and says in one sentence what of them it does not take, if anything.
Replace = Callable[[Iterable[Customer]], str]


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
    """Hands the table to `replace` at the start and after each change; a database that is away changes nothing.

    `replace` is given an iterable that waits for the database while it is gone through, so that the calls go on; when
    the database is lost in the middle of it, it raises, and `replace` must then leave everything as it was.
    """

    def __init__(self, settings: StoreSettings, replace: Replace, *, poll_ms: int = POLL_MS) -> None:
        self._settings = settings
        self._replace = replace
        self._poll_ms = poll_ms
        self._worker: gevent.Greenlet[[], None] | None = None
        self._known: int | None = None
        self._wrong = 0

    def start(self) -> None:
        """Begin to read."""
        if self._worker is None:
            self._worker = watched.keep("customers", self._run)

    def stop(self) -> None:
        """End; what has been read stays in force."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill(timeout=1)

    def _run(self) -> None:
        retries = Retries(
            "customers", "the customers cannot be read; those known already stay in force", self._settings
        )
        timeout_ms = self._settings.statement_timeout_ms
        while True:
            try:
                with closing(connect_migrated(self._settings.dsn, timeout_ms, "fsacd customers")) as connection:
                    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                    while True:
                        self._look(connection)
                        retries.succeeded()
                        gevent.sleep(self._poll_ms / 1_000)
            except (Exception, gevent.Timeout) as error:  # noqa: BLE001 - Retries tells our faults from the database's
                retries.failed(error)

    def _look(self, connection: psycopg.Connection) -> None:
        """Read the table if it has changed; revision and rows are of one moment.

        Raises:
            psycopg.Error, gevent.Timeout: the database is away or too slow.
        """
        with self._bounded():
            limit_statements(connection, self._settings.statement_timeout_ms)
            found = connection.execute("SELECT revision FROM customers_revision").fetchone()
        revision = None if found is None else int(found[0])
        if revision is None or revision != self._known:
            self._wrong = 0
            counted = _Counted(self._rows(connection))
            told = self._replace(counted)
            self._known = revision
            _log.info("customers are known", customers=counted.count, revision=revision)
            if self._wrong:
                _log.error("customers are left out: their skills are no levels from 1 to 10", customers=self._wrong)
            if told:
                _log.error(told)
        with self._bounded():
            connection.commit()

    def _rows(self, connection: psycopg.Connection) -> Iterator[Customer]:
        with connection.cursor("customers") as cursor:
            with self._bounded():
                cursor.execute(_READ)
            while True:
                with self._bounded():
                    rows = cursor.fetchmany(_FETCH)
                for place, (number, priority, head_start_ms, skills, agent, language, name) in enumerate(rows, 1):
                    if place % _AT_ONCE == 0:
                        gevent.sleep(_BREATH_S)
                    levels = _levels(skills)
                    if levels is None:
                        self._wrong += 1
                    else:
                        yield Customer(number, priority, head_start_ms, levels, agent, language, name)
                if len(rows) < _FETCH:
                    return
                gevent.sleep(0.001)  # the calls go first, even when the database is faster than we are

    def _bounded(self) -> gevent.Timeout:
        return gevent.Timeout((self._settings.statement_timeout_ms + GRACE_MS) / 1_000)


class _Counted:
    """Counts what goes through."""

    def __init__(self, entries: Iterable[Customer]) -> None:
        self._entries = entries
        self.count = 0

    def __iter__(self) -> Iterator[Customer]:
        for entry in self._entries:
            self.count += 1
            yield entry


def _levels(text: str) -> SkillLevels | None:
    """Skills from the table's JSON; None when somebody has written what can be no skills."""
    if text == "{}":
        return ()
    skills = orjson.loads(text)
    if all(type(level) is int and level in _LEVELS for level in skills.values()):
        return tuple(sorted(skills.items()))
    return None


def put(connection: psycopg.Connection, customer: Customer, by: str, plan: NumberPlan = PLAIN) -> bool:
    """Write a customer, in the place of older ones with their number, and who did it; True when they are new.

    Older ones may stand there by another way to write the number.

    Raises:
        psycopg.Error: the database refused, and nothing was changed.
    """
    with connection.transaction():
        others = _others(customer.number, plan)
        replaced = 0
        if others:
            replaced = connection.execute("DELETE FROM customers WHERE number = ANY(%s)", (others,)).rowcount
        skills = orjson.dumps(dict(customer.skills)).decode()
        row = connection.execute(
            _WRITE,
            (
                customer.number, customer.priority, customer.head_start_ms, skills,
                customer.agent, customer.language, customer.name, by,
            ),
        ).fetchone()  # fmt: skip
        _note(connection, "customer_set", customer.number, summary(customer), by)
    return row == (True,) and not replaced


def _others(number: str, plan: NumberPlan) -> list[str]:
    return [form for form in plan.forms([number]) if form != number]


def remove(connection: psycopg.Connection, number: str, by: str, plan: NumberPlan = PLAIN) -> bool:
    """Take a customer out, however the number is written, and note who did it; False when there is none with it.

    Raises:
        psycopg.Error: the database refused, and nothing was changed.
    """
    with connection.transaction():
        forms = plan.forms([number])
        gone = connection.execute("DELETE FROM customers WHERE number = ANY(%s)", (forms,)).rowcount > 0
        if gone:
            _note(connection, "customer_removed", number, "", by)
    return gone


def stored(connection: psycopg.Connection, forms: Sequence[str] | None = None) -> Iterator[StoredCustomer]:
    """All customers by number, or those whose number is written in one of these forms.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    with connection.cursor("list", row_factory=class_row(StoredCustomer)) as cursor:
        cursor.itersize = _FETCH
        yield from cursor.execute(
            "SELECT number, priority, head_start_ms, skills, agent, language, name, changed_by, "
            "to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS changed_at "
            "FROM customers WHERE %(forms)s::text[] IS NULL OR number = ANY(%(forms)s) "
            'ORDER BY number COLLATE "C"',
            {"forms": None if forms is None else list(forms)},
        )


def summary(customer: Customer) -> str:
    """What is known of a customer beside his number, on one line; what is empty is left out."""
    parts: list[tuple[str, Any]] = [
        ("priority", customer.priority),
        ("head start", f"{customer.head_start_ms / 1_000:g} s" if customer.head_start_ms else None),
        ("skills", ", ".join(f"{skill} {level}" for skill, level in customer.skills)),
        ("agent", customer.agent),
        ("language", customer.language),
        ("name", customer.name),
    ]
    return "; ".join(f"{name} {value}" for name, value in parts if value not in (None, ""))


def _note(connection: psycopg.Connection, kind: str, subject: str, detail: str, by: str) -> None:
    connection.execute(
        "INSERT INTO changes (kind, subject, detail, by, at) VALUES (%s, %s, %s, %s, clock_timestamp()) "
        "ON CONFLICT DO NOTHING",
        (kind, subject, clean(detail), by),
    )
