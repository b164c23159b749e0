"""The first bar: three hundred calls over three queues on a real FreeSWITCH, and nothing lost, stuck or miscounted."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from fsacd.core.records import CallOutcome
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller, Media
from tests.e2e.rig.switch import RealSwitch, await_true, free_port
from tests.e2e.rig.window import BridgeWindow

CALLS = 300
LEAVING = 60  # a fifth: half of them after a random time, half inside the bridge window
AGENT_HANG_UPS = 15
QUEUES = ("sales", "support", "billing")
STAYS, LEAVES, KILLED = "49301", "49302", "49303"  # what a caller's number begins with says what they will do
FIRST_RTP = 15000  # below the ports that the kernel gives to other sockets


@dataclass
class Centre:
    """Everything that runs in this test."""

    switch: RealSwitch
    daemon: Daemon
    window: BridgeWindow
    media: Media
    agents: phones.Sipp
    callers: list[phones.Sipp] = field(default_factory=list)
    peak: int = 0


@dataclass
class Victims:
    """Decides which bridges are broken, and on which side."""

    agents_left: int = AGENT_HANG_UPS
    bridges: int = 0

    def choose(self, caller: str, agent: str, api: Callable[[str], str]) -> str | None:
        """The caller, if their number says so; else now and then the agent."""
        self.bridges += 1
        if api(f"uuid_getvar {caller} caller_id_number").startswith(KILLED):
            return caller
        if self.agents_left and self.bridges % 7 == 0:
            self.agents_left -= 1
            return agent
        return None


def plan_callers(chance: random.Random) -> list[Caller]:
    kinds = [LEAVES] * (LEAVING // 2) + [KILLED] * (LEAVING // 2) + [STAYS] * (CALLS - LEAVING)
    chance.shuffle(kinds)
    return [
        Caller(
            number=f"{kind}{index:04}",
            dials=f"queue-{QUEUES[index % len(QUEUES)]}",
            rtp_port=FIRST_RTP + index,
            hang_up_ms=chance.randrange(100, 25_000) if kind == LEAVES else 0,
        )
        for index, kind in enumerate(kinds)
    ]


def plan_agents(chance: random.Random, rtp_port: int) -> tuple[list[str], dict[str, str]]:
    """The lines of the agents whose phones ring, and for every agent the kind of their phone."""
    lines, place = [], {}
    for index in range(40):
        user = str(1001 + index)
        if index < 28:
            place[user] = "ringing"
            lines.append(f"{user};{chance.randrange(200, 1500)};{chance.randrange(1500, 4000)};{rtp_port}")
        elif index < 31:
            place[user] = "ringing"
            lines.append(f"{user};3600000;0;{rtp_port}")  # they never answer
        else:
            place[user] = ("busy", "refusing", "unreachable")[index % 3]
    return lines, place


@pytest.fixture
def centre(workplace: Path, switch: RealSwitch, database: str, chance: random.Random) -> Iterator[Centre]:
    media = Media(FIRST_RTP, CALLS, free_port())
    media.start()
    lines, place = plan_agents(chance, media.agent_port)
    agents = phones.run_agents(workplace / "agents", lines)
    busy = phones.run_rejecting_agents(workplace / "busy", "486 Busy Here")
    refusing = phones.run_rejecting_agents(workplace / "refusing", "603 Decline")
    # Nobody listens on port 1.
    ports = {"ringing": agents.port, "busy": busy.port, "refusing": refusing.port, "unreachable": 1}
    window = BridgeWindow(switch.esl_port, Victims().choose)
    window.start()
    config = {
        "store": {"dsn": database},
        "log": {"level": "info", "format": "json", "number_digits": 32},
        "defaults": {
            "wrap_up": "1s",
            "ring_timeout": "4s",
            "hold_back": {"refused": "5s", "busy": "5s", "no_answer": "5s", "unreachable": "5s"},
        },
        "queues": {queue: {} for queue in QUEUES},
        "agents": {
            user: {
                "contact": f"sofia/trunk/{user}@127.0.0.1:{ports[kind]}",
                "queues": [QUEUES[int(user) % 3], QUEUES[(int(user) + 1) % 3]],
                "login_at_start": True,
            }
            for user, kind in place.items()
        },
    }
    daemon = Daemon(workplace, config, window.port)
    daemon.start()
    centre = Centre(switch, daemon, window, media, agents)
    yield centre
    daemon.stop()
    for sipp in (*centre.callers, agents, busy, refusing):
        sipp.stop()
    window.stop()


def run_all(centre: Centre, workplace: Path, callers: list[Caller]) -> None:
    """Place the calls and wait until all are over, and five seconds more."""
    centre.callers.append(phones.run_callers(workplace / "callers", callers, centre.switch.trunk_port, 15))
    deadline = time.monotonic() + 200
    while centre.callers[0].process.poll() is None:
        assert time.monotonic() < deadline, "the calls are not over in time"
        queues = centre.daemon.get("queues")["queues"]
        centre.peak = max(centre.peak, sum(queue["waiting"] + queue["offered"] for queue in queues))
        time.sleep(0.25)
    time.sleep(5)


def rows(dsn: str, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_three_hundred_calls(centre: Centre, workplace: Path, database: str, chance: random.Random) -> None:
    """Every caller who stays is served and heard; every call is one row; nothing is left behind; the figures agree."""
    callers = plan_callers(chance)
    run_all(centre, workplace, callers)
    await_true(lambda: len(rows(database, "calls")) >= CALLS, 60, "every call has its row")
    calls = rows(database, "calls")
    offers = rows(database, "offers")
    heard = centre.media.stop()
    print_summary(centre, calls, offers)

    assert centre.peak >= 100, "at least a hundred callers wait at the peak"
    check_calls(callers, calls)
    check_sound(callers, calls, heard, cut_off(centre.window, offers))
    check_forced(centre.window, offers)
    check_nothing_left(centre)
    check_agents(centre.agents, offers)
    check_metrics(centre.daemon.metrics(), calls, offers)


def check_calls(callers: list[Caller], calls: list[dict[str, Any]]) -> None:
    """One row per SIPp call, with an outcome of the closed list; who did not hang up was answered."""
    assert Counter(row["number"] for row in calls) == Counter(caller.number for caller in callers)
    assert {row["outcome"] for row in calls} <= {str(outcome) for outcome in CallOutcome}
    stayed = {row["number"]: row["outcome"] for row in calls if row["number"].startswith(STAYS)}
    assert set(stayed.values()) == {"answered"}, {n: o for n, o in stayed.items() if o != "answered"}
    others = {row["outcome"] for row in calls if not row["number"].startswith(STAYS)}
    assert others <= {"answered", "abandoned"}


def cut_off(window: BridgeWindow, offers: list[dict[str, Any]]) -> set[str]:
    """The calls whose talk the test has ended at its beginning, later than it meant to: nothing need be heard there."""
    ended = {forced.agent for forced in window.forced}
    return {row["call_id"] for row in offers if row["outcome"] == "answered" and row["offer_id"] in ended}


def check_sound(
    callers: list[Caller], calls: list[dict[str, Any]], heard: dict[str, dict[int, int]], cut: set[str]
) -> None:
    """Whoever stayed was heard by an agent and heard that agent; nobody heard an answer meant for another caller."""
    answered = [row for row in calls if row["outcome"] == "answered" and row["call_id"] not in cut]
    served = {row["number"] for row in answered if row["number"].startswith(STAYS)}
    expected = {index for index, caller in enumerate(callers) if caller.number in served}
    by_number = {row["number"]: row for row in calls}
    unheard = [by_number[callers[index].number] for index in sorted(expected - heard["by_agent"].keys())]
    assert unheard == [], "callers whom no agent heard"
    deaf = [by_number[callers[index].number] for index in sorted(expected - heard["by_caller"].keys())]
    assert deaf == [], "callers who did not hear their agent"
    assert heard["strangers"] == {}


def check_forced(window: BridgeWindow, offers: list[dict[str, Any]]) -> None:
    """At least twenty hang-ups hit a living leg 0 to 40 ms after the bridge was promised."""
    inside = [forced for forced in window.forced if forced.answer.startswith("+OK") and forced.after_ms <= 40]
    assert len(inside) >= 20
    broken = {forced.agent for forced in inside}
    assert broken <= {offer["offer_id"] for offer in offers}, "a broken bridge left no offer behind"


def check_nothing_left(centre: Centre) -> None:
    """No leg in the switch, no call in the daemon, no agent stuck in one."""
    esl = centre.switch.esl()
    assert "0 total" in esl.api("show channels")
    esl.close()
    assert centre.daemon.get("calls")["calls"] == []
    assert {agent["state"] for agent in centre.daemon.agents().values()} <= {"ready", "held_back", "wrapping_up"}


def check_agents(agents: phones.Sipp, offers: list[dict[str, Any]]) -> None:
    """Each 200 that an agent's phone sent and the switch took is an answered offer, or says why it is none."""
    acked = [found[1] for line in agents.log if (found := re.search(r"\[?([0-9a-f-]{36})\]? answered", line))]
    assert len(acked) == len(set(acked)), "an agent was rung twice for one offer"
    by_id = {offer["offer_id"]: offer for offer in offers}
    odd = {}
    for offer_id in acked:
        offer = by_id[offer_id]
        if offer["outcome"] != "answered" and offer["reason"] not in ("bridge_window", "lost_race"):
            odd[offer_id] = (offer["outcome"], offer["reason"])
    assert odd == {}
    talked = {offer["offer_id"] for offer in offers if offer["outcome"] == "answered"}
    assert talked <= set(acked), "an answered offer that no phone answered"


