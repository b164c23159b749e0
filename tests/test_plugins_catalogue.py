"""The catalogue: which plugins there are, from which files they are taken, and from which they are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from fsacd.contract import call
from fsacd.core.match.plugins import PluginError, PluginFailed
from fsacd.plugins import Catalogue, ParameterProblem, shipped
from fsacd.plugins.guard import GuardedCallOrder, GuardedKeyStrategy, GuardedRankStrategy
from fsacd.plugins.source import Unfit, read_file
from tests.plugins_rig import ORDER, files_of_ones_own, users_catalogue


@pytest.fixture(autouse=True)
def _files_of_ones_own() -> Iterator[None]:
    with files_of_ones_own():
        yield


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return users_catalogue(tmp_path)


def test_a_users_plugins_stand_beside_the_shipped_ones(catalogue: Catalogue) -> None:
    """A file's name is the plugin's name."""
    assert set(catalogue.names("strategy")) == {"fine", "ranking", *shipped().names("strategy")}
    assert set(catalogue.names("call order")) == {"order", *shipped().names("call order")}


def test_a_users_plugins_are_guarded(catalogue: Catalogue) -> None:
    """What is not fsacd's own is called with a time limit; of fsacd's own, what ranks is checked."""
    assert isinstance(catalogue.strategy("fine", ()), GuardedKeyStrategy)
    assert isinstance(catalogue.strategy("ranking", ()), GuardedRankStrategy)
    assert isinstance(catalogue.call_order("order", ()), GuardedCallOrder)
    assert isinstance(catalogue.strategy("random", ()), GuardedRankStrategy)
    assert not isinstance(catalogue.strategy("longest_idle", ()), GuardedKeyStrategy)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ringall", "unknown strategy 'ringall'; did you mean 'ring_all'?"),
        ("zzz", "unknown strategy 'zzz'"),
        ("newest_first", "'newest_first' is a call order, not a strategy"),
    ],
)
def test_an_unknown_plugin_is_named(name: str, sentence: str) -> None:
    """Whoever asks for it gets the same sentence."""
    with pytest.raises(ParameterProblem) as problem:
        shipped().read_parameters("strategy", name, {})
    assert (problem.value.parameter, str(problem.value)) == (None, sentence)
    with pytest.raises(PluginError) as error:
        shipped().strategy(name, ())
    assert str(error.value) == sentence


def test_a_plugin_describes_itself(catalogue: Catalogue, tmp_path: Path) -> None:
    """Its docstring and its parameters are what an operator reads."""
    described = catalogue.describe("fine")
    assert (described.kind, described.file, described.summary) == (
        "strategy", f"{tmp_path}/fine.py", "everybody alike",
    )  # fmt: skip
    assert described.text.endswith("And even more.")
    assert {one.name: one.default for one in described.parameters} == {
        "every": "1m30s", "most": "3", "share": "0.5", "loud": "false", "word": "hello", "scope": "best",
    }  # fmt: skip


def test_a_name_can_be_taken_once(tmp_path: Path) -> None:
    """The names of fsacd's own plugins and those of an earlier directory stay what they are."""
    first, second = tmp_path / "first", tmp_path / "second"
    for directory, name in ((first, "order"), (second, "order"), (second, "longest_idle")):
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.py").write_text(ORDER, encoding="utf-8")
    catalogue, problems = Catalogue.load([first, second], installed=False)
    assert [str(problem) for problem in problems] == [
        f"{second}/longest_idle.py: the name longest_idle is taken by fsacd's own; choose another",
        f"{second}/order.py: the name order is taken by {first}/order.py; choose another",
    ]
    assert catalogue.describe("order").file == f"{first}/order.py"


