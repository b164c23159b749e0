"""Random faults on a real FreeSWITCH: sixty schedules with seeds that were never used before."""

from __future__ import annotations

from tests.chaos.real.__main__ import main as chaos

SCHEDULES = 60


def main(n: int | None) -> int:
    """Run them; the seeds are printed. 2 where there is no FreeSWITCH."""
    return chaos(["--schedules", str(SCHEDULES if n is None else n)])
