"""What is wrong with a configuration, in an operator's words, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from fsacd.process.quoting import shown

# A loc is the path to a value: setting names, names the operator chose, and positions in lists, from the top.
Loc = tuple[str | int, ...]

WRONG = "fsacd"


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

    `of_whole` is set where a block lacks something: it is not worth telling when a setting in the block is wrong, too.
    """

    loc: Loc
    text: str
    at_key: bool = False
    of_whole: bool = False


def wrong(text: str) -> PydanticCustomError:
    """Make the error that a field raises for a bad value. The sentence goes through untouched, braces and all."""
    return PydanticCustomError(WRONG, "{text}", {"text": text})


def path_of(loc: Loc) -> str:
    """Write a path as an operator reads it: `queues.support.ring_timeout`, `api.tokens[0].role`."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            # A name that can be shown as it is needs no quotes.
            quoted = shown(step)
            name = step if step and quoted == f"'{step}'" else quoted
            text += f".{name}" if text else name
    return text
