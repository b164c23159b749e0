"""`python -m tests.chaos --seed S --schedules N`: random fault schedules; what goes wrong is told in full."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - gevent's patching comes first
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

import structlog  # noqa: E402

from tests.chaos.schedule import Schedule  # noqa: E402
from tests.chaos.seeds import fresh  # noqa: E402

_CRITICAL = 50


def main(given: Sequence[str] | None = None) -> int:
    """Run them; the exit code says whether anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Random faults on a simulated switch.")
    parser.add_argument("--seed", type=int, help="of the first schedule, the next ones count on; a fresh one if none")
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--verbose", action="store_true", help="with the daemons' own logs, and every story")
    words = parser.parse_args(given)
    seed = fresh() if words.seed is None else words.seed
    seeds = range(seed, seed + words.schedules)
    print(f"seeds from {seed} on", flush=True)
    if not words.verbose:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_CRITICAL))
    wrong = calls = talks = 0
    began = time.perf_counter()
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="fsacd-chaos-") as place:
            verdict = Schedule(seed, Path(place)).run()
        calls, talks = calls + verdict.calls, talks + verdict.talks
        if verdict.faults or words.verbose:
            wrong += bool(verdict.faults)
            print(verdict, flush=True)
    took_s = time.perf_counter() - began
    print(f"{words.schedules} schedules, {calls} calls, {talks} talks, {took_s:.0f} s; {wrong} of them went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
