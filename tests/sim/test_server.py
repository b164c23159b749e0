"""The simulated switch over real sockets and in real time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import orjson
import pytest
from gevent import socket

from fsacd.sim.agenda import Agenda
from fsacd.sim.control import ControlServer
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.server import SwitchServer
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from tests.sim.model import DIALPLAN


class Wire:
    """A blocking client with a deadline on everything."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=30)
        self.file = self.socket.makefile("rb")

    def frame(self) -> tuple[dict[str, str], bytes]:
        """The next frame; ({}, b"") at the end of the connection."""
        headers: dict[str, str] = {}
        while line := self.file.readline():
            if line == b"\n":
                break
            name, _, value = line.decode().rstrip("\n").partition(": ")
            headers[name] = value
        return headers, self.file.read(int(headers.get("Content-Length", 0)))

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def ask(self, command: str) -> str:
        self.socket.sendall(f"{command}\n\n".encode())
        headers, body = self.frame()
        return headers.get("Reply-Text") or body.decode()

    def log_in(self) -> Wire:
        self.frame()
        assert self.ask("auth ClueCon") == "+OK accepted"
        return self


@pytest.fixture
def server() -> Iterator[SwitchServer]:
    dialplan = Dialplan()
    dialplan.add(DIALPLAN)
    running = SwitchServer(Switch(Agenda(), Settings(), dialplan))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def dial(server: SwitchServer) -> Iterator[Callable[[], Wire]]:
    """Connects to the switch; every connection is closed at the end."""
    wires: list[Wire] = []

    def connect() -> Wire:
        wires.append(Wire(server.address))
        return wires[-1]

    yield connect
    for wire in wires:
        wire.close()


@pytest.fixture
def control(server: SwitchServer) -> Iterator[Wire]:
    listening = ControlServer(server)
    listening.start()
    wire = Wire(listening.address)
    yield wire
    wire.close()
    listening.stop()


def order(control: Wire, **what: object) -> dict[str, object]:
    control.socket.sendall(orjson.dumps(what) + b"\n")
    answer: dict[str, object] = orjson.loads(control.file.readline())
    return answer


def test_call_over_tcp(dial: Callable[[], Wire], control: Wire) -> None:
    """Events and replies travel as they do from a real switch, in real time."""
    events, commands = dial().log_in(), dial().log_in()
    events.ask("event json CHANNEL_PARK CHANNEL_BRIDGE CHANNEL_HANGUP BACKGROUND_JOB")
    order(control, call={"number": "4930", "destination": "parked", "hangs_up_ms": 600})
    order(control, phone={"user": "1001", "answers_ms": 20})
    caller = orjson.loads(events.frame()[1])["Unique-ID"]
    assert commands.ask("bgapi originate user/1001 &park()\nJob-UUID: ring").startswith("+OK Job-UUID: ring")
    agent = str(orjson.loads(events.frame()[1])["_body"]).split()[1]
    assert orjson.loads(events.frame()[1])["Event-Name"] == "CHANNEL_PARK"
    assert commands.ask(f"api uuid_bridge {caller} {agent}") == f"+OK {agent}\n"
    story = [orjson.loads(events.frame()[1]) for _ in range(3)]
    assert [(event["Event-Name"], event["Unique-ID"]) for event in story] == [
        ("CHANNEL_BRIDGE", caller),
        ("CHANNEL_HANGUP", caller),
        ("CHANNEL_HANGUP", agent),
    ]


def test_keys_of_a_phone_over_the_control_port(server: SwitchServer, dial: Callable[[], Wire], control: Wire) -> None:
    """The far end of a leg holds, presses keys and sends its partner elsewhere, as the test says."""
    events, commands = dial().log_in(), dial().log_in()
    order(control, phone={"user": "1001", "answers_ms": 20})
    order(control, call={"number": "4930", "destination": "parked"})
    events.ask("event json CHANNEL_PARK CHANNEL_BRIDGE CHANNEL_HOLD DTMF CHANNEL_HANGUP")
    caller = next(iter(server.switch.sessions), "") or orjson.loads(events.frame()[1])["Unique-ID"]
    commands.ask("bgapi originate {origination_uuid=agent}user/1001 &park()")

    def told(name: str, uuid: str) -> None:
        with gevent.Timeout(30):
            while True:
                event = orjson.loads(events.frame()[1])
                if (event["Event-Name"], event["Unique-ID"]) == (name, uuid):
                    return

    told("CHANNEL_PARK", "agent")
    commands.ask(f"api uuid_bridge {caller} agent")
    told("CHANNEL_BRIDGE", caller)
    assert order(control, press="agent", keys="7")["ok"] is True
    told("DTMF", "agent")
    assert order(control, hold="agent")["ok"] is True
    told("CHANNEL_HOLD", "agent")
    assert order(control, refer="agent", to="parked")["ok"] is True
    told("CHANNEL_PARK", caller)


def test_dropped_connection_ends_without_a_farewell(dial: Callable[[], Wire], control: Wire) -> None:
    """A client sees the end of the stream, and can connect again at once."""
    client = dial().log_in()
    assert order(control, fault="drop")["clients"] == 0
    assert client.frame() == ({}, b"")
    dial().log_in()


def test_killed_switch_comes_back_as_another(dial: Callable[[], Wire], control: Wire) -> None:
    """Connections are refused while it is down; then there is a new Core-UUID."""
    before = order(control, fault="none")["core_uuid"]
    client = dial().log_in()
    order(control, fault="kill", down_ms=200)
    assert client.frame() == ({}, b"")
    assert dial().frame() == ({}, b"")
    with gevent.Timeout(30):
        while dial().frame() == ({}, b""):
            gevent.sleep(0.02)
    assert order(control, fault="none")["core_uuid"] != before


def test_blackholed_connection_stays_open_and_mute(dial: Callable[[], Wire], control: Wire) -> None:
    """No answer comes, and none is made up for later."""
    client = dial().log_in()
    order(control, fault="blackhole", on=True)
    client.socket.sendall(b"api echo lost\n\n")
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.frame()
    order(control, fault="blackhole", on=False)
    late = dial().log_in()
    assert late.ask("api echo heard") == "heard"


def test_client_that_never_reads_does_not_stop_the_others(server: SwitchServer, dial: Callable[[], Wire]) -> None:
    """A stalled socket blocks its own connection only, and can still be dropped."""
    stalled, other = dial().log_in(), dial().log_in()
    stalled.socket.sendall(b"event json CUSTOM a::b\n\n")
    load = "x" * 8_000
    for _ in range(1_000):
        assert other.ask(f"sendevent CUSTOM\nEvent-Subclass: a::b\nload: {load}").startswith("+OK ")
    assert other.ask("api echo alive") == "alive"
    server.do(server.switch.faults.drop_connections)
    assert other.frame() == ({}, b"")


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"fault": "fire"}\n',
        b'{"fault": "kill", "down_ms": "x"}\n',
        b'{"hang_up": "nobody"}\n',
        b'{"hold": "nobody"}\n',
        b'{"refer": "nobody", "to": "1"}\n',
        b'{"press": "nobody"}\n',
    ],
)
def test_senseless_control_lines_are_refused(control: Wire, line: bytes) -> None:
    """They say what is wrong and change nothing."""
    control.socket.sendall(line)
    assert orjson.loads(control.file.readline())["ok"] is False
    assert order(control, fault="none")["ok"] is True
