"""Lines of phones that hear each other: each sends a tone of its own, and knows which tones have just come to it.

As `tests.e2e.rig.tones`, for many calls one after the other: a line speaks while its call stands, and never into
somebody else's.
"""

from __future__ import annotations

import math
import re
import struct
import time
from collections.abc import Iterable
from functools import lru_cache
from operator import mul
from typing import Final

import gevent
from gevent import socket

from tests.e2e.rig.dialog import SO_TIMESTAMPNS, Dialog, kernel_time_s
from tests.e2e.rig.tones import FRAME_S, decoded, tone_of

# Far enough from the music (440 Hz), and each with whole waves in a frame, so that none is heard in another.
TONES: Final = tuple(range(600, 3_450, 50))
MUSIC: Final = 440
_FRAME: Final = 160
_RATE: Final = 8_000
_HEADER = struct.Struct("!BBHII")
_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n"
_PORT = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_HEARD: Final = 1_000
# Sound that is older is not what is heard now.
FRESH_S: Final = 0.1
# Frames come each 20 ms: after more than this, there was none in between.
_GAP_S: Final = 0.06
_ANCILLARY_BYTES: Final = 64


class Line:
    """One line of a phone, from now on until `stop`; `dialog` is its call."""

    def __init__(self, hertz: int) -> None:
        self.hertz = hertz
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.offer = _SDP.format(self._socket.getsockname()[1])
        self._tone = tone_of(hertz)
        self._to: tuple[str, int] | None = None
        self.dialog: Dialog | None = None
        self._came_s, self._sound = 0.0, b""
        # Given tones: since when (Unix time, s) which of them came, at each change. Nothing came: none of them.
        self.follows: tuple[int, ...] = ()
        self.heard: list[tuple[float, frozenset[int]]] = []
        self._greenlets = [gevent.spawn(self._listen), gevent.spawn(self._speak)]

    def takes(self, dialog: Dialog | None) -> None:
        """This is the line's call now, which may not have been answered yet."""
        self.dialog, self._to, self._came_s = dialog, None, 0.0

    @property
    def talks(self) -> bool:
        """Whether the line's call stands, as far as its phone knows."""
        return self.dialog is not None and self.dialog.state == "talking"

    def _listen(self) -> None:
        while True:
            packet, ancillary, _, _ = self._socket.recvmsg(2048, _ANCILLARY_BYTES)
            before_s, now_s = self._came_s, kernel_time_s(ancillary)
            self._came_s, self._sound = now_s, packet[_HEADER.size :]
            if self.follows:
                if before_s and now_s - before_s > _GAP_S:
                    self._note(before_s + FRAME_S, frozenset())
                self._note(now_s, _tones(self._sound, self.follows))

    def _note(self, at_s: float, heard: frozenset[int]) -> None:
        if not self.heard or self.heard[-1][1] != heard:
            self.heard.append((at_s, heard))

    def begin_anew(self) -> None:
        """Forget what was heard: the next talk begins."""
        self.heard = []

    def _speak(self) -> None:
        number, next_s = 0, time.monotonic()
        while True:
            number += 1
            if self.talks:
                self._say(_HEADER.pack(0x80, 0, number & 0xFFFF, number * _FRAME, self.hertz) + self._tone)
            next_s += FRAME_S
            gevent.sleep(max(0.0, next_s - time.monotonic()))

    def _say(self, packet: bytes) -> None:
        if self._to is None:
            assert self.dialog is not None
            told = self.dialog.invite.body if self.dialog.invite is not None else self.dialog.sound
            found = _PORT.search(told)
            if found is None:
                return
            self._to = ("127.0.0.1", int(found[1]))
        self._socket.sendto(packet, self._to)

    def hears(self, hertz: Iterable[int]) -> frozenset[int]:
        """Which of these tones are in what comes now."""
        if not self.talks or time.time() - self._came_s > FRESH_S:
            return frozenset()
        return _tones(self._sound, tuple(hertz))

    def stop(self) -> None:
        """Neither speak nor listen any more."""
        gevent.killall(self._greenlets)
        self._socket.close()


@lru_cache(4_096)
def _tones(sound: bytes, hertz: tuple[int, ...]) -> frozenset[int]:
    """Which of these tones are in a frame. What the switch passes on comes again and again, as it was sent."""
    samples = [decoded(byte) for byte in sound[:_FRAME]]
    if len(samples) < _FRAME:
        return frozenset()
    return frozenset(one for one in hertz if _strength(samples, one) > _HEARD)


def _turns(hertz: int) -> tuple[list[float], list[float]]:
    at = [2 * math.pi * hertz * n / _RATE for n in range(_FRAME)]
    return [math.cos(turn) for turn in at], [math.sin(turn) for turn in at]


_TURNS: Final = {hertz: _turns(hertz) for hertz in (*TONES, MUSIC)}


def _strength(samples: list[int], hertz: int) -> float:
    """The amplitude of this tone in a frame."""
    cosines, sines = _TURNS[hertz]
    return 2 * math.hypot(sum(map(mul, samples, cosines)), sum(map(mul, samples, sines))) / _FRAME
