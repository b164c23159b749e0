"""What `make bench-pairs` makes of its runs; the runs themselves need a real switch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.load import Ticks, read_ticks, ticks_now
from tests.bench.pairs import A_A, Figures, Ratio, Side, Turn, calm, judged, ratios, turns

BASE, OURS = Side("base", Path("/base"), "python"), Side("ours", Path("/ours"), "python")
CALM = Figures(10.0, 20.0, 0.0, 0.0)


def test_pairs_are_interleaved() -> None:
    """Each of the two comes first in turn, and the A/A pair, which is the base twice, is in the middle."""
    order = [(turn.pair, turn.side.name) for turn in turns(BASE, OURS, 5)]
    assert order == [
        ("1", "base"), ("1", "ours"), ("2", "ours"), ("2", "base"), ("3", "base"), ("3", "ours"),
        ("A/A", "base"), ("A/A", "base"),
        ("4", "ours"), ("4", "base"), ("5", "base"), ("5", "ours"),
    ]  # fmt: skip


@pytest.mark.parametrize("pairs", range(1, 8))
def test_any_number_of_pairs_has_one_of_the_same(pairs: int) -> None:
    """There is one A/A pair, and a first and a second run of each."""
    order = list(turns(BASE, OURS, pairs))
    assert sum(turn.pair == A_A for turn in order) == 2
    assert {(turn.pair, turn.second) for turn in order} == {
        (pair, second) for pair in (*map(str, range(1, pairs + 1)), A_A) for second in (False, True)
    }


def test_a_ratio_is_ours_in_theirs() -> None:
    """Whichever of the two ran first."""
    made = [
        (Turn("1", BASE, second=False), Figures(10.0, 20.0, 0.0, 0.0)),
        (Turn("1", OURS, second=True), Figures(11.0, 30.0, 0.0, 0.0)),
        (Turn("2", OURS, second=True), Figures(5.0, 10.0, 0.0, 0.0)),
        (Turn("2", BASE, second=False), Figures(10.0, 20.0, 0.0, 0.0)),
    ]
    assert ratios(made) == {"1": Ratio(1.1, 1.5), "2": Ratio(0.5, 0.5)}


@pytest.mark.parametrize("same", [1.25, 0.8])
def test_the_bounds(same: float) -> None:
    """An odd pair counts for nothing; what two equal runs differ by is allowed, in either direction, and a tenth."""
    by_pair = {"1": Ratio(1.04, 1.3), "2": Ratio(9.0, 9.0), "3": Ratio(0.1, 0.1), A_A: Ratio(7.0, same)}
    p50, p99 = judged(by_pair)
    assert (p50.ratio, p50.bound, p50.is_met) == (1.04, 1.05, True)
    assert (p99.ratio, round(p99.bound, 6), p99.is_met) == (1.3, 1.375, True)
    worse = judged({**by_pair, "1": Ratio(1.06, 1.38)})
    assert [verdict.is_met for verdict in worse] == [False, False]


@pytest.mark.parametrize(
    ("stolen", "elsewhere", "disturbed"),
    [(0.0, 0.0, False), (0.03, 0.05, False), (0.031, 0.0, True), (0.0, 0.051, True)],
)
def test_what_disturbs_a_run(stolen: float, elsewhere: float, disturbed: bool) -> None:
    """The host's taking of the processors, and other programs'."""
    assert Figures(1.0, 1.0, stolen, elsewhere).is_disturbed == disturbed


def test_a_disturbed_run_is_done_again() -> None:
    """Until one is not, and no longer than that; of disturbed ones alone the calmest is shown."""
    made = iter([Figures(1.0, 1.0, 0.5, 0.0), Figures(2.0, 2.0, 0.0, 0.2), CALM])
    assert calm(lambda: next(made), 5) == CALM
    assert next(made, None) is None
    noisy = [Figures(1.0, 1.0, 0.5, 0.0), Figures(2.0, 2.0, 0.0, 0.2), Figures(3.0, 3.0, 0.3, 0.0)]
    made = iter(noisy)
    assert calm(lambda: next(made), 3) == noisy[1]


STAT = "cpu  100 10 200 5000 40 7 8 {stolen} 0 0\ncpu0 1 2 3\n"


def process(number: int, parent: int, name: str, *used: int) -> str:
    return f"{number} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {' '.join(map(str, used))} 20 0"


def test_whose_the_processors_were() -> None:
    """Ours are all that stem from us, those that have ended included; names may hold what they like."""
    processes = [
        process(10, 1, "bench", 1, 2, 3, 4),
        process(11, 10, "a) S 1 (b", 10, 0, 0, 0),
        process(12, 11, "switch", 0, 20, 0, 0),
        process(13, 1, "other", 100, 100, 0, 0),
    ]
    assert read_ticks(STAT.format(stolen=9), processes, 10) == Ticks(9, 310, 40, 5374)


def test_shares_of_the_processors() -> None:
    """What the programs have had and we have not is others'."""
    before, after = Ticks(0, 100, 40, 1_000), Ticks(20, 400, 240, 2_000)
    assert after.shares_since(before) == (0.02, 0.1)
    assert before.shares_since(before) == (0.0, 0.0)


def test_this_machine_is_read() -> None:
    """We ourselves are among those who have had something of its processors."""
    now = ticks_now()
    assert 0 < now.ours <= now.programs <= now.altogether
