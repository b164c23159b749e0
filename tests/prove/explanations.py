"""Explanations: 10,000 decisions of random days that were never lived before, each compared with the oracle's."""

from __future__ import annotations

import secrets

from tests.core.test_explain import judge

DECISIONS = 10_000
# As many as a few days have.
_OF_ONE = 500


def main(n: int | None) -> int:
    """Explain them; the first day is printed, by which they can be explained again."""
    first_day = secrets.randbelow(2**31)
    decisions = DECISIONS if n is None else _OF_ONE * n
    print(f"{decisions} decisions from day {first_day} on", flush=True)
    judge(decisions, first_day)
    return 0
