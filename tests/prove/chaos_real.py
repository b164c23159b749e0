"""Random faults on a real FreeSWITCH: sixty schedules with seeds that were never used before."""

from __future__ import annotations

from tests.chaos.real.__main__ import main as chaos
from tests.e2e.rig.switch import find_freeswitch
from tests.prove.__main__ import NOT_HERE

SCHEDULES = 60


def main(n: int | None) -> int:
    """Run them; the seeds are printed."""
    if find_freeswitch() is None:
        return NOT_HERE
    return chaos(["--schedules", str(SCHEDULES if n is None else n)])
