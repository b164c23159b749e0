"""What strangers at the API's doors cost the calls and those who may come in: `python -m tests.prove.doors`.

The real daemon, a simulated switch with callers and agents, and between the two a wire that notes when a caller's
announcement passes and when the order to ring an agent for that call comes back: the offer latency. Then, in rounds:

    quiet    calls alone
    pressed  400 idle and 200 slow connections, and a flood of requests without a known token over new ones
    busy     the same calls beside a loop that takes as much of the processor as those strangers' processes did

Known tokens, health and figures are asked for all the while. Exit code 1 when one of them was refused or waited for
longer than a second, or when the median of the offer latency was more than 1.25 times that beside the busy loop.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any, Final
from urllib.request import Request, urlopen

import yaml

from fsacd.esl.codec import Decoder
from tests.bench.switch import take_precedence
from tests.test_daemon import PASSWORD, SUPPORT, TOKEN, Sim, await_true

# Many more than talk at once, so that no call waits for an agent: what is measured is the daemon alone.
_AGENTS: Final = tuple(str(1002 + 2 * number) for number in range(150))
_EVERY_S: Final = 0.1
_LONGEST_S: Final = 1.0
_RATE: Final = 2_000.0
_TIMES: Final = 1.25
_RING: Final = re.compile(rb"originate [^\n]*?fsacd_call=([0-9a-f-]{36})")


@dataclass
class Wire:
    """Carries bytes between daemon and switch, and notes the offer latency of each call, in seconds."""

    switch_port: int
    queued: dict[str, float] = field(default_factory=dict)
    offered: list[float] = field(default_factory=list)

    def start(self) -> int:
        """Listen; returns the port."""
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    def _accept(self, listener: socket.socket) -> None:
        while True:
            daemon, _ = listener.accept()
            switch = socket.create_connection(("127.0.0.1", self.switch_port))
            for sock in (daemon, switch):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(switch, daemon, self._heard()), daemon=True).start()
            threading.Thread(target=self._carry, args=(daemon, switch, self._said), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, look: Any) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                now = time.monotonic()
                target.sendall(data)
                look(data, now)
        for sock in (source, target):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _heard(self) -> Any:
        decoder = Decoder()

        def look(data: bytes, now: float) -> None:
            for message in decoder.feed(data):
                if message.name == "CUSTOM" and message.subclass == "fsacd::queued":
                    self.queued.setdefault(message.get("variable_fsacd_call"), now)

        return look

    def _said(self, data: bytes, now: float) -> None:
        for found in _RING.finditer(data):
            began = self.queued.pop(found[1].decode(), None)
            if began is not None:
                self.offered.append(now - began)


@dataclass(frozen=True)
class Round:
    """What one round has shown. Latencies in ms."""

    name: str
    offers: int
    calls: int
    p50: float
    p95: float
    parts: dict[str, Any]
    daemon_share: float
    crowd_share: float

    def __str__(self) -> str:
        return (
            f"{self.name:8} {self.offers:4} of {self.calls:4} calls offered   p50 {self.p50:6.2f} ms   "
            f"p95 {self.p95:6.2f} ms   daemon {self.daemon_share:4.0%} of a core   the others {self.crowd_share:4.0%}"
        )


class Site:
    """Switch, wire and daemon. `more`: queues, agents, limits and tokens beside those that the calls need."""

    def __init__(self, directory: Path, more: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.sim = Sim()
        for agent in _AGENTS:
            self.sim.tell(phone={"user": agent, "answers_ms": 20, "talks_ms": 300})
        self.wire = Wire(self.sim.port)
        config = {
            "switches": {"sim": {"port": self.wire.start(), "password": PASSWORD}},
            "api": {
                "listen": "127.0.0.1:0",
                "tokens": [{"name": "prove", "role": "read", "token": TOKEN}, *more.get("tokens", [])],
            },
            "limits": {"settle": "100ms", **more.get("limits", {})},
            "defaults": {"wrap_up": "0s"},
            "queues": {"support": {}, **more.get("queues", {})},
            "agents": {
                **{agent: {"queues": ["support"], "login_at_start": True} for agent in _AGENTS},
                **more.get("agents", {}),
            },
        }
        file, self.log = directory / "fsacd.yaml", directory / "log"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "fsacd", "run", "--config", str(file)]
            self.daemon = subprocess.Popen(command, stderr=log, stdout=log, stdin=subprocess.DEVNULL)
        await_true(lambda: self._said("in sync with the switch"), "the daemon is in sync", 60)
        self.port = int(self._said("fsacd is up")[0]["api"].rpartition(":")[2])

    def _said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def waiting(self, queue: str) -> int:
        """How many callers wait there."""
        request = Request(f"http://127.0.0.1:{self.port}/api/v1/queues", headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(request, timeout=60) as answer:
            queues = {one["name"]: one["waiting"] for one in json.load(answer)["queues"]}
        return int(queues[queue])

    def cpu_s(self) -> float:
        """What the daemon has had of the processor so far."""
        fields = Path(f"/proc/{self.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def round(self, name: str, seconds: float, *parts: Sequence[str]) -> Round:
        """Calls for so long, and the parts of the crowd beside them."""
        usual = ["--port", str(self.port), "--seconds", str(seconds)]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.prove._crowd", *part, *usual], stdout=subprocess.PIPE, text=True
            )
            for part in parts
        ]
        self.wire.queued.clear()
        self.wire.offered.clear()
        before, began, calls = self.cpu_s(), time.monotonic(), 0
        while time.monotonic() < began + seconds:
            calls += 1
            self.sim.dial(SUPPORT, number=f"49301{calls:06}")
            time.sleep(max(0.0, began + calls * _EVERY_S - time.monotonic()))
        spent = self.cpu_s() - before
        told = {
            part[0]: json.loads(process.communicate(timeout=120)[0])
            for part, process in zip(parts, started, strict=True)
        }
        time.sleep(1.0)
        offered = sorted(self.wire.offered)
        crowd = sum(document["cpu_s"] for part, document in told.items() if part != "probe")
        return Round(
            name, len(offered), calls, median(offered) * 1_000, offered[int(len(offered) * 0.95)] * 1_000, told,
            spent / seconds, crowd / seconds,
        )  # fmt: skip

    def stop(self) -> None:
        """End both."""
        self.daemon.terminate()
        self.daemon.wait(30)
        self.sim.stop()


def main(n: int | None) -> int:
    """Two rounds of 20 s; or one of `n` s, in which nothing is said of the offers' time."""
    take_precedence()
    return prove(20.0, _RATE, 2) if n is None else prove(float(n), _RATE, 1, timed=False)


