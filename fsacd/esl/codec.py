"""Event Socket's wire format, pure: bytes go in, messages come out. No IO, no clock.

    message  = header-block LF [body]         header-block = 1*(name ": " value LF)
    body     = Content-Length bytes (not characters)

What FreeSWITCH sends is split at LF first and only then looked into, never the other way round: a caller's name may
hold `%0A`, and a decoder that unquotes before it splits lets that caller write headers of their own.

The shape of messages is checked here and nowhere else. A message that no FreeSWITCH sends ends the connection
(ProtocolError): an event whose name is not text, or a malformed frame. An oversized message that a caller can cause on
a sound switch (an INVITE of a megabyte makes events as large) is left out alone: its bytes are dropped as they come,
and never held. A header's value is checked where it is read, by `Message.get`: checking all 140 headers of an event, of
which few are read, would cost a tenth of reading it. A value that is neither text nor a list that begins with text
counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote

import orjson

# FreeSWITCH itself refuses larger bodies since 2026; a larger length can only be an attack or a broken stream.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
# The header block of one message. A message's own headers are few; an event's stand in its body.
MAX_HEADER_BYTES: Final = 64 * 1024
# One event; they have some six kilobytes and 140 headers.
MAX_EVENT_BYTES: Final = 1024 * 1024
MAX_EVENT_HEADERS: Final = 4_096
# Only an event of this size can hold enough arrays and objects to do harm.
_LARGE: Final = 64 * 1024
# The answer to one api command: the longest is the list of all legs, about a kilobyte for each leg. All other answers
# are short, and have the second limit; the longest of them, everything about one leg, has some ten kilobytes.
MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
SHORT_REPLY_BYTES: Final = 256 * 1024
# Whatever else has a body: a notice of the end, a line of the log.
MAX_OTHER_BYTES: Final = 64 * 1024
# Arrays and objects in JSON that an answer holds: the list of all legs has one for each.
MAX_REPLY_PARTS: Final = 100_000

HeaderValue = str | list[str]


class Kind(StrEnum):
    """What kind of message it is, as its Content-Type says."""

    AUTH_REQUEST = "auth/request"
    COMMAND_REPLY = "command/reply"
    API_RESPONSE = "api/response"
    EVENT = "event"
    DISCONNECT = "text/disconnect-notice"
    RUDE_REJECTION = "text/rude-rejection"
    LOG = "log/data"
    OTHER = "other"


@dataclass(slots=True)
class Message:
    """One message of the switch. Of an event, `headers` are the event's own; of everything else, the message's.

    No code changes a message. It is not frozen, because that would cost each event half a microsecond. `size` is the
    length in bytes of an event's body, as it came. `name` is the event's, `subclass` that of a CUSTOM event, or
    nothing: they are read once, because each event is sorted by them at a dozen places.
    """

    kind: Kind
    headers: Mapping[str, HeaderValue]
    body: bytes = b""
    size: int = 0
    name: str = field(init=False, repr=False, compare=False)
    subclass: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.name = self.get("Event-Name")
        self.subclass = self.get("Event-Subclass") if self.name == "CUSTOM" else ""

    def get(self, header: str, default: str = "") -> str:
        """One header as text; of a header with several values the first."""
        # The value is checked: the type of `headers` says what FreeSWITCH sends, not what another program may send.
        value: Any = self.headers.get(header, default)
        if value.__class__ is str:
            return value
        if isinstance(value, list) and value:
            value = value[0]
        return value if isinstance(value, str) else default

    @property
    def text(self) -> str:
        """The body as text: an api response, a log line, a job's result. Bytes that are not UTF-8 become U+FFFD."""
        if self.kind is Kind.EVENT:
            return self.get("_body")
        return self.body.decode("utf-8", "replace")

    @property
    def data(self) -> str:
        """What greenswitch calls data: the reply's text of a command, the body of everything else."""
        if self.kind is Kind.COMMAND_REPLY:
            return self.get("Reply-Text")
        return self.text


class ProtocolError(Exception):
    """The stream is not Event Socket any more: close the connection. `before`: the whole messages that came first."""

    def __init__(self, sentence: str, before: tuple[Message, ...] = ()) -> None:
        super().__init__(sentence)
        self.before = before


# The order in which FreeSWITCH writes the two headers of every JSON event; a burst consists of nothing else.
_LENGTH: Final = b"Content-Length: "
_LENGTH_DIGITS: Final = 10
_TOO_LONG: Final = "FreeSWITCH announced a body of {} bytes; the limit is {}."
# Replaces an answer that is left out: its command is refused, and the order of the answers holds.
_REFUSED: Final = "-ERR the answer is longer than {} KiB and was left out"
_JSON_TAIL: Final = b"\nContent-Type: text/event-json\n\n"


