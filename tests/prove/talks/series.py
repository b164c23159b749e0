"""Talks on a real switch, in which each party dies at each step in turn, and the daemon is killed at each.

Every phone has a tone of its own, and listens for the others: no caller is lost, no leg is left after five seconds,
nobody hears whom they must not, and the daemon's API and history say what has happened. `SEQUENCES` is what is covered.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import gevent
from gevent.event import Event
from gevent.queue import Empty, Queue

from fsacd.store.embedded import EmbeddedPostgres
from tests.e2e.rig.switch import RealSwitch, find_freeswitch
from tests.prove.__main__ import NOT_HERE
from tests.prove.talks._centre import Centre, Seat, agents_of
from tests.prove.talks._history import History
from tests.prove.talks._play import Cell, Play
from tests.prove.talks._world import MORTALS, Who, World, after

TRIES: Final = 50
SEATS: Final = 10
# Each begins with a talk of caller and agent, is led through these steps, and ends as the callers and agents hang up.
SEQUENCES: Final[dict[str, tuple[str, ...]]] = {
    "hold": ("hold", "resume"),
    "consult, refused": ("consult", "refuse"),
    "consult, no answer": ("consult", "wait in vain"),
    "consult, given up": ("consult", "cancel"),
    "consult, cancelled": ("hold", "consult", "answer", "cancel"),
    "complete": ("consult", "answer", "complete"),
    "swap, complete": ("consult", "answer", "swap", "complete"),
    "swap twice, cancel": ("consult", "answer", "swap", "swap", "cancel"),
    "swap, cancel": ("consult", "answer", "swap", "cancel"),
    "three-way, leave": ("consult", "answer", "three-way", "leave"),
    "swap, three-way, drop": ("consult", "answer", "swap", "three-way", "drop"),
    "blind to a colleague": ("to colleague", "take"),
    "blind to a queue": ("to queue", "take"),
    "blind to a queue, from hold": ("hold", "to queue", "take"),
    "blind to a number": ("to number", "outside answers"),
    "blind to nowhere": ("to nowhere",),
    "phone's hold": ("phone holds", "phone back"),
    "phone's hold and ours": ("phone holds", "hold", "phone back", "resume"),
    "REFER to a queue": ("refer to queue", "take"),
    "REFER to a number": ("refer to number", "outside answers"),
    "REFER to nowhere": ("refer to nowhere",),
    "REFER attended, outside": ("phone holds", "ask outside", "join"),
    "REFER attended, to a queue": ("phone holds", "ask queue", "join"),
    "REFER attended, to a colleague": ("phone holds", "ask colleague", "join"),
    "REFER by the other line, outside": ("phone holds", "ask outside", "join by it"),
    "REFER by the other line, queue": ("phone holds", "ask queue", "join by it"),
    "REFER by the other line, colleague": ("phone holds", "ask colleague", "join by it"),
}
# A daemon is started again so long after it was killed.
_DEAD_S: Final = 3.0
_KILLED_WITHIN_S: Final = 0.4
_COLUMNS: Final = (Who.NOBODY, Who.CALLER, Who.AGENT, Who.THIRD, Who.OUTSIDE, Who.DAEMON)


def cells() -> list[Cell]:
    """Everything that is covered: each step of each sequence, unless another sequence has gone the same way to it."""
    found: list[Cell] = []
    seen: set[tuple[str, ...]] = set()
    for name, steps in SEQUENCES.items():
        world = World()
        for at in range(len(steps) + 1):
            world = after(world, steps[at - 1]) if at else world
            if steps[:at] not in seen:
                seen.add(steps[:at])
                found += (Cell(name, steps, at, who) for who in (*MORTALS[world.state], Who.DAEMON))
        found.append(Cell(name, steps, len(steps), Who.NOBODY))
    return found


@dataclass
class Tally:
    """By cell, how often it was tried, and what was wrong."""

    tries: dict[Cell, int] = field(default_factory=lambda: defaultdict(int))
    wrong: dict[Cell, list[str]] = field(default_factory=lambda: defaultdict(list))

    def table(self) -> Iterator[str]:
        """A line for each step: how many tries, and, behind a slash, how many of them failed."""
        yield "tries/failures, by who dies at the step".ljust(60) + "".join(f"{who:>10}" for who in _COLUMNS)
        rows = dict.fromkeys((cell.sequence, cell.at, cell.step) for cell in self.tries)
        for sequence, at, step in sorted(rows, key=lambda row: (list(SEQUENCES).index(row[0]), row[1])):
            shown = []
            for who in _COLUMNS:
                found = Cell(sequence, SEQUENCES[sequence], at, who)
                tries, wrong = self.tries.get(found, 0), len(self.wrong.get(found, ()))
                shown.append(f"{tries}/{wrong}" if tries else "")
            yield f"{sequence:<34}{at} {step:<24}" + "".join(f"{each:>10}" for each in shown)


class Killings:
    """One daemon that is killed for all plays of a round."""

    def __init__(self, centre: Centre, plays: int, chance: random.Random) -> None:
        self._centre, self._missing, self._chance = centre, plays, chance
        self._all_there, self._up = Event(), Event()
        gevent.spawn(self._kill)

    def meet(self) -> None:
        """Wait until all have come to where it is to be killed."""
        self.one_less()
        self._all_there.wait()

    def one_less(self) -> None:
        """One play fewer comes there."""
        self._missing -= 1
        if self._missing <= 0:
            self._all_there.set()

    def wait(self) -> None:
        """Until another daemon runs."""
        self._up.wait()

    def _kill(self) -> None:
        self._all_there.wait()
        gevent.sleep(self._chance.uniform(0, _KILLED_WITHIN_S))
        self._centre.daemon.kill()
        gevent.sleep(_DEAD_S)
        self._centre.daemon.start()
        self._up.set()


class Series:
    """All cells, so many times each, at all seats."""

    def __init__(self, centre: Centre, history: History, tries: int, seed: int) -> None:
        self._centre, self._history = centre, history
        self._chance = random.Random(seed)
        self.tally = Tally()
        found = [(cell, number) for cell in cells() for number in range(tries)]
        self._chance.shuffle(found)
        self._alone = [one for one in found if one[0].who is not Who.DAEMON]
        self._killed = [one for one in found if one[0].who is Who.DAEMON]
        self._waiting: Queue[tuple[Cell, int]] = Queue()

    def run(self) -> None:
        """Those in which parties die run side by side; those in which the daemon does, in rounds."""
        for one in self._alone:
            self._waiting.put(one)
        gevent.joinall([gevent.spawn(self._sit, seat) for seat in self._centre.seats])
        # A colleague's phone rings for half a minute: whoever waits for others to come so far would hear it no more.
        slow = [one for one in self._killed if "wait in vain" in one[0].steps[: one[0].at]]
        self._in_rounds([one for one in self._killed if one not in slow])
        self._in_rounds(slow)

    def _in_rounds(self, killed: list[tuple[Cell, int]]) -> None:
        seats = self._centre.seats
        for first in range(0, len(killed), len(seats)):
            now = killed[first : first + len(seats)]
            killing = Killings(self._centre, len(now), self._chance)
            playing = [
                gevent.spawn(self._play, seat, cell, number, killing)
                for seat, (cell, number) in zip(seats, now, strict=False)
            ]
            gevent.joinall(playing)
            killing.wait()

    def _sit(self, seat: Seat) -> None:
        while True:
            try:
                cell, number = self._waiting.get_nowait()
            except Empty:
                return
            self._play(seat, cell, number, None)

    def _play(self, seat: Seat, cell: Cell, number: int, killing: Killings | None) -> None:
        seed = self._chance.randrange(2**31)
        underway = bool(number % 2) and cell.at > 0
        play = Play(cell, seat, seed, underway, self._history, _Once(killing) if killing else None)
        self.tally.tries[cell] += 1
        try:
            play.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are played all the same
            how = "on the way" if underway else "done"
            self.tally.wrong[cell].append(str(error))
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            print(
                f"WRONG: {cell.sequence}, {cell.at} {cell.step} ({how}), {cell.who}, seed {seed}, {seat.caller} at "
                f"seat {seat.number}, {time.strftime('%H:%M:%S')}: {said}",
                flush=True,
            )
            if isinstance(play.killing, _Once):
                play.killing.give_up()
            seat.rescue()
        if isinstance(play.killing, _Once):
            play.killing.give_up()


class _Once:
    """A play's part in a killing: it meets once, or gives up."""

    def __init__(self, killing: Killings) -> None:
        self._killing, self._met = killing, False

    def meet(self) -> None:
        self._met = True
        self._killing.meet()

    def wait(self) -> None:
        self._killing.wait()

    def give_up(self) -> None:
        if not self._met:
            self._met = True
            self._killing.one_less()


