"""20,000 calls with everything on: nothing grows after the first thousand. `python -m tests.prove --only many_calls`.

The real daemon on a simulated switch, with a journal, history in a real PostgreSQL, a log in a file, a scrape each
second and readers who list, look and ask why. The callers are as many as make the first thousand calls, and then call
again; what is remembered of past calls is bounded tighter than usual (`_counted`), so that it has its size by then,
too. After each thousand calls, when all have ended, it is counted what the daemon holds. The exit code is 1 when
greenlets, threads, descriptors or files have come since the first thousand, when the calls since then have left more
memory than the bar allows, or when a call is not in the history or the log has a traceback.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.error import URLError
from urllib.request import Request, urlopen

import psycopg
import yaml

from fsacd.store.embedded import EmbeddedPostgres
from tests.test_daemon import PASSWORD, SUPPORT, TOKEN, Sim, await_true

CALLS: Final = 20_000
# Of each part; the first one is not judged. Caches and counters have their size after it.
PART: Final = 1_000
# How much memory a call may leave behind, seen over all parts but the first. An object that is forgotten takes more.
MOST_BYTES: Final = 100
# Pages that the allocator or PostgreSQL's library has taken and keeps.
SLACK_BYTES: Final = 3_000_000
# A snapshot, or a look, may be under way at the moment of counting.
SLACK_THINGS: Final = 4
# Calls a second, and at once.
RATE: Final = 80.0
AT_ONCE: Final = 200
AGENTS: Final = tuple(str(1002 + 2 * number) for number in range(60))
DEADLINE_S: Final = 300.0
# Each token has its own pace, so that no reader keeps the callers from being counted.
READERS: Final = "readers-0123456789abcdef01234567"
LOOK_S: Final = 0.5
# What is looked at, over and over, each by one reader.
LOOKS: Final = ("metrics", "api/v1/calls?limit=50", "api/v1/agents", "api/v1/queues", "status", "readyz")


@dataclass(frozen=True)
class Held:
    """What the daemon holds when no call is there."""

    calls: int
    memory: int  # bytes
    descriptors: int
    greenlets: int
    threads: int
    files: int

    def __str__(self) -> str:
        return (
            f"{self.calls:6} calls: {self.memory / 1_000_000:7.2f} MB, {self.descriptors} descriptors, "
            f"{self.greenlets} greenlets, {self.threads} threads, {self.files} files"
        )


def grown(first: Held, last: Held) -> list[str]:
    """What has grown between these two, in sentences."""
    calls = last.calls - first.calls
    faults = []
    left = last.memory - first.memory
    if left > SLACK_BYTES + MOST_BYTES * calls:
        faults.append(f"{calls} calls have left {left} bytes: {left / calls:.0f} each")
    for what in ("descriptors", "greenlets", "threads", "files"):
        more = getattr(last, what) - getattr(first, what)
        if more > SLACK_THINGS:
            faults.append(f"there are {more} more {what}")
    return faults


class Centre:
    """Switch, database and daemon."""

    def __init__(self, directory: Path, dsn: str) -> None:
        self._place, self._told, self.log = directory, directory / "counted", directory / "log"
        self.sim = Sim()
        for agent in AGENTS:
            self.sim.tell(phone={"user": agent, "answers_ms": 20, "talks_ms": 100})
        config = {
            "switches": {"sim": {"port": self.sim.port, "password": PASSWORD}},
            "api": {
                "listen": "127.0.0.1:0",
                "tokens": [
                    {"name": "prove", "role": "read", "token": TOKEN},
                    {"name": "readers", "role": "admin", "token": READERS},
                ],
            },
            "store": {"dsn": dsn},
            "journal": {"directory": str(directory / "journal"), "snapshot_entries": 2_000},
            "log": {"format": "json", "level": "info"},
            "limits": {"settle": "100ms", "decisions": 500},
            "defaults": {"wrap_up": "0s"},
            "queues": {"support": {}},
            "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in AGENTS},
        }
        file = directory / "fsacd.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "tests.prove._counted", "run", "--config", str(file)]
            environment = {**os.environ, "FSACD_COUNTED": str(self._told)}
            self.daemon = subprocess.Popen(command, stderr=log, stdout=log, stdin=subprocess.DEVNULL, env=environment)
        await_true(lambda: self.said("in sync with the switch"), "the daemon is in sync", DEADLINE_S)
        self.url = str(self.said("fsacd is up")[0]["api"])
        self.dialled = 0

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def get(self, path: str, token: str = READERS) -> bytes:
        request = Request(f"{self.url}/{path}", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request, timeout=60) as answer:
            found: bytes = answer.read()
        return found

    def there(self) -> int:
        """How many calls there are now."""
        listed: Mapping[str, Any] = json.loads(self.get("api/v1/calls?limit=1000", TOKEN))
        return len(listed["calls"])

    def _await_at_most(self, calls: int) -> None:
        until = time.monotonic() + DEADLINE_S
        while self.there() > calls:
            assert time.monotonic() < until, f"more than {calls} calls are there for {DEADLINE_S:g} s"
            time.sleep(0.2)

    def dial(self, calls: int) -> None:
        """Let so many callers call, and wait until the last call has ended."""
        began = time.monotonic()
        for number in range(1, calls + 1):
            self.dialled += 1
            self.sim.dial(SUPPORT, number=f"49301{self.dialled % PART:06}")
            if number % (AT_ONCE // 2) == 0:
                self._await_at_most(AT_ONCE // 2)
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        self._await_at_most(0)

    def held(self) -> Held:
        """Count. The readers have looked away, and their connections are given the time to go."""
        time.sleep(2.0)
        self._told.unlink(missing_ok=True)
        self.daemon.send_signal(signal.SIGUSR2)
        await_true(self._told.exists, "the daemon counts", DEADLINE_S)
        told = json.loads(self._told.read_text())
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        memory = int(status.partition("VmRSS:")[2].split()[0]) * 1024
        files = sum(len(names) for _, _, names in os.walk(self._place))
        return Held(self.dialled, memory, files=files, **told)

    def stop(self) -> None:
        """End both."""
        self.daemon.terminate()
        self.daemon.wait(60)
        self.sim.stop()


class Readers:
    """Some who look on, each at one thing, twice a second; and one who asks why the latest call went where."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._away = threading.Event()
        self._all = [threading.Thread(target=self._look, args=(path,), daemon=True) for path in LOOKS]
        self._all.append(threading.Thread(target=self._ask_why, daemon=True))
        self.answers = 0

    def __enter__(self) -> Self:
        for reader in self._all:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._away.set()
        for reader in self._all:
            reader.join(60)

    def _look(self, path: str) -> None:
        while not self._away.wait(1.0 if path == "metrics" else LOOK_S):
            with suppress(URLError):
                self._centre.get(path)
                self.answers += 1

    def _ask_why(self) -> None:
        while not self._away.wait(LOOK_S):
            with suppress(URLError):  # the call may be over, and forgotten
                calls = json.loads(self._centre.get("api/v1/calls?limit=1"))["calls"]
                if calls:
                    self._centre.get(f"api/v1/calls/{calls[0]['id']}/explain")
                    self.answers += 1


