"""The floor: a distributor that does nothing but ring the first free agent for the first waiting caller.

No queues, no rules, no history, no recovery: two raw Event Socket connections, orjson and the wake-up byte. It is the
least that a client of Event Socket can take, and the measure for fsacd. Run as
`python -m tests.bench.floor ESL_PORT PASSWORD PHONES_PORT FIRST_AGENT AGENTS`; it ends with its standard input.
"""

from __future__ import annotations

import select
import socket
import sys
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

_WAKE_S: Final = 0.002
_RECEIVE_BYTES: Final = 65536
_RING_S: Final = 20


@dataclass
class Line:
    """One Event Socket connection."""

    port: int
    password: str
    _buffer: bytes = b""

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ask("")  # auth/request
        self.ask(f"auth {self.password}")

    def send(self, *commands: str) -> None:
        """Send commands and do not wait for their answers."""
        self.socket.sendall("".join(f"{command}\n\n" for command in commands).encode())

    def ask(self, command: str) -> None:
        """Send a command and wait for the next message, which is its answer: nothing else is flowing yet."""
        if command:
            self.send(command)
        while not self.read():
            pass

    def read(self) -> list[tuple[bytes, bytes]]:
        """What has come: (head, body) of each whole message."""
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionError("FreeSWITCH closed the connection")
        self._buffer += data
        messages = []
        while (end := self._buffer.find(b"\n\n")) >= 0:
            head = self._buffer[:end]
            length = 0
            if head.startswith(b"Content-Length: "):
                length = int(head[16 : head.index(b"\n")])
            elif (at := head.find(b"\nContent-Length: ")) >= 0:
                length = int(head[at + 17 :].split(b"\n", 1)[0])
            if len(self._buffer) < end + 2 + length:
                break
            messages.append((head, self._buffer[end + 2 : end + 2 + length]))
            self._buffer = self._buffer[end + 2 + length :]
        return messages


@dataclass
class Floor:
    """First come, first served."""

    phones_port: int
    commands: Line
    free: deque[str]
    waiting: deque[tuple[str, str]] = field(default_factory=deque)  # a caller's leg and number
    # The agent's leg: who it is, and whose call they are rung for.
    legs: dict[str, tuple[str, tuple[str, str]]] = field(default_factory=dict)

    def handle(self, event: dict[str, Any]) -> None:
        """Take one event."""
        leg = event.get("Unique-ID", "")
        match event["Event-Name"]:
            case "CUSTOM":
                self.waiting.append((leg, event.get("Caller-Caller-ID-Number", "")))
            case "CHANNEL_PARK" if leg in self.legs:
                caller, _ = self.legs[leg][1]
                self.commands.send(f"api uuid_bridge {caller} {leg}")
            case "CHANNEL_HANGUP" if leg in self.legs:
                self.free.append(self.legs.pop(leg)[0])
            case "BACKGROUND_JOB" if event.get("_body", "").startswith("-ERR"):
                # Not reached: the call is the first again. An answered leg's end has taken it out already.
                failed = self.legs.pop(event.get("Job-UUID", ""), None)
                if failed is not None:
                    self.free.append(failed[0])
                    self.waiting.appendleft(failed[1])

    def distribute(self) -> None:
        """Ring for whoever can be rung for."""
        orders = []
        while self.free and self.waiting:
            agent, call = self.free.popleft(), self.waiting.popleft()
            leg = str(uuid.uuid4())
            self.legs[leg] = (agent, call)
            variables = f"origination_uuid={leg},floor_leg=agent,ignore_early_media=true,hangup_after_bridge=true"
            contact = f"sofia/trunk/{agent}@127.0.0.1:{self.phones_port}"
            orders.append(
                f"bgapi originate {{{variables}}}{contact} &park() XML default {call[1]} {call[1]} {_RING_S}\n"
                f"Job-UUID: {leg}"
            )
        if orders:
            self.commands.send(*orders)


def main(port: int, password: str, phones_port: int, first: int, agents: int) -> None:
    """Distribute until standard input ends."""
    events, commands = Line(port, password), Line(port, password)
    for pair in ("variable_floor_leg agent", "Event-Name CUSTOM", "Event-Name BACKGROUND_JOB"):
        events.ask(f"filter {pair}")
    events.ask("event json CHANNEL_PARK CHANNEL_HANGUP BACKGROUND_JOB CUSTOM bench::queued")
    floor = Floor(phones_port, commands, deque(str(first + number) for number in range(agents)))
    print("ready", flush=True)
    next_wake = time.monotonic()
    while True:
        readable, _, _ = select.select(
            [events.socket, commands.socket, sys.stdin], [], [], max(0.0, next_wake - time.monotonic())
        )
        if sys.stdin in readable:
            return
        if commands.socket in readable:
            commands.read()
        if events.socket in readable:
            for head, body in events.read():
                if b"text/event-json" in head:
                    floor.handle(orjson.loads(body))
            floor.distribute()
        if time.monotonic() >= next_wake:
            events.socket.sendall(b"\n")
            next_wake = time.monotonic() + _WAKE_S


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *(int(word) for word in sys.argv[3:6]))
