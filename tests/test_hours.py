"""Opening hours: open or not, and until when, through every change of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fsacd.caller.hours import DAY_MINUTES, Hours, Span, is_open, next_change

BERLIN = ZoneInfo("Europe/Berlin")
CLOSED: tuple[Span, ...] = ()
OFFICE = Hours(
    BERLIN,
    (((480, 1080),),) * 5 + (((540, 720), (780, 900)), CLOSED),
    {date(2026, 12, 25): (), date(2026, 12, 24): ((480, 720),)},
)


def week(*spans: Span, zone: ZoneInfo = BERLIN) -> Hours:
    return Hours(zone, (spans,) * 7)


def local(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def changes(hours: Hours, start: datetime, count: int) -> list[str]:
    said = []
    moment: datetime | None = start
    for _ in range(count):
        moment = next_change(hours, moment) if moment is not None else None
        said.append(moment.astimezone(hours.zone).isoformat(timespec="minutes") if moment is not None else "never")
    return said


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T07:59:59", False),
        ("2026-11-20T08:00", True),
        ("2026-11-20T17:59:59", True),
        ("2026-11-20T18:00", False),
        ("2026-11-21T12:30", False),
        ("2026-11-21T13:00", True),
        ("2026-11-22T12:00", False),
        ("2026-12-24T12:00", False),
        ("2026-12-24T11:00", True),
        ("2026-12-25T11:00", False),
    ],
)
def test_it_is_open_from_the_first_minute_to_before_the_last(moment: str, *, expected: bool) -> None:
    """A span holds its beginning and not its end; a date of its own goes before its day of the week."""
    assert is_open(OFFICE, local(moment)) == expected


def test_the_zone_is_the_hours_own() -> None:
    """What the moment's own time zone is does not matter."""
    moment = local("2026-11-20T08:00")
    assert [is_open(OFFICE, moment.astimezone(zone)) for zone in (UTC, ZoneInfo("Asia/Tokyo"))] == [True, True]


def test_it_changes_at_each_beginning_and_end() -> None:
    """A break, a weekend, a shorter day and a holiday each give the next moment rightly."""
    assert changes(OFFICE, local("2026-11-20T10:00"), 6) == [
        "2026-11-20T18:00+01:00",
        "2026-11-21T09:00+01:00",
        "2026-11-21T12:00+01:00",
        "2026-11-21T13:00+01:00",
        "2026-11-21T15:00+01:00",
        "2026-11-23T08:00+01:00",
    ]
    assert changes(OFFICE, local("2026-12-23T20:00"), 3) == [
        "2026-12-24T08:00+01:00",
        "2026-12-24T12:00+01:00",
        "2026-12-26T09:00+01:00",
    ]


def test_what_ends_at_midnight_goes_on_in_what_begins_there() -> None:
    """Hours over midnight are one, and hours around the clock never change."""
    night = Hours(BERLIN, ((((1320, 1440)),), ((0, 360),)) + (CLOSED,) * 5)
    assert changes(night, local("2026-11-23T12:00"), 2) == ["2026-11-23T22:00+01:00", "2026-11-24T06:00+01:00"]
    assert is_open(night, local("2026-11-24T00:00"))
    always = week((0, DAY_MINUTES))
    assert next_change(always, local("2026-11-23T12:00")) is None
    assert is_open(always, local("2026-11-23T00:00"))


def test_hours_that_never_open_never_change() -> None:
    """Without a span it stays closed."""
    assert next_change(week(), local("2026-11-23T12:00")) is None
    assert not is_open(week(), local("2026-11-23T12:00"))


def test_spring_leaves_out_an_hour() -> None:
    """What begins in the hour that does not exist begins when the clocks jump."""
    hours = week((150, 300))
    assert changes(hours, local("2026-03-28T12:00"), 2) == ["2026-03-29T03:00+02:00", "2026-03-29T05:00+02:00"]


def test_autumn_repeats_an_hour() -> None:
    """What begins in the hour that comes twice begins with the first, and what ends there ends with the second."""
    assert changes(week((150, 300)), local("2026-10-24T12:00"), 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-25T05:00+01:00",
    ]
    assert changes(week((60, 150)), local("2026-10-24T12:00"), 2) == [
        "2026-10-25T01:00+02:00",
        "2026-10-25T02:30+01:00",
    ]
    assert is_open(week((60, 150)), datetime(2026, 10, 25, 2, 45, tzinfo=BERLIN))


def test_the_hour_before_midnight_may_come_twice() -> None:
    """Where the clocks go back at midnight, what is open until then stays open until the second midnight."""
    havana = ZoneInfo("America/Havana")
    evening = week((1200, 1440), zone=havana)
    assert changes(evening, local("2026-10-31T12:00", havana), 2) == [
        "2026-10-31T20:00-04:00",
        "2026-11-01T00:00-05:00",
    ]
    assert is_open(evening, datetime(2026, 11, 1, 0, 30, tzinfo=havana))


SPANS = st.lists(st.integers(0, DAY_MINUTES), max_size=6, unique=True).map(
    lambda marks: tuple(zip(*[iter(sorted(marks)[: len(marks) // 2 * 2])] * 2, strict=True))
)
ZONES = st.sampled_from(["Europe/Berlin", "UTC", "America/Havana", "Australia/Lord_Howe", "America/Sao_Paulo"])
DATES = st.sampled_from(
    ["2026-03-28", "2026-03-29", "2026-04-04", "2026-10-03", "2026-10-24", "2026-11-01", "2017-10-14"]
)


@example("Europe/Berlin", ((),) * 6 + (((120, 121),),), "2026-03-28", 0)  # the clocks leave this minute out
@given(ZONES, st.tuples(*[SPANS] * 7), DATES, st.integers(0, 2 * DAY_MINUTES))
def test_it_changes_there_and_not_before(zone: str, days: tuple[tuple[Span, ...], ...], day: str, minute: int) -> None:
    """Until the next change it stays as it is, and with it, it turns."""
    hours = Hours(ZoneInfo(zone), days)
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minute)
    now, change = is_open(hours, moment), next_change(hours, moment)
    until = change if change is not None else moment + timedelta(days=8)
    between = [moment + (until - moment) * part / 23 for part in range(23)]
    assert [is_open(hours, at) for at in [*between, until - timedelta(seconds=1)]] == [now] * 24
    if change is not None:
        assert is_open(hours, change) != now
