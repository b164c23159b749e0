"""Asking the switch many things at once: questions are pipelined, and what was answered is remembered for one look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import gevent
from gevent.event import Event

from fsacd.esl.wire import Outcome, Reply, Wire

Ask = Callable[[Wire], Reply]
Submit = Callable[[Wire, Callable[[Reply], object], float], None]

# On their way at once; the switch's answers about a leg are some ten kilobytes each.
_WINDOW: Final = 64


class Asker:
    """Asks by `submit` (as SwitchLink's); waits `limit_s` for an answer at most. Blocks the greenlet, nobody else."""

    def __init__(self, submit: Submit, limit_s: float) -> None:
        self._submit = submit
        self._limit_s = limit_s

    def __call__(self, wire: Wire) -> Reply:
        """One question."""
        return self.all((wire,))[0]

    def all(self, wires: Sequence[Wire], limit_s: float | None = None) -> list[Reply]:
        """Many, in order, in `limit_s` at most; those for which the time does not suffice are answered by NOT_SENT."""
        limit_s = self._limit_s if limit_s is None else min(limit_s, self._limit_s)
        replies = [Reply(Outcome.NOT_SENT, "there was no time to ask")] * len(wires)
        waiting, answered = [0], Event()

        def on_reply(index: int, reply: Reply) -> None:
            replies[index] = reply
            waiting[0] -= 1
            answered.set()

        def one(index: int) -> Callable[[Reply], None]:
            return lambda reply: on_reply(index, reply)

        if limit_s <= 0:
            return replies
        timeout = gevent.Timeout.start_new(limit_s)
        try:
            for index, wire in enumerate(wires):
                waiting[0] += 1
                self._submit(wire, one(index), limit_s)
                while waiting[0] >= _WINDOW:
                    answered.clear()
                    answered.wait()
            while waiting[0]:
                answered.clear()
                answered.wait()
        except gevent.Timeout as late:
            if late is not timeout:
                raise
        finally:
            timeout.close()
        return list(replies)


class Look:
    """One look at the switch: each question is asked once, and answered from memory after that.

    After `limit_s` nothing more is asked: a switch that is slow leaves questions open, it does not hold us up.
    """

    def __init__(self, asker: Asker, limit_s: float) -> None:
        self._asker = asker
        self._until = time.monotonic() + limit_s
        self._replies: dict[bytes, Reply] = {}

    def __call__(self, wire: Wire) -> Reply:
        """One question."""
        known = self._replies.get(wire.data)
        if known is None:
            (known,) = self._asker.all((wire,), self._left_s())
            self._replies[wire.data] = known
        return known

    def ahead(self, wires: Iterable[Wire]) -> None:
        """Ask at once what will be asked one by one."""
        asked = [wire for wire in wires if wire.data not in self._replies]
        for wire, reply in zip(asked, self._asker.all(asked, self._left_s()), strict=True):
            self._replies[wire.data] = reply

    @property
    def is_over(self) -> bool:
        """Whether the time has run out, so that questions may be open."""
        return self._left_s() <= 0

    def _left_s(self) -> float:
        return max(0.0, self._until - time.monotonic())
