"""The real daemon as a process of its own, and its API from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.rig.switch import PASSWORD, await_true, die_with_parent, free_port

TOKEN = "0123456789abcdef0123456789abcdef"
_START_S = 30.0
# On a busy machine an answer takes as long as it takes; these only end a wait for what never comes.
_REQUEST_S, _ANSWER_S = 50, 60
_STOP_S = 60.0


@dataclass
class Daemon:
    """`fsacd run` with a configuration of the test's."""

    directory: Path
    config: dict[str, Any]
    esl_port: int
    # The module that is run, and what its environment holds beside the test's own.
    program: str = "fsacd"
    environment: Mapping[str, str] = field(default_factory=dict)
    # Another tree's: the Python of its virtual environment, and where it stands.
    python: str = sys.executable
    tree: Path | None = None
    # Stopped by SIGSTOP: it answers nobody.
    stopped: bool = False
    _scraped_at: float = float("-inf")
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = free_port()

    @property
    def log(self) -> Path:
        """What it wrote to standard error."""
        return self.directory / "fsacd.log"

    @property
    def switch(self) -> dict[str, Any]:
        """The settings of its switch, unless the test gives others."""
        return {"port": self.esl_port, "password": PASSWORD}

    def start(self, *, ready: bool = True) -> None:
        """Start it and wait until it is in sync with the switch, or else until it answers."""
        self.launch()
        if ready:
            await_true(self.is_ready, _START_S, "the daemon is in sync with the switch")
        else:
            await_true(self._answers, _START_S, "the daemon answers")

    def launch(self) -> None:
        """Start it and wait for nothing."""
        file = self.directory / "fsacd.yaml"
        config = {
            "switches": {"fs1": self.switch},
            "api": {
                "listen": f"127.0.0.1:{self.port}",
                "request_timeout": f"{_REQUEST_S}s",
                "tokens": [{"name": "e2e", "role": "admin", "token": TOKEN}],
            },
            **self.config,
        }
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.python, "-m", self.program, "run", "--config", str(file)],
                cwd=self.tree,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                preexec_fn=die_with_parent,  # noqa: PLW1509 - the tests' process runs no threads that hold locks here
            )

    def _answers(self) -> bool:
        try:
            self._fetch("/livez")
        except (OSError, urllib.error.URLError):
            return False
        return True

    def is_ready(self) -> bool:
        """What /readyz says."""
        assert self._process is not None
        assert self._process.poll() is None, f"the daemon ended:\n{self.log.read_text()[-2000:]}"
        try:
            self._fetch("/readyz")
        except (OSError, urllib.error.URLError):
            return False
        return True

    def get(self, path: str) -> Any:
        """A document of the API."""
        return json.loads(self._fetch(f"/api/v1/{path}"))

    def post(self, path: str, **body: object) -> Any:
        """Ask for something."""
        return json.loads(self._fetch(f"/api/v1/{path}", json.dumps(body).encode()))

    def agents(self) -> dict[str, dict[str, Any]]:
        """Every agent by id."""
        return {agent["id"]: agent for agent in self.get("agents?limit=1000")["agents"]}

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels, as it is now: within a second the text would be the same."""
        time.sleep(max(0.0, self._scraped_at + 1.05 - time.monotonic()))
        text = self._fetch("/metrics").decode()
        self._scraped_at = time.monotonic()
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def _fetch(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=body,
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as response:
                content: bytes = response.read()
        except http.client.HTTPException as error:
            # Killed in the middle of a word; to who asks that is no other thing than a daemon that is not there.
            raise ConnectionError(f"the answer was cut off: {error!r}") from error
        return content

    @property
    def has_ended(self) -> bool:
        """Whether its process is over."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> int:
        """End it as systemd would; its exit code."""
        self.ask_to_stop()
        return self.wait()

    def ask_to_stop(self) -> None:
        """The same, without waiting for its end."""
        self.signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit code, when it has ended by itself or was killed for taking too long."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(_STOP_S)

    @property
    def pid(self) -> int:
        """Its process id; nought while there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended hears nothing."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self.stopped = number == signal.SIGSTOP or (self.stopped and number != signal.SIGCONT)

    def kill(self) -> None:
        """As a crash would: -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_STOP_S)
        self.stopped = False

    def end(self) -> None:
        """Whatever it does: it is there no more."""
        if self.pid:
            self.kill()
