"""Those who press against the doors, and those who are to be served all the same: `python -m tests.prove._crowd`.

One process for each part, so that none disturbs another's clock; each prints one JSON document at its end.
"""

from __future__ import annotations

import argparse
import errno
import http.client
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

# What strangers ask for, in turn: nothing of it carries a token that is known.
REQUESTS: Final = (
    b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/agents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong-token-wrong-token\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /nothing HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"nonsense\r\n\r\n",
)
_IN_FLIGHT: Final = 256
_PATIENCE_S: Final = 5.0
_TRICKLE_S: Final = 0.5
_PROBE_EVERY_S: Final = 0.1
_DEADLINE_S: Final = 10.0


@dataclass
class Flood:
    """New connections, `rate` a second at most, each with one request; what became of them."""

    port: int
    rate: float
    seconds: float
    found: Counter[str] = field(default_factory=Counter)
    made: int = 0
    slowest_s: float = 0.0

    def run(self) -> dict[str, Any]:
        """Press for so long."""
        selector = selectors.DefaultSelector()
        began = time.monotonic()
        while (now := time.monotonic()) < began + self.seconds or selector.get_map():
            while (
                now < began + self.seconds
                and self.made < (now - began) * self.rate
                and len(selector.get_map()) < _IN_FLIGHT
            ):
                self._connect(selector, now)
            for key, _ in selector.select(0.002):
                self._turn(selector, key, now)
            for key in [key for key in selector.get_map().values() if now - key.data[1] > _PATIENCE_S]:
                self._end(selector, key, "silence")
        return {
            "made": self.made,
            "a_second": round(self.made / self.seconds),
            "found": dict(self.found),
            "slowest_s": round(self.slowest_s, 3),
            "cpu_s": cpu_s(),
        }

    def _connect(self, selector: selectors.BaseSelector, now: float) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        self.made += 1
        if sock.connect_ex(("127.0.0.1", self.port)) not in (0, errno.EINPROGRESS):
            self.found["no connection"] += 1
            sock.close()
            return
        selector.register(sock, selectors.EVENT_WRITE, [REQUESTS[self.made % len(REQUESTS)], now])

    def _turn(self, selector: selectors.BaseSelector, key: selectors.SelectorKey, now: float) -> None:
        sock: Any = key.fileobj
        try:
            if key.events & selectors.EVENT_WRITE:
                sock.send(key.data[0])
                selector.modify(sock, selectors.EVENT_READ, key.data)
                return
            answer = sock.recv(65_536)
        except OSError as error:
            self._end(selector, key, errno.errorcode.get(error.errno or 0, "error"))
            return
        self.slowest_s = max(self.slowest_s, now - key.data[1])
        self._end(selector, key, answer.split()[1].decode() if answer else "closed")

    def _end(self, selector: selectors.BaseSelector, key: selectors.SelectorKey, found: str) -> None:
        sock: Any = key.fileobj
        self.found[found] += 1
        selector.unregister(sock)
        sock.close()


@dataclass
class Loiter:
    """Idle and slow connections, each made anew when it is ended."""

    port: int
    idle: int
    slow: int
    seconds: float
    made: int = 0
    ended: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Any]:
        """Stand in the door for so long."""
        idle: list[socket.socket] = []
        slow: list[socket.socket] = []
        ends = time.monotonic() + self.seconds
        while time.monotonic() < ends:
            idle = [sock for sock in idle if self._stays(sock, "idle")]
            slow = [sock for sock in slow if self._stays(sock, "slow")]
            idle += self._more(self.idle - len(idle), b"")
            slow += self._more(self.slow - len(slow), b"GET /api/v1/status HTTP/1.1\r\nX: ")
            for sock in slow:
                with suppress(OSError):  # ended; the next look finds that
                    sock.send(b"a")
            time.sleep(_TRICKLE_S)
        for sock in (*idle, *slow):
            sock.close()
        return {"made": self.made, "ended": dict(self.ended), "cpu_s": cpu_s()}

    def _more(self, count: int, sent: bytes) -> list[socket.socket]:
        found = []
        for _ in range(count):
            self.made += 1
            try:
                sock = socket.create_connection(("127.0.0.1", self.port), timeout=1)
            except OSError:
                self.ended["no connection"] += 1
                break
            sock.setblocking(False)
            if sent:
                sock.send(sent)
            found.append(sock)
        return found

    def _stays(self, sock: socket.socket, kind: str) -> bool:
        try:
            answer = sock.recv(4_096)
        except BlockingIOError:
            return True
        except OSError:
            answer = b""
        self.ended[f"{kind} {answer.split()[1].decode() if answer else 'closed'}"] += 1
        sock.close()
        return False


