"""What a broken or hostile switch may say, kind by kind: a stream of bytes for each, and what is to become of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import count, repeat
from typing import Final

_MIB: Final = 1024 * 1024
CALL: Final = "11111111-2222-4333-8444-555555555555"


class Outcome(Enum):
    """What becomes of a connection on which this is said."""

    ENDS = "it is ended, for no FreeSWITCH says that"
    LEFT_OUT = "it goes on, and these messages are left out"
    TAKEN = "it goes on, and nothing comes of it"


@dataclass(frozen=True)
class Kind:
    """One kind of malformed speech. `stream` begins it anew: pieces of bytes, for ever."""

    outcome: Outcome
    stream: Callable[[], Iterator[bytes]]


def frame(body: bytes, kind: str = "text/event-json") -> bytes:
    return b"Content-Length: %d\nContent-Type: %s\n\n%s" % (len(body), kind.encode(), body)


def event(**headers: object) -> bytes:
    return frame(json.dumps({"Event-Name": "CUSTOM", **headers}, separators=(",", ":")).encode())


def _again(*messages: bytes) -> Callable[[], Iterator[bytes]]:
    """These messages again and again, in portions that are worth sending."""
    portion = b"".join(messages) * max(1, 16_384 // len(b"".join(messages)))
    return lambda: repeat(portion)


def _endless(start: bytes, more: bytes) -> Callable[[], Iterator[bytes]]:
    """A message that never ends."""

    def stream() -> Iterator[bytes]:
        yield start
        yield from repeat(more * max(1, 16_384 // len(more)))

    return stream


def _trickle(message: bytes) -> Callable[[], Iterator[bytes]]:
    """Byte by byte."""

    def stream() -> Iterator[bytes]:
        while True:
            for byte in message:
                yield bytes([byte])

    return stream


def _new_calls() -> Iterator[bytes]:
    for number in count():
        uuid = f"{number % 0xFFFFFFFF:08x}-2222-4333-8444-555555555555"
        yield event(
            **{
                "Event-Subclass": "fsacd::queued",
                "Unique-ID": uuid,
                "variable_fsacd_call": uuid,
                "variable_fsacd_queue": "nowhere",
                "variable_fsacd_leg": "caller",
            }
        )


def _announcement(**headers: object) -> bytes:
    return event(**{"Event-Subclass": "fsacd::queued", "Unique-ID": CALL, "variable_fsacd_call": CALL, **headers})


def _deep(levels: int) -> bytes:
    return b'{"Event-Name":"CUSTOM","deep":' + b"[" * levels + b"]" * levels + b"}"


_NAMES: Final = {
    "a number for a name": b'{"Event-Name":5}',
    "null for a name": b'{"Event-Name":null}',
    "a list for a name": b'{"Event-Name":[["CUSTOM"]]}',
    "an object for a name": b'{"Event-Name":{"CUSTOM":1}}',
    "no name": b"{}",
}
_VALUES: Final[tuple[object, ...]] = (5, None, True, 1.5, {"a": {"b": "c"}}, [], [1], [[]], [{"a": 1}], ["x", 7])
_MANY: Final = json.dumps({"Event-Name": "CUSTOM", **{f"v{n}": "" for n in range(50_000)}}).encode()
_MANY_PLAIN: Final = b"Event-Name: CUSTOM\n" + b"".join(b"v%d: \n" % number for number in range(50_000))
_QUESTION: Final = b"Content-Type: auth/request\n\n"

KINDS: Final[dict[str, Kind]] = {
    **{what: Kind(Outcome.ENDS, _again(frame(body))) for what, body in _NAMES.items()},
    "a subclass that is no text": Kind(Outcome.TAKEN, _again(*(event(**{"Event-Subclass": v}) for v in _VALUES))),
    "values that are no text": Kind(
        Outcome.TAKEN,
        _again(
            *(
                _announcement(**{name: value})
                for value in _VALUES
                for name in ("Unique-ID", "variable_fsacd_call", "variable_fsacd_queue", "variable_fsacd_skills")
            )
        ),
    ),
    "legs with values that are no text": Kind(
        Outcome.TAKEN,
        _again(
            *(
                event(**{"Event-Name": name, "Unique-ID": value, "variable_fsacd_leg": leg, "Call-Direction": value})
                for value in _VALUES
                for name in ("CHANNEL_CREATE", "CHANNEL_PARK", "CHANNEL_BRIDGE", "CHANNEL_HANGUP", "BACKGROUND_JOB")
                for leg in ("caller", "agent", value)
            )
        ),
    ),
    "a name of 900 KiB": Kind(Outcome.TAKEN, _again(event(**{"Event-Name": "x" * 900 * 1024}))),
    "a value of 900 KiB": Kind(Outcome.TAKEN, _again(_announcement(variable_fsacd_queue="x" * 900 * 1024))),
    "legs with names of 900 KiB": Kind(
        Outcome.TAKEN,
        lambda: (
            event(
                **{
                    "Event-Name": "CHANNEL_CREATE",
                    "Unique-ID": f"{number}" + "x" * 900 * 1024,
                    "Call-Direction": "inbound",
                    "variable_user_name": "1002",
                }
            )
            for number in count()
        ),
    ),
    "an event of 12 MiB": Kind(Outcome.LEFT_OUT, _again(event(x="y" * 12 * _MIB))),
    "an answer of 12 MiB that nobody asked for": Kind(Outcome.ENDS, _again(frame(b"x" * 12 * _MIB, "api/response"))),
    "a length of 20 MiB": Kind(
        Outcome.ENDS, _endless(b"Content-Length: 20971520\nContent-Type: text/event-json\n\n", b"x")
    ),
    "a length of many digits": Kind(Outcome.ENDS, _endless(b"Content-Length: ", b"9")),
    "a negative length": Kind(Outcome.ENDS, _again(b"Content-Length: -1\nContent-Type: text/event-json\n\n")),
    "a notice of 1 MiB": Kind(Outcome.ENDS, _again(frame(b"x" * _MIB, "text/disconnect-notice"))),
    "a line of the log of 1 MiB": Kind(Outcome.ENDS, _again(frame(b"x" * _MIB, "log/data"))),
    "50,000 headers": Kind(Outcome.LEFT_OUT, _again(frame(_MANY))),
    "50,000 headers in plain": Kind(
        Outcome.LEFT_OUT,
        _again(frame(b"Event-Name: CUSTOM\n" + b"".join(b"v%d: \n" % n for n in range(50_000)), "text/event-plain")),
    ),
    "headers without end": Kind(Outcome.ENDS, _endless(b"Content-Type: text/event-json\n", b"X: y\n")),
    "500 levels": Kind(Outcome.TAKEN, _again(frame(_deep(500)))),
    "2,000 levels": Kind(Outcome.ENDS, _again(frame(_deep(2_000)))),
    "100,000 levels": Kind(Outcome.LEFT_OUT, _again(frame(_deep(100_000)))),
    "4,000,000 empty lists": Kind(
        Outcome.LEFT_OUT, _again(frame(b'{"Event-Name":"CUSTOM","x":[' + b",".join([b"[]"] * 4_000_000) + b"]}"))
    ),
    "300,000 empty lists": Kind(
        Outcome.LEFT_OUT, _again(frame(b'{"Event-Name":"CUSTOM","x":[' + b",".join([b"[]"] * 300_000) + b"]}"))
    ),
    "no JSON": Kind(Outcome.ENDS, _again(frame(b"{nonsense"))),
    "byte by byte": Kind(Outcome.TAKEN, _trickle(event(x="y" * 900 * 1024))),
    "a flood of events": Kind(Outcome.TAKEN, _again(event())),
    "a flood of announcements without sense": Kind(
        Outcome.TAKEN, _again(*(_announcement(variable_fsacd_call=f"'{n}'") for n in range(200)))
    ),
    "a flood of calls for no queue": Kind(Outcome.TAKEN, _new_calls),
    "a flood of feature codes": Kind(
        Outcome.TAKEN,
        _again(
            *(
                event(**{"Event-Subclass": "fsacd::feature", "variable_fsacd_user": f"9{n}", "Unique-ID": CALL})
                for n in range(200)
            )
        ),
    ),
    "a flood of notices": Kind(Outcome.TAKEN, _again(frame(b"Bye.\n", "text/disconnect-notice"))),
    "a flood of log lines": Kind(Outcome.TAKEN, _again(frame(b"x" * 1000, "log/data"))),
    "a flood of messages of no kind": Kind(Outcome.TAKEN, _again(frame(b"x" * 1000, "text/new"))),
    "answers that nobody asked for": Kind(Outcome.ENDS, _again(b"Content-Type: command/reply\nReply-Text: +OK\n\n")),
    "asked for the password again": Kind(Outcome.ENDS, _again(_QUESTION)),
    "bytes of nonsense": Kind(Outcome.ENDS, _again(bytes(range(256)) * 64)),
}

# Said instead of a greeting.
GREETINGS: Final[dict[str, bytes]] = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "an event first": event(),
    "a reply first": b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
    "more than the question": b"Content-Type: auth/request\nX: y\n\n",
    "something behind the question": _QUESTION + b"Content-Type: command/reply\n\n",
    "a refusal, then the question": b"Content-Type: text/rude-rejection\nContent-Length: 0\n\n" + _QUESTION,
    "a header without end": b"Content-Type: auth/request; " + b"x" * 100_000,
}


# --- answers: what becomes of the switch's own ------------------------------------------------------------------------


def _huge_numbers(body: bytes) -> bytes:
    return b"9" * 20 if body.strip().isdigit() else body


def _a_list_of_nonsense(body: bytes) -> bytes:
    """Eight megabytes of empty lists in the place of the list of all legs."""
    return b'{"row_count":1,"rows":[' + b",".join([b"[]"] * 2_700_000) + b"]}" if b'"row_count"' in body else body


def _many_large_legs(body: bytes) -> bytes:
    """A list of thousands of callers, and whatever is asked of one of them is answered with a megabyte."""
    if b'"row_count"' in body:
        rows = [{"uuid": f"{number:08x}-2222-4333-8444-555555555555", "context": "fsacd"} for number in range(5_000)]
        return json.dumps({"row_count": len(rows), "rows": rows}).encode()
    return json.dumps({"x": "y" * 1_000_000}).encode() if body.startswith(b"-ERR No such channel") else body


ANSWERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "numbers of twenty digits": _huge_numbers,
    "a list of nonsense": _a_list_of_nonsense,
    "a list of many large legs": _many_large_legs,
    "eight megabytes for every answer": lambda _body: b"x" * 8 * _MIB,
}
