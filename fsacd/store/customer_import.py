"""Imports a batch of a table of customers, whole or not at all, within the transaction of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import psycopg

from fsacd.caller.customers import Imported, ImportRow, Record, called, changed, differing
from fsacd.caller.number_plan import NumberPlan
from fsacd.errors import Refused
from fsacd.store.customer_records import create, find, read, survivor, write


@dataclass(slots=True)
class _Batch:
    """The records of the customers whom the rows name, as they are in the database and as they are to be."""

    owners: dict[str, int]
    records: dict[int, Record]
    numbers: dict[str, int] = field(default_factory=dict)  # number → the line that has it
    customers: dict[int, int] = field(default_factory=dict)  # customer → the line about them
    new: list[Record] = field(default_factory=list)
    altered: list[tuple[Record, Record]] = field(default_factory=list)
    unchanged: int = 0


def take(connection: psycopg.Connection, plan: NumberPlan, rows: Sequence[ImportRow], by: str) -> Imported:
    """Create the customers whom the rows name and who are unknown, change the others; numbers are only ever added.

    If any row is wrong nothing is written, and all wrong rows are returned.

    Raises:
        psycopg.Error: the database refused, and nothing was changed.
    """
    owners = find(connection, plan, (number for row in rows for number in row.numbers))
    named = {row.customer_id for row in rows if row.customer_id is not None}
    batch = _Batch(owners, read(connection, {*owners.values(), *named}))
    wrong: list[tuple[int, str]] = []
    about: list[int | None] = []
    for row in rows:
        try:
            about.append(_decide(connection, batch, row))
        except Refused as refused:
            wrong.append((row.line, str(refused)))
    if wrong:
        return Imported(wrong=tuple(wrong))
    create(connection, batch.new, by)
    for before, after in batch.altered:
        write(connection, before, after, by)
    return Imported(len(batch.new), len(batch.altered), batch.unchanged, owners=tuple(about))


def _decide(connection: psycopg.Connection, batch: _Batch, row: ImportRow) -> int | None:
    """Note what a row changes, and return whom it is about. Raises Refused when it cannot be done."""
    for number in row.numbers:
        if (line := batch.numbers.setdefault(number, row.line)) != row.line:
            raise Refused(f"the number {number} stands in line {line}, too")
    whom = _whom(connection, batch, row)
    if whom is None:
        record = changed(Record(0, ()), replace(row.change, more_numbers=row.numbers))
        batch.new.append(record)
        return None
    if (line := batch.customers.setdefault(whom, row.line)) != row.line:
        raise Refused(f"it is about {called(whom)}, as line {line} is")
    before = batch.records[whom]
    # A number that is stored in another form keeps that form.
    more = tuple(number for number in row.numbers if batch.owners.get(number) != whom)
    after = changed(before, replace(row.change, more_numbers=more))
    if differing(before, after):
        batch.altered.append((before, after))
    else:
        batch.unchanged += 1
    return whom


def _whom(connection: psycopg.Connection, batch: _Batch, row: ImportRow) -> int | None:
    owners = {number: batch.owners[number] for number in row.numbers if number in batch.owners}
    if row.customer_id is not None and row.customer_id not in batch.records:
        now = survivor(connection, row.customer_id)
        became = f"; they have become one with {called(now)}" if now is not None else ""
        raise Refused(f"there is no customer {called(row.customer_id)}{became}")
    whom = {*owners.values()} | ({row.customer_id} if row.customer_id is not None else set())
    if len(whom) > 1:
        first, second = sorted(whom)[:2]
        said = ", ".join(f"the number {number} is {batch.records[owner].title}'s" for number, owner in owners.items())
        about = "" if row.customer_id is None else f" and the line is about {called(row.customer_id)}"
        raise Refused(
            f"{said}{about}; if they are one customer, merge them first: "
            f"fsacd customer merge {called(first)} {called(second)}"
        )
    return next(iter(whom), None)
