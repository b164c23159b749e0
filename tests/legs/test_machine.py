"""Callers and phones do anything that SIP lets them, and every promise about legs holds.

FSACD_LEGS=500 tries so many longer stories (minutes), and tests/prove/legs.py tells thousands. What is found is printed
as deeds, which `Stage.play` takes.
"""

from __future__ import annotations

import os

import pytest

from tests.legs.hard import HARD
from tests.legs.machine import found
from tests.legs.planted import PLANTED, Planted
from tests.legs.shrink import kinds_of, shortest
from tests.legs.stage import Stage

LONG = int(os.environ.get("FSACD_LEGS", "0"))
STORIES, STEPS = LONG or 12, 40 if LONG else 22


@pytest.mark.timeout(7_200 if LONG else 300)
def test_whatever_callers_and_phones_do() -> None:
    """One offer each, no ring for who is elsewhere, nobody in nobody's hands, nobody torn, each end the true one."""
    story = found(STORIES, STEPS, derandomize=not LONG)
    if story is not None:
        deeds = shortest(story.deeds, story.kinds)
        lines = "\n".join(f"    {deed!r}," for deed in deeds)
        pytest.fail(f"{sorted(story.kinds)}, after\n{lines}")


@pytest.mark.parametrize("name", HARD)
def test_what_was_hardest(name: str) -> None:
    """The sequences that have found faults, and those in which most goes on at once."""
    assert kinds_of(HARD[name]) == frozenset()


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_bug_is_found(planted: Planted) -> None:
    """By the hard sequences, as what it is; tests/prove/legs.py lets the machine itself look for each."""
    with planted.plant():
        kinds = frozenset[str]().union(*(kinds_of(HARD[name]) for name in planted.shown_by))
    assert kinds & planted.seen_as, kinds


def test_a_story_can_be_played_again() -> None:
    """The same deeds give the same story, or no finding could be looked into."""
    ends = []
    for _ in range(2):
        stage = Stage(7)
        try:
            stage.play(HARD["two answers, and the caller is picked up"])
            stage.finish()
            ends.append([str(biography) for biography in stage.judge.lives.values()])
        finally:
            stage.close()
    assert ends[0] == ends[1] != []
