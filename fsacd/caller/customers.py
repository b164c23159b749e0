"""Customers as records: what is known of a customer, how a record is changed, and how two are merged. Pure.

A record has one or more numbers. Without a name, the first number stands for it. `fsacd.caller.recognition` holds the
same customers by each of their numbers, as calls need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from fsacd.core.rules import SkillLevels
from fsacd.errors import Refused

NUMBERS_MOST: Final = 20
SKILLS_MOST: Final = 32
FIELDS_MOST: Final = 100
NAME_LONGEST: Final = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How a customer's calls are treated, and the name. Empty fields change nothing (see recognition.Customer)."""

    name: str = ""
    priority: int | None = None
    head_start_ms: int = 0
    skills: SkillLevels = ()
    agent: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One customer. `numbers` are as they stand in the table, the first one first; `own` are values by field.

    `changed_at` is RFC 3339 in UTC. `merged` are the ids of the customers who were merged into this one.
    """

    customer_id: int
    numbers: tuple[str, ...]
    settings: Settings = Settings()
    own: Mapping[str, str] = field(default_factory=dict)
    changed_at: str = ""
    changed_by: str = ""
    merged: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The id, with the name if there is one: c17 (ACME)."""
        return called(self.customer_id) + (f" ({self.settings.name})" if self.settings.name else "")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a record. What is None or not named stays as it is.

    `numbers` replaces all numbers; `more_numbers` adds to them. An own field with an empty value is removed. The keys
    of `settings` are field names of `Settings`.
    """

    numbers: tuple[str, ...] | None = None
    more_numbers: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)


def called(customer_id: int) -> str:
    """Give the customer's id as people and programs write it: c17."""
    return f"c{customer_id}"


def id_of(text: str) -> int | None:
    """Give the id in c17; None where there is none."""
    digits = text[1:]
    if text[:1] != "c" or not (digits.isascii() and digits.isdigit()) or not 0 < len(digits) < 19:  # noqa: PLR2004 - 64 bits
        return None
    return int(digits)


def changed(record: Record, change: Change) -> Record:
    """Give the record with the change made.

    Raises:
        Refused: it would have no number, or too many numbers or own fields.
    """
    numbers = record.numbers if change.numbers is None else change.numbers
    numbers = tuple(dict.fromkeys((*numbers, *change.more_numbers)))
    own = {name: value for name, value in {**record.own, **change.own}.items() if value}
    return checked(
        replace(record, numbers=numbers, settings=replace(record.settings, **change.settings), own=own)  # type: ignore[arg-type]  # by the names of Settings
    )


def checked(record: Record) -> Record:
    """Give the record back. Raises Refused when it has no number, or too many numbers or own fields."""
    if not record.numbers:
        raise Refused("a customer has at least one number, by which they are known")
    if len(record.numbers) > NUMBERS_MOST:
        raise Refused(f"a customer has at most {NUMBERS_MOST} numbers, and these would be {len(record.numbers)}")
    if len(record.own) > FIELDS_MOST:
        raise Refused(f"a customer has at most {FIELDS_MOST} own fields, and these would be {len(record.own)}")
    return record


def merged(kept: Record, gone: Record) -> tuple[Record, str]:
    """Give the merged record, and in words what of `gone` is lost; this is empty when nothing is.

    The merged record has the numbers of both. Where the two differ otherwise, it has the value of `kept`.

    Raises:
        Refused: the two together have too many numbers or own fields.
    """
    usual = Settings()
    filled, lost = {}, []
    for name in Settings.__slots__:
        ours, theirs = getattr(kept.settings, name), getattr(gone.settings, name)
        if ours == getattr(usual, name):
            filled[name] = theirs
        elif theirs not in (getattr(usual, name), ours):
            lost.append(_said(name, theirs))
    lost += [f"{name} {value}" for name, value in sorted(gone.own.items()) if kept.own.get(name, value) != value]
    numbers = tuple(dict.fromkeys((*kept.numbers, *gone.numbers)))
    settings = replace(kept.settings, **filled)
    result = replace(kept, numbers=numbers, settings=settings, own={**gone.own, **kept.own})
    return checked(result), "; ".join(part for part in lost if part)


def told(record: Record) -> str:
    """Give what is known of a customer beside the first number, on one line, without what is empty."""
    parts = [_said(name, getattr(record.settings, name)) for name in _ORDER]
    if len(record.numbers) > 1:
        parts.append("also " + ", ".join(record.numbers[1:]))
    parts += [f"{name} {value}" for name, value in sorted(record.own.items())]
    return "; ".join(part for part in parts if part)


_ORDER: Final = ("priority", "head_start_ms", "skills", "agent", "language", "name")


def _said(name: str, value: object) -> str:
    match name, value:
        case ("priority", None) | (_, "" | ()) | ("head_start_ms", 0):
            return ""
        case "head_start_ms", int():
            return f"head start {value / 1_000:g} s"
        case "skills", tuple():
            return "skills " + ", ".join(f"{skill} {level}" for skill, level in value)
        case _:
            return f"{name} {value}"


def differing(before: Record, after: Record) -> str:
    """Give what a change has altered, on one line; empty when it has altered nothing."""
    names = [
        name.removesuffix("_ms").replace("_", " ")
        for name in _ORDER
        if getattr(before.settings, name) != getattr(after.settings, name)
    ]
    names += ["numbers"] * (before.numbers != after.numbers)
    own = {**before.own, **after.own}
    names += sorted(name for name in own if before.own.get(name) != after.own.get(name))
    return ", ".join(names)


@dataclass(frozen=True, slots=True)
class Search:
    """A page of customers to look for: of all, or of those who meet one of the conditions.

    `number`: who has this number, by meaning; `number_begins`, `name_begins`: whose number or name begins so; `field`
    and `value_begins`: whose own field begins so. `after` is that of the page before.
    """

    number: str = ""
    number_begins: str = ""
    name_begins: str = ""
    field: str = ""
    value_begins: str = ""
    after: tuple[str, int] = ("", 0)
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, in order. `after` says where the next page begins; None: this is the last page."""

    records: tuple[Record, ...]
    after: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One line of a table: whom it names (`customer_id` None: whoever has one of the numbers, or somebody new)."""

    line: int
    customer_id: int | None
    numbers: tuple[str, ...]
    change: Change


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a batch: counts of customers, and what is wrong by line; if anything is, nothing was written."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    wrong: tuple[tuple[int, str], ...] = ()
    owners: tuple[int | None, ...] = ()  # whom each row is about; None: somebody new
