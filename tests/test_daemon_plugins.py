"""Ten broken plugins in the running daemon, while callers call and agents answer, against the simulated switch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml

from tests import nursery
from tests.test_daemon import PASSWORD, SUPPORT, TOKEN, Sim, await_true
from tests.wording import words

# More than are needed, so that several are ready when a call comes: a plugin that ranks has something to rank.
AGENTS = ("1002", "1004", "1006", "1008", "1010", "1012")
TALK_MS = 300
EVERY_S = 0.15

KEY = """\
from fsacd.strategy import BaseKeyStrategy

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    def key(self, agent, service, required):
        {}
"""
RANK = """\
from fsacd.strategy import BaseRankStrategy

API_VERSION = 1


class Strategy(BaseRankStrategy):
    def rank(self, call, candidates, chance):
        {}
"""
# A plugin's text, and what the daemon says of it.
SURVIVED = {
    "raises": (KEY.format("return (1 / 0,)"), f"key() raised ZeroDivisionError in line 8: {words('1 / 0')}"),
    "loops": (KEY.format("while True: pass"), "key() took longer than 20 ms of processor time and was interrupted"),
    "mutates": (KEY.format("agent.idle_since_ms = 0"), "key() raised AttributeError in line 8: can't set attribute"),
    "stranger": (
        RANK.format("return ['zoe' for _ in candidates]"),
        "rank() returned 'zoe', who is no candidate",
    ),
    "duplicate": (
        RANK.format("return [candidates[0].agent.agent_id] * (len(candidates) + 1)"),
        "rank() returned '{agent}' twice",
    ),
    "nothing": (RANK.format("pass"), "rank() returned nothing; the ids of all candidates were expected"),
}
REFUSED = {
    "sleeps": (
        "import time\n" + KEY.format("time.sleep(1)"),
        ":1: imports time: a plugin has no clock of its own; the times are in the facts",
    ),
    "version": (
        KEY.format("return (1,)").replace("API_VERSION = 1", "API_VERSION = 2"),
        ":3: it is written for API_VERSION 2; this fsacd has 1",
    ),
    "syntax": (KEY.format("return (1,"), f":8: this is not Python: {words('key(1,')}"),
    "writable": (
        KEY.format("return (1,)"),
        ": the file can be written by everybody; it must be writable by its owner alone (chmod go-w)",
    ),
}


class Daemon:
    """`fsacd run` with one queue, agents who answer everything, and a directory of plugins."""

    def __init__(self, directory: Path, sim: Sim) -> None:
        self.plugins = directory / "plugins"
        self.plugins.mkdir(mode=0o755)
        self._file = directory / "fsacd.yaml"
        self._switch = {"port": sim.port, "password": PASSWORD}
        self._log = directory / "log"
        self._scraped_at = float("-inf")
        self.configure("longest_idle")
        with self._log.open("wb") as log:
            self.process = nursery.start("fsacd", "run", "--config", str(self._file), output=log)
        await_true(lambda: self.said("in sync with the switch"), "the daemon is in sync")
        self._url = self.said("fsacd is up")[0]["api"]

    def configure(self, strategy: str, plugin_retry: str = "1h") -> None:
        """Write a configuration whose queue has this strategy, tried again after so long if it fails."""
        config = {
            "switches": {"sim": self._switch},
            "api": {"listen": "127.0.0.1:0", "tokens": [{"name": "test", "role": "admin", "token": TOKEN}]},
            "strategy_path": [str(self.plugins)],
            # Short talks are talks here, and not bridges that broke.
            "limits": {"settle": "100ms", "plugin_retry": plugin_retry, "plugin_retry_most": "1h"},
            "defaults": {"wrap_up": "0s"},
            "queues": {"support": {"strategy": strategy}},
            "agents": {agent: {"queues": ["support"], "login_at_start": True} for agent in AGENTS},
        }
        self._file.write_text(yaml.safe_dump(config), encoding="utf-8")

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log that say so."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def ask(self, path: str, method: str = "GET") -> bytes:
        """An answer of the API, be it a refusal."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        request = urllib.request.Request(f"{self._url}/{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return bytes(refusal.read())

    def reload(self) -> dict[str, Any]:
        """Have it read its configuration again."""
        answer: dict[str, Any] = json.loads(self.ask("api/v1/reload", "POST"))
        return answer

    def metric(self, sample: str) -> float:
        """One sample of /metrics as it is now; -1 when there is none."""
        gevent.sleep(max(0.0, self._scraped_at + 1.05 - time.monotonic()))  # within a second the text would be the same
        lines = (line.rpartition(" ") for line in self.ask("metrics").decode().splitlines())
        self._scraped_at = time.monotonic()
        return next((float(value) for name, _, value in lines if name == sample), -1.0)

    def out(self) -> tuple[list[dict[str, Any]], list[str], float]:
        """What the queue shows as out of service, what makes readiness less than it should be, and the gauge."""
        queue = json.loads(self.ask("api/v1/queues/support"))
        degraded = json.loads(self.ask("readyz"))["degraded"]
        return queue["substituted"], degraded, self.metric('fsacd_strategy_substituted{queue="support"}')

    def cli(self, *args: str) -> str:
        """What a command prints."""
        environ = {**os.environ, "FSACD_URL": self._url, "FSACD_TOKEN": TOKEN}
        command = [sys.executable, "-m", "fsacd", *args]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def answered(self) -> float:
        """How many calls have been."""
        return self.metric('fsacd_calls_answered_total{queue="support"}')


@pytest.fixture
def sim() -> Iterator[Sim]:
    sim = Sim()
    for agent in AGENTS:
        sim.tell(phone={"user": agent, "answers_ms": 30, "talks_ms": TALK_MS})
    yield sim
    sim.stop()


@pytest.fixture
def daemon(tmp_path: Path, sim: Sim) -> Iterator[Daemon]:
    before = os.umask(0o022)
    daemon = Daemon(tmp_path, sim)
    yield daemon
    daemon.process.kill()
    daemon.process.wait(10)
    os.umask(before)


@pytest.fixture
def callers(sim: Sim, daemon: Daemon) -> Iterator[None]:
    """Somebody calls all the time."""

    def call() -> None:
        for number in range(1_000):
            sim.dial(SUPPORT, number=f"4930{number:06}")
            gevent.sleep(EVERY_S)

    calling = gevent.spawn(call)
    await_true(lambda: daemon.answered() >= 1, "calls are answered")
    yield
    calling.kill()


@pytest.mark.usefixtures("callers")
def test_ten_broken_plugins(daemon: Daemon) -> None:
    """Each is refused with its sentence, or survived with its sentence and a count; calls go on being answered."""
    for name, (text, sentence) in {**REFUSED, **SURVIVED}.items():
        plugin = daemon.plugins / f"{name}.py"
        plugin.write_text(text, encoding="utf-8")
        if name == "writable":
            plugin.chmod(0o646)
        daemon.configure(name)
        if name in REFUSED:
            is_refused(daemon, plugin, sentence)
            plugin.unlink()
        else:
            is_survived(daemon, plugin, sentence)
        goes_on(daemon, name)
    assert {line["queue"] for line in daemon.said("a plugin failed; the queue goes on without it")} == {"support"}


# It cannot stand one caller, and rings the last of the list first.
PICKY = RANK.format(
    """if call.number == "13":
            raise ValueError("13")
        return [one.agent.agent_id for one in sorted(candidates, key=lambda one: -one.service.place)]"""
)
BAD_NUMBER, SENTENCE = "13", "rank() raised ValueError in line 9: 13"


def test_a_plugin_that_failed_is_shown_until_it_is_back(daemon: Daemon, sim: Sim) -> None:
    """In the queue, in status, in readiness and in the gauge; and then it does its work again."""
    plugin = daemon.plugins / "picky.py"
    plugin.write_text(PICKY, encoding="utf-8")
    daemon.configure("picky")
    daemon.reload()
    assert daemon.out() == ([], [], 0)
    sim.dial(SUPPORT, number=BAD_NUMBER)
    await_true(lambda: daemon.out()[2] == 1, "the gauge shows it")
    (shown,), (degraded,), _ = daemon.out()
    assert (shown["kind"], shown["plugin"], shown["by"]) == ("strategy", "picky", "longest_idle")
    assert (shown["why"], shown["failures"]) == (f"{plugin}: {SENTENCE}", 1)
    assert shown["again_at"] > shown["since_at"]
    words = "The plugin picky has failed; longest_idle does its work in support, until it is tried again"
    assert degraded.startswith(words)
    assert json.loads(daemon.ask("readyz"))["ready"], "calls are distributed all the same"
    for command, told in (
        (["status"], "picky FAILED"),
        (["queue", "list"], "picky FAILED"),
        (["queue", "show", "support"], "picky has failed, longest_idle does its work until"),
    ):
        assert told in daemon.cli(*command), command


def test_a_plugin_that_failed_comes_back(daemon: Daemon, sim: Sim) -> None:
    """After its pause it rings as it would have; its counter keeps the failure."""
    (daemon.plugins / "picky.py").write_text(PICKY, encoding="utf-8")
    daemon.configure("picky", plugin_retry="1s")
    daemon.reload()
    sim.dial(SUPPORT, number=BAD_NUMBER)
    await_true(lambda: daemon.said("a plugin that failed is tried again"), "it is tried again")
    await_true(lambda: daemon.out() == ([], [], 0), "nothing is out of service any more")
    assert daemon.metric(failures("picky")) == 1
    (line,) = daemon.said("a plugin failed; the queue goes on without it")
    assert line["tried_again_in_s"] == 1
    await_true(lambda: daemon.answered() == 1, "the first caller has talked")
    sim.dial(SUPPORT, number="4930")
    await_true(lambda: daemon.answered() == 2, "the next one has, too")
    assert daemon.said("call ended")[-1]["agent"] == AGENTS[-1]


def goes_on(daemon: Daemon, name: str) -> None:
    """More calls are answered."""
    before = daemon.answered()
    await_true(lambda: daemon.answered() >= before + 2, f"calls are answered in spite of {name}")


def is_refused(daemon: Daemon, plugin: Path, sentence: str) -> None:
    """The reload is, with the plugin's sentence, and the configuration of before stays in force."""
    refusal = daemon.reload()
    assert refusal["status"] == 409
    assert any(f"{plugin}{sentence}" in problem for problem in refusal["problems"]), refusal
    assert daemon.metric(failures("longest_idle")) == 0, "the queue keeps the strategy that it had"


def is_survived(daemon: Daemon, plugin: Path, sentence: str) -> None:
    """It is taken over, fails with its sentence, once, and is counted."""
    assert daemon.reload() == {"message": "The new configuration is in force."}

    def told() -> list[str]:
        lines = daemon.said("a plugin failed; the queue goes on without it")
        return [line["what"] for line in lines if line["what"].startswith(f"{plugin}: ")]

    await_true(told, f"{plugin.name} fails")
    assert any(told() == [f"{plugin}: {sentence.replace('{agent}', agent)}"] for agent in AGENTS), told()
    assert daemon.metric(failures(plugin.stem)) == 1


def failures(plugin: str) -> str:
    """The sample that counts them."""
    return f'fsacd_strategy_failures_total{{plugin="{plugin}",queue="support"}}'
