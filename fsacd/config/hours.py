"""Opening hours in an operator's words: days, times of day and dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field
from typing_extensions import override

from fsacd.caller.hours import DAY_MINUTES, Hours, Span
from fsacd.config.blocks import NO_LIST, NO_NAMES, Settings
from fsacd.config.kinds import Kind, quoted
from fsacd.config.problems import Complaint, Loc, wrong
from fsacd.process.quoting import did_you_mean, shown

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOUR_MINUTES: Final = 60
_TIMES: Final = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2})", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def days_of(text: str) -> tuple[int, ...] | None:
    """Give the days that a text like `mon-fri` or `sat, sun` names, Monday is 0; None when it names none."""
    found: list[int] = []
    for part in text.lower().split(","):
        names = [name.strip() for name in part.split("-")]
        if len(names) > 2 or not all(name in _DAYS for name in names):  # noqa: PLR2004 - from and to
            return None
        first, last = _DAYS.index(names[0]), _DAYS.index(names[-1])
        found += [(first + number) % 7 for number in range((last - first) % 7 + 1)]
    return tuple(found)


@dataclass(frozen=True)
class Days(Kind):
    """Days of the week, kept as they are written."""

    @property
    @override
    def expects(self) -> str:
        return "days like mon, mon-fri or sat,sun"

    @override
    def read(self, text: str) -> str:
        if days_of(text) is None:
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        return text


@dataclass(frozen=True)
class Times(Kind):
    """A span of a day, kept in minutes since midnight."""

    @property
    @override
    def expects(self) -> str:
        return "times like 08:00-18:00"

    @override
    def parse(self, value: object) -> Any:
        return value if isinstance(value, tuple) else super().parse(value)

    @override
    def read(self, text: str) -> Span:
        found = _TIMES.fullmatch(text.strip())
        if found is None:
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        hours = [int(found[1]), int(found[3])]
        minutes = [int(found[2]), int(found[4])]
        begin, end = (hour * _HOUR_MINUTES + minute for hour, minute in zip(hours, minutes, strict=True))
        if max(minutes) >= _HOUR_MINUTES or max(begin, end) > DAY_MINUTES:
            raise wrong(f"expected times of day from 00:00 to 24:00, got {shown(text)}")
        if begin == end:
            raise wrong(f"{shown(text)} begins when it ends; the whole day is 00:00-24:00")
        if begin > end:
            raise wrong(
                f"{shown(text)} ends before it begins; for hours over midnight write until 24:00 here, and from 00:00 "
                "on at the next day"
            )
        return begin, end


@dataclass(frozen=True)
class Date(Kind):
    """A date."""

    @property
    @override
    def expects(self) -> str:
        return "a date like 2026-12-25"

    @override
    def parse(self, value: object) -> Any:
        return value if isinstance(value, date) else super().parse(value)

    @override
    def read(self, text: str) -> date:
        try:
            if _DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:  # the 30th of February
            raise wrong(f"there is no date {shown(text)}") from None
        raise wrong(f"expected {self.expects}, got {shown(text)}")


@dataclass(frozen=True)
class Zone(Kind):
    """A time zone by its name in the IANA database, which Python reads from the system or the package tzdata."""

    null: bool = True

    @property
    @override
    def expects(self) -> str:
        return "a time zone like Europe/Berlin"

    @override
    def show(self, value: Any) -> str:
        return "null" if value is None else quoted(value.key)

    @override
    def parse(self, value: object) -> Any:
        return value if isinstance(value, ZoneInfo) else super().parse(value)

    @override
    def read(self, text: str) -> ZoneInfo:
        try:
            return ZoneInfo(text)
        except (OSError, ValueError, LookupError):  # a directory of the database, a path out of it, an unknown name
            known = available_timezones()
        if not known:
            raise wrong("this machine has no time zone data; install the system's or Python's package tzdata")
        raise wrong(f"expected {self.expects}, got {shown(text)}{did_you_mean(text, known)}")


def _one_or_many(value: object) -> object:
    # A span alone is a list of one; a day with nothing behind it has none.
    return () if value is None else (value,) if isinstance(value, str) else value


Spans = Annotated[tuple[Annotated[Span, Times()], ...], BeforeValidator(_one_or_many), Field(max_length=24)]


class HoursSettings(Settings):
    """Opening hours."""

    zone: Annotated[ZoneInfo | None, Zone()] = Field(
        default=None, description="The time zone of the times; it must be given."
    )
    open: Annotated[dict[Annotated[str, Days()], Spans], NO_NAMES] = Field(
        default={},
        max_length=7,
        description="Opening hours by days of the week: {mon-fri: 08:00-18:00, sat: [09:00-12:00, 13:00-15:00]}.",
    )
    closed_on: Annotated[tuple[Annotated[date, Date()], ...], NO_LIST] = Field(
        default=(), max_length=1_000, description="Dates that are closed all day: [2026-12-25, 2027-01-01]."
    )
    open_on: Annotated[dict[Annotated[date, Date()], Spans], NO_NAMES] = Field(
        default={}, max_length=1_000, description="Dates with hours of their own: {2026-12-24: 08:00-12:00}."
    )

    def ever_open(self) -> bool:
        """Say whether there is any open span at all."""
        return any(self.open.values()) or any(self.open_on.values())

    def hours(self) -> Hours:
        """Give the hours; the reader refuses them without a zone."""
        assert self.zone is not None, "the reader refuses hours without a zone"
        week: list[tuple[Span, ...]] = [()] * 7
        for text, spans in self.open.items():
            for day in days_of(text) or ():
                week[day] = tuple(sorted(spans))
        dates: dict[date, tuple[Span, ...]] = dict.fromkeys(self.closed_on, ())
        dates.update((day, tuple(sorted(spans))) for day, spans in self.open_on.items())
        return Hours(self.zone, tuple(week), MappingProxyType(dates))


def check_hours(loc: Loc, hours: HoursSettings) -> Iterator[Complaint]:
    """Complain of a missing zone, of a day or date given twice, and of spans that overlap."""
    if hours.zone is None:
        yield Complaint((*loc, "zone"), "missing; say in which time zone the times are meant, like Europe/Berlin")
    given: dict[int, str] = {}
    for text, spans in hours.open.items():
        days = days_of(text) or ()
        twice = [day for number, day in enumerate(days) if day in given or day in days[:number]]
        if twice:
            where = given.get(twice[0], text)
            yield Complaint((*loc, "open", text), f"{_DAYS[twice[0]]} is given by {shown(where)} already", at_key=True)
        given.update(dict.fromkeys(days, text))
        yield from _overlaps((*loc, "open", text), spans)
    for day, spans in hours.open_on.items():
        if day in hours.closed_on:
            yield Complaint((*loc, "open_on", str(day)), "given by closed_on already", at_key=True)
        yield from _overlaps((*loc, "open_on", str(day)), spans)


def _overlaps(loc: Loc, spans: tuple[Span, ...]) -> Iterator[Complaint]:
    for index, (begin, end) in enumerate(spans):
        if any(begin < other_end and other_begin < end for other_begin, other_end in spans[:index]):
            yield Complaint((*loc, index), "overlaps with another span of the day")
