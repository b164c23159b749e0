"""Recognition: who calls, told from his number, and what that means for his call.

Two tables are looked into: the configuration's `customers`, and what PostgreSQL holds (`fsacd customer add`). A number
that stands in both is the configuration's. Looking up is one dictionary access; nothing here waits for a database.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fsacd.core.events import CallQueued
from fsacd.core.numbers import normalised as normalised  # noqa: PLC0414 - the way to hand a name on
from fsacd.core.rules import SkillLevels
from fsacd.core.skills import merge
from fsacd.number_plan import PLAIN, NumberPlan

# How many customers of each of the two tables are kept: about 60 MB.
LIMIT: Final = 200_000


@dataclass(frozen=True, slots=True)
class Customer:
    """What is known of a caller by his number; what is left empty changes nothing.

    `priority` None: the queue's own. `skills` are required in addition to the queue's, at the higher of two levels.
    `agent` is the customer's own agent, whom a queue with sticky routing tries first.
    """

    number: str
    priority: int | None = None
    head_start_ms: int = 0
    skills: SkillLevels = ()
    agent: str = ""
    language: str = ""
    name: str = ""


class Recognition:
    """The table of customers. Both halves are replaced whole, so a call sees the old or the new, never a mixture.

    `limit`: how many entries each half keeps.
    """

    def __init__(self, configured: Iterable[Customer] = (), *, limit: int = LIMIT, plan: NumberPlan = PLAIN) -> None:
        self._limit = limit
        # Whether a number is taken for the caller's own of which the dialplan has not said whether it is.
        self.believes_unmarked = True
        # The queues whose agents may see a number that its caller wants hidden.
        self.may_see: frozenset[str] = frozenset()
        self._plan = plan
        self._configured: Mapping[str, Customer] = {}
        self._stored: Mapping[str, Customer] = {}
        self.replace_configured(configured)

    def __len__(self) -> int:
        """How many entries there are; a number that stands in both halves counts twice."""
        return len(self._configured) + len(self._stored)

    def replace_configured(self, entries: Iterable[Customer]) -> str:
        """Take these in the place of the configuration's customers; gives one sentence if not all had a place."""
        self._configured, refused = _table(entries, self._limit, self._plan.identity)
        return self._sentence(refused, "configuration")

    def replace_stored(self, entries: Iterable[Customer]) -> str:
        """Take these in the place of the database's customers; gives one sentence if not all had a place.

        200,000 of them take a second or two: a generator may let others run in between, because the new table counts
        only when it is complete.
        """
        self._stored, refused = _table(entries, self._limit, self._plan.identity)
        return self._sentence(refused, "database")

    def identity(self, number: str) -> str:
        """What tells the caller with this number from others, by the plan in force; empty for nobody's."""
        return self._plan.identity(number)

    def find(self, number: str) -> Customer | None:
        """Who has this number; None if nobody has."""
        return self._of_identity(self.identity(number))

    def _of_identity(self, key: str) -> Customer | None:
        return self._configured.get(key) or self._stored.get(key)

    def recognise(self, event: CallQueued) -> CallQueued:
        """Fill in what is known of the caller. What the dialplan has said of the call already stays.

        Whoever shows a number that is not believed, or wants it hidden, is nobody in particular.
        """
        event = replace(event, identity=self.identity(event.number))
        believed = self.believes_unmarked if event.number_believed is None else event.number_believed
        if not believed:
            return event if event.number_believed is False else replace(event, number_believed=False)
        hidden = event.hidden and event.queue not in self.may_see
        customer = None if hidden or not event.identity else self._of_identity(event.identity)
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
            customer=event.customer or customer.name or customer.number,
            language=event.language or customer.language,
            named_agent=event.named_agent or customer.agent,
        )

    def _sentence(self, refused: int, source: str) -> str:
        if not refused:
            return ""
        return f"{refused} customers of the {source} are not recognised: only the first {self._limit} are kept"


def _table(
    entries: Iterable[Customer], limit: int, identity: Callable[[str], str]
) -> tuple[Mapping[str, Customer], int]:
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
            key,
            entry.priority,
            entry.head_start_ms,
            skills.setdefault(entry.skills, entry.skills),
            sys.intern(entry.agent),
            sys.intern(entry.language),
            entry.name,
        )
    return table, refused
