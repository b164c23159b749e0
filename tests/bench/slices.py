"""The stretches of the hub's CPU between two switches of greenlets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import greenlet  # type: ignore[import-untyped]  # it has no stubs here


@dataclass
class Longest:
    """The longest stretch so far, in seconds of the thread's CPU."""

    longest_s: float = 0.0
    began_s: float = 0.0

    def turn(self, _event: str, _greenlets: Any) -> None:
        """Another greenlet runs."""
        now_s = time.thread_time()
        self.longest_s = max(self.longest_s, now_s - self.began_s)
        self.began_s = now_s


@contextmanager
def of_greenlets() -> Iterator[Longest]:
    """Measure every stretch in which this thread runs one greenlet, the hub's own work included."""
    slices = Longest(began_s=time.thread_time())
    before = greenlet.settrace(slices.turn)
    try:
        yield slices
    finally:
        greenlet.settrace(before)
        slices.turn("", None)
