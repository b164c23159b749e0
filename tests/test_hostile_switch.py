"""The whole daemon with two switches, one of which turns hostile. `make prove` does it with every kind, by time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.prove.hostile_switch import LINES_A_MINUTE, MEMORY_MB, Site, must_be_told, site

_MIB = 1024 * 1024
_DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def at() -> Iterator[Site]:
    with site() as made:
        yield made


def _until_spent(at: Site) -> Callable[[], bool]:
    """For `look`: until all is said, or for so long as no sound run takes."""
    end = time.monotonic() + _DEADLINE_S

    def goes_on() -> bool:
        assert time.monotonic() < end, "the bad switch could not say all that it was to say"
        return not at.is_spent()

    return goes_on


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "most_bytes", "most_connections"),
    [
        ("a number for a name", 1_000 * _MIB, 4),
        ("legs with names of 900 KiB", 24 * _MIB, 1_000),
        ("4,000,000 empty lists", 48 * _MIB, 1_000),
        ("an event of 12 MiB", 48 * _MIB, 1_000),
        ("a flood of announcements without sense", 4 * _MIB, 1_000),
        ("another protocol", 1_000 * _MIB, 2),
        ("numbers of twenty digits", 200, 1_000),
        ("a list of many large legs", 48 * _MIB, 1_000),
    ],
)
def test_a_hostile_switch_harms_nobody_else(kind: str, most_bytes: int, most_connections: int, at: Site) -> None:
    """The memory has a bound, the other switch stays in sync, the log says it once, and all is well when it ends."""
    at.turn(kind, most_bytes, most_connections)
    seen = at.look(kind, _until_spent(at))
    assert seen.memory_mb < MEMORY_MB
    assert seen.good_out_of_sync == 0
    assert seen.log_lines <= LINES_A_MINUTE
    assert seen.told or not must_be_told(kind)