def check_metrics(metrics: dict[str, float], calls: list[dict[str, Any]], offers: list[dict[str, Any]]) -> None:
    """The metrics say what the rows say."""
    for queue in QUEUES:
        mine = [row["outcome"] for row in calls if row["queue"] == queue]
        for outcome in ("answered", "abandoned"):
            assert metrics[f'fsacd_calls_{outcome}_total{{queue="{queue}"}}'] == mine.count(outcome)
        assert metrics[f'fsacd_calls_offered_total{{queue="{queue}"}}'] == len(mine)
        assert metrics[f'fsacd_calls_waiting{{queue="{queue}"}}'] == 0
    counted = Counter((offer["queue"], offer["outcome"], offer["reason"]) for offer in offers)
    for (queue, outcome, reason), count in counted.items():
        assert metrics[f'fsacd_offers_total{{outcome="{outcome}",queue="{queue}",reason="{reason}"}}'] == count


def print_summary(centre: Centre, calls: list[dict[str, Any]], offers: list[dict[str, Any]]) -> None:
    """What pytest shows with -s or on failure."""
    print("\ncalls:", dict(Counter((row["outcome"], row["detail"]) for row in calls)))
    print("offers:", dict(Counter((row["outcome"], row["reason"]) for row in offers)))
    forced = Counter("caller" if f.victim == f.caller else "agent" for f in centre.window.forced)
    print("peak:", centre.peak, "forced:", dict(forced))
    for line in centre.daemon.log.read_text(encoding="utf-8").splitlines():
        if '"level":"info"' not in line:
            print("log:", line[:400])
