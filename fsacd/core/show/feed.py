"""The feed of changes: who keeps up with it and shows again what it names shows what the engine is.

Each change has a number, which grows. Of a thing that changes again only the latest change is kept, so an answer is as
long as what must be shown again. A reader who was away for longer than the feed remembers, or who comes from another
feed (the daemon was started anew), is told to read everything; so nothing is ever missed without notice.

What time alone does is no change; the views (`fsacd.core.views`) say what that is.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile
from typing import Literal, NamedTuple

from fsacd.core.views import Step

Kind = Literal["call", "agent", "queue"]
# At fifty calls a second, which means so many calls and about as many agents, more than a minute.
LIMIT = 10_000
# So many steps are numbered together when nobody asks: some hundred microseconds.
_AT_ONCE = 200


class Place(NamedTuple):
    """How far a reader has read: of which feed, and up to which change."""

    epoch: str
    number: int


class Change(NamedTuple):
    """One thing that has changed, come or gone; a call's or agent's id, or a queue's name."""

    number: int
    kind: Kind
    key: str


class Feed:
    """The latest change of each thing. `epoch` tells this feed from all others and has small letters and digits alone.

    `is_there` says whether a thing still exists. What is gone is told while it is among the latest `limit` things
    that have changed; so memory grows with what there is, and not with what there was.
    """

    def __init__(self, epoch: str, is_there: Callable[[Kind, str], bool], limit: int = LIMIT) -> None:
        self._epoch = epoch
        self.is_there = is_there
        self._limit = limit
        self._taken: list[Step] = []
        self._number = 0
        # The latest last. What has not changed for long is in the other one, if it still exists: it is told to nobody,
        # but its number is known.
        self._recent: OrderedDict[tuple[Kind, str], int] = OrderedDict()
        self._settled: dict[tuple[Kind, str], int] = {}
        self._forgotten = 0  # up to here changes are not told any more
        self._last: dict[Kind, int] = {"call": 0, "agent": 0, "queue": 0}

    def take(self, step: Step) -> None:
        """Note what has changed in a step of the engine. Calls pay for it, so most is done for many steps at once."""
        if step.calls or step.agents or step.queues:
            self._taken.append(step)
            if len(self._taken) >= _AT_ONCE:
                self._number_taken()

    def _number_taken(self) -> None:
        """Give all that was taken its numbers. Until then nobody knew of it, so these are as good as earlier ones."""
        taken = self._taken
        self._note("call", [key for step in taken for key in step.calls])
        self._note("agent", [key for step in taken for key in step.agents])
        self._note("queue", [key for step in taken for key in step.queues])
        taken.clear()
        while len(self._recent) > self._limit:
            self._settle()

    def _note(self, kind: Kind, keys: list[str]) -> None:
        if not keys:
            return
        recent, settled, number = self._recent, self._settled, self._number
        keys.reverse()
        for key in reversed(dict.fromkeys(keys)):  # each once, in the order in which they changed last
            number += 1
            thing = kind, key
            recent[thing] = number
            recent.move_to_end(thing)
            if settled:
                settled.pop(thing, None)
        self._number = self._last[kind] = number

    def _settle(self) -> None:
        """Tell the oldest change to nobody any more."""
        thing, self._forgotten = self._recent.popitem(last=False)
        if self.is_there(*thing):
            self._settled[thing] = self._forgotten

    def forget_steps(self) -> None:
        """Keep no step, as steps tell of callers, but what has changed in them."""
        self._number_taken()

    # --- for readers ---

    @property
    def here(self) -> Place:
        """Where a reader is who reads everything now."""
        self._number_taken()
        return Place(self._epoch, self._number)

    def since(self, place: Place) -> tuple[Change, ...] | None:
        """What has changed since this place, the oldest first; None: read everything anew.

        Costs what it tells.
        """
        self._number_taken()
        if place.epoch != self._epoch or not self._forgotten <= place.number <= self._number:
            return None
        later = takewhile(lambda item: item[1] > place.number, reversed(self._recent.items()))
        told = [Change(number, kind, key) for (kind, key), number in later]
        told.reverse()
        return tuple(told)

    def latest(self, kind: Kind, key: str) -> int:
        """The number of the thing's latest change; 0: none since this feed began.

        A thing that is gone may be forgotten; when it comes back, that is a change.
        """
        if self._taken:
            self._number_taken()
        thing = kind, key
        return self._recent.get(thing) or self._settled.get(thing, 0)

    def latest_of(self, kind: Kind) -> int:
        """The number of the latest change of anything of this kind; 0: none since this feed began."""
        if self._taken:
            self._number_taken()
        return self._last[kind]


_PLACE = re.compile(r"([0-9a-z]+)-([0-9]{1,18})")


def written(place: Place) -> str:
    """The place as one word, as readers outside of the daemon keep it."""
    return f"{place.epoch}-{place.number}"


def read(word: str) -> Place | None:
    """The place that was written so; None for anything else."""
    found = _PLACE.fullmatch(word)
    return None if found is None else Place(found[1], int(found[2]))