@dataclass
class Probe:
    """Those who are to be served: each asks again and again, and notes how long its answer takes, and what it is."""

    port: int
    token: str
    seconds: float
    took: dict[str, list[float]] = field(default_factory=dict)
    wrong: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Any]:
        """Ask for so long."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        asks = [
            ("known token, new connections", "/api/v1/status", bearer, False),
            ("known token, kept connection", "/api/v1/status", bearer, True),
            ("/livez, new connections", "/livez", {}, False),
            ("/livez, kept connection", "/livez", {}, True),
            ("/readyz, new connections", "/readyz", {}, False),
            ("/metrics by a known token", "/metrics", bearer, False),
        ]
        threads = [threading.Thread(target=self._ask, args=ask) for ask in asks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wrong.update({f"{name}: no answer at all": 1 for name, took in self.took.items() if not took})
        answers = {
            name: {"answers": len(took), "p50_ms": ms(sorted(took)[len(took) // 2]), "slowest_ms": ms(max(took))}
            for name, took in self.took.items()
            if took
        }
        return {"served": answers, "wrong": dict(self.wrong), "cpu_s": cpu_s()}

    def _ask(self, name: str, path: str, headers: dict[str, str], keep: bool) -> None:
        took = self.took.setdefault(name, [])
        ends = time.monotonic() + self.seconds
        connection: http.client.HTTPConnection | None = None
        while (began := time.monotonic()) < ends:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_DEADLINE_S)
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                response.read()
                if response.status != http.client.OK:
                    self.wrong[f"{name}: {response.status}"] += 1
                if not keep or response.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                # A kept connection may be ended between two requests, which HTTP allows; then the next is asked anew.
                if not keep:
                    self.wrong[f"{name}: {type(error).__name__}"] += 1
                if connection is not None:
                    connection.close()
                connection = None
                if keep:
                    time.sleep(0.01)
                    continue
            took.append(time.monotonic() - began)
            time.sleep(_PROBE_EVERY_S)
        if connection is not None:
            connection.close()


@dataclass
class Lookers:
    """Each token asks for long lists, one after the other; and figures are scraped each second."""

    port: int
    tokens: list[str]
    seconds: float
    found: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Any]:
        """Look on for so long."""
        lists = ("/api/v1/calls?limit=1000", "/api/v1/agents?limit=1000", "/api/v1/queues")
        asks = [(token, lists, 0.0) for token in self.tokens] + [(self.tokens[0], ("/metrics",), 1.0)]
        threads = [threading.Thread(target=self._ask, args=ask) for ask in asks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"found": dict(self.found), "cpu_s": cpu_s()}

    def _ask(self, token: str, paths: tuple[str, ...], rest_s: float) -> None:
        ends = time.monotonic() + self.seconds
        while time.monotonic() < ends:
            for path in paths:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_DEADLINE_S)
                try:
                    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
                    response = connection.getresponse()
                    response.read()
                    self.found[f"{path} {response.status}"] += 1
                except (OSError, http.client.HTTPException) as error:
                    self.found[f"{path} {type(error).__name__}"] += 1
                finally:
                    connection.close()
                time.sleep(rest_s)


@dataclass
class Busy:
    """Computes for `share` of the time, and disturbs nobody in any other way."""

    share: float
    seconds: float

    def run(self) -> dict[str, Any]:
        """Compute for so long, a hundredth of a second at a time."""
        ends = time.monotonic() + self.seconds
        while (now := time.monotonic()) < ends:
            spent = time.process_time()
            while time.process_time() - spent < self.share / 100:
                pass
            time.sleep(max(0.0, now + 0.01 - time.monotonic()))
        return {"cpu_s": cpu_s()}


def ms(seconds: float) -> float:
    return round(seconds * 1_000, 1)


def cpu_s() -> float:
    """What this process has had of the processor."""
    times = os.times()
    return round(times.user + times.system, 2)


def main() -> int:
    """Play one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("flood", "loiter", "probe", "lookers", "busy"))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=2_000.0)
    parser.add_argument("--idle", type=int, default=400)
    parser.add_argument("--slow", type=int, default=200)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--token", default="")
    parser.add_argument("--looker", action="append", default=[], help="the token of one who looks on; may be repeated")
    given = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "flood": Flood(given.port, given.rate, given.seconds).run,
        "loiter": Loiter(given.port, given.idle, given.slow, given.seconds).run,
        "probe": Probe(given.port, given.token, given.seconds).run,
        "lookers": Lookers(given.port, given.looker, given.seconds).run,
        "busy": Busy(given.share, given.seconds).run,
    }
    print(json.dumps(parts[given.part]()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
