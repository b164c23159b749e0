"""The whole daemon as a process, against the simulated switch as another, over TCP, with a real PostgreSQL."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from fsacd.sim.workload import configuration
from tests import nursery

TOKEN = "0123456789abcdef0123456789abcdef"
PASSWORD = "simulated"
AGENT, COLLEAGUE = "1002", "1004"  # both serve support
SUPPORT = "7200"  # what callers dial
DEADLINE_S = 180.0  # of two processes and a database, on a machine that is busy with others


def await_true(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {deadline_s:g} s"
        time.sleep(0.02)


class Sim:
    """The simulated switch without its call centre; the test places the calls."""

    def __init__(self) -> None:
        words = ["--port", "0", "--control-port", "0", "--no-callers", "--password", PASSWORD]
        self.process = nursery.start("fsacd.sim", *words)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        control_port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self._control = socket.create_connection(("127.0.0.1", control_port))
        self._lines = self._control.makefile("rwb")

    def tell(self, **order: object) -> dict[str, Any]:
        self._lines.write(json.dumps(order).encode() + b"\n")
        self._lines.flush()
        answer: dict[str, Any] = json.loads(self._lines.readline())
        assert answer["ok"], answer
        return answer

    def dial(self, destination: str, *, user: str = "", number: str = "4930123456", **rest: object) -> None:
        context = "default" if user else "public"
        call = {"number": user or number, "destination": destination, "context": context, "user": user, **rest}
        self.tell(call=call)

    def stop(self) -> None:
        self._lines.close()
        self._control.close()
        self.process.kill()
        self.process.communicate()


class Daemon:
    def __init__(
        self, directory: Path, sim: Sim, database: str, *, require_ack: str = "strangers", **settings: object
    ) -> None:
        self.file = directory / "fsacd.yaml"
        self.config: dict[str, Any] = {
            "switches": {
                "sim": {"port": sim.port, "password": PASSWORD, "reconnect_max": "300ms", "require_ack": require_ack}
            },
            "api": {"listen": "127.0.0.1:0", "tokens": [{"name": "test", "role": "admin", "token": TOKEN}]},
            "store": {"dsn": database},
            "log": {"format": "json", "level": "info"},
            **configuration(),
            **settings,
        }
        self.config["defaults"]["wrap_up"] = "100ms"
        self.write()
        self.log = directory / "log"
        self.log.touch()
        self.start()

    def start(self) -> None:
        """Start it (again), and wait until it serves."""
        before = len(self.lines())
        with self.log.open("ab") as log:
            self.process = nursery.start("fsacd", "run", "--config", str(self.file), output=log)

        def said(event: str) -> dict[str, Any] | None:
            return next((line for line in self.lines()[before:] if line.get("event") == event), None)

        await_true(lambda: said("fsacd is up"), "the daemon starts")
        self.url = (said("fsacd is up") or {})["api"]
        await_true(lambda: said("in sync with the switch"), "the daemon is in sync")

    def write(self, text: str | None = None) -> None:
        self.file.write_text(text if text is not None else yaml.safe_dump(self.config), encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def said(self, event: str, times: int = 1) -> bool:
        return [line.get("event") for line in self.lines()].count(event) >= times

    def get(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What is there; with a body, what comes of posting it."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            document: dict[str, Any] = json.load(response)
        return document

    def agent(self, agent: str = AGENT) -> str:
        return str(self.get(f"api/v1/agents/{agent}")["state"])


@pytest.fixture
def sim() -> Iterator[Sim]:
    sim = Sim()
    yield sim
    sim.stop()


@pytest.fixture
def daemon(tmp_path: Path, sim: Sim, database: str, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A daemon; a test may have settings of its switch as a parameter."""
    daemon = Daemon(tmp_path, sim, database, **getattr(request, "param", {}))
    yield daemon
    daemon.process.kill()
    daemon.process.wait(10)


def log_in(sim: Sim, daemon: Daemon) -> None:
    sim.tell(phone={"user": AGENT, "answers_ms": 100, "talks_ms": 1_300})
    sim.dial("*31", user=AGENT)
    await_true(lambda: daemon.agent() == "ready", "the agent is logged in by the feature code")


