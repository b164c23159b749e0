"""What a report of an end rests on, and which of two reports of one end counts. One definition, for Python and SQL.

Two daemons may serve a switch one after the other, and both may know a call. Each reports how it ended, from what it
knows, at once or after hours in a spool; neither hears of the other. So each report carries what it rests on, and the
epoch of the fence in which its daemon last had the call. The epoch grows whenever a daemon takes the fence, so no
clock matters.

1. A daemon that handed the waiting call over to another one knows nothing of its end: any other report counts instead.
2. Of the others, the report from the later epoch counts: the call lived on there, so the earlier report was no end.
3. Reports from one epoch are from one daemon: what it saw counts before what it concluded, then the later before the
earlier.
"""

from __future__ import annotations

from enum import StrEnum


class Evidence(StrEnum):
    """What a report of an end rests on, from the weakest to the strongest."""

    HANDED_OVER = "handed_over"  # another daemon has the switch; the call was there, and waited
    GUESSED = "guessed"  # it was found gone, or decided upon without the switch
    SAW_TALK = "saw_talk"  # caller and agent talked; how it ended was not seen
    SAW_END = "saw_end"  # the switch told it, or was told to do it


STRENGTH: dict[Evidence, int] = {evidence: rank for rank, evidence in enumerate(Evidence)}

Standing = tuple[int, int, int, int]


def standing(evidence: Evidence, epoch: int, ended_ms: int) -> Standing:
    """The strength of a report: of two reports of one end, the one that compares higher is believed."""
    strength = STRENGTH[evidence]
    return (min(strength, 1), epoch, strength, ended_ms)


def standing_in_sql(table: str) -> str:
    """The same, as an SQL expression over the columns `evidence`, `epoch`, `ended_at` of a table.

    A row without evidence is from a version that wrote none; its daemon saw the end.
    """
    ranks = " ".join(f"WHEN '{evidence}' THEN {rank}" for evidence, rank in STRENGTH.items())
    strength = f"CASE {table}.evidence {ranks} ELSE {STRENGTH[Evidence.SAW_END]} END"
    return f"ROW(LEAST({strength}, 1), COALESCE({table}.epoch, 0), {strength}, {table}.ended_at)"
