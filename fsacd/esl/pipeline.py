"""Asks the switch many questions at once: they are pipelined, and the answers are remembered for one round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import gevent
from gevent.event import Event

from fsacd.esl.codec import MAX_REPLY_BYTES
from fsacd.esl.wire import Outcome, Reply, Wire

Ask = Callable[[Wire], Reply]
Submit = Callable[[Wire, Callable[[Reply], object], float], None]

# The most questions on their way at once; an answer about a leg has some ten kilobytes.
_WINDOW: Final = 64
# The most text in the answers to one batch of questions, or that one round remembers. Beyond it a question is not
# asked, or its answer is replaced by a refusal. One leg's answer has some ten kilobytes.
MOST_TEXT: Final = 2 * MAX_REPLY_BYTES
_TOO_MUCH: Final = Reply(Outcome.NOT_SENT, "FreeSWITCH said too much already")


class Pipeline:
    """Asks by `submit` (as SwitchLink's); waits at most `limit_s` for an answer. Blocks only the calling greenlet."""

    def __init__(self, submit: Submit, limit_s: float) -> None:
        self._submit = submit
        self._limit_s = limit_s

    def __call__(self, wire: Wire) -> Reply:
        """One question."""
        return self.all((wire,))[0]

    def all(self, wires: Sequence[Wire], limit_s: float | None = None, most_text: int = MOST_TEXT) -> list[Reply]:
        """Ask many questions, in order, in at most `limit_s`, for at most `most_text` characters of answers.

        A question for which the time or the room does not suffice is answered by NOT_SENT.
        """
        limit_s = self._limit_s if limit_s is None else min(limit_s, self._limit_s)
        replies = [Reply(Outcome.NOT_SENT, "there was no time to ask")] * len(wires)
        waiting, answered, room = [0], Event(), [most_text]

        def on_reply(index: int, reply: Reply) -> None:
            room[0] -= len(reply.text)
            # The message is dropped, to save memory: only the text is read here.
            replies[index] = Reply(reply.outcome, reply.text) if room[0] >= 0 else _TOO_MUCH
            waiting[0] -= 1
            answered.set()

        def one(index: int) -> Callable[[Reply], None]:
            return lambda reply: on_reply(index, reply)

        if limit_s <= 0:
            return replies
        timeout = gevent.Timeout.start_new(limit_s)
        try:
            for index, wire in enumerate(wires):
                if room[0] < 0:
                    replies[index] = _TOO_MUCH
                    continue
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


class Round:
    """One round of questions to the switch: each is asked once, and answered from memory after that.

    After `limit_s`, or `most_text` characters of answers, nothing more is asked: a switch that is slow, or says too
    much, leaves questions open, but does not hold the daemon up.
    """

    def __init__(self, asker: Pipeline, limit_s: float, most_text: int = MOST_TEXT) -> None:
        self._room = most_text
        self._pipeline = asker
        self._until = time.monotonic() + limit_s
        self._replies: dict[bytes, Reply] = {}

    def __call__(self, wire: Wire) -> Reply:
        """One question."""
        known = self._replies.get(wire.data)
        if known is None:
            (known,) = self._pipeline.all((wire,), self._left_s(), self._room)
            self._keep(wire, known)
        return known

    def ahead(self, wires: Iterable[Wire]) -> None:
        """Ask these questions at once; the later single questions are answered from memory."""
        asked = [wire for wire in wires if wire.data not in self._replies]
        for wire, reply in zip(asked, self._pipeline.all(asked, self._left_s(), self._room), strict=True):
            self._keep(wire, reply)

    def _keep(self, wire: Wire, reply: Reply) -> None:
        self._replies[wire.data] = reply
        self._room -= len(reply.text)

    @property
    def is_over(self) -> bool:
        """Whether the time, or the room for answers, has run out, so that questions may be open."""
        return self._left_s() <= 0

    def _left_s(self) -> float:
        return 0.0 if self._room < 0 else max(0.0, self._until - time.monotonic())
