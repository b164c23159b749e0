"""The house: what stands flat others import, no import goes in a circle, and no file is too long to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fsacd"
# What plugins, tests and other programs import.
FLAT = {"__init__", "__main__", "strategy", "contract", "testing", "errors"}
LONGEST = 400
# One class, which is to be parted.
LONGER = set[str]()


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of ours that this one imports when it is loaded, or for the type checker."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for each in ast.walk(node) if isinstance(node, ast.If | ast.Try) else (node,):
            if isinstance(each, ast.ImportFrom) and each.module:
                for alias in each.names:
                    name = f"{each.module}.{alias.name}"
                    yield name if name in known else each.module
            elif isinstance(each, ast.Import):
                yield from (alias.name for alias in each.names)


def circles(graph: Mapping[str, set[str]]) -> list[frozenset[str]]:
    """The sets of modules each of which reaches each other one."""

    def reach(start: str) -> set[str]:
        seen, left = set[str](), [start]
        while left:
            for name in graph[left.pop()] - seen:
                seen.add(name)
                left.append(name)
        return seen

    reached = {name: reach(name) for name in graph}
    found = {
        frozenset(other for other in reached[name] if name in reached[other]) for name in graph if name in reached[name]
    }
    return sorted(found, key=sorted)


def test_no_module_stands_flat_but_what_others_import() -> None:
    """Whoever looks for a line looks for its room."""
    assert {path.stem for path in PACKAGE.glob("*.py")} <= FLAT


def test_no_import_goes_in_a_circle() -> None:
    """Nor for the type checker alone."""
    known = modules()
    graph = {name: {other for other in imported(path, known) if other in known} for name, path in known.items()}
    assert circles(graph) == []


def test_a_circle_is_found() -> None:
    """The search itself: of two and of three, and one that only leads to them."""
    graph = {"a": {"b"}, "b": {"a"}, "c": {"a"}, "d": {"e"}, "e": {"f"}, "f": {"d"}, "g": set[str]()}
    assert circles(graph) == [frozenset("ab"), frozenset("def")]


@pytest.mark.parametrize("folder", ["fsacd", "strategies", "tests"])
def test_no_file_is_too_long_to_read(folder: str) -> None:
    """At most 400 lines."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    long = {str(path.relative_to(ROOT)) for path, lines in lengths.items() if lines > LONGEST}
    assert long == {name for name in LONGER if name.startswith(folder)}
