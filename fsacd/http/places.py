"""Decides who may be connected, within a limit that keeps places for known tokens. Pure: the time is an argument.

    come -> silent ------- seat ------> stranger -- shows a known token --> known
               |                           |                                  |
               +-- too long, too many      +-- idle for longest               +-- idle for longest, and nobody else

A quarter of all places is for connections on which nothing has come yet: nobody knows who they are, and they may be a
health probe. Strangers get a quarter. So half is always there for known tokens and for health, which may take the
strangers' quarter, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum

# An answer takes milliseconds. A stranger who has not read theirs for this long gives the place up if it is needed.
_PATIENCE_S = 1.0


class Standing(IntEnum):
    """The rank of a connection: higher goes first."""

    STRANGER = 0
    HEALTH = 1
    KNOWN = 2


class Doing(Enum):
    """What a connection does now."""

    SILENT = "silent"
    IDLE = "idle"
    READING = "reading"
    ANSWERING = "answering"


@dataclass(slots=True, eq=False)
class Place:
    """One connection; `peer` is the address that it comes from, `since` when it began what it does, in seconds."""

    peer: str
    since: float
    doing: Doing = Doing.SILENT
    standing: Standing = Standing.STRANGER


class Places:
    """All connections. At most `limit` of them, and of seated strangers `per_peer` from one address."""

    def __init__(self, limit: int, per_peer: int | None = None) -> None:
        quarter = limit // 4
        self._limit = limit
        self._silent_limit = 2 * quarter
        self._seats = limit - quarter
        self._strangers_limit = quarter
        self._per_peer = max(1, quarter // 2) if per_peer is None else per_peer
        self._silent: dict[Place, None] = {}
        self._silent_by_peer: Counter[str] = Counter()
        self._seated: dict[Place, None] = {}

    def __len__(self) -> int:
        return len(self._silent) + len(self._seated)

    def come(self, peer: str, now: float) -> tuple[Place, Place | None]:
        """A place for a new connection, and the connection that has to go for it; there is always a place."""
        goes = None
        if len(self._silent) >= self._silent_limit or len(self) >= self._limit:
            goes = self._longest_silent()
            self.leave(goes)
        place = Place(peer, now)
        self._silent[place] = None
        self._silent_by_peer[peer] += 1
        return place, goes

    def overdue(self, before: float) -> list[Place]:
        """The connections from before this moment on which nothing has come yet, oldest first."""
        found = []
        for place in self._silent:  # in the order of arrival
            if place.since >= before:
                break
            found.append(place)
        return found

    def seat(self, place: Place, standing: Standing, now: float) -> tuple[bool, Place | None]:
        """The connection's first bytes have come: whether there is a seat for it, and who has to go for that."""
        self.leave(place)
        fits, goes = self._room_for(place, standing, now)
        if goes is not None:
            self.leave(goes)
        if fits:
            place.standing, place.doing, place.since = standing, Doing.READING, now
            self._seated[place] = None
        return fits, goes

    def turn(self, place: Place, doing: Doing, now: float) -> None:
        """The connection does something else now."""
        place.doing, place.since = doing, now

    def raise_to(self, place: Place, standing: Standing) -> None:
        """The connection has shown a known token, or asks for health. A known token counts as long as it is open."""
        if place.standing is not Standing.KNOWN:
            place.standing = standing

    def rest(self, place: Place, now: float) -> Place | None:
        """The connection has its answer and is idle. Returns who has to go, because there are too many strangers."""
        self.turn(place, Doing.IDLE, now)
        if place.standing is not Standing.HEALTH:
            return None
        place.standing = Standing.STRANGER
        strangers = self._strangers()
        if len(strangers) <= self._strangers_limit:
            return None
        goes = _longest(strangers, Doing.IDLE) or place
        self.leave(goes)
        return goes

    def leave(self, place: Place) -> None:
        """The connection is gone, or has to go; calling this twice is harmless."""
        if place in self._silent:
            del self._silent[place]
            self._silent_by_peer[place.peer] -= 1
            if not self._silent_by_peer[place.peer]:
                del self._silent_by_peer[place.peer]
        self._seated.pop(place, None)

    def _longest_silent(self) -> Place:
        """The longest silent connection of the address that has most: a flooding address pushes nobody else out."""
        peer = max(self._silent_by_peer, key=self._silent_by_peer.__getitem__)
        return next(place for place in self._silent if place.peer == peer)

    def _strangers(self) -> list[Place]:
        return [place for place in self._seated if place.standing is Standing.STRANGER]

    def _room_for(self, place: Place, standing: Standing, now: float) -> tuple[bool, Place | None]:
        if standing is Standing.STRANGER:
            strangers = self._strangers()
            same = [other for other in strangers if other.peer == place.peer]
            if len(same) >= self._per_peer:
                goes = _longest(same, Doing.IDLE)
                return goes is not None, goes
            if len(strangers) >= self._strangers_limit or len(self._seated) >= self._seats:
                goes = _longest(strangers, Doing.IDLE)
                return goes is not None, goes
        elif len(self._seated) >= self._seats:
            goes = self._who_yields(standing, now)
            return goes is not None, goes
        return True, None

    def _who_yields(self, standing: Standing, now: float) -> Place | None:
        """Who yields to a known token or to health: idle strangers first, then slow ones, idle known tokens last."""
        others = [place for place in self._seated if place.standing is not Standing.KNOWN]
        return (
            _longest(others, Doing.IDLE)
            or _longest((place for place in others if place.standing is Standing.STRANGER), Doing.READING)
            or _longest((place for place in others if now - place.since > _PATIENCE_S), Doing.ANSWERING)
            or _longest(self._seated, Doing.IDLE)
            or (_longest(others, Doing.READING) if standing is Standing.KNOWN else None)
        )


def _longest(places: Iterable[Place], doing: Doing) -> Place | None:
    """The connection that has been doing this for longest."""
    return min((place for place in places if place.doing is doing), key=lambda place: place.since, default=None)
