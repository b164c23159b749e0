"""What a waiting call requires at a moment, and whom it can reach: its queue's rules, its own, and the steps so far.

Whom: an agent is rung on the switch of the caller's leg, for only two legs of one switch can be bridged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fsacd.core import contact, skills
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
    nobody_before_ms: Callable[[SkillLevels, bool], int] = lambda _required, _backup: 0,
) -> Reach:
    """The reach of a call with these attributes. `delays` are those of the queue's agents, ascending, without 0.

    `nobody_before_ms` gives, for the required skills and whether the backup may help, the least delay of the agents
    who are there: delays up to it do not hold.
    """
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
    delay_ms = passed_ms(delays, virtual_ms, now_ms)
    if delays and delay_ms < delays[-1]:
        later_ms = virtual_ms + next(delay for delay in delays if delay > delay_ms)
        next_ms = later_ms if next_ms is None else min(next_ms, later_ms)
    delay_ms = max(delay_ms, nobody_before_ms(required, backup))
    return Reach(required, priority, delay_ms, backup, at_once, overflow, next_ms)


def within(where: str, switches: tuple[str, ...], *, stands: bool = False) -> tuple[str, ...]:
    """The switches that can ring the contact `where`; (): any.

    `switches` are those at which the agent's phones register. One phone that any switch can dial is enough: the others
    do not ring then. If the agent has a standing leg (`stands`), only the switch where it stands can use it.
    """
    if stands:
        return switches
    if not switches or not all(map(contact.is_looked_up, contact.endpoints(where))):
        return ()
    return switches


def reaches(switches: tuple[str, ...], switch: str) -> bool:
    """Whether an agent within these switches can be rung for a call on this one; "": a call that has no leg yet."""
    return not switches or not switch or switch in switches


def passed_ms(delays: tuple[int, ...], virtual_ms: int, now_ms: int) -> int:
    """The longest of the delays, ascending, that a call with this virtual arrival has waited; 0 for none."""
    passed = 0
    for delay in delays:
        if virtual_ms + delay > now_ms:
            break
        passed = delay
    return passed
