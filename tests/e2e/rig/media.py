"""The sound of many calls, in one process: proves who hears whom.

Each caller has an RTP port of their own; all agents share one. A caller says their number ten times a second, from the
first music until the switch closes its port; an agent answers what they hear, naming the same caller. Both legs carry
PCMU and the switch hands the payload on untouched, so the number in it says exactly whose voice arrived.

Run as `python -m tests.e2e.rig.media FIRST_PORT CALLERS AGENT_PORT`; ends with its standard input and prints what was
heard as JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

_PAYLOAD = 160
_TICK_S = 0.1
_FRAMES = 5  # 20 ms each, in a tick
_CALLER, _AGENT = b"fsacd-e2e-caller", b"fsacd-e2e-agent!"
_HEADER = struct.Struct("!BBHII")


@dataclass
class Voice:
    """One RTP stream that we send."""

    mark: bytes
    sequence: int = 0

    def packet(self, number: int) -> bytes:
        """The next packet, saying the caller's number."""
        self.sequence += 1
        header = _HEADER.pack(0x80, 0, self.sequence & 0xFFFF, self.sequence * _PAYLOAD * _FRAMES, 0x46534143)
        return header + (self.mark + struct.pack("!I", number)).ljust(_PAYLOAD, b"\x55")


@dataclass
class Ears:
    """What arrived, by caller."""

    by_agent: Counter[int] = field(default_factory=Counter)  # an agent heard this caller
    by_caller: Counter[int] = field(default_factory=Counter)  # this caller heard the agent who answered them
    strangers: Counter[int] = field(default_factory=Counter)  # this caller heard an answer to somebody else
    music: Counter[int] = field(default_factory=Counter)


def said(packet: bytes, mark: bytes) -> int | None:
    """The caller's number in a packet with this mark, or None."""
    if packet[12:28] != mark:
        return None
    return int(struct.unpack_from("!I", packet, 28)[0])


def main(first_port: int, callers: int, agent_port: int) -> None:
    """Talk and listen until standard input ends."""
    selector = selectors.DefaultSelector()
    for number in range(callers):
        selector.register(_bound(first_port + number), selectors.EVENT_READ, number)
    selector.register(_bound(agent_port), selectors.EVENT_READ, "agents")
    selector.register(sys.stdin, selectors.EVENT_READ, "end")
    speaking: dict[int, tuple[socket.socket, Voice]] = {}
    answers: dict[tuple[str, int], Voice] = {}
    ears = Ears()
    print("listening", flush=True)
    next_tick = time.monotonic()
    while True:
        for key, _ in selector.select(max(0.0, next_tick - time.monotonic())):
            if key.data == "end":
                _report(ears)
                return
            assert isinstance(key.fileobj, socket.socket)
            if key.data == "agents":
                _as_agent(key.fileobj, answers, ears)
            else:
                _as_caller(key.fileobj, key.data, speaking, ears)
        if time.monotonic() >= next_tick:
            next_tick += _TICK_S
            _speak(speaking)


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def _as_caller(sock: socket.socket, number: int, speaking: dict[int, tuple[socket.socket, Voice]], ears: Ears) -> None:
    try:
        packet, source = sock.recvfrom(2048)
    except ConnectionRefusedError:
        speaking.pop(number, None)  # the switch has closed its port: the call is over
        return
    if number not in speaking and number not in ears.music:
        sock.connect(source)
        speaking[number] = (sock, Voice(_CALLER))
    heard = said(packet, _AGENT)
    if heard == number:
        ears.by_caller[number] += 1
    elif heard is not None:
        ears.strangers[number] += 1
    else:
        ears.music[number] += 1


def _speak(speaking: dict[int, tuple[socket.socket, Voice]]) -> None:
    for number, (sock, voice) in list(speaking.items()):
        try:
            sock.send(voice.packet(number))
        except ConnectionRefusedError:
            del speaking[number]


def _as_agent(sock: socket.socket, answers: dict[tuple[str, int], Voice], ears: Ears) -> None:
    packet, source = sock.recvfrom(2048)
    number = said(packet, _CALLER)
    if number is not None:
        ears.by_agent[number] += 1
        sock.sendto(answers.setdefault(source, Voice(_AGENT)).packet(number), source)


def _report(ears: Ears) -> None:
    print(json.dumps({name: sorted(getattr(ears, name).items()) for name in Ears.__dataclass_fields__}), flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))
