from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.core.rules import SkillLevels
from fsacd.core.skills import fit, merge, relax

LEVELS = st.dictionaries(st.sampled_from(("de", "en", "fr")), st.integers(min_value=1, max_value=10)).map(
    lambda levels: tuple(sorted(levels.items()))
)


@pytest.mark.parametrize(
    ("required", "skills", "expected"),
    [
        ((), {}, 0),
        ((), {"de": 9}, 0),
        ((("de", 3),), {"de": 3}, 3),
        ((("de", 3),), {"de": 2}, None),
        ((("de", 3),), {}, None),
        ((("de", 1), ("en", 1)), {"de": 8, "en": 4, "fr": 1}, 4),
        ((("de", 1), ("en", 5)), {"de": 8, "en": 4}, None),
    ],
)
def test_fit(required: SkillLevels, skills: dict[str, int], expected: int | None) -> None:
    """An agent fits by their lowest level in the required skills, and not at all if one is missing or too low."""
    assert expected == fit(required, skills)


def test_nobody_fits_a_skill_they_lack() -> None:
    """A requirement of level 0 is still a requirement to have the skill."""
    assert fit((("de", 0),), {}) is None


@given(LEVELS, LEVELS)
def test_merge(first: SkillLevels, second: SkillLevels) -> None:
    """Merged requirements ask for each skill at the higher of its levels, sorted, in either order of merging."""
    merged = merge(first, second)
    assert merged == merge(second, first)
    assert list(merged) == sorted(merged)
    assert dict(merged).keys() == dict(first).keys() | dict(second).keys()
    for skill, level in merged:
        assert level == max(dict(first).get(skill, 0), dict(second).get(skill, 0))


@given(LEVELS, LEVELS, st.sets(st.sampled_from(("de", "en", "fr"))))
def test_relax(required: SkillLevels, lower: SkillLevels, drop: set[str]) -> None:
    """Relaxing asks for no skill anew and for none at a higher level, and dropped skills are gone."""
    relaxed = dict(relax(required, lower, tuple(sorted(drop))))
    assert relaxed.keys() == dict(required).keys() - drop
    for skill, level in relaxed.items():
        assert level == min(dict(required)[skill], dict(lower).get(skill, 10))
