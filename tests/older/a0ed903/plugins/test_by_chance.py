"""What by_chance promises."""

from __future__ import annotations

from pathlib import Path

from fsacd.contract import candidate, check_strategy, ring_order

PLUGIN = Path(__file__).with_name("by_chance.py")

# As the daemon gives them: longest idle first.
AGENTS = [candidate("anna", idle_since_ms=1_000), candidate("ben", idle_since_ms=2_000), candidate("cara")]


def test_it_keeps_the_contract() -> None:
    """The daemon would load it, and it is as pure as it must be."""
    assert check_strategy(PLUGIN) == []


def test_chance_decides_between_the_first_two() -> None:
    """Either of them comes first now and then, and the third is always last."""
    orders = {tuple(ring_order(PLUGIN, AGENTS, chance=seed)) for seed in range(20)}
    assert orders == {("anna", "ben", "cara"), ("ben", "anna", "cara")}
