"""The kinds of value a setting can have: how each is written, what it may be, and how it is refused.

A kind stands in a field's annotation. It reads the text of the file (every YAML scalar arrives as its text, so that the
extension 0100 stays 0100) and shows a value as it would be written there.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from fsacd.config.problems import wrong
from fsacd.process.quoting import did_you_mean, shown

DAY_MS: Final = 86_400_000
_UNITS: Final = (("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_DURATION: Final = re.compile(
    r"(?:([0-9]{1,6})d)?(?:([0-9]{1,8})h)?(?:([0-9]{1,9})m(?!s))?(?:([0-9]{1,9})s)?(?:([0-9]{1,12})ms)?"
)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,15}(?:_[0-9]{1,15})*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TRUE: Final = frozenset({"true", "yes", "on"})
_FALSE: Final = frozenset({"false", "no", "off"})
_SIZE: Final = re.compile(r"([0-9]{1,9})(kB|MB|GB)")
_SIZE_UNITS: Final = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_NUMBER_DIGITS: Final = 18
# A word, a path or an IPv4 address, which no reader of YAML takes for a number, a time or a flag.
_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./:-]*|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(?::[0-9]+)?")


@lru_cache(maxsize=1_000)  # a file of many agents and customers holds the same few durations again and again
def duration_ms(text: str) -> int | None:
    """Read a duration such as 15s, 1h30m or 300ms into milliseconds; None when it is not one."""
    if text == "0":
        return 0
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    return sum(int(count) * unit for count, (_, unit) in zip(found.groups(), _UNITS, strict=True) if count)


def duration_text(value_ms: int) -> str:
    """Write milliseconds as a duration in the largest units that fit: 90000 is 1m30s, 1500 is 1500ms."""
    if value_ms % 1_000:
        return f"{value_ms}ms"
    parts = []
    rest = value_ms
    for name, unit in _UNITS:
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"


class Kind(ABC):
    """One kind of value. `parse` raises pydantic's error with an operator's sentence."""

    null: bool = False

    @property
    @abstractmethod
    def expects(self) -> str:
        """Say what is expected, to stand after 'expected'."""

    @property
    def limits(self) -> str:
        """Say the value's limits, for the reference; empty when `expects` says them."""
        return ""

    @abstractmethod
    def read(self, text: str) -> Any:
        """Turn the text of the file into the value."""

    def show(self, value: Any) -> str:
        """Write a value as YAML."""
        return "null" if value is None else quoted(str(value))

    def parse(self, value: object) -> Any:
        """Turn what the file (or a caller in Python) gave into the value."""
        if value is None:
            if self.null:
                return None
            raise wrong(f"expected {self.expects}, got nothing")
        if not isinstance(value, str):
            if isinstance(value, bool | int):
                return self.read(self.show(value))
            raise wrong(f"expected {self.expects}, got {shown(value)}")
        return self.read(value)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read the field by this kind alone."""
        return core_schema.no_info_plain_validator_function(self.parse)


def quoted(text: str) -> str:
    """Quote a text for YAML where its plain form could be read as another type."""
    if _PLAIN.fullmatch(text) and text.lower() not in {*_TRUE, *_FALSE, "null"}:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True)
class Duration(Kind):
    """A length of time, kept in milliseconds; bounds are written as durations."""

    low: str
    high: str
    null: bool = False

    @property
    @override
    def expects(self) -> str:
        return "a duration like 15s or 2m"

    @property
    @override
    def limits(self) -> str:
        return f"{self.low} to {self.high}"

    @override
    def show(self, value: Any) -> str:
        return "null" if value is None else duration_text(value)

    @override
    def read(self, text: str) -> int:
        value_ms = duration_ms(text)
        if value_ms is None:
            if _NUMBER.fullmatch(text):
                raise wrong(f"expected {self.expects}, got {shown(text)}: write the unit (s, m, h or ms)")
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        low_ms, high_ms = duration_ms(self.low) or 0, duration_ms(self.high) or 0
        if not low_ms <= value_ms <= high_ms:
            raise wrong(f"expected a duration from {self.low} to {self.high}, got {shown(text)}")
        return value_ms


def size_bytes(text: str) -> int | None:
    """Read a size such as 256MB into bytes; None when it is not one."""
    found = _SIZE.fullmatch(text)
    return None if found is None else int(found[1]) * dict(_SIZE_UNITS)[found[2]]


def size_text(value: int) -> str:
    """Write bytes as a size in the largest unit that fits: 256000000 is 256MB."""
    return next(f"{value // unit}{name}" for name, unit in _SIZE_UNITS if value % unit == 0)


@dataclass(frozen=True)
class Size(Kind):
    """An amount of storage, kept in bytes; bounds are written as sizes."""

    low: str
    high: str

    @property
    @override
    def expects(self) -> str:
        return f"a size from {self.low} to {self.high} like 64MB"

    @property
    @override
    def limits(self) -> str:
        return f"{self.low} to {self.high}"

    @override
    def show(self, value: Any) -> str:
        return size_text(value)

    @override
    def read(self, text: str) -> int:
        value = size_bytes(text)
        if value is None or not (size_bytes(self.low) or 0) <= value <= (size_bytes(self.high) or 0):
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        return value


@dataclass(frozen=True)
class Number(Kind):
    """A whole number between two bounds, both allowed."""

    low: int
    high: int
    null: bool = False

    @property
    @override
    def expects(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    @property
    @override
    def limits(self) -> str:
        return f"{self.low} to {self.high}"

    @override
    def show(self, value: Any) -> str:
        return "null" if value is None else str(int(value))

    @override
    def read(self, text: str) -> int:
        # The digits are bounded before int() sees them: a number of a million digits would take it minutes.
        if len(text) > _NUMBER_DIGITS or not _NUMBER.fullmatch(text) or not self.low <= int(text) <= self.high:
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        return int(text)


@dataclass(frozen=True)
class Flag(Kind):
    """Yes or no."""

    @property
    @override
    def expects(self) -> str:
        return "true or false"

    @override
    def show(self, value: Any) -> str:
        return "true" if value else "false"

    @override
    def read(self, text: str) -> bool:
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise wrong(f"expected {self.expects}, got {shown(text)}")


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    @override
    def expects(self) -> str:
        return f"one of {', '.join(self.words)}"

    @property
    @override
    def limits(self) -> str:
        return self.expects

    @override
    def read(self, text: str) -> str:
        if text not in self.words:
            raise wrong(f"expected {self.expects}, got {shown(text)}{did_you_mean(text, self.words)}")
        return text


@dataclass(frozen=True)
class Word(Kind):
    """A text of one form: `pattern` must match the whole text, and `says` tells an operator what is allowed."""

    pattern: str
    says: str
    null: bool = False

    @property
    @override
    def expects(self) -> str:
        return self.says

    @override
    def read(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise wrong(f"expected {self.says}, got {shown(text)}")
        return text


@dataclass(frozen=True)
class Text(Kind):
    """Free text for people, on one line."""

    says: str
    longest: int = 128
    shortest: int = 0
    null: bool = False

    @property
    @override
    def expects(self) -> str:
        return self.says

    @property
    @override
    def limits(self) -> str:
        return f"up to {self.longest} characters"

    @override
    def read(self, text: str) -> str:
        if _CONTROL.search(text):
            raise wrong(f"expected {self.says} on one line and without control characters, got {shown(text)}")
        if not self.shortest <= len(text) <= self.longest:
            bounds = f"{self.shortest} to {self.longest}" if self.shortest else f"at most {self.longest}"
            raise wrong(f"expected {self.says} of {bounds} characters, got {len(text)}")
        return text


@dataclass(frozen=True)
class Secret(Kind):
    """A secret: no error repeats it, and the value that is kept does not print it."""

    says: str
    longest: int = 256
    shortest: int = 1
    pattern: str = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*"
    null: Literal[True] = True

    @property
    @override
    def expects(self) -> str:
        return self.says

    @property
    @override
    def limits(self) -> str:
        return f"{self.shortest} to {self.longest} characters"

    @override
    def show(self, value: Any) -> str:
        return "null" if value is None else "'…'"

    @override
    def parse(self, value: object) -> SecretStr | None:
        if isinstance(value, SecretStr):
            return self.read(value.get_secret_value())
        if value is not None and not isinstance(value, str):
            raise wrong(f"expected {self.says}, got {shown(value) if isinstance(value, dict | list) else 'a number'}")
        return None if value is None else self.read(value)

    @override
    def read(self, text: str) -> SecretStr:
        if not self.shortest <= len(text) <= self.longest:
            raise wrong(f"expected {self.says} of {self.shortest} to {self.longest} characters, got {len(text)}")
        if not re.fullmatch(self.pattern, text):
            raise wrong(f"expected {self.says}; it holds a character that is not allowed there")
        return SecretStr(text)
