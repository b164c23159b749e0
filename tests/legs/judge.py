"""Looks on from the switch's side and says what is wrong with what the daemon does about legs.

What is promised, with the time that it may take, counted only while a daemon serves and hears the switch:

- one live offer for each agent, one ring of ours at each phone: at once; when one phone has answered, the others of its
  offer fall silent (`LOSERS_US`)
- nobody rings for a caller who talks with others, has given their place away, or has gone: `TOLD_US`; for one who was
  parked or moved, of which no event tells: two announcements and the look that follows (`SILENT_US`); of what happened
  just before the daemon heard the switch again its list does not tell yet: the comparison that follows (`COMPARED_US`)
- no caller is in nobody's hands, neither talking nor waiting in a call that the engine knows nor where others have put
  them, for longer than two announcements: `SILENT_US`; who took over a place by an INVITE is taken in at once, or when
  the switch's list is compared (`COMPARED_US`), and if the place was given up before, the next time that it is
  (`LISTED_US`)
- nobody is torn out of a talk, and nobody is hung up, but by somebody's deed: at once
- at the end every call has one end, which is what became of it (`reasons`), and nobody and nothing is left
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from fsacd.core.events import Leg
from fsacd.core.evidence import standing
from fsacd.core.records import CallEnded, Record
from fsacd.sim import ports
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.channel import State
from fsacd.sim.session import Session
from fsacd.sim.switch import Switch
from tests.chaos.life import SWITCH, Life
from tests.legs.people import Person
from tests.legs.reasons import HEARD_US, Biography, Phase

TOLD_US = 1_500 * MS
SILENT_US = 26 * SECOND
COMPARED_US = 4 * SECOND
LISTED_US = 34 * SECOND
LOSERS_US = 1 * SECOND
# An answered leg of an agent who talks with nobody: the bridge is asked for once, and awaited twice.
ALONE_US = 6 * SECOND
AT_ONCE_US = 50 * MS
_BETWEEN = frozenset({State.RESET, State.SOFT_EXECUTE, State.HIBERNATE, State.CONSUME_MEDIA})
_MOST_OF_A_KIND = 3
_VOICEMAIL = "lab_voicemail"
_TAKES_OVER = "answer,intercept:"


class Judge:
    """Everything that is wrong is in `faults`, each a sentence that begins with its kind."""

    def __init__(
        self, switch: Switch, serving: Callable[[], Life | None], people: Callable[[], Iterable[Person]]
    ) -> None:
        self._switch = switch
        self._serving = serving
        self._people = people
        self.faults: list[str] = []
        self._kinds: Counter[str] = Counter()
        self._rows: dict[str, list[CallEnded]] = {}
        self._since: dict[tuple[str, str], int] = {}
        self.lives: dict[str, Biography] = {}
        self._known: set[str] = (
            set()
        )  # calls of which a daemon knew; who came and went while none heard, is told by none
        self._excused: set[str] = set()
        self._with: dict[str, str] = {}  # by the leg of a caller who talks with others: who that is
        # Since when a call's caller has not been where callers wait, and whether no event tells of it.
        self._away_us: dict[str, tuple[bool, int]] = {}
        self._blind_us = -SECOND  # when something last kept the daemon from hearing

    @property
    def kinds(self) -> frozenset[str]:
        """What kinds of faults there were."""
        return frozenset(self._kinds)

    def wrong(self, kind: str, sentence: str) -> None:
        """Note it; of each kind a few are enough."""
        self._kinds[kind] += 1
        if self._kinds[kind] <= _MOST_OF_A_KIND:
            self.faults.append(f"{kind}: {sentence} ({self._switch.agenda.now_us / SECOND:.3f} s)")

    # --- what is done, and what daemons write ---

    def deed(self, leg: str, what: str) -> None:
        """Somebody does this to a leg: whatever becomes of its talk is their doing."""
        self._excused.add(leg)
        if what in ("parked", "moved") and (partner := self._partner_of(leg)) is not None:
            # Whom they talked with is released, or is a caller of ours and waits on.
            self._excused.add(partner)

    def released(self, leg: str) -> None:
        """Whom this leg talks with hangs up: the switch may end it, too."""
        self._excused.add(leg)

    def blind(self) -> None:
        """From now on the daemon hears nothing for a while."""
        self._blind_us = self._switch.agenda.now_us

    def hears_again(self) -> bool:
        """Whether the daemon has only just come to hear the switch, or does not yet."""
        return self._switch.agenda.now_us - self._blind_us < COMPARED_US

    def write(self, _instance: str, records: Sequence[Record], *, again: bool = False) -> None:
        """What a daemon writes: a row for each call, of which the better one stays. `again`: a new one repeats it."""
        for row in records:
            if isinstance(row, CallEnded):
                rows = self._rows.setdefault(row.call_id, [])
                if not (again and row in rows):
                    rows.append(row)

    def person_ended(self, person: Person, cause: str) -> None:
        """A caller's or stranger's call is over."""
        session = person.line.session if person.line is not None else None
        if session is None or person.let_go or session.channel.left or not (person.up and person.queues):
            return
        channel = session.channel
        if channel.uuid in self._excused or channel.profile.destination == _VOICEMAIL:
            return  # their partner has left; or the dialplan that they were sent to has ended
        if channel.profile.destination.startswith(_TAKES_OVER) and "last_bridge_to" not in channel.variables:
            return  # FreeSWITCH lets them take over a leg that has gone
        self.wrong("lost caller", f"{person.label} was hung up ({cause}) in {channel.profile.destination}")

    # --- while it goes on ---

    def look(self) -> None:
        """After every moment at which something happened."""
        now_us = self._switch.agenda.now_us
        self._one_offer_each()
        self._torn()
        life = self._serving()
        for session in self._callers():
            call_id = session.channel.variables.get("fsacd_call", "")
            biography = self.lives.setdefault(call_id, Biography())
            heard = life is not None and not _bridged_on_their_way(session)
            biography.see(self._phase(session), session, now_us, heard=heard)
        if life is None:
            self._blind_us = now_us
        if now_us - self._blind_us < HEARD_US:
            for biography in self.lives.values():
                biography.nobody_hears(now_us)
        if life is None:
            self._since.clear()
            return
        self._known |= life.engine._world.calls.keys()
        found = dict(self._found())
        for thing in [thing for thing in self._since if thing not in found]:
            del self._since[thing]
        for thing, patience_us in found.items():
            age_us = now_us - self._since.setdefault(thing, now_us)
            if age_us > patience_us:
                self.wrong(thing[0], f"{thing[1]}, for {age_us / SECOND:.1f} s")
                self._since[thing] = now_us + 3_600 * SECOND

    def _callers(self) -> Iterator[Session]:
        for session in list(self._switch.sessions.values()):
            if session.channel.variables.get("fsacd_leg") == "caller":
                yield session

    def _agents_legs(self) -> list[Session]:
        sessions = self._switch.sessions.values()
        return [one for one in sessions if _is_ours(one) and not one.channel.down]

    def _one_offer_each(self) -> None:
        """Legs count until their phones know the end; what a phone has ended itself it knows of."""
        live: dict[str, set[str]] = {}
        for one in self._switch.sessions.values():
            if _is_ours(one) and not one.channel.left and one.channel.running < State.REPORTING:
                variables = one.channel.variables
                live.setdefault(variables.get("fsacd_agent", ""), set()).add(variables.get("fsacd_offer", ""))
        for agent_id, offers in live.items():
            if len(offers) > 1:
                self.wrong("two offers", f"agent {agent_id} has the offers {', '.join(sorted(offers))}")

    def _torn(self) -> None:
        """A caller's talk with others ends by somebody's deed, or by one of the two hanging up."""
        now: dict[str, str] = {}
        for session in self._callers():
            if session.talk is not None and not session.channel.down:
                partner = session.talk.partner(session)
                if not _is_ours(partner):
                    now[session.channel.uuid] = partner.channel.uuid
        for leg, partner_leg in self._with.items():
            if now.get(leg) == partner_leg or {leg, partner_leg} & self._excused:
                continue
            if not (self._has_left(leg) or self._has_left(partner_leg)):
                self.wrong("torn", f"leg {leg} talked with {partner_leg}, and nobody has ended that")
        self._with = now

    def _has_left(self, leg: str) -> bool:
        session = self._switch.sessions.get(leg)
        return session is None or session.channel.left

    def _partner_of(self, leg: str) -> str | None:
        session = self._switch.locate(leg)
        return session.talk.partner(session).channel.uuid if session is not None and session.talk else None

    def _phase(self, session: Session) -> Phase:
        """Where a caller's leg is."""
        channel = session.channel
        if channel.down:
            if channel.cause == "ATTENDED_TRANSFER":
                return Phase.REPLACED
            return Phase.HUNG_UP if channel.left else Phase.ENDED
        if session.talk is not None:
            return Phase.AGENT if _is_ours(session.talk.partner(session)) else Phase.STRANGER
        if channel.state is State.PARK:
            return Phase.PARKED
        if channel.state in _BETWEEN:
            return Phase.BETWEEN
        return Phase.WAITING if channel.profile.context == "fsacd" else Phase.MOVED

    def _found(self) -> Iterator[tuple[tuple[str, str], int]]:
        """What does not fit together at this moment, and how long it may last."""
        yield from self._rings_in_vain()
        answered = {one.channel.variables.get("fsacd_offer") for one in self._agents_legs() if one.channel.answered}
        at_phones: Counter[int] = Counter()
        for one in self._agents_legs():
            channel = one.channel
            if one.line is not None:
                at_phones[id(one.line.phone)] += 1
            if channel.variables.get("fsacd_offer") in answered and not channel.answered:
                yield ("losers ring", f"leg {channel.uuid}"), LOSERS_US
            if channel.answered and one.talk is None:
                yield ("agent alone", f"leg {channel.uuid}"), ALONE_US
        for count in at_phones.values():
            if count > 1:
                yield ("two at one phone", f"{count} legs"), AT_ONCE_US
        for person in self._people():
            if self._is_nobodys(person):
                assert person.line is not None and person.line.session is not None
                if person.line.session.channel.profile.dialplan == "inline":
                    patience_us = COMPARED_US if person.has_place else LISTED_US
                    yield ("nobody's hands", f"{person.label}, who has taken over a place"), patience_us
                elif person.line.session.channel.is_true("fsacd_over"):
                    yield ("nobody's hands", f"{person.label}, whose call is over"), LISTED_US
                else:
                    yield ("nobody's hands", person.label), SILENT_US

    def _rings_in_vain(self) -> Iterator[tuple[tuple[str, str], int]]:
        phases: dict[str, set[Phase]] = {}
        moved: set[str] = set()
        for session in self._callers():
            call_id = session.channel.variables.get("fsacd_call", "")
            phases.setdefault(call_id, set()).add(self._phase(session))
            if session.channel.profile.context != "fsacd" or _bridged_on_their_way(session):
                moved.add(call_id)  # and whatever is done with them there, no event of it is for us
        now_us = self._switch.agenda.now_us
        for call_id, where in phases.items():
            silent = Phase.PARKED in where or call_id in moved
            if where & {Phase.WAITING, Phase.BETWEEN}:
                self._away_us.pop(call_id, None)
            elif self._away_us.get(call_id, (not silent, 0))[0] != silent:
                self._away_us[call_id] = silent, now_us  # who was parked, and hangs up there, is heard of only then
        for one in self._agents_legs():
            call_id = one.channel.variables.get("fsacd_call", "")
            where = phases.get(call_id, set())
            if one.channel.answered or where & {Phase.WAITING, Phase.BETWEEN}:
                continue
            # However many rings there have been: what counts is for how long the caller has been elsewhere, and heard.
            silent, since_us = self._away_us.get(call_id, (False, 0))
            patience_us = SILENT_US if silent else TOLD_US
            away_us = now_us - max(since_us, self._blind_us)
            known = f"leg {one.channel.uuid} for {call_id}: {sorted(where)}"
            if away_us > patience_us and not self.hears_again():
                yield ("rings for who is elsewhere", known), 0

    def _is_nobodys(self, person: Person) -> bool:
        session = person.line.session if person.line is not None else None
        if session is None or not (person.up and person.queues) or person.over or session.channel.down:
            return False
        channel = session.channel
        if session.talk is not None or channel.state is State.PARK or self.is_in_voicemail(channel.uuid):
            return False
        if channel.profile.destination.startswith(_TAKES_OVER):
            return False  # they have taken over a talk, and sent the other one away
        return not (
            self.is_known(channel.uuid) and channel.profile.context == "fsacd" and channel.state not in _BETWEEN
        )

    def is_known(self, leg: str) -> bool:
        """Whether a daemon serves and has a call whose caller is on this leg."""
        life = self._serving()
        return life is not None and life.engine._world.call_on(Leg(SWITCH, leg)) is not None

    def is_parked(self, leg: str) -> bool:
        """Whether somebody has parked it."""
        session = self._switch.sessions.get(leg)
        return session is not None and session.channel.state is State.PARK

    def is_in_voicemail(self, leg: str) -> bool:
        """Whether somebody's dialplan has the leg."""
        session = self._switch.sessions.get(leg)
        return session is not None and session.channel.profile.destination == _VOICEMAIL

    # --- at the end ---

    def conclude(self) -> None:
        """All have gone: every call has one end, and it is the true one."""
        life = self._serving()
        if life is None:
            self.wrong("nobody serves", "at the end no daemon serves the switch")
            return
        for call_id, biography in self.lives.items():
            if call_id in self._known and (why := biography.contradicts(self._stands(call_id))):
                self.wrong("untrue end", f"call {call_id}: {why}; it was {biography}")
        world = life.engine._world
        for thing in (*world.calls, *world.offers):
            self.wrong("left over", f"{thing} is known when all have gone")
        for session in self._switch.sessions.values():
            if session.channel.variables.get("fsacd_leg") in {"caller", "agent"}:
                self.wrong("left over", f"leg {session.channel.uuid} is on the switch when all have gone")
        for view in life.engine.snapshot(life.engine.now_ms).agents:
            if view.state in {"offered", "talking", "held_back", "wrapping_up", "outside_call"}:
                self.wrong("left over", f"agent {view.agent_id} is {view.state} when all have gone")
        life.engine.check()

    def _stands(self, call_id: str) -> CallEnded | None:
        rows = self._rows.get(call_id, [])
        return max(rows, key=lambda row: standing(row.evidence, row.epoch, row.ended_ms), default=None)


def _bridged_on_their_way(session: ports.Leg) -> bool:
    """Whether somebody ordered the bridge in the milliseconds in which the caller was on the way into the queue.

    The bridge is told with the context in which the caller was then, which is not fsacd's: no filter lets it pass. That
    they miss two announcements is what tells it.
    """
    if session.talk is None:
        return False
    teller = session.talk.partner(session).channel
    return teller.other_type == "originatee" and teller.other is not None and teller.other.context != "fsacd"


def _is_ours(session: ports.Leg) -> bool:
    return session.channel.variables.get("fsacd_leg") == "agent"
