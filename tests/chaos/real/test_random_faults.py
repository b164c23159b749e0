"""Some schedules of the bench in every run; `make chaos SEED=… N=…` runs as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fsacd.store.embedded import EmbeddedPostgres
from tests.chaos.real.schedule import Schedule
from tests.e2e.conftest import a_place

# The first breaks database, wall clock and link, the second kills and disturbs one of two daemons.
SEEDS = (3, 6)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for one schedule."""
    with a_place() as place:
        yield place


@pytest.mark.parametrize("seed", SEEDS)
def test_no_schedule_of_faults_costs_anybody_anything(seed: int, place: Path, postgres: EmbeddedPostgres) -> None:
    """One outcome for each call, one live offer for each agent, no leg in limbo, the order as it was, replay exact."""
    verdict = Schedule(seed, place, postgres).run()
    print(f"\n{verdict}")
    assert verdict.faults == ()
    assert verdict.outcomes["answered"] > verdict.callers / 2, "callers have been served"
    assert verdict.wishes.total() > 0, "agents have held, asked, handed over and given away"
    assert verdict.differences.by_kind["talk"], "history was compared with what the switch said"
