"""Agents who hold several pieces of work at once: random walks in centres whose queues weigh differently."""

from __future__ import annotations

import random
from dataclasses import replace
from types import MappingProxyType

import pytest

from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.rules import Rules
from fsacd.testing import replay
from tests.core.acts import ACTS, WEIGHTS, act
from tests.core.adversary import Adversary
from tests.core.centres import AGENTS, Pick, build_rules
from tests.core.plugins import TestPlugins
from tests.core.test_machine import LONG, QUIET_AFTER_MS, RULES_BITS

# What one of their items takes of an agent. Two of either may be held at once, a phone call beside none.
SHARES = MappingProxyType({"sales": ("chat", 40), "vip": ("mail", 25)})


def weighed(rules: Rules) -> Rules:
    """The same rules, where some queues hold no phone calls."""
    queues = {
        name: replace(queue, channel=SHARES[name][0], weight=SHARES[name][1]) if name in SHARES else queue
        for name, queue in rules.queues.items()
    }
    return replace(rules, queues=MappingProxyType(queues))


def walk(seed: int, acts: int) -> Adversary:
    """A random walk, the same for the same seed. `Driver` proves the invariants at each step, `Holdings` the rest."""
    dice = random.Random(seed)
    adversary = Adversary(build_rules(Pick(dice.getrandbits(RULES_BITS))), shape=weighed)
    adversary.oracle.only_holdings = True
    for agent_id in AGENTS:
        adversary.tell(e.AgentLoggedIn(agent_id, "test"))
    names = [name for name, done in ACTS.items() for _ in range(WEIGHTS[done])]
    for _ in range(acts):
        name = dice.choice(names)
        act(adversary, name, dice.getrandbits(RULES_BITS if name == "rules_change" else 40))
    return adversary


@pytest.mark.timeout(7_200 if LONG else 60)
@pytest.mark.parametrize("seed", range(LONG or 12))
def test_nobody_holds_more_than_they_can(seed: int) -> None:
    """However facts come; and a replay gives the same."""
    adversary = walk(seed, acts=400)
    adversary.wait(QUIET_AFTER_MS)
    driver = adversary.driver
    assert replay(adversary.first_rules, driver.journal, TestPlugins()) == driver.steps


def test_the_walk_reaches_what_it_is_for() -> None:
    """Agents do hold several pieces at once, of one channel and of two."""
    held = set()
    for seed in range(100, 110):
        adversary = walk(seed, acts=0)
        held |= _held_at_once(adversary, random.Random(seed))
    assert {("chat", "chat"), ("chat", "mail"), ("mail", "mail"), ("voice",)} <= held
    assert not any("voice" in channels and len(channels) > 1 for channels in held)


def _held_at_once(adversary: Adversary, dice: random.Random) -> set[tuple[str, ...]]:
    names = [name for name, done in ACTS.items() for _ in range(WEIGHTS[done])]
    held = set()
    for _ in range(300):
        act(adversary, dice.choice(names), dice.getrandbits(40))
        if not adversary.oracle.holdings.found:
            held |= {tuple(sorted(work.channel for work in a.work))[:2] for a in adversary.oracle.before.agents}
    return held


def test_an_engine_restored_goes_on_alike() -> None:
    """What agents hold survives a restart: the rest of the walk gives the same."""
    walks = (walk(seed, acts=150) for seed in range(50))
    driver = next(one.driver for one in walks if any(len(agent.work) > 1 for agent in one.oracle.before.agents))
    first, now_ms = driver.engine, driver.now_ms
    again = Engine.restore(first.dump(), TestPlugins())
    assert again.snapshot(now_ms) == first.snapshot(now_ms)
    for _ in range(100):
        due_ms = first.next_deadline_ms()
        assert due_ms == again.next_deadline_ms()
        if due_ms is None:
            break
        now_ms = max(due_ms, now_ms)
        assert first.advance(now_ms) == again.advance(now_ms)
        again.check()
