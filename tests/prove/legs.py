"""Legs: callers and phones do anything, in stories that were never told before; and each planted bug is found."""

from __future__ import annotations

from tests.legs.machine import found
from tests.legs.planted import PLANTED
from tests.legs.shrink import shortest

STORIES, STEPS = 2_000, 40
_OF_ONE = 6
# A planted bug is found within so many.
WITHIN = 400


def main(n: int | None) -> int:
    """Tell them; what is found is printed as deeds, which `Stage.play` takes."""
    story = found(STORIES if n is None else _OF_ONE * n, STEPS, derandomize=False)
    if story is not None:
        print(*sorted(story.kinds), "after", *shortest(story.deeds, story.kinds), sep="\n    ", flush=True)
    missed = []
    for planted in PLANTED if n is None else ():
        with planted.plant():
            shown = found(WITHIN, STEPS, derandomize=True)
        if shown is None:
            missed.append(planted.name)
    for name in missed:
        print(f"not found within {WITHIN} stories: {name}", flush=True)
    return 1 if story is not None or missed else 0
