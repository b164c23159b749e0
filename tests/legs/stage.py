"""The simulated stage: the deeds that people, phones and strangers can do in a scene, and the end of a story.

A deed is a tuple of words, so that a sequence is a list that can be printed, kept, and played on a real switch, too
(tests/e2e/rig/legs.py knows the same words). What cannot be done (nobody rings, somebody has gone) does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from fsacd.sim import registrar
from fsacd.sim.agenda import MS
from fsacd.sim.phones import Caller, Line
from tests.legs.people import Person
from tests.legs.scene import REGISTERED, Scene

Deed = tuple[str, ...]
# An INVITE is carried out by then.
_ARRIVES_MS = 100


class Stage(Scene):
    """A scene, and what can be done in it: one story from its first moment to its last; `close` it."""

    def __init__(self, seed: int = 1) -> None:
        self.story: list[Deed] = []
        self._replaced_us = -_ARRIVES_MS * MS  # when somebody was last to be replaced
        super().__init__(seed)

    # --- deeds ------------------------------------------------------------------------------------------------------

    def do(self, deed: Deed) -> None:
        """Do it, and note it."""
        self.story.append(deed)
        name, *words = deed
        getattr(self, f"do_{name}")(*words)

    def play(self, deeds: Sequence[Deed]) -> None:
        """All of them, one after the other."""
        for deed in deeds:
            self.do(deed)

    def do_wait(self, ms: str) -> None:
        """Time passes."""
        self.let(float(ms))

    def _place_call(self, label: str, dials: str, user: str = "", replaces: Line | None = None) -> Person:
        number = user or f"4930{int(label[1:]):04d}"
        person = Person(label, number, self.judge.person_ended, queues=dials.startswith("queue-"))
        self.people[label] = person
        person.line = self.switch.call(Caller(number, dials, user=user), person, replaces)
        return person

    def do_call(self, label: str, queue_name: str) -> None:
        """A caller calls a queue."""
        self._place_call(label, f"queue-{queue_name}")

    def do_replace(self, label: str, old: str) -> None:
        """The caller goes on at another phone of theirs, which replaces the call (INVITE with Replaces).

        One thing is FreeSWITCH's own, and left out: in the forty milliseconds in which a bridge is being made those who
        are about to talk are cut off, and the new leg with them. Another one is known and not mended: who replaces one
        who has taken over a place, and of whom no daemon has heard yet, bears nothing any more that leads to the queue.
        Within the tenth of a second in which the first INVITE is carried out no hand is so quick.
        """
        self._let_replaces_arrive()
        line = self._line(old)
        if line is not None and not self._is_being_bridged(line) and not self._is_unheard_heir(line):
            self.people[old].let_go = True
            person = self._place_call(label, "queue-support", replaces=line)
            self._replaced_us = self.agenda.now_us
            person.has_place = self.judge.is_known(line.uuid) and not self.judge.is_parked(line.uuid)
            # Who takes over a voicemail waits for no queue (and FreeSWITCH parts its tone at the commas, and fails).
            person.queues = not self.judge.is_in_voicemail(line.uuid)

    def _let_replaces_arrive(self) -> None:
        """Whom somebody is about to replace stays where they are meanwhile; see `do_replace`.

        Who takes over a leg that is just being transferred executes what that leg did last, for ever: a talk's caller
        hears the queue's music, in no queue. That is FreeSWITCH's own.
        """
        if self.agenda.now_us < self._replaced_us + _ARRIVES_MS * MS:
            self.let(_ARRIVES_MS)

    def do_hang_up(self, label: str) -> None:
        """They put the receiver down."""
        if (line := self._line(label)) is not None and line.session is not None and line.session.talk is not None:
            self._let_replaces_arrive()  # whom they talk with may be about to go on at another phone
        if (line := self._line(label)) is not None:
            self.people[label].let_go = True
            if (leg := line.session) is not None and leg.talk is not None:
                self.judge.released(leg.talk.partner(leg).channel.uuid)
            line.hang_up()

    def do_hold(self, label: str) -> None:
        """They hold whom they hear."""
        if (line := self._line(label)) is not None:
            line.hold()

    def do_unhold(self, label: str) -> None:
        """They listen again."""
        if (line := self._line(label)) is not None:
            line.hold(off=True)

    def do_refer(self, label: str, dials: str) -> None:
        """A caller asks the switch to send whom they talk with to a number."""
        self._let_replaces_arrive()
        if (line := self._line(label)) is not None:
            self.judge.released(line.uuid)
            line.refer(dials)

    # --- strangers and operators

    def do_pick(self, label: str, caller: str, user: str = "") -> None:
        """Somebody takes the caller by their pick-up key."""
        self._let_replaces_arrive()
        if (line := self._line(caller)) is not None:
            self.judge.deed(line.uuid, "picked_up")
            self._place_call(label, f"pick-{line.uuid}", user)

    def do_bridge(self, label: str, caller: str) -> None:
        """An operator's script joins the caller with somebody who waits elsewhere."""
        self._let_replaces_arrive()
        if (line := self._line(caller)) is not None:
            self._place_call(label, "lab_voicemail")
            self.let(300)
            self.judge.deed(line.uuid, "picked_up")
            other = self.people[label].line
            assert other is not None
            self.switch.api("uuid_bridge", f"{other.uuid} {line.uuid}")

    def do_park(self, caller: str) -> None:
        """Somebody parks the caller."""
        self._let_replaces_arrive()
        if (line := self._line(caller)) is not None:
            self.judge.deed(line.uuid, "parked")
            self.switch.api("uuid_park", line.uuid)

    def do_unpark(self, caller: str) -> None:
        """And puts them back into the music."""
        self._let_replaces_arrive()
        line = self._line(caller)
        if line is not None and line.variables.get("fsacd_leg") == "caller":
            self.judge.deed(line.uuid, "put_back")
            self.switch.api("uuid_transfer", f"{line.uuid} fsacd_wait XML fsacd")

    def do_move(self, caller: str) -> None:
        """Somebody moves the caller to the voicemail."""
        self._let_replaces_arrive()
        if (line := self._line(caller)) is not None:
            self.judge.deed(line.uuid, "moved")
            self.switch.api("uuid_transfer", f"{line.uuid} lab_voicemail XML public")

    # --- agents' phones

    def do_answer(self, label: str) -> None:
        """The phone is picked up."""
        if self._rings(label):
            self.devices[label].answer()

    def do_refuse(self, label: str, cause: str) -> None:
        """The phone refuses, is busy, or diverts."""
        if self._rings(label):
            self.devices[label].rings[0].reject(cause)

    def do_agent_hangs_up(self, label: str) -> None:
        """The agent ends the talk."""
        self._let_replaces_arrive()
        if (line := self._talk(label)) is not None:
            self._release_partner(line)
            line.hang_up()

    def do_agent_refers(self, label: str, dials: str) -> None:
        """The agent hands whom they talk with to a number."""
        self._let_replaces_arrive()
        if (line := self._talk(label)) is not None:
            if (partner := self._partner(line)) is not None:
                self.judge.deed(partner.channel.uuid, "referred")
            line.refer(dials)

    def do_agent_consults(self, label: str, call: str, queue_name: str) -> None:
        """The agent calls a queue from their phone, to hand over to it whom they talk with."""
        if (line := self._talk(label)) is not None:
            line.hold()
            self._place_call(call, f"queue-{queue_name}", user=self.devices[label].agent)

    def do_agent_hands_over(self, label: str, call: str) -> None:
        """And does so: an attended REFER, by the first of the two calls."""
        self._let_replaces_arrive()
        line, other = self._talk(label), self._line(call)
        if line is not None and other is not None and (partner := self._partner(line)) is not None:
            self.judge.deed(partner.channel.uuid, "referred")
            self.judge.deed(other.uuid, "gave_place")
            self.people[call].let_go = True
            line.refer("queue-support", other)

    def do_agent_moves(self, label: str, call: str) -> None:
        """The agent goes on at another phone, which replaces their leg of the talk (INVITE with Replaces)."""
        if (line := self._talk(label)) is not None and (partner := self._partner(line)) is not None:
            self.judge.deed(partner.channel.uuid, "handed on")
            self._place_call(call, "taken-over", replaces=line)

    def do_agent_holds(self, label: str) -> None:
        """The agent holds."""
        if (line := self._talk(label)) is not None:
            line.hold()

    def do_agent_unholds(self, label: str) -> None:
        """And is back."""
        if (line := self._talk(label)) is not None:
            line.hold(off=True)

    def do_vanish(self, label: str) -> None:
        """A phone's plug is pulled while it does nothing, or rings."""
        device = self.devices[label]
        if not device.talks:
            device.vanish()

    def do_come_back(self, label: str) -> None:
        """It is back, at a new address; where it was is registered still."""
        device = self.devices[label]
        if not device.there:
            if device.agent in REGISTERED:
                del self.switch.phones[device.address]
                device.move()
            device.there = True
            self._plug_in(device)

    def do_register(self, label: str) -> None:
        """The phone registers (again)."""
        device = self.devices[label]
        if device.agent in REGISTERED and device.there:
            registrar.register(self.switch, device.user, device.address)

    def do_unregister(self, label: str) -> None:
        """The phone says goodbye; what it does it goes on doing."""
        device = self.devices[label]
        if device.agent in REGISTERED:
            registrar.unregister(self.switch, device.user, device.address)

    # --- the daemon and its link

    def do_cut(self, ms: str) -> None:
        """The link breaks for a while."""
        self.judge.blind()
        self.net.cut()
        self.let(float(ms))
        self.net.heal()

    def do_kill(self, ms: str) -> None:
        """The daemon is killed, and started again a while later."""
        self.judge.blind()
        self.lives[-1].kill()
        self.let(float(ms))
        self._begin()

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Everybody hangs up; a while later nothing and nobody is left, and every call has its one end."""
        self.let(CALM_MS)
        for label in list(self.people):
            self.do(("hang_up", label))
        for device in self.devices.values():
            for line in list(device.talks):
                self._release_partner(line)
                line.hang_up()
        self.let(QUIET_MS)
        self.judge.conclude()


# So long that whatever is wrong has been found out: two announcements, and a comparison.
CALM_MS = 36_000
QUIET_MS = 36_000
