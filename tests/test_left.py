"""What a test of end to end leaves behind is ended with its directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.rig.left import end_all_in


def test_who_works_in_the_directory_is_ended(tmp_path: Path) -> None:
    """And nobody else."""
    here, there = tmp_path / "here", tmp_path / "there"
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen([*sleep, f"{here}/log"]) as mine, subprocess.Popen([*sleep, f"{there}/log"]) as others:
        assert end_all_in(here) == [mine.pid]
        assert mine.wait(60) == -9
        assert others.poll() is None
        others.kill()
    assert end_all_in(here) == []
