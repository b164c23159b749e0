"""What history has of a play, compared with what happened in it: rows of calls, visits, talks, offers and wrap-ups."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import gevent
import psycopg
from gevent.lock import Semaphore
from psycopg.rows import dict_row

from tests.prove.talks._centre import Seat
from tests.prove.talks._world import Row, Who, World

# The writer is behind the calls; a killed daemon's rows come from its spool.
_WRITTEN_S: Final = 20.0
_LOOK_S: Final = 0.2
# A wrap-up begins with the end of its talk, but for what the daemon needs to hear of that.
_FOLLOWS_S: Final = 1.0
_HAS_TALKS: Final = "SELECT 1 FROM pg_tables WHERE tablename = 'talks'"


class History:
    """One connection for all plays."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row)
        self._one = Semaphore()

    def judge(self, seat: Seat, worlds: Sequence[World]) -> None:
        """AssertionError if it does not say, in time, what has happened in one of these worlds."""
        until_s = time.monotonic() + _WRITTEN_S
        while (why := [self._differs(seat, world) for world in worlds]) and all(why):
            assert time.monotonic() < until_s, f"history: {' / '.join(dict.fromkeys(why))}"
            gevent.sleep(_LOOK_S)

    def _rows(self, query: str, *words: object) -> list[dict[str, Any]]:
        with self._one:
            return self._connection.execute(query, words).fetchall()

    def _differs(self, seat: Seat, world: World) -> str:
        """What it says otherwise; empty: nothing."""
        calls = self._rows("SELECT call_id, contact_id, outcome FROM calls WHERE number = %s", seat.caller)
        contacts = list({call["contact_id"] for call in calls})
        if len(contacts) != 1:
            return f"there are {len(contacts)} contacts of the caller"
        if lost := [call for call in calls if call["outcome"] not in ("answered", "abandoned")]:
            return f"calls are {lost}"
        talks = self._rows("SELECT * FROM talks WHERE contact_id = %s ORDER BY started_at, ended_at", contacts[0])
        told = [_told(talk, seat) for talk in talks]
        if told != list(world.rows):
            return f"talks are {told}, not {list(world.rows)}"
        visits = self._rows("SELECT * FROM visits WHERE contact_id = %s ORDER BY ended_at, n", contacts[0])
        found = [(_queue(visit["queue"], seat), visit["how_in"], visit["outcome"]) for visit in visits]
        wanted = [(visit.queue, visit.how_in, visit.outcome) for visit in world.visits]
        if len(found) != len(wanted) or any(
            (one[0], one[2]) != (other[0], other[2]) or other[1] not in ("", one[1])
            for one, other in zip(found, wanted, strict=True)
        ):
            return f"visits are {found}, not {wanted}"
        return self._offers_differ(seat) or self._wrap_ups_differ(talks)

    def _offers_differ(self, seat: Seat) -> str:
        rung = [_leg(ring) for ring in seat.rings]
        # The agent's other line may have been another contact.
        talks = self._rows("SELECT offer_id FROM talks WHERE offer_id = ANY(%s)", [leg for leg in rung if leg])
        # A colleague who was asked, and got no talk, is in no row.
        asked = {_leg(ring) for ring in seat.rings if ring.user == seat.third} - {talk["offer_id"] for talk in talks}
        rows = self._rows("SELECT offer_id, outcome FROM offers WHERE offer_id = ANY(%s)", [leg for leg in rung if leg])
        counts = Counter(row["offer_id"] for row in rows)
        wrong = [leg for leg in rung if leg and counts[leg] != 1 and not (leg in asked and counts[leg] == 0)]
        answered = {row["offer_id"] for row in rows if row["outcome"] == "answered"}
        if wrong:
            return f"offers {wrong} are there {[counts[leg] for leg in wrong]} times"
        if answered != {talk["offer_id"] for talk in talks}:
            return f"offers {sorted(answered)} are answered, and talks are {[talk['offer_id'] for talk in talks]}"
        return ""

    def _wrap_ups_differ(self, talks: list[dict[str, Any]]) -> str:
        legs = [talk["offer_id"] for talk in talks]
        rows = self._rows("SELECT * FROM wrap_ups WHERE offer_id = ANY(%s)", legs)
        by_offer = {row["offer_id"]: row for row in rows}
        if len(rows) != len(legs) or set(by_offer) != set(legs):
            return f"there are {len(rows)} wrap-ups of {len(legs)} talks"
        for talk in talks:
            row = by_offer[talk["offer_id"]]
            late_s = (row["started_at"] - talk["ended_at"]).total_seconds()
            if abs(late_s) > _FOLLOWS_S or row["ended_at"] < row["started_at"] or row["agent_id"] != talk["agent_id"]:
                return f"a wrap-up begins {late_s:.3f} s after its talk: {row}"
        return ""


def _leg(ring: Any) -> str:
    return str(ring.invite.headers.get("x-fsacd-offer", "")) if ring.invite is not None else ""


def _queue(name: str, seat: Seat) -> str:
    return {seat.own: "own", seat.other: "other"}.get(name, name)


def _told(talk: dict[str, Any], seat: Seat) -> Row:
    whose = {seat.agent: Who.AGENT, seat.third: Who.THIRD}[talk["agent_id"]]
    to = {seat.third: "third", f"queue {seat.other}": "queue other"}.get(talk["transferred_to"], talk["transferred_to"])
    return Row(whose, talk["ended_by"], talk["kind"], to, talk["holds"], talk["consults"])
