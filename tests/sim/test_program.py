"""`python -m fsacd.sim` as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fsacd.sim.program import fsacd_dialplan

WORDS = [sys.executable, "-m", "fsacd.sim", "--port", "0", "--seed", "3"]


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*WORDS, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_says_where_it_listens_and_ends_when_told(number: signal.Signals) -> None:
    """One line when clients can connect; a signal ends it cleanly and soon."""
    with running("--control-port", "0") as child:
        assert first_line(child).startswith("listening on 127.0.0.1:")
        assert first_line(child).startswith("control on 127.0.0.1:")
        child.send_signal(number)
        assert child.wait(30) == 0


def test_taken_port_is_said_plainly() -> None:
    """The message names the port."""
    with running() as first:
        port = first_line(first).rpartition(":")[2]
        with running("--port", port) as second:
            assert second.wait(10) == 1
            assert second.stderr is not None
            assert second.stderr.read() == f"fsacd sim: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_missing_dialplan_is_said_plainly(tmp_path: Path) -> None:
    """The message names the file."""
    with running("--dialplan", str(tmp_path)) as child:
        assert child.wait(10) == 1
        assert child.stderr is not None
        assert child.stderr.read().startswith(f"fsacd sim: the dialplan {tmp_path}/fsacd.xml cannot be read: No such")


def test_dies_with_its_parent(tmp_path: Path) -> None:
    """Whoever started it may be killed: nothing is left behind."""
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({WORDS!r}, stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as grown_up:
        child = int(first_line(grown_up))
        grown_up.kill()
        grown_up.wait(30)
    deadline = time.monotonic() + 30
    while _alive(child):
        assert time.monotonic() < deadline, "the simulator outlived its parent"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped by a lazy init does not."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_installed_dialplan_is_understood() -> None:
    """The files that an operator installs are read, feature codes included."""
    contexts = fsacd_dialplan().contexts
    assert {extension.name for extension in contexts["fsacd"]} >= {"fsacd_enter", "fsacd_back", "fsacd_yes", "fsacd_no"}
    assert contexts["default"]
