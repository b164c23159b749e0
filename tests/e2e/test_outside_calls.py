"""Agents who are in calls of their own are not rung, and are rung again when those calls are over."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import YES, Desk, _password
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller, Sipp
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true

AGENT, COLLEAGUE = "1001", "1002"
SOMEBODY = "7000"
# Far longer than a free agent needs to be rung.
NOBODY_RUNG_S = 1.5
# SIPp's phones go by its own clock: so long a call lasts that is looked at while it lasts, and it is over by then.
LONG_MS, ENDS_S = 8_000, 60


@dataclass
class Office:
    """Two agents at registered phones, somebody outside, and the daemon."""

    workplace: Path
    switch: RealSwitch
    daemon: Daemon
    desk: Desk
    phones: Sipp
    others: list[Sipp] = field(default_factory=list)

    def state(self, agent_id: str) -> str:
        state: str = self.daemon.agents()[agent_id]["state"]
        return state

    def becomes(self, agent_id: str, state: str, within_s: float = 10) -> None:
        await_true(lambda: self.state(agent_id) == state, within_s, f"{agent_id} is {state}")

    def dials(self, agent_id: str, number: str, gives_up_ms: int = 20_000, talk_ms: int = 20_000) -> Sipp:
        """The agent calls somebody from their phone."""
        place = Path(tempfile.mkdtemp(dir=self.workplace))
        phones._write_csv(place, "phones.csv", [f"{agent_id};{_password(agent_id)};{number}"])
        words = ["-inf", "phones.csv", "-m", "1", f"127.0.0.1:{self.switch.agent_port}"]
        fill = {"GIVES_UP_MS": str(gives_up_ms), "TALK_MS": str(talk_ms)}
        self.others.append(phones._run(place, "phone_dials.xml", words, **fill))
        return self.others[-1]

    def calls(self, number: str, dials: str, hang_up_ms: int = 0) -> Sipp:
        """Somebody outside calls."""
        place = Path(tempfile.mkdtemp(dir=self.workplace))
        caller = Caller(number, dials, hang_up_ms=hang_up_ms)
        self.others.append(phones.run_callers(place, [caller], self.switch.trunk_port, 1))
        return self.others[-1]

    def rung(self) -> list[str]:
        """The agents who have answered an offer, in order."""
        # Of other calls the offer is missing in the line.
        return [words[0] for words in map(str.split, self.phones.log) if len(words) == 4 and words[3] == "answered"]


@pytest.fixture
def office(workplace: Path, switch: RealSwitch) -> Iterator[Office]:
    lines = [f"{user};200;0;9" for user in (AGENT, COLLEAGUE, SOMEBODY)]
    sipp = phones.run_agents(workplace / "phones", lines)
    desk = Desk(switch, workplace)
    desk.register([AGENT, COLLEAGUE], sipp.port)
    config: dict[str, Any] = {
        "defaults": {"wrap_up": "0s"},
        "queues": {"support": {}},
        "agent_contact": f"user/{{agent}}@{DOMAIN}",
        "agents": {user: {"queues": ["support"]} for user in (AGENT, COLLEAGUE)},
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    office = Office(workplace, switch, daemon, desk, sipp)
    yield office
    daemon.stop()
    for other in (*office.others, sipp):
        other.stop()


def test_an_agent_who_dials_out_is_not_rung(office: Office) -> None:
    """An agent is busy from the moment they dial; the caller waits, and reaches them when they have hung up."""
    assert office.desk.dial(AGENT, "*31") == YES
    office.becomes(AGENT, "ready")
    own = office.dials(AGENT, f"outside-{office.phones.port}", talk_ms=LONG_MS)
    office.becomes(AGENT, "busy")

    office.calls("4930123", "queue-support")
    await_true(lambda: office.daemon.get("calls")["calls"], 10, "the caller waits")
    (call,) = office.daemon.get("calls")["calls"]
    assert (call["state"], office.state(AGENT), office.rung()) == ("waiting", "busy", [])
    own.wait(ENDS_S)
    office.becomes(AGENT, "talking")
    assert office.rung() == [AGENT]
    assert own.log[-1].split() == [AGENT, f"outside-{office.phones.port}", "hung-up"]


def test_the_other_agent_gets_the_caller(office: Office) -> None:
    """Of two agents, the one who has a call of their own is passed over, although they have been idle for longer."""
    assert office.desk.dial(AGENT, "*31") == YES
    assert office.desk.dial(COLLEAGUE, "*31") == YES
    office.dials(AGENT, f"outside-{office.phones.port}")
    office.becomes(AGENT, "busy")
    office.calls("4930123", "queue-support")
    office.becomes(COLLEAGUE, "talking")
    assert (office.rung(), office.state(AGENT)) == ([COLLEAGUE], "busy")


def test_an_agent_who_is_called_past_the_queues_is_not_rung(office: Office) -> None:
    """By a stranger whose caller id is the colleague's number: that makes the colleague no less ready."""
    assert office.desk.dial(AGENT, "*31") == YES
    assert office.desk.dial(COLLEAGUE, "*31") == YES
    direct = office.calls(COLLEAGUE, f"direct-{AGENT}", hang_up_ms=LONG_MS)
    office.becomes(AGENT, "busy")
    assert office.state(COLLEAGUE) == "ready"
    office.calls("4930123", "queue-support")
    office.becomes(COLLEAGUE, "talking")
    direct.wait(ENDS_S)
    office.becomes(AGENT, "ready")


def test_a_call_that_they_give_up_blocks_them_no_longer(office: Office) -> None:
    """Unanswered, it ends as any other."""
    silent = phones.run_agents(office.workplace / "silent", [f"{SOMEBODY};60000;0;9"])
    office.others.append(silent)
    assert office.desk.dial(AGENT, "*31") == YES
    own = office.dials(AGENT, f"outside-{silent.port}", gives_up_ms=LONG_MS)
    office.becomes(AGENT, "busy")
    own.wait(ENDS_S)
    assert own.log[-1].split()[-1] == "gave-up"
    office.becomes(AGENT, "ready")


def test_a_daemon_that_comes_back_sees_who_is_in_a_call(office: Office) -> None:
    """The calls that began before its start are found, and end for it as any other."""
    own = office.dials(AGENT, f"outside-{office.phones.port}", talk_ms=2 * LONG_MS)
    await_true(lambda: len(office.phones.log) > 0, 10, "somebody outside has answered")
    office.daemon.kill()
    office.daemon.start()
    office.daemon.post(f"agents/{AGENT}/login")
    office.becomes(AGENT, "busy")
    own.wait(ENDS_S)
    office.becomes(AGENT, "ready")
