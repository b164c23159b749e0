"""Two stages for the same play: a real FreeSWITCH and the simulated one. `perform` gives what the audience received."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import gevent
import orjson
from gevent import socket

from fsacd.sim.agenda import MS, SECOND, Agenda
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.listener import Listener, connect
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.sim.trace import TraceLine, trace
from tests.e2e.rig.play import EVENTS, Call, Cue, HangUp, Hold, Play, Press, Refer, Say, Step
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.sip import replaces as replaced
from tests.e2e.rig.switch import PASSWORD, REPOSITORY

# A play is over after this; then every leg is asked for, killed, and the last words are awaited.
END_MS = 5_000
CURTAIN_MS = 500
# How often FreeSWITCH looks after an idle connection.
POLL_MS = 20
_WHEN = re.compile(r"\b(fsacd_queued_at|fsacd_stepped_at|fsacd_back_at)=\d+")
_NEVER = (float("inf"), -1)
_WORD = re.compile(r"@([a-z]+)(\d+)@")


@dataclass
class Moments:
    """When things were really done (ms since the play began): steps by number, phones by label and how often rung."""

    steps: dict[int, float] = field(default_factory=dict)
    phones: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    # How long the switch had been up then (ms): the dialplan counts its seconds from there.
    uptime_ms: float = 0.0


class End(NamedTuple):
    """The far end of a leg: whose it is, and the leg's uuid on the switch ("" while there is none)."""

    user: str
    uuid: str


NOBODY = End("", "")


class Stage(Protocol):
    """Where a play is performed."""

    contacts: dict[str, str]

    def now_ms(self) -> float:
        """Since the play began."""

    def rest(self, until_ms: float) -> None:
        """Let time pass until something may have been written, at the latest until then."""

    def call(self, number: str, dials: str, replaces: End) -> None:
        """A caller calls; `replaces` is the other one whose call theirs shall replace."""

    def refer(self, end: End, dials: str, replaces: End) -> None:
        """The far end of a leg sends a REFER; `replaces` is another call of theirs, into whose place it leads."""

    def hold(self, end: End, *, off: bool) -> None:
        """The far end of a leg puts it on hold, or takes it back."""

    def press(self, end: End, digits: str) -> None:
        """The far end of an answered leg presses keys."""

    def hang_up(self, end: End) -> None:
        """The far end of an answered leg hangs up."""

    def send(self, command: str) -> None:
        """Write a command to the Event Socket."""

    def read(self) -> bytes:
        """What the Event Socket has written since."""


@dataclass
class Audience:
    """Collects what belongs to this play; others may be performed on the same switch."""

    play: Play
    kept: bytearray = field(default_factory=bytearray)
    uuids: dict[str, str] = field(default_factory=dict)
    # What has happened: event and label of the leg or job → when (ms).
    seen: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    replies: int = 0
    _tail: bytes = b""

    def __post_init__(self) -> None:
        self.uuids = {label: self.play.uuid(label) for label in self.play.phones}

    def feed(self, data: bytes, now_ms: float) -> None:
        """Take frames apart as they come."""
        self._tail += data
        while (end := self._tail.find(b"\n\n")) >= 0:
            length = re.search(rb"Content-Length: (\d+)", self._tail[:end])
            stop = end + 2 + (int(length[1]) if length else 0)
            if stop > len(self._tail):
                return
            frame, body, self._tail = self._tail[:stop], self._tail[end + 2 : stop], self._tail[stop:]
            if b"text/event-json" not in frame[: end + 2]:
                self.replies += 1
                self.kept += frame
            elif self._note(orjson.loads(body.decode("utf-8", "replace")), now_ms):
                self.kept += frame

    def _note(self, event: Mapping[str, str], now_ms: float) -> bool:
        """Remember what happened to whom; False when it happened to nobody of this play."""
        uuid, name = event.get("Unique-ID", ""), event["Event-Name"]
        if job := event.get("Job-UUID", ""):
            label = job.removeprefix(f"job-{self.play.name}-") if job.startswith(f"job-{self.play.name}-") else ""
        else:
            number = event.get("Caller-Orig-Caller-ID-Number", event.get("Caller-Caller-ID-Number", ""))
            if name == "CHANNEL_CREATE" and event.get("Call-Direction") == "inbound" and number in self.play.numbers:
                self.uuids[self.play.numbers[number]] = uuid
            label = next((label for label, mine in self.uuids.items() if mine == uuid), "")
        if label:
            kind = event["Event-Subclass"] if name == "CUSTOM" else name
            self.seen.setdefault((kind, label), []).append(now_ms)
        if name == "CHANNEL_BRIDGE":
            second = next((label for label, mine in self.uuids.items() if mine == event["Bridge-B-Unique-ID"]), "")
            self.seen.setdefault(("BRIDGED", second), []).append(now_ms)
        return bool(label)


