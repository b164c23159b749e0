"""Virtual time for whole daemons: gevent's timers and the clocks follow the simulated switch's agenda.

Nothing here waits: when no greenlet can go on, the time jumps to whatever is due next. Each timer belongs to the life
of the daemon that made it, so one daemon can stand still, or be dead, while everybody else goes on.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any, Self
from unittest.mock import patch
from weakref import ref

import gevent

from fsacd.sim.agenda import SECOND, Agenda

# The monotonic clock when the agenda stands at nought: no clock begins there.
BEGIN_S = 5_000
WALL_S = 1_700_000_000
_MOST_ROUNDS = 100_000


class Frozen:
    """Whoever can stand still. What comes due meanwhile is kept until it goes on."""

    def __init__(self) -> None:
        self.frozen = False
        self.kept: list[Timer] = []
        # All that was ever spawned for it while a VirtualTime was installed, in that order.
        self._spawned: list[ref[gevent.Greenlet]] = []

    def noted(self, greenlet: gevent.Greenlet) -> None:
        """This one runs for it."""
        self._spawned.append(ref(greenlet))

    def greenlets(self) -> list[gevent.Greenlet]:
        """Those that have not come to their end."""
        there = (reference() for reference in self._spawned)
        return [one for one in there if one is not None and not one.dead]


class Timer:
    """What gevent needs of a timer of libev."""

    def __init__(self, clock: VirtualTime, after_s: float, repeat_s: float, owner: Frozen | None) -> None:
        self._clock = clock
        self._after_s = after_s
        self._repeat_s = repeat_s
        self.owner = owner
        self._act: Callable[..., object] | None = None
        self._args: tuple[object, ...] = ()
        self._round = 0

    def start(self, act: Callable[..., object], *args: object, **_options: object) -> None:
        self._act, self._args = act, args
        self._plan(self._after_s)

    def again(self, act: Callable[..., object], *args: object, **_options: object) -> None:
        self.start(act, *args)

    def stop(self) -> None:
        self._act = None
        self._round += 1

    close = stop

    @property
    def active(self) -> bool:
        return self._act is not None

    pending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _plan(self, after_s: float) -> None:
        self._round += 1
        self._clock.plan(self, self._round, after_s)

    def fire(self, number: int) -> None:
        """It is due, unless it was stopped or set anew."""
        if number != self._round or self._act is None:
            return
        if self.owner is not None and self.owner.frozen:
            self.owner.kept.append(self)
            return
        act, args = self._act, self._args
        if self._repeat_s:
            self._plan(self._repeat_s)
        else:
            self._act = None
        self._clock.real.run_callback(act, *args)

    def late(self) -> None:
        """Its owner goes on again."""
        self.fire(self._round)


class VirtualTime:
    """In the place of the hub's loop, as far as timers go; everything else is the real one's."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self.real: Any = gevent.get_hub().loop
        self._timers: list[tuple[int, int, Timer, int]] = []
        self._count = 0
        self.wall_ahead_s = 0  # somebody has set the wall clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def timer(self, after: float, repeat: float = 0.0, **_options: object) -> Timer:
        """A timer of whoever runs now."""
        return Timer(self, after, repeat, whose())

    def plan(self, timer: Timer, number: int, after_s: float) -> None:
        self._count += 1
        # Rounded up: whoever waits for a moment that lies a tenth of a microsecond ahead would wait without end.
        due_us = self._agenda.now_us + max(0, ceil(after_s * SECOND))
        heapq.heappush(self._timers, (due_us, self._count, timer, number))

    # --- the clocks ---

    def monotonic_ns(self) -> int:
        return BEGIN_S * 1_000_000_000 + self._agenda.now_us * 1_000

    def monotonic(self) -> float:
        return BEGIN_S + self._agenda.now_us / SECOND

    def time_ns(self) -> int:
        return (WALL_S + self.wall_ahead_s) * 1_000_000_000 + self._agenda.now_us * 1_000

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Make it everybody's time."""
        hub = gevent.get_hub()
        hub.loop = self
        gevent.Greenlet.add_spawn_callback(_note)
        try:
            with (
                patch.object(time, "monotonic", self.monotonic),
                patch.object(time, "monotonic_ns", self.monotonic_ns),
                patch.object(time, "time_ns", self.time_ns),
                patch("fsacd.journal.journal.monotonic", self.monotonic),
            ):
                yield
        finally:
            gevent.Greenlet.remove_spawn_callback(_note)
            hub.loop = self.real

    # --- going on ---

    def advance(self, until_us: int, look: Callable[[], None]) -> None:
        """Let the time pass until then; `look` is called after every moment at which something happened."""
        self.settle()
        while (due_us := self._next_us()) is not None and due_us <= until_us:
            self._agenda.run(due_us)
            while self._timers and self._timers[0][0] <= due_us:
                _, _, timer, number = heapq.heappop(self._timers)
                timer.fire(number)
            self.settle()
            look()
        self._agenda.run(until_us)
        self.settle()

    def _next_us(self) -> int | None:
        dues = [
            due for due in (self._agenda.next_us(), self._timers[0][0] if self._timers else None) if due is not None
        ]
        return min(dues, default=None)

    def settle(self) -> None:
        """Let every greenlet go on that can."""
        for _ in range(_MOST_ROUNDS):
            gevent.sleep(0)
            if not len(self.real._callbacks):
                return
        raise RuntimeError("greenlets keep each other busy without end")


def whose() -> Frozen | None:
    """The life that the running greenlet belongs to, if it belongs to any."""
    tree = getattr(gevent.getcurrent(), "spawn_tree_locals", None)
    life = tree.get("life") if tree else None
    assert life is None or isinstance(life, Frozen)
    return life


def _note(greenlet: gevent.Greenlet) -> None:
    """Somebody's greenlet begins; looking for them all in the heap of a whole run of tests would take long."""
    tree = getattr(greenlet, "spawn_tree_locals", None)
    if tree and (life := tree.get("life")) is not None:
        life.noted(greenlet)


def spawn_for(life: Frozen, work: Callable[[], None]) -> gevent.Greenlet:
    """Run `work`, and whatever it spawns, as this life's."""

    def run() -> None:
        gevent.getcurrent().spawn_tree_locals = {"life": life}
        work()

    root = gevent.spawn(run)
    life.noted(root)
    return root
