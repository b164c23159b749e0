"""One schedule: a centre at work on a real switch, faults at random moments that follow from a seed, and the judge."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import gevent
import psycopg
from psycopg import sql

from fsacd.store.embedded import EmbeddedPostgres
from tests.chaos.oracle import Oracle
from tests.chaos.real import faults
from tests.chaos.real.faults import Fault, SmallDisk, Stage
from tests.chaos.real.judge import Judge
from tests.chaos.real.listener import Listener
from tests.chaos.real.people import QUEUES, People
from tests.chaos.real.site import Site, serves
from tests.chaos.real.wishing import Wishing
from tests.chaos.told import Differences
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.switch import RealSwitch, await_true

CALLERS, AGENTS = (30, 60), (10, 15)
WAVES_S = 22.0
BEGIN_S, PAUSE_S = (3.0, 6.0), (1.0, 6.0)
# All faults of a schedule together, so that one takes less than a minute.
BROKEN_S = 32.0
START_S = 20.0
# When all have called, they are served within this, and then nothing is left.
SERVED_S, SETTLED_S = 120.0, 8.0
LOOK_S = 0.5
TERM_S = 4.0
# Which kind of fault, of so many; the last two need something of the site from its very beginning.
WEIGHTS = {"daemon": 6, "wire": 6, "switch": 2, "database": 3, "disk": 2, "clock": 2}
SECOND_DAEMON = 25  # of a hundred schedules


@dataclass(frozen=True)
class Verdict:
    """What the judge says. `story` is the schedule in words."""

    seed: int
    story: tuple[str, ...]
    faults: tuple[str, ...]
    callers: int
    outcomes: Counter[str]
    wishes: Counter[str]  # of agents in a talk, that were granted
    differences: Differences

    def __str__(self) -> str:
        head = f"seed {self.seed}: {self.callers} callers, history {dict(self.outcomes)}, wishes {dict(self.wishes)}"
        head += f"; {self.differences}"
        return "\n  ".join([head, *self.story, *(f"WRONG {fault}" for fault in self.faults)])


def draw(chance: Random, kinds: dict[str, int]) -> list[tuple[float, Fault, float]]:
    """Which faults, how long after the one before, and for how long."""
    families = {
        "daemon": faults.DAEMON,
        "wire": faults.WIRE,
        "switch": faults.SWITCH,
        "database": faults.DATABASE,
        "disk": faults.DISK,
        "clock": faults.CLOCK,
    }
    drawn: list[tuple[float, Fault, float]] = []
    left_s = BROKEN_S
    for _ in range(chance.randint(2, 4)):
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        fault = chance.choice(families[kind])
        for_s = chance.uniform(*fault.for_s)
        if for_s <= left_s:
            drawn.append((chance.uniform(*(PAUSE_S if drawn else BEGIN_S)), fault, for_s))
            left_s -= for_s if fault.blind else 0
    return drawn


class Schedule:
    """Runs one, in a directory of its own; `postgres` None leaves out what needs it.

    Logs and journals of one that went wrong are put into `keep`.
    """

    def __init__(self, seed: int, place: Path, postgres: EmbeddedPostgres | None, keep: Path | None = None) -> None:
        self.seed = seed
        self._keep = keep
        self._place = place
        self._postgres = postgres
        self.chance = chance = Random(f"faults {seed}")
        kinds = dict(WEIGHTS)
        if postgres is None:
            del kinds["database"]
        if not faults.FAKETIME.exists():
            del kinds["clock"]
        self.plan = draw(chance, kinds)
        self.instances = ("one", "two") if chance.randrange(100) < SECOND_DAEMON else ("one",)
        self.story: list[str] = []
        self._dsn = ""
        self._began_s = 0.0
        self._mending: list[gevent.Greenlet] = []

    def run(self) -> Verdict:
        """Set everything up, let it go on, and judge."""
        with self._world() as (stage, people, judge):
            looking = gevent.spawn(self._look, judge)
            people.start()
            self._wishing.start()
            for gap_s, fault, for_s in self.plan:
                gevent.sleep(gap_s)
                self._break(stage, judge, fault, for_s)
            gevent.joinall(self._mending)
            outcomes = self._end(stage, people, judge)
            looking.kill()
            callers = len(stage.site.callers)
            if judge.faults and self._keep is not None:
                _copy(self._place, self._keep / str(self.seed))
        differences, granted = self._listener.oracle.differences, self._wishing.granted
        return Verdict(self.seed, tuple(self.story), tuple(judge.faults), callers, outcomes, granted, differences)

    # --- the world ---

    @contextmanager
    def _world(self) -> Iterator[tuple[Stage, People, Judge]]:
        with ExitStack() as stack:
            disk = SmallDisk(self._place / "disk")
            mounted = disk.mount()
            if mounted:
                stack.callback(disk.unmount)
            agents = tuple(str(1001 + index) for index in range(self.chance.randint(*AGENTS)))
            switch = RealSwitch(self._place / "freeswitch", agents, track_calls=True)
            stack.callback(switch.stop)
            switch.start()
            clock = self._clock()
            environment = faults.with_clock(clock) if clock else {}
            place = self._place / "disk" if mounted else self._place
            program = "tests.chaos.real.with_clock" if clock else "fsacd"
            site = Site(place, switch, self._config(agents), self.instances, program=program, environment=environment)
            stack.callback(site.stop)
            full = disk.full if mounted else partial(faults.files_limited, site.daemons)
            stage = Stage(site, self.chance, self._postgres, clock, full)
            people = People(site, self.seed, self.chance.randint(*CALLERS), WAVES_S)
            stack.callback(people.stop)
            self._wishing = Wishing(site, self.seed, agents)
            stack.callback(self._wishing.stop)
            self._listener = Listener(switch.esl_port, Oracle(lambda: time.time_ns() // 1_000))
            stack.callback(self._listener.stop)
            judge = Judge(stage, people, self._listener)
            site.phones.on_ring = partial(_rung, people, judge)
            for daemon in site.daemons.values():
                daemon.launch()
            await_true(site.serving, START_S, "somebody serves the switch")
            judge.broken = False
            self._began_s = time.time()
            self._say(f"{len(agents)} agents, instances {', '.join(self.instances)}")
            yield stage, people, judge

    def _clock(self) -> Path | None:
        """What the daemons' wall clock goes by, if this schedule sets it."""
        if not any(fault in faults.CLOCK for _, fault, _ in self.plan):
            return None
        clock = self._place / "clock"
        faults.set_clock(clock, 0)
        return clock

    def _config(self, agents: tuple[str, ...]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "lease": "10m",  # no schedule lets it end, and a slow machine must not either
            "switches": {"fs1": {"fence_term": f"{TERM_S:g}s", "fence_renewal": "1s"}},
            "defaults": {
                "wrap_up": "0s",
                "ring_timeout": "6s",
                "hold_back": {"refused": "2s", "busy": "2s", "no_answer": "2s", "unreachable": "2s"},
            },
            "queues": {queue: {} for queue in QUEUES},
            "agents": {agent: {"queues": list(QUEUES), "login_at_start": True} for agent in agents},
            "log": {"number_digits": 32},
        }
        if self._postgres is not None:
            name = f"chaos_{self.seed}_{time.time_ns()}"
            with psycopg.connect(self._postgres.dsn, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            self._dsn = self._postgres.dsn_of(name)
            config["store"] = {"dsn": self._dsn, "retry_max": "1s"}
        return config

    # --- going on ---

    def _say(self, sentence: str) -> None:
        self.story.append(f"{time.time() - self._began_s:.2f} s: {sentence}")

    @staticmethod
    def _look(judge: Judge) -> None:
        while True:
            judge.look()
            gevent.sleep(LOOK_S)

    def _break(self, stage: Stage, judge: Judge, fault: Fault, for_s: float) -> None:
        """Break it and mend it; what keeps nobody apart is mended while the next thing breaks already."""
        if fault.blind:
            judge.broken = True
        else:
            gevent.joinall(self._mending)  # what is away already can be neither killed nor stopped
        began_s = time.time()
        words, mend = fault.breaks(stage)
        self._say(f"{words}, for {for_s:.1f} s")
        if fault.blind:
            gevent.sleep(for_s)
            mend()
            self._say("mended")
            judge.broken = False
            # Some breaks are over before the judge has looked.
            judge.late.append((began_s, time.time()))
        else:
            self._mending.append(gevent.spawn_later(for_s, mend))
        if fault.late:
            judge.late.append((began_s, began_s + for_s))

    # --- the end ---

    def _end(self, stage: Stage, people: People, judge: Judge) -> Counter[str]:
        site = stage.site
        _within(SERVED_S, lambda: people.all_have_called and not any(map(site.there, site.callers)))
        _within(SETTLED_S, lambda: not site.live() and _has_no_calls(site))
        self._say("all are served")
        gevent.sleep(1)  # the list of channels lags
        judge.conclude_people()
        judge.conclude_switch()
        people.stop()
        self._wishing.stop()
        if self._listener.error:
            judge.wrong("listener", self._listener.error)
        # Whoever serves is stopped, and the next one learns what has become of the calls that it knew.
        left = dict(site.daemons)
        while left:
            if not _within(3 * TERM_S, lambda: any(map(serves, left.values()))):
                judge.wrong("nobody serves", f"of {', '.join(left)}, when the others have stopped")
            name = next((name for name, daemon in left.items() if serves(daemon)), next(iter(left)))
            daemon = left.pop(name)
            _within(SETTLED_S, partial(_has_written, daemon))
            judge.conclude_daemon(daemon)
        return judge.conclude_history(self._dsn) if self._dsn else Counter()


def _rung(people: People, judge: Judge, ring: Dialog) -> None:
    judge.rung(ring)
    people.rung(ring)


def _has_no_calls(site: Site) -> bool:
    daemon = site.serving()
    return daemon is not None and daemon.get("calls")["calls"] == []


def _has_written(daemon: Any) -> bool:
    store = daemon.get("status")["store"]
    return daemon.get("calls")["calls"] == [] and not (store or {}).get("queued")


def _copy(place: Path, to: Path) -> None:
    for log in (*place.rglob("*.log"), *place.rglob("snapshot-*.json")):
        target = to / log.relative_to(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(log.read_bytes())


def _within(limit_s: float, condition: Any) -> bool:
    """Wait for it, and say whether it came."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if condition():
            return True
        gevent.sleep(0.1)
    return False
