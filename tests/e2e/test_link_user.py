"""What the user of freeswitch/directory/fsacd_link.xml may do: all that fsacd does, and thereby everything."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENTS
from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.phones import Caller
from tests.e2e.rig.switch import DOMAIN, RealSwitch, await_true

USER, PASSWORD = f"fsacd@{DOMAIN}", "REPLACE-THIS-PASSWORD"
LEG, PARKED = "loopback/lab_silence/public", "11111111-1111-4111-8111-111111111111"


class Link:
    """Somebody who has got hold of the user's password."""

    def __init__(self, switch: RealSwitch) -> None:
        self._socket = socket.create_connection(("127.0.0.1", switch.esl_port), timeout=20)
        self._answers = self._socket.makefile("rb")
        self._read()
        assert self.say(f"userauth {USER}:{PASSWORD}") == "+OK accepted"

    def _read(self) -> tuple[dict[str, str], str]:
        headers: dict[str, str] = {}
        while (line := self._answers.readline().decode().rstrip("\n")) or not headers:
            name, _, value = line.partition(": ")
            headers[name] = value
        return headers, self._answers.read(int(headers.get("Content-Length", 0))).decode()

    def say(self, command: str) -> str:
        """What the switch says to a command: the reply's text, or an api command's answer."""
        self._socket.sendall(f"{command}\n\n".encode())
        headers, body = self._read()
        return headers.get("Reply-Text", body.strip())

    def api(self, command: str) -> str:
        """An api command's answer."""
        return self.say(f"api {command}")

    def originate(self, variables: str) -> None:
        """Make a leg with these variables. A switch that has just started makes none for a moment."""
        command = f"originate {variables}{LEG} &park()"
        await_true(lambda: self.api(command).startswith("+OK"), 20, "the switch makes a leg")

    def runs(self, command: str, file: Path, within_s: float = 60) -> bool:
        """Whether this makes the switch run the program that touches the file."""
        self.originate(f"{{origination_uuid={PARKED},park_timeout=20}}")
        self.api(command.replace("LEG", LEG).replace("FILE", str(file)))
        end = time.monotonic() + within_s
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.05)
        return file.exists()

    def close(self) -> None:
        """Leave."""
        self._answers.close()
        self._socket.close()


@pytest.fixture
def link(switch: RealSwitch) -> Iterator[Link]:
    link = Link(switch)
    yield link
    link.close()


# The shipped password is one that everybody knows, and refused like FreeSWITCH's own.
EASY = {"allow_default_password": True, "probe_interval": "500ms"}


