"""Places of callers who have hung up while they waited: whoever calls again soon enough gets theirs back, once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping

from fsacd.core.fact import fact


@fact
class Place:
    """The place of an abandoned call: of whom, in which queue, since when (virtual arrival), and kept until when."""

    call_id: str
    queue: str
    who: str
    virtual_ms: int
    until_ms: int


class AbandonedPlaces:
    """One place for each caller and queue, the latest; the oldest go first where there are too many."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, Place] = OrderedDict()  # by the abandoned call
        self._call_of: dict[tuple[str, str], str] = {}  # by queue and caller

    def __iter__(self) -> Iterator[Place]:
        """All of them, the oldest first."""
        return iter(self._places.values())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)

    def keep(self, place: Place, limit: int) -> list[str]:
        """Keep this place. Returns the calls whose places are kept no more."""
        gone = [call_id] if (call_id := self._call_of.get((place.queue, place.who))) else []
        self._places[place.call_id] = place
        self._call_of[place.queue, place.who] = place.call_id
        for call_id in gone:
            del self._places[call_id]
        while len(self._places) > limit:
            gone.append(next(iter(self._places)))
            self.forget(gone[-1])
        return gone

    def of(self, queue: str, who: str) -> Place | None:
        """The place that this caller has in the queue, if there is one."""
        call_id = self._call_of.get((queue, who))
        return None if call_id is None else self._places[call_id]

    def forget(self, call_id: str) -> None:
        """Forget a place: its caller is back, or its time is over. Unknown calls are ignored."""
        place = self._places.pop(call_id, None)
        if place is not None:
            del self._call_of[place.queue, place.who]

    def of_callers(self, callers: Collection[str]) -> list[str]:
        """The abandoned calls of these callers."""
        return [place.call_id for place in self._places.values() if place.who in callers]

    def outside(self, queues: Collection[str]) -> list[str]:
        """The abandoned calls of all queues but these."""
        return [place.call_id for place in self._places.values() if place.queue not in queues]

    def rename(self, renamed: Mapping[str, str]) -> None:
        """Rename queues. Where one caller then has two places in one queue, the later place stays."""
        if not any(place.queue in renamed for place in self._places.values()):
            return
        places = list(self._places.values())
        self._places.clear()
        self._call_of.clear()
        for place in places:
            queue = renamed.get(place.queue, place.queue)
            self.keep(Place(place.call_id, queue, place.who, place.virtual_ms, place.until_ms), len(places))
