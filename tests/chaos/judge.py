"""Looks on from outside and says what is wrong: at the switch, at the engine, and between the two.

What is promised, and what judges it:

- one outcome for each call: `write` ("two outcomes"), `conclude` ("no outcome"); and the true one: `_history`
- one live offer for each agent, as the switch has their legs: `_one_ring_each`, at every moment
- no leg or call that the other side knows nothing of after five seconds, no offer after twenty: `_limbo`, and
  `conclude` at the end
- nobody rings for a caller who has gone: `_limbo`, after two seconds
- no place lost: `_order` from look to look, and each call's key in `_compare`
- nobody hung up who has not talked: `_lost_callers`; and what a daemon counts as lost: `count`
- contacts, visits and talks as the switch's events have them: `Oracle.compare`, in `_history`
- a journal replayed twice is what it is once, and what the daemon had in mind: `Schedule._died`
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from fsacd.core import offer as o
from fsacd.core.evidence import Evidence, Standing, standing
from fsacd.core.life.world import World
from fsacd.core.records import CallEnded, CallOutcome, Elsewhere, Record
from fsacd.core.shape import PAIR_OF, Pair, TalkShape, room_of, with_thirds
from fsacd.core.views import Snapshot
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.channel import State
from fsacd.sim.session import Session
from fsacd.sim.switch import Switch
from tests.chaos.ear import Ear
from tests.chaos.life import LEASE_MS, Life
from tests.chaos.oracle import Oracle
from tests.chaos.people import BYE_MS, HOLD, TALK_MS, Floor
from tests.chaos.rows import Rows

_NOT_LOST = tuple(Elsewhere)
LOOK_US = 200 * MS
# What is wrong for longer, while somebody serves and nothing is broken, is wrong.
LIMBO_US = 5 * SECOND
# A leg that was ordered may be in the making for ten seconds, and is missed at the next look but one.
NO_LEG_US = 20 * SECOND
# Whoever talked at the last looks is released by the talk's end.
ON_HOLD_US = 3 * LOOK_US
RING_FOR_NOBODY_US = 2 * SECOND
# A talk of which so much was heard is known.
HEARD_US = 2 * SECOND
_PATIENCE_US = {"ring for nobody": RING_FOR_NOBODY_US, "offer without a leg": NO_LEG_US}
# The arrival is read from the switch's uptime: two readings differ by the way of the bytes.
CLOCK_MS = 150


# Whom the agent is with, caller and third party.
_PAIRS = {
    (False, False): Pair.NOBODY,
    (True, False): Pair.CALLER_AGENT,
    (False, True): Pair.AGENT_THIRD,
    (True, True): Pair.ALL,
}


class Judge:
    """Everything that is wrong is in `faults`, each a sentence."""

    def __init__(self, switch: Switch, floor: Floor, serving: Callable[[], Life | None]) -> None:
        self._switch = switch
        self._floor = floor
        self._serving = serving
        self.faults: list[str] = []
        self._kinds: Counter[str] = Counter()
        self._rows: dict[str, tuple[str, CallEnded]] = {}  # by call: who wrote it, and what, as the table has it
        self._rest = Rows()  # of talks and visits
        self.oracle = Oracle(lambda: switch.agenda.wall_us)
        Ear(switch, self.oracle)
        self.known: set[str] = set()
        self.forgiven: set[str] = set()
        self.ended_by_hand: set[str] = set()
        self._orders: dict[str, list[str]] = {}
        self._keys: dict[tuple[str, str], tuple[int, int]] = {}
        self._since: dict[tuple[str, str], int] = {}
        self._next_look_us = 0
        self._calm_since_us: int | None = None
        self._ends_judged = 0
        self.unserved_since_us: int | None = 0
        self.longest_unserved_us = 0
        # By call: with which agent's leg it was seen to be bridged, from when until when.
        self._last_talks: dict[str, tuple[str, int, int]] = {}
        self._bridged_us: dict[str, int] = {}  # by call: when they were seen to talk last
        self._unheard: list[tuple[int, int]] = []  # when nobody could hear the switch, from look to look
        self._heard, self._looked_us = False, 0
        self.switch_restarts_us: list[int] = []
        self.broken = False  # a fault is on

    def wrong(self, kind: str, sentence: str) -> None:
        """Note it; of each kind a few are enough."""
        self._kinds[kind] += 1
        if self._kinds[kind] <= 3:
            self.faults.append(f"{self._switch.agenda.now_us / SECOND:.3f} s: {kind}: {sentence}")

    # --- what daemons write ---

    def count(self, records: Sequence[Record]) -> None:
        """What a life counts: fsacd_lost_callers_total is nought unless the switch has crashed."""
        ended = [record for record in records if isinstance(record, CallEnded)]
        lost = [record for record in ended if record.outcome is CallOutcome.LOST and record.detail not in _NOT_LOST]
        for record in lost:
            if not self.switch_restarts_us:
                self.wrong("counted as lost", f"call {record.call_id}: {record.detail}")

    def write(self, instance: str, records: Sequence[Record], *, again: bool = False) -> None:
        """What a life writes to the one table of all: a row for each call, of which the better one stays.

        `again`: it is what the life before may have written, when it served.
        """
        for new in records:
            self._rest.write(new)
            if not isinstance(new, CallEnded):
                continue
            serving = self._serving()
            if new.evidence is Evidence.SAW_END and not again and serving is not None and serving.instance != instance:
                self.wrong("two outcomes", f"call {new.call_id}: {instance} wrote {_told(new)}, and another one serves")
            by, old = self._rows.get(new.call_id, (instance, new))
            replaces = _standing(new) > _standing(old)
            if old != new and new.call_id not in self.forgiven:
                # Two may both have seen an end: the first one's command to end it was lost with its link, and the
                # caller lived on. So the later one counts. But nobody sees two ends, or tells two in one epoch.
                worse = old if replaces else new
                sure = worse.evidence is Evidence.SAW_END or old.epoch == new.epoch
                if by == instance and sure and worse.detail != Elsewhere.SERVED_ELSEWHERE:
                    self.wrong("two outcomes", f"call {new.call_id}: {by} wrote {_told(old)}, {instance} {_told(new)}")
            self._rows[new.call_id] = (instance, new) if replaces else (by, old)

    # --- while it goes on ---

    def look(self) -> None:
        """After every moment at which something happened."""
        self._one_ring_each()
        self._lost_callers()
        now_us = self._switch.agenda.now_us
        if now_us >= self._next_look_us:
            self._next_look_us = now_us + LOOK_US
            self._compare(now_us)

    def _agent_legs(self) -> list[Session]:
        return [
            session
            for session in self._switch.sessions.values()
            if session.channel.variables.get("fsacd_leg") == "agent" and not session.channel.down
        ]

    def _at_phones(self) -> list[Session]:
        """Agents' legs that their phones have not been told the end of; what a phone ended itself it knows of."""
        agents = [s for s in self._switch.sessions.values() if s.channel.variables.get("fsacd_leg") == "agent"]
        return [s for s in agents if not s.channel.left and s.channel.running < State.REPORTING]

    def _one_ring_each(self) -> None:
        at_phones = self._at_phones()
        legs = Counter(leg.channel.variables.get("fsacd_agent", "") for leg in at_phones)
        for agent_id, count in legs.items():
            if count > 1:
                uuids = [
                    f"{leg.channel.uuid} ({leg.channel.answer_state})"
                    for leg in at_phones
                    if leg.channel.variables.get("fsacd_agent") == agent_id
                ]
                self.wrong("two offers", f"agent {agent_id} has the legs {', '.join(uuids)}")

    def _lost_callers(self) -> None:
        ends = self._floor.ends
        while self._ends_judged < len(ends):
            end = ends[self._ends_judged]
            self._ends_judged += 1
            if not end.call_id:
                continue
            restarted = any(abs(end.at_us - at_us) < SECOND for at_us in self.switch_restarts_us)
            left = end.extension in {"nobody", "fsacd_fallback"} and self._may_leave()
            if restarted or left or end.call_id in self.ended_by_hand:
                continue
            bridged_us = max(self._bridged_us.get(end.call_id, 0), end.bridged_us)
            if end.extension == HOLD and end.at_us - bridged_us > ON_HOLD_US:
                held_s = (end.at_us - bridged_us) / SECOND
                self.wrong("lost caller", f"{end.number} (call {end.call_id}) was hung up after {held_s:.1f} s on hold")
            if end.talked_ms < TALK_MS - BYE_MS:
                self.wrong(
                    "lost caller",
                    f"{end.number} (call {end.call_id}) was hung up ({end.cause}) in {end.extension},"
                    f" after a talk of {end.talked_ms} ms",
                )

    def _may_leave(self) -> bool:
        away_us = self.longest_unserved_us
        if self.unserved_since_us is not None:
            away_us = max(away_us, self._switch.agenda.now_us - self.unserved_since_us)
        return away_us >= (LEASE_MS * 3 // 4) * MS or bool(self.switch_restarts_us)

    def _look_at_talks(self, now_us: int) -> None:
        """Note who talks; whoever is back in the music has not talked, or not for long."""
        for session in self._switch.sessions.values():
            variables = session.channel.variables
            if variables.get("fsacd_leg") != "caller" or session.channel.down:
                continue
            call_id = variables.get("fsacd_call", "")
            if session.talk is None:
                self._last_talks.pop(call_id, None)
            else:
                self._bridged_us[call_id] = now_us
                leg = session.talk.partner(session).channel.uuid
                before = self._last_talks.get(call_id, ("", 0, 0))
                self._last_talks[call_id] = (leg, before[1] if before[0] == leg else now_us, now_us)

    def _note_service(self, life: Life | None, now_us: int) -> None:
        # Whose wire swallows bytes still believes to serve, and another one serves when that has run out.
        hears = life is not None and not life.net.holding and not life.net.late_us
        if not (hears and self._heard):
            self._unheard.append((self._looked_us, now_us))
        self._heard, self._looked_us = hears, now_us
        if life is None:
            if self.unserved_since_us is None:
                self.unserved_since_us = now_us
        elif self.unserved_since_us is not None:
            self.longest_unserved_us = max(self.longest_unserved_us, now_us - self.unserved_since_us)
            self.unserved_since_us = None

    def _compare(self, now_us: int) -> None:
        self._look_at_talks(now_us)
        life = self._serving()
        self._note_service(life, now_us)
        if life is None or self.broken:
            self._since.clear()
        if life is None:
            return
        snapshot = life.engine.snapshot(life.engine.now_ms)
        self._order(snapshot)
        for call in snapshot.calls:
            self.known.add(call.call_id)
            key = (-call.priority, call.arrived_ms - call.head_start_ms)
            first = self._keys.setdefault((call.call_id, call.queue), key)
            if first[0] != key[0] or abs(first[1] - key[1]) > CLOCK_MS:
                self.wrong("order", f"call {call.call_id} had the key {first} and has {key}")
        if not self.broken:
            found = self._limbo(life)
            for thing in [thing for thing in self._since if thing not in found]:
                del self._since[thing]
            for thing in found:
                age_us = now_us - self._since.setdefault(thing, now_us)
                if age_us > _PATIENCE_US.get(thing[0], LIMBO_US):
                    self.wrong(thing[0], f"{thing[1]} for {age_us / SECOND:.1f} s")
                    self._since[thing] = now_us + 3_600 * SECOND

    def _order(self, snapshot: Snapshot) -> None:
        """Two who wait never change places, whoever serves them."""
        orders: dict[str, list[str]] = defaultdict(list)
        for call in snapshot.calls:
            if call.position:
                orders[call.queue].append(call.call_id)
        for queue, order in orders.items():
            before = [call_id for call_id in self._orders.get(queue, ()) if call_id in order]
            after = [call_id for call_id in order if call_id in before]
            if before != after:
                self.wrong("order", f"in {queue} {before} have become {after}")
        self._orders = dict(orders)

    def _limbo(self, life: Life) -> set[tuple[str, str]]:
        """What does not fit together at this moment."""
        world = life.engine._world
        found: set[tuple[str, str]] = set()
        sessions = self._switch.sessions
        live_calls = set()
        for session in sessions.values():
            channel = session.channel
            leg, call_id = channel.variables.get("fsacd_leg"), channel.variables.get("fsacd_call", "")
            if channel.down or leg != "caller":
                continue
            live_calls.add(call_id)
            over = channel.variables.get("fsacd_over") == "true"
            if not over and call_id not in world.calls and channel.profile.context == "fsacd":
                found.add(("unknown caller", f"leg {channel.uuid} of call {call_id} waits, and no engine knows it"))
        for leg_session in self._agent_legs():
            channel = leg_session.channel
            offer_id, call_id = channel.uuid, channel.variables.get("fsacd_call", "")
            if offer_id not in world.offers and offer_id not in world.thirds:
                found.add(("unknown agent leg", f"leg {offer_id}, {channel.answer_state}"))
            if call_id not in live_calls and not channel.answered:
                found.add(("ring for nobody", f"leg {offer_id} rings for call {call_id}, whose caller has gone"))
        for call in world.calls.values():
            # A caller who has hung up in a consultation leaves a talk of agent and colleague behind.
            goes_on = call.talks_on_another_leg
            if call.leg is not None and call.leg.uuid not in sessions and not goes_on:
                found.add(("call without a leg", f"call {call.call_id}, {type(call.state).__name__}"))
        for offer in with_thirds(world.offers, world.shapes):
            if offer.offer_id not in sessions:
                found.add(("offer without a leg", f"offer {offer.offer_id}, {type(offer.state).__name__}"))
        found.update(self._apart(world))
        return found

    def _apart(self, world: World) -> Iterator[tuple[str, str]]:
        """Talks whose legs are bridged in another way than the engine believes."""
        for offer in world.offers.values():
            if not isinstance(offer.state, o.OfferTalking):
                continue
            call, shape = world.calls[offer.call_id], world.shapes.get(offer.offer_id) or TalkShape()
            agents_leg = self._switch.sessions.get(offer.agents_leg)
            if call.leg is None or agents_leg is None:
                continue
            if shape.muted != ("read" in agents_leg.channel.muted):
                yield "muted otherwise", f"the agent of talk {offer.offer_id}: the engine has {shape.muted}"
            room = self._switch.rooms.get(room_of(offer.offer_id))
            partner = agents_leg.talk.partner(agents_leg).channel.uuid if agents_leg.talk is not None else ""
            third_leg = shape.third.agents_leg if shape.third is not None else ""
            inside = {member.channel.uuid for member in room.members} if room is not None else {partner}
            with_caller, with_third = call.leg.uuid in inside, third_leg != "" and third_leg in inside
            if room is not None and agents_leg not in room.members:
                with_caller = with_third = False
            if _PAIRS[with_caller, with_third] is not PAIR_OF[shape.shape]:
                with_whom = ", ".join(sorted(inside)) or "-"
                yield "another shape", f"talk {offer.offer_id} is {shape.shape}, and its agent is with {with_whom}"

    # --- at the end ---

    def conclude(self) -> None:
        """All callers have gone: every call has one outcome, and nobody and nothing is left."""
        life = self._serving()
        if life is None:
            self.wrong("nobody serves", "at the end no daemon serves the switch")
            return
        for call_id in sorted(self.known - self.forgiven):
            if call_id not in self._rows:
                self.wrong("no outcome", f"call {call_id} has none")
        self._history()
        world = life.engine._world
        for call in world.calls.values():
            self.wrong("left over", f"call {call.call_id} is {type(call.state).__name__} when all have gone")
        for offer in world.offers.values():
            self.wrong("left over", f"offer {offer.offer_id} is {type(offer.state).__name__} when all have gone")
        for talk_id in world.shapes:
            self.wrong("left over", f"the shape of talk {talk_id} when all have gone")
        for leg in world.thirds:
            self.wrong("left over", f"the third party {leg} when all have gone")
        for session in self._switch.sessions.values():
            if session.channel.variables.get("fsacd_leg") in {"caller", "agent", "third"}:
                self.wrong("left over", f"leg {session.channel.uuid} is on the switch when all have gone")
        life.engine.check()

    def _history(self) -> None:
        """Nobody stands in the history as lost, and who has talked while somebody listened has been answered."""
        for call_id, (by, row) in self._rows.items():
            if self.switch_restarts_us or call_id in self.forgiven | self.ended_by_hand:
                continue
            if row.outcome is CallOutcome.LOST:
                self.wrong("told as lost", f"call {call_id}: {by} wrote {_told(row)}")
            leg, from_us, until_us = self._last_talks.get(call_id, ("", 0, 0))
            # Who was given away, or was on hold when the agent went, may give up then: the talk has a row of its own.
            told = row.outcome is CallOutcome.ANSWERED or leg in self._rest.talks
            if not told and self._heard_us(from_us, until_us) > HEARD_US:
                talk_s = (until_us - from_us) / SECOND
                self.wrong("talk not told", f"call {call_id}, a talk of {talk_s:.1f} s: {_told(row)}")

        if not self.switch_restarts_us and not self.forgiven:
            history = self._rest.told(row for _, row in self._rows.values())
            for kind, sentence in self.oracle.compare(history, self._unheard_by_wall_us, CLOCK_MS):
                self.wrong(kind, sentence)

    def _heard_us(self, from_us: int, until_us: int) -> int:
        """For how long in this time somebody listened."""
        return until_us - from_us - self._unheard_us(from_us, until_us)

    def _unheard_us(self, from_us: int, until_us: int) -> int:
        return sum(max(0, min(until_us, end) - max(from_us, start)) for start, end in self._unheard)

    def _unheard_by_wall_us(self, from_us: int, until_us: int) -> int:
        ahead_us = self._switch.agenda.wall_us - self._switch.agenda.now_us
        return self._unheard_us(from_us - ahead_us, until_us - ahead_us)


def _told(row: CallEnded) -> str:
    return f"{row.outcome} ({row.detail}) after {row.waited_ms} ms, {row.evidence}, epoch {row.epoch}"


def _standing(row: CallEnded) -> Standing:
    return standing(row.evidence, row.epoch, row.ended_ms)