def main(n: int | None) -> int:
    """20 parts; or `n` parts beside the first, which is not judged."""
    parts = CALLS // PART if n is None else n + 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        # PostgreSQL runs as an ordinary user, who must be able to come by.
        Path(place).chmod(0o711)
        directory = Path(place) / "fsacd"
        directory.mkdir(mode=0o700)
        with EmbeddedPostgres(Path(place) / "pg", durable=False) as server:
            faults = prove(Centre(directory, server.dsn), server.dsn, parts)
    print("\n".join(f"WRONG: {fault}" for fault in faults) or "nothing grows")
    return bool(faults)


def prove(centre: Centre, dsn: str, parts: int) -> list[str]:
    """Call in so many parts, and count after each; what was wrong, in sentences."""
    found: list[Held] = []
    try:
        for _ in range(parts):
            with Readers(centre) as readers:
                centre.dial(PART)
            found.append(centre.held())
            print(f"{found[-1]}; {readers.answers} answers to readers", flush=True)
        faults = grown(found[0], found[-1])
    finally:
        centre.stop()
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*), count(*) FILTER (WHERE outcome = 'answered') FROM calls").fetchone()
    assert row is not None
    print(f"history has {row[0]} calls, {row[1]} of them answered")
    if row[0] != centre.dialled:
        faults.append(f"history has {row[0]} of {centre.dialled} calls")
    log = centre.log.read_text()
    if "Traceback" in log:
        faults.append(f"the log has {log.count('Traceback')} tracebacks")
    return faults
