"""Numbers in texts: found in whatever way they are written, and nothing else hidden."""

from __future__ import annotations

import pytest

from fsacd.caller.number_plan import PLAIN, NumberPlan
from fsacd.caller.traces import Traces, masked

GERMAN = NumberPlan(country="DE", international="00", trunk="0")
THEIRS = Traces(frozenset({"+4930123456"}), GERMAN)


@pytest.mark.parametrize(
    "written",
    ["+4930123456", "030123456", "030/12 34 56", "(030) 123456", "+49 (0)30 123456", "0049-30-123456", "4930123456"],
)
def test_a_number_is_hidden_in_any_spelling(written: str) -> None:
    """And what stands around it stays."""
    hidden = THEIRS.without(f"call {written} back, order 4711")
    assert "***" in hidden
    assert not any(char in hidden.replace("4711", "") for char in "0123456789")
    assert hidden.endswith(" back, order 4711")


@pytest.mark.parametrize("text", ["30123456", "0301234567", "9030123456", "extension 100 default", "12345", ""])
def test_another_number_stays(text: str) -> None:
    """A number that only contains the digits is somebody else's."""
    assert THEIRS.without(text) == text


def test_beside_other_figures() -> None:
    """A number is found where another figure stands next to it."""
    assert THEIRS.without("4711 030123456 0815") == "4711 *** 0815"


def test_short_numbers_and_names() -> None:
    """A short number is not looked for in texts; a SIP user is, as it is written."""
    assert Traces(frozenset({"1001"}), PLAIN).without("to 1001") == "to 1001"
    assert Traces(frozenset({"anna-b"}), PLAIN).without("to anna-b, annab and Hanna-b") == "to ***, *** and Hanna-b"


def test_the_smallest_objects_that_name_them() -> None:
    """Of a document about many only what is about them."""
    document = {
        "calls": [{"number": "030 123456", "legs": ["a"]}, {"number": "+4940"}],
        "last": {"+4930123456": "anna", "+4940": "ben"},
        "pairs": [["+4930123456", "anna"], ["+4940", "ben"]],
    }
    assert list(THEIRS.inside(document)) == [
        {"number": "030 123456", "legs": ["a"]}, {"+4930123456": "anna"}, ["+4930123456", "anna"]
    ]  # fmt: skip


@pytest.mark.parametrize(("number", "shown"), [("+4930123456", "...456"), ("1001", ""), ("anna-b", "")])
def test_masked(number: str, shown: str) -> None:
    """As in reports."""
    assert masked(number) == shown
