"""The runner of the long series: it finds each, runs each, and says which went wrong."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest

from tests.chaos.__main__ import main as chaos
from tests.prove import __main__ as runner
from tests.prove import chaos_real, chaos_simulated
from tests.prove.many_calls import Held, grown


def test_every_series_is_found(tmp_path: Path) -> None:
    """A module that is put there is run without being named anywhere; what begins with _ is none."""
    for name in ("late.py", "doors.py", "_shared.py", "__init__.py", "notes.txt"):
        (tmp_path / name).touch()
    assert runner.series(tmp_path) == ["doors", "late"]
    assert {"chaos_real", "chaos_simulated"} <= set(runner.series())


def test_one_that_is_wrong_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All are run with the N that was asked for, and the end tells which were wrong."""
    for name in ("one.py", "three.py", "two.py"):
        (tmp_path / name).touch()
    ran: list[tuple[str, int | None]] = []

    def start(name: str, n: int | None) -> int:
        ran.append((name, n))
        return 1 if name == "three" else 0

    assert runner.main(["2"], directory=tmp_path, start=start, left=tmp_path / "left") == 1
    assert ran == [("one", 2), ("three", 2), ("two", 2)]
    assert capsys.readouterr().out.endswith("2 of 3 series were good; wrong: three\n")
    assert runner.main(["--only", "two"], directory=tmp_path, start=start, left=tmp_path / "left") == 0
    assert ran[3:] == [("two", None)]


def test_a_second_try_takes_what_was_not_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that were wrong, and, when the first try was cut short, those that it did not come to."""
    for name in ("one.py", "three.py", "two.py"):
        (tmp_path / name).touch()
    ran: list[str] = []
    codes = {"one": 0, "three": 1, "two": 1}

    def start(name: str, n: int | None) -> int:
        ran.append(name)
        return codes[name]

    def tried(*words: str, start: runner.Run = start) -> int:
        ran.clear()
        return runner.main([*words, "2"], directory=tmp_path, start=start, left=tmp_path / "kept" / "left")

    def cut(name: str, n: int | None) -> int:
        if name == "three":
            raise KeyboardInterrupt
        return start(name, n)

    assert (tried("--again"), ran) == (1, ["one", "three", "two"]), "nobody knows of a first try"
    codes["two"] = 0
    assert (tried("--again"), ran) == (1, ["three", "two"])
    assert (tried("--again"), ran) == (1, ["three"])
    with pytest.raises(KeyboardInterrupt):
        tried(start=cut)
    codes["three"] = 0
    assert (tried("--again"), ran) == (0, ["three", "two"])
    assert (tried("--again"), ran) == (0, [])
    assert capsys.readouterr().out.endswith("every series was good the last time\n")


@pytest.mark.parametrize(("words", "beside"), [([], False), (["2"], True)])
def test_what_mostly_waits_has_others_beside_it(words: list[str], beside: bool, tmp_path: Path) -> None:
    """With a small N; and never one that looks at times."""
    for name in ("chaos_real.py", "hostile_switch.py", "other.py"):
        (tmp_path / name).touch()
    under_way: set[str] = set()
    met: set[frozenset[str]] = set()

    def start(name: str, n: int | None) -> int:
        under_way.add(name)
        gevent.sleep(0.05 if name == "hostile_switch" else 0.01)
        met.add(frozenset(under_way))
        under_way.remove(name)
        return 0

    assert runner.main(words, directory=tmp_path, start=start, left=tmp_path / "left") == 0
    assert (frozenset(("hostile_switch", "other")) in met) == beside
    assert not any("chaos_real" in each and len(each) > 1 for each in met)


@pytest.mark.parametrize(("words", "code"), [([], 1), (["2"], 0)])
def test_what_cannot_be_run_here_is_told(
    words: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without FreeSWITCH the rest is run with a small N; in full length nothing would be proven by it."""
    (tmp_path / "real.py").touch()
    (tmp_path / "other.py").touch()
    codes = {"real": runner.NOT_HERE, "other": 0}
    assert runner.main(words, directory=tmp_path, start=lambda name, _: codes[name], left=tmp_path / "left") == code
    assert capsys.readouterr().out.endswith("1 of 2 series were good; not run: real\n")


def test_nothing_to_run_is_not_good(tmp_path: Path) -> None:
    """A directory in which nothing is found has proven nothing."""
    assert runner.main([], directory=tmp_path, left=tmp_path / "left") == 1


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_count_that_is_none_is_refused(count: str, tmp_path: Path) -> None:
    """Nought rounds would prove nothing."""
    with pytest.raises(SystemExit):
        runner.main([count], directory=tmp_path)


def test_a_series_is_a_process_whose_exit_code_counts() -> None:
    """A series that cannot even be imported is wrong."""
    assert runner.run("no_such_series", 1) != 0


def test_chaos_takes_fresh_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its full length is what is asked for before a release; no seed is given, so that it is a new one each time."""
    asked: list[list[str]] = []

    def run(words: list[str]) -> int:
        asked.append(words)
        return 0

    monkeypatch.setattr(chaos_real, "find_freeswitch", lambda: "/usr/bin/freeswitch")
    for module in (chaos_simulated, chaos_real):
        monkeypatch.setattr(module, "chaos", run)
        assert (module.main(None), module.main(2)) == (0, 0)
    assert asked == [["--schedules", number] for number in ("1000", "2", "60", "2")]


def test_chaos_tells_its_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs without a seed run different schedules, and each says which, so that it can be run again."""
    told = []
    for words in ([], [], ["--seed", "7"]):
        assert chaos(["--verbose", "--schedules", "0", *words]) == 0
        told.append(capsys.readouterr().out.splitlines()[0])
    assert all(text.startswith("the first seed is ") for text in told)
    assert len(set(told)) == 3
    assert told[2] == "the first seed is 7"


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (Held(20_000, 101_000_000, 13, 16, 4, 8), []),
        (Held(20_000, 163_000_000, 13, 15, 4, 8), ["19000 calls have left 63000000 bytes: 3316 each"]),
        (Held(20_000, 100_000_000, 13, 15, 4, 40), ["there are 32 more files"]),
        (
            Held(20_000, 100_000_000, 20, 25, 9, 8),
            [f"there are {n}" for n in ("7 more descr", "10 more gre", "5 more th")],
        ),
    ],
)
def test_what_grows_with_the_calls_is_told(last: Held, told: list[str]) -> None:
    """A thing or two may be under way when it is counted; an object that every call leaves behind may not."""
    faults = grown(Held(1_000, 100_000_000, 13, 15, 4, 8), last)
    assert [fault.startswith(begin) for fault, begin in zip(faults, told, strict=True)] == [True] * len(told)
