"""The counter of lost callers says what SIPp says: nought after a kill, and everybody when nobody is adopted.

Who gives up meanwhile is played by hand, so that they do it while there is no daemon, however busy the machine.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch, await_true

STAY, LEAVE, TALK = 30, 10, 3
LOST = "fsacd_lost_callers_total"
SOON_S = 20.0


@pytest.mark.parametrize("program", ["fsacd", "tests.chaos.real.without_adoption"])
def test_lost_callers_are_those_whom_sipp_has_lost(workplace: Path, switch: RealSwitch, program: str) -> None:
    """Killed with forty waiting and three talking, ten of whom give up meanwhile: both count the same, who does not?"""
    agents = phones.run_agents(workplace / "agents", [f"{1001 + index};100;0;9" for index in range(TALK)])
    daemon = Daemon(workplace, config(workplace, agents.port), switch.esl_port)
    daemon.start()
    talking = phones.run_callers(
        workplace / "talking",
        [Caller(f"493010{index}", "queue-support") for index in range(TALK)],
        switch.trunk_port,
        20,
    )
    await_true(lambda: states(daemon) == {"talking": TALK}, SOON_S, "they talk")
    time.sleep(1.2)  # a talk that has just begun is not one yet
    callers = [Caller(f"49302{index:02}", "queue-nobody") for index in range(STAY)]
    waiting = phones.run_callers(workplace / "waiting", callers, switch.trunk_port, 40)
    by_hand = Telephones(switch.trunk_port)
    leaving = [by_hand.call(f"49303{index:02}", "queue-nobody").user for index in range(LEAVE)]
    await_true(lambda: states(daemon) == {"talking": TALK, "waiting": STAY + LEAVE}, SOON_S, "the others wait")
    daemon.kill()
    for number in leaving:
        by_hand.hang_up(number)
    await_true(lambda: legs(switch) == 2 * TALK + STAY, SOON_S, "ten give up")
    daemon.program = program
    daemon.start()
    if program == "fsacd":
        await_true(
            lambda: states(daemon) == {"talking": TALK, "waiting": STAY}, SOON_S, "all others are where they were"
        )
    else:
        waiting.wait(SOON_S)
    time.sleep(1)
    lost = ends(waiting)["released"]
    print(f"\n{program}: SIPp has lost {lost}, the daemon {daemon.metrics()[LOST]:g}")
    assert daemon.metrics()[LOST] == lost == (0 if program == "fsacd" else STAY)
    assert not ends(talking), "no talk ends"
    daemon.stop()
    by_hand.stop()
    for sipp in (talking, waiting, agents):
        sipp.stop()


def config(place: Path, agent_port: int) -> dict[str, Any]:
    users = [str(1001 + index) for index in range(TALK)]
    return {
        "journal": {"directory": str(place / "journal")},
        "queues": {"support": {}, "nobody": {}},
        "agent_contact": f"sofia/trunk/{{agent}}@127.0.0.1:{agent_port}",
        "agents": {user: {"queues": ["support"], "login_at_start": True} for user in users},
    }


def states(daemon: Daemon) -> Counter[str]:
    """How many calls are in each state."""
    return Counter(call["state"] for call in daemon.get("calls?limit=1000")["calls"])


def legs(switch: RealSwitch) -> int:
    """How many legs the switch has."""
    esl = switch.esl()
    count = int(esl.api("show channels count").split()[0])
    esl.close()
    return count


def ends(sipp: phones.Sipp) -> Counter[str]:
    """How many callers' calls ended in each way, by SIPp's log: released is by the switch."""
    return Counter(line.split()[1] for line in sipp.log)