def main(n: int | None, chosen: Callable[[Cell], bool] = lambda _: True) -> int:
    """Fifty tries of each cell, or `n`; prints the table of them, and the seed of what was wrong."""
    if find_freeswitch() is None:
        return NOT_HERE
    seed = random.SystemRandom().randrange(2**31)
    print(f"{len(cells())} cells, {n or TRIES} tries each, {SEATS} talks side by side; seed {seed}", flush=True)
    began_s = time.monotonic()
    # Under root PostgreSQL runs as an ordinary user, who must get to its files.
    with tempfile.TemporaryDirectory(prefix="fsacd-e2e-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o711)
        (own := place / "daemon").mkdir(mode=0o700)
        switch = RealSwitch(place / "freeswitch", agents_of(SEATS))
        with EmbeddedPostgres(place / "pg", durable=False) as server:
            switch.start()
            centre = Centre(own, switch, server.dsn, SEATS)
            centre.start()
            try:
                series = Series(centre, History(server.dsn), n or TRIES, seed)
                series.run()
            finally:
                centre.stop()
                switch.stop()
    print("\n".join(series.tally.table()))
    wrong = sum(map(len, series.tally.wrong.values()))
    tries = sum(series.tally.tries.values())
    print(f"{tries} tries, {wrong} of them wrong, {time.monotonic() - began_s:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
