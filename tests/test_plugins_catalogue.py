"""The catalogue: which plugins there are, and with which parameters they can be had."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import orjson
import pytest

from fsacd.config.problems import ConfigErrors
from fsacd.contract import call, candidate, check_strategy
from fsacd.core.match.plugins import PluginError, PluginFailed
from fsacd.core.plain import from_plain, to_plain
from fsacd.core.rules import Parameters, Rules
from fsacd.daemon.plugging import read
from fsacd.plugins import Catalogue, ParameterProblem, shipped
from fsacd.plugins.guard import GuardedCallOrder, GuardedKeyStrategy, GuardedRankStrategy
from fsacd.plugins.source import Unfit, read_file
from fsacd.strategy import Ring

FINE = '''\
"""fine: everybody alike. There is more to say.

And even more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fsacd.strategy import BaseKeyStrategy, Milliseconds, Ring


API_VERSION = 1


@dataclass(frozen=True)
class Strategy(BaseKeyStrategy):
    """Everybody alike."""

    every: Milliseconds = Milliseconds(90_000)
    most: int = 3
    share: float = 0.5
    loud: bool = False
    word: str = "hello"
    scope: Literal["best", "all"] = "best"

    def __post_init__(self) -> None:
        if self.most > 10:
            raise ValueError("most must be 10 or less")
        if self.word == "bye":
            raise ValueError("that is no way to begin")
        if self.word == "bug":
            raise KeyError(self.word)

    @property
    def ring(self):
        return Ring(self.most, self.every)

    def key(self, agent, service, required):
        return (1,)
