"""A call as its phone has it, and the SIP messages of which it is made."""

from __future__ import annotations

import re
import struct
import time
from dataclasses import dataclass, field

import gevent
from gevent import socket

from fsacd.sim.phones import ScriptedPhone

USER = re.compile(r"sip:([^@;>]*)@")
# A Linux constant that Python's socket module does not name.
SO_TIMESTAMPNS = 35
_URI = re.compile(r"<([^>]*)>")


@dataclass(frozen=True)
class Message:
    """A request or a response; `vias` are whole lines, header names are lower-case."""

    start: str
    headers: dict[str, str]
    vias: tuple[str, ...]
    body: str = ""
    raw: str = ""

    @classmethod
    def read(cls, raw: bytes) -> Message:
        """Take a datagram apart."""
        text = raw.decode("utf-8", "replace")
        head, _, body = text.partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        pairs = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        vias = tuple(value for name, value in pairs if name in {"via", "v"})
        return cls(start, dict(reversed(pairs)), vias, body, text)

    @property
    def call_id(self) -> str:
        return self.headers["call-id"]

    def uri(self, header: str) -> str:
        """The address in a header, without name and parameters."""
        found = _URI.search(self.headers[header])
        return found[1] if found else self.headers[header].split(";")[0]


@dataclass
class Dialog:
    """One call as its phone has it."""

    user: str
    call_id: str
    near: str  # our From (with tag) in requests that we send
    far: str = ""
    target: str = ""
    invite: Message | None = None
    script: ScriptedPhone | None = None
    branch: str = ""
    state: str = "calling"  # calling, ringing, talking, over
    timers: list[gevent.Greenlet] = field(default_factory=list)
    # When it rang, answered or refused (s, monotonic), by the name that the script has for it.
    acts: dict[str, float] = field(default_factory=dict)
    # Unix times (s) by the kernel's clock: the INVITE or, for a caller, the 200 came; our 200 went; the CANCEL came.
    began_s: float = 0.0
    answered_s: float = 0.0
    cancelled_s: float = 0.0
    # What the CANCEL gave as its reason.
    reason: str = ""
    # When it was over (Unix time, s), and by whose doing: the switch's or the phone's own.
    over_s: float = 0.0
    by_switch: bool = False
    # When it was last heard of: a switch that has recovered a leg asks for it anew.
    heard_s: float = 0.0
    # Whether the switch answered this caller.
    answered: bool = False
    sound: str = ""  # where the switch then said that it listens
    own: str = ""  # what this line says of its sound, where it is not what its user's phone says
    # Numbers the requests that this end sends.
    sequence: int = 0
    # What the switch answered to a REFER, and the results of it that it told by NOTIFY: "403 Forbidden".
    referred: list[str] = field(default_factory=list)

    @property
    def caller(self) -> str:
        """Whose number the phone shows."""
        found = USER.search(self.far)
        return found[1] if found else ""


def replaces(dialog: Dialog) -> str:
    """The call as a Replaces header names it, seen from the switch: its own tag is the `to-tag`."""
    return f"{dialog.call_id};to-tag={_tag(dialog.far)};from-tag={_tag(dialog.near)}"


def _tag(address: str) -> str:
    found = re.search(r";tag=([^;>\s]+)", address)
    return found[1] if found else ""


def kernel_time_s(ancillary: list[tuple[int, int, bytes]]) -> float:
    """When the kernel got the datagram: what a test measures does not depend on when it is read."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("@ll", data[:16])
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def address_of(uri: str) -> tuple[str, int]:
    """Where a SIP address leads; everything here is on loopback."""
    port = uri.partition("@")[2].partition(":")[2].partition(";")[0]
    return "127.0.0.1", int(port) if port.isdigit() else 5060
