"""The simulated stage: a whole daemon, a simulated switch with phones and people, and the deeds that they can do.

A deed is a tuple of words, so that a sequence is a list that can be printed, kept, and played on a real switch, too
(tests/e2e/rig/legs.py knows the same words). What cannot be done (nobody rings, somebody has gone) does nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random

import gevent

from fsacd.core.commands import Command
from fsacd.core.records import Record
from fsacd.core.rules import AgentRules, HoldBack, Rules
from fsacd.sim import ports, registrar
from fsacd.sim.agenda import MS, Agenda
from fsacd.sim.phones import Caller, Line
from fsacd.sim.referring import partner_of
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.testing import agent, queue, rules_of
from tests.chaos.life import Disk, Life
from tests.chaos.net import Net
from tests.chaos.virtual import VirtualTime
from tests.chaos.world import end_all, world
from tests.e2e.rig.stage import lab_dialplan
from tests.legs.judge import Judge
from tests.legs.people import Device, Person

Deed = tuple[str, ...]
QUEUES = ("support", "sales")
# 1001 has two devices, 1002 two phones of one contact, the second in turn after the first; 1003 has one.
DEVICES = {
    "1001a": ("1001", "1001", 6001),
    "1001b": ("1001", "1001", 6002),
    "1002a": ("1002", "1002", 6003),
    "1002b": ("1002", "1002b", 6004),
    "1003a": ("1003", "1003", 6005),
}
REGISTERED = ("1001", "1003")
RING_MS = 8_000
START_MS = 1_500
# A talk that is shorter is none; see `limits.settle`.
SHORT = HoldBack(refused_ms=1_000, busy_ms=1_000, no_answer_ms=1_000, unreachable_ms=1_000)


def centre_rules() -> Rules:
    """Two queues that all three agents serve, with short pauses."""
    queues = [queue(name, ring_timeout_ms=RING_MS, wrap_up_ms=500, hold_back=SHORT) for name in QUEUES]
    return rules_of(*queues, *(_agent(agent_id) for agent_id in ("1001", "1002", "1003")))


def _agent(agent_id: str) -> AgentRules:
    rules = agent(agent_id, *QUEUES)
    if agent_id in REGISTERED:
        return rules
    contact = "|".join(
        f"[leg_timeout=4]sofia/internal/{user}@127.0.0.1:{port}"
        for of, user, port in DEVICES.values()
        if of == agent_id
    )
    return replace(rules, contact=contact)


# An INVITE is carried out by then.
_ARRIVES_MS = 100


class Stage:
    """One story from its first moment to its last; `close` it."""

    def __init__(self, seed: int = 1) -> None:
        self.agenda = Agenda(seed)
        self._replaced_us = -_ARRIVES_MS * MS  # when somebody was last to be replaced
        self.switch = Switch(self.agenda, Settings(), lab_dialplan())
        self.time = VirtualTime(self.agenda)
        self.net = Net(self.switch, Random(f"net {seed}"))
        self.rules = centre_rules()
        self.lives: list[Life] = []
        self.story: list[Deed] = []
        self.people: dict[str, Person] = {}
        self.devices = {label: Device(label, *about) for label, about in DEVICES.items()}
        self.judge = Judge(self.switch, self.serving, self.people.values)
        self._disk = Disk()
        self._closing = ExitStack()
        self._place = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="fsacd-legs-")))
        self._closing.enter_context(world(self.time, seed, self._greenlet_failed))
        self._closing.callback(lambda: end_all(self.time, self.lives))
        for device in self.devices.values():
            self._plug_in(device)
        self._begin(logs_in=True)
        self.let(START_MS)

    def close(self) -> None:
        """Leave nothing behind."""
        self._closing.close()

    def _greenlet_failed(self, context: object, kind: type[BaseException], value: object, _trace: object) -> None:
        if not issubclass(kind, gevent.GreenletExit):
            self.judge.wrong("greenlet", f"{context} failed: {kind.__name__}: {value}")

    def serving(self) -> Life | None:
        """The daemon, when it serves the switch and hears it."""
        life = self.lives[-1]
        return life if life.serves and not self.net.refusing else None

    def _begin(self, *, logs_in: bool = False) -> None:
        count: Callable[[Sequence[Record]], None] = lambda _records: None  # noqa: E731
        note: Callable[[Life, Command], None] = lambda _life, _command: None  # noqa: E731
        life = Life(
            "one",
            self._place / "one",
            self.rules,
            self.net,
            self._disk,
            self.judge.write,
            count,
            lambda _life: None,
            note,
            logs_in=logs_in,
            seed=len(self.lives) + 1,
        )
        self.lives.append(life)

    def let(self, ms: float) -> None:
        """Let the time pass, and look at every moment."""
        self.time.advance(self.agenda.now_us + int(ms * MS), self._look)

    def _look(self) -> None:
        self.judge.look()
        life = self.lives[-1]
        if life.alive and hasattr(life, "runtime") and life.runtime.failure:
            self.judge.wrong("engine", f"the engine failed: {life.runtime.failure}")
        for device in self.devices.values():
            if device.invited_again:
                device.invited_again = False
                self.judge.wrong("invited again", f"{device.label} has diverted the call, and is invited for it again")
        if life.control is not None and life.control.stats().handler_errors:
            self.judge.wrong("handler", "an event's handler failed")

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

    def do_hang_up(self, label: str) -> None:
        """They put the receiver down."""
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
        if (line := self._talk(label)) is not None:
            self._release_partner(line)
            line.hang_up()

    def do_agent_refers(self, label: str, dials: str) -> None:
        """The agent hands whom they talk with to a number."""
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

    # --- who is who ---------------------------------------------------------------------------------------------------

    def _plug_in(self, device: Device) -> None:
        self.switch.phones[device.address] = device
        if device.agent in REGISTERED:
            registrar.register(self.switch, device.user, device.address)

    def _line(self, label: str) -> Line | None:
        person = self.people.get(label)
        if person is None or person.over or not person.up or person.line is None:
            return None
        session = person.line.session
        return None if session is None or session.channel.down else person.line

    def _rings(self, label: str) -> bool:
        device = self.devices[label]
        return device.there and bool(device.rings)

    def _talk(self, label: str) -> Line | None:
        device = self.devices[label]
        return device.talks[0] if device.there and device.talks else None

    def _partner(self, line: Line) -> ports.Leg | None:
        session = line.session
        return session.talk.partner(session) if session is not None and session.talk is not None else None

    def _is_unheard_heir(self, line: Line) -> bool:
        session = line.session
        if session is None or session.channel.profile.dialplan != "inline" or session.talk is not None:
            return False
        return self.judge.hears_again() or not self.judge.is_known(line.uuid)

    def _let_replaces_arrive(self) -> None:
        """Whom somebody is about to replace stays where they are meanwhile; see `do_replace`."""
        if self.agenda.now_us < self._replaced_us + _ARRIVES_MS * MS:
            self.let(_ARRIVES_MS)

    def _is_being_bridged(self, line: Line) -> bool:
        session = line.session
        return session is not None and session.talk is None and partner_of(session) is not None

    def _release_partner(self, line: Line) -> None:
        if (partner := self._partner(line)) is not None:
            self.judge.released(partner.channel.uuid)

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
