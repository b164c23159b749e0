"""A switch that turns hostile: a relay in front of a sound one, which begins and ends to say or change what it is told.

    python -m tests.prove._relay --upstream PORT

Prints its port. Then each line on its standard input is a kind of tests.esl.hostile, by which it speaks from then on
(`sound`: by none), with how many bytes at most and over how many connections at most, between tabs. Each change ends
all connections. It prints `spent` when it has said so much; from then on it is sound.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from tests.esl.hostile import ANSWERS, GREETINGS, KINDS

SOUND: Final = "sound"
# So long a new connection is sound: the daemon is in sync by then, more often than not.
_SOUND_S: Final = 0.5


class Relay:
    """Serves each connection by two threads, and one more that speaks in between."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._kind = SOUND
        self._bytes_left = self._connections_left = 0
        self._life = 0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def turn(self, kind: str, most_bytes: int, most_connections: int) -> None:
        """From now on speak by this kind."""
        self._kind, self._bytes_left, self._connections_left = kind, most_bytes, most_connections
        self._life += 1
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        kind, life = self._kind, self._life
        with client, socket.create_connection(("127.0.0.1", self._upstream)) as switch:
            self._open |= {client, switch}
            try:
                if kind in GREETINGS and self._may_go_on(life, 1):
                    client.sendall(GREETINGS[kind])
                    client.recv(4096)
                    return
                threading.Thread(target=_copy, args=(client, switch), daemon=True).start()
                lock = threading.Lock()
                if kind in KINDS:
                    threading.Thread(target=self._speak, args=(kind, life, client, lock), daemon=True).start()
                for head, body in _messages(switch):
                    changed = body
                    if kind in ANSWERS and b"api/response" in head and self._bytes_left > 0:
                        changed = ANSWERS[kind](body)
                        self._spend(life, len(changed))
                    if changed is not body:
                        head = b"Content-Type: api/response\nContent-Length: %d\n\n" % len(changed)  # noqa: PLW2901
                    with lock:
                        client.sendall(head + changed)
            except OSError:
                pass  # one of the two has gone
            finally:
                self._open -= {client, switch}

    def _speak(self, kind: str, life: int, client: socket.socket, lock: threading.Lock) -> None:
        time.sleep(_SOUND_S)
        if not self._may_go_on(life, 1):
            return
        with suppress(OSError):
            for piece in KINDS[kind].stream():
                if life != self._life or self._bytes_left <= 0:
                    return
                with lock:
                    client.sendall(piece)
                self._spend(life, len(piece))

    def _may_go_on(self, life: int, connections: int) -> bool:
        self._connections_left -= connections
        if self._connections_left < 0:
            self._spend(life, self._bytes_left)
        return life == self._life and self._connections_left >= 0

    def _spend(self, life: int, count: int) -> None:
        if life == self._life and self._bytes_left > 0:
            self._bytes_left -= count
            if self._bytes_left <= 0:
                print("spent", flush=True)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def _messages(source: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Head, with its empty line, and body of each message."""
    data = b""
    while True:
        while b"\n\n" not in data:
            more = source.recv(65_536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\n\n")
        lengths = [line[16:] for line in head.split(b"\n") if line.startswith(b"Content-Length: ")]
        length = int(lengths[0]) if lengths else 0
        while len(data) < length:
            more = source.recv(65_536)
            if not more:
                return
            data += more
        body, data = data[:length], data[length:]
        yield head + b"\n\n", body


def main() -> int:
    parser = argparse.ArgumentParser(description="Relay a switch, and turn hostile when told to.")
    parser.add_argument("--upstream", type=int, required=True)
    relay = Relay(parser.parse_args().upstream)
    threading.Thread(target=relay.run, daemon=True).start()
    print(relay.port, flush=True)
    for line in sys.stdin:
        kind, most_bytes, most_connections = line.rstrip("\n").split("\t")
        relay.turn(kind, int(most_bytes), int(most_connections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
