"""The simulated switch as it stood when the daemon of a0ed903 was killed, and today's daemon on what that one left.

What is told here again is what that daemon knew: who had come when, whose phone rang since when, who talked with whom.
Callers go through the dialplan of then, agents' legs are ordered with the words of then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import gevent

from fsacd.core.records import CallEnded, OfferClosed, Record
from fsacd.core.rules import Rules
from fsacd.core.views import Snapshot
from fsacd.journal import lines
from fsacd.sim import legs, registrar
from fsacd.sim.agenda import MS, Agenda
from fsacd.sim.originating import originate
from fsacd.sim.phones import Caller, Line
from fsacd.sim.program import fsacd_dialplan
from fsacd.sim.session import Session
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.sim.workload import OUTSIDE_LINE
from tests.chaos.life import Disk, Life
from tests.chaos.net import Net
from tests.chaos.virtual import WALL_S, VirtualTime
from tests.chaos.world import end_all, world

SWITCH = "simulated"
DIALPLAN = Path(__file__).parent / "a0ed903" / "freeswitch" / "dialplan"
# The switch is switched on so long before the daemon is killed.
BEFORE_MS = 90_000
# And so long after it today's daemon is started.
AWAY_MS = 2_000
CONNECT_MS = 20
# By then a caller is through the dialplan.
NAMED_MS = 500
FIRST_PORT = 20_001
# What callers have dialled, by the queue and the skills that they were found to need.
DIALLED = {
    ("sales", ()): "7100",
    ("sales", ("french",)): "7101",
    ("support", ()): "7200",
    ("support", ("german",)): "7201",
    ("billing", ()): "7300",
}


class Phone:
    """An agent's or a caller's phone. It rings until it is told to do something."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def invited(self, line: Line) -> None:
        """It rings."""
        self.lines.append(line)
        line.ring()

    def answered(self, line: Line) -> None:
        """A call that it placed is answered."""
        self.lines.append(line)

    def talking(self, line: Line) -> None:
        """Nothing to do."""

    def ended(self, line: Line, cause: str) -> None:
        """The receiver is down."""
        del cause
        if line in self.lines:
            self.lines.remove(line)

    def answer(self) -> None:
        """Take the call that rings."""
        self.lines[-1].answer()

    def hang_up(self) -> None:
        """Whatever it does, it stops."""
        for line in self.lines:
            line.hang_up()


@dataclass(frozen=True, slots=True)
class Row:
    """A record on its way to history. `again`: a daemon that goes on repeats what the one before may not have told."""

    record: Record
    again: bool