def command() -> int:
    """The same by hand."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=_RATE, help="requests a second, if one process can make them")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precedence", action="store_true", help="run before the machine's other programs")
    given = parser.parse_args()
    if given.precedence and not take_precedence():
        print("there is no right to run before the machine's other programs")
    return prove(given.seconds, given.rate, given.rounds)


def prove(seconds: float, rate: float, rounds: int, *, timed: bool = True) -> int:
    """Measure and judge; `timed`: also how long an offer takes, which a short round does not tell."""
    probe = ["probe", "--token", TOKEN]
    pressed: list[Round] = []
    busy: list[Round] = []
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory))
        try:
            print(site.round("quiet", seconds / 2, probe), flush=True)
            for _ in range(rounds):
                pressed.append(site.round("pressed", seconds, probe, ["loiter"], ["flood", "--rate", str(rate)]))
                print(pressed[-1], flush=True)
                share = str(min(1.0, pressed[-1].crowd_share))
                busy.append(site.round("busy", seconds, probe, ["busy", "--share", share]))
                print(busy[-1], flush=True)
        finally:
            log = site.log.read_text()
            print(f"the daemon wrote {len(log)} bytes of log, {log.count('Traceback')} tracebacks")
            site.stop()
    faults = []
    for found in pressed:
        for part in ("flood", "loiter"):
            print(f"{part}: {json.dumps(found.parts[part])}")
        for name, served in found.parts["probe"]["served"].items():
            print(
                f"  {name:30} {served['answers']:4} answers, p50 {served['p50_ms']} ms, "
                f"slowest {served['slowest_ms']} ms"
            )
            if served["slowest_ms"] > _LONGEST_S * 1_000:
                faults.append(f"{name}: one answer took {served['slowest_ms']} ms")
        faults += [f"{what}, {count} times" for what, count in found.parts["probe"]["wrong"].items()]
        faults += [f"{found.calls - found.offers} calls were not offered"] * (found.offers < found.calls)
    ratio = median(one.p50 for one in pressed) / median(one.p50 for one in busy)
    print(f"offer latency p50: {ratio:.2f} times that beside the busy loop; at most {_TIMES}")
    if timed and ratio > _TIMES:
        faults.append(f"the offer latency is {ratio:.2f} times that beside a busy loop")
    print("\n".join(f"WRONG: {fault}" for fault in faults) or "all doors held")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(command())
