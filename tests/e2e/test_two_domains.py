"""One switch, two domains of its directory, the same numbers in both: a phone acts for its own domain's agent alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import AGENTS
from tests.e2e.desk import NO, YES, Desk
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.switch import DOMAIN, OTHER_DOMAIN, RealSwitch, await_true

AGENT, COLLEAGUE = "1001", "1002"
CODES = ("*31", "*33", "*342", "*35", "*32")
TALK_MS = 4000


@pytest.fixture
def config() -> dict[str, Any]:
    """The agents of our own domain by the shortest configuration: nothing in it names a domain."""
    return {
        "defaults": {"wrap_up": "1h"},
        "queues": {"support": {}},
        "agents": {AGENT: {"queues": ["support"]}, COLLEAGUE: {"queues": ["support"], "pin": "7777"}},
    }


@pytest.fixture
def forced_domain() -> str:
    """Each phone is looked up in the domain that it says."""
    return ""


@pytest.fixture
def desk(workplace: Path, forced_domain: str) -> Iterator[Desk]:
    switch = RealSwitch(workplace / "freeswitch", AGENTS[:2], others=(AGENT, COLLEAGUE), forced_domain=forced_domain)
    switch.start()
    yield Desk(switch, workplace)
    switch.stop()


@pytest.fixture
def daemon(workplace: Path, desk: Desk, config: dict[str, Any]) -> Iterator[Daemon]:
    daemon = Daemon(workplace, config, desk.switch.esl_port)
    daemon.start()
    yield daemon
    daemon.stop()


def dial_other(desk: Desk, user: str, code: str, pin: str = "") -> str:
    """From the phone of the other domain that has this number."""
    return desk.dial(user, code, pin=pin, password=f"other{user}", domain=OTHER_DOMAIN)


def state(daemon: Daemon, agent: str) -> str:
    return str(daemon.agents()[agent]["state"])


def becomes(daemon: Daemon, agent: str, wanted: str) -> None:
    await_true(lambda: state(daemon, agent) == wanted, 10, f"{agent} is {wanted}")


def test_another_domains_phone_does_nothing_for_our_agent(daemon: Daemon, desk: Desk) -> None:
    """No code is served: not as who has the same number, not by name, and not with the PIN of a colleague."""
    for code in CODES:
        assert dial_other(desk, AGENT, code) == NO
        assert dial_other(desk, AGENT, f"{code}*{AGENT}") == NO
        assert dial_other(desk, AGENT, f"{code}*{COLLEAGUE}", pin="7777") == NO
    assert {agent: state(daemon, agent) for agent in (AGENT, COLLEAGUE)} == {
        AGENT: "logged_out",
        COLLEAGUE: "logged_out",
    }
    # The same codes from our own domain's phones.
    assert desk.dial(AGENT, "*31") == YES
    becomes(daemon, AGENT, "ready")
    assert desk.dial(AGENT, f"*31*{COLLEAGUE}", pin="7777") == YES
    becomes(daemon, COLLEAGUE, "ready")


def test_another_domains_call_does_not_make_our_agent_busy(daemon: Daemon, desk: Desk, workplace: Path) -> None:
    """While 1001 of the other domain rings and talks, our 1001 stays ready."""
    ours = phones.run_agents(workplace / "ours", [f"{AGENT};200;{TALK_MS};9"])
    desk.register([AGENT], ours.port)
    others = phones.run_agents(workplace / "others", [f"{AGENT};200;0;9"])
    lines = [f"{AGENT};[authentication username={AGENT} password=other{AGENT}];{others.port};{OTHER_DOMAIN};"]
    sipp = desk._run("register.xml", "phones.csv", lines)
    sipp.wait(15)
    assert sipp.process.returncode == 0
    assert desk.dial(AGENT, "*31") == YES
    becomes(daemon, AGENT, "ready")

    with closing(desk.switch.esl()) as esl:
        assert esl.api(f"originate user/{AGENT}@{OTHER_DOMAIN} &park()").startswith("+OK")
        # The events of that call have been heard when those of a later one have.
        assert esl.api(f"originate user/{AGENT}@{DOMAIN} &park()").startswith("+OK")
        becomes(daemon, AGENT, "busy")
        # Our agent's phone hangs up by itself, the other one stays in its call.
        becomes(daemon, AGENT, "ready")
        assert OTHER_DOMAIN in esl.api("show channels")
    ours.stop()
    others.stop()


@pytest.mark.parametrize("forced_domain", [DOMAIN])
@pytest.mark.parametrize(
    "config",
    [{"queues": {"support": {}}, "agents": {f"{AGENT}@{OTHER_DOMAIN}": {"queues": ["support"]}}}],
    ids=["agent of the other domain"],
)
def test_what_a_phone_says_of_its_realm_is_not_believed(daemon: Daemon, desk: Desk) -> None:
    """Where the profile forces the domain, a phone may answer with any realm: our own 1001 is not the other's."""
    assert desk.dial(AGENT, "*31", domain=OTHER_DOMAIN) == NO
    assert state(daemon, f"{AGENT}@{OTHER_DOMAIN}") == "logged_out"


@pytest.mark.parametrize(
    "config",
    [
        {
            "queues": {"support": {}},
            "agent_domain": DOMAIN,
            "agent_contact": "user/{agent}",
            "agents": {
                AGENT: {"queues": ["support"]},
                f"{AGENT}@{OTHER_DOMAIN}": {"queues": ["support"]},
                f"{COLLEAGUE}@{OTHER_DOMAIN}": {"queues": ["support"], "pin": "5555"},
            },
        }
    ],
    ids=["agents of both domains"],
)
def test_agents_of_both_domains_work_side_by_side(daemon: Daemon, desk: Desk, workplace: Path) -> None:
    """Each phone serves its own agent; one whose id names the domain is rung there, and acts for colleagues there."""
    other = f"{AGENT}@{OTHER_DOMAIN}"
    assert dial_other(desk, AGENT, "*31") == YES
    becomes(daemon, other, "ready")
    assert state(daemon, AGENT) == "logged_out"
    assert desk.dial(AGENT, "*31") == YES
    becomes(daemon, AGENT, "ready")
    assert desk.dial(AGENT, "*341") == YES
    becomes(daemon, AGENT, "not_ready")
    # A short number is that of the phone's own domain; another domain's is not served from ours.
    colleague = f"{COLLEAGUE}@{OTHER_DOMAIN}"
    assert dial_other(desk, AGENT, f"*31*{COLLEAGUE}", pin="5555") == YES
    becomes(daemon, colleague, "ready")
    assert desk.dial(AGENT, f"*32*{COLLEAGUE}", pin="5555") == NO
    assert dial_other(desk, AGENT, f"*32*{COLLEAGUE}", pin="5555") == YES
    becomes(daemon, colleague, "logged_out")

    agents = phones.run_agents(workplace / "agents", [f"{AGENT};200;{TALK_MS};9"])
    lines = [f"{AGENT};[authentication username={AGENT} password=other{AGENT}];{agents.port};{OTHER_DOMAIN};"]
    sipp = desk._run("register.xml", "phones.csv", lines)
    sipp.wait(15)
    assert sipp.process.returncode == 0
    callers = phones.run_callers(
        workplace / "callers", [phones.Caller("4930123", "queue-support")], desk.switch.trunk_port, 1
    )
    await_true(lambda: state(daemon, other) == "talking", 20, "the other domain's agent talks")
    callers.wait(30)
    agents.stop()
