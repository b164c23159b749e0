"""A phone that speaks: its sound goes to the switch until it falls silent, as that of a browser that has crashed does.

The phones of the rig send no sound of their own. Where the switch listens for it (`media_timeout`), a phone that shall
live has to speak.
"""

from __future__ import annotations

import re
import struct

import gevent
from gevent import socket

from tests.e2e.rig.dialog import SO_TIMESTAMPNS, Dialog, kernel_time_s

_FRAME_S = 0.02
_FRAME = 160
_HEADER = struct.Struct("!BBHII")
_SILENCE = b"\xff" * _FRAME
_PORT = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_ANCILLARY_BYTES = 64


class Voice:
    """The sound of one phone, from now on until `stop`."""

    def __init__(self, dialog: Dialog) -> None:
        assert dialog.invite is not None, "only the switch says where it listens"
        found = _PORT.search(dialog.invite.body)
        assert found is not None, "the INVITE names no port for sound"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._to = ("127.0.0.1", int(found[1]))
        self._speaking = gevent.spawn(self._speak)

    def _speak(self) -> None:
        number = 0
        while True:
            number += 1
            header = _HEADER.pack(0x80, 0, number & 0xFFFF, number * _FRAME, 0x46534143)
            self._socket.sendto(header + _SILENCE, self._to)
            gevent.sleep(_FRAME_S)

    def stop(self) -> None:
        """Fall silent; the phone says nothing of it."""
        self._speaking.kill()
        self._socket.close()


class Ear:
    """What comes to a socket that takes a caller's sound."""

    def __init__(self, deaf: socket.socket) -> None:
        deaf.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket = deaf
        self._heard = gevent.spawn(self._listen)
        self.times_s: list[float] = []

    def _listen(self) -> None:
        while True:
            _, ancillary, _, _ = self._socket.recvmsg(2048, _ANCILLARY_BYTES)
            self.times_s.append(kernel_time_s(ancillary))

    def heard_after(self, moment_s: float) -> float | None:
        """How long after this moment (Unix time, s) the first sound came; None: none has."""
        later = [at_s for at_s in self.times_s if at_s > moment_s]
        return later[0] - moment_s if later else None

    def stop(self) -> None:
        """Listen no more."""
        self._heard.kill()
