from pathlib import Path

from fsacd.contract import call, candidate, check_strategy, ring_order

PLUGIN = Path(__file__).with_name("by_region.py")


def test_it_keeps_the_contract() -> None:
    assert check_strategy(PLUGIN) == []


def test_a_native_speaker_rings_first() -> None:
    agents = [candidate("anna", skills={"french": 6}), candidate("ben", idle_since_ms=9_000, skills={"french": 10})]
    assert ring_order(PLUGIN, agents, waiting=call(required={"french": 5})) == ["ben", "anna"]
