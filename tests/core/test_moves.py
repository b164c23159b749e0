"""The transition tables: the picture made from them, and that the stories reach every move."""

from __future__ import annotations

import os
from pathlib import Path

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from tests.core.reading import Move, read_all

PICTURE = Path(__file__).parent / "moves.txt"
TABLES = {"call": c.CALL_MOVES, "work": a.WORK_MOVES, "offer": o.OFFER_MOVES}


def listed() -> set[Move]:
    return {
        (thing, before.__name__, after.__name__)
        for thing, table in TABLES.items()
        for before, afters in table.items()
        for after in afters
    }


def test_picture() -> None:
    """The picture of all moves is the one that was reviewed; FSACD_REWRITE=1 draws it anew.

    Of agents it has the moves of the one state that follows from presence and work, as the stories make them.
    """
    moves = sorted(listed() | read_all().states)
    lines = [f"{thing:6} {before:16} -> {after}" for thing, before, after in moves]
    actual = "\n".join(lines) + "\n"
    if os.environ.get("FSACD_REWRITE"):
        PICTURE.write_text(actual)
    assert PICTURE.read_text() == actual


def test_stories_reach_every_move() -> None:
    """Each listed move happens in a story; one that is not listed would be an error of ours there."""
    assert listed() == read_all().moves
