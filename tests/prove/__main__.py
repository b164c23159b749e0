"""`python -m tests.prove [N]`: run every module of tests/prove, each in a process of its own; tell how each ended.

`--again` runs those alone that were not good the last time, or not run to their end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
LEFT = HERE.parents[1] / ".pytest_cache" / "prove.left"
# A series that has not ended by then hangs.
DEADLINE_S = 3 * 3_600.0
# With a small N this series, which mostly waits, runs beside all others but those that look at times.
_WAITS, _TIMED = "hostile_switch", ("chaos_real", "doors")
# What a process runs: one series, and nothing else.
_RUN = (
    "from gevent import monkey; monkey.patch_all(); import importlib, sys; "
    "n = int(sys.argv[2]) if sys.argv[2] else None; sys.exit(importlib.import_module(sys.argv[1]).main(n))"
)
# What a series returns when something that it needs, a FreeSWITCH say, is not on this machine.
NOT_HERE = 77
Run = Callable[[str, int | None], int]


def series(directory: Path = HERE) -> list[str]:
    """The names of the modules that are there, sorted."""
    return sorted(path.stem for path in directory.glob("*.py") if not path.stem.startswith("_"))


def run(name: str, n: int | None) -> int:
    """Run one; its exit code, or 1 when it did not end."""
    command = [sys.executable, "-c", _RUN, f"tests.prove.{name}", "" if n is None else str(n)]
    # A short one may run beside another: what it says stays together.
    out = None if n is None else subprocess.PIPE
    try:
        done = subprocess.run(command, check=False, timeout=DEADLINE_S, stdout=out, stderr=out and subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        print(f"{name} has not ended within {DEADLINE_S:g} s", flush=True)
        return 1
    if done.stdout is not None:
        print(f"-- {name}\n{done.stdout.decode(errors='replace')}", end="", flush=True)
    return done.returncode


def prove(names: Sequence[str], n: int | None, start: Run, left: Path) -> tuple[list[str], list[str]]:
    """Run all of them, whatever the others say; the names of those that were wrong, and that cannot be run here.

    `left` is the file that keeps who has not been good yet: a second try needs no more than these.
    """
    codes: dict[str, int] = {}

    def one(name: str) -> None:
        print(f"== {name}" + ("" if n is None else f", {n}"), flush=True)
        began = time.monotonic()
        code = codes[name] = start(name, n)
        said = {0: "good", NOT_HERE: "not run, for what it needs is not here"}.get(code, f"WRONG (exit code {code})")
        print(f"== {name}: {said}, {time.monotonic() - began:.0f} s", flush=True)
        _keep(left, [each for each in names if codes.get(each, 1) not in (0, NOT_HERE)])

    _keep(left, names)
    beside = [name for name in names if name not in (_WAITS, *_TIMED)] if n is not None and _WAITS in names else []
    if beside:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(one, _WAITS)
            for name in beside:
                one(name)
            waiting.result()
    for name in names:
        if name not in codes:
            one(name)
    wrong = [name for name in names if codes[name] not in (0, NOT_HERE)]
    return wrong, [name for name in names if codes[name] == NOT_HERE]


def main(given: Sequence[str] | None = None, *, directory: Path = HERE, start: Run = run, left: Path = LEFT) -> int:
    """Run them; the exit code says whether anything was wrong."""
    there = series(directory)
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description="The long series of tests.")
    parser.add_argument("n", nargs="?", type=_count, help="how much of each; by default its full length")
    parser.add_argument("--only", action="append", choices=there, help="this one alone; repeatable")
    parser.add_argument("--again", action="store_true", help="those that were not good the last time")
    words = parser.parse_args(given)
    names = words.only or there
    if words.again and left.exists():
        names = [name for name in left.read_text(encoding="utf-8").split() if name in there]
        if not names:
            print("every series was good the last time")
            return 0
    wrong, absent = prove(names, words.n, start, left)
    good = len(names) - len(wrong) - len(absent)
    told = "".join(f"; {how}: {', '.join(which)}" for how, which in (("wrong", wrong), ("not run", absent)) if which)
    print(f"{good} of {len(names)} series were good{told}")
    # In full it is a proof, and what was not run is not proven; a small N is a look at what can be seen here.
    return 1 if wrong or not good or (absent and words.n is None) else 0


def _keep(left: Path, names: Sequence[str]) -> None:
    left.parent.mkdir(exist_ok=True)
    left.write_text("\n".join(names), encoding="utf-8")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


if __name__ == "__main__":
    sys.exit(main())
