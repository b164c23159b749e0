"""Skills: what an agent can do, at which level, against what a call requires."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache

from fsacd.core.rules import SkillLevels


def levels_of(levels: Mapping[str, int]) -> SkillLevels:
    """Skills with their levels, sorted. Ten thousand agents share a few hundred pairs of a skill and a level."""
    return tuple(_pair(skill, levels[skill]) for skill in sorted(levels))


@lru_cache(maxsize=4_096)
def _pair(skill: str, level: int) -> tuple[str, int]:
    return sys.intern(skill), level


def merge(first: SkillLevels, second: SkillLevels) -> SkillLevels:
    """Both requirements together: for a skill named twice the higher level counts. Sorted by skill."""
    if not second:
        return first
    if not first:
        return second
    levels = dict(first)
    for skill, level in second:
        levels[skill] = max(level, levels.get(skill, 0))
    return tuple(sorted(levels.items()))


def relax(required: SkillLevels, lower: SkillLevels, drop: tuple[str, ...]) -> SkillLevels:
    """Lower some skills of a requirement and drop others. A skill that is not required is not added."""
    most = dict(lower)
    return tuple((skill, min(level, most.get(skill, level))) for skill, level in required if skill not in drop)


def fit(required: SkillLevels, skills: dict[str, int]) -> int | None:
    """The lowest of the agent's levels in the required skills; None when one is missing or too low.

    A call that requires nothing fits everybody at level 0, so that skilled agents are not worn out by simple calls.
    """
    lowest = 0
    for skill, minimum in required:
        level = skills.get(skill, 0)
        if level < minimum or level == 0:
            return None
        lowest = level if lowest == 0 else min(lowest, level)
    return lowest
