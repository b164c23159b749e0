"""The parameters of plugins: how they are read, which are refused and in what words, lists and maps among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from fsacd.config.problems import ConfigErrors
from fsacd.contract import candidate, check_strategy
from fsacd.core.match.plugins import PluginError, PluginFailed
from fsacd.core.plain import from_plain, to_plain
from fsacd.core.rules import Parameters, Rules
from fsacd.daemon.plugging import read
from fsacd.plugins import Catalogue, ParameterProblem, shipped
from fsacd.plugins.guard import GuardedKeyStrategy
from fsacd.strategy import Ring
from tests.plugins_rig import files_of_ones_own, users_catalogue


@pytest.fixture(autouse=True)
def _files_of_ones_own() -> Iterator[None]:
    with files_of_ones_own():
        yield


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return users_catalogue(tmp_path)


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


def test_a_wrong_instance_cannot_be_made() -> None:
    """Parameters that no configuration was read for are refused as well."""
    with pytest.raises(PluginError) as error:
        shipped().strategy("ring_progressive", (("every", 1),))
    assert str(error.value) == "ring_progressive: every must be from 500ms to 10m"
