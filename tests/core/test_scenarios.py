from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.core.story import StoryError, retell

STORIES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


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
    assert len(STORIES) >= 20


def test_a_line_the_language_does_not_know_is_an_error() -> None:
    """A misspelt fact fails instead of being passed over."""
    with pytest.raises(StoryError, match="no fact"):
        retell("queue support\n0 agent 1001 loggs_in\n")
