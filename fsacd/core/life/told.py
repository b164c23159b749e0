"""When that was of which this step hears: a busy machine hears of it late, and history says when it was."""

from __future__ import annotations

from fsacd.core.life.world import World


def told_ms(world: World, not_before_ms: int | None = None) -> int:
    """The moment at which the switch has told the fact of this step, but not before that of something else."""
    at_ms = world.now_ms - world.late_ms
    return at_ms if not_before_ms is None or at_ms > not_before_ms else not_before_ms
