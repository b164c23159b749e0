"""Brings data about a customer into the form in which it is stored, or refuses it in one sentence.

A body of JSON and a line of a table are checked by the same code, so that both accept the same data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fsacd.caller.customers import NAME_LONGEST, NUMBERS_MOST, SKILLS_MOST, Change, id_of
from fsacd.caller.number_plan import PLAIN, NumberPlan
from fsacd.caller.own_fields import OwnFields, read_value
from fsacd.config.forms import NAME
from fsacd.config.kinds import duration_ms
from fsacd.core.numbers import normalised
from fsacd.http.problem import near

NUMBER_LONGEST: Final = 64
HEAD_START_MOST_MS: Final = 86_400_000
_LEVEL: Final = re.compile(r"[0-9]{1,2}")
_PRIORITY: Final = re.compile(r"-?[0-9]{1,3}")
_PRIORITIES: Final = range(-100, 101)
_LEVELS: Final = range(1, 11)
_SHOWN: Final = 40
# The columns of a table, beside those of the own fields.
COLUMNS: Final = ("customer", "numbers", "name", "priority", "head_start", "skills", "agent", "language")


class WrongError(Exception):
    """Some data about a customer is wrong; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The names that data may use: the declared own fields, and the configured skills and agents."""

    own_fields: OwnFields = field(default_factory=dict)
    skills: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Forms:
    """Reads data by these terms. `is_configured`: whether the configuration has a customer with a number."""

    terms: Terms
    plan: NumberPlan = PLAIN
    is_configured: Callable[[str], bool] = lambda _: False

    def numbers(self, given: Iterable[str]) -> tuple[str, ...]:
        """Numbers in the form in which they are compared, each once. Raises WrongError."""
        return tuple(dict.fromkeys(map(self.number, given)))

    def number(self, text: str) -> str:
        """A number in the form in which it is compared. Raises WrongError."""
        number = self.plan.identity(text)
        if not number and normalised(text):
            raise WrongError(f"{text[:_SHOWN]!r} is shown where a caller shows no number: it is nobody's in particular")
        if not re.search(r"[^\W_]", number) or not number.isprintable() or len(number) > NUMBER_LONGEST:
            raise WrongError(f"{text[:_SHOWN]!r} is no number of up to {NUMBER_LONGEST} letters or digits")
        if self.is_configured(number):
            raise WrongError(
                f"the number {number} is a customer's of the configuration, which goes before the database: change "
                "them there, or take them out there first"
            )
        return number

    def settings(self, given: Mapping[str, object]) -> dict[str, object]:
        """The given values, by the names of `fsacd.caller.customers.Settings`; None: no value. Raises WrongError."""
        wanted: dict[str, object] = {}
        for name, value in given.items():
            match name, value:
                case "priority", _:
                    wanted[name] = value
                case "head_start_ms", int() | None:
                    wanted[name] = value or 0
                case "skills", dict() | None:
                    wanted[name] = self._skills(value or {})
                case (("name" | "agent" | "language"), str() | None):
                    wanted[name] = getattr(self, f"_{name}")(value or "")
        return wanted

    def own(self, given: Mapping[str, str | None]) -> dict[str, str]:
        """Own fields in the form in which they are stored; an empty value removes a field. Raises WrongError."""
        return {name: self._own(name, value or "") for name, value in given.items()}

    def _own(self, name: str, text: str) -> str:
        kind = self.terms.own_fields.get(name)
        if kind is None:
            raise WrongError(f"there is no own field {name[:_SHOWN]!r}{_hint(name, self.terms.own_fields)}")
        if not text.strip():
            return ""
        try:
            return read_value(kind, text)
        except ValueError as error:
            raise WrongError(f"{name}: {error}") from None

    def _name(self, text: str) -> str:
        text = text.strip()
        if len(text) > NAME_LONGEST or not text.isprintable():
            raise WrongError(f"name: expected up to {NAME_LONGEST} printable letters, got {text[:_SHOWN]!r}")
        return text

    def _agent(self, text: str) -> str:
        if text and text not in self.terms.agents:
            raise WrongError(f"there is no agent {text[:_SHOWN]!r}{_hint(text, self.terms.agents)}")
        return text

    def _language(self, text: str) -> str:
        if text and not re.fullmatch(NAME.pattern, text):
            raise WrongError(f"language: expected {NAME.says}, got {text[:_SHOWN]!r}")
        return text

    def _skills(self, given: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        for skill in given:
            if skill not in self.terms.skills:
                raise WrongError(f"there is no skill {skill[:_SHOWN]!r}{_hint(skill, self.terms.skills)}")
        if len(given) > SKILLS_MOST:
            raise WrongError(f"a customer has at most {SKILLS_MOST} skills")
        return tuple(sorted(given.items()))

    # --- a line of a table ---

    def line(self, cells: Mapping[str, str]) -> tuple[int | None, tuple[str, ...], Change]:
        """The customer whom a line names, by id or numbers, and its data; empty cell: no value. Raises WrongError."""
        own: dict[str, str] = {}
        given: dict[str, object] = {}
        numbers: list[str] = []
        customer_id = None
        for column, cell in cells.items():
            text = cell.strip()
            match column:
                case "customer":
                    customer_id = _id(text) if text else None
                case "numbers":
                    numbers = [part.strip() for part in text.split(";") if part.strip()]
                case "priority":
                    given[column] = _priority(text)
                case "head_start":
                    given["head_start_ms"] = _head_start(text)
                case "skills":
                    given[column] = _levels(text)
                case "name" | "agent" | "language":
                    given[column] = text
                case _:
                    own[column] = text
        if len(numbers) > NUMBERS_MOST:
            raise WrongError(f"a customer has at most {NUMBERS_MOST} numbers")
        if not numbers and customer_id is None:
            raise WrongError("the line names no customer and no number")
        return customer_id, self.numbers(numbers), Change(None, (), self.settings(given), self.own(own))


def _id(text: str) -> int:
    found = id_of(text)
    if found is None:
        raise WrongError(f"customer: expected an id like c17, got {text[:_SHOWN]!r}")
    return found


def _priority(text: str) -> int | None:
    if not text:
        return None
    if not _PRIORITY.fullmatch(text) or int(text) not in _PRIORITIES:
        raise WrongError(f"priority: expected a whole number from -100 to 100, got {text[:_SHOWN]!r}")
    return int(text)


def _head_start(text: str) -> int:
    length_ms = duration_ms(text) if text else 0
    if length_ms is None or length_ms > HEAD_START_MOST_MS:
        raise WrongError(f"head_start: expected a duration like 60s or 2m, up to one day, got {text[:_SHOWN]!r}")
    return length_ms


def _levels(text: str) -> dict[str, int]:
    levels: dict[str, int] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        skill, _, level = part.rpartition("=")
        skill = skill.strip()
        if not skill or not _LEVEL.fullmatch(level.strip()) or int(level) not in _LEVELS:
            raise WrongError(
                f"skills: expected skills with levels from 1 to 10 like french=3; vip=5, got {part[:_SHOWN]!r}"
            )
        if skill in levels:
            raise WrongError(f"skills: {skill[:_SHOWN]!r} is named twice")
        levels[skill] = int(level)
    return levels


def _hint(name: str, names: Iterable[str]) -> str:
    matches: Sequence[str] = near(name, names)
    return f"; did you mean {matches[0]!r}?" if matches else ""
