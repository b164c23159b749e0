"""Opening hours: whether it is open at a moment, and when that changes next. Pure: the moment is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

# From and to, in minutes since the day's midnight; 1440 is the next midnight.
Span = tuple[int, int]

DAY_MINUTES: Final = 1440
# The precision with which the moment is found at which the clocks jump.
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours in local time: for each day of the week (Monday first), and for single dates with their own hours.

    Spans neither overlap nor pass midnight. A span that ends at midnight and one that begins there count as one.
    """

    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    dates: Mapping[date, tuple[Span, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        assert len(self.week) == 7, "a week has seven days"  # noqa: PLR2004 - see the sentence


def is_open(hours: Hours, moment: datetime) -> bool:
    """Say whether it is open at this moment, which must carry a time zone."""
    return any(begin <= moment < end for begin, end in _intervals(hours, moment, 0))


def next_change(hours: Hours, moment: datetime, *, days: int = 400) -> datetime | None:
    """Give the first moment after this one at which it opens or closes, in UTC; None if there is none for `days`."""
    for begin, end in _intervals(hours, moment, days):
        if begin > moment:
            return begin
        if end > moment:
            return end if end < _instant(hours.zone, _date(hours, moment) + timedelta(days=days + 1), 0) else None
    return None


def _intervals(hours: Hours, moment: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Give the open intervals around this moment and for some days more, in UTC, in order, adjoining ones as one."""
    held: tuple[datetime, datetime] | None = None
    # Yesterday too: where the clocks go back at midnight, its last hour comes again today.
    for number in range(-1, days + 1):
        day = _date(hours, moment) + timedelta(days=number)
        for begin_minute, end_minute in hours.dates.get(day, hours.week[day.weekday()]):
            begin, end = _instant(hours.zone, day, begin_minute), _instant(hours.zone, day, end_minute, last=True)
            if begin >= end:
                continue  # the clocks leave the whole span out
            if held is None:
                held = (begin, end)
            elif begin <= held[1]:
                held = (held[0], max(end, held[1]))
            else:
                yield held
                held = (begin, end)
    if held is not None:
        yield held


def _date(hours: Hours, moment: datetime) -> date:
    return moment.astimezone(hours.zone).date()


def _instant(zone: ZoneInfo, day: date, minute: int, *, last: bool = False) -> datetime:
    """Give the moment of a local time in UTC.

    When the clocks go back, a time comes twice: this is the first of the two, or the second with `last`, so that a span
    covers both. A time that the clocks leave out is the moment of their jump.
    """
    local = datetime.combine(day, datetime.min.time(), zone) + timedelta(minutes=minute)
    first, second = local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    if first <= second:
        return second if last else first
    # A time that is left out: with the old offset it is after the jump, with the new one before it.
    before, behind = second, first
    old = before.astimezone(zone).utcoffset()
    while behind - before > _SECOND:
        middle = before + (behind - before) / 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            behind = middle
    return behind.replace(microsecond=0)
