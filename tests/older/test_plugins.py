"""Strategies, call orders and their tests that were written for commit a0ed903 run unchanged.

All in a0ed903/ is as it was then: `strategies/` and `tests/` are of that tree, and `plugins/` is what its command
`fsacd strategy new` wrote (few_skills, by_chance, known_first), and what its strategies/README.md shows (by_region).
The dialplan there is for test_update.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest

from fsacd import contract, testing
from fsacd.core.commands import RingAgent
from fsacd.core.events import AgentLoggedIn, SwitchConnected
from fsacd.core.match.plugins import Plugins
from fsacd.core.records import StrategyFailed
from fsacd.core.rules import Parameters, Rules
from fsacd.daemon.plugging import read
from fsacd.plugins import Catalogue
from fsacd.strategy import CallOrder, Strategy
from fsacd.testing import Driver, queued
from tests.core.story import retell

ROOT = Path(__file__).parents[2]
THEN = Path(__file__).parent / "a0ed903"
# Whoever changes a file there, be it a formatter, no longer shows what ran then.
DIGEST = "8cc181149cda565f2dd8ad6bad367eeca83b86682443c93d185d53598662979a"
OWN_STRATEGIES = {"by_chance", "by_region", "few_skills"}
# One sentence of the contract kit has changed: a plugin's time is the processor's now, and the sentence says so.
SAID_OTHERWISE = {"test_what_is_found_in_a_key_strategy[while True: pass--expected9]"}
# Another quotes Python 3.11, whose own words later ones have changed ("max() iterable argument is empty").
PYTHON_SAYS_OTHERWISE = {"test_what_is_found_in_a_key_strategy[return (max(agent.skills)[1],)--expected6]"}

# The examples in the docstrings of fsacd/contract.py and fsacd/testing.py, without the imports, as they stood there.
CONTRACT_EXAMPLE = """\
    PLUGIN = Path(__file__).with_name("by_region.py")

    def test_it_keeps_the_contract() -> None:
        assert check_strategy(PLUGIN) == []

    def test_the_longest_idle_agent_rings_first() -> None:
        agents = [candidate("anna", idle_since_ms=2_000), candidate("ben", idle_since_ms=1_000)]
        assert ring_order(PLUGIN, agents) == ["ben", "anna"]
"""
TESTING_EXAMPLE = """\
    driver = Driver(rules_of(queue("support"), agent("1001", "support")))
    driver.tell(SwitchConnected("fs1"))
    driver.tell(AgentLoggedIn("1001", by="test"))
    driver.tell(queued("anna", "support"), at_ms=2_000)
    assert [ring.agent_id for ring in driver.commands_of(RingAgent)] == ["1001"]
"""


def copied(place: Path) -> Path:
    """A copy of all that, which nobody else can write: the daemon loads no other plugins."""
    then = place / "then"
    shutil.copytree(THEN, then)
    for path in (then, *then.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return then


@pytest.fixture
def then(tmp_path: Path) -> Path:
    """Such a copy for one test."""
    return copied(tmp_path)


def files() -> list[Path]:
    """What is kept of then."""
    return sorted(path for path in THEN.rglob("*") if path.suffix in {".py", ".md", ".xml"})


def test_nothing_of_then_is_touched() -> None:
    """What would be mended here would be broken at everybody who has written a plugin."""
    whole = hashlib.sha256()
    for path in files():
        whole.update(f"{path.relative_to(THEN)}\n".encode() + path.read_bytes())
    assert whole.hexdigest() == DIGEST


PARTS = ("plugins", "tests/strategies", "tests/test_contract.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bool]]:
    """By part, its tests and whether each has passed. One pytest runs all, for most of its time is its start."""
    place = tmp_path_factory.mktemp("results")
    then, report = copied(place), place / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-c", os.devnull]
    command += [f"--rootdir={then}", f"--basetemp={place / 'tmp'}", f"--junitxml={report}", *PARTS]
    path = os.pathsep.join((str(then), str(ROOT)))
    told = subprocess.run(
        command, cwd=then, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    print(told.stdout)  # shown where a test fails
    found: dict[str, dict[str, bool]] = {part: {} for part in PARTS}
    for one in ET.parse(report).iter("testcase"):
        where = str(one.get("classname")).replace(".", "/")
        (part,) = (part for part in PARTS if f"{where}.py".startswith(part))
        passed = one.find("failure") is None and one.find("error") is None
        found[part][f"{where}::{one.get('name')}"] = passed
    return found


# A few seconds of work, for which a busy machine may take long.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", PARTS)
def test_the_tests_of_then_pass(results: dict[str, dict[str, bool]], part: str) -> None:
    """Run by a pytest of their own, as their authors do; the strategies that fsacd ships are those of then there."""
    assert any(results[part].values()), "a part of which no test has run shows nothing"
    failed = {name.rpartition("::")[2] for name, passed in results[part].items() if not passed}
    expected = SAID_OTHERWISE | (PYTHON_SAYS_OTHERWISE if sys.version_info >= (3, 12) else set())
    assert failed == (expected if part == "tests/test_contract.py" else set())
    written = sum(
        text.count("def test_")
        for text in (path.read_text() for path in files() if str(path.relative_to(THEN)).startswith(part))
    )
    assert len(results[part]) >= written > 0


def test_an_example_of_the_contract_kit(then: Path) -> None:
    """Whoever has typed what they read has a test that passes."""
    names = {**vars(contract), "Path": Path, "__file__": str(then / "plugins" / "test_by_region.py")}
    exec(dedent(CONTRACT_EXAMPLE), names)
    names["test_it_keeps_the_contract"]()
    names["test_the_longest_idle_agent_rings_first"]()


def test_an_example_of_the_driver() -> None:
    """And so has whoever drives the engine."""
    names = {"SwitchConnected": SwitchConnected, "AgentLoggedIn": AgentLoggedIn, "RingAgent": RingAgent}
    exec(dedent(TESTING_EXAMPLE), {**vars(testing), **names})


# --- in today's engine ---


def engine_of(rules: Rules, plugins: Plugins) -> Driver:
    """An engine in which all agents have logged in, one after the other."""
    driver = Driver(rules, plugins)
    driver.tell(SwitchConnected("fs1"))
    for number, agent_id in enumerate(rules.agents):
        driver.tell(AgentLoggedIn(agent_id, by="test"), at_ms=1_000 * number)
    return driver


def rung(driver: Driver) -> list[tuple[str, str]]:
    """Who was rung for which call; no plugin has failed."""
    assert driver.records_of(StrategyFailed) == []
    return [(ring.call_id, ring.agent_id) for ring in driver.commands_of(RingAgent)]


class OfThen:
    """Those of then in the place of those that fsacd ships now, loaded as plugins of one's own."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.asked = set[str]()

    def strategy(self, name: str, parameters: Parameters) -> Strategy:
        self.asked.add(name)
        return self._catalogue.strategy(f"my_{name}", parameters)

    def call_order(self, name: str, parameters: Parameters) -> CallOrder:
        self.asked.add(name)
        return self._catalogue.call_order(f"my_{name}", parameters)


