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


def test_there_are_stories() -> None:
    """The folder of stories is found."""
    assert len(STORIES) >= 80


def test_a_line_the_language_does_not_know_is_an_error() -> None:
    """A misspelt fact fails instead of being passed over."""
    with pytest.raises(StoryError, match="no fact"):
        retell("queue support\n0 agent 1001 loggs_in\n")
