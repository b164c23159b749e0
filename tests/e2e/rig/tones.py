"""Phones of which each has a tone of its own, and hears which other phones' tones and which keys come to it.

A phone sends its tone to wherever sound comes from, as soon as some does. Keys come as events of RFC 2833, where the
phone offers to take them.
"""

from __future__ import annotations

import math
import struct
import time
from typing import Final

import gevent
from gevent import socket

from tests.e2e.rig.sip import Telephones

FRAME_S: Final = 0.02
_FRAME: Final = 160
_RATE: Final = 8_000
_HEADER = struct.Struct("!BBHII")
_PCMU, _KEYS = 0, 101
_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP {}\r\n{}"
_WITH_KEYS = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
_NAMES = "0123456789*#ABCD"
_LOUDNESS: Final = 8_000
# A tone of that loudness gives far more than this, and whatever else is there far less.
_HEARD: Final = 1_000


class Phone:
    """The sound of one user's phone, from its first call on until `stop`. `hertz`: a multiple of 50."""

    def __init__(self, phones: Telephones, user: str, hertz: int, *, keys: bool = True) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        phones.offers[user] = _SDP.format(port, "0 101" if keys else "0", _WITH_KEYS if keys else "")
        self._tone = tone_of(hertz)
        self._hertz = hertz
        self._to: tuple[str, int] | None = None
        # Each frame that came: when (Unix time, s), and its sound.
        self.frames: list[tuple[float, bytes]] = []
        self.keys = ""
        self._last_key = -1
        self._greenlets = [gevent.spawn(self._listen), gevent.spawn(self._speak)]

    def _listen(self) -> None:
        while True:
            packet, source = self._socket.recvfrom(2048)
            self._to = source
            _, kind, _, stamp, _ = _HEADER.unpack_from(packet)
            if kind & 0x7F == _KEYS:
                if stamp != self._last_key:  # an event is told several times
                    self._last_key = stamp
                    self.keys += _NAMES[packet[_HEADER.size]]
            elif kind & 0x7F == _PCMU:
                self.frames.append((time.time(), packet[_HEADER.size :]))

    def _speak(self) -> None:
        number, next_s = 0, time.monotonic()
        while True:
            number += 1
            header = _HEADER.pack(0x80, _PCMU, number & 0xFFFF, number * _FRAME, self._hertz)
            if self._to is not None:
                self._socket.sendto(header + self._tone, self._to)
            next_s += FRAME_S
            gevent.sleep(max(0.0, next_s - time.monotonic()))

    def hears(self, *others: Phone) -> list[bool]:
        """Whether each of these phones' tones is in the last frame that came."""
        return [bool(self.frames) and _strength(self.frames[-1][1], other._hertz) > _HEARD for other in others]

    def stop(self) -> None:
        """Neither speak nor listen any more."""
        gevent.killall(self._greenlets)
        self._socket.close()


def _strength(sound: bytes, hertz: int) -> float:
    """How much of this tone is in the sound (the tone's amplitude)."""
    if not sound:
        return 0.0
    samples = [_DECODED[byte] for byte in sound]
    turns = [2 * math.pi * hertz * n / _RATE for n in range(len(samples))]
    real = sum(sample * math.cos(turn) for sample, turn in zip(samples, turns, strict=True))
    other = sum(sample * math.sin(turn) for sample, turn in zip(samples, turns, strict=True))
    return 2 * math.hypot(real, other) / len(samples)


def _decoded(byte: int) -> int:
    """One sample of PCMU (G.711)."""
    byte = ~byte & 0xFF
    size = (((byte & 0x0F) << 3) + 0x84 << ((byte & 0x70) >> 4)) - 0x84
    return -size if byte & 0x80 else size


_DECODED: Final = tuple(_decoded(byte) for byte in range(256))


def decoded(byte: int) -> int:
    """One sample of what came."""
    return _DECODED[byte]


def tone_of(hertz: int) -> bytes:
    """A frame of this tone; `hertz`: a multiple of 50, so that one frame joins the next."""
    return bytes(_encoded(int(_LOUDNESS * math.sin(2 * math.pi * hertz * n / _RATE))) for n in range(_FRAME))


def _encoded(sample: int) -> int:
    """The byte of PCMU that comes nearest to this sample."""
    return min(range(256), key=lambda byte: abs(_DECODED[byte] - sample))
