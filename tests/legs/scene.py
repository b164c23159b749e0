"""The scene: a whole daemon on a simulated switch, in the switch's time, with phones and people, under a judge."""

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
from fsacd.sim.phones import Line
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


class Scene:
    """From the first moment of a story to its last; `close` it."""

    def __init__(self, seed: int = 1) -> None:
        self.agenda = Agenda(seed)
        self.switch = Switch(self.agenda, Settings(), lab_dialplan())
        self.time = VirtualTime(self.agenda)
        self.net = Net(self.switch, Random(f"net {seed}"))
        self.rules = centre_rules()
        self.lives: list[Life] = []
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

    def _is_being_bridged(self, line: Line) -> bool:
        session = line.session
        return session is not None and session.talk is None and partner_of(session) is not None

    def _release_partner(self, line: Line) -> None:
        if (partner := self._partner(line)) is not None:
            self.judge.released(partner.channel.uuid)
