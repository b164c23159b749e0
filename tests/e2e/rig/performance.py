"""A performance: a play's steps, done on a stage when their cues come, and what the audience receives of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import orjson

from fsacd.sim.trace import HEADERS, TALK_HEADERS, TraceLine, trace
from tests.e2e.rig.play import EVENTS, Call, Cue, HangUp, Hold, Play, Press, Refer, Say, Step

# A play is over after this; then every leg is asked for, killed, and the last words are awaited.
END_MS = 5_000
CURTAIN_MS = 500
_WHEN = re.compile(r"\b(fsacd_queued_at|fsacd_stepped_at|fsacd_held_at|fsacd_back_at)=\d+")
_CONTACT = re.compile(r"sofia/trunk/\d+@[0-9.]+:\d+")
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
        return [_comparable(line) for line in trace(bytes(self.audience.kept), jobs, (*HEADERS, *TALK_HEADERS))]

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
            case "room":
                return f"00000000-0000-4000-9000-{self.play.name}{number:0>2}".ljust(36, "0")
            case _:
                # A caller who has not come yet has no uuid; nobody else has this one either.
                return self.audience.uuids.get(f"{kind}{number}", "00000000-0000-0000-0000-000000000000")


def _comparable(line: TraceLine) -> TraceLine:
    """Leave out what differs from run to run on one and the same switch.

    The dialplan notes moments in variables. And a playback that a hang-up ends says that the file was played, or that
    there was an error, as the hang-up finds the thread reading or not.
    """
    about = tuple((key, _CONTACT.sub("phone", _WHEN.sub(r"\1=...", value))) for key, value in line.about)
    if ("answer", "hangup") in about:
        about = tuple(pair for pair in about if pair[0] != "response")
    return replace(line, about=about)
