"""On what terms a switch serves us: what is told of an old dialplan and of missing rights."""

from __future__ import annotations

import pytest

from fsacd.config.installed import DIALPLAN_VERSION
from fsacd.esl.terms import Terms, version_in

OLD = (
    f"Switch fs1 runs version 1 of fsacd's dialplan, and this fsacd comes with version {DIALPLAN_VERSION}; calls are "
    "served, what the newer one adds is not there."
)


def words(terms: Terms) -> list[str]:
    return [trouble.words for trouble in terms.troubles()]


def test_nothing_is_told_before_anything_is_known() -> None:
    """A switch that has never been linked is told of elsewhere."""
    assert words(Terms("fs1")) == []


@pytest.mark.parametrize("text", ["", "1\n", "nonsense", "-2", "9" * 30])
def test_an_old_dialplan_is_told_in_one_sentence(text: str) -> None:
    """One that says no version, or nothing that is one, is the first; it stops nothing."""
    terms = Terms("fs1")
    terms.linked(text, ())
    assert words(terms) == [OLD]
    assert not any(trouble.blocking for trouble in terms.troubles())


@pytest.mark.parametrize("text", [str(DIALPLAN_VERSION), f"{DIALPLAN_VERSION}\n", str(DIALPLAN_VERSION + 1)])
def test_the_present_dialplan_and_a_later_one_are_no_trouble(text: str) -> None:
    """A later one does all that this one does."""
    terms = Terms("fs1")
    terms.linked(text, ())
    assert words(terms) == []


def test_what_a_call_has_run_through_counts_from_then_on() -> None:
    """The global variable outlives the file that set it, and a file that is installed later sets it too late for us."""
    terms = Terms("fs1")
    terms.linked(str(DIALPLAN_VERSION), ())
    terms.entered("")
    assert words(terms) == [OLD]
    terms.entered(str(DIALPLAN_VERSION))
    assert words(terms) == []


def test_missing_rights_are_told_with_their_names_in_the_detail() -> None:
    """The sentence is for everybody, the names are for those who may look closer."""
    terms = Terms("fs1")
    terms.linked(str(DIALPLAN_VERSION), ("fsacd::feature", "hash"))
    (trouble,) = terms.troubles()
    assert (trouble.detail, trouble.blocking) == ("fsacd::feature, hash", False)
    assert "denies fsacd rights that directory/fsacd_link.xml grants" in trouble.words
    terms.linked(str(DIALPLAN_VERSION), ())
    assert words(terms) == []


def test_a_version_is_a_short_number() -> None:
    """Anything else that a variable may hold is the first version."""
    assert [version_in(text) for text in (" 7 ", "007", "\u0667", "1e3")] == [7, 7, 1, 1]