class Performance:
    """One performance of a play on a stage. With the `moments` of another one it keeps to that one's times."""

    def __init__(self, play: Play, stage: Stage, moments: Moments | None = None) -> None:
        self.play = play
        self.stage = stage
        self.audience = Audience(play)
        self.done: dict[int, float] = {}
        self._moments = moments or Moments()
        self._steps = dict(enumerate(play.steps))
        self._sent: dict[str, float] = {}

    def run(self) -> list[TraceLine]:
        """From the first step to the last leg's end."""
        self.stage.send(f"event json {EVENTS}")
        self._until(END_MS)
        for label in sorted(self.audience.uuids):
            self._say(f"api uuid_exists @{label}@")
            self._say(f"api uuid_kill @{label}@")
        self._until(END_MS + CURTAIN_MS)
        jobs = {f"job-{self.play.name}-job{number}": f"job{number}" for number in range(1, 20)}
        return [_comparable(line) for line in trace(bytes(self.audience.kept), jobs)]

    def _until(self, end_ms: float) -> None:
        while self.stage.now_ms() < end_ms:
            self._pass(end_ms)

    def _pass(self, end_ms: float) -> None:
        self.audience.feed(self.stage.read(), self.stage.now_ms())
        now_ms = self.stage.now_ms()
        due_ms, index = min(((self._due_ms(index, step), index) for index, step in self._steps.items()), default=_NEVER)
        if due_ms <= now_ms:
            self._do(self._steps.pop(index))
            self.done[index] = now_ms
        else:
            self.stage.rest(min(due_ms, end_ms))

    def _due_ms(self, index: int, step: Step) -> float:
        """A step waits for its cue also where the moments say that it was done earlier elsewhere."""
        moment = self._moments.steps.get(index)
        match step.cue:
            case None:
                return step.delay_ms if moment is None else moment
            case Cue(event="SENT", label=label):
                begun = [self._sent[label]] if label in self._sent else []
            case Cue(event=event, label=label):
                begun = self.audience.seen.get((event, label), [])
        nth = step.cue.nth
        if len(begun) < nth:
            return float("inf")
        return begun[nth - 1] + step.delay_ms if moment is None else max(begun[nth - 1], moment)

    def _do(self, step: Step) -> None:
        match step.deed:
            case Call(label=label, dials=dials, replaces=other):
                dials = _WORD.sub(lambda hit: self._word(hit[1], hit[2]), dials)
                self.stage.call(self.play.number(label), dials, self._end_of(other))
            case Refer(label=label, dials=dials, replaces=other):
                self.stage.refer(self._end_of(label), dials, self._end_of(other))
            case Hold(label=label, off=off):
                self.stage.hold(self._end_of(label), off=off)
            case Press(label=label, digits=digits):
                self.stage.press(self._end_of(label), digits)
            case HangUp(label=label):
                self.stage.hang_up(self._end_of(label))
            case Say(text=text, name=name):
                self._say(text)
                self._sent[name] = self.stage.now_ms()

    def _end_of(self, label: str) -> End:
        if not label:
            return NOBODY
        user = self.play.number(label) if label.startswith("caller") else self.play.user(label)
        return End(user, self.audience.uuids.get(label, ""))

    def _say(self, text: str) -> None:
        self.stage.send(_WORD.sub(lambda hit: self._word(hit[1], hit[2]), text))

    def _word(self, kind: str, number: str) -> str:
        match kind:
            case "phone":
                return self.stage.contacts[f"agent{number}"]
            case "job":
                return f"job-{self.play.name}-job{number}"
            case _:
                # A caller who has not come yet has no uuid; nobody else has this one either.
                return self.audience.uuids.get(f"{kind}{number}", "00000000-0000-0000-0000-000000000000")


def _comparable(line: TraceLine) -> TraceLine:
    """Leave out what differs from run to run on one and the same switch.

    The dialplan notes moments in variables. And a playback that a hang-up ends says that the file was played, or that
    there was an error, as the hang-up finds the thread reading or not.
    """
    about = tuple((key, _WHEN.sub(r"\1=...", value)) for key, value in line.about)
    if ("answer", "hangup") in about:
        about = tuple(pair for pair in about if pair[0] != "response")
    return replace(line, about=about)


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

    def __init__(self, play: Play, seed: int, moments: Moments) -> None:
        self._agenda = Agenda(seed, epoch_us=1_700_000_000 * SECOND + int(play.phase_ms * MS))
        self._switch = Switch(self._agenda, Settings(password=PASSWORD, heartbeat_s=1_000), lab_dialplan())
        self._switch.started_us = -int(moments.uptime_ms * MS)
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
    return dialplan


def simulate(play: Play, seed: int, moments: Moments | None = None) -> list[TraceLine]:
    """The play on the simulated switch, at the moments of a real performance if there are any."""
    moments = moments or Moments()
    return Performance(play, SimulatedStage(play, seed, moments), moments).run()


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