def test_its_rights_are_enough(switch: RealSwitch, workplace: Path, link: Link) -> None:
    """With these rights the daemon connects, measures its event lag, serves, cancels, notes and sends away calls."""
    agents = phones.run_agents(workplace / "agents", ["1001;200;1500;9", "1002;3600000;0;9"])
    config = {
        "switches": {"fs1": {"port": switch.esl_port, "user": USER, "password": PASSWORD, **EASY}},
        "defaults": {"wrap_up": "0s"},
        "queues": {
            "support": {},
            "front": {"max_wait": "1s", "when_max_wait": {"queue": "later"}},
            "later": {},
            "silent": {
                "ring_timeout": "1s",
                "max_wait": "4s",
                "when_max_wait": {"extension": "lab_fallback", "context": "public"},
            },
        },
        "agents": {
            user: {
                "contact": f"sofia/trunk/{user}@127.0.0.1:{agents.port}",
                "queues": [queue],
                "login_at_start": True,
            }
            for user, queue in (("1001", "support"), ("1002", "silent"))
        },
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    served = phones.run_callers(workplace / "served", [Caller("49301", "queue-support")], switch.trunk_port, 1)
    sent_away = phones.run_callers(workplace / "sent", [Caller("49302", "queue-silent")], switch.trunk_port, 1)
    moved = phones.run_callers(workplace / "moved", [Caller("49303", "queue-front")], switch.trunk_port, 1)
    await_true(lambda: daemon.get("calls?queue=later")["calls"] != [], 20, "the third is moved into another queue")
    (left,) = daemon.get("calls?queue=later")["calls"]
    noted = f"uuid_getvar {left['leg_uuid']} fsacd_changed"
    await_true(lambda: link.api(noted).endswith("/later"), 20, "that is noted on its leg")
    daemon.post(f"calls/{left['id']}/hangup")
    for callers in (served, sent_away, moved):
        callers.wait(20)
    await_true(lambda: daemon.get("calls")["calls"] == [], 5, "all calls are over")
    metrics = daemon.metrics()
    status = daemon.get("status")["switches"][0]
    log = daemon.log.read_text(encoding="utf-8")
    daemon.stop()
    agents.stop()
    assert metrics['fsacd_calls_answered_total{queue="support"}'] == 1
    assert metrics['fsacd_calls_overflowed_total{queue="silent",why="max_wait"}'] == 1
    assert status["event_lag_seconds"] is not None
    assert "permission denied" not in log.lower()
    assert "does not allow" not in log


@pytest.mark.parametrize("user", [f"nobody@{DOMAIN}", "fsacd@elsewhere.example", AGENTS[0] + f"@{DOMAIN}"])
def test_a_user_who_may_not_connect_is_named(switch: RealSwitch, workplace: Path, user: str) -> None:
    """Unknown, of another domain, or without a password for Event Socket: the switch says the same to all of them."""
    switches = {"fs1": {"port": switch.esl_port, "user": user, "password": PASSWORD, **EASY}}
    daemon = Daemon(workplace, {"switches": switches, "queues": {"support": {}}}, switch.esl_port)
    daemon.start(ready=False)
    await_true(lambda: f"FreeSWITCH refused the user {user} or the password" in daemon.log.read_text(), 20, "told")
    daemon.stop()


def test_what_it_names_itself_is_refused(link: Link) -> None:
    """A command that is not among its rights is refused, by itself and as a job."""
    for command in ("api system id", "bgapi system id", "api fsctl shutdown", "api reload mod_sofia", "api lua x"):
        assert link.say(command) == "-ERR permission denied"


# What runs a program with no command but those that its rights name. FILE is touched by it; LEG answers at once.
PROGRAMS = {
    "application": "originate LEG '&system(touch FILE)'",
    "inline dialplan": "originate LEG 'system:touch FILE' inline",
    "api_on_originate": "originate {api_on_originate='system touch FILE'}LEG &park()",
    "api_hangup_hook": "originate {api_hangup_hook='system touch FILE',park_timeout=1}LEG &park()",
    "expansion": "originate LEG '&set(x=${system(touch FILE)})'",
    "uuid_transfer inline": f"uuid_transfer {PARKED} 'system:touch FILE' inline",
}


@pytest.mark.parametrize("way", PROGRAMS)
def test_its_password_is_worth_the_whole_switch(link: Link, workplace: Path, way: str) -> None:
    """Whoever has it runs programs as the switch's own user: these rights keep out mistakes, and no stranger."""
    assert link.runs(PROGRAMS[way], workplace / "ran")


def test_its_password_stops_the_switch(link: Link, switch: RealSwitch) -> None:
    """A hook is a command that nobody's rights are looked at for."""
    link.originate("{api_hangup_hook='fsctl shutdown now',park_timeout=1}")
    await_true(lambda: not switch.runs, 30, "the switch has ended")


def test_without_system_commands_no_program_is_run(workplace: Path) -> None:
    """With the two global variables of README.md every way that is known here is shut, and cannot be opened again.

    What stays open is all else that a dialplan can do: numbers are dialled, and a hook stops the switch.
    """
    switch = RealSwitch(workplace / "freeswitch", AGENTS, no_system=True)
    switch.start()
    link = Link(switch)
    for way, command in PROGRAMS.items():
        assert not link.runs(command, workplace / "ran", within_s=1.5), way
        link.api(f"uuid_kill {PARKED}")
        await_true(lambda: link.api(f"uuid_exists {PARKED}") == "false", 10, "the leg is gone")
    for name in ("disable_system_app_commands", "disable_system_api_commands"):
        assert link.api(f"global_setvar {name}=false").startswith("+OK")
    link.originate("{api_hangup_hook='reload mod_dptools',park_timeout=1}")
    assert not link.runs(PROGRAMS["inline dialplan"], workplace / "ran", within_s=3)
    link.originate("{api_hangup_hook='fsctl shutdown now',park_timeout=1}")
    await_true(lambda: not switch.runs, 30, "the switch has ended")
    link.close()
    switch.stop()
