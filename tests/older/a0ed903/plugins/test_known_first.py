"""What known_first promises."""

from __future__ import annotations

from pathlib import Path

from fsacd.contract import call, call_order, check_strategy

PLUGIN = Path(__file__).with_name("known_first.py")


def test_it_keeps_the_contract() -> None:
    """The daemon would load it, and it is as pure as it must be."""
    assert check_strategy(PLUGIN) == []


def test_a_known_customer_overtakes_within_his_class() -> None:
    """Class before customer before arrival."""
    calls = [
        call("stranger", arrived_ms=1_000),
        call("customer", arrived_ms=2_000, customer="acme"),
        call("urgent", arrived_ms=3_000, priority=1),
    ]
    assert call_order(PLUGIN, calls) == ["urgent", "customer", "stranger"]
