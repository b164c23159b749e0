"""End-to-end tests need a FreeSWITCH and SIPp; where they are missing, each test says so and is skipped."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.rig.left import end_all_in
from tests.e2e.rig.phones import find_sipp
from tests.e2e.rig.switch import RealSwitch, find_freeswitch

AGENTS = tuple(str(number) for number in range(1001, 1061))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this directory."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(900))


@contextmanager
def a_place() -> Iterator[Path]:
    """A directory for everything that a test starts; a short path, for the sockets in it."""
    if find_freeswitch() is None:
        pytest.skip("no FreeSWITCH on PATH or in FREESWITCH_PREFIX")
    if find_sipp() is None:
        pytest.skip("no SIPp on PATH")
    with tempfile.TemporaryDirectory(prefix="fsacd-e2e-", ignore_cleanup_errors=True) as place:
        try:
            yield Path(place)
        finally:
            end_all_in(Path(place))


@pytest.fixture
def workplace() -> Iterator[Path]:
    """The same for one test."""
    with a_place() as place:
        yield place


@pytest.fixture
def switch(workplace: Path) -> Iterator[RealSwitch]:
    """A running FreeSWITCH with the agents of the lab."""
    real = RealSwitch(workplace / "freeswitch", AGENTS)
    real.start()
    yield real
    real.stop()


@pytest.fixture
def chance() -> random.Random:
    """The test's dice: the same in every run, unless FSACD_E2E_SEED names others."""
    return random.Random(int(os.environ.get("FSACD_E2E_SEED", "20261122")))
