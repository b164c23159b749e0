"""The timetable: queues open and close by their hours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import gevent
from gevent.queue import Queue

from fsacd.caller.hours import Hours
from fsacd.caller.timetable import Timetable, renamed_hours
from fsacd.core.events import QueueSetOpen

UTC_ZONE = ZoneInfo("UTC")
DAY = Hours(UTC_ZONE, (((480, 1080),),) * 7)
NIGHT = Hours(UTC_ZONE, (((0, 360), (1320, 1440)),) * 7)


class Clock:
    """A wall clock that stands until it is set."""

    def __init__(self, text: str) -> None:
        self.now = at(text)

    def __call__(self) -> datetime:
        return self.now


class Room:
    """A timetable with its clock, and what it has told since the last look."""

    def __init__(self, hours: Mapping[str, Hours], time: str, told: Mapping[str, bool] | None = None) -> None:
        self._told: list[QueueSetOpen] = []
        self.clock = Clock(time)
        self.timetable = Timetable(hours, self._told.append, clock=self.clock, told=told)

    def told(self) -> list[tuple[str, bool]]:
        assert all(event.by == "hours" for event in self._told)
        told = [(event.queue, event.open) for event in self._told]
        self._told.clear()
        return told

    def look(self, time: str) -> float:
        self.clock.now = at(time)
        return self.timetable.look()


def at(time: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-23T{time}").replace(tzinfo=UTC)


def test_every_queue_with_hours_is_told_at_the_start() -> None:
    """Before the start returns, the state of each is known."""
    room = Room({"day": DAY, "night": NIGHT}, "10:00")
    room.timetable.start()
    room.timetable.stop()
    assert room.told() == [("day", True), ("night", False)]


def test_only_changes_are_told() -> None:
    """What stays as it is says nothing, so that what was set by hand holds until the hours change."""
    room = Room({"day": DAY, "night": NIGHT}, "10:00")
    room.timetable.look()
    room.told()
    room.look("17:59:59")
    assert room.told() == []
    room.look("18:00")
    assert room.told() == [("day", False)]
    room.look("22:00")
    assert room.told() == [("night", True)]


def test_it_looks_again_at_the_change_and_each_minute() -> None:
    """A change is awaited exactly, and a wall clock that somebody sets is noticed within a minute."""
    room = Room({"day": DAY, "night": NIGHT}, "10:00")
    assert room.look("10:00") == 60
    assert room.look("17:59:55") == 5
    assert room.look("21:59:59.999999") == 0.01
    assert Room({}, "10:00").timetable.look() == 60


def test_a_clock_that_is_set_back_opens_again() -> None:
    """The state follows the wall clock in either direction."""
    room = Room({"day": DAY}, "18:30")
    room.timetable.look()
    room.look("17:30")
    assert room.told() == [("day", False), ("day", True)]


def test_new_hours_hold_at_once() -> None:
    """A reload tells what it changes: other hours, hours for a queue that had none, and none for one that had."""
    room = Room({"a": NIGHT, "b": NIGHT, "c": DAY, "d": DAY}, "10:00")
    room.timetable.look()
    assert room.told() == [("a", False), ("b", False), ("c", True), ("d", True)]
    room.timetable.replace({"b": DAY, "d": DAY, "e": NIGHT})
    assert room.told() == [("a", True), ("b", True), ("e", False)]
    room.timetable.replace({"a": DAY, "d": NIGHT})
    assert room.told() == [("e", True), ("a", True), ("d", False)]


def test_a_change_is_told_when_it_comes() -> None:
    """The running timetable wakes for the change by itself, and for new hours at once."""
    told: Queue[QueueSetOpen] = Queue()
    offset = at("17:59:59.95") - datetime.now(UTC)
    timetable = Timetable({"day": DAY}, told.put, clock=lambda: datetime.now(UTC) + offset)
    timetable.start()
    try:
        with gevent.Timeout(30):
            assert told.get() == QueueSetOpen("day", open=True, by="hours")
            assert told.get() == QueueSetOpen("day", open=False, by="hours")
            timetable.replace({"night": NIGHT})
            assert told.get() == QueueSetOpen("day", open=True, by="hours")
            assert told.get() == QueueSetOpen("night", open=False, by="hours")
    finally:
        timetable.stop()


def test_a_restart_tells_only_what_the_hours_have_changed_since() -> None:
    """A queue that was opened by hand out of hours stays open; one whose hours are gone opens if they had closed it."""
    room = Room({"day": DAY, "night": NIGHT}, "20:00", told={"day": False, "night": True, "gone": False, "was": True})
    room.timetable.start()
    room.timetable.stop()
    assert room.told() == [("gone", True), ("night", False)]


def test_a_renamed_queue_stays_as_somebody_has_set_it() -> None:
    """What its hours say has been told already: under the old name, and before a restart, too."""
    room = Room({"day": DAY}, "10:00")
    room.timetable.look()
    room.told()
    room.timetable.replace({"work": DAY}, {"day": "work"})
    assert room.told() == []
    room.look("18:00")
    assert room.told() == [("work", False)]
    assert renamed_hours({"day": True, "night": False}, {"day": "work"}) == {"work": True, "night": False}
