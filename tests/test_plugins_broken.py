"""Plugins that are broken, each in its way: refused when they are loaded or survived when they are used."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from fsacd.contract import call, candidate
from fsacd.core.match.plugins import PluginFailed
from fsacd.plugins import Catalogue
from fsacd.plugins.guard import Guard, GuardedKeyStrategy
from fsacd.strategy import AgentFacts, BaseKeyStrategy, Candidate, Key, ServiceFacts, SkillLevels
from tests.plugins_rig import files_of_ones_own
from tests.wording import words

RECURSED = words("def key(): key()\nkey()")
NO_X = words("class Strategy: pass\nStrategy().x")

KEY = """\
from fsacd.strategy import BaseKeyStrategy

API_VERSION = 1


class Strategy(BaseKeyStrategy):
    def key(self, agent, service, required):
        {body}
"""
RANK = """\
from fsacd.strategy import BaseRankStrategy

API_VERSION = 1


class Strategy(BaseRankStrategy):
    def rank(self, call, candidates, chance):
        {body}
"""
ORDER = """\
API_VERSION = 1


class CallOrder:
    def key(self, call):
        {body}
"""
AGENTS = (candidate("anna"), candidate("ben"))
IMMUTABLE = words("a.idle_since_ms = 0", a=AGENTS[0].agent)


@pytest.fixture(autouse=True)
def _files_of_ones_own() -> Iterator[None]:
    with files_of_ones_own():
        yield


def load(directory: Path, text: str) -> tuple[Catalogue, list[str]]:
    """A catalogue with the plugin broken.py, and what was wrong with it."""
    (directory / "broken.py").write_text(text, encoding="utf-8")
    catalogue, problems = Catalogue.load([directory], installed=False)
    return catalogue, [str(problem).replace(str(directory), "DIR") for problem in problems]


def ask_key(catalogue: Catalogue) -> Key:
    strategy = catalogue.strategy("broken", ())
    assert isinstance(strategy, GuardedKeyStrategy)
    return strategy.key(AGENTS[0].agent, AGENTS[0].service, ())


def ask_rank(catalogue: Catalogue) -> Sequence[str]:
    strategy = catalogue.strategy("broken", ())
    assert not isinstance(strategy, GuardedKeyStrategy)
    assert hasattr(strategy, "rank")
    return list(strategy.rank(call(), AGENTS, random.Random(0)))


def ask_order(catalogue: Catalogue) -> Key:
    return catalogue.call_order("broken", ()).key(call())


def failure(directory: Path, text: str, ask: Callable[[Catalogue], object]) -> str:
    """The sentence for a plugin that is loaded and fails when it is asked."""
    catalogue, problems = load(directory, text)
    assert problems == []
    with pytest.raises(PluginFailed) as failed:
        ask(catalogue)
    return str(failed.value).replace(str(directory), "DIR")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return (1 / len(agent.skills),)", f"raised ZeroDivisionError in line 8: {words('1 / 0')}"),
        ("raise SystemExit", "raised SystemExit in line 8"),
        (
            "return self.key(agent, service, required)",
            f"raised RecursionError in line 8: {RECURSED}",
        ),
        ("while True: pass", "took longer than 20 ms of processor time and was interrupted"),
        ("agent.idle_since_ms = 0", f"raised AttributeError in line 8: {IMMUTABLE}"),
        ("pass", "returned nothing; a tuple of numbers was expected"),
        ("return agent.agent_id", "returned 'anna'; a tuple of numbers was expected"),
        ("return [1]", "returned a list; a tuple of numbers was expected"),
        ("return ('x', 1)", "returned ('x', 1); a tuple of numbers was expected"),
        ("return (True,)", "returned (True,); a tuple of numbers was expected"),
        ("return (float('nan'),)", "returned (nan,); NaN has no place in an order"),
        ("return ()", "returned 0 numbers; 1 to 8 were expected"),
        ("return (1,) * 9", "returned 9 numbers; 1 to 8 were expected"),
    ],
)  # fmt: skip
def test_a_key_that_goes_wrong(tmp_path: Path, body: str, sentence: str) -> None:
    """Whatever key() does, the engine gets one exception with one sentence that names the file."""
    assert f"DIR/broken.py: key() {sentence}" == failure(tmp_path, KEY.format(body=body), ask_key)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return ['anna', 'ben', 'zoe']", "returned 'zoe', who is no candidate"),
        ("return ['anna', 'ben', 'anna']", "returned 'anna' twice"),
        ("return ['anna']", "left out 'ben'; all candidates were expected"),
        ("return None", "returned nothing; the ids of all candidates were expected"),
        ("return 'anna'", "returned 'anna'; the ids of all candidates were expected"),
        ("return (one for one in candidates)", "returned a generator; the ids of all candidates were expected"),
        ("return candidates", "returned a Candidate among the ids; a text was expected"),
        ("while True: chance.random()", "took longer than 20 ms of processor time and was interrupted"),
        ("candidates.clear()", f"raised AttributeError in line 8: {words('().clear()')}"),
    ],
)
def test_a_ranking_that_goes_wrong(tmp_path: Path, body: str, sentence: str) -> None:
    """Whatever rank() does, the engine gets one exception with one sentence that names the file."""
    assert f"DIR/broken.py: rank() {sentence}" == failure(tmp_path, RANK.format(body=body), ask_rank)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError(call.number)", "raised ValueError in line 6"),
        ("return call.priority", "returned 0; a tuple of numbers was expected"),
    ],
)
def test_a_call_order_that_goes_wrong(tmp_path: Path, body: str, sentence: str) -> None:
    """A call order is guarded as a strategy is."""
    assert f"DIR/broken.py: key() {sentence}" == failure(tmp_path, ORDER.format(body=body), ask_order)


def lines(*more: str) -> str:
    """A good plugin of eight lines, and more of its class."""
    return KEY.format(body="return (1,)") + "".join(f"    {line}\n" for line in more)


REFUSED_TEXTS = (
    ("API_VERSION = 2\n", ":1: it is written for API_VERSION 2; this fsacd has 1"),
    ("API_VERSION: int = 0\n", ":1: it is written for API_VERSION 0; this fsacd has 1"),
    ("API_VERSION = '1'\n", ":1: API_VERSION must be a number, as in API_VERSION = 1"),
    ("", ": it does not say which contract it is written for; add the line API_VERSION = 1"),
    ("API_VERSION = 1\ndef key(self:\n", f":2: this is not Python: {words('def key(self:')}"),
    ("\udcff", ":1: it is not UTF-8 text"),
    (lines("print(1)"), ":9: calls print(): a plugin reads, writes and waits for nothing"),
    (lines("x = open('/etc/passwd')"), ":9: calls open(): a plugin reads, writes and waits for nothing"),
    (
        KEY.format(body="return (hash(agent.agent_id),)"),
        ":8: calls hash(): its answer differs from run to run, and a replay must decide the same",
    ),
    (lines("x = eval('1')"), ":9: calls eval(): a plugin's file must say all that it does"),
    (KEY.format(body="global last"), ":8: changes last: a plugin remembers nothing"),
    (
        lines("try:", "    pass", "except:", "    pass"),
        ":11: catches everything: a plugin that takes too long must let itself be interrupted",
    ),
)
REFUSED_IMPORTS = (
    ("import time", "time: a plugin has no clock of its own; the times are in the facts"),
    ("from datetime import datetime", "datetime: a plugin has no clock of its own; the times are in the facts"),
    ("from random import random", "random: a plugin has no die of its own; rank() is given one"),
    ("import math, os.path", "os.path: a plugin reads, writes and waits for nothing"),
    ("import fsacd.core", "fsacd.core: a plugin knows fsacd.strategy alone"),
    ("from fsacd import core", "fsacd: a plugin knows fsacd.strategy alone"),
    ("from . import x", "its neighbours: a plugin is one file"),
    (
        "import numpy",
        (
            "numpy: a plugin may import fsacd.strategy and __future__, bisect, collections, dataclasses, enum, "
            "functools, heapq, itertools, math, operator, statistics, typing"
        ),
    ),
)
REFUSED_CLASSES = (
    ("API_VERSION = 1\n", ": it defines no class Strategy and no class CallOrder"),
    (
        "API_VERSION = 1\nfrom fsacd.strategy import Strategy, CallOrder\n",
        ": it defines no class Strategy and no class CallOrder",
    ),
    (
        lines() + "class CallOrder:\n    def key(self, call): return (1,)\n",
        ":10: it defines both Strategy and CallOrder; a file is one plugin",
    ),
    ("API_VERSION = 1\nclass Strategy: pass\n", ": Strategy has neither key() nor rank()"),
    (lines("def rank(self): pass"), ":7: Strategy has both key() and rank(); it may have one"),
    ("API_VERSION = 1\nclass CallOrder: pass\n", ": CallOrder has no method key(call)"),
    (
        "API_VERSION = 1\nclass Strategy:\n  def key(self, a, b, c): pass\n",
        ":3: Strategy has no ring; derive it from BaseKeyStrategy",
    ),
    (
        lines().replace("service, required", "service"),
        ":7: key() must take (self, agent, service, required)",
    ),
    (lines("ring = 1"), ":7: ring is 1; a Ring was expected"),
    (lines("by_skill = 1"), ":7: by_skill must be True or False; derive Strategy from BaseKeyStrategy"),
    (lines("by_sum = 1"), ":7: by_sum must be True or False; derive Strategy from BaseKeyStrategy"),
    (lines("start = None"), ":7: Strategy has no start(); derive it from BaseKeyStrategy"),
    (lines("1 / 0"), f":9: it raised ZeroDivisionError: {words('1 / 0')}"),
    (lines("raise SystemExit"), ":9: it raised SystemExit"),
)
NO_TYPE = (
    "parameter x has no type that a configuration can give: int, float, bool, str, Milliseconds, a Literal of texts, "
    "or of these a Sequence[…] or a Mapping[str, …]"
)
REFUSED_CONSTRUCTORS = (
    ("x): pass", "parameter x has no default; the strategy must work as soon as it is named"),
    (
        "x=1): pass",
        NO_TYPE,
    ),
    (
        "x: list[list[int]] = []): pass",
        NO_TYPE,
    ),
    (
        "x: dict[int, int] = {}): pass",
        NO_TYPE,
    ),
    (
        "x: tuple[int, str] = (1, '')): pass",
        NO_TYPE,
    ),
    ("x: set[int] = ()): pass", NO_TYPE),
    (
        "x: list[int] = 1): pass",
        "parameter x: its default '1' is not a list; each entry: a whole number",
    ),
    (
        "x: dict[str, int] = {'a': 'b'}): pass",
        "parameter x: its default a block of settings is not a map from texts to values; each value: a whole number",
    ),
    (
        "x: Nothing = 1): pass",
        f"the types of the constructor's parameters cannot be read: NameError: {words('Nothing')}",
    ),
    ("x: int = 'a'): pass", "parameter x: its default 'a' is not a whole number"),
    ("**x: int): pass", "parameter x: a parameter must be given by its name"),
    ("): raise ValueError('too few')", "its constructor refuses its own defaults: too few"),
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        *REFUSED_TEXTS,
        *((f"{line}\n{lines()}", f":1: imports {sentence}") for line, sentence in REFUSED_IMPORTS),
        *REFUSED_CLASSES,
        *(
            (f"from __future__ import annotations\n{lines(f'def __init__(self, {line}')}", f":8: {sentence}")
            for line, sentence in REFUSED_CONSTRUCTORS
        ),
        (
            lines("def __init__(self): self.x"),
            f":9: its constructor raised AttributeError: {NO_X}",
        ),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """A file that breaks the contract is refused with one sentence, at its line where there is one."""
    (tmp_path / "broken.py").write_bytes(text.encode("utf-8", "surrogateescape"))
    catalogue, problems = Catalogue.load([tmp_path], installed=False)
    assert [f"DIR/broken.py{sentence}"] == [str(problem).replace(str(tmp_path), "DIR") for problem in problems]
    assert "broken" not in catalogue.names("strategy")


def test_a_file_that_runs_for_ever_is_refused(tmp_path: Path) -> None:
    """A file that never ends is interrupted while it is loaded."""
    _, problems = load(tmp_path, "API_VERSION = 1\nwhile True: pass\n")
    assert problems == ["DIR/broken.py: it took longer than 1 s to define its class"]


@pytest.mark.parametrize(("mode", "who"), [(0o646, "everybody"), (0o664, "its group")])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int, who: str) -> None:
    """Whoever can write a plugin can run code as the daemon: its owner alone may."""
    (tmp_path / "broken.py").write_text(KEY.format(body="return (1,)"), encoding="utf-8")
    (tmp_path / "broken.py").chmod(mode)
    _, problems = Catalogue.load([tmp_path], installed=False)
    assert [
        f"{tmp_path}/broken.py: the file can be written by {who}; it must be writable by its owner alone (chmod go-w)"
    ] == [str(problem) for problem in problems]


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """In a directory that others can write, they could put another file in the plugin's place."""
    (tmp_path / "broken.py").write_text(KEY.format(body="return (1,)"), encoding="utf-8")
    tmp_path.chmod(0o777)
    _, problems = Catalogue.load([tmp_path], installed=False)
    assert [problem.text for problem in problems] == [
        f"its directory {tmp_path} can be written by everybody; it must be writable by its owner alone (chmod go-w)"
    ]


