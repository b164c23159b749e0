"""Each strategy on a real switch: whose phones get INVITEs, in which order.

The orders are written by hand, but for two strategies that go by time: how much of it a talk or a ring takes, and
therefore who is next, depends on how busy the machine is. Their phones must ring as the daemon's own history demands.

The story is the one of tests/core/scenarios/strategy_*.txt in seconds instead of minutes, told for all strategies at
once: each has a queue, six agents and five callers of its own. The agents have worked before, each at a desk where they
alone take calls, so that every strategy sees them in another order:

    talk ended last        1004 1002 1005 1003 1001
    rung last              1002 1003 1001 1004 1005
    calls answered         1002 1005 1001 1003 1004 (1, 2, 4, 5, 6)
    time talked            1005 1004 1001 1003 1002
    time not idle          1001 1004 1003 1002 1005
    french and german      1003 1001 1005 1002 1004

1006 can do more than any of them and has done nothing yet, but is of rank 2. A busy machine may change the order of the
two that are times.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gevent
import psycopg
import pytest
from gevent.event import Event

from fsacd.plugins import shipped
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.floor import SETTLE, Floor
from tests.e2e.rig.switch import RealSwitch, await_true

# Anna is refused by everybody of the first rank, and gives up. Bert and Cora talk with the first who rings. Dora comes
# while 1001 has a break, and is refused when 1001 is back. Phones that ring together stand in brackets, by number: the
# switch makes their INVITEs in threads of its own.
ORDERS = MappingProxyType(
    {
        "longest_idle": "anna 1004 1002 1005 1003 1001 1006, bert 1004, cora 1002, dora 1005 1003",
        "least_recent": "anna 1002 1003 1001 1004 1005 1006, bert 1002, cora 1003, dora 1004 1001",
        "round_robin": "anna 1001 1002 1003 1004 1005 1006, bert 1001, cora 1001, dora 1002 1001",
        "round_robin_memory": "anna 1001 1002 1003 1004 1005 1006, bert 1001, cora 1002, dora 1003 1004",
        "top_down": "anna 1001 1002 1003 1004 1005 1006, bert 1001, cora 1001, dora 1002 1003",
        "fewest_calls": "anna 1002 1005 1001 1003 1004 1006, bert 1002, cora 1005, dora 1002 1005",
        "most_skilled": "anna 1003 1001 1005 1002 1004 1006, bert 1003, cora 1003, dora 1003 1001",
        "ring_all": (
            "anna [1001 1002 1003 1004 1005] 1006, bert [1001 1002 1003 1004 1005], "
            "cora [1001 1002 1003 1004 1005], dora [1002 1003 1004 1005] 1001"
        ),
        "ring_progressive": "anna 1004 1002 1005 1003 1001 1006, bert 1004, cora 1002, dora 1005 1003",
    }
)
# Here the time decides that agents have spent in these states: who has spent the least is next.
BY_TIME = MappingProxyType(
    {"least_talk_time": ("talking",), "least_occupied": ("offered", "talking", "wrapping_up")},
)
# History knows the milliseconds. What has been fades, but with the longest half-life hardly within minutes.
HALF_LIFE, ALIKE_S = "30d", 0.02
# Here chance decides, but never that 1006 rings while one of the first rank may, nor that a phone rings twice.
BY_CHANCE = ("random", "weighted_random")
STRATEGIES = (*ORDERS, *BY_TIME, *BY_CHANCE)
RANK_1 = ("1001", "1002", "1003", "1004", "1005")
GERMAN = MappingProxyType({"1001": 9, "1002": 7, "1003": 10, "1004": 6, "1005": 8})


@dataclass(frozen=True)
class Before:
    """What an agent has done before, in seconds: when it began, how many calls, each talk, each wrap-up."""

    at_s: float
    calls: int
    talk_s: float
    wrap_up_s: float


# In the order in which their last talks end.
HISTORY = MappingProxyType(
    {
        "1004": Before(0.0, 6, 0.5, 0.7),
        "1002": Before(0.0, 1, 0.0, 0.0),
        "1005": Before(0.0, 2, 0.4, 10.0),
        "1003": Before(4.4, 5, 1.0, 0.8),
        "1001": Before(8.0, 4, 0.8, 0.0),
    }
)
# By how much they have talked longer than 1004, who is the first to be done, in seconds. A talk is never as short as it
# was meant on a busy machine, and six talks grow more than four: so the last one goes on until the sum is right.
LONGER_THAN_1004_S = MappingProxyType({"1001": 1.2, "1003": 2.5, "1002": 8.0})
# Whose phones have rung last, unanswered.
RUNG_AFTERWARDS = ("1004", "1005")

SHORT_TALK_S = 0.4
# For how long an agent has been in some states, in seconds, and whether history has all up to their present state.
SPENT = """
    SELECT coalesce(extract(epoch FROM sum(ended_at - started_at) FILTER (WHERE state = ANY(%s))), 0)::float,
           coalesce(max(ended_at), '-infinity') >= %s::timestamptz - interval '5 ms'
    FROM agent_states WHERE agent_id = %s
