"""A proxy between the daemon and the switch that kills a leg inside the bridge window.

It passes every byte on untouched. When the switch answers +OK to an `api uuid_bridge`, it kills one of the two legs,
over a connection of its own, 0 to 40 ms later: the time in which FreeSWITCH has promised the bridge but not made it.
"""

from __future__ import annotations

import queue
import random
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.e2e.rig.switch import Esl

_BRIDGE = re.compile(rb"^api uuid_bridge ([0-9a-f-]{36}) ([0-9a-f-]{36})$")
_REPLY = re.compile(rb"Content-Type: (api/response|command/reply)\n(?:[^\n]+\n)*\n")


@dataclass(frozen=True)
class Forced:
    """One hang-up forced by the proxy: which leg, and how long after the +OK."""

    caller: str
    agent: str
    victim: str
    after_ms: float
    answer: str


@dataclass
class BridgeWindow:
    """Listens on `port`; `choose(caller, agent)` names the leg to kill, or None to leave the bridge alone."""

    esl_port: int
    choose: Callable[[str, str, Callable[[str], str]], str | None]
    seed: int = 1
    forced: list[Forced] = field(default_factory=list)
    port: int = 0

    def start(self) -> None:
        """Begin to pass connections on."""
        self._chance = random.Random(self.seed)
        self._orders: queue.SimpleQueue[tuple[float, str, str] | None] = queue.SimpleQueue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._kill, daemon=True).start()

    def stop(self) -> None:
        """Take no more connections."""
        # Under gevent a blocked accept is not ended by close; it is by shutdown.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._orders.put(None)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.esl_port))
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # What was asked, in order, None for anything but a bridge: answers come in the same order.
            asked: deque[tuple[str, str] | None] = deque()
            commands, answers = _Commands(asked), _Answers(asked, self._orders)
            threading.Thread(target=self._pass, args=(near, far, commands.see), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, answers.see), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, see: Callable[[bytes], None]) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
                see(data)
        except OSError:
            pass  # one side has gone; the other is told below
        for sock in (source, target):
            with suppress(OSError):  # gone already
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _kill(self) -> None:
        esl = Esl(self.esl_port)
        while (order := self._orders.get()) is not None:
            promised, caller, agent = order
            victim = self.choose(caller, agent, esl.api)
            if victim is None:
                continue
            wait = promised + self._chance.uniform(0, 0.040) - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            after_ms = (time.monotonic() - promised) * 1000
            answer = esl.api(f"uuid_kill {victim} NORMAL_CLEARING")
            self.forced.append(Forced(caller, agent, victim, after_ms, answer))
        esl.close()


class _Commands:
    """Notes each command that the daemon sends."""

    def __init__(self, asked: deque[tuple[str, str] | None]) -> None:
        self._asked = asked
        self._buffer = b""

    def see(self, data: bytes) -> None:
        # A lone newline is a wake-up, which the switch does not answer.
        self._buffer = (self._buffer + data).lstrip(b"\n")
        while (end := self._buffer.find(b"\n\n")) >= 0:
            command, self._buffer = self._buffer[:end], self._buffer[end + 2 :].lstrip(b"\n")
            found = _BRIDGE.match(command)
            self._asked.append((found[1].decode(), found[2].decode()) if found else None)


class _Answers:
    """Finds the answer of each bridge command."""

    def __init__(
        self, asked: deque[tuple[str, str] | None], orders: queue.SimpleQueue[tuple[float, str, str] | None]
    ) -> None:
        self._asked = asked
        self._orders = orders
        self._buffer = b""

    def see(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n\n")) >= 0:
            head = self._buffer[: end + 2]
            length = re.search(rb"Content-Length: (\d+)", head)
            size = int(length[1]) if length else 0
            if len(self._buffer) < len(head) + size:
                return
            body = self._buffer[len(head) : len(head) + size]
            self._buffer = self._buffer[len(head) + size :]
            if _REPLY.search(head) and self._asked:
                bridge = self._asked.popleft()
                if bridge is not None and body.startswith(b"+OK"):
                    self._orders.put((time.monotonic(), *bridge))
