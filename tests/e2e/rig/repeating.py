"""What nobody has answered is said again, as SIP over UDP asks of both ends (RFC 3261, 17: timers A, E and G).

On loopback nothing is lost on the way, but a switch that has no time to read drops what comes when its socket is full.
A caller whose BYE it never read is still there for it, and a test would blame the daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

_FIRST_S: Final = 0.5
_LONGEST_S: Final = 4.0
_GIVE_UP_S: Final = 32.0

# A call's id, and the CSeq of what is the answer.
Answer = tuple[str, str]


class Repeating:
    """Says things until they are answered, for 32 s at most."""

    def __init__(self, send: Callable[[bytes, tuple[str, int]], object]) -> None:
        self._send = send
        self._open: dict[Answer, gevent.Greenlet] = {}

    def say(self, data: bytes, to: tuple[str, int], until: Answer) -> None:
        """Send this now, and again until the answer is `heard`."""
        self._send(data, to)
        self.heard(until)
        self._open[until] = gevent.spawn_later(_FIRST_S, self._again, data, to, until)

    def heard(self, answer: Answer) -> None:
        """It has come."""
        if (waiting := self._open.pop(answer, None)) is not None:
            waiting.kill(block=False)

    def stop(self) -> None:
        """Say nothing more."""
        gevent.killall(list(self._open.values()), block=False)
        self._open.clear()

    def _again(self, data: bytes, to: tuple[str, int], until: Answer) -> None:
        said_for_s, pause_s = _FIRST_S, _FIRST_S
        while said_for_s < _GIVE_UP_S:
            self._send(data, to)
            pause_s = min(2 * pause_s, _LONGEST_S)
            gevent.sleep(pause_s)
            said_for_s += pause_s
        self._open.pop(until, None)
