"""The runner of the tests' parts: each file is in one, and a second try takes what failed, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.parts import TESTS, Part, Runner, parts

# In place of pytest: tells what it is asked for, and ends as the file beside it says.
PROGRAM = """
import os, pathlib, signal, sys
place = pathlib.Path(sys.argv[1])
name = pathlib.Path(sys.argv[3].partition("=")[2]).name
with (place / "asked").open("a") as asked:
    asked.write(" ".join([name, *(word for word in sys.argv[4:] if word.startswith("--"))]) + chr(10))
code = int((place / name).read_text())
os.kill(os.getpid(), signal.SIGKILL) if code < 0 else sys.exit(code)
"""


class Bench:
    """Two parts, and how each is to end."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.parts = [Part("one", 0, ("test_a.py",)), Part("two", 1, ("test_b.py",))]

    def runner(self) -> Runner:
        return Runner(self._place / "kept", (sys.executable, "-c", PROGRAM, str(self._place)))

    def ends(self, one: int, two: int) -> None:
        (self._place / "one").write_text(str(one))
        (self._place / "two").write_text(str(two))
        (self._place / "asked").write_text("")

    def asked(self) -> list[str]:
        return sorted((self._place / "asked").read_text().splitlines())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_every_file_is_in_one_part() -> None:
    """What stands in no part would never be run, and nobody would see it."""
    named = [file for kind in ("test", "e2e") for part in parts(kind) for file in part.files]
    found = {str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")}
    assert len(named) == len({*named})
    assert {file for file in found - {*named} if not file.startswith("older/a0ed903/")} == set()
    assert {*named} <= found
    quick = {file for part in parts("quick") for file in part.files}
    assert quick < {file for part in parts("test") for file in part.files}


def test_all_are_run_and_one_that_failed_counts(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    """Both are told of, with what they took."""
    bench.ends(0, 0)
    assert bench.runner().all(bench.parts)
    bench.ends(1, 0)
    assert not bench.runner().all(bench.parts)
    assert bench.asked() == ["one", "two"]
    told = capfd.readouterr().out.splitlines()[2:]
    assert sorted(line.partition(",")[0] for line in told) == ["== one: FAILED (1)", "== two: good"]


def test_only_what_failed_is_run_again(bench: Bench) -> None:
    """Twice, if it must be: who was good the second time is not asked a third time."""
    bench.ends(1, 0)
    bench.runner().all(bench.parts)
    for code, good in ((1, False), (0, True)):
        bench.ends(code, 7)
        assert bench.runner().again(bench.parts) == good
        assert bench.asked() == ["one --last-failed --last-failed-no-failures=none"]
    bench.ends(7, 7)
    assert bench.runner().again(bench.parts)
    assert bench.asked() == []


@pytest.mark.parametrize("code", [-9, 2, 3, 5])
def test_who_did_not_come_to_the_end_is_run_whole(bench: Bench, code: int) -> None:
    """Killed, interrupted, or nothing found: what failed in it is not known, so nothing of it has passed."""
    bench.ends(0, code)
    assert not bench.runner().all(bench.parts)
    bench.ends(7, 0)
    assert bench.runner().again(bench.parts)
    assert bench.asked() == ["two"]


def test_what_was_never_run_is_run_whole(bench: Bench) -> None:
    """A second try without a first one proves as much as the first."""
    bench.ends(0, 0)
    assert bench.runner().again(bench.parts)
    assert bench.asked() == ["one", "two"]