def test_what_stands_beside_a_plugin_is_left_alone(tmp_path: Path) -> None:
    """Tests, hidden files and what begins with _ are no plugins; a wrong name is told."""
    for name in ("test_order.py", "conftest.py", "_order.py", ".order.py", "notes.txt", "my-order.py"):
        (tmp_path / name).write_text(ORDER, encoding="utf-8")
    _, problems = Catalogue.load([tmp_path], installed=False)
    assert [str(problem) for problem in problems] == [
        f"{tmp_path}/my-order.py: 'my-order' is no name for a plugin: small letters, digits and _, a letter first"
    ]


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The rest is loaded all the same."""
    catalogue, problems = Catalogue.load([tmp_path / "gone"], installed=False)
    assert [str(problem) for problem in problems] == [
        f"{tmp_path}/gone: the directory cannot be read: No such file or directory"
    ]
    assert "longest_idle" in catalogue.names("strategy")


def test_a_directory_holds_so_many_plugins(tmp_path: Path) -> None:
    """Beyond 200 files nothing is loaded, and that is told."""
    for number in range(201):
        (tmp_path / f"order_{number:03}.py").write_text(ORDER, encoding="utf-8")
    catalogue, problems = Catalogue.load([tmp_path], installed=False)
    assert [str(problem) for problem in problems] == [f"{tmp_path}: it holds 201 plugins; only 200 are loaded"]
    assert "order_200" not in catalogue.names("call order")


def test_a_link_leads_to_a_plugin(tmp_path: Path) -> None:
    """A link is followed; the file it leads to, and that file's directory, are looked at."""
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.mkdir()
    (real / "v1.py").write_text(ORDER, encoding="utf-8")
    (linked / "order.py").symlink_to(real / "v1.py")
    catalogue, problems = Catalogue.load([linked], installed=False)
    assert (problems, "order" in catalogue.names("call order")) == ((), True)
    real.chmod(0o777)
    _, problems = Catalogue.load([linked], installed=False)
    assert [problem.text for problem in problems] == [
        f"its directory {real} can be written by everybody; it must be writable by its owner alone (chmod go-w)"
    ]


@pytest.mark.timeout(300)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe would be read for ever."""
    os.mkfifo(tmp_path / "order.py")
    (tmp_path / "empty.py").symlink_to(tmp_path / "gone.py")
    _, problems = Catalogue.load([tmp_path], installed=False)
    assert [str(problem) for problem in problems] == [
        f"{tmp_path}/empty.py: it cannot be read: No such file or directory",
        f"{tmp_path}/order.py: it is not a regular file",
    ]


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A plugin belongs to root or to the user who runs fsacd."""
    path = tmp_path / "order.py"
    path.write_text(ORDER, encoding="utf-8")
    with pytest.raises(Unfit) as unfit:
        read_file(path, frozenset({4_000_000_001, 4_000_000_002}))
    assert unfit.value.text.startswith(f"its directory {tmp_path} belongs to ")
    assert unfit.value.text.endswith("; it must belong to user 4000000001 or user 4000000002 (chown)")


def test_a_file_has_a_size(tmp_path: Path) -> None:
    """A plugin is a page, not a book."""
    path = tmp_path / "order.py"
    path.write_text(ORDER + "#" * 262_144, encoding="utf-8")
    with pytest.raises(Unfit) as unfit:
        read_file(path, frozenset({path.stat().st_uid}))
    assert unfit.value.text == "it is larger than 256 KiB"


def test_installed_packages_bring_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point of the group fsacd.strategies names a module, which is looked at as any file."""
    package = tmp_path / "acme_acd"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "by_offers.py").write_text(ORDER, encoding="utf-8")
    (package / "clock.py").write_text(f"import time\n{ORDER}", encoding="utf-8")
    installed = tmp_path / "acme_acd-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-acd\nVersion: 1\n", encoding="utf-8")
    (installed / "entry_points.txt").write_text(
        "[fsacd.strategies]\n"
        "by_offers = acme_acd.by_offers\nclock = acme_acd.clock\ngone = acme_acd.gone\nlost = lost.gone\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {point.name for point in metadata.entry_points(group="fsacd.strategies")} >= {"by_offers"}
    catalogue, problems = Catalogue.load()
    assert catalogue.describe("by_offers").file == str(package / "by_offers.py")
    assert [str(problem) for problem in problems] == [
        f"{package}/clock.py:1: imports time: a plugin has no clock of its own; the times are in the facts",
        "entry point gone = acme_acd.gone: there is no module of this name with its source",
        "entry point lost = lost.gone: its module cannot be found: ModuleNotFoundError: No module named 'lost'",
    ]


def test_the_limit_can_be_set(tmp_path: Path) -> None:
    """How long one call may take is the operator's choice."""
    (tmp_path / "order.py").write_text(ORDER.replace("return", "while True: pass #"), encoding="utf-8")
    catalogue, _ = Catalogue.load([tmp_path], installed=False)
    with pytest.raises(PluginFailed) as failed:
        catalogue.with_limit(5).call_order("order", ()).key(call())
    assert (
        str(failed.value) == f"{tmp_path}/order.py: key() took longer than 5 ms of processor time and was interrupted"
    )
