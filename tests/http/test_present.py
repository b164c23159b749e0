from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.http.present import redacted, seconds, timestamp, well_formed
from fsacd.http.problem import near, sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+493012345678", "***5678"),
        ("03012345678", "***5678"),
        ("0049 (30) 123-456.78", "***5678"),
        ("1001", "1001"),
        ("Bob", "Bob"),
        ("Bob 01711234567 mobile", "Bob ***4567 mobile"),
        ("sip:+4930123456@example.org", "sip:***3456@example.org"),
        ("12345 and 67890", "***2345 and ***7890"),
        ("٠١٢٣٤٥٦٧٨٩", "***٦٧٨٩"),
        ("", ""),
    ],
)
def test_a_long_number_is_cut_to_its_last_digits(text: str, expected: str) -> None:
    """Five digits or more, however they are written, show their last four only."""
    assert expected == redacted(text, 4)


@given(st.text(alphabet="0123456789", min_size=5, max_size=20), st.integers(0, 4))
def test_no_number_survives_redaction(plain: str, digits: int) -> None:
    """Of a number of five digits or more, never more than the allowed digits remain."""
    assert redacted(f"+{plain}", digits) == redacted(plain, digits) == "***" + (plain[-digits:] if digits else "")


def test_times_are_rfc_3339_in_utc() -> None:
    """A time has milliseconds and a Z."""
    assert timestamp(1_772_366_400_007) == "2026-03-01T12:00:00.007Z"


def test_durations_are_never_negative() -> None:
    """A duration that a clock's jitter makes negative is nought."""
    assert [seconds(1_234), seconds(-1)] == [1.234, 0.0]


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    """What no JSON can carry does not break an answer."""
    assert well_formed("a\ud800b") == "a?b"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("suport", ["support"]), ("SALES", ["sales"]), ("xyz", []), ("support" * 100, []), ("", [])],
)
def test_a_near_miss_finds_the_name_that_was_meant(name: str, expected: list[str]) -> None:
    """A slip or another case of letters finds the name; anything else finds nothing."""
    assert expected == near(name, ["sales", "support", "billing"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agent 1001 is logged out", "Agent 1001 is logged out."),
        ("The old one stays.", "The old one stays."),
        ("c0ffee00 is gone", "c0ffee00 is gone."),
        ("", "."),
    ],
)
def test_a_reason_becomes_a_sentence(text: str, expected: str) -> None:
    """A refusal reads as a sentence, and an id in it stays as it is."""
    assert expected == sentence(text)
