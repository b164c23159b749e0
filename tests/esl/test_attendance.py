"""Who has missed two announcements."""

from __future__ import annotations

from fsacd.esl.attendance import SILENT_MS, Attendance


def test_nobody_is_missed_who_announces_themselves() -> None:
    """A leg that is heard of again has all the time once more."""
    attendance = Attendance()
    attendance.heard("a", 0)
    attendance.heard("b", 5_000)
    attendance.heard("a", 10_000)
    assert attendance.silent(5_000 + SILENT_MS - 1) == []
    assert attendance.silent(5_000 + SILENT_MS) == ["b"]
    assert attendance.silent(10_000 + SILENT_MS) == ["a"]


def test_each_is_named_once() -> None:
    """Who is asked for is not named again before they are heard of."""
    attendance = Attendance()
    attendance.heard("a", 0)
    assert attendance.silent(SILENT_MS) == ["a"]
    assert attendance.silent(2 * SILENT_MS) == []
    attendance.heard("a", 2 * SILENT_MS)
    assert attendance.silent(3 * SILENT_MS) == ["a"]


def test_nothing_is_expected_of_who_talks_or_has_gone() -> None:
    """Who is excused is not named, and not kept."""
    attendance = Attendance()
    attendance.heard("a", 0)
    attendance.excuse("a")
    attendance.excuse("unknown")
    assert len(attendance) == 0
    assert attendance.silent(SILENT_MS) == []


def test_a_link_that_was_cut_makes_nobody_silent() -> None:
    """What was not heard while nobody listened is held against nobody."""
    attendance = Attendance()
    attendance.heard("a", 0)
    attendance.clear()
    assert attendance.silent(SILENT_MS) == []


def test_who_is_expected_has_all_the_time_from_then_on() -> None:
    """Unless they have said something already."""
    attendance = Attendance()
    attendance.heard("a", 0)
    attendance.expect("a", 5_000)
    attendance.expect("b", 5_000)
    assert attendance.silent(SILENT_MS) == ["a"]
    assert attendance.silent(5_000 + SILENT_MS) == ["b"]
