"""The engine against a hostile switch, judged by an oracle that shares no code with it.

FSACD_LONG=1000 tries so many longer stories of each kind (minutes); --hypothesis-seed repeats a run.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fsacd.core import events as e
from fsacd.core.records import CallOutcome, OfferOutcome
from fsacd.core.views import Snapshot, WhyNot
from fsacd.testing import replay
from tests.core import walks
from tests.core.acts import ACTS, WEIGHTS, act
from tests.core.adversary import Adversary
from tests.core.centres import AGENTS, SWITCHES, Pick, build_rules
from tests.core.plugins import TestPlugins
from tests.core.walks import RULES_BITS

LONG = int(os.environ.get("FSACD_LONG", "0"))
NUMBERS = st.integers(min_value=0, max_value=2**40)
RULES = st.integers(min_value=0, max_value=2**RULES_BITS)

# The longest chain of deadlines: ring, cancel until given up, hold-back or wrap-up, with room to spare.
QUIET_AFTER_MS = 120_000


def begin(rules_number: int) -> Adversary:
    """An adversary with the oracle beside it, and all agents at work."""
    return walks.at_work(Adversary(build_rules(Pick(rules_number))))


def transient(snapshot: Snapshot) -> set[tuple[object, ...]]:
    """Whatever must not last: each with what tells it from a later one of its kind."""
    calls = {("call", c.call_id, c.state, c.offers) for c in snapshot.calls if c.state in {"offered", "connecting"}}
    agents = {
        ("agent", a.agent_id, a.state, a.since_ms)
        for a in snapshot.agents
        if a.state in {"offered", "wrapping_up", "held_back"}
    }
    offers = {("offer", one.offer_id) for one in snapshot.offers if one.state != "talking"}
    return calls | agents | offers


def finish(adversary: Adversary) -> None:
    """All facts stop: each transient state ends, and with the agents gone home no deadline is left."""
    driver = adversary.driver
    for switch in SWITCHES:
        adversary.tell(e.SwitchConnected(switch))
    before = transient(driver.engine.snapshot(driver.now_ms))
    adversary.wait(QUIET_AFTER_MS)
    lasting = before & transient(driver.engine.snapshot(driver.now_ms))
    assert not lasting, f"still there after {QUIET_AFTER_MS} ms of silence: {lasting}"
    for agent_id in AGENTS:
        adversary.tell(e.AgentLoggedOut(agent_id, "test"))
    adversary.wait(QUIET_AFTER_MS)
    assert transient(driver.engine.snapshot(driver.now_ms)) == set()
    adversary.oracle.all_over()
    assert replay(adversary.first_rules, driver.journal, TestPlugins()) == driver.steps


class Machine(RuleBasedStateMachine):
    """Each rule is one act of the adversary."""

    def __init__(self) -> None:
        super().__init__()
        self.adversary: Adversary | None = None

    @initialize(number=RULES)
    def begin(self, number: int) -> None:
        self.adversary = begin(number)

    def _act(self, name: str, number: int) -> None:
        assert self.adversary is not None
        act(self.adversary, name, number)

    def teardown(self) -> None:
        if self.adversary is not None:
            finish(self.adversary)


def _rule(name: str) -> object:
    def doing(self: Machine, number: int) -> None:
        self._act(name, number)

    doing.__name__ = doing.__qualname__ = name
    return rule(number=RULES if name == "rules_change" else NUMBERS)(doing)


for _name in ACTS:
    setattr(Machine, _name, _rule(_name))
    # Hypothesis draws rules evenly; what makes calls move on is needed more often.
    for _copy in range(2, 1 + min(3, WEIGHTS[ACTS[_name]])):
        setattr(Machine, f"{_name}_{_copy}", _rule(_name))

TestMachine = Machine.TestCase
# Long enough for Hypothesis to find the shortest story of a fault.
pytest.mark.timeout(7_200 if LONG else 300)(TestMachine)
TestMachine.settings = settings(
    max_examples=LONG or 60,
    stateful_step_count=120 if LONG else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def walk(seed: int, acts: int) -> Adversary:
    """A random walk, the same for the same seed."""
    dice = random.Random(seed)
    return walks.walk(begin(dice.getrandbits(RULES_BITS)), dice, acts)


@pytest.mark.timeout(7_200 if LONG else 300)
@pytest.mark.parametrize("seed", range(LONG or 8))
def test_random_walk(seed: int) -> None:
    """However facts come, every promise of the engine holds at each step."""
    finish(walk(seed, acts=400))


def test_the_walk_reaches_what_it_is_for() -> None:
    """The adversary is not idle: calls and offers end in each way there is."""
    missing: set[object] = {*CallOutcome, *OfferOutcome, WhyNot.SWITCH}
    missing |= {"talk", "bridge_window", "lost_race", "caller_gone", "busy", "switch_restarted", "switch_gone"}
    for seed in range(100, 116):
        adversary = walk(seed, acts=400)
        records = [record for step in adversary.driver.steps for record in step.records]
        missing -= {getattr(record, "outcome", None) for record in records}
        missing -= {str(getattr(record, "reason", "")) for record in records}
        missing -= {one.why for told in adversary.oracle.explained.values() for one in told.rejected}
        if not missing:
            return
    pytest.fail(f"never met: {missing}")


def fingerprint(seed: int) -> str:
    """Everything that came of a walk, as one number."""
    return hashlib.sha256(repr(walk(seed, acts=250).driver.steps).encode()).hexdigest()


def test_hash_seed_changes_nothing() -> None:
    """The same facts give the same commands under two PYTHONHASHSEEDs."""
    program = "from tests.core.test_machine import fingerprint; print(*(fingerprint(seed) for seed in range(3)))"
    prints = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert prints[0] == prints[1]