"""
# History is written beside the calls, whenever there is time.
TOLD_S = 60.0

# What chance gives to one of two agents in so many calls, with these weights. It falls outside these bounds once in ten
# thousand runs, and inside those of the other strategy once in two hundred.
DRAWS = 80
HEAVY, LIGHT = 5, 1
SHARES = MappingProxyType({"random": range(23, 58), "weighted_random": range(52, 80)})


def queues_and_agents() -> dict[str, Any]:
    """For each strategy a queue, six agents and their desks; and for those of chance two agents more."""
    queues: dict[str, Any] = {}
    agents: dict[str, Any] = {}
    for name in STRATEGIES:
        strategy = {"name": name, "every": "1s"} if name == "ring_progressive" else name
        queues[name] = {"strategy": strategy, "required_skills": {"french": 3, "german": 3}}
        for number, before in HISTORY.items():
            queues[f"{name}_desk_{number}"] = {"wrap_up": f"{before.wrap_up_s * 1_000:g}ms"}
        for number in RANK_1:
            serves = [name, f"{name}_desk_{number}"]
            skills = {"french": 4, "german": GERMAN[number]}
            agents[f"{name}.{number}"] = {"queues": serves, "skills": skills, "login_at_start": True}
        expert = {"french": 9, "german": 9}
        agents[f"{name}.1006"] = {"queues": {name: 2}, "skills": expert, "login_at_start": True}
    for name in BY_CHANCE:
        queues[f"{name}_draw"] = {"strategy": name}
        for who, weight in (("heavy", HEAVY), ("light", LIGHT)):
            serves_as = {f"{name}_draw": {"weight": weight}}
            agents[f"{name}.{who}"] = {"queues": serves_as, "login_at_start": True}
    return {"queues": queues, "agents": agents}


@pytest.fixture
def floor(workplace: Path, switch: RealSwitch, database: str) -> Iterator[Floor]:
    config: dict[str, Any] = {
        "store": {"dsn": database},
        "limits": {"settle": SETTLE, "counters_half_life": HALF_LIFE},
        "defaults": {"wrap_up": "0s", "ring_timeout": "60s", "hold_back": {"refused": "10m"}},
        **queues_and_agents(),
    }
    floor = Floor(workplace, switch, config)
    floor.start()
    yield floor
    floor.stop()


# It only ends what hangs: how long the stories take is the machine's affair.
@pytest.mark.timeout(900)
def test_every_strategy_rings_in_its_order(floor: Floor, database: str) -> None:
    """The INVITEs go out as written or as history demands; chance keeps to ranks and, over many calls, to weights."""
    stories = {name: Story(floor, name, index, database) for index, name in enumerate(STRATEGIES)}
    assert sorted(stories) == list(shipped().names("strategy"))
    tellers = [gevent.spawn_later(index * 0.1, story.tell) for index, story in enumerate(stories.values())]
    draws = {name: gevent.spawn(draw, floor, name, number) for number, name in enumerate(BY_CHANCE)}
    gevent.joinall([*tellers, *draws.values()], raise_error=True)
    told = {name: str(story) for name, story in stories.items()}
    assert dict(ORDERS) == {name: told[name] for name in ORDERS}
    for name in BY_TIME:
        print(f"{name}: {told[name]}")
        stories[name].check_by_time()
    for name in BY_CHANCE:
        anna = stories[name].callers["anna"]
        assert sorted(anna[:5]) == list(RANK_1), told[name]
        assert anna[5:] == ["1006"], told[name]
        firsts = draws[name].get()
        print(f"{name}: of {DRAWS} calls {firsts} to the agent with weight {HEAVY} to {LIGHT}; {told[name]}")
        assert firsts in SHARES[name]


def draw(floor: Floor, name: str, number: int) -> int:
    """How many of the calls ring the agent of great weight first."""
    for index in range(DRAWS):
        caller = f"49309{number}{index:03}"
        floor.call(caller, f"{name}_draw")
        floor.ring(caller)
        floor.gives_up(caller)
    firsts = [floor.rings_for(f"49309{number}{index:03}")[0].user for index in range(DRAWS)]
    return firsts.count(f"{name}.heavy")


class Story:
    """One strategy's."""

    def __init__(self, floor: Floor, name: str, index: int, database: str) -> None:
        self._floor = floor
        self._database = database
        self._name = name
        self._prefix = f"4930{index:02}"
        # Who was rung for each caller; those who rang together stand in brackets.
        self.callers: dict[str, list[str]] = {}
        # With a strategy that goes by time: how much each agent had spent when the caller called, in seconds.
        self.spent_s: dict[str, dict[str, float]] = {}
        self._worked = {agent: Event() for agent in HISTORY}
        self._talked_s = dict.fromkeys(HISTORY, 0.0)

    def __str__(self) -> str:
        return ", ".join(f"{caller} {' '.join(rung)}" for caller, rung in self.callers.items())

    def tell(self) -> None:
        """Work for a while, then take the four calls."""
        gevent.joinall([gevent.spawn(self._works, *each) for each in HISTORY.items()], raise_error=True)
        self._all_ready()
        for agent in RUNG_AFTERWARDS:
            self._floor.call(number := f"{self._prefix}9{agent}", f"{self._name}_desk_{agent}")
            self._floor.ring(number)
            self._floor.gives_up(number)
        self._all_ready()
        self._anna()
        for caller in ("bert", "cora"):
            self._talks(caller)
        self._dora()

    def _works(self, agent: str, before: Before) -> None:
        time.sleep(before.at_s)
        for count in range(before.calls):
            last = count == before.calls - 1
            # 1002 has but one talk: its end must wait, not its beginning.
            if last and agent != "1002":
                self._before(agent).wait()
            number = f"{self._prefix}{agent}{count}"
            self._floor.call(number, f"{self._name}_desk_{agent}")
            ring = self._floor.ring(number)
            assert ring.user == f"{self._name}.{agent}"
            self._floor.talk(ring)
            if last and agent == "1002":
                self._before(agent).wait()
            talk_s = before.talk_s
            if last and agent in LONGER_THAN_1004_S:
                talk_s = self._talked_s["1004"] + LONGER_THAN_1004_S[agent] - self._talked_s[agent]
            self._floor.hang_up(ring, talk_s)
            # The next one's last talk must end later by the daemon's word, too.
            self._floor.leaves("talking", ring.user)
            self._talked_s[agent] += ring.over_s - ring.answered_s
        self._worked[agent].set()

    def _before(self, agent: str) -> Event:
        """Set when the last talk of the one before has ended: long ago, unless the machine was held up."""
        place = list(HISTORY).index(agent)
        if place == 0:
            (nobody := Event()).set()
            return nobody
        return self._worked[list(HISTORY)[place - 1]]

    def _answers_and_talks(self, ring: Dialog, talk_s: float) -> None:
        self._floor.talk(ring)
        self._floor.hang_up(ring, talk_s)

    def _anna(self) -> None:
        number = self._calls("anna", 1)
        rung = 0
        while rung <= len(RANK_1):
            together = self._rung_together(number, rung)
            if self._name == "ring_progressive" and rung == 0:
                # Nobody answers; after a second two shall ring, and go on to.
                self._floor.ring(number, 2)
            self._note("anna", together)
            rung += len(together)
            if rung <= len(RANK_1):
                for ring in together:
                    self._floor.phones.refuse(ring)
        self._gives_up("anna")

    def _talks(self, caller: str) -> None:
        number = self._calls(caller, 2 if caller == "bert" else 3)
        together = self._rung_together(number, 0)
        self._note(caller, together)
        first = min(together, key=lambda ring: ring.user)
        self._answers_and_talks(first, SHORT_TALK_S)
        self._all_ready()

    def _dora(self) -> None:
        self._floor.daemon.post(f"agents/{self._name}.1001/not-ready")
        number = self._calls("dora", 4)
        together = self._rung_together(number, 0, of=len(RANK_1) - 1)
        self._note("dora", together)
        self._floor.daemon.post(f"agents/{self._name}.1001/ready")
        if len(together) == 1:
            self._floor.phones.refuse(together[0])
        self._note("dora", self._rung_together(number, len(together), of=1))
        self._gives_up("dora")

    def _calls(self, caller: str, digit: int) -> str:
        self.callers[caller] = []
        if self._name in BY_TIME:
            self.spent_s[caller] = self._spent_s()
        self._floor.call(number := f"{self._prefix}{digit}", self._name)
        return number

    def _spent_s(self) -> dict[str, float]:
        """For how long each agent of the first rank has been in the states that count, by history up to now."""
        with psycopg.connect(self._database, autocommit=True) as history:
            return {number: self._spent_by(history, f"{self._name}.{number}") for number in RANK_1}

    def _spent_by(self, history: psycopg.Connection, agent: str) -> float:
        since = self._floor.daemon.agents()[agent]["since_at"]
        told: list[tuple[float, bool]] = []

        def is_complete() -> bool:
            told[:] = history.execute(SPENT, (list(BY_TIME[self._name]), since, agent)).fetchall()
            return told[0][1]

        await_true(is_complete, TOLD_S, f"history has all that {agent} has done")
        return told[0][0]

    def check_by_time(self) -> None:
        """Each time the phone of somebody rings who has spent no more time than any other who could be rung."""
        for caller, rung in self.callers.items():
            spent_s, left = self.spent_s[caller], set(RANK_1)
            for place, agent in enumerate(rung[: len(RANK_1)]):
                # Dora comes while 1001 has a break, which ends before the second ring.
                could = left - {"1001"} if caller == "dora" and place == 0 else left
                assert agent in could, f"{self._name}: {agent} for {caller}: {rung}"
                least_s = min(spent_s[other] for other in could)
                assert spent_s[agent] <= least_s + ALIKE_S, f"{self._name}: {agent} for {caller}: {rung}, {spent_s}"
                left.remove(agent)
        assert self.callers["anna"][len(RANK_1) :] == ["1006"], f"{self._name}: {self}"

    def _gives_up(self, caller: str) -> None:
        digit = {"anna": 1, "dora": 4}[caller]
        self._floor.gives_up(f"{self._prefix}{digit}")
        self._all_ready()

    def _rung_together(self, number: str, so_far: int, of: int = len(RANK_1)) -> list[Dialog]:
        """The next ring; with ring_all the next ones, as long as agents of the first rank are left."""
        count = of if self._name == "ring_all" and so_far == 0 else 1
        self._floor.ring(number, so_far + count)
        return self._floor.rings_for(number)[so_far : so_far + count]

    def _note(self, caller: str, rings: list[Dialog]) -> None:
        names = sorted(ring.user.partition(".")[2] for ring in rings)
        self.callers[caller].append(" ".join(names) if len(names) == 1 else f"[{' '.join(names)}]")

    def _all_ready(self) -> None:
        """Nobody works any more, and who has refused is ready again by their own word: no clock says when."""
        states = self._floor.states()
        for agent in (f"{self._name}.{number}" for number in (*RANK_1, "1006")):
            if states[agent] == "held_back":
                self._floor.daemon.post(f"agents/{agent}/ready")
        self._floor.becomes("ready", *(f"{self._name}.{number}" for number in (*RANK_1, "1006")))