'''
RANK = """\
from fsacd.strategy import BaseRankStrategy
API_VERSION = 1
class Strategy(BaseRankStrategy):
    def rank(self, call, candidates, chance):
        return [one.agent.agent_id for one in candidates]
"""
ORDER = """\
API_VERSION = 1
class CallOrder:
    def key(self, call):
        return (call.offers,)
"""


@pytest.fixture(autouse=True)
def _files_of_ones_own() -> Iterator[None]:
    """Where a new file is its group's to write, as on many desktops, it would be refused."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Plugins of a user: fine, ranking and order."""
    for name, text in (("fine", FINE), ("ranking", RANK), ("order", ORDER)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    found, problems = Catalogue.load([tmp_path], installed=False)
    assert problems == ()
    return found


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


def test_parameters_are_read_from_texts(catalogue: Catalogue) -> None:
    """Every kind of parameter has the form it has in the configuration."""
    raw = {"every": "1m30s", "most": "4", "share": "1e-1", "loud": "yes", "word": "007", "scope": "all"}
    parameters = catalogue.read_parameters("strategy", "fine", raw)
    assert parameters == (
        ("every", 90_000), ("loud", True), ("most", 4), ("scope", "all"), ("share", 0.1), ("word", "007"),
    )  # fmt: skip
    assert catalogue.strategy("fine", parameters).ring == Ring(4, 90_000)


def test_parameters_may_come_from_a_program(catalogue: Catalogue) -> None:
    """Numbers and flags need not be texts."""
    raw = {"most": 4, "share": 1, "loud": True}
    assert catalogue.read_parameters("strategy", "fine", raw) == (("loud", True), ("most", 4), ("share", 1.0))


@pytest.mark.parametrize(
    ("raw", "parameter", "sentence"),
    [
        ({"every": "5"}, "every", "expected a duration like 15s or 2m, got '5': write the unit (s, m, h or ms)"),
        ({"every": "soon"}, "every", "expected a duration like 15s or 2m, got 'soon'"),
        ({"most": "many"}, "most", "expected a whole number, got 'many'"),
        ({"most": "1.5"}, "most", "expected a whole number, got '1.5'"),
        ({"most": None}, "most", "expected a whole number, got nothing"),
        ({"most": ["1"]}, "most", "expected a whole number, got a list"),
        ({"share": "nan"}, "share", "expected a number, got 'nan'"),
        ({"share": "half"}, "share", "expected a number, got 'half'"),
        ({"loud": "perhaps"}, "loud", "expected true or false, got 'perhaps'"),
        ({"word": "a\nb"}, "word", "expected a text of at most 256 characters, got 'a\\u000ab'"),
        ({"scope": "al"}, "scope", "expected one of best, all, got 'al'; did you mean 'all'?"),
        ({"mst": "1"}, "mst", "unknown parameter of fine; did you mean 'most'?"),
        ({"most": "11"}, "most", "most must be 10 or less"),
        ({"word": "bye"}, None, "that is no way to begin"),
    ],
)
def test_a_wrong_parameter_is_named(
    catalogue: Catalogue, raw: dict[str, object], parameter: str | None, sentence: str
) -> None:
    """One sentence, and the parameter that it is about."""
    with pytest.raises(ParameterProblem) as problem:
        catalogue.read_parameters("strategy", "fine", raw)
    assert (problem.value.parameter, str(problem.value)) == (parameter, sentence)


MANY = """\
from collections.abc import Mapping, Sequence
from typing import Literal
from fsacd.strategy import BaseKeyStrategy, Milliseconds
API_VERSION = 1
class Strategy(BaseKeyStrategy):
    def __init__(
        self,
        *,
        skills: Mapping[str, str] = {"de": "german"},
        shares: dict[str, int] = {},
        first: Sequence[str] = (),
        pauses: tuple[Milliseconds, ...] = (Milliseconds(5_000), Milliseconds(90_000)),
        scopes: list[Literal["best", "all"]] = ["all"],
    ) -> None:
        if "zoe" in first:
            raise ValueError("first must not hold zoe")
        self.given = skills, shares, first, pauses, scopes

    def key(self, agent, service, required):
        raise ValueError(repr(self.given))
"""


@pytest.fixture
def many(tmp_path: Path) -> Catalogue:
    """A plugin whose parameters are lists and maps."""
    (tmp_path / "many.py").write_text(MANY, encoding="utf-8")
    found, problems = Catalogue.load([tmp_path], installed=False)
    assert problems == ()
    return found


def given(catalogue: Catalogue, parameters: Parameters) -> str:
    """What the constructor of `many` got."""
    strategy = catalogue.strategy("many", parameters)
    assert isinstance(strategy, GuardedKeyStrategy)
    one = candidate("anna")
    with pytest.raises(PluginFailed) as failed:
        strategy.key(one.agent, one.service, ())
    return str(failed.value).partition("raised ValueError in line ")[2].partition(": ")[2]


def test_a_parameter_may_be_a_list_or_a_map(many: Catalogue) -> None:
    """It is given as the constructor's type says; the order in which a map stands in the file does not matter."""
    raw = {
        "skills": {"fr": "french", "de": "german"},
        "shares": {"b": "2", "a": "01"},
        "first": ["ben", "anna"],
        "pauses": ["1s", "2m"],
        "scopes": [],
    }
    parameters = many.read_parameters("strategy", "many", raw)
    assert parameters == (
        ("first", ("ben", "anna")),
        ("pauses", (1_000, 120_000)),
        ("scopes", ()),
        ("shares", (("a", 1), ("b", 2))),
        ("skills", (("de", "german"), ("fr", "french"))),
    )
    assert hash(parameters) == hash(many.read_parameters("strategy", "many", dict(reversed(raw.items()))))
    assert given(many, parameters) == (
        "(mappingproxy({'de': 'german', 'fr': 'french'}), {'a': 1, 'b': 2}, ('ben', 'anna'), (1000, 120000), [])"
    )
    assert given(many, ()) == "({'de': 'german'}, {}, (), (5000, 90000), ['all'])"


def test_lists_and_maps_are_described(many: Catalogue) -> None:
    """As the configuration would write them."""
    assert {one.name: one.default for one in many.describe("many").parameters} == {
        "skills": "{de: german}",
        "shares": "{}",
        "first": "[]",
        "pauses": "[5s, 1m30s]",
        "scopes": "[all]",
    }


@pytest.mark.parametrize(
    ("raw", "inner", "sentence"),
    [
        ({"first": "ben"}, (), "expected a list; each entry: a text of at most 256 characters; got 'ben'"),
        (
            {"first": {"ben": "1"}},
            (),
            "expected a list; each entry: a text of at most 256 characters; got a block of settings",
        ),
        (
            {"skills": ["de"]},
            (),
            "expected a map from texts to values; each value: a text of at most 256 characters; got a list",
        ),
        ({"pauses": ["1s", "2"]}, (1,), "expected a duration like 15s or 2m, got '2': write the unit (s, m, h or ms)"),
        ({"scopes": ["al"]}, (0,), "expected one of best, all, got 'al'; did you mean 'all'?"),
        ({"shares": {"a": "x"}}, ("a",), "expected a whole number, got 'x'"),
        ({"shares": {"a": None}}, ("a",), "expected a whole number, got nothing"),
        ({"shares": {"a": ["1"]}}, ("a",), "expected a whole number, got a list"),
        ({"shares": {"": "1"}}, (), "expected a text of at most 256 characters as the name of an entry, got ''"),
        ({"first": ["a"] * 1_001}, (), "at most 1000 entries are allowed, got 1001"),
        ({"first": ["zoe"]}, (), "first must not hold zoe"),
    ],
)
def test_a_wrong_entry_is_named(
    many: Catalogue, raw: dict[str, object], inner: tuple[str | int, ...], sentence: str
) -> None:
    """One sentence, and the entry that it is about."""
    with pytest.raises(ParameterProblem) as problem:
        many.read_parameters("strategy", "many", raw)
    assert (problem.value.parameter, problem.value.inner, str(problem.value)) == (next(iter(raw)), inner, sentence)


def test_a_wrong_entry_is_shown_where_it_stands_in_the_file(many: Catalogue, tmp_path: Path) -> None:
    """With its line and its column; what is right reaches the engine's rules, and comes back from its journal."""
    assert many.names("strategy")
    (tmp_path / "many.py").chmod(0o644)
    file = tmp_path / "fsacd.yaml"
    text = """\
switches: {fs1: {password: fine-as-it-is}}
strategy_path: [.]
queues:
  q:
    strategy:
      name: many
      shares: {a: 1, b: two}
      pauses:
        - 5s
        - soon
"""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigErrors) as errors:
        read(file)
    assert str(errors.value).replace(f"{file}:", "").splitlines() == [
        "7:25: queues.q.strategy.shares.b: expected a whole number, got 'two'",
        "10:11: queues.q.strategy.pauses[1]: expected a duration like 15s or 2m, got 'soon'",
    ]
    file.write_text(text.replace("soon", "10s").replace("two", "2"), encoding="utf-8")
    rules = read(file).config.rules()
    assert rules.queues["q"].strategy_parameters == (("pauses", (5_000, 10_000)), ("shares", (("a", 1), ("b", 2))))
    assert rules == from_plain(orjson.loads(orjson.dumps(to_plain(rules, Rules))), Rules)
    assert rules == read(file).config.rules(), "a reload that changes nothing has the same rules"


def test_a_value_of_a_journal_for_another_type_is_refused(many: Catalogue) -> None:
    """A plugin that has got another constructor since is told so in one sentence."""
    with pytest.raises(PluginError) as error:
        many.strategy("many", (("first", "anna"),))
    assert str(error.value) == "many: first must be a list; each entry: a text of at most 256 characters"
    with pytest.raises(PluginError) as error:
        many.strategy("many", (("shares", (1, 2)),))
    assert "its constructor raised TypeError" in str(error.value)


def test_the_kit_takes_lists_and_maps(many: Catalogue, tmp_path: Path) -> None:
    """An author's tests give them as the configuration does, in another process, too."""
    assert many.names("strategy")
    text = MANY.replace("raise ValueError(repr(self.given))", "return (len(self.given[0]),)")
    (tmp_path / "many.py").write_text(text, encoding="utf-8")
    assert check_strategy(tmp_path / "many.py", {"skills": {"fr": "french"}, "first": ["anna"]}) == []


def test_a_constructor_that_fails_is_named(catalogue: Catalogue, tmp_path: Path) -> None:
    """What is no refusal of a parameter is a fault of the plugin."""
    with pytest.raises(ParameterProblem) as problem:
        catalogue.read_parameters("strategy", "fine", {"word": "bug"})
    assert str(problem.value) == f"{tmp_path}/fine.py: its constructor raised KeyError: 'bug'"
    with pytest.raises(PluginError) as error:
        catalogue.strategy("fine", (("word", "bug"),))
    assert str(error.value) == f"{tmp_path}/fine.py: its constructor raised KeyError: 'bug'"


def test_a_plugin_without_parameters_says_so() -> None:
    """There is nothing that could have been meant."""
    with pytest.raises(ParameterProblem) as problem:
        shipped().read_parameters("strategy", "longest_idle", {"every": "5s"})
    assert str(problem.value) == "unknown parameter of longest_idle; it has none"


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


def test_a_wrong_instance_cannot_be_made() -> None:
    """Parameters that no configuration was read for are refused as well."""
    with pytest.raises(PluginError) as error:
        shipped().strategy("ring_progressive", (("every", 1),))
    assert str(error.value) == "ring_progressive: every must be from 500ms to 10m"


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


@pytest.mark.timeout(10)
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
