"""When, by our clock, something was at the switch: never later than now, and never later than it can have been."""

from __future__ import annotations

import pytest

from fsacd.esl.switch_clock import SwitchClock

WRAP = 1 << 32
DAY_MS = 86_400_000
NOW_MS = 7_000_000_000
AGES_MS = [1_000, DAY_MS, 26 * DAY_MS, 49 * DAY_MS, 60 * DAY_MS]


def _of(uptime_ms: int) -> SwitchClock:
    return SwitchClock(uptime_ms, NOW_MS - 500)  # read half a second ago


@pytest.mark.parametrize("age_ms", AGES_MS)
@pytest.mark.parametrize("ahead_ms", [1, 500, 4_999])
def test_who_seems_to_have_come_later_than_now_has_come_now(age_ms: int, ahead_ms: int) -> None:
    """Two clocks differ by a little: nobody has waited less than nothing, nor since before the switch was there."""
    announced = (age_ms + 500 + ahead_ms) % WRAP
    assert _of(age_ms).ours(announced, NOW_MS) == NOW_MS


@pytest.mark.parametrize("age_ms", AGES_MS)
def test_what_lies_ahead_by_more_is_of_before_the_switch_began(age_ms: int) -> None:
    """By an hour no two clocks differ: this switch has been started anew, and the moment was before."""
    announced = (age_ms + 500 + 3_600_000) % WRAP
    assert _of(age_ms).ours(announced, NOW_MS) == NOW_MS - age_ms - 500


@pytest.mark.parametrize("age_ms", AGES_MS)
def test_who_has_waited_since_the_switch_began(age_ms: int) -> None:
    """What the switch prints starts again after 49.7 days; nobody waits for half as long."""
    waited_ms = min(age_ms, 20 * DAY_MS)
    assert _of(age_ms).ours((age_ms + 500 - waited_ms) % WRAP, NOW_MS) == NOW_MS - waited_ms


def test_nobody_has_waited_for_longer_than_the_switch_is_there() -> None:
    """Its uptime of before, a little below where the number starts again, is no wait across that point."""
    assert _of(3_000).ours(WRAP - 10_000, NOW_MS) == NOW_MS - 3_500


def test_who_was_recovered_came_before_the_crash() -> None:
    """By the clock of then, and no later than the new beginning, whatever the two clocks say."""
    before = SwitchClock(1_000, NOW_MS - 100_000)
    clock = SwitchClock(4_500, NOW_MS - 500, before)
    assert clock.ours(31_000, NOW_MS, recovered=True) == NOW_MS - 70_000
    assert clock.ours(99_000, NOW_MS, recovered=True) == NOW_MS - 5_000
    assert clock.ours(4_000, NOW_MS, recovered=True) == NOW_MS - 97_000, "not by the clock of now, though it would fit"


def test_of_a_crash_that_nobody_saw_the_new_beginning_is_known_alone() -> None:
    """They have waited for as long at least."""
    assert SwitchClock(4_500, NOW_MS - 500).ours(31_000, NOW_MS, recovered=True) == NOW_MS - 5_000