def test_the_strategies_of_then_tell_the_stories_of_now(then: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is loaded under a name of one's own, because fsacd's are taken, and rings as the golden story says."""
    mine = then.parent / "mine"
    mine.mkdir(mode=0o755)
    for path in (then / "strategies").glob("[!_]*.py"):
        shutil.copy(path, mine / f"my_{path.name}")
    catalogue, problems = Catalogue.load([mine], installed=False)
    assert problems == ()
    plugins = OfThen(catalogue)
    monkeypatch.setattr("tests.core.story.PLUGINS", plugins)
    for path in sorted((ROOT / "tests" / "core" / "scenarios").glob("*.txt")):
        if path.name.startswith("strategy_") or path.name == "67_call_order_newest_first.txt":
            text = path.read_text(encoding="utf-8")
            assert retell(text) == text
    # What by_class says is what a queue does that names no call order, so no story tells of it.
    assert {f"my_{name}" for name in (*plugins.asked, "by_class")} == {path.stem for path in mine.glob("*.py")}


def config_of_then(then: Path, strategy: str, call_order: str) -> Path:
    """What the README of then shows of a configuration, with an address for its plugins, and what goes round it."""
    readme = (then / "strategies" / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    text = dedent(shown).replace("/etc/fsacd/strategies", str(then / "plugins"))
    assert "strategy: {name: by_region, native: 9}\n" in text
    text = text.replace("strategy: {name: by_region, native: 9}", f"strategy: {strategy}\n    call_order: {call_order}")
    path = then.parent / "fsacd.yaml"
    path.write_text(
        f"{text}    level_first: false\n"
        "switches: {fs1: {password: unguessable}}\n"
        "agents:\n"
        "  anna: {queues: [support], skills: {french: 6, german: 1}}\n"
        "  ben: {queues: [support], skills: {french: 8}}\n"
        "  cara: {queues: [support], skills: {french: 9, german: 2, polish: 3}}\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("{name: by_region, native: 9}", ["cara", "anna", "ben"]),
        ("{name: by_region, native: 8}", ["ben", "cara", "anna"]),
        ("few_skills", ["ben", "anna", "cara"]),
        ("{name: few_skills, most: 1}", ["anna", "ben", "cara"]),
    ],
)
def test_a_plugin_of_then_by_a_configuration_of_then(then: Path, strategy: str, expected: list[str]) -> None:
    """With its parameters; and its callers stand in the order of a call order of then, known customers first."""
    reading = read(config_of_then(then, strategy, "known_first"))
    driver = engine_of(reading.config.rules(), reading.catalogue)
    driver.tell(AgentLoggedIn("anna", by="test"))
    for number, customer in enumerate(("", "", "acme", "")):
        driver.tell(queued(f"c{number}", "support", 5_000, customer=customer, required=(("french", 5),)), at_ms=5_000)
    assert rung(driver) == [(f"c{number}", agent_id) for number, agent_id in zip((0, 1, 2), expected, strict=True)]


def test_installed(then: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package brings them, by the entry points of then."""
    site = then.parent / "site"
    info = site / "ours-1.0.dist-info"
    shutil.copytree(then / "plugins", site / "ours_of_then")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
    points = "".join(f"{name} = ours_of_then.{name}\n" for name in sorted({*OWN_STRATEGIES, "known_first"}))
    (info / "entry_points.txt").write_text(f"[fsacd.strategies]\n{points}")
    monkeypatch.syspath_prepend(site)
    catalogue, problems = Catalogue.load()
    assert problems == ()
    assert set(catalogue.names("strategy")) >= OWN_STRATEGIES
    assert "known_first" in catalogue.names("call order")
