"""Turns what an Event Socket client received into a few comparable lines, and compares two such traces.

A trace keeps what order and meaning depend on and drops what differs from run to run: uuids become caller1, caller2,
... and agent1, agent2, ..., times become milliseconds since the first line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

# The time of a call's queueing, in the text that its leg leaves to a leg that replaces it: it differs in each
# recording.
_QUEUED_AT = re.compile(r"(fsacd_heir=[^/^ ]*/)[0-9]+")

# The headers that a client decides by, and the short names under which a trace shows them.
HEADERS = (
    ("Channel-State", "state"),
    ("Channel-Call-State", "call"),
    ("Answer-State", "answer"),
    ("Hangup-Cause", "cause"),
    ("Application", "app"),
    ("Application-Data", "data"),
    ("Application-Response", "response"),
    ("Bridge-A-Unique-ID", "a"),
    ("Bridge-B-Unique-ID", "b"),
    ("Other-Type", "other"),
    ("Event-Subclass", "subclass"),
    ("Job-Command", "job"),
    ("DTMF-Digit", "digit"),
    ("Playback-Status", "status"),
    ("variable_fsacd_queue", "queue"),
)
# What rooms and REFER tell beyond that.
TALK_HEADERS = (
    ("att_xfer_original_call_id", "original"),
    ("att_xfer_destination_call_id", "destination"),
    ("att_xfer_replaced_by", "by"),
    ("variable_transfer_to", "transfer_to"),
    ("variable_endpoint_disposition", "disposition"),
    ("Action", "action"),
)

# Replies whose body differs with the version or the moment are compared by their first word.
MAX_REPLY = 60


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One event or reply. `who` is a leg ("caller1"), a job ("job originate") or "reply"."""

    at_ms: int
    who: str
    what: str
    about: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " ".join([f"{self.at_ms:6d}", self.who, self.what, *(f"{key}={value!r}" for key, value in self.about)])


