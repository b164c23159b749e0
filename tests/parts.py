"""`python -m tests.parts test|quick|e2e [--again]`: run tests in parts, each a pytest of its own, at the same time.

They wait more than they compute. Not by pytest-xdist: its workers start threads before gevent could patch them.
`--again` runs, one part after the other, what failed the last time, and the whole of a part that did not come to its
end. The exit code is 1 when anything failed.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

TESTS: Final = Path(__file__).parent
# Tests of then, which run in a process of their own: tests/older/test_plugins.py.
_OF_THEN: Final = "older/a0ed903/"
_REAL: Final = ("e2e/", "chaos/real/")
_LOOK_S: Final = 0.05

# A file belongs to the first part of its kind that names it: by the beginning of its path in this directory. The last
# part has all that no other one names. They take about equally long; what each took stands at the end of a run.
_WITHOUT_SWITCH: Final[Mapping[str, tuple[str, ...]]] = {
    "core": ("core/", "chaos/", "journal/", "sim/", "legs/", "config/", "strategies/"),
    "store": ("store/", "esl/", "http/"),
    "rest": ("",),
}
# What no other Python answers otherwise: mostly sums, and statements for PostgreSQL.
_NOT_QUICK: Final = ("core/", "chaos/", "journal/", "sim/", "store/")
_WITH_SWITCH: Final[Mapping[str, tuple[str, ...]]] = {
    "lane0": tuple(f"e2e/test_{letter}" for letter in "abcdefghij"),
    "lane1": (*(f"e2e/test_{letter}" for letter in "ktuvwxyz"), "e2e/test_re"),
    "lane2": ("",),
}


@dataclass(frozen=True)
class Part:
    """Some files, run by one process. `lane` keeps the ports of parts at the same time apart."""

    name: str
    lane: int
    files: tuple[str, ...]


def parts(kind: str) -> list[Part]:
    """The parts of all tests without FreeSWITCH (`test`), the quicker half of them (`quick`), or those with (`e2e`)."""
    found = [str(path.relative_to(TESTS)) for path in sorted(TESTS.rglob("test_*.py"))]
    real = kind == "e2e"
    without = (_OF_THEN, *_NOT_QUICK) if kind == "quick" else (_OF_THEN,)
    there = [file for file in found if not file.startswith(without) and file.startswith(_REAL) == real]
    named = _WITH_SWITCH if real else _WITHOUT_SWITCH
    files: dict[str, list[str]] = {name: [] for name in named}
    for file in there:
        files[next(name for name, begins in named.items() if file.startswith(begins))].append(file)
    return [Part(name, lane, tuple(mine)) for lane, (name, mine) in enumerate(files.items())]


@dataclass(frozen=True)
class Running:
    """A part whose process has not ended yet, as far as it is known."""

    part: Part
    process: subprocess.Popen[bytes]
    began_s: float


class Runner:
    """Starts parts and waits for them; keeps in a directory how each ended, and pytest there which tests failed."""

    def __init__(self, kept: Path, program: Sequence[str] = (sys.executable, "-m", "pytest")) -> None:
        self._kept = kept
        self._program = program
        self._failed = False
        self._used_s = _used_s()

    def all(self, parts: Sequence[Part]) -> bool:
        """Run them at the same time; the last one tells at once, the others when all are over. Whether all was well."""
        with tempfile.TemporaryDirectory() as place:
            texts = [Path(place) / part.name for part in parts[:-1]]
            running: list[Running] = []
            try:
                for part, text in zip(parts, [*texts, None], strict=True):
                    running.append(self._start(part, text))
                told = [self._end(running) for _ in parts]
            finally:
                for one in running:
                    one.process.terminate()
            for text in texts:
                with text.open(encoding="utf-8") as file:
                    shutil.copyfileobj(file, sys.stdout)
        print(*told, sep="\n", flush=True)
        return not self._failed

    def again(self, parts: Sequence[Part]) -> bool:
        """Run what failed the last time. Whether all is well now."""
        for part in parts:
            code = self._code(part)
            if code != 0:
                words = ("--last-failed", "--last-failed-no-failures=none") if code == 1 else ()
                print(self._end([self._start(part, None, *words)]), flush=True)
        return not self._failed

    def _start(self, part: Part, text: Path | None, *words: str) -> Running:
        self._kept.mkdir(parents=True, exist_ok=True)
        # Until it ends nobody knows how: who is killed leaves nothing that could be taken for a good end.
        self._end_of(part).unlink(missing_ok=True)
        files = [str(TESTS / file) for file in part.files]
        out: IO[str] | None = None if text is None else text.open("w", encoding="utf-8")
        try:
            process = subprocess.Popen(
                [*self._program, "-o", f"cache_dir={self._kept / part.name}", *words, *files],
                env={**os.environ, "FSACD_E2E_LANE": str(part.lane)},
                stdout=out,
                stderr=out,
            )
        finally:
            if out is not None:
                out.close()
        return Running(part, process, time.monotonic())

    def _end(self, running: list[Running]) -> str:
        """Wait for the next one to end, and tell of it."""
        while (one := next((each for each in running if each.process.poll() is not None), None)) is None:
            time.sleep(_LOOK_S)
        running.remove(one)
        # What a process has used is counted when its end is heard, and that is one of them at a time.
        before_s, self._used_s = self._used_s, _used_s()
        code = one.process.wait()
        self._failed |= code != 0
        self._end_of(one.part).write_text(str(code), encoding="ascii")
        said = "good" if code == 0 else f"FAILED ({code})"
        took_s, used_s = time.monotonic() - one.began_s, self._used_s - before_s
        return f"== {one.part.name}: {said}, {took_s:.0f} s ({used_s:.0f} s of a processor)"

    def _end_of(self, part: Part) -> Path:
        return self._kept / f"{part.name}.ended"

    def _code(self, part: Part) -> int | None:
        """How it ended the last time; None if it did not."""
        try:
            return int(self._end_of(part).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _used_s() -> float:
    """What a processor has worked for the processes of ours that have ended, and for theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run them; the exit code says whether any test failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.parts", description="Tests, in parts at the same time.")
    parser.add_argument("kind", choices=("test", "quick", "e2e"))
    parser.add_argument("--again", action="store_true", help="only what failed the last time")
    words = parser.parse_args()
    # Each Python has its own: what failed on one of them may be well on another one.
    version = "{}.{}".format(*sys.version_info)
    runner = Runner(TESTS.parent / ".pytest_cache" / f"{words.kind}-{version}")
    run = runner.again if words.again else runner.all
    return 0 if run(parts(words.kind)) else 1


if __name__ == "__main__":
    sys.exit(main())
