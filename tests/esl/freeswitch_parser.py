"""How FreeSWITCH 1.10 reads a command, written down anew from its C code, for tests: the judge of what we encode.

mod_event_socket.c (read_packet, parse_command), switch_utils.c (switch_separate_string), switch_event.c (brackets).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Packet:
    """One command as FreeSWITCH cuts it out of the stream."""

    command: str
    headers: dict[str, str] = field(default_factory=dict)


def packets(stream: bytes) -> list[Packet]:
    """The commands in a stream of bytes; what follows the last empty line is not one yet."""
    found: list[Packet] = []
    current = bytearray()
    newlines = 0
    for byte in stream:
        current.append(byte)
        if current[0] in b"\r\n":
            current.clear()
            newlines = 0
            continue
        if byte == ord("\n"):
            newlines += 1
        elif byte != ord("\r"):
            newlines = 0
        if newlines == 2:
            found.append(_packet(bytes(current)))
            current.clear()
            newlines = 0
    return found


def _packet(raw: bytes) -> Packet:
    # The buffer is a C string, so nothing behind a NUL exists.
    text = raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    lowered = text.lower()
    if "unload" in lowered and "mod_event_socket" in lowered:
        return Packet("api bgapi unload mod_event_socket")
    if "reload" in lowered and "mod_event_socket" in lowered:
        return Packet("api bgapi reload mod_event_socket")
    first, *rest = [line for line in text.replace("\r", "\n").split("\n") if line]
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.lower(), value.lstrip(" "))
    return Packet(first, headers)


def separate(text: str, delimiter: str, limit: int) -> list[str]:
    """switch_separate_string: apostrophes and backslashes protect the delimiter."""
    if text.startswith("^^") and len(text) > 3:
        delimiter, text = text[2], text[3:]
    parts = _by_blank(text, limit) if delimiter == " " else _by_character(text, delimiter, limit)
    return [_clean(part, "" if delimiter == " " else delimiter) for part in parts]


def _by_blank(text: str, limit: int) -> list[str]:
    parts: list[str] = []
    at = 0
    while at < len(text) and len(parts) < limit:
        start = at
        while at < len(text) and text[at] == " ":
            at += 1
        quoted = False
        while at < len(text) and (text[at] != " " or quoted):
            if text[at] == "\\":
                at += 1
            elif text[at] == "'":
                quoted = not quoted
            at += 1
        parts.append(text[start:at])
        while at < len(text) and text[at] == " ":
            at += 1
    return parts


def _by_character(text: str, delimiter: str, limit: int) -> list[str]:
    parts: list[str] = []
    at = start = 0
    quoted = False
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "'" and (quoted or "'" in text[at + 1 :]):
            quoted = not quoted
        elif text[at] == delimiter and not quoted and len(parts) < limit - 1:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    if start < len(text):
        parts.append(text[start:])
    return parts


def _clean(text: str, delimiter: str) -> str:
    text = text.lstrip(" ")
    escapes = {"n": "\n", "r": "\r", "t": "\t", "s": " "}
    result = ""
    end = 0
    quoted = False
    at = 0
    while at < len(text):
        following = text[at + 1 : at + 2]
        if text[at] == "\\" and following and (following in "'\"\\" or following == delimiter or following in escapes):
            result += escapes.get(following, following)
            end = len(result)
            at += 2
            continue
        if text[at] == "'" and (quoted or "'" in text[at + 1 :]):
            quoted = not quoted
            if quoted:
                end = len(result)
        else:
            result += text[at]
            if text[at] != " " or quoted:
                end = len(result)
        at += 1
    return result[:end]


def brackets(dial: str) -> tuple[dict[str, str], str]:
    """The variables of a leading {...} and the dial string behind it."""
    if not dial.startswith("{"):
        return {}, dial
    end = dial.index("}")
    variables: dict[str, str] = {}
    for pair in separate(dial[1:end], ",", 1024):
        parts = separate(pair, "=", 2)
        if len(parts) == 2:
            variables[parts[0]] = parts[1]
    return variables, dial[end + 1 :]


def api(packet: Packet) -> tuple[str, str]:
    """Verb and argument text of an api or bgapi command."""
    kind, _, rest = packet.command.partition(" ")
    assert kind in {"api", "bgapi"}
    verb, _, argument = rest.partition(" ")
    return verb, argument
