"""What a telling of an end rests on, and which of two tellings of one end stands. One definition, for Python and SQL.

Two daemons may serve a switch one after the other, and both may know a call. Each tells how it ended, from what it
knows, at once or after hours in a spool; neither hears of the other. So each telling carries what it rests on, and the
epoch of the fence in which its teller last had the call: the fence counts them up, whoever holds it, so no clock
matters.

1. Who handed the call over to another daemon while it waited knows nothing of its end, and yields to everybody.
2. Of the others, the one who had the call in the later epoch: there it lived on, so what was told before was no end.
3. Who had it in the same epoch is one daemon: what it saw goes before what it concluded, and the later before the
   earlier.
"""

from __future__ import annotations

from enum import StrEnum


class Evidence(StrEnum):
    """What a telling of an end rests on, from the weakest to the strongest."""

    HANDED_OVER = "handed_over"  # another daemon has the switch; the call was there, and waited
    GUESSED = "guessed"  # it was found gone, or decided upon without the switch
    SAW_TALK = "saw_talk"  # caller and agent talked; how it ended was not seen
    SAW_END = "saw_end"  # the switch told it, or was told to do it


STRENGTH: dict[Evidence, int] = {evidence: rank for rank, evidence in enumerate(Evidence)}

Standing = tuple[int, int, int, int]


def standing(evidence: Evidence, epoch: int, ended_ms: int) -> Standing:
    """How well a telling stands: of two tellings of one end, the one that compares higher is believed."""
    strength = STRENGTH[evidence]
    return (min(strength, 1), epoch, strength, ended_ms)


def standing_in_sql(table: str) -> str:
    """The same, as an SQL expression over the columns `evidence`, `epoch`, `ended_at` of a table.

    A row without evidence was written before there was any, by one who saw the end.
    """
    ranks = " ".join(f"WHEN '{evidence}' THEN {rank}" for evidence, rank in STRENGTH.items())
    strength = f"CASE {table}.evidence {ranks} ELSE {STRENGTH[Evidence.SAW_END]} END"
    return f"ROW(LEAST({strength}, 1), COALESCE({table}.epoch, 0), {strength}, {table}.ended_at)"
