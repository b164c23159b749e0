from __future__ import annotations

import pytest

from fsacd.core import reach
from fsacd.core.rules import QueueRules, SkillLevels, Step, ToHangup, ToQueue

STEPS = (
    Step(10_000, lower=(("french", 5),), backup=True),
    Step(20_000, lower=(("french", 7), ("german", 1)), ring_at_once=3, raise_by=1, overflow=ToHangup("CALL_REJECTED")),
    Step(20_000, ring_at_once=2, raise_by=1, overflow=ToQueue("sales")),
    Step(30_000, drop=("french", "spanish")),
)
RULES = QueueRules("support", required=(("french", 8),), ring_at_once=1, steps=STEPS)


def at(now_ms: int, delays: tuple[int, ...] = (), virtual_ms: int = 1_000) -> reach.Reach:
    return reach.of(
        RULES,
        delays,
        asked=(("french", 3), ("german", 4)),
        priority=2,
        joined_ms=1_000,
        virtual_ms=virtual_ms,
        now_ms=now_ms,
    )


def test_before_the_first_step() -> None:
    """What the queue and the call ask for holds, each skill at the higher level, until the first step."""
    expected = reach.Reach((("french", 8), ("german", 4)), 2, 0, False, 1, None, 11_000)
    assert at(1_000) == expected
    assert at(10_999) == expected


def test_steps_hold_together() -> None:
    """Lowering never raises, classes add up, the most rings count, and the last place to go to holds."""
    assert at(11_000) == reach.Reach((("french", 5), ("german", 4)), 2, 0, True, 1, None, 21_000)
    assert at(21_000) == reach.Reach((("french", 5), ("german", 1)), 4, 0, True, 3, ToQueue("sales"), 31_000)
    assert at(31_000) == reach.Reach((("german", 1),), 4, 0, True, 3, ToQueue("sales"), None)


@pytest.mark.parametrize(
    ("now_ms", "delay_ms", "next_ms"),
    [
        (1_000, 0, 6_000),
        (5_999, 0, 6_000),
        (6_000, 5_000, 11_000),
        (11_000, 5_000, 21_000),
        (31_000, 5_000, 41_000),
        (41_000, 40_000, None),
    ],
)
def test_delays(now_ms: int, delay_ms: int, next_ms: int | None) -> None:
    """Agents who help late help from their delay after the virtual arrival on; steps count from the joining."""
    found = at(now_ms, delays=(5_000, 40_000))
    assert (delay_ms, next_ms) == (found.delay_ms, found.next_ms)


def test_a_head_start_brings_the_delayed_earlier() -> None:
    """A caller who counts as having come earlier reaches the delayed agents earlier."""
    assert at(1_000, delays=(5_000,), virtual_ms=-4_000).delay_ms == 5_000


def test_delays_of_the_first_who_are_there_do_not_hold() -> None:
    """Whoever helps first of those who are there may take the call at once; when delays end by time stays as it is."""
    asked: list[tuple[SkillLevels, bool]] = []

    def nobody_before_ms(required: SkillLevels, backup: bool) -> int:
        asked.append((required, backup))
        return 40_000

    for now_ms, next_ms in ((1_000, 11_000), (12_000, 16_000), (50_000, None)):
        found = reach.of(
            RULES,
            (15_000, 40_000),
            asked=(),
            priority=0,
            joined_ms=1_000,
            virtual_ms=1_000,
            now_ms=now_ms,
            nobody_before_ms=nobody_before_ms,
        )
        assert (found.delay_ms, found.next_ms) == (40_000, next_ms)
    assert asked == [((("french", 8),), False), ((("french", 5),), True), ((), True)]


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        ("user/1001", ("fs1", "fs2")),
        ("user/1001,user/desk", ("fs1", "fs2")),
        ("user/1001|sofia/gateway/pstn/+4930", ()),
        ("sofia/internal/1001@192.0.2.10", ()),
    ],
)
def test_who_can_be_rung_from_where(contact: str, expected: tuple[str, ...]) -> None:
    """Where the phones register, unless any switch can dial one of them; where nothing is said, from everywhere."""
    assert reach.within(contact, ("fs1", "fs2")) == expected
    assert reach.within(contact, ()) == ()


def test_a_call_without_a_leg_reaches_everybody() -> None:
    """It will be dialled where its agent is."""
    assert reach.reaches(("fs1",), "fs1")
    assert not reach.reaches(("fs1",), "fs2")
    assert reach.reaches(("fs1",), "")
    assert reach.reaches((), "fs2")
