"""Agents who hold several pieces of work at once: random walks in centres whose queues weigh differently."""

from __future__ import annotations

import random

import pytest

from fsacd.core.engine import Engine
from fsacd.testing import replay
from tests.core import walks
from tests.core.adversary import Adversary
from tests.core.plugins import TestPlugins
from tests.core.test_machine import LONG, QUIET_AFTER_MS


def walk(seed: int, acts: int) -> Adversary:
    """A random walk, the same for the same seed. `Driver` proves the invariants at each step, `Holdings` the rest."""
    dice = random.Random(seed)
    adversary = Adversary(walks.rules_of_chance(dice), shape=walks.weighed)
    adversary.oracle.only_holdings = True
    return walks.walk(walks.at_work(adversary), dice, acts)


@pytest.mark.timeout(7_200 if LONG else 300)
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
    deed, held = walks.deeds(adversary, dice), set()
    for _ in range(300):
        deed()
        if not adversary.oracle.holdings.found:
            held |= {tuple(sorted(work.channel for work in a.work))[:2] for a in adversary.oracle.before.agents}
    return held


def test_an_engine_restored_goes_on_alike() -> None:
    """What agents hold survives a restart: the rest of the walk gives the same."""
    walked = (walk(seed, acts=150) for seed in range(50))
    driver = next(one.driver for one in walked if any(len(agent.work) > 1 for agent in one.oracle.before.agents))
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
