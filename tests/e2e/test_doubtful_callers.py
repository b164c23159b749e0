"""Callers who are not who they say they are, who are not there at all, or who call again and again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fsacd.esl import trust
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.switch import RealSwitch, await_true

AGENTS = ("1001", "1002")
VIP, STRANGER = "+49300001", "+49309999"
Serve = Callable[..., Daemon]


@pytest.fixture
def serve(workplace: Path, switch: RealSwitch) -> Iterator[Serve]:
    """Starts the daemon, with these settings; its agents answer at once and talk for a moment."""
    agents = phones.run_agents(workplace / "agents", [f"{user};50;1500;9" for user in AGENTS])
    started: list[Daemon] = []

    def start(*, staffed: bool = True, require_ack: str = "always", **settings: Any) -> Daemon:
        contact = f"sofia/trunk/{{agent}}@127.0.0.1:{agents.port}"
        staff = {user: {"queues": ["support"], "login_at_start": staffed} for user in AGENTS}
        config = {"agent_contact": contact, "queues": {"support": {"wrap_up": "0s"}}, "agents": staff, **settings}
        daemon = Daemon(workplace, config, switch.esl_port)
        daemon.config["switches"] = {"fs1": {**daemon.switch, "require_ack": require_ack}}
        started.append(daemon)
        started[0].start()
        return started[0]

    yield start
    for daemon in started:
        daemon.stop()
    agents.stop()


def place(directory: Path, scenario: str, lines: Sequence[str], port: int, **fill: str) -> phones.Sipp:
    """Place one call for each line of the scenario's fields."""
    phones._write_csv(directory, "callers.csv", lines)
    words = ["-inf", "callers.csv", "-r", "20", "-m", str(len(lines)), "-l", "1000", f"127.0.0.1:{port}"]
    return phones._run(directory, scenario, words, **fill)


