"""Whether this tree is as fast on the wire as another revision: `make bench-pairs BASE=REV`.

Both trees are installed side by side: REV as a git worktree in a temporary directory with a virtual environment of its
own. Each run has a fresh FreeSWITCH with the dialplan and the daemon of one of the two, and the scenarios of
tests.bench.switch. The runs are interleaved in pairs, in turn with this tree first and with the other one first, and
one pair is the other revision twice (A/A): what differs there is the machine's doing.

A run from which the host, or programs that are none of ours, took the processors is done again, a few times. What is
judged is the median of the pairs' ratios: p50 at most 1.05, p99 at most the A/A pair's ratio and a tenth more.

Exit code 0 when every bound is met by undisturbed runs, 1 when not, 2 when it could not be measured.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.bench.distributors import Fsacd
from tests.bench.load import Load, Result, run
from tests.bench.switch import Scenario, scenarios, take_precedence, why_not
from tests.bench.wire import CaptureError, percentile
from tests.e2e.rig.switch import REPOSITORY

PAIRS: Final = 5
TRIES: Final = 4
_MOST_STOLEN: Final = 0.03
_MOST_ELSEWHERE: Final = 0.05
# With 50 agents and 600 callers a switch on two cores has no processor left, and the idle gaps of two equal trees
# differ by up to six times; with 250, by a fifth on a slow machine. With so many it has, and they differ by a few
# hundredths.
_GAP_LOAD: Final = Load(agents=30, callers=160, rate=30, deadline_s=90)
_P50_BOUND: Final = 1.05
_P99_OVER_A_A: Final = 1.10
A_A: Final = "A/A"


@dataclass(frozen=True)
class Side:
    """One of the two trees."""

    name: str
    tree: Path
    python: str


@dataclass(frozen=True)
class Turn:
    """One run of a pair; `second` is the one whose figures stand above the line of the ratio."""

    pair: str
    side: Side
    second: bool


def turns(base: Side, ours: Side, pairs: int) -> Iterator[Turn]:
    """All runs in their order; the A/A pair in the middle, where the machine is as warm as it is for the others."""
    for number in range(1, pairs + 1):
        pair = [Turn(str(number), base, second=False), Turn(str(number), ours, second=True)]
        yield from pair if number % 2 else reversed(pair)
        if number == (pairs + 1) // 2:
            yield from (Turn(A_A, base, second=False), Turn(A_A, base, second=True))


@dataclass(frozen=True)
class Figures:
    """What one run showed, in milliseconds and shares of the processors."""

    p50_ms: float
    p99_ms: float
    stolen: float
    elsewhere: float

    @property
    def is_disturbed(self) -> bool:
        """Whether others had so much of the processors that it says little about us."""
        return self.stolen > _MOST_STOLEN or self.elsewhere > _MOST_ELSEWHERE


def calm(measure: Callable[[], Figures], tries: int) -> Figures:
    """The first undisturbed of so many tries, or else the calmest."""
    made: list[Figures] = []
    for _ in range(tries):
        made.append(measure())
        if not made[-1].is_disturbed:
            return made[-1]
    return min(made, key=lambda figures: figures.stolen + figures.elsewhere)


@dataclass(frozen=True)
class Ratio:
    """What the second run of a pair took, in those of the first."""

    p50: float
    p99: float


def ratios(made: Sequence[tuple[Turn, Figures]]) -> dict[str, Ratio]:
    """By pair."""
    found: dict[str, dict[bool, Figures]] = {}
    for turn, figures in made:
        found.setdefault(turn.pair, {})[turn.second] = figures
    return {
        pair: Ratio(both[True].p50_ms / both[False].p50_ms, both[True].p99_ms / both[False].p99_ms)
        for pair, both in found.items()
    }


@dataclass(frozen=True)
class Verdict:
    """One figure with its bound."""

    what: str
    ratio: float
    bound: float

    @property
    def is_met(self) -> bool:
        return self.ratio <= self.bound


def judged(by_pair: dict[str, Ratio]) -> tuple[Verdict, Verdict]:
    """The medians of the pairs, and what they may be."""
    pairs = [ratio for pair, ratio in by_pair.items() if pair != A_A]
    # Which of two equal runs was the slower one is chance.
    same = max(by_pair[A_A].p99, 1 / by_pair[A_A].p99)
    return (
        Verdict("p50", statistics.median(ratio.p50 for ratio in pairs), _P50_BOUND),
        Verdict("p99", statistics.median(ratio.p99 for ratio in pairs), same * _P99_OVER_A_A),
    )


# --- the runs ------------------------------------------------------------------------------------------------------


def figures_of(scenario: Scenario, result: Result) -> Figures:
    """What counts of a run. AssertionError when a caller was not served."""
    missing = scenario.load.callers - result.served
    assert not missing, f"{missing} callers were not served"
    samples = scenario.samples(result)
    return Figures(percentile(samples, 0.5), percentile(samples, 0.99), result.stolen, result.elsewhere)


def measure_all(scenario: Scenario, base: Side, ours: Side, pairs: int, tries: int) -> list[tuple[Turn, Figures]]:
    """Run all pairs of a scenario. CaptureError, AssertionError or OSError when a run failed."""

    def once(turn: Turn) -> Figures:
        side = turn.side
        figures = figures_of(scenario, run(Fsacd(tree=side.tree, python=side.python), scenario.load))
        told = f"p50 {figures.p50_ms:7.2f} ms   p99 {figures.p99_ms:7.2f} ms"
        taken = f"stolen {figures.stolen:4.0%}   elsewhere {figures.elsewhere:4.0%}"
        again = "   DISTURBED" if figures.is_disturbed else ""
        print(f"  {scenario.name:14} pair {turn.pair:3} {side.name:12} {told}   {taken}{again}", flush=True)
        return figures

    return [(turn, calm(lambda turn=turn: once(turn), tries)) for turn in turns(base, ours, pairs)]  # type: ignore[misc] # mypy does not infer a lambda with a default


def report(scenario: Scenario, made: Sequence[tuple[Turn, Figures]]) -> bool:
    """Print the ratios with their bounds; whether all are met, by undisturbed runs."""
    by_pair = ratios(made)
    print(f"\n{scenario.name}: {scenario.meaning}; this tree / the other one")
    for pair, ratio in by_pair.items():
        print(f"  pair {pair:4} p50 {ratio.p50:6.3f}   p99 {ratio.p99:6.3f}")
    verdicts = judged(by_pair)
    for verdict in verdicts:
        word = "met" if verdict.is_met else "MISSED"
        print(f"  median of the pairs, {verdict.what} {verdict.ratio:6.3f}   at most {verdict.bound:.3f}   {word}")
    disturbed = sum(figures.is_disturbed for _, figures in made)
    if disturbed:
        print(f"  {disturbed} of {len(made)} runs were disturbed whenever they were tried: this proves nothing")
    return not disturbed and all(verdict.is_met for verdict in verdicts)


@contextmanager
def installed(revision: str) -> Iterator[Side]:
    """The revision in a directory of its own, as `make install` installs it. CalledProcessError when that fails."""
    with tempfile.TemporaryDirectory(prefix="fsacd-pairs-") as place:
        tree = Path(place) / "base"
        git = ["git", "-C", str(REPOSITORY), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            subprocess.run(["make", "--silent", "-C", str(tree), "install"], check=True, stdout=subprocess.DEVNULL)
            yield Side(revision, tree, str(tree / ".venv" / "bin" / "python"))
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", metavar="REV", help="the revision to compare with")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"how many pairs, {PAIRS} by default")
    parser.add_argument("--tries", type=int, default=TRIES, help="how often a run is made until it is undisturbed")
    parser.add_argument("--only", choices=("offer", "gap"), help="one of the two scenarios")
    parser.add_argument("--callers", type=int, help="so many callers a run, for a first look")
    parser.add_argument("--ordinary", action="store_true", help="no precedence over the machine's other programs")
    arguments = parser.parse_args()
    missing = why_not()
    if missing is not None or arguments.pairs < 1 or arguments.tries < 1:
        print(f"Nothing is measured: {missing or 'at least one pair and one try are needed'}.")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # ended from outside it tidies up as ever
    try:
        with installed(arguments.base) as base:
            return _compare(base, arguments)
    except (AssertionError, CaptureError, OSError, subprocess.CalledProcessError) as error:
        print(f"It could not be measured: {error}")
        return 2


def _compare(base: Side, arguments: argparse.Namespace) -> int:
    if not arguments.ordinary:
        take_precedence()
    ours = Side("this tree", REPOSITORY, sys.executable)
    offer, gap = scenarios(short=False)
    plan = [offer, replace(gap, load=_GAP_LOAD)]
    if arguments.only:
        plan = [plan[arguments.only == "gap"]]
    if arguments.callers:
        plan = [replace(one, load=replace(one.load, callers=arguments.callers)) for one in plan]
    made = [(one, measure_all(one, base, ours, arguments.pairs, arguments.tries)) for one in plan]
    met = [report(scenario, runs) for scenario, runs in made]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
