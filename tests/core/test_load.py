from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.core.load import NOTHING, Load, plus_call, plus_time

HOUR_MS = 3_600_000
TIMES = st.lists(st.integers(min_value=0, max_value=100 * HOUR_MS), min_size=1, max_size=20)


def worth(counter: float, now_ms: int, half_life_ms: int = HOUR_MS) -> float:
    """What a counter says now: calls, or (of time) half-lives times ln 2."""
    return float(2.0 ** (counter - now_ms / half_life_ms))


@given(TIMES)
def test_a_call_counts_half_after_a_half_life(times: list[int]) -> None:
    """The counter is the sum of the calls, each halved for every half-life that has passed since."""
    times.sort()
    counter = NOTHING
    for at_ms in times:
        counter = plus_call(counter, at_ms, HOUR_MS)
    expected = sum(0.5 ** ((times[-1] - at_ms) / HOUR_MS) for at_ms in times)
    assert worth(counter, times[-1]) == pytest.approx(expected)


def test_time_is_the_sum_of_its_parts() -> None:
    """An interval counts the same, told at once or in parts, and less the longer ago it was."""
    whole = plus_time(NOTHING, 0, HOUR_MS, HOUR_MS)
    parts = NOTHING
    for minute in range(60):
        parts = plus_time(parts, minute * 60_000, (minute + 1) * 60_000, HOUR_MS)
    assert parts == pytest.approx(whole)
    # The integral of 2^(t/h) over the last half-life is 1/2 h / ln 2: half of what ends now, and a fourth of all.
    later = plus_time(NOTHING, HOUR_MS, 2 * HOUR_MS, HOUR_MS)
    assert later - whole == pytest.approx(1.0)


def test_no_time_is_nothing() -> None:
    """An interval without length leaves the counter as it is."""
    assert plus_time(NOTHING, 5, 5, HOUR_MS) == NOTHING
    assert plus_time(1.0, 5, 5, HOUR_MS) == 1.0


def test_years_do_not_overflow() -> None:
    """After years without a restart, and with the shortest half-life, the counters are still numbers."""
    years_ms = 10 * 365 * 24 * HOUR_MS
    counter = plus_call(NOTHING, 0, 60_000)
    counter = plus_call(counter, years_ms, 60_000)
    counter = plus_time(counter, years_ms, years_ms + 60_000, 60_000)
    assert counter == pytest.approx(years_ms / 60_000 + log2(1 + 1))


def test_nothing_fades_while_they_are_away() -> None:
    """Off duty nothing fades: what was worth one call when an agent left is worth one call when they are back."""
    load = Load(calls=plus_call(NOTHING, 0, HOUR_MS), away_since_ms=None)
    load.leave(HOUR_MS)
    load.leave(2 * HOUR_MS)  # told again
    load.come_back(7 * HOUR_MS, HOUR_MS)
    load.come_back(8 * HOUR_MS, HOUR_MS)
    assert worth(load.calls, 7 * HOUR_MS) == pytest.approx(0.5)
    assert load.talk == NOTHING


def test_another_half_life_keeps_what_it_is_worth() -> None:
    """When the half-life is changed, a counter is worth as much as before at that moment."""
    load = Load(calls=plus_call(NOTHING, 0, HOUR_MS), away_since_ms=None)
    load.rescale(2 * HOUR_MS, HOUR_MS, 5 * HOUR_MS)
    assert worth(load.calls, 2 * HOUR_MS, 5 * HOUR_MS) == pytest.approx(0.25)
