"""The transition tables: the picture made from them, and that the stories reach every move."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core import roster
from fsacd.core.world import World
from tests.core.story import retell
from tests.core.test_scenarios import STORIES

PICTURE = Path(__file__).parent / "moves.txt"
TABLES = {"call": c.CALL_MOVES, "agent": a.AGENT_MOVES, "offer": o.OFFER_MOVES}

# Where each is moved: the only way to change a state.
MOVERS = {"call": (World, "move_call"), "agent": (roster, "move"), "offer": (World, "move_offer")}

Move = tuple[str, str, str]


def listed() -> set[Move]:
    return {
        (thing, before.__name__, after.__name__)
        for thing, table in TABLES.items()
        for before, afters in table.items()
        for after in afters
    }


def test_picture() -> None:
    """The picture of all moves is the one that was reviewed; FSACD_REWRITE=1 draws it anew."""
    lines = [f"{thing:6} {before:16} -> {after}" for thing, before, after in sorted(listed())]
    actual = "\n".join(lines) + "\n"
    if os.environ.get("FSACD_REWRITE"):
        PICTURE.write_text(actual)
    assert PICTURE.read_text() == actual


def test_stories_reach_every_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each listed move happens in a story; one that is not listed would be an error of ours there."""
    reached: set[Move] = set()
    for thing, (place, name) in MOVERS.items():
        original = getattr(place, name)

        def noting(
            world: World, owner: object, state: object, *rest: object, thing: str = thing, original: object = original
        ) -> None:
            before = type(owner.state).__name__  # type: ignore[attr-defined] # a call, an agent or an offer
            original(world, owner, state, *rest)  # type: ignore[operator] # a mover
            reached.add((thing, before, type(state).__name__))

        monkeypatch.setattr(place, name, noting)
    for path in STORIES:
        retell(path.read_text())
    assert listed() == reached
