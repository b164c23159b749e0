"""The strategies on one fixed cast: each story's rings are written by hand, and no two strategies ring alike."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from fsacd.core.commands import RingAgent
from fsacd.core.events import AgentLoggedIn, CallerGone, OfferEnd, OfferEnded, SwitchConnected
from fsacd.core.rules import Service
from fsacd.plugins import shipped
from fsacd.testing import Driver, agent, queue, queued, rules_of
from tests.core.breaking import PLUGINS
from tests.core.story import OUTCOME_INDENT, retell

STORIES = {
    path.stem.removeprefix("strategy_"): path.read_text()
    for path in sorted((Path(__file__).parent / "scenarios").glob("strategy_*.txt"))
}
SETTING = re.compile(r"strategy=\S+")


def facts(text: str) -> list[str]:
    """What the story gives, without its outcome, its comments and its strategy."""
    lines = (line.partition("#")[0].rstrip() for line in text.splitlines() if not line.startswith(" "))
    return [SETTING.sub("strategy=…", line) for line in lines if line]


@cache
def rings(given: str) -> tuple[str, ...]:
    """Each ring of a story, with the line of its fact."""
    told, fact = [], ""
    for line in retell(given).splitlines():
        if not line.startswith(OUTCOME_INDENT):
            fact = line
        elif "> ring" in line:
            told.append(f"{fact}: {line.strip()}")
    return tuple(told)


def with_strategy(name: str, text: str) -> str:
    """What the story gives, with this strategy, as it is set in its own story."""
    return "\n".join(facts(text)).replace("strategy=…", setting(name))


def setting(name: str) -> str:
    """The strategy's name, with the parameters it has in its story."""
    found = SETTING.search(STORIES[name])
    assert found is not None
    return found[0]


def test_every_strategy_has_a_story() -> None:
    """Each strategy that is shipped has a story on the fixed cast."""
    assert sorted(shipped().names("strategy")) == sorted(STORIES)


def test_the_cast_is_fixed() -> None:
    """The stories of the strategies differ in the strategy alone."""
    expected = facts(STORIES["longest_idle"])
    for text in STORIES.values():
        assert expected == facts(text)


@pytest.mark.parametrize("name", STORIES)
def test_no_other_strategy_tells_its_story(name: str) -> None:
    """With any other strategy in its place, a strategy's story has other rings."""
    assert setting(name).partition("(")[0] == f"strategy={name}"
    expected = rings(with_strategy(name, STORIES[name]))
    assert expected
    for other in STORIES:
        if other != name:
            assert expected != rings(with_strategy(other, STORIES[name])), f"{other} rings like {name}"


def first_rung(strategy: str, calls: int, weights: dict[str, int]) -> Counter[str]:
    """Who rings first for each of many calls, when everybody is ready."""
    agents = [agent(agent_id, ("support", Service(weight=weight))) for agent_id, weight in weights.items()]
    driver = Driver(rules_of(queue("support", strategy=strategy), *agents), PLUGINS, strict=False)
    driver.tell(SwitchConnected("fs1"))
    for agent_id in weights:
        driver.tell(AgentLoggedIn(agent_id, by="test"))
    for number in range(calls):
        driver.tell(queued(f"c{number}", "support", driver.now_ms))
        driver.tell(CallerGone(f"c{number}"))
        driver.tell(OfferEnded(driver.commands_of(RingAgent)[-1].offer_id, OfferEnd.CANCELLED))
    rung = driver.commands_of(RingAgent)
    assert calls == len(rung)
    return Counter(ring.agent_id for ring in rung)


def test_random_is_fair() -> None:
    """Of 800 calls, each of four agents rings for a fourth, give or take four standard deviations."""
    counted = first_rung("random", 800, {"a": 1, "b": 5, "c": 1, "d": 1})
    assert all(abs(counted[agent_id] - 200) < 49 for agent_id in "abcd"), counted


def test_weighted_random_gives_shares() -> None:
    """Of 800 calls, each agent rings for their share of the weights, give or take four standard deviations."""
    counted = first_rung("weighted_random", 800, {"a": 1, "b": 1, "c": 2, "d": 4})
    for agent_id, expected in (("a", 100), ("b", 100), ("c", 200), ("d", 400)):
        share = expected / 800
        assert abs(counted[agent_id] - expected) < 4 * (800 * share * (1 - share)) ** 0.5, counted
