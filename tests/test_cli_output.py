"""What becomes of the command line's output where nobody, or nothing, takes it: a sentence at most, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMMANDS = (["strategy", "list"], ["--help"], ["--version"])


def shell(command: list[str], redirection: str) -> subprocess.CompletedProcess[str]:
    """Run `fsacd` by a shell, which can close what Python's subprocess cannot."""
    line = f'exec "$0" -m fsacd "$@" {redirection}'
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        ["sh", "-c", line, sys.executable, *command],
        capture_output=True, text=True, timeout=50, check=False, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_stream_that_is_closed(command: list[str], redirection: str) -> None:
    """What would be written there is written nowhere, and the command does its work."""
    told = shell(command, redirection)
    assert (told.stderr, told.returncode) == ("", 0)
    assert bool(told.stdout) == (">&-" not in redirection.replace("2>&-", ""))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk(command: list[str]) -> None:
    """One sentence, and the exit code of what could not be done."""
    told = shell(command, ">/dev/full")
    assert told.stderr == "fsacd: standard output cannot be written: No space left on device\n"
    assert told.returncode == 1


def test_a_sentence_that_nobody_hears() -> None:
    """A command that is refused where standard error is closed still says so by its exit code."""
    assert shell(["check", "/nowhere.yaml"], "2>&-").returncode == 2
