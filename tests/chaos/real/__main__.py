"""`python -m tests.chaos.real --seed S --schedules N`: random faults on a real FreeSWITCH; what goes wrong is told."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - gevent's patching comes first
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from pathlib import Path  # noqa: E402

from fsacd.store.embedded import EmbeddedPostgres  # noqa: E402
from fsacd.store.embedded.programs import EmbeddedError  # noqa: E402
from tests.chaos.real.schedule import Schedule, Verdict  # noqa: E402
from tests.chaos.seeds import fresh_seed  # noqa: E402
from tests.chaos.told import Differences  # noqa: E402
from tests.e2e.rig.switch import find_freeswitch  # noqa: E402


def main(given: Sequence[str] | None = None) -> int:
    """Run them; the exit code says whether anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.real", description="Random faults on a real switch.")
    parser.add_argument("--seed", type=int, help="of the first schedule; the next ones count on; a fresh one otherwise")
    parser.add_argument("--schedules", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="keep the files of a schedule that went wrong in this directory")
    words = parser.parse_args(given)
    seed = fresh_seed() if words.seed is None else words.seed
    seeds = range(seed, seed + words.schedules)
    print(f"the first seed is {seed}", flush=True)
    if find_freeswitch() is None:
        print("There is no FreeSWITCH on PATH or in FREESWITCH_PREFIX; `make chaos-simulated` needs none.")
        return 2
    wrong, differences = 0, Differences()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fsacd-pg-", ignore_cleanup_errors=True)))
        place.chmod(0o711)  # PostgreSQL runs as another user when we are root
        postgres: EmbeddedPostgres | None = None
        try:
            postgres = stack.enter_context(EmbeddedPostgres(place / "pg", durable=False))
        except EmbeddedError as error:
            print(f"Without PostgreSQL, and so without a history to judge: {error}")
        for seed in seeds:
            began = time.monotonic()
            verdict = _run(seed, postgres, words.keep)
            wrong += bool(verdict.faults)
            differences.add(verdict.differences)
            print(f"{verdict}\n  {time.monotonic() - began:.0f} s", flush=True)
    print(f"{words.schedules} schedules; {wrong} of them went wrong; history and the switch differ by: {differences}")
    return 1 if wrong else 0


def _run(seed: int, postgres: EmbeddedPostgres | None, keep: Path | None) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="fsacd-chaos-", ignore_cleanup_errors=True) as place:
        return Schedule(seed, Path(place), postgres, keep).run()


if __name__ == "__main__":
    sys.exit(main())
