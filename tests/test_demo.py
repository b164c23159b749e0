"""The demonstration: what a newcomer sees first."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fsacd.cli import demo

_STARTED = "Ctrl-C ends it."
_ANSWERED = "answered [1-9]"


def test_demonstrations_that_start_together_have_different_ports(capsys: pytest.CaptureFixture[str]) -> None:
    """The second one says which port it has instead, although the first has not bound its own yet."""
    with demo._api_port() as first, demo._api_port() as second:
        assert first != second
    assert f"Port {demo._API_PORT} is taken, so the API has port {second}.\n" in capsys.readouterr().out


def test_a_port_of_another_program_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A taken port is said, and another one is used."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(demo, "_API_PORT", taken)
        with demo._api_port() as port:
            assert port != taken
    assert capsys.readouterr().out == f"Port {taken} is taken, so the API has port {port}.\n"


@pytest.mark.postgres
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "shown"), [(signal.SIGINT, _ANSWERED), (signal.SIGKILL, _STARTED)])
def test_calls_are_answered_and_the_end_leaves_nothing_behind(
    number: signal.Signals, shown: str, tmp_path: Path
) -> None:
    """The first lines say that the switch is simulated; calls are answered; whatever ends it ends all its processes."""
    out = tmp_path / "out"
    with out.open("w") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "fsacd", "demo"],
            stdout=stdout,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    try:
        _await(lambda: re.search(shown, out.read_text()) is not None, 60, out)
        family = _descendants(process.pid)
    finally:
        process.send_signal(number)
        code = process.wait(10)
    _await(lambda: not any(map(_lives, family)), 10, out)
    said = out.read_text().splitlines()
    assert "the FreeSWITCH is simulated" in said[0]
    assert any(line.startswith("Metrics: http://127.0.0.1:") for line in said)
    assert len(family) >= 3, "the switch, the daemon and the database"
    assert code == (0 if number is signal.SIGINT else -number)


def _lives(pid: int) -> bool:
    try:
        # A zombie has ended; only its parent, which may be slow to ask, has not heard of it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:  # it has just ended
            continue
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(status.parent.name))
    found, rest = [], [pid]
    while rest:
        rest += (mine := children.get(rest.pop(), []))
        found += mine
    return found


def _await(condition: Callable[[], bool], deadline_s: float, out: Path) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {out.read_text()}"
        time.sleep(0.05)
