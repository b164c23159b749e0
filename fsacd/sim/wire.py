"""The encodings of Event Socket: frames, events as plain text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

# switch_url_encode writes these, controls and everything beyond ASCII as %XX ...
_UNSAFE = frozenset(b'\r\n #%&+:;<=>?@[\\]^`{|}"') | frozenset(range(33)) | frozenset(range(127, 256))
# ... but leaves text unchanged that already looks like %XX, so a plain event cannot be decoded unambiguously.
_PERCENT = ord("%")
_ENCODED = re.compile(rb"%[0-9A-F]{2}")


def url_encode(text: str) -> str:
    """As switch_url_encode does, with its ambiguity."""
    raw = text.encode("utf-8", "surrogateescape")
    out = bytearray()
    for at, byte in enumerate(raw):
        if byte not in _UNSAFE or (byte == _PERCENT and _ENCODED.match(raw, at)):
            out.append(byte)
        else:
            out += b"%%%02X" % byte
    return out.decode("ascii")


def frame(content_type: str, body: bytes) -> bytes:
    """A frame with a body: api/response, text/disconnect-notice."""
    return b"Content-Type: %s\nContent-Length: %d\n\n%s" % (content_type.encode(), len(body), body)


def command_reply(text: str, **more: str) -> bytes:
    """A command/reply; FreeSWITCH cuts its text at 512 bytes."""
    lines = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in more.items())
    return f"Content-Type: command/reply\nReply-Text: {text[:512]}\n{lines}\n".encode("utf-8", "surrogateescape")


def event_as_json(headers: Mapping[str, str], body: str | None) -> bytes:
    """An event as `event json` delivers it. A byte that is no UTF-8 goes through as it came, as from the real one."""
    content = lists(headers)
    if body is not None:
        content["Content-Length"] = str(len(body.encode("utf-8", "surrogateescape")))
        content["_body"] = body
    try:
        text = orjson.dumps(content)
    except TypeError:  # orjson refuses the surrogates that stand for such bytes
        text = _json_with_raw_bytes(content)
    return b"Content-Length: %d\nContent-Type: text/event-json\n\n%s" % (len(text), text)


def lists(headers: Mapping[str, str]) -> dict[str, str | list[str]]:
    """JSON has lists for what the plain form writes as ARRAY::a|:b."""
    return {
        name: value.removeprefix("ARRAY::").split("|:") if value.startswith("ARRAY::") else value
        for name, value in headers.items()
    }


def _json_with_raw_bytes(content: Mapping[str, str | list[str]]) -> bytes:
    import json  # noqa: PLC0415  only the odd event needs the slow one

    return json.dumps(dict(content), ensure_ascii=False).encode("utf-8", "surrogateescape")


def event_as_plain(headers: Mapping[str, str], body: str | None) -> bytes:
    """An event as `event plain` delivers it: values percent-encoded, the body after an empty line."""
    lines = "".join(f"{key}: {url_encode(value) or '_undef_'}\n" for key, value in headers.items())
    text = lines.encode()
    if body is None:
        text += b"\n"
    else:
        raw = body.encode("utf-8", "surrogateescape")
        text += b"Content-Length: %d\n\n%s" % (len(raw), raw)
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(text), text)