def total(daemon: Daemon, metric: str, **labels: str) -> int:
    """A counter, over all its labels but these."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    samples = {name: value for name, value in daemon.metrics().items() if name.startswith(f"{metric}_total")}
    return int(sum(value for name, value in samples.items() if all(label in name for label in wanted)))


def channels(switch: RealSwitch) -> int:
    """How many legs the switch has."""
    esl = switch.esl()
    count = int(esl.api("show channels count").split()[0])
    esl.close()
    return count


def test_calls_that_are_never_acknowledged_ring_nobody(workplace: Path, switch: RealSwitch, serve: Serve) -> None:
    """They stand in no queue, and whoever calls for real is served beside them, until the switch gives them up."""
    daemon = serve()
    flood = [f"+4930{number:05};queue-support" for number in range(60)]
    absent = place(workplace / "absent", "caller_never_acks.xml", flood, switch.trunk_port)
    await_true(lambda: len(absent.log) == len(flood), 30, "every call is answered by the switch")
    await_true(lambda: channels(switch) >= len(flood), 10, "all their legs are there")
    real = place(workplace / "real", "caller.xml", [f"{VIP};queue-support;9;0;"], switch.trunk_port)
    real.wait(60)
    assert [line.strip() for line in real.log] == [f"{VIP} released"]
    # Each call is announced again every ten seconds, until the switch ends what was not acknowledged for 32 s.
    await_true(lambda: channels(switch) == 0, 60, "the switch has given them up")
    assert total(daemon, "fsacd_calls_offered") == 1
    assert total(daemon, "fsacd_offers") == 1
    assert total(daemon, "fsacd_unacknowledged_calls") == len(flood)
    absent.stop()


def test_in_the_name_of_a_trusted_address_few_are_let_in_and_not_for_long(
    workplace: Path, switch: RealSwitch, serve: Serve
) -> None:
    """Strangers ring nobody; who comes from where somebody has just acknowledged is ended when nobody does."""
    daemon = serve(require_ack="strangers")
    strangers = [f"+4931{number:05};queue-support" for number in range(30)]
    first = place(workplace / "strangers", "caller_never_acks.xml", strangers, switch.trunk_port)
    await_true(lambda: len(first.log) == len(strangers), 30, "every call is answered by the switch")
    await_true(lambda: total(daemon, "fsacd_unacknowledged_calls") == len(strangers), 30, "all of them are given up")
    assert total(daemon, "fsacd_calls_offered") == 0
    assert total(daemon, "fsacd_offers") == 0
    honest = [f"{VIP};queue-support;9;0;"]
    place(workplace / "honest", "caller.xml", honest, switch.trunk_port).wait(60)
    # All come from one address, so the honest call has made it a trusted one.
    flood = [f"+4932{number:05};queue-support" for number in range(60)]
    second = place(workplace / "flood", "caller_never_acks.xml", flood, switch.trunk_port)
    await_true(lambda: len(second.log) == len(flood), 30, "every call is answered by the switch")
    await_true(lambda: not daemon.get("calls")["calls"], 30, "those who were let in have been ended")
    let_in = total(daemon, "fsacd_calls_offered") - 1
    assert 0 < let_in <= trust.UNPROVEN_OF_ONE + trust.UNPROVEN_OF_ONE * 2  # talks that end make place for others
    place(workplace / "again", "caller.xml", honest, switch.trunk_port).wait(60)
    assert total(daemon, "fsacd_calls_offered") == let_in + 2, "who is there is served, flood or not"
    first.stop()
    second.stop()


@pytest.mark.parametrize("require_ack", ["always", "strangers"])
@pytest.mark.parametrize("late_ms", ["40", "700"])
def test_an_ack_that_comes_late_lets_the_call_in(
    workplace: Path, switch: RealSwitch, serve: Serve, late_ms: str, require_ack: str
) -> None:
    """From far away, or because the first answer was lost; also from where callers are let in without one."""
    daemon = serve(require_ack=require_ack)
    late = {'<send ack_txn="invite">': f'<pause milliseconds="{late_ms}"/>\n  <send ack_txn="invite">'}
    callers = [f"+4930{number:05};queue-support;9;0;" for number in range(6)]
    sipp = place(workplace / "late", "caller.xml", callers, switch.trunk_port, **late)
    sipp.wait(60)
    assert sorted(line.split()[1] for line in sipp.log) == ["released"] * len(callers)
    assert total(daemon, "fsacd_calls_answered") == len(callers)


def test_one_number_cannot_fill_a_queue(workplace: Path, switch: RealSwitch, serve: Serve) -> None:
    """So many of its calls wait as may; the others are rejected at once, and other numbers have their places."""
    daemon = serve(staffed=False, queues={"support": {"max_per_number": 4, "max_length": 12}})
    written = (VIP, "+49-30-0001", "+49.300001")
    flood = [f"{written[number % 3]};queue-support;9;0;" for number in range(30)]
    many = place(workplace / "many", "caller.xml", flood, switch.trunk_port)
    await_true(lambda: len(many.log) == 26, 60, "all but four of them are released")
    few = [f"+4930777{number};queue-support;9;0;" for number in range(8)]
    others = place(workplace / "others", "caller.xml", few, switch.trunk_port)
    await_true(lambda: len(daemon.get("calls")["calls"]) == 12, 30, "all others wait")
    numbers = [re.sub(r"[-.]", "", call["number"]) for call in daemon.get("calls")["calls"]]
    assert numbers.count(VIP) == 4
    assert total(daemon, "fsacd_calls_overflowed", why="max_per_number") == 26
    assert total(daemon, "fsacd_calls_overflowed", why="full") == 0
    many.stop()
    others.stop()


@pytest.mark.parametrize(
    ("setting", "mark", "believed"),
    [
        ("when_marked", "", False),
        ("when_marked", "-bfalse", False),
        ("when_marked", "-btrue", True),
        ("always", "", True),
        ("always", "-bfalse", False),
    ],
)
def test_a_number_that_is_not_believed_is_nobody_s(
    workplace: Path, switch: RealSwitch, serve: Serve, setting: str, mark: str, believed: bool
) -> None:
    """Who writes a customer's number into P-Asserted-Identity is shown with it, and is a customer if it is believed."""
    vip = {"priority": 5, "head_start": "60s", "name": "Very Important", "skills": {"french": 3}, "agent": "1002"}
    daemon = serve(staffed=False, believe_numbers=setting, customers={VIP: vip})
    claim = {
        "Max-Forwards: 70\n      Content-Type": f"P-Asserted-Identity: <sip:{VIP}@127.0.0.1>\n"
        "      Max-Forwards: 70\n      Content-Type"
    }
    caller = [f"{STRANGER};queue-support{mark};9;0;"]
    sipp = place(workplace / "spoofer", "caller.xml", caller, switch.trunk_port, **claim)
    await_true(lambda: daemon.get("calls")["calls"], 30, "the caller waits")
    (call,) = daemon.get("calls")["calls"]
    assert (call["number"], call["number_believed"]) == (VIP, believed)
    gets = (call["priority"], call["head_start_seconds"], call["customer"], call["required_skills"])
    assert gets == ((5, 60.0, "Very Important", {"french": 3}) if believed else (0, 0.0, "", {}))
    waits = daemon.get(f"calls/{call['id']}/explain")["waiting"]
    assert ("; the caller's number is not believed" in waits["sentence"]) is not believed
    sipp.stop()


def test_a_priority_that_is_none_is_told_and_left_out(workplace: Path, switch: RealSwitch, serve: Serve) -> None:
    """Beyond the classes that there are the queue's holds, for a dialplan may hand on what a caller has dialled."""
    daemon = serve(staffed=False, queues={"support": {"priority": 3}})
    callers = [f"+4930000{number};queue-support-p{number};9;0;" for number in (100, 101, 999)]
    sipp = place(workplace / "callers", "caller.xml", callers, switch.trunk_port)
    await_true(lambda: len(daemon.get("calls")["calls"]) == len(callers), 30, "they wait")
    priorities = {call["number"][-3:]: call["priority"] for call in daemon.get("calls")["calls"]}
    assert priorities == {"100": 100, "101": 3, "999": 3}
    told = [line for line in daemon.log.read_text().splitlines() if "no class from -100 to 100" in line]
    # One line a minute for those of one kind.
    assert len(told) == 1
    sipp.stop()
