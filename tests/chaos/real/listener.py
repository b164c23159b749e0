"""What lets an oracle hear a real FreeSWITCH: a connection of the test's own, which a crash of the switch ends."""

from __future__ import annotations

import json

import gevent
from gevent import socket

from tests.chaos.oracle import EVENTS, SUBCLASSES, Oracle
from tests.e2e.rig.switch import PASSWORD

_CHUNK = 1 << 18
_LONG_S = 10.0
_SUBSCRIPTION = f"event json {' '.join(EVENTS)} CUSTOM {' '.join(SUBCLASSES)}"


class Listener:
    """It listens from the beginning to the end, or to the first crash. `error` is why it does not, if it has failed."""

    def __init__(self, port: int, oracle: Oracle) -> None:
        self.oracle = oracle
        self.heard = 0  # events
        self.error = ""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_LONG_S)
        self._socket.settimeout(None)
        self._file = self._socket.makefile("rb", _CHUNK)
        for command in (f"auth {PASSWORD}", _SUBSCRIPTION):
            self._socket.sendall(f"{command}\n\n".encode())
        self._reading = gevent.spawn(self._read)

    def _read(self) -> None:
        try:
            while (event := self._next()) is not None:
                self.heard += 1
                self.oracle.hear(event)
        except OSError:
            pass  # the switch was killed
        except Exception as error:
            self.error = repr(error)
            raise

    def _next(self) -> dict[str, str] | None:
        """The next event's headers; None at the end."""
        while True:
            length, kind, line = 0, "", b""
            while (line := self._file.readline()) != b"\n":
                if not line:
                    return None
                name, _, value = line.decode().strip().partition(": ")
                length = int(value) if name == "Content-Length" else length
                kind = value if name == "Content-Type" else kind
            body = self._file.read(length)
            if kind == "text/event-json":
                event: dict[str, str] = json.loads(body)
                return event

    def stop(self) -> None:
        """Listen no more."""
        self._reading.kill()
        self._file.close()
        self._socket.close()