class Then:
    """All of it; `close` it. `state` is the memory of the daemon that was killed, as its own code writes it down."""

    def __init__(self, left: Path, journal: Path, rules: Rules) -> None:
        self.state = state = snapshot_of(left / "taken")
        self.agenda = Agenda(1)
        self.switch = Switch(self.agenda, Settings(), fsacd_dialplan(directory=DIALPLAN))
        self.time = VirtualTime(self.agenda)
        self.net = Net(self.switch, Random(1))
        self.rules = rules
        self.rows: list[Row] = []
        self.faults: list[str] = []
        self.lives: list[Life] = []
        self.phones = {agent["agent_id"]: Phone() for agent in state["agents"]}
        self.callers = {call["call_id"]: Phone() for call in state["calls"]}
        self._journal = journal
        self._begins_ms: int = state["now_ms"] - BEFORE_MS
        self._closing = ExitStack()
        self._closing.enter_context(patch("tests.chaos.life.SWITCH", SWITCH))
        # To the daemon the machine has been switched off meanwhile: its clock goes on by the wall's.
        self.time.wall_ahead_s = (_wall_ms(left / "taken") - BEFORE_MS) // 1_000 - WALL_S
        self._closing.enter_context(world(self.time, 1, self._greenlet_failed))
        self._closing.callback(lambda: end_all(self.time, self.lives))
        self._tell()
        self.let(BEFORE_MS + AWAY_MS)

    def close(self) -> None:
        """Leave nothing behind."""
        self._closing.close()

    def _greenlet_failed(self, context: object, kind: type[BaseException], value: object, _trace: object) -> None:
        if not issubclass(kind, gevent.GreenletExit):
            self.faults.append(f"{context} failed: {kind.__name__}: {value}")

    def let(self, ms: float) -> None:
        """Let the time pass."""
        self.time.advance(self.agenda.now_us + int(ms * MS), lambda: None)

    # --- what has happened until then ---------------------------------------------------------------------------------

    def _at(self, engine_ms: int) -> int:
        return (engine_ms - self._begins_ms) * MS

    def _tell(self) -> None:
        # As a daemon that serves writes it again and again.
        self.switch.api("global_setvar", f"fsacd_lease={BEFORE_MS // 1_000 + 60}")
        for number, (agent_id, phone) in enumerate(self.phones.items()):
            address = f"{agent_id}@127.0.0.1:{FIRST_PORT + number}"
            self.switch.phones[address] = phone
            registrar.register(self.switch, agent_id, address)
        for agent in self.state["agents"]:
            for leg in agent["outside"]:
                caller = Caller(agent["agent_id"], f"{OUTSIDE_LINE}4930", context="default", user=agent["agent_id"])
                self._invite(agent["since_ms"], caller, leg["uuid"], self.phones[agent["agent_id"]])
        for call in self.state["calls"]:
            dialled = DIALLED[call["queue"], tuple(skill for skill, _ in call["required"])]
            caller = Caller(call["number"], dialled, call["name"])
            session = self._invite(call["arrived_ms"], caller, call["leg"]["uuid"], self.callers[call["call_id"]])
            # Nobody has heard yet what the switch has called the call.
            rename = partial(session.channel.variables.__setitem__, "fsacd_call", call["call_id"])
            self.agenda.at(self._at(call["arrived_ms"] + NAMED_MS), rename)
        for offer in self.state["offers"]:
            call = next(call for call in self.state["calls"] if call["call_id"] == offer["call_id"])
            self._ring(offer, call)

    def _invite(self, at_ms: int, caller: Caller, leg: str, phone: Phone) -> Session:
        """As `Switch.call`, but for the leg's name."""
        line = Line(self.switch, phone)
        channel = legs.inbound(leg, caller, self.agenda.epoch_us + self._at(at_ms))
        channel.variables = legs.inbound_variables(channel, self.switch.next_session_id(), caller, "127.0.0.1")
        line.session = session = Session(self.switch, channel, line)

        def come() -> None:
            self.switch.adopt(session)
            session.start()

        self.agenda.at(self._at(at_ms), come)
        return session

    def _ring(self, offer: dict[str, Any], call: dict[str, Any]) -> None:
        leg, caller_leg = offer["offer_id"], call["leg"]["uuid"]
        phone = self.phones[offer["agent_id"]]
        variables = {
            "origination_uuid": leg,
            "fsacd_leg": "agent",
            "fsacd_offer": leg,
            "fsacd_call": offer["call_id"],
            "fsacd_agent": offer["agent_id"],
            "ignore_early_media": "true",
            "hangup_after_bridge": "true",
            "park_timeout": "60",
            "loopback_bowout": "false",
            "export_vars": "fsacd_agent",
            "originate_timeout": "60",
            "sip_h_X-Fsacd-Call": offer["call_id"],
            "sip_h_X-Fsacd-Offer": leg,
            "sip_h_X-Fsacd-Queue": offer["queue"],
        }
        pairs = ",".join(f"{name}={value}" for name, value in variables.items())
        order = f"{{{pairs}}}user/{offer['agent_id']} &park() XML default '{call['name']}' {call['number']} 60"
        self.agenda.at(self._at(offer["started_ms"]), lambda: originate(self.switch, order, lambda _reply: None))
        if (answered_ms := offer["answered_ms"]) is None:
            return
        self.agenda.at(self._at(answered_ms), phone.answer)
        self._order(answered_ms + CONNECT_MS, "uuid_bridge", f"{caller_leg} {leg}")
        confirmed_ms = (offer["connected_ms"] or answered_ms) + 1_000
        if confirmed_ms < self.state["now_ms"]:
            self._order(confirmed_ms, "uuid_setvar_multi", f"{caller_leg} transfer_after_bridge=;fsacd_over=true")

    def _order(self, at_ms: int, command: str, words: str) -> None:
        def order() -> None:
            self.switch.api(command, words)

        self.agenda.at(self._at(at_ms), order)

    # --- today's daemon -----------------------------------------------------------------------------------------------

    def start(self) -> Life:
        """It reads what is left."""
        life = Life(
            "one",
            self._journal,
            self.rules,
            self.net,
            Disk(),
            self._write,
            lambda _records: None,
            lambda _life: None,
            lambda _life, _command: None,
            logs_in=False,
            seed=1,
        )
        self.lives.append(life)
        return life

    def _write(self, _instance: str, records: Sequence[Record], *, again: bool = False) -> None:
        self.rows += [Row(record, again) for record in records if isinstance(record, CallEnded | OfferClosed)]

    def until(self, condition: Callable[[], bool], ms: float) -> bool:
        """Let the time pass until this holds; whether it does within so long."""
        end_us = self.agenda.now_us + int(ms * MS)
        while not (holds := condition()) and self.agenda.now_us < end_us:
            self.let(100)
        return holds

    @property
    def shown(self) -> Snapshot:
        """What the daemon shows now."""
        engine = self.lives[-1].engine
        return engine.snapshot(engine.now_ms)

    @property
    def ended(self) -> list[CallEnded]:
        """The rows of calls that have ended since the start."""
        return [row.record for row in self.rows if isinstance(row.record, CallEnded) and not row.again]

    def all_hang_up(self) -> None:
        """Callers and agents put their receivers down; what rings is refused."""
        for phone in (*self.callers.values(), *self.phones.values()):
            phone.hang_up()

    # --- what is there on the switch ----------------------------------------------------------------------------------

    def callers_there(self) -> list[tuple[str, str]]:
        """Each caller's leg, with the call that it belongs to."""
        return sorted((one.channel.uuid, _call(one)) for one in self._legs("caller"))

    def talks(self) -> dict[str, str]:
        """Who talks: the call of each agent."""
        return {_agent(one): _call(one) for one in self._legs("agent") if one.talk is not None}

    def rings(self) -> dict[str, str]:
        """Whose phone rings: the call of each agent."""
        return {_agent(one): _call(one) for one in self._legs("agent") if one.talk is None}

    def _legs(self, kind: str) -> list[Session]:
        sessions = self.switch.sessions.values()
        return [one for one in sessions if one.channel.variables.get("fsacd_leg") == kind and not one.channel.down]


def snapshot_of(place: Path) -> dict[str, Any]:
    """The engine's memory, as it stands in a snapshot's file."""
    return lines.opened(_lines_of(place)[1])


def _wall_ms(place: Path) -> int:
    """What the wall clock said when it was taken."""
    head, memory = (lines.opened(line) for line in _lines_of(place)[:2])
    anchor = head["notes"]["anchor"]
    return int(anchor["wall_ms"] + memory["now_ms"] - anchor["engine_ms"])


def _lines_of(place: Path) -> list[bytes]:
    (file,) = place.glob("snapshot-*.json")
    return file.read_bytes().splitlines()


def _call(session: Session) -> str:
    return session.channel.variables["fsacd_call"]


def _agent(session: Session) -> str:
    return session.channel.variables["fsacd_agent"]
