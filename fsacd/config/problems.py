"""What is wrong with a configuration, in an operator's words, and where."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

# A loc is the path to a value: setting names, names the operator chose, and positions in lists, from the top.
Loc = tuple[str | int, ...]

WRONG = "fsacd"
_SHOWN_CHARACTERS = 60
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `line` and `column` begin at 1; a line of 0 means the file as a whole."""

    file: str
    line: int
    column: int
    path: str
    text: str

    def __str__(self) -> str:
        """Give the problem as `file:line:column: path: sentence`, the form that editors jump to."""
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}"


class ConfigErrors(Exception):  # noqa: N818 - it holds several problems, and its name says so
    """The configuration cannot be used; `problems` holds everything that is wrong with it, in the file's order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column, p.path, p.text)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Complaint:
    """A problem that knows its path but not yet its place in the file.

    `of_whole` is for what a block lacks: it says nothing new when something in the block is wrong already.
    """

    loc: Loc
    text: str
    at_key: bool = False
    of_whole: bool = False


def wrong(text: str) -> PydanticCustomError:
    """Make the error that a field raises for a bad value. The sentence goes through untouched, braces and all."""
    return PydanticCustomError(WRONG, "{text}", {"text": text})


def shown(value: object, longest: int = _SHOWN_CHARACTERS) -> str:
    """Quote a value for a sentence: never longer than a line, never with characters that could play with a terminal."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a block of settings"
        case list() | tuple():
            return "a list"
        case _:
            text = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
            return f"'{text}'" if len(text) <= longest else f"'{text[: longest - 1]}…'"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give the end of a sentence that offers the nearest known word, or nothing when none is near."""
    near = {candidate.lower(): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(word.lower(), near, n=1, cutoff=0.6)
    return f"; did you mean '{near[found[0]]}'?" if found else ""


def path_of(loc: Loc) -> str:
    """Write a path as an operator reads it: `queues.support.ring_timeout`, `api.tokens[0].role`."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if step and len(step) <= _SHOWN_CHARACTERS and not _UNPRINTABLE.search(step) else shown(step)
            text += f".{name}" if text else name
    return text
