"""Own fields of customers, which the operator declares beside the built-in ones: what each may hold. Pure.

They must be declared in the configuration, for the reasons for which skills must be: a typing error is found where it
is made, the heading of an exported table is known before its first row, and a date is a date in every row. A value is
kept as a text in one form (`read_value`), so that a changed declaration loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

LONGEST: Final = 256
_NUMBER: Final = re.compile(r"(-?)0*([0-9]{1,15})(?:\.([0-9]{1,9}?)0*)?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YES: Final = frozenset({"yes", "true", "on", "1"})
_NO: Final = frozenset({"no", "false", "off", "0"})


class FieldType(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    FLAG = "flag"


OwnFields = Mapping[str, FieldType]
"""The fields that are declared, by name."""

_EXPECTS: Final = {
    FieldType.TEXT: f"up to {LONGEST} printable letters",
    FieldType.NUMBER: "a number like 12 or -1.5",
    FieldType.DATE: "a date like 2026-01-31",
    FieldType.FLAG: "yes or no",
}


def read_value(kind: FieldType, text: str) -> str:
    """Give a value in the one form in which it is kept: 2.50 is 2.5, on is yes.

    Raises:
        ValueError: the text is no value of this type; the sentence says what is expected.
    """
    text = text.strip()
    value = _read(kind, text)
    if value is None:
        raise ValueError(f"expected {_EXPECTS[kind]}, got {text[:40]!r}")
    return value


def _read(kind: FieldType, text: str) -> str | None:
    match kind:
        case FieldType.TEXT:
            return text if 0 < len(text) <= LONGEST and text.isprintable() else None
        case FieldType.NUMBER:
            return _number(text)
        case FieldType.DATE:
            return _date(text)
        case FieldType.FLAG:
            word = text.lower()
            return "yes" if word in _YES else "no" if word in _NO else None


def _number(text: str) -> str | None:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, part = found.groups()
    digits = f"{whole}.{part}" if part and part.strip("0") else whole
    return digits if not digits.strip("0.") else f"{sign}{digits}"


def _date(text: str) -> str | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
