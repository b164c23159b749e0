"""Recognition: who calls, by their number, and how their call is treated for it.

Two tables are looked into: the configuration's `customers`, and what PostgreSQL holds (`fsacd customer create`). A
number that stands in both is the configuration's. Looking up is one dictionary access; nothing here waits for a
database.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fsacd.caller.number_plan import PLAIN, NumberPlan
from fsacd.core.events import CallQueued
from fsacd.core.numbers import identity as plain
from fsacd.core.numbers import normalised as normalised  # noqa: PLC0414 - the way to hand a name on
from fsacd.core.rules import SkillLevels
from fsacd.core.skills import merge
from fsacd.process.trouble import Trouble

# The default for how many numbers each of the two tables keeps: about 80 MB.
LIMIT: Final = 200_000


@dataclass(frozen=True, slots=True)
class Customer:
    """What is known of a caller by their number. Empty fields change nothing.

    `priority` None: the queue's own. `skills` are required in addition to the queue's, at the higher of two levels.
    `agent` is the customer's own agent, whom a queue with sticky routing tries first. `customer_id` is their id in the
    database; 0: the configuration's customer. `main` is the first number of a customer with several; empty where
    `number` is the first.
    """

    number: str
    priority: int | None = None
    head_start_ms: int = 0
    skills: SkillLevels = ()
    agent: str = ""
    language: str = ""
    name: str = ""
    customer_id: int = 0
    main: str = ""


class Recognition:
    """Both tables of customers. A table is replaced whole, so a call sees the old or the new one, never a mixture.

    `limit`: how many entries each table keeps. A few changed customers are changed in place, by number.
    """

    def __init__(self, configured: Iterable[Customer] = (), *, limit: int = LIMIT, plan: NumberPlan = PLAIN) -> None:
        self.limit = limit
        # Whether a number is believed to be the caller's own if the dialplan does not say so.
        self.believes_unmarked = True
        # The queues whose agents may see a number that its caller wants hidden.
        self.may_see: frozenset[str] = frozenset()
        self.plan = plan
        self._configured: Mapping[str, Customer] = {}
        self._stored: dict[str, Customer] = {}
        # How many numbers of the database have no place.
        self.left_out = 0
        self.replace_configured(configured)

    def __len__(self) -> int:
        """How many entries there are; a number that stands in both tables counts twice."""
        return len(self._configured) + len(self._stored)

    def replace_configured(self, entries: Iterable[Customer]) -> str:
        """Replace the configuration's customers by these; gives one sentence if not all had a place."""
        return self.take_configured(*table(entries, self.limit, self.plan.identity))

    def take_configured(self, found: Mapping[str, Customer], refused: int) -> str:
        """Replace the configuration's customers by a `table`; gives one sentence if not all had a place."""
        self._configured = found
        return self._sentence(refused, "configuration")

    def replace_stored(self, entries: Iterable[Customer]) -> str:
        """Replace the database's customers by these; gives one sentence if not all had a place.

        200,000 of them take a second or two. A generator may let others run in between, because the new table is used
        only when it is complete.
        """
        before = self._stored

        def identity(number: str) -> str:
            # An identity is its own identity, so it is kept: reading the number again takes a hundred times as long.
            return number if number in before else self.plan.identity(number)

        self._stored, self.left_out = table(entries, self.limit, identity)
        return self._sentence(self.left_out, "database")

    def update_stored(self, numbers: Iterable[str], entries: Iterable[Customer]) -> str:
        """Replace the database's entries of these numbers by these; a number without an entry becomes nobody's.

        Gives one sentence if not all had a place.
        """
        gone = {self.identity(number) for number in numbers}
        found, _ = table(entries, self.limit, self.plan.identity)
        for key in gone - found.keys():
            self._stored.pop(key, None)
        refused = 0
        for key, entry in found.items():
            if key in self._stored or len(self._stored) < self.limit:
                self._stored[key] = entry
            else:
                refused += 1
        self.left_out += refused
        return self._sentence(self.left_out, "database") if refused else ""

    def identity(self, number: str) -> str:
        """The identity of the caller with this number, by the plan in force; empty for nobody's."""
        return self.plan.identity(number)

    def troubles(self) -> tuple[Trouble, ...]:
        """What works less well than it should."""
        if not self.left_out:
            return ()
        words = "Callers are not recognised who are customers in the database: there are more than limits.customers."
        return (Trouble(words, f"{self.left_out} numbers are left out, {self.limit} are kept"),)

    def is_configured(self, number: str) -> bool:
        """Whether the configuration has a customer with this number; it then goes before the database's."""
        return self.identity(number) in self._configured

    def remembered_as(self, key: str) -> str:
        """Give the key by which this caller is remembered: their customer's first number, else the identity itself."""
        entry = self._of_identity(key)
        return key if entry is None or not entry.main else entry.main

    def find(self, number: str) -> Customer | None:
        """Who has this number; None if nobody has."""
        return self._of_identity(self.identity(number))

    def _of_identity(self, key: str) -> Customer | None:
        return self._configured.get(key) or self._stored.get(key)

    def recognise(self, event: CallQueued) -> CallQueued:
        """Fill in what is known of the caller. What the dialplan has said of the call already stays.

        Whoever shows a number that is not believed, or wants it hidden, is nobody in particular.
        """
        identity = self.identity(event.number)
        if identity != plain(event.number):  # else the engine finds it by itself; a copy would slow down every call
            event = replace(event, identity=identity)
        believed = self.believes_unmarked if event.number_believed is None else event.number_believed
        if not believed:
            return event if event.number_believed is False else replace(event, number_believed=False)
        hidden = event.hidden and event.queue not in self.may_see
        customer = None if hidden or not identity else self._of_identity(identity)
        if customer is None:
            return event
        if not event.changed:
            event = replace(
                event,
                priority=customer.priority if event.priority is None else event.priority,
                head_start_ms=event.head_start_ms or customer.head_start_ms,
                required=merge(event.required, customer.skills),
            )
        return replace(
            event,
            customer=event.customer or customer.name or customer.main or customer.number,
            language=event.language or customer.language,
            named_agent=event.named_agent or customer.agent,
            customer_id=customer.customer_id,
            remembered_as=customer.main,
        )

    def _sentence(self, refused: int, source: str) -> str:
        if not refused:
            return ""
        kept = f"only {self.limit} numbers are kept (limits.customers)"
        return f"{refused} numbers of customers of the {source} are not recognised: {kept}"


def table(entries: Iterable[Customer], limit: int, identity: Callable[[str], str]) -> tuple[dict[str, Customer], int]:
    """Give the entries by their numbers (the first of those with the same number) and how many had no place."""
    table: dict[str, Customer] = {}
    # Thousands of customers share a few texts and sets of skills: each is kept once.
    skills: dict[SkillLevels, SkillLevels] = {}
    refused = 0
    for entry in entries:
        key = identity(entry.number)
        if key in table or not key:
            continue  # a number that is withheld is nobody's
        if len(table) >= limit:
            refused += 1
            continue
        table[key] = Customer(
            number=key,
            priority=entry.priority,
            head_start_ms=entry.head_start_ms,
            skills=skills.setdefault(entry.skills, entry.skills),
            agent=sys.intern(entry.agent),
            language=sys.intern(entry.language),
            name=entry.name,
            customer_id=entry.customer_id,
            main=sys.intern(identity(entry.main)) if entry.main else "",
        )
    return table, refused
