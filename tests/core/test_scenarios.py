from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.core.reading import STORIES
from tests.core.story import retell
from tests.core.story_rules import StoryError


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    """Each story's facts have the outcome written below them; FSACD_REWRITE=1 writes the outcome of today."""
    expected = path.read_text()
    actual = retell(expected)
    if os.environ.get("FSACD_REWRITE"):
        path.write_text(actual)
    else:
        assert expected == actual


@pytest.mark.parametrize(
    "path", [path for path in STORIES if " reload" in path.read_text()], ids=lambda path: path.stem
)
def test_story_with_what_differs(path: Path) -> None:
    """A reload that tells the engine only what has changed comes to the same."""
    expected = path.read_text()
    assert expected == retell(expected, amends=True)


def test_there_are_stories() -> None:
    """The folder of stories is found."""
    assert len(STORIES) >= 80


def test_a_line_the_language_does_not_know_is_an_error() -> None:
    """A misspelt fact fails instead of being passed over."""
    with pytest.raises(StoryError, match="no fact"):
        retell("queue support\n0 agent 1001 loggs_in\n")
