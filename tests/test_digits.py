r"""Figures that come from outside are read in the digits 0 to 9 alone, wherever they come from.

Python's `int`, `float`, `isdigit`, `isdecimal` and `\d` take the digits of every script, and some of them signs,
underscores and spaces, so that what looks checked is not. The sources are read for each use of them; and whoever takes
a figure from outside is shown some of those.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from pydantic import ValidationError

from fsacd.cli.values import Real, Whole, skill_levels
from fsacd.config.kinds import Number, duration_ms, size_bytes
from fsacd.daemon.systemd import Notifier
from fsacd.esl.fence import _VALUE
from fsacd.http.bodies import AgentQuery, CallQuery, ExplainQuery
from fsacd.plugins.parameters import _real

PACKAGE = Path(__file__).resolve().parents[1] / "fsacd"
METHODS = frozenset({"isdigit", "isdecimal", "isnumeric", "isalnum", "isalpha"})
EXPRESSIONS = frozenset({"compile", "match", "fullmatch", "search", "sub", "findall", "finditer", "split"})
CLASSES = ("\\d", "\\D", "\\w", "\\W")
# What may look at more than ASCII, and why. The simulated switch is a model for tests and demonstrations, not a door.
FREE = {
    "esl/codec.py": "its digits are bytes, which know ASCII alone",
    "log/setup.py": "hides what may be a number, in any script",
    "http/present.py": "the same",
    "esl/wire.py": "the same",
    "http/openapi.py": "reads our own paths",
    "http/problem.py": "capitalises our own sentences",
    "cli/customer.py": "asks whether there is any letter or digit at all",
    "http/customer_forms.py": "the same",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "sim" in path.relative_to(PACKAGE).parts:
            continue
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def _loose(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each use of what takes more than ASCII: its line, and what it is."""
    for node in ast.walk(tree):
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                # `text.isascii() and text.isdigit()` is the way to write it.
                if any("isascii()" in ast.unparse(value) for value in values):
                    for value in values:
                        for part in ast.walk(value):
                            part.guarded = True  # type: ignore[attr-defined]  # a note of ours
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in METHODS:
                if not getattr(node, "guarded", False):
                    yield node.lineno, f"{ast.unparse(value)}.{name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name("re"), attr=name), args=[pattern, *_]) if (
                name in EXPRESSIONS and isinstance(pattern, ast.Constant | ast.JoinedStr)
            ):
                text = ast.unparse(pattern).replace("\\\\", "\\")
                is_bytes = isinstance(pattern, ast.Constant) and isinstance(pattern.value, bytes)
                if not is_bytes and "re.ASCII" not in ast.unparse(node) and any(one in text for one in CLASSES):
                    yield node.lineno, f"re.{name}({text})"


def test_no_source_takes_digits_of_other_scripts() -> None:
    """Each use stands beside isascii(), or in the list above."""
    found = {name: [f"{name}:{line} {what}" for line, what in _loose(tree)] for name, tree in sources()}
    assert [place for name, places in found.items() if name not in FREE for place in places] == []
    assert {name for name, places in found.items() if places} >= FREE.keys(), "what is free needs it no more"


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("text.isdigit()", True),
        ("text.isascii() and text.isdigit()", False),
        ("ok and text.isascii() and (text.isdigit() or x)", False),
        ("text.isascii() or text.isdigit()", True),
        (r're.compile(r"\d+")', True),
        (r're.compile(rf"{x}\d+")', True),
        (r're.compile(r"\w", re.ASCII)', False),
        (r're.compile(rb"\d+")', False),
        (r're.compile(r"[0-9]+")', False),
    ],
)
def test_the_look_sees_what_it_is_for(text: str, loose: bool) -> None:
    """It is not blind, and it does not cry at what is right."""
    assert bool(list(_loose(ast.parse(text)))) is loose


def _number(text: str) -> object:
    return Number(0, 100_000).parse(text)


def _option(kind: Whole | Real) -> Callable[[str], object]:
    return lambda text: kind.convert(text, None, None)


def _fence(text: str) -> object:
    return _VALUE.fullmatch(f"fsacd:{text}:1:ab")


def _watchdog(text: str) -> object:
    return Notifier({"WATCHDOG_USEC": text})._watchdog_us


READERS: dict[str, Callable[[str], object]] = {
    "configuration": _number,
    "duration": lambda text: duration_ms(f"{text}s"),
    "size": lambda text: size_bytes(f"{text}MB"),
    "parameter of a plugin": _real,
    "query: limit": lambda text: CallQuery.model_validate({"limit": text}),
    "query: offset": lambda text: AgentQuery.model_validate({"offset": text}),
    "query: agents": lambda text: ExplainQuery.model_validate({"agents": text}),
    "option, whole": _option(Whole(0, 100)),
    "option, real": _option(Real(0, 100)),
    "option, level": lambda text: skill_levels(None, None, [f"german={text}"]),  # type: ignore[arg-type]  # not looked at
    "fence": _fence,
    "watchdog": _watchdog,
}
# Digits of other scripts: Arabic, fullwidth, superscript, mathematical; and what int() would take besides.
STRANGE = ["\u0663", "\uff13", "\u00b2", "\U0001d7d1", "3\u0663", " 3", "3 ", "3\n", "3\x00", "0x3", ""]
# An operator may write 1_000 in the file, or a plus sign; nobody else may.
LENIENT = {"configuration"}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("text", [*STRANGE, "1_0", "+5"])
def test_a_figure_is_written_in_plain_digits(reader: Callable[[str], object], text: str) -> None:
    """Anything else is no figure: it is refused, and nothing but a refusal comes of it."""
    name = next(name for name, one in READERS.items() if one is reader)
    if text in {"1_0", "+5"} and name in LENIENT:
        assert reader(text) in {10, 5}
        return
    if text == "+5" and name == "parameter of a plugin":
        assert reader(text) == 5
        return
    try:
        found = reader(text)
    except (ValidationError, ValueError, click.BadParameter):
        return
    assert found is None


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_plain_digits_are_taken(reader: Callable[[str], object]) -> None:
    """The readers above can read."""
    assert reader("3") is not None
