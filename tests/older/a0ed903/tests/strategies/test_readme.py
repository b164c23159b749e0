"""The page that shows how to write a plugin says what is true."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from fsacd.contract import check_strategy
from fsacd.plugins import shipped

README = Path(__file__).parents[2] / "strategies" / "README.md"

MOD_CALLCENTER = {
    "longest-idle-agent",
    "agent-with-least-talk-time",
    "agent-with-fewest-calls",
    "ring-all",
    "ring-progressively",
    "random",
    "sequentially-by-agent-order",
    "round-robin",
    "top-down",
}
APP_QUEUE = {"ringall", "leastrecent", "fewestcalls", "random", "rrmemory", "linear", "wrandom", "rrordered"}
CLASSIC = {"all", "in turn", "longest idle", "fewest", "random", "memory"}


def table(first: str) -> list[list[str]]:
    """The rows of the table whose first heading is `first`."""
    text = README.read_text(encoding="utf-8")
    rows = text[text.index(f"| {first} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def words(cell: str) -> list[str]:
    """The words in a cell, without their quotes."""
    return [word.strip(" `") for word in cell.split(",") if word.strip()]


def test_the_table_names_every_strategy_with_its_parameters() -> None:
    """Each once, with each parameter at its default."""
    catalogue = shipped()
    said = {row[0].strip("`"): row[2].strip("`") for row in table("strategy")}
    assert len(table("strategy")) == len(said)
    assert said == {
        name: ", ".join(f"{one.name}: {one.default}" for one in catalogue.describe(name).parameters)
        for name in catalogue.names("strategy")
    }


def test_the_table_names_every_call_order() -> None:
    """Each once."""
    assert sorted(row[0].strip("`") for row in table("call order")) == list(shipped().names("call order"))


@pytest.mark.parametrize(("column", "names"), [(3, MOD_CALLCENTER), (4, APP_QUEUE), (5, CLASSIC)])
def test_every_name_of_others_has_its_strategy(column: int, names: set[str]) -> None:
    """Who comes from elsewhere finds each name that he knows, once."""
    found = [name for row in table("strategy") for name in words(row[column])]
    assert sorted(found) == sorted(names)


def test_the_example_keeps_the_contract_and_passes_its_test(tmp_path: Path) -> None:
    """A reader who types what he reads has a tested plugin."""
    plugin, test = (
        re.sub(r"^   ", "", block, flags=re.MULTILINE)
        for block in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    )
    path = tmp_path / "by_region.py"
    path.write_text(plugin, encoding="utf-8")
    assert check_strategy(path, {"native": "9"}, elsewhere=False) == []
    module = ModuleType("test_by_region")
    module.__file__ = str(tmp_path / "test_by_region.py")
    exec(compile(test, module.__file__, "exec"), module.__dict__)
    module.test_it_keeps_the_contract()
    module.test_a_native_speaker_rings_first()
