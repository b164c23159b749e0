"""Standing legs in hostile days: facts in any order, late, doubled and of nobody, beside wishes, talks and switches.

After each step the engine proves its invariants, among them that each state of a leg has its deadline; at the end all
is let to settle, and each agent at work has a leg that stands, or is not ready.
"""

from __future__ import annotations

import random

import pytest

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core.engine import Engine
from fsacd.core.rules import AgentRules, Limits, PhoneRules, QueueRules, Rules, Service
from fsacd.testing import Driver
from tests.core.breaking import PLUGINS

AGENTS = ("1001", "1002")
STEPS = 300


def rules(*, stands: bool = True) -> Rules:
    phone = PhoneRules(media_timeout_ms=5_000)
    agents = {
        agent_id: AgentRules(
            agent_id,
            contact=f"user/{agent_id}",
            switch="fs1",
            queues={"support": Service()},
            phone=phone,
            standing_leg=stands or agent_id == "1002",
        )
        for agent_id in AGENTS
    }
    return Rules({"support": QueueRules("support", wrap_up_ms=1_000)}, agents, Limits())


class Day:
    """One day by one die: what the switch was told, so that its facts are mostly of what there is."""

    def __init__(self, seed: int) -> None:
        self.die = random.Random(seed)
        self.driver = Driver(rules(), PLUGINS)
        self.rung: list[tuple[str, str]] = [("1001", "leg-of-nobody")]
        self.offers: list[str] = []
        self.calls = 0
        self.shown = 0

    def step(self) -> None:
        self.driver.tell(self.fact())
        self.driver.wait_until(self.driver.now_ms + self.die.choice((0, 10, 300, 1_100, 4_000, 60_000)))
        self.look()

    def look(self) -> None:
        for step in self.driver.steps[self.shown :]:
            for command in step.commands:
                if isinstance(command, k.RingStandingLeg):
                    self.rung.append((command.agent_id, command.leg))
                elif isinstance(command, k.RingAgent):
                    self.offers.append(command.offer_id)
                    assert command.standing_leg or command.agent_id == "1001", "who has a standing leg is not rung"
        self.shown = len(self.driver.steps)
        self.driver.engine.check()

    def fact(self) -> e.Event:
        die, agent_id = self.die, self.die.choice(AGENTS)
        whose, leg = die.choice(self.rung[-4:])
        where = e.Leg("fs1", leg)
        offer = die.choice(self.offers[-3:] or ["0" * 8 + "-0000-5000-8000-000000000000"])
        call_id = f"call-{max(0, self.calls - die.randrange(3))}"
        return die.choice(
            (
                lambda: e.StandingLegUp(whose, where, die.random() < 0.5),
                lambda: e.StandingLegUp(whose, where, back=True),
                lambda: e.StandingLegEnded(where, "NORMAL_CLEARING", die.random() < 0.3, die.random() < 0.8),
                lambda: e.StandingLegUp(agent_id, e.Leg("fs1", f"stranger-{die.randrange(3)}"), back=True),
                lambda: e.AgentLoggedIn(agent_id, "test", die.choice((None, None, "user/desk"))),
                lambda: e.AgentLoggedIn(agent_id, "test"),
                lambda: e.AgentLoggedOut(agent_id, "test"),
                lambda: e.AgentSetReady(agent_id, "test"),
                lambda: e.AgentSetNotReady(agent_id, "test", "lunch"),
                self.next_call,
                self.next_call,
                lambda: e.OfferAnswered(offer, "fs1"),
                lambda: e.OfferConnected(offer),
                lambda: e.OfferConnected(offer),
                lambda: e.OfferEnded(offer, e.OfferEnd.HUNG_UP),
                lambda: e.OfferEnded(offer, e.OfferEnd.CANCELLED),
                lambda: e.CallerGone(call_id, "NORMAL_CLEARING"),
                lambda: e.OutsideCallStarted(agent_id, e.Leg("fs1", f"own-{agent_id}")),
                lambda: e.OutsideCallEnded(agent_id, e.Leg("fs1", f"own-{agent_id}")),
                lambda: die.choice((e.SwitchConnected, e.SwitchConnected, e.SwitchLost, e.SwitchRestarted))("fs1"),
                lambda: die.choice((e.SwitchTaken, e.SwitchConnected))("fs1"),
                lambda: e.RulesChanged(rules(stands=die.random() < 0.7)),
            )
        )()

    def next_call(self) -> e.Event:
        self.calls += 1
        call_id = f"call-{self.calls}"
        return e.CallQueued(call_id, "support", self.driver.now_ms, e.Leg("fs1", f"leg-{call_id}"))


@pytest.mark.parametrize("seed", range(12))
def test_a_hostile_day(seed: int) -> None:
    day = Day(seed)
    day.driver.tell(e.SwitchConnected("fs1"))
    for _ in range(STEPS):
        day.step()
    restored = Engine.restore(day.driver.engine.dump(), PLUGINS)
    restored.check()
    assert restored.dump() == day.driver.engine.dump()


@pytest.mark.parametrize("seed", range(4))
def test_it_settles(seed: int) -> None:
    """When the switch does what it is told, every agent's leg stands in the end."""
    day = Day(seed)
    for _ in range(STEPS):
        day.step()
    driver = day.driver
    done = len(driver.steps)
    driver.tell(e.RulesChanged(rules()))
    driver.tell(e.SwitchRestarted("fs1"))
    driver.tell(e.SwitchConnected("fs1"))
    for agent_id in AGENTS:
        driver.tell(e.OutsideCallEnded(agent_id, e.Leg("fs1", f"own-{agent_id}")))
        driver.tell(e.AgentLoggedIn(agent_id, "test"))
    for _ in range(20):
        driver.wait_until(driver.now_ms + 1_000)
        told, done = driver.steps[done:], len(driver.steps)
        for step in told:
            for command in step.commands:
                if isinstance(command, k.RingStandingLeg):
                    driver.tell(e.StandingLegUp(command.agent_id, e.Leg("fs1", command.leg), back=True))
                elif isinstance(command, k.EndStandingLeg):
                    driver.tell(e.StandingLegEnded(e.Leg("fs1", command.leg), "NORMAL_CLEARING"))
    agents = driver.engine.snapshot(driver.now_ms).agents
    assert {agent.agent_id: (agent.standing_leg, agent.state) for agent in agents} == dict.fromkeys(
        AGENTS, ("stands", "ready")
    )
