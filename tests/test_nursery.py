"""A copy of a process that has fsacd's modules is run as the program itself: arguments, streams, environment, end."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests import nursery


def test_what_it_says_and_how_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has arguments, directory and environment of its own, and its exit code is told."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("queues: 1\n", encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "40")
    with Path("out").open("wb") as out:
        refused = nursery.start("fsacd", "check", "mine.yaml", output=out)
        well = nursery.start("fsacd", "check", "--help", output=out)
    assert (refused.wait(60), refused.wait(60), well.wait(60)) == (2, 2, 0)
    said = Path("out").read_text(encoding="utf-8")
    assert "mine.yaml:1" in said
    assert "Usage: fsacd check" in said


def test_it_is_killed_as_any_process() -> None:
    """It lives until then, what it says is read meanwhile, and a second signal reaches nobody."""
    words = ["--port", "0", "--control-port", "0", "--no-callers", "--password", "simulated"]
    sim = nursery.start("fsacd.sim", *words)
    assert sim.stdout is not None
    assert sim.stdout.readline().startswith("listening on 127.0.0.1:")
    assert sim.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        sim.wait(0.01)
    sim.kill()
    sim.communicate()
    assert sim.returncode == -signal.SIGKILL
    sim.kill()
