"""What is told of trouble is short and harmless where it is made."""

from __future__ import annotations

from fsacd.process.trouble import MAX_DETAIL, Trouble, shortened


def test_a_detail_is_one_short_line() -> None:
    """Whatever a switch or a database says, nobody who shows it has to cut it."""
    trouble = Trouble("The switch is away.", "first\nsecond\x1b[2J" + "x" * 10_000_000)
    assert len(trouble.detail) == MAX_DETAIL
    assert trouble.detail.isprintable()
    assert trouble.detail.startswith("first second [2Jxxx")
    assert trouble.detail.endswith("…")


def test_what_fits_stays() -> None:
    """To the last character."""
    assert shortened("a" * MAX_DETAIL) == "a" * MAX_DETAIL
    assert shortened("") == ""