class Decoder:
    """Bytes in any portions → whole messages in order. One decoder serves one connection.

    `longest_reply(n)` says how many bytes an answer may have when n other answers still come before it.
    """

    def __init__(self, longest_reply: Callable[[int], int] = lambda _: MAX_REPLY_BYTES) -> None:
        self._longest_reply = longest_reply
        # One buffer, however small the portions are: a list of single bytes would take forty times the memory.
        self._held = bytearray()
        # The whole length of the unfinished message, once its header block has been read; 0 before that. Until so
        # much is here nothing is looked at or copied again, so that a large body costs no more than its bytes.
        self._needed = 0
        # Bytes still to come of a body that is left out.
        self._unwanted = 0
        self._error: str | None = None
        # How many messages were left out, for their size or their many headers.
        self.left_out = 0

    @property
    def partial_bytes(self) -> int:
        """How many bytes of an unfinished message have come; not 0 at the end of the stream means it was cut."""
        return len(self._held) or self._unwanted

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes, give the messages that are whole now. ProtocolError (also on every later call) for nonsense."""
        if self._error is not None:
            raise ProtocolError(self._error)
        if self._unwanted:
            self._unwanted, data = max(0, self._unwanted - len(data)), data[self._unwanted :]
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return []
            data = bytes(self._held)
            self._held = bytearray()
        messages: list[Message] = []
        try:
            rest = self._split(data, messages)
        except ProtocolError as error:
            self._error = str(error)
            raise ProtocolError(self._error, tuple(messages)) from error
        if rest < len(data):
            self._held += memoryview(data)[rest:]
        return messages

    def _split(self, data: bytes, messages: list[Message]) -> int:
        """Append all whole messages; return where the unfinished one starts."""
        start, size = 0, len(data)
        self._needed = 0
        while start < size:
            # The fast lane: a burst consists of JSON events and nothing else.
            if data.startswith(_LENGTH, start):
                at = start + len(_LENGTH)
                line_end = data.find(b"\n", at, at + _LENGTH_DIGITS)
                digits = data[at:line_end]
                if line_end > at and data.startswith(_JSON_TAIL, line_end) and digits.isdigit():
                    length = int(digits)
                    body_at = line_end + len(_JSON_TAIL)
                    end = body_at + length
                    if length > MAX_EVENT_BYTES:
                        start = self._leave_out(Kind.EVENT, length, end, size)
                        continue
                    if end > size:
                        self._needed = end - start
                        return start
                    body = data[body_at:end]
                    start = end
                    if length > _LARGE and _parts(body) > MAX_EVENT_HEADERS:
                        self.left_out += 1
                        continue
                    headers = _read_json(body)
                    if len(headers) > MAX_EVENT_HEADERS:
                        self.left_out += 1
                    else:
                        messages.append(Message(Kind.EVENT, headers, b"", length))
                    continue
            end = self._slow(data, start, messages)
            if end < 0:
                return start
            start = end
        return start

    def _slow(self, data: bytes, start: int, messages: list[Message]) -> int:
        """One message of any kind; its end, or -1 when bytes are missing."""
        blank = data.find(b"\n\n", start, start + MAX_HEADER_BYTES)
        if blank < 0:
            if len(data) - start >= MAX_HEADER_BYTES:
                raise ProtocolError(f"FreeSWITCH sent more than {MAX_HEADER_BYTES // 1024} KiB without a message.")
            return -1
        headers = _read_headers(data[start:blank])
        kind = _KINDS.get(headers.get("Content-Type", ""), Kind.OTHER)
        body_at = blank + 2
        length = _body_length(kind, headers)
        end = body_at + length
        limit = _LIMITS.get(kind, MAX_OTHER_BYTES)
        if kind is Kind.API_RESPONSE and length > SHORT_REPLY_BYTES:
            limit = min(limit, self._longest_reply(sum(message.kind in _ANSWERS for message in messages)))
        if length > limit:
            if kind is Kind.API_RESPONSE:
                messages.append(Message(kind, headers, _REFUSED.format(limit // 1024).encode()))
            return self._leave_out(kind, length, end, len(data))
        if len(data) < end:
            self._needed = end - start
            return -1
        body = data[body_at:end]
        if kind is Kind.EVENT and length > _LARGE and _parts(body) > MAX_EVENT_HEADERS:
            self.left_out += 1
            return end
        message = _message(kind, headers, body)
        if kind is Kind.EVENT and len(message.headers) > MAX_EVENT_HEADERS:
            self.left_out += 1
        else:
            messages.append(message)
        return end

    def _leave_out(self, kind: Kind, length: int, end: int, size: int) -> int:
        """Pass over a body that is too long; where to go on. ProtocolError for what no FreeSWITCH sends so long."""
        limit = MAX_BODY_BYTES if kind in _LIMITS else MAX_OTHER_BYTES
        if length > limit:
            raise ProtocolError(_TOO_LONG.format(length, limit))
        self.left_out += 1
        self._unwanted = max(0, end - size)
        return min(end, size)


def _parts(body: bytes) -> int:
    """At most how many arrays and objects this JSON holds: an empty one takes two bytes here and eighty when parsed."""
    return body.count(b"[") + body.count(b"{")


def _body_length(kind: Kind, headers: dict[str, str]) -> int:
    length = headers.get("Content-Length")
    if length is not None:
        return _length(length)
    if kind is Kind.EVENT or kind is Kind.API_RESPONSE:
        raise ProtocolError(f"FreeSWITCH sent {headers['Content-Type']} without Content-Length.")
    return 0


# The longest message taken of each kind; a longer one is left out. A longer one of any other kind is a ProtocolError.
_LIMITS: Final[Mapping[Kind, int]] = {Kind.EVENT: MAX_EVENT_BYTES, Kind.API_RESPONSE: MAX_REPLY_BYTES}
_ANSWERS: Final = (Kind.API_RESPONSE, Kind.COMMAND_REPLY)
_KINDS: Final[Mapping[str, Kind]] = {
    "auth/request": Kind.AUTH_REQUEST,
    "command/reply": Kind.COMMAND_REPLY,
    "api/response": Kind.API_RESPONSE,
    "text/event-json": Kind.EVENT,
    "text/event-plain": Kind.EVENT,
    "text/disconnect-notice": Kind.DISCONNECT,
    "text/rude-rejection": Kind.RUDE_REJECTION,
    "log/data": Kind.LOG,
}


def _length(text: str) -> int:
    # int() alone would take "-1", "+5", "1_0" and digits of other scripts.
    if not (text.isascii() and text.isdigit()):
        raise ProtocolError(f"FreeSWITCH sent a Content-Length that is no number: {text[:40]!r}.")
    # The number of digits first: int() of a million digits would take its time.
    if len(text) > _LENGTH_DIGITS or int(text) > MAX_BODY_BYTES:
        raise ProtocolError(_TOO_LONG.format(text[:20], MAX_BODY_BYTES))
    return int(text)


def _read_headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(":")
        # A line without a colon is the rest of a value with a newline in it, or nonsense; neither names a header.
        if not colon:
            continue
        name = name.strip(" \r")
        if name in headers:
            if name in {"Content-Length", "Content-Type"}:
                raise ProtocolError(f"FreeSWITCH sent {name} twice in one message.")
            # The first one is FreeSWITCH's; a later one may stem from text that it echoes.
            continue
        headers[name] = value.strip(" \r")
    return headers


def _message(kind: Kind, headers: dict[str, str], body: bytes) -> Message:
    if kind is not Kind.EVENT:
        return Message(kind, headers, body)
    json = headers["Content-Type"] == "text/event-json"
    return Message(kind, _read_json(body) if json else _read_plain(body), b"", len(body))


def _read_json(body: bytes) -> dict[str, HeaderValue]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        # FreeSWITCH passes bytes above 127 through as the caller sent them, so a name in Latin-1 breaks the JSON.
        try:
            event = orjson.loads(body.decode("utf-8", "replace"))
        except orjson.JSONDecodeError as error:
            raise ProtocolError("FreeSWITCH sent an event that is no JSON.") from error
    if type(event) is not dict:
        raise ProtocolError("FreeSWITCH sent an event that is no JSON object.")
    if type(event.get("Event-Name")) is not str:
        raise ProtocolError("FreeSWITCH sent an event whose Event-Name is no text.")
    return event


def read_leg(text: str) -> dict[str, HeaderValue]:
    """The headers of one leg from an api answer, as an event would have them; empty for any other answer.

    An answer comes because somebody asked: what is wrong with it concerns them, not the connection.
    """
    if len(text) > MAX_EVENT_BYTES:
        return {}
    try:
        leg = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}  # an error in words, or no answer
    return leg if isinstance(leg, dict) and len(leg) <= MAX_EVENT_HEADERS else {}


def read_rows(text: str) -> list[dict[str, str]] | None:
    """The rows of an answer to `show … as json`, each with its text values; no rows for any other answer.

    None for an answer with too many arrays and objects to parse: it says nothing about the legs.
    """
    if text.count("[") + text.count("{") > MAX_REPLY_PARTS:
        return None
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []  # an error in words
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        return []
    return [
        {name: value for name, value in row.items() if isinstance(value, str)} for row in rows if isinstance(row, dict)
    ]


def _read_plain(body: bytes) -> dict[str, HeaderValue]:
    """`event plain`: lines first, unquoting second, each value by itself; a body follows the empty line."""
    head, _, rest = body.partition(b"\n\n")
    event: dict[str, HeaderValue] = {}
    for line in head.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(": ")
        if not colon or name in event:
            continue
        value = unquote(value, errors="replace")
        event[name] = value.removeprefix("ARRAY::").split("|:") if value.startswith("ARRAY::") else value
    if "Content-Length" in event:
        event["_body"] = rest.decode("utf-8", "replace")
    return event
