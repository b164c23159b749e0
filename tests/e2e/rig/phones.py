"""SIPp as callers and as agents. One process plays many phones; a CSV file says what each of them does."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.rig.switch import REPOSITORY, await_true, die_with_parent, free_port

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
# SIPp ends by itself after this, whatever happens to the test.
_LONGEST_S = 900


def find_sipp() -> str | None:
    """The program on PATH."""
    return shutil.which("sipp")


@dataclass(frozen=True)
class Caller:
    """One call: `hang_up_ms` 0 means that the caller waits until they are served and hung up."""

    number: str
    dials: str
    rtp_port: int = 9
    hang_up_ms: int = 0
    name: str = ""

    def line(self) -> str:
        """The caller's line in the CSV file."""
        return f"{self.number};{self.dials};{self.rtp_port};{self.hang_up_ms};{self.name}"


@dataclass
class Sipp:
    """One SIPp process in a directory of its own."""

    directory: Path
    scenario: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> list[str]:
        """What the scenario logged, line by line."""
        file = self.directory / "log.txt"
        return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []

    def wait(self, deadline_s: float) -> None:
        """Until every call of it is over; AssertionError if that takes longer, in time that the processors had."""
        await_true(lambda: self.process.poll() is not None, deadline_s, f"all calls of {self.directory.name} are over")

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)


def run_callers(directory: Path, callers: Sequence[Caller], trunk_port: int, rate: float) -> Sipp:
    """Place these calls, `rate` a second."""
    _write_csv(directory, "callers.csv", [caller.line() for caller in callers])
    words = ["-inf", "callers.csv", "-r", str(rate), "-m", str(len(callers)), "-l", "10000", f"127.0.0.1:{trunk_port}"]
    return _run(directory, "caller.xml", words)


def run_agents(directory: Path, lines: Sequence[str]) -> Sipp:
    """Phones that ring and answer; each line: user;answer after ms;talk for ms (0: until hung up);RTP port."""
    _write_csv(directory, "agents.csv", lines)
    return _run(directory, "agent_answers.xml", ["-inf", "agents.csv", "-infindex", "agents.csv", "0"])


def run_punctual_agents(directory: Path, answer_ms: int, talk_ms: int, rtp_port: int) -> Sipp:
    """Phones that answer every call after the same time and hang up after the same talk, to the millisecond."""
    fill = {"ANSWER_MS": str(answer_ms), "TALK_MS": str(talk_ms), "RTP_PORT": str(rtp_port)}
    return _run(directory, "agent_punctual.xml", [], **fill)


def run_rejecting_agents(directory: Path, status: str) -> Sipp:
    """Phones that answer every call with a status like `486 Busy Here`."""
    return _run(directory, "agent_rejects.xml", [], STATUS=status)


def run_transferring_agents(directory: Path, target: str) -> Sipp:
    """Phones that answer every call and, after a while, transfer the caller to this number."""
    return _run(directory, "agent_transfers.xml", [], TARGET=target)


def _write_csv(directory: Path, name: str, lines: Sequence[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text("\n".join(["SEQUENTIAL", *lines]) + "\n", encoding="utf-8")


def _run(directory: Path, scenario: str, words: Sequence[str], **fill: str) -> Sipp:
    directory.mkdir(parents=True, exist_ok=True)
    program = find_sipp()
    assert program is not None
    port = free_port(socket.SOCK_DGRAM)
    text = (SCENARIOS / scenario).read_text(encoding="utf-8")
    for word, value in fill.items():
        text = text.replace(word, value)
    (directory / scenario).write_text(text, encoding="utf-8")
    command = [program, "-sf", scenario, "-i", "127.0.0.1", "-p", str(port), "-nostdin"]
    command += ["-trace_logs", "-log_file", "log.txt", "-trace_err", "-error_file", "errors.txt"]
    command += ["-timeout", f"{_LONGEST_S}s", *words]
    with (directory / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the tests' process runs no threads that hold locks here
        )
    sipp = Sipp(directory, scenario, port, process)
    await_true(lambda: _listens(port) or process.poll() is not None, 10, f"SIPp listens on {port}")
    # A short scenario may be over before anybody looks: that is no failure if all of its calls were right.
    assert process.poll() in (None, 0), f"SIPp ended: {(directory / 'out.txt').read_text()[-1000:]}"
    return sipp


def _listens(port: int) -> bool:
    # Trying to bind the port would tell, too, and now and then take it away from SIPp at that very moment.
    sockets = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in sockets)


@dataclass
class Media:
    """The process of rig.media."""

    first_port: int
    callers: int
    agent_port: int

    def start(self) -> None:
        """Start it and wait until it listens."""
        words = [str(self.first_port), str(self.callers), str(self.agent_port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.rig.media", *words],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the tests' process runs no threads that hold locks here
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n"

    def stop(self) -> dict[str, dict[int, int]]:
        """End it; packets heard, by kind and caller."""
        out, _ = self._process.communicate(timeout=10)
        heard: dict[str, Any] = json.loads(out)
        return {kind: {int(number): count for number, count in pairs} for kind, pairs in heard.items()}
