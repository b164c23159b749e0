"""Which of two tellings of one call's end stands: the table of ARCHITECTURE.md, case by case, whichever comes first."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from fsacd.core.evidence import Evidence, standing

GUESSED, SAW_TALK, SAW_END = Evidence.GUESSED, Evidence.SAW_TALK, Evidence.SAW_END
HANDED_OVER = Evidence.HANDED_OVER
Telling = tuple[Evidence, int, int]

# What happened → what was told, (evidence, epoch, when); the last one stands.
CASES: dict[str, tuple[Telling, ...]] = {
    "B served the caller while A stood still, and A woke later": ((GUESSED, 1, 900), (SAW_END, 2, 500)),
    "so it was, and A had seen the talk begin": ((SAW_TALK, 1, 900), (SAW_END, 2, 500)),
    "A's clock is an hour ahead": ((SAW_END, 1, 3_600_000), (SAW_END, 2, 500)),
    "A ended the call, its command was lost, and B lost sight of the caller": ((SAW_END, 1, 100), (GUESSED, 2, 500)),
    "the talk broke, and the caller waited on and went under B": ((SAW_TALK, 1, 100), (GUESSED, 2, 500)),
    "A handed it over, took back, and the switch crashed": ((HANDED_OVER, 1, 100), (GUESSED, 3, 500)),
    "B had it and handed it over; A has seen the end before": ((HANDED_OVER, 2, 900), (SAW_END, 1, 100)),
    "A found it gone, and B, who had it last, hands it over": ((HANDED_OVER, 2, 900), (GUESSED, 1, 100)),
    "both have handed it over": ((HANDED_OVER, 1, 900), (HANDED_OVER, 2, 100)),
    "a daemon without a journal guesses what it had seen": ((GUESSED, 1, 900), (SAW_TALK, 1, 500), (SAW_END, 1, 100)),
    "it saw two ends: the first one's command was lost": ((SAW_END, 1, 100), (SAW_END, 1, 500)),
}


@pytest.mark.parametrize("case", CASES)
def test_who_knows_how_a_call_ended(case: str) -> None:
    """The one who knows best stands, in whatever order the tellings come."""
    for told in permutations(CASES[case]):
        stands = told[0]
        for telling in told[1:]:
            stands = telling if standing(*telling) > standing(*stands) else stands
        assert stands == CASES[case][-1]


def test_any_two_tellings_are_told_apart() -> None:
    """Of two that differ one stands, always the same one."""
    tellings = tuple(product(Evidence, (0, 1, 2), (0, 1)))
    assert len({standing(*telling) for telling in tellings}) == len(tellings)
