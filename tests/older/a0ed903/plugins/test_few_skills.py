"""What few_skills promises."""

from __future__ import annotations

from pathlib import Path

from fsacd.contract import candidate, check_strategy, ring_order

PLUGIN = Path(__file__).with_name("few_skills.py")

ANNA = candidate("anna", idle_since_ms=1_000, skills={"english": 5, "french": 8})
BEN = candidate("ben", idle_since_ms=3_000, skills={"english": 5})
CARA = candidate("cara", idle_since_ms=2_000, skills={"english": 9})


def test_it_keeps_the_contract() -> None:
    """The daemon would load it, and it is as pure as it must be."""
    assert check_strategy(PLUGIN) == []


def test_who_knows_least_rings_first() -> None:
    """Fewest skills, then longest idle."""
    assert ring_order(PLUGIN, [ANNA, BEN, CARA]) == ["cara", "ben", "anna"]


def test_a_parameter_as_the_configuration_gives_it() -> None:
    """With `most: 1` everybody counts alike, and the longest idle one rings first."""
    assert ring_order(PLUGIN, [ANNA, BEN, CARA], parameters={"most": "1"}) == ["anna", "cara", "ben"]