def frames(raw: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """The Event Socket frames in a recording; an unfinished last one is left out."""
    at = 0
    while (end := raw.find(b"\n\n", at)) >= 0:
        head = raw[at:end].decode("utf-8", "replace")
        headers = dict(line.split(": ", 1) for line in head.split("\n") if ": " in line)
        length = int(headers.get("Content-Length", 0))
        at = end + 2 + length
        if at > len(raw):
            return
        yield headers, raw[end + 2 : at]


def _event(kind: str, body: bytes) -> dict[str, str]:
    if kind == "text/event-json":
        content = orjson.loads(body.decode("utf-8", "replace"))
        return {key: value if isinstance(value, str) else "|".join(value) for key, value in content.items()}
    head, _, rest = body.decode("utf-8", "replace").partition("\n\n")
    event = {name: unquote(value) for name, value in (line.split(": ", 1) for line in head.split("\n") if ": " in line)}
    return event | ({"_body": rest} if rest else {})


def trace(
    raw: bytes, jobs: Mapping[str, str] | None = None, headers: Sequence[tuple[str, str]] = HEADERS
) -> list[TraceLine]:
    """The comparable lines of a recording of all bytes that the switch sent, in `event plain` or `event json`.

    `jobs` names jobs by their Job-UUID; without a name a job goes by its command. `headers` are those to keep,
    each with the name under which the lines show it.
    """
    received = [
        (kind, head, body, _event(kind, body) if kind.startswith("text/event-") else {})
        for kind, head, body in ((head.get("Content-Type", ""), head, body) for head, body in frames(raw))
    ]
    names = _legs([event for *_, event in received])

    def short(text: str) -> str:
        return _QUEUED_AT.sub(r"\1ms", _UUID.sub(lambda hit: names.get(hit.group(), "uuid"), text).strip())

    lines: list[TraceLine] = []
    start_us: int | None = None
    now_us = 0
    for kind, head, body, event in received:
        if not event:
            lines.append(TraceLine(_ms(now_us, start_us), "reply", _reply(kind, head, body, short)))
            continue
        now_us = int(event.get("Event-Date-Timestamp", now_us))
        start_us = now_us if start_us is None else start_us
        uuid = event.get("Unique-ID", "")
        who = names[uuid] if uuid else _job(event, jobs or {})
        about = tuple((label, short(event[header])) for header, label in headers if header in event)
        if event.get("Event-Name") == "BACKGROUND_JOB":
            about += (("result", short(event.get("_body", ""))),)
        lines.append(TraceLine(_ms(now_us, start_us), who, event.get("Event-Name", "?"), about))
    return lines


def _job(event: dict[str, str], jobs: Mapping[str, str]) -> str:
    if "Job-Command" not in event:
        return "switch"
    return f"job {jobs.get(event.get('Job-UUID', ''), event['Job-Command'])}"


def _legs(events: list[dict[str, str]]) -> dict[str, str]:
    """A name for every leg: callers in the order of their arrival, rung legs in the order of their chosen uuids."""
    callers: dict[str, None] = {}
    rung: dict[str, None] = {}
    for event in events:
        if uuid := event.get("Unique-ID", ""):
            (callers if event.get("Call-Direction") == "inbound" else rung)[uuid] = None
    names = {uuid: f"caller{number}" for number, uuid in enumerate(callers, 1)}
    return names | {uuid: f"agent{number}" for number, uuid in enumerate(sorted(rung), 1)}


def _ms(now_us: int, start_us: int | None) -> int:
    return 0 if start_us is None else (now_us - start_us) // 1_000


def _reply(kind: str, head: dict[str, str], body: bytes, short: Callable[[str], str]) -> str:
    text = head.get("Reply-Text", "") or body.decode("utf-8", "replace")
    clean = short(text)
    if clean.startswith("+OK Job-UUID:"):
        return f"{kind} +OK Job-UUID"
    if clean.startswith("UP "):
        return f"{kind} UP"
    if clean.startswith("{"):
        return f"{kind} {{...}}"
    return f"{kind} {clean.splitlines()[0][:MAX_REPLY] if clean else ''}"


def write(lines: list[TraceLine]) -> str:
    """A trace as text, one line each, fields separated by tabs; `read` is its inverse."""
    return "".join(
        "\t".join([str(line.at_ms), line.who, line.what, *(f"{key}={value}" for key, value in line.about)]) + "\n"
        for line in lines
    )


def read(text: str) -> list[TraceLine]:
    """A trace from the text that `write` made. Raises ValueError for a line that is none."""
    lines = []
    for row in filter(None, text.split("\n")):
        at_ms, who, what, *about = row.split("\t")
        pairs = tuple((key, value) for key, _, value in (item.partition("=") for item in about))
        lines.append(TraceLine(int(at_ms), who, what, pairs))
    return lines


# Threads of a real switch race each other: only lines further apart than this have a reliable order (ms).
RACE_MS = 60


def differences(
    expected: list[TraceLine], actual: list[TraceLine], slack_ms: int = 80, race_ms: int = RACE_MS
) -> list[str]:
    """The differences that a client could notice, in sentences; empty when the traces agree.

    Every leg and every kind of job must have the same lines in the same order. Replies must come in the same order.
    Lines of different legs that lie further apart than `race_ms` must not change places. Each line's time may be off by
    `slack_ms` at most.
    """
    found: list[str] = []
    for who in dict.fromkeys([line.who for line in [*expected, *actual]]):
        wanted = [line for line in expected if line.who == who]
        got = [line for line in actual if line.who == who]
        for index in range(max(len(wanted), len(got))):
            one = wanted[index] if index < len(wanted) else None
            other = got[index] if index < len(got) else None
            if one is None or other is None or (one.what, one.about) != (other.what, other.about):
                found.append(f"{who}, line {index + 1}: expected {one}, got {other}")
                break
            if who != "reply" and abs(one.at_ms - other.at_ms) > slack_ms:
                found.append(f"{who}, line {index + 1}: {one.what} at {other.at_ms} ms instead of {one.at_ms} ms")
    return found + ([] if found else _swaps(expected, actual, race_ms))


def _swaps(expected: list[TraceLine], actual: list[TraceLine], race_ms: int) -> list[str]:
    """Lines that stand in another order although they were too far apart to race."""
    place: dict[tuple[str, int], int] = {}
    counts: dict[str, int] = {}
    for index, line in enumerate(actual):
        place[line.who, counts.get(line.who, 0)] = index
        counts[line.who] = counts.get(line.who, 0) + 1
    ranked: list[tuple[TraceLine, int]] = []
    counts = {}
    for line in expected:
        if line.who != "reply":
            ranked.append((line, place[line.who, counts.get(line.who, 0)]))
        counts[line.who] = counts.get(line.who, 0) + 1
    return [
        f"{late} stands before {early}"
        for at, (early, early_place) in enumerate(ranked)
        for late, late_place in ranked[at + 1 :]
        if late.at_ms - early.at_ms > race_ms and late_place < early_place
    ]
