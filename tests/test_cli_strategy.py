"""The commands for authors of strategies."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from fsacd.cli.strategy import strategy
from fsacd.contract import check_strategy
from fsacd.plugins import shipped


def run(*args: object) -> int:
    """The exit code of `fsacd strategy …`."""
    words: Sequence[str] = [str(arg) for arg in args]
    try:
        code = strategy.main(args=words, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return 2
    assert isinstance(code, int)
    return code


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that nobody else can write."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.mark.parametrize("option", [(), ("--rank",), ("--call-order",)])
def test_a_new_plugin_is_fine_at_once(
    directory: Path, option: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is written keeps the contract, and passes its own test."""
    assert run("new", "by_region", "--dir", directory, *option) == 0
    plugin, test = directory / "by_region.py", directory / "test_by_region.py"
    setting = "call_order" if option == ("--call-order",) else "strategy"
    assert capsys.readouterr().out == (
        f"Wrote {plugin} and {test}. Check it: fsacd strategy check {plugin}\n"
        f"Its test wants pytest ('{sys.executable} -m pip install pytest'): {sys.executable} -m pytest {test}\n"
        f"To use it, put by_region.py into a directory of strategy_path and write '{setting}: by_region' in a queue.\n"
    )
    assert check_strategy(plugin, elsewhere=False) == []
    scope: dict[str, object] = {"__file__": str(test), "__name__": "test_by_region"}
    exec(compile(test.read_text(encoding="utf-8"), str(test), "exec"), scope)
    tests = [value for name, value in scope.items() if name.startswith("test_") and callable(value)]
    assert len(tests) >= 2
    for one in tests:
        one()


def test_what_is_told_to_be_typed_works(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An author types it; the first needs nothing but fsacd, and the other says what it needs."""
    run("new", "by_region", "--dir", directory)
    told = capsys.readouterr().out
    check = re.search(r"Check it: fsacd (.*)", told)
    test = re.search(r"\): (.*)", told)
    assert check is not None
    assert test is not None
    (directory / "by_region.py").chmod(0o644)
    assert run(*check[1].split()[1:]) == 0
    done = subprocess.run(
        [*test[1].split(), "-q", "-p", "no:cacheprovider"],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1].split(" in ")[0]) == (0, "3 passed")


def test_nothing_is_overwritten(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there is left as it is."""
    (directory / "test_by_region.py").write_text("mine", encoding="utf-8")
    assert run("new", "by_region", "--dir", directory) == 2
    assert f"{directory}/test_by_region.py exists already; it is left as it is" in capsys.readouterr().err
    assert [path.name for path in directory.iterdir()] == ["test_by_region.py"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ring_all", "fsacd has a plugin ring_all of its own; choose another name"),
        ("By-Region", "'By-Region' is no name for a plugin: small letters, digits and _, a letter first"),
        ("lambda", "'lambda' is no name for a plugin: small letters, digits and _, a letter first"),
    ],
)
def test_a_wrong_name_is_refused(directory: Path, name: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is written."""
    assert run("new", name, "--dir", directory) == 2
    assert sentence in capsys.readouterr().err
    assert list(directory.iterdir()) == []


def test_check_tells_all_files(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is good is summed up; what is wrong goes to standard error, and the exit code is 2."""
    run("new", "good", "--dir", directory)
    (directory / "bad.py").write_text("import time\n", encoding="utf-8")
    (directory / "good.py").chmod(0o644)
    capsys.readouterr()
    assert run("check", directory / "good.py") == 0
    assert run("check", directory / "bad.py", directory / "good.py") == 2
    told = capsys.readouterr()
    assert told.out == f"{directory}/good.py: good. A strategy with a key; parameters: most.\n" * 2
    assert told.err == (
        f"{directory}/bad.py: it does not say which contract it is written for; add the line API_VERSION = 1\n"
    )


def test_check_notes_what_the_daemon_would_not_load(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that others can write may be good, but not where it lies."""
    run("new", "good", "--call-order", "--dir", directory)
    (directory / "good.py").chmod(0o664)
    capsys.readouterr()
    assert run("check", directory / "good.py") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{directory}/good.py: good. A call order; no parameters.",
        f"{directory}/good.py: note: others than the owner can write it; the daemon would refuse it (chmod go-w)",
    ]


def test_list_shows_all_that_can_be_named(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each plugin is a line; what could not be loaded is told."""
    run("new", "by_region", "--dir", directory)
    (directory / "by_region.py").chmod(0o644)
    (directory / "bad.py").write_text("", encoding="utf-8")
    (directory / "bad.py").chmod(0o644)
    capsys.readouterr()
    assert run("list", "--path", directory) == 2
    told = capsys.readouterr()
    names = [line.split()[0] for line in told.out.splitlines()[1:]]
    assert names == [*sorted([*shipped().names("strategy"), "by_region"]), *shipped().names("call order")]
    assert told.err == (
        f"{directory}/bad.py: it does not say which contract it is written for; add the line API_VERSION = 1\n"
    )
