"""Reloads: hundreds of them leave nothing behind in the daemon's memory, and one that is cut short leaves no half.

The daemon is killed (-9) at random moments of its reloads; what its journal says then are the rules of before or those
of the new file, whole.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from fsacd.core.rules import Rules
from fsacd.daemon.plugging import read
from fsacd.journal.files import Directory
from fsacd.journal.recovery import recover
from fsacd.plugins import shipped
from fsacd.process import heap, reload_outcome
from tests.reloaded import Reloaded

RELOADS: Final = 400
MOST_BYTES: Final = 1_000_000
# Caches and counters have their size after so many.
WARM: Final = 50
KILLS: Final = 40
AGENTS: Final = 300
DEADLINE_S: Final = 60.0

PLUGIN: Final = """\
from fsacd.strategy import BaseKeyStrategy

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    def key(self, agent, service, required):
        return (agent.agent_id,)
"""


def main(n: int | None) -> int:
    """Reload and kill; the exit code says whether memory has grown, or rules were found that nobody has written."""
    with tempfile.TemporaryDirectory() as place:
        grown = grown_by(Path(place), RELOADS if n is None else 20 * n)
    print(f"memory has grown by {grown / 1000:.0f} kB", flush=True)
    seed = secrets.randbelow(2**31)
    print(f"kills from seed {seed} on", flush=True)
    # A copy of the last daemon that was killed may still write its snapshot there.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        found = killed(Path(place), KILLS if n is None else n, Random(seed))
    print(f"rules found after kills: {found}", flush=True)
    return int(grown > MOST_BYTES)


def resident() -> int:
    """The memory of this process, in bytes, without what it has freed."""
    heap.give_back()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def grown_by(place: Path, reloads: int) -> int:
    """By how many bytes so many reloads let a whole daemon grow.

    One in two changes nothing, the others change a few or all of its agents, and one in five is refused.
    """
    plugins = place / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "by_id.py").write_text(PLUGIN, encoding="utf-8")
    (plugins / "by_id.py").chmod(0o644)
    one = Reloaded(place)

    def reload(number: int) -> None:
        version = number // 2
        agents = {
            f"{n}": {"queues": ["support"], "name": f"{n} {version if n < 3 else version // 10}"} for n in range(200)
        }
        queues: dict[str, Any] = {"support": {"strategy": "by_id"}, "sales": {}}
        one.write(strategy_path=[str(plugins)], queues=queues, agents=agents)
        gc.collect()  # to write YAML leaves circles
        one.daemon.reload_on_signal()
        if number % 5 == 0:
            one.daemon._reloads.begin("api:x").wait()
            one.write(queues={"support": {"ring_timeuot": "1s"}})
            one.daemon._reloads.begin("api:y").within(DEADLINE_S)
        one.daemon._reloads.begin("api:z", dry_run=True).within(DEADLINE_S)

    for number in range(WARM):
        reload(number)
    before = resident()
    for number in range(WARM, WARM + reloads):
        reload(number)
    return resident() - before


# --- kills ---


class Killed:
    """A daemon without a switch, whose file changes between two versions."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.file = place / "fsacd.yaml"
        self.run = place / "run"
        self.run.mkdir(mode=0o700)
        self.journal = place / "journal"
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, version: int) -> Rules:
        """Write this version of the file, and give its rules."""
        agents = {f"{n}": {"queues": [f"q{(n + version) % 3}"], "name": f"{version}"} for n in range(AGENTS)}
        queues = {f"q{n}": {"ring_timeout": f"{10 + version % 2}s"} for n in range(3)}
        content = {
            "switches": {"fs1": {"password": "fine", "port": 1}},
            "api": {"listen": "127.0.0.1:0"},
            "journal": {"directory": str(self.journal)},
            "log": {"format": "json"},
            "queues": queues,
            "agents": agents,
        }
        self.file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return read(self.file).config.rules()

    def start(self) -> None:
        """Start it, and wait until its journal begins."""
        log = self._place / "log"
        log.write_bytes(b"")
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fsacd", "run", "--config", str(self.file)],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "RUNTIME_DIRECTORY": str(self.run)},
            )
        _until(lambda: b"fsacd is up" in log.read_bytes(), "the daemon is up")

    def signal(self) -> None:
        """Let it reload."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def has_reloaded_since(self, began_ns: int) -> bool:
        """Whether a reload that began after this moment has ended."""
        told = reload_outcome.read(self.run)
        return told is not None and told.began_ns >= began_ns

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def rules(self) -> Rules:
        """The rules that its journal says were in force."""
        directory = Directory(self.journal)
        try:
            recovered = recover(directory, shipped(), "hours")
        finally:
            directory.close()
        assert recovered is not None
        assert not recovered.damage, recovered.damage
        recovered.engine.check()
        return recovered.engine._world.rules


def killed(place: Path, kills: int, chance: Random) -> dict[str, int]:
    """Kill a daemon in so many reloads; how often the old and the new rules were found. AssertionError for others."""
    daemon = Killed(place)
    found = {"old": 0, "new": 0}
    old = daemon.write(0)
    daemon.start()
    took_s = 1.0
    for number in range(1, kills + 1):
        new = daemon.write(number)
        began_ns = time.monotonic_ns()
        daemon.signal()
        if number == 1:
            # How long it takes here, so that the kills come at any moment of it.
            _until(lambda: daemon.has_reloaded_since(began_ns), "the reload ends")  # noqa: B023 - awaited at once
            took_s = (time.monotonic_ns() - began_ns) / 1e9
        else:
            time.sleep(chance.uniform(0, 1.2 * took_s))
        daemon.kill()
        rules = daemon.rules()
        which = "new" if rules == new else "old"
        assert rules in (old, new), "neither the old nor the new rules are in force"
        found[which] += 1
        daemon.start()  # it takes what is in the file
        old = new
    daemon.kill()
    return found


def _until(holds: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < until, f"{what}: not within {DEADLINE_S:g} s"
        time.sleep(0.01)
