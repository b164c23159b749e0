"""When the reader rests: after it has worked for a while, however long it has waited for bytes before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fsacd.esl import reader
from fsacd.esl.inbox import Inbox
from fsacd.esl.settings import Counters, LinkSettings
from tests.esl.fake_switch import AUTH_REQUEST, named

SLICE_MS = 5


class Played:
    """A reader at a socket that gives `count` events, in a time of its own; it counts the reader's rests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int, *, waits_s: float, works_s: float) -> None:
        self._now_s, self.rests = 0.0, 0
        self._portions = iter([AUTH_REQUEST, *[named("A")] * count, b""])
        self._waits_s, self._works_s = waits_s, works_s
        monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=lambda: self._now_s))
        monkeypatch.setattr(reader, "gevent", SimpleNamespace(sleep=self._rest))
        settings, counters = LinkSettings(password="secret", slice_ms=SLICE_MS), Counters()
        inbox = Inbox(limit=1_000, stall_s=1, slice_s=1, counters=counters)
        monkeypatch.setattr(inbox, "put", self._work)
        made = reader.Reader(settings, counters, inbox, lambda _: 0, lambda _: None, lambda: None)
        made.run(self)

    def recv(self, _size: int) -> bytes:
        self._now_s += self._waits_s
        return next(self._portions)

    def _work(self, _message: Any) -> None:
        self._now_s += self._works_s

    def _rest(self, _seconds: float) -> None:
        self.rests += 1


def test_events_that_come_now_and_then_cost_no_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the reader waits for bytes, everybody else works: a rest would only be one more turn of the loop."""
    assert Played(monkeypatch, 10, waits_s=1.0, works_s=0.0001).rests == 0


def test_a_burst_is_read_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event takes two milliseconds, so three of them are a slice of five."""
    assert Played(monkeypatch, 12, waits_s=0.0, works_s=0.002).rests == 4
