"""The order in which each shipped plugin rings agents, or serves calls, of one small set; written by hand."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from types import MappingProxyType

import pytest

from fsacd.contract import call, call_order, candidate, check_strategy, ring_order
from fsacd.plugins import shipped
from fsacd.plugins.guard import GuardedRankStrategy
from fsacd.strategy import EVERYBODY, Candidate, Ring

STRATEGIES = Path(__file__).parents[2] / "strategies"

# As the engine gives them to a strategy that ranks: longest idle first.
AGENTS = (
    candidate(
        "anna", idle_since_ms=1_000, last_offered_ms=9_000, recent_calls=2.0, recent_talk=7.0, recent_work=9.0,
        skills={"french": 5, "german": 3}, place=2, weight=1,
    ),
    candidate(
        "ben", idle_since_ms=2_000, last_offered_ms=4_000, recent_calls=1.0, recent_talk=8.0, recent_work=8.5,
        skills={"french": 5, "german": 4, "polish": 1}, place=0, weight=100,
    ),
    candidate(
        "cara", idle_since_ms=3_000, last_offered_ms=3_000, recent_calls=3.0, recent_talk=6.0, recent_work=8.0,
        skills={"french": 9, "german": 1, "polish": 9}, place=3, weight=50,
    ),
    candidate(
        "dan", idle_since_ms=4_000, last_offered_ms=5_000, recent_calls=4.0, recent_talk=5.0, recent_work=7.0,
        skills={"french": 5, "german": 1}, place=1, weight=1,
    ),
)  # fmt: skip

# A call that has rung Ben (place 0), in a queue that has rung Dan (place 1) since.
WAITING = call(required={"french": 5, "german": 1}, last_place=0, offers=1)
QUEUE_LAST_PLACE = 1
# What the die shows for Anna, Ben, Cara and Dan. By weight their turns come after 0.51, 0.009, 0.03 and 0.22.
THROWS = (0.4, 0.6, 0.8, 0.2)

ORDERS = MappingProxyType(
    {
        "longest_idle": ["anna", "ben", "cara", "dan"],
        "ring_all": ["anna", "ben", "cara", "dan"],
        "ring_progressive": ["anna", "ben", "cara", "dan"],
        "least_recent": ["cara", "ben", "dan", "anna"],
        "round_robin": ["ben", "dan", "anna", "cara"],
        "round_robin_memory": ["anna", "cara", "ben", "dan"],
        "top_down": ["dan", "anna", "cara", "ben"],
        "fewest_calls": ["ben", "anna", "cara", "dan"],
        "least_talk_time": ["dan", "cara", "anna", "ben"],
        "least_occupied": ["dan", "cara", "ben", "anna"],
        "most_skilled": ["cara", "ben", "anna", "dan"],
        "random": ["dan", "anna", "ben", "cara"],
        "weighted_random": ["ben", "cara", "dan", "anna"],
    }
)
RINGS = MappingProxyType(
    {"ring_all": Ring(EVERYBODY, beyond_best=False), "ring_progressive": Ring(1, one_more_every_ms=10_000)}
)

CALLS = (
    call("early", arrived_ms=1_000),
    call("late", arrived_ms=3_000),
    call("vip", arrived_ms=2_500, head_start_ms=2_000),
    call("urgent", arrived_ms=4_000, priority=1),
)
CALL_ORDERS = MappingProxyType(
    {"by_class": ["urgent", "vip", "early", "late"], "newest_first": ["urgent", "late", "vip", "early"]}
)


class Die:
    """Shows what it is told to."""

    def __init__(self, *throws: float) -> None:
        self._throws = iter(throws)

    def random(self) -> float:
        return next(self._throws)


def order_of(name: str) -> list[str]:
    """What the strategy of this name says about the agents."""
    path = STRATEGIES / f"{name}.py"
    return ring_order(path, AGENTS, waiting=WAITING, queue_last_place=QUEUE_LAST_PLACE, chance=Die(*THROWS))


def ring_of(name: str) -> Ring:
    """How many ring at once by it."""
    return shipped().strategy(name, ()).ring


@pytest.mark.parametrize("name", shipped().names("strategy"))
def test_a_strategy_rings_in_its_order(name: str) -> None:
    """The order for the fixed scenario is as written, and so is how many ring at once."""
    assert (ORDERS[name], RINGS.get(name, Ring())) == (order_of(name), ring_of(name))


@pytest.mark.parametrize("name", shipped().names("call order"))
def test_a_call_order_serves_in_its_order(name: str) -> None:
    """The order for the fixed calls is as written."""
    assert CALL_ORDERS[name] == call_order(STRATEGIES / f"{name}.py", CALLS)


def test_no_two_strategies_can_be_exchanged() -> None:
    """The fixed scenario tells any strategy from any other."""
    does = {name: (order_of(name), ring_of(name)) for name in shipped().names("strategy")}
    assert [pair for pair in combinations(does, 2) if does[pair[0]] == does[pair[1]]] == []


def test_no_two_call_orders_can_be_exchanged() -> None:
    """The fixed calls tell any call order from any other."""
    does = [call_order(STRATEGIES / f"{name}.py", CALLS) for name in shipped().names("call order")]
    assert all(first != second for first, second in pairwise(sorted(does)))


@pytest.mark.parametrize("name", [*shipped().names("strategy"), *shipped().names("call order")])
def test_every_shipped_plugin_keeps_the_contract(name: str) -> None:
    """The kit finds nothing."""
    assert check_strategy(STRATEGIES / f"{name}.py", elsewhere=False) == []


def test_every_shipped_plugin_answers_alike_in_every_process() -> None:
    """The order of sets and the hashes of texts, which differ from process to process, decide nothing."""
    files = [str(path) for path in sorted(STRATEGIES.glob("[!_]*.py"))]
    digests = [
        subprocess.run(
            [sys.executable, "-m", "fsacd.contract", "{}", *files],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == len(files), "each plugin has answers of its own"


@pytest.mark.parametrize("name", ["round_robin_memory", "top_down"])
def test_a_round_begins_at_the_top(name: str) -> None:
    """Where nobody has been rung yet, the first of the list rings."""
    assert ring_order(STRATEGIES / f"{name}.py", AGENTS, waiting=call()) == ["ben", "dan", "anna", "cara"]


def test_a_round_goes_on_behind_one_who_is_not_ready() -> None:
    """The agent rung last need not be among the ready: whoever stands behind his place is next."""
    ready = [agent for agent in AGENTS if agent.agent.agent_id != "dan"]
    assert ring_order(STRATEGIES / "round_robin_memory.py", ready, queue_last_place=1) == ["anna", "cara", "ben"]


def test_who_has_never_been_rung_is_the_least_recent() -> None:
    """A newcomer goes before all who have been rung, the longest idle newcomer first."""
    agents = [*AGENTS, candidate("eve", idle_since_ms=8_000), candidate("finn", idle_since_ms=7_000)]
    assert ring_order(STRATEGIES / "least_recent.py", agents)[:3] == ["finn", "eve", "cara"]


@pytest.mark.parametrize("name", ["fewest_calls", "least_talk_time", "least_occupied"])
def test_who_has_done_nothing_lately_is_first(name: str) -> None:
    """Nothing is less than anything, and of those who have done nothing the longest idle one is first."""
    agents = [*AGENTS, candidate("eve", idle_since_ms=8_000), candidate("finn", idle_since_ms=7_000)]
    assert ring_order(STRATEGIES / f"{name}.py", agents)[:2] == ["finn", "eve"]


def test_most_skilled_counts_all_skills_for_a_call_that_requires_none() -> None:
    """Cara 19, Ben 10, Anna 8, Dan 6."""
    assert ring_order(STRATEGIES / "most_skilled.py", AGENTS) == ["cara", "ben", "anna", "dan"]


def test_weights_are_shares() -> None:
    """Of two, the one with weight 3 rings first three times out of four."""
    agents = [candidate("anna", weight=1), candidate("ben", weight=3)]
    assert 270 <= firsts("weighted_random", agents).count("ben") <= 330


def test_random_prefers_nobody() -> None:
    """Of four, each rings first about as often, whatever his weight."""
    counts = Counter(firsts("random", AGENTS))
    assert all(70 <= counts[one.agent.agent_id] <= 130 for one in AGENTS)


def firsts(name: str, agents: Sequence[Candidate]) -> list[str]:
    """Who rings first in each of 400 decisions."""
    strategy = shipped().strategy(name, ())
    assert isinstance(strategy, GuardedRankStrategy)
    return [strategy.rank(WAITING, agents, random.Random(seed))[0] for seed in range(400)]


def test_ring_all_can_ring_beyond_the_best() -> None:
    """`scope: all` rings every eligible agent."""
    catalogue = shipped()
    assert catalogue.strategy("ring_all", (("scope", "all"),)).ring == Ring(EVERYBODY, beyond_best=True)


def test_ring_progressive_adds_as_often_as_it_is_told() -> None:
    """`every` is a duration."""
    catalogue = shipped()
    parameters = catalogue.read_parameters("strategy", "ring_progressive", {"every": "1500ms"})
    assert catalogue.strategy("ring_progressive", parameters).ring == Ring(1, one_more_every_ms=1_500)