def rows(database: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute("SELECT number, queue, outcome, agent_id FROM calls ORDER BY arrived_at").fetchall()


def serve_one(sim: Sim, database: str, number: str) -> None:
    sim.dial(SUPPORT, number=number)
    await_true(lambda: (number, "support", "answered", AGENT) in rows(database), f"the call of {number} is served")


def test_a_call_from_the_announcement_to_its_row(sim: Sim, daemon: Daemon, database: str) -> None:
    """An agent logs in from their phone, a caller waits, they talk, and the call is one row of history."""
    log_in(sim, daemon)
    serve_one(sim, database, "4930000001")
    assert rows(database) == [("4930000001", "support", "answered", AGENT)]
    await_true(lambda: sim.tell(fault="none")["legs"] == 0, "no leg is left in the switch")


CODES = {"sale": {"codes": {"new": {"digits": "11"}}}, "complaint": {}}


@pytest.mark.parametrize("daemon", [{"wrap_up_codes": CODES}], indirect=True)
def test_what_came_of_a_talk_is_said_by_phone_and_by_api(sim: Sim, daemon: Daemon, database: str) -> None:
    """The agent dials a code after the talk, somebody corrects it by the API, and history has the latter."""
    log_in(sim, daemon)
    sim.dial("*3611", user=AGENT)
    await_true(lambda: daemon.said("feature code refused"), "there is no talk yet")
    serve_one(sim, database, "4930000007")
    sim.dial("*3611", user=AGENT)

    def said() -> list[tuple[Any, ...]]:
        with psycopg.connect(database) as connection:
            told = "SELECT codes, note, by, w.number, calls.number FROM wrap_ups w JOIN calls USING (call_id)"
            return connection.execute(told).fetchall()

    number = "4930000007"
    await_true(lambda: [row[:2] for row in said()] == [(["sale/new"], "")], "the phone's")
    assert said()[0][2].startswith(f"phone:{AGENT}")
    answer = daemon.get(f"api/v1/agents/{AGENT}/wrap-up", {"codes": ["complaint"], "note": "wants\nmoney back"})
    assert answer["last_talk"]["codes"] == ["complaint"]
    await_true(lambda: said() == [(["complaint"], "wants\nmoney back", "api:test", number, number)], "the API's")


@pytest.mark.parametrize("daemon", [{"require_ack": "always"}], indirect=True)
def test_calls_that_nobody_acknowledges_ring_nobody(sim: Sim, daemon: Daemon, database: str) -> None:
    """An INVITE in the name of an address that is not its sender's stands in no queue; who is there is served."""
    log_in(sim, daemon)
    for number in range(20):
        sim.dial(SUPPORT, number=f"49301{number:04}", acknowledges=False)
    await_true(lambda: sim.tell(fault="none")["legs"] >= 20, "the switch has answered them")
    serve_one(sim, database, "4930000001")
    assert rows(database) == [("4930000001", "support", "answered", AGENT)]
    assert daemon.get("api/v1/calls")["calls"] == []


def test_a_restarted_switch_is_found_again(sim: Sim, daemon: Daemon, database: str) -> None:
    """The switch is killed and comes back: the waiting call is lost and written down, the next one is served."""
    sim.dial(SUPPORT, number="4930000002")
    await_true(lambda: daemon.get("api/v1/calls")["calls"], "the call waits")
    sim.tell(fault="kill", down_ms=500)
    await_true(lambda: daemon.said("in sync with the switch", times=2), "the daemon is in sync again")
    log_in(sim, daemon)
    serve_one(sim, database, "4930000003")
    assert [(number, outcome) for number, _, outcome, _ in rows(database)] == [
        ("4930000002", "lost"),
        ("4930000003", "answered"),
    ]


def test_who_calls_again_has_their_old_place(sim: Sim, daemon: Daemon, database: str) -> None:
    """A caller gives up, somebody else waits, and the caller calls again: they are served first."""
    daemon.config["queues"]["support"]["abandoned_resume"] = "10m"
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    await_true(lambda: daemon.said("reload"), "the queue keeps places")
    sim.dial(SUPPORT, number="4930000005", hangs_up_ms=1_000)
    await_true(lambda: ("4930000005", "support", "abandoned", None) in rows(database), "they have given up")
    sim.dial(SUPPORT, number="4930000006")
    await_true(lambda: daemon.get("api/v1/calls")["calls"], "somebody else waits")
    sim.dial(SUPPORT, number="4930000005")
    await_true(lambda: len(daemon.get("api/v1/calls")["calls"]) == 2, "they are back")
    calls = {call["number"]: call for call in daemon.get("api/v1/calls")["calls"]}
    assert [calls[number]["position"] for number in ("4930000005", "4930000006")] == [1, 2]
    assert calls["4930000005"]["resumes"]
    log_in(sim, daemon)
    await_true(lambda: ("4930000006", "support", "answered", AGENT) in rows(database), "both are served")
    with psycopg.connect(database) as connection:
        order = connection.execute("SELECT number FROM calls WHERE outcome = 'answered' ORDER BY ended_at").fetchall()
    assert order == [("4930000005",), ("4930000006",)]


def test_a_cut_link_loses_no_waiting_caller(sim: Sim, daemon: Daemon, database: str) -> None:
    """The connections break while a caller waits: the caller keeps their place and is served."""
    sim.dial(SUPPORT, number="4930000004")
    await_true(lambda: daemon.get("api/v1/calls")["calls"], "the call waits")
    sim.tell(fault="drop")
    await_true(lambda: daemon.said("in sync with the switch", times=2), "the daemon is in sync again")
    log_in(sim, daemon)
    await_true(lambda: ("4930000004", "support", "answered", AGENT) in rows(database), "the caller is served")


def test_a_bad_file_changes_nothing_and_a_good_one_changes_the_rules(daemon: Daemon) -> None:
    """SIGHUP keeps the old configuration when the new one is wrong, and says what is wrong."""
    daemon.write("queues: {support: {ring_timeuot: 5s}}")
    daemon.process.send_signal(signal.SIGHUP)
    await_true(lambda: daemon.said("reload refused"), "the bad file is refused")
    refusal = next(line for line in daemon.lines() if line.get("event") == "reload refused")
    assert "did you mean 'ring_timeout'?" in " ".join(refusal["problems"])
    assert "Traceback" not in daemon.log.read_text()
    assert {queue["name"] for queue in daemon.get("api/v1/queues")["queues"]} == {"sales", "support", "billing"}
    daemon.config["queues"]["night"] = {}
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    await_true(lambda: daemon.said("reload"), "the good file is taken")
    assert "night" in {queue["name"] for queue in daemon.get("api/v1/queues")["queues"]}


def test_sigterm_ends_it_in_order(sim: Sim, daemon: Daemon) -> None:
    """A ringing phone is told to stop, and the exit code says that all is well."""
    sim.tell(phone={"user": AGENT, "answers_ms": 600_000})
    sim.dial("*31", user=AGENT)
    await_true(lambda: daemon.agent() == "ready", "the agent is logged in")
    sim.dial(SUPPORT)
    await_true(lambda: daemon.agent() == "offered", "the phone rings")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(DEADLINE_S) == 0
    await_true(lambda: sim.tell(fault="none")["legs"] == 1, "only the caller's leg is left")


def test_sigterm_rings_nobody_else(sim: Sim, daemon: Daemon) -> None:
    """While it stops, a caller whose ring is withdrawn is not offered to the next agent."""
    for user in (AGENT, COLLEAGUE):
        sim.tell(phone={"user": user, "answers_ms": 600_000})
        sim.dial("*31", user=user)
    await_true(lambda: (daemon.agent(), daemon.agent(COLLEAGUE)) == ("ready", "ready"), "both agents are logged in")
    sim.dial(SUPPORT)
    await_true(lambda: "offered" in (daemon.agent(), daemon.agent(COLLEAGUE)), "a phone rings")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(DEADLINE_S) == 0
    await_true(lambda: sim.tell(fault="none")["legs"] == 1, "only the caller's leg is left", 2)
