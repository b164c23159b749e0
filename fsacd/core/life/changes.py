"""What was changed by hand, as history has it."""

from __future__ import annotations

from fsacd.core.life.world import World
from fsacd.core.records import ChangeMade
from fsacd.core.rules import SkillLevels


def record(world: World, kind: str, subject: str, detail: str, by: str) -> None:
    """Somebody has changed something."""
    world.record(ChangeMade(kind, subject, detail, by, world.now_ms))


def told(levels: SkillLevels) -> str:
    """Skills as a person writes them."""
    return " ".join(f"{skill}={level}" for skill, level in levels) or "none"
