"""A visit: the stay of one call in one queue. What it was when it began stays as it was; its end is a record.

A call's visits touch: each begins when the one before has ended. A talk that breaks at once leaves its visit as it is.
"""

from __future__ import annotations

from enum import StrEnum

from fsacd.core.fact import fact
from fsacd.core.rules import SkillLevels


class HowIn(StrEnum):
    """The closed list of ways into a queue."""

    DIRECT = "direct"  # a call of a contact that was in no queue before
    TRANSFERRED = "transferred"  # another call of the same contact: its leg was in a queue, or in a talk, before
    OVERFLOW = "overflow"  # sent on by the rules of the queue before
    REQUEUED = "requeued"  # put into it by an operator, from a queue or from a talk
    MOVED = "moved"  # its queue was removed by a reload
    RENAMED = "renamed"  # the queue has another name from now on


class VisitOutcome(StrEnum):
    """The closed list of ways out of a queue. A call that is refused has stood in none, and has no visit."""

    ANSWERED = "answered"  # an agent talked with the caller
    ABANDONED = "abandoned"  # the caller hung up
    OVERFLOWED = "overflowed"  # sent on by the queue's rules, into another queue or elsewhere
    MOVED = "moved"  # put into another queue by an operator or a reload
    HUNG_UP = "hung_up"  # by an operator
    LEFT = "left"  # as a call that has left
    LOST = "lost"  # as a call that is lost


@fact
class Visit:
    """A visit as at its beginning, whatever was changed later. Times are those of the engine's clock."""

    n: int  # 1, 2, … within the call
    queue: str  # its name then
    joined_ms: int
    how_in: HowIn
    required: SkillLevels  # with what the queue adds, and without what its steps change
    priority: int  # the class
    head_start_ms: int
    named_agent: str
    language: str
    # Of the queue: within how long calls should be answered, and up to when hanging up is no abandoning.
    service_level_ms: int
    short_abandon_ms: int
    offers_before: int = 0  # how often the call had been offered
