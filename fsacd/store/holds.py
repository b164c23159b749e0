"""Legal holds: callers of whom nothing may be erased, neither on request nor because it is old, until they are lifted.

For the command line, and for retention. Who placed a hold and who lifted it is noted in `changes`, where the number is
masked: that table outlives the hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.traces import masked
from fsacd.errors import Refused
from fsacd.store.rows import clean

_NOTE: Final = "INSERT INTO changes (kind, subject, detail, by, at) VALUES (%s, %s, %s, %s, clock_timestamp())"


@dataclass(frozen=True, slots=True)
class Hold:
    """A caller's number as it was when the hold was placed, why, by whom and when."""

    number: str
    reason: str
    by: str
    at: datetime


def every(connection: psycopg.Connection) -> list[Hold]:
    """All holds, the oldest first. Raises psycopg.Error."""
    return [Hold(*row) for row in connection.execute("SELECT number, reason, by, at FROM legal_holds ORDER BY at")]


def refusal(connection: psycopg.Connection, identities: AbstractSet[str], plan: NumberPlan) -> str:
    """Why nobody of these may be erased; empty: nobody is held, and nobody can be until the transaction ends.

    Raises:
        psycopg.Error: the database refused.
    """
    connection.execute("LOCK TABLE legal_holds IN SHARE MODE")
    for hold in every(connection):
        if plan.identity(hold.number) in identities:
            return (
                f"{hold.number} is under a legal hold ({hold.reason}; {hold.by}, {hold.at:%Y-%m-%d}): nothing is "
                f"erased until it is lifted (fsacd history hold {hold.number} --lift)"
            )
    return ""


def check(connection: psycopg.Connection, numbers: Iterable[str], plan: NumberPlan) -> None:
    """Nothing of a customer with these numbers may be removed while one of them is held.

    Raises:
        Refused: one is.
        psycopg.Error: the database refused.
    """
    if why := refusal(connection, plan.identities(numbers), plan):
        raise Refused(why)


def place(connection: psycopg.Connection, identity: str, reason: str, by: str) -> None:
    """Place a hold on the caller with this identity.

    Raises:
        Refused: there is one already.
        psycopg.Error: the database refused.
    """
    made = connection.execute(
        "INSERT INTO legal_holds (number, reason, by) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (identity, reason, by),
    )
    if not made.rowcount:
        raise Refused(f"{identity} is under a legal hold already")
    note(connection, "hold_placed", [identity], reason, by)


def lift(connection: psycopg.Connection, identity: str, reason: str, by: str, plan: NumberPlan) -> None:
    """Lift the hold of the caller with this identity.

    Raises:
        Refused: there is none.
        psycopg.Error: the database refused.
    """
    theirs = [hold.number for hold in every(connection) if plan.identity(hold.number) == identity]
    if not connection.execute("DELETE FROM legal_holds WHERE number = ANY(%s)", (theirs,)).rowcount:
        raise Refused(f"{identity} is under no legal hold")
    note(connection, "hold_lifted", [identity], reason, by)


def note(connection: psycopg.Connection, kind: str, identities: Sequence[str], detail: str, by: str) -> None:
    """Note in `changes` what was asked about callers, with masked numbers. Raises psycopg.Error."""
    told = ", ".join(filter(None, map(masked, identities)))
    connection.execute(_NOTE, (kind, clean(told), clean(detail), by))
