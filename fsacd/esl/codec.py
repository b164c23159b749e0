"""Event Socket's wire format, pure: bytes go in, messages come out. No IO, no clock.

    message  = header-block LF [body]         header-block = 1*(name ": " value LF)
    body     = Content-Length bytes (not characters)

What FreeSWITCH sends is split at LF first and only then looked into, never the other way round: a caller's name may
hold `%0A`, and a decoder that unquotes before it splits lets that caller write headers of his own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

import orjson

# FreeSWITCH itself refuses larger bodies since 2026; a larger length can only be an attack or a broken stream.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_HEADER_BYTES: Final = 64 * 1024

HeaderValue = str | list[str]


class Kind(StrEnum):
    """What a message is, told from its Content-Type."""

    AUTH_REQUEST = "auth/request"
    COMMAND_REPLY = "command/reply"
    API_RESPONSE = "api/response"
    EVENT = "event"
    DISCONNECT = "text/disconnect-notice"
    RUDE_REJECTION = "text/rude-rejection"
    LOG = "log/data"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the switch. Of an event, `headers` are the event's own; of everything else, the message's."""

    kind: Kind
    headers: Mapping[str, HeaderValue]
    body: bytes = b""

    @property
    def name(self) -> str:
        """The event's name, or nothing."""
        return self.get("Event-Name")

    @property
    def subclass(self) -> str:
        """The subclass of a CUSTOM event, or nothing."""
        return self.get("Event-Subclass")

    def get(self, header: str, default: str = "") -> str:
        """One header as text; of a header with several values the first."""
        value = self.headers.get(header, default)
        if isinstance(value, str):
            return value
        return value[0] if value else default

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
_TOO_LONG: Final = f"FreeSWITCH announced a body of {{}} bytes; the limit is {MAX_BODY_BYTES}."
_JSON_TAIL: Final = b"\nContent-Type: text/event-json\n\n"


class Decoder:
    """Bytes in any portions → whole messages in order. One decoder serves one connection."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        # The whole length of the unfinished message, once its header block has been read; 0 before that. Until so
        # much is here nothing is looked at or copied again, so that a large body costs no more than its bytes.
        self._needed = 0
        self._error: str | None = None

    @property
    def partial_bytes(self) -> int:
        """How many bytes of an unfinished message are held; not 0 at the end of the stream means it was cut."""
        return self._held_bytes

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes, give the messages that are whole now. ProtocolError (also on every later call) for nonsense."""
        if self._error is not None:
            raise ProtocolError(self._error)
        if self._held_bytes:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes < self._needed:
                return []
            data = b"".join(self._held)
        messages: list[Message] = []
        try:
            rest = self._split(data, messages)
        except ProtocolError as error:
            self._error = str(error)
            raise ProtocolError(self._error, tuple(messages)) from error
        self._held = [data[rest:]]
        self._held_bytes = len(data) - rest
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
                    if length > MAX_BODY_BYTES:
                        raise ProtocolError(_TOO_LONG.format(length))
                    body_at = line_end + len(_JSON_TAIL)
                    end = body_at + length
                    if end > size:
                        self._needed = end - start
                        return start
                    messages.append(Message(Kind.EVENT, _read_json(data[body_at:end])))
                    start = end
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
        end = body_at + _body_length(kind, headers)
        if len(data) < end:
            self._needed = end - start
            return -1
        messages.append(_message(kind, headers, data[body_at:end]))
        return end


def _body_length(kind: Kind, headers: dict[str, str]) -> int:
    length = headers.get("Content-Length")
    if length is not None:
        return _length(length)
    if kind is Kind.EVENT or kind is Kind.API_RESPONSE:
        raise ProtocolError(f"FreeSWITCH sent {headers['Content-Type']} without Content-Length.")
    return 0


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
        raise ProtocolError(_TOO_LONG.format(text[:20]))
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
    return Message(kind, _read_json(body) if json else _read_plain(body))


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
    return event


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
