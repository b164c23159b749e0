"""The judge itself: its sums, its comparisons and its reading of steps, on cases small enough to see through."""

from __future__ import annotations

import math

import pytest

from fsacd.core.events import CallQueued, Leg
from fsacd.core.rules import Step
from fsacd.testing import agent, queue, rules_of
from tests.core.books import Books, CallBook, lacks
from tests.core.meaning import Known, key_of, surely_before
from tests.core.tally import Tally

HOUR_MS = 3_600_000


def test_a_call_counts_half_after_the_half_life() -> None:
    """Two calls a half-life ago count as much as one now."""
    old, new = Tally(), Tally()
    old.answered()
    old.answered()
    old.spent("ready", HOUR_MS)
    new.answered()
    assert old.recent_calls(0, HOUR_MS) == pytest.approx(0.0)
    assert new.recent_calls(0, HOUR_MS) == pytest.approx(0.0)


def test_nothing_fades_while_an_agent_is_away() -> None:
    """A break and a night change nobody's sums; the time on duty does."""
    tally = Tally()
    tally.spent("talking", 60_000)
    before = tally.recent_talk(0, HOUR_MS)
    tally.spent("not_ready", HOUR_MS)
    tally.spent("logged_out", 10 * HOUR_MS)
    assert before == tally.recent_talk(0, HOUR_MS)
    tally.spent("ready", HOUR_MS)
    assert before - 1 == pytest.approx(tally.recent_talk(0, HOUR_MS))


def test_long_talks_count_by_their_length() -> None:
    """Of two agents, who has talked twice as long a moment ago has one doubling more."""
    short, long = Tally(), Tally()
    short.spent("talking", 1_000)
    long.spent("talking", 2_000)
    assert pytest.approx(long.recent_talk(0, 1_000 * HOUR_MS) - short.recent_talk(0, 1_000 * HOUR_MS), abs=1e-5) == 1
    assert -math.inf == Tally().recent_work(0, HOUR_MS)


def test_rounding_decides_nothing() -> None:
    """Sums that are told apart by rounding alone go in either order; whole numbers, and nothing at all, do not."""
    assert not surely_before((0.5, 1), (0.5 + 1e-12, 0))
    assert not surely_before((0.5 + 1e-12, 1), (0.5, 0))
    assert surely_before((-math.inf, 1), (-math.inf, 2))
    assert surely_before((-math.inf, 2), (0.5, 1))
    assert surely_before((3, "1001"), (3, "1002"))
    assert not surely_before((4, "1001"), (3, "1002"))


def test_a_round_begins_behind_the_last_one() -> None:
    """The agents behind the last one rung go first, then those before that one, and the one last rung goes last."""
    known = [Known(0, 0, 0.0, 0.0, 0.0, place, ()) for place in range(4)]
    order = sorted(range(4), key=lambda place: key_of("top_down", known[place], (), 1))
    assert order == [2, 3, 0, 1]
    assert sorted(range(4), key=lambda place: key_of("top_down", known[place], (), None)) == [0, 1, 2, 3]


def test_steps_hold_together() -> None:
    """All steps whose time has come hold: levels are lowered, never raised, skills dropped, classes added up."""
    steps = (
        Step(10_000, lower=(("german", 3),), raise_by=1),
        Step(20_000, lower=(("german", 4), ("english", 9)), backup=True),
        Step(30_000, drop=("english",), raise_by=2),
    )
    rules = rules_of(queue("support", required=(("german", 5),), steps=steps), agent("1001", "support"))
    books = Books(rules)
    event = CallQueued("anna", "support", 0, Leg("fs1", "anna"), required=(("english", 2), ("german", 1)))
    call = CallBook(event, "support", 0, 0, 7, 0, dict(event.required))
    assert books.required(call, 9_999) == {"german": 5, "english": 2}
    assert books.required(call, 10_000) == {"german": 3, "english": 2}
    assert books.required(call, 29_999) == {"german": 3, "english": 2}
    assert books.required(call, 30_000) == {"german": 3}
    assert [books.priority(call, at_ms) for at_ms in (0, 20_000, 30_000)] == [7, 8, 10]
    assert [books.backup_open(call, at_ms) for at_ms in (19_999, 20_000)] == [False, True]


def test_what_an_agent_lacks() -> None:
    """An agent lacks a skill at too low a level as much as one that they do not have."""
    assert {"english", "german"} == lacks({"german": 2}, {"german": 3, "english": 1})
    assert lacks({"german": 3}, {"german": 3}) is None
