"""Plays a recorded transcript's commands and callers against the simulated switch, in the model's own time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from fsacd.sim.agenda import MS, SECOND, Agenda
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.listener import connect
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.sim.trace import TraceLine, read, trace

TRANSCRIPTS = Path(__file__).parent / "transcripts"
END_US = 6 * SECOND
STEP_US = 1 * MS

# What the recorded switch's dialplan did with a caller.
CALLERS_DIALPLAN = """
<context name="public">
  <extension name="acd">
    <condition field="destination_number" expression="^acd$">
      <action application="set" data="hangup_after_bridge=true"/>
      <action application="set" data="fsacd_queue=support"/>
      <action application="answer"/>
      <action application="park"/>
    </condition>
  </extension>
</context>
"""


@dataclass(frozen=True)
class Scene:
    """The people of a recording: the caller's patience, the phones, and a second caller perhaps."""

    hangs_up_ms: float = 3_020
    phones: dict[str, ScriptedPhone] = field(default_factory=dict)
    second_caller_ms: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Command:
    """One recorded command and the time (µs from the connection) at which it was sent."""

    at_us: int
    text: str


def commands(name: str) -> list[Command]:
    """What was sent in the recording; a `Job-UUID:` line belongs to the command above it."""
    found: list[Command] = []
    for line in (TRANSCRIPTS / f"{name}.commands").read_text().splitlines():
        time, _, text = line.partition(" ")
        if re.fullmatch(r"\d+\.\d+", time):
            found.append(Command(int(float(time) * SECOND), text))
        elif line:
            found[-1] = Command(found[-1].at_us, f"{found[-1].text}\n{line}")
    return found


def expected(name: str) -> list[TraceLine]:
    """The recording itself."""
    return read((TRANSCRIPTS / f"{name}.trace").read_text())


def replay(name: str, scene: Scene, seed: int = 1) -> list[TraceLine]:
    """What the simulated switch makes of the same commands, callers and phones."""
    return _Replay(name, scene, seed).run()


class _Replay:
    def __init__(self, name: str, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.commands = commands(name)
        first_job_us = next(each.at_us for each in [*self.commands[2:], self.commands[-1]])
        self.arrival_us = 310 * MS if name.startswith(("12", "15")) else first_job_us - 22 * MS
        # The recordings began 0.6 s into a second, which decides when whole-second timeouts end.
        self.agenda = Agenda(seed, epoch_us=1_700_000_000 * SECOND + 600 * MS - self.arrival_us)
        dialplan = Dialplan()
        dialplan.add(CALLERS_DIALPLAN)
        self.switch = Switch(self.agenda, Settings(password="ClueCon", hostname="fs1.example.net"), dialplan)
        self.switch.phones.update(scene.phones)
        self.listener = connect(self.switch, lambda: None)
        self.recorded = expected(name)
        self.lines: list[Line] = []
        self.caller_uuid = ""

    def run(self) -> list[TraceLine]:
        self.agenda.at(self.arrival_us - MS, lambda: self._call("13800000001", self.scene.name))
        if self.scene.second_caller_ms is not None:
            due_us = self.arrival_us + int(self.scene.second_caller_ms * MS)
            self.agenda.at(due_us, lambda: self._call("13800000002", ""))
        for number, command in enumerate(self.commands):
            self._run_to(max(command.at_us, self.agenda.now_us))
            self._await_what_came_before(number)
            self.listener.feed(f"{self._here(command.text)}\n\n".encode())
        self._run_to(END_US)
        return trace(bytes(self.listener.out))

    def _call(self, number: str, name: str) -> None:
        phone = ScriptedPhone()
        line = self.switch.call(Caller(number, "acd", name), phone)
        self.lines.append(line)
        self.agenda.after(self.scene.hangs_up_ms * MS, line.hang_up)

    def _run_to(self, until_us: int) -> None:
        while self.agenda.now_us < until_us:
            self.agenda.run(min(until_us, self.agenda.now_us + STEP_US))

    def _await_what_came_before(self, number: int) -> None:
        """A recorded client sent some commands because of an event: here they wait for the same event."""
        if number < 2:
            return
        replies = [index for index, line in enumerate(self.recorded) if line.who == "reply"]
        before = self.recorded[: replies[number + 1]]
        wanted = [line for line in before if line.who != "reply" and line.what in {"CHANNEL_PARK", "CHANNEL_BRIDGE"}]
        deadline_us = self.agenda.now_us + 200 * MS
        while self.agenda.now_us < deadline_us:
            got = [line for line in trace(bytes(self.listener.out)) if line.what in {"CHANNEL_PARK", "CHANNEL_BRIDGE"}]
            if len(got) >= len(wanted):
                return
            self._run_to(self.agenda.now_us + STEP_US)

    def _here(self, text: str) -> str:
        """The recorded caller's uuid becomes the one of the caller who is here."""
        for uuid in re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text):
            if not uuid.startswith("00000000-") and self.lines:
                text = text.replace(uuid, self.lines[0].uuid)
        return text