def test_keys_of_different_lengths_are_refused(tmp_path: Path) -> None:
    """Keys of one plugin are compared with each other, so all are alike."""
    catalogue, _ = load(tmp_path, KEY.format(body="return (1,) * len(agent.agent_id)"))
    strategy = catalogue.strategy("broken", ())
    assert isinstance(strategy, GuardedKeyStrategy)
    strategy.key(AGENTS[0].agent, AGENTS[0].service, ())
    with pytest.raises(PluginFailed) as failed:
        strategy.key(AGENTS[1].agent, AGENTS[1].service, ())
    assert f"{tmp_path}/broken.py: key() returned 3 numbers, and 4 before; all keys are alike" == str(failed.value)
    assert failed.value.calls == 2


class Sleeper(BaseKeyStrategy):
    """Sleeps, as a plugin could that has found its way to a clock."""

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        time.sleep(20)
        return (1,)


def test_a_plugin_that_sleeps_is_woken() -> None:
    """A plugin that lets other greenlets run is interrupted all the same, where it sleeps."""
    guarded = GuardedKeyStrategy(Sleeper(), Guard("sleeper.py", 0.02))
    others = gevent.spawn(lambda: [gevent.sleep(0.005) for _ in range(3)])
    with gevent.Timeout(10), pytest.raises(PluginFailed) as failed:
        guarded.key(AGENTS[0].agent, AGENTS[0].service, ())
    assert str(failed.value) == "sleeper.py: key() waited instead of computing, and was interrupted"
    others.join()


def test_what_is_meant_for_the_daemon_goes_through() -> None:
    """An end that is asked for from outside is no fault of the plugin."""

    def asked_to_end(*_: object) -> Key:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guard("x.py", 0.02).call("key", asked_to_end)


def test_candidates_cannot_be_changed(tmp_path: Path) -> None:
    """A plugin sees the candidates, and cannot take one away under the engine's hands."""
    candidates: list[Candidate] = list(AGENTS)
    catalogue, _ = load(tmp_path, RANK.format(body="return [candidates.pop().agent.agent_id]"))
    strategy = catalogue.strategy("broken", ())
    assert hasattr(strategy, "rank")
    with pytest.raises(PluginFailed):
        strategy.rank(call(), candidates, random.Random(0))
    assert list(AGENTS) == candidates
