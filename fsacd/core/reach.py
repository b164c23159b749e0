"""What a waiting call requires at a moment, and whom it can reach: its queue's rules, its own, and the steps so far."""

from __future__ import annotations

from typing import NamedTuple

from fsacd.core import skills
from fsacd.core.rules import QueueRules, SkillLevels, Target


class Reach(NamedTuple):
    """What holds now. It changes next at `next_ms` (None: never), if the call still waits then."""

    required: SkillLevels
    priority: int
    delay_ms: int  # agents who help after so long, or earlier, may take it
    backup: bool
    at_once: int
    overflow: Target | None
    next_ms: int | None


def of(
    rules: QueueRules,
    delays: tuple[int, ...],
    *,
    asked: SkillLevels,
    priority: int,
    joined_ms: int,
    virtual_ms: int,
    now_ms: int,
) -> Reach:
    """The reach of a call with these attributes. `delays` are those of the queue's agents, ascending, without 0."""
    required = skills.merge(rules.required, asked)
    backup, at_once = False, rules.ring_at_once
    overflow: Target | None = None
    next_ms: int | None = None
    for step in rules.steps:
        if joined_ms + step.after_ms > now_ms:
            next_ms = joined_ms + step.after_ms
            break
        if step.lower or step.drop:
            required = skills.relax(required, step.lower, step.drop)
        backup = backup or step.backup
        at_once = max(at_once, step.ring_at_once or 0)
        priority += step.raise_by
        overflow = step.overflow or overflow
    delay_ms = 0
    for delay in delays:
        if virtual_ms + delay > now_ms:
            next_ms = virtual_ms + delay if next_ms is None else min(next_ms, virtual_ms + delay)
            break
        delay_ms = delay
    return Reach(required, priority, delay_ms, backup, at_once, overflow, next_ms)
