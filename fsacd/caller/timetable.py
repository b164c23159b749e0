"""Opens and closes the queues by their hours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import gevent
from gevent.event import Event as Signal

from fsacd.caller.hours import Hours, is_open, next_change
from fsacd.core.events import QueueSetOpen
from fsacd.runtime import watched

BY: Final = "hours"
# Somebody may set the wall clock, so it is looked at this often, whenever the next change is due.
_RECHECK_S: Final = 60.0
# The wall clock and the clock of sleeps differ a little: without this, short sleeps could end just before the change.
_AT_LEAST_S: Final = 0.01


def renamed_hours(told: Mapping[str, bool], renamed: Mapping[str, str]) -> dict[str, bool]:
    """Give `told` by the queues' new names; what is there under a new name already stays."""
    old = {renamed[queue]: state for queue, state in told.items() if queue in renamed}
    return old | {queue: state for queue, state in told.items() if queue not in renamed}


class Timetable:
    """Posts at the start, and at each change of the hours, which queues are open.

    Only changes are told: a queue that somebody opens or closes by hand stays so until its hours change next. A queue
    without hours is open. `told` is what an earlier timetable told last.
    """

    def __init__(
        self,
        hours: Mapping[str, Hours],
        post: Callable[[QueueSetOpen], None],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        told: Mapping[str, bool] | None = None,
    ) -> None:
        self._hours = dict(hours)
        self._post = post
        self._clock = clock
        self._told = dict(told or {})
        self._wake = Signal()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Tell the state of every queue that has hours, before this returns, and go on to tell its changes."""
        self.replace(self._hours)
        self._greenlet = watched.keep("timetable", self._run)

    def stop(self) -> None:
        """Tell nothing more."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None

    def replace(self, hours: Mapping[str, Hours], renamed: Mapping[str, str] | None = None) -> None:
        """Take the hours of a new configuration, by queue; what they change is told before this returns.

        A queue whose hours were taken away opens if they had closed it. `renamed` has the new names of queues by the
        old ones: they stay as they were, opened or closed by hand.
        """
        self._told = renamed_hours(self._told, renamed or {})
        freed = [queue for queue in self._told if queue not in hours]
        self._hours = dict(hours)
        for queue in freed:
            if not self._told.pop(queue):
                self._post(QueueSetOpen(queue, open=True, by=BY))
        self.look()
        self._wake.set()

    def look(self) -> float:
        """Tell what has changed by now. Returns after how many seconds to look again."""
        now = self._clock()
        # Many queues share few hours.
        distinct = {id(hours): hours for hours in self._hours.values()}
        states = {key: is_open(hours, now) for key, hours in distinct.items()}
        for queue, hours in self._hours.items():
            state = states[id(hours)]
            if self._told.get(queue) != state:
                self._told[queue] = state
                self._post(QueueSetOpen(queue, open=state, by=BY))
        changes = [next_change(hours, now, days=1) for hours in distinct.values()]
        nearest = min((change for change in changes if change is not None), default=now + timedelta(days=1))
        return min(max((nearest - now).total_seconds(), _AT_LEAST_S), _RECHECK_S)

    def _run(self) -> None:
        while True:
            self._wake.wait(self.look())
            self._wake.clear()
