"""`python -m tests.chaos --seed S --schedules N`: random fault schedules; what goes wrong is told in full.

Without `--seed` they are ones that nobody has run before. A process that runs many keeps a little of each, so they are
shared out to processes of their own, `--jobs` at a time.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - gevent's patching comes first
import os  # noqa: E402
import re  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import structlog  # noqa: E402
from gevent.pool import Pool  # noqa: E402

from tests.chaos.schedule import Schedule  # noqa: E402
from tests.chaos.seeds import fresh_seed  # noqa: E402
from tests.chaos.told import Differences  # noqa: E402

_CRITICAL = 50
_SHARE = 20
_FIRST = "the first seed is {}"


@dataclass(frozen=True)
class Tally:
    """What came of some schedules."""

    schedules: int = 0
    calls: int = 0
    talks: int = 0
    wrong: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.schedules + other.schedules,
            self.calls + other.calls,
            self.talks + other.talks,
            self.wrong + other.wrong,
        )

    def __str__(self) -> str:
        return f"{self.schedules} schedules, {self.calls} calls, {self.talks} talks; {self.wrong} of them went wrong"


_TALLY = re.compile(r"(\d+) schedules, (\d+) calls, (\d+) talks; (\d+) of them went wrong\n\Z")


def main(given: Sequence[str] | None = None) -> int:
    """Run them; the exit code says whether anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Random faults on a simulated switch.")
    parser.add_argument("--seed", type=int, help="of the first schedule; the next ones count on; a fresh one otherwise")
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="so many processes at a time")
    parser.add_argument("--verbose", action="store_true", help="with the daemons' own logs, and every story")
    words = parser.parse_args(given)
    seed = words.seed if words.seed is not None else fresh_seed()
    print(_FIRST.format(seed), flush=True)
    if words.schedules <= _SHARE:
        tally = _run(seed, words.schedules, verbose=words.verbose)
    else:
        began = time.perf_counter()
        tally = _share_out(seed, words.schedules, words.jobs, verbose=words.verbose)
        print(f"{time.perf_counter() - began:.0f} s")
    print(tally)
    return 1 if tally.wrong else 0


def _run(first: int, schedules: int, *, verbose: bool) -> Tally:
    """Run them here."""
    if not verbose:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_CRITICAL))
    tally, differences = Tally(), Differences()
    for seed in range(first, first + schedules):
        with tempfile.TemporaryDirectory(prefix="fsacd-chaos-") as place:
            verdict = Schedule(seed, Path(place)).run()
        tally += Tally(1, verdict.calls, verdict.talks, bool(verdict.faults))
        differences.add(verdict.differences)
        if verdict.faults or verbose:
            print(verdict, flush=True)
    print(f"from {first} on history and the switch differ by: {differences}")
    return tally


def _share_out(first: int, schedules: int, jobs: int, *, verbose: bool) -> Tally:
    """Run them in processes of their own; what these say is told as it comes, but for their tallies."""

    def share(seed: int) -> Tally:
        count = min(_SHARE, first + schedules - seed)
        command = [sys.executable, "-m", "tests.chaos", "--seed", str(seed), "--schedules", str(count)]
        done = subprocess.run(
            command + ["--verbose"] * verbose, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        found = _TALLY.search(done.stdout)
        said = done.stdout if found is None else done.stdout[: found.start()]
        sys.stdout.write(said.removeprefix(_FIRST.format(seed) + "\n"))
        sys.stdout.flush()
        # A process that has died has tried them in vain: its last words are told, and none of its schedules is right.
        return Tally(*map(int, found.groups())) if found is not None else Tally(count, 0, 0, count)

    return sum(Pool(jobs).imap_unordered(share, range(first, first + schedules, _SHARE)), Tally())


if __name__ == "__main__":
    sys.exit(main())
