"""Random faults on the simulated switch: a thousand schedules with seeds that were never used before."""

from __future__ import annotations

from tests.chaos.__main__ import main as chaos

SCHEDULES = 1_000


def main(n: int | None) -> int:
    """Run them; the seeds are printed."""
    return chaos(["--schedules", str(SCHEDULES if n is None else n)])
