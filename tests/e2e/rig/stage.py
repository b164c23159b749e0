"""Two stages for the same play: a real FreeSWITCH and the simulated one. `perform` gives what the audience received."""

from __future__ import annotations

import time
from dataclasses import replace

import gevent
from gevent import socket

from fsacd.sim.agenda import MS, SECOND, Agenda
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.listener import Listener, connect
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.sim.trace import TraceLine
from tests.e2e.rig.dialog import replaces as replaced
from tests.e2e.rig.performance import End, Moments, Performance
from tests.e2e.rig.play import Call, Play
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import PASSWORD, REPOSITORY

# How often FreeSWITCH looks after an idle connection.
POLL_MS = 20


class RealStage:
    """A real FreeSWITCH, in real time."""

    def __init__(self, play: Play, esl_port: int, telephones: Telephones, dead_port: int, uptime_ms: float) -> None:
        self._telephones = telephones
        self.contacts = {}
        for label, phone in play.phones.items():
            port = telephones.port if phone is not None else dead_port
            self.contacts[label] = f"sofia/trunk/{play.user(label)}@127.0.0.1:{port}"
            if phone is not None:
                telephones.scripts[play.user(label)] = phone
        self._socket = socket.create_connection(("127.0.0.1", esl_port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begun_s = time.monotonic()
        self.send(f"auth {PASSWORD}")
        self._socket.settimeout(0.0)
        self._uptime_ms, self._asked_s = uptime_ms, time.monotonic()

    def begin(self, phase_ms: float) -> None:
        """Wait for the given moment of a second: FreeSWITCH counts its timeouts in whole ones."""
        gevent.sleep((phase_ms / 1_000 - time.time()) % 1.0)
        self._begun_s = time.monotonic()
        self.uptime_ms = self._uptime_ms + (self._begun_s - self._asked_s) * 1_000

    def stop(self) -> None:
        """Leave."""
        self._socket.close()

    def acts(self, user: str) -> list[dict[str, float]]:
        """What a phone did (ms since the play began), for each time that it was rung."""
        rung = self._telephones.acts.get(user, [])
        return [{name: (at_s - self._begun_s) * 1_000 for name, at_s in acts.items()} for acts in rung]

    def now_ms(self) -> float:
        return (time.monotonic() - self._begun_s) * 1_000

    def rest(self, until_ms: float) -> None:
        gevent.sleep(min(0.001, max(0.0, until_ms - self.now_ms()) / 1_000))

    def call(self, number: str, dials: str, replaces: End) -> None:
        other = self._telephones.latest(replaces.user)
        self._telephones.call(number, dials, replaces=replaced(other) if other else "")

    def refer(self, end: End, dials: str, replaces: End) -> None:
        dialog, other = self._telephones.latest(end.user, "talking"), self._telephones.latest(replaces.user)
        if dialog is not None:
            target = f"sip:{dials}@127.0.0.1:{self._telephones.trunk_port}"
            self._telephones.refer(dialog, target, replaced(other) if other else "")

    def hold(self, end: End, *, off: bool) -> None:
        dialog = self._telephones.latest(end.user, "talking")
        if dialog is not None:
            self._telephones.hold(dialog, off=off)

    def press(self, end: End, digits: str) -> None:
        if (dialog := self._telephones.latest(end.user, "talking")) is not None:
            for digit in digits:
                self._telephones.press(dialog, digit)

    def hang_up(self, end: End) -> None:
        self._telephones.hang_up(end.user)

    def send(self, command: str) -> None:
        self._socket.sendall(f"{command}\n\n".encode())

    def read(self) -> bytes:
        try:
            return bytes(self._socket.recv(1_000_000))
        except BlockingIOError:
            return b""  # nothing yet


class SimulatedStage:
    """The simulated switch, in its own time; `seed` decides its races."""

    def __init__(self, play: Play, seed: int, moments: Moments, *, transfer_events: bool = False) -> None:
        self._agenda = Agenda(seed, epoch_us=1_700_000_000 * SECOND + int(play.phase_ms * MS))
        self._switch = Switch(self._agenda, Settings(password=PASSWORD, heartbeat_s=1_000), lab_dialplan())
        self._switch.started_us = -int(moments.uptime_ms * MS)
        self._switch.transfer_events = transfer_events
        self._switch.profiles |= {"agents", "trunk"}
        self._switch.globals["fsacd_lease"] = "1000000"
        self._switch.directory |= {"1001": ""}
        self.contacts = {}
        for label, phone in play.phones.items():
            address = f"{play.user(label)}@127.0.0.1:5080"
            self.contacts[label] = f"sofia/trunk/{address}"
            if phone is not None:
                self._switch.phones[address] = _Punctual(phone, moments.phones.get(label, []))
        self._listener: Listener = connect(self._switch, lambda: None)
        self.send(f"auth {PASSWORD}")

    def now_ms(self) -> float:
        return self._agenda.now_us / MS

    def rest(self, until_ms: float) -> None:
        # A real client sees what is written within a millisecond; the model need not look before there is anything.
        next_us = self._agenda.next_us() or 0
        self._agenda.run(min(max(self._agenda.now_us, next_us) + 1 * MS, int(until_ms * MS) + 1))

    def call(self, number: str, dials: str, replaces: End) -> None:
        other = self._switch.locate(replaces.uuid)
        self._switch.call(Caller(number, dials), ScriptedPhone(), replaces=other.line if other else None)

    def refer(self, end: End, dials: str, replaces: End) -> None:
        if line := self._line(end):
            line.refer(dials, self._line(replaces))

    def hold(self, end: End, *, off: bool) -> None:
        if line := self._line(end):
            line.hold(off=off)

    def press(self, end: End, digits: str) -> None:
        if line := self._line(end):
            line.press(digits)

    def hang_up(self, end: End) -> None:
        if line := self._line(end):
            line.hang_up()

    def _line(self, end: End) -> Line | None:
        """The far end of an answered leg."""
        session = self._switch.locate(end.uuid)
        return session.line if session is not None and session.channel.answered else None

    def send(self, command: str) -> None:
        self._listener.feed(f"{command}\n\n".encode())

    def read(self) -> bytes:
        data = bytes(self._listener.out)
        self._listener.sent(len(data))
        return data


class _Punctual:
    """A phone that does what its script says, at the moments at which the same phone did it elsewhere."""

    def __init__(self, script: ScriptedPhone, moments: list[dict[str, float]]) -> None:
        self._script = script
        self._moments = list(moments)

    def invited(self, line: Line) -> None:
        now_ms = line.switch.agenda.now_us / MS
        done = self._moments.pop(0) if self._moments else {}
        script = replace(self._script)
        for name, at_ms in done.items():
            setattr(script, name, max(0.0, at_ms - now_ms))
        script.invited(line)

    def answered(self, line: Line) -> None:
        """It places no calls."""

    def talking(self, line: Line) -> None:
        """It hangs up when the play says so."""

    def ended(self, line: Line, cause: str) -> None:
        """Nothing to do."""


def lab_dialplan() -> Dialplan:
    """The dialplan on which the real switch of the lab runs, its global variables included."""
    dialplan = Dialplan()
    for file in ("lab/freeswitch.xml", "lab/dialplan.xml", "dialplan/fsacd.xml"):
        dialplan.read(REPOSITORY / "freeswitch" / file)
    dialplan.read(REPOSITORY / "freeswitch" / "dialplan" / "default" / "zz_fsacd_last.xml", context="public")
    return dialplan


def simulate(
    play: Play, seed: int, moments: Moments | None = None, *, transfer_events: bool = False
) -> list[TraceLine]:
    """The play on the simulated switch, at the moments of a real performance if there are any."""
    moments = moments or Moments()
    return Performance(play, SimulatedStage(play, seed, moments, transfer_events=transfer_events), moments).run()


def perform(play: Play, stage: RealStage) -> tuple[list[TraceLine], Moments]:
    """The play on a real switch, and when everything was done there."""
    stage.begin(play.phase_ms)
    try:
        performance = Performance(play, stage)
        lines = performance.run()
    finally:
        stage.stop()
    for index, step in enumerate(play.steps):
        if isinstance(step.deed, Call) and index in performance.done:
            # What counts is when the call came to the switch; the event that says so is up to half a poll older.
            came = performance.audience.seen.get(("CHANNEL_CREATE", step.deed.label), [0.0])[0]
            performance.done[index] = max(performance.done[index], came - POLL_MS / 2)
    phones = {label: stage.acts(play.user(label)) for label in play.phones}
    return lines, Moments(performance.done, phones, stage.uptime_ms)
