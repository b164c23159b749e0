"""One schedule: a centre at work, faults at random moments, and the judge. All of it follows from the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import gevent
import gevent.socket

from fsacd.core.commands import Command, RingAgent
from fsacd.core.events import CallHangupAsked
from fsacd.journal.files import Directory
from fsacd.journal.recovery import HopelessError, recover
from fsacd.sim.agenda import SECOND, Agenda
from fsacd.sim.dialplan import Dialplan
from fsacd.sim.program import fsacd_dialplan
from fsacd.sim.settings import Settings
from fsacd.sim.switch import Switch
from fsacd.testing import PLUGINS
from tests.chaos.judge import Judge
from tests.chaos.life import DOOMS, Disk, Life, shown
from tests.chaos.net import Net
from tests.chaos.people import Floor, plan_of, rules_for
from tests.chaos.told import Differences
from tests.chaos.virtual import VirtualTime, spawn_for
from tests.chaos.wishing import Wishing
from tests.chaos.world import end_all, world

START_S = 1
WARM_UP_S = (4, 15)
PAUSE_S = (1, 12)
CALM_S = 15
# The most patient caller, and the longest talk after that.
DRAIN_S = 260
ENDS_BY_HAND = 0.05
# The longest ring and what follows it: then nothing is left.
QUIET_S = 12


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says. `story` is the schedule in words."""

    seed: int
    story: tuple[str, ...]
    faults: tuple[str, ...]
    calls: int
    talks: int
    wishes: int  # of agents in a talk, that were granted
    differences: Differences

    @property
    def kinds(self) -> frozenset[str]:
        """What kinds of faults there were."""
        return frozenset(fault.split(": ")[1] for fault in self.faults)

    def __str__(self) -> str:
        head = f"seed {self.seed}: {self.calls} calls, {self.talks} talks; {self.differences}"
        return "\n  ".join([head, *self.story, *self.faults])


class Schedule:
    """Runs one. `dialplan` may be another than the shipped one, `faults` their number, `only` the one kind of them."""

    def __init__(
        self,
        seed: int,
        place: Path,
        *,
        dialplan: Dialplan | None = None,
        faults: int | None = None,
        only: Callable[[Schedule], None] | None = None,
    ) -> None:
        self.seed = seed
        self.chance = Random(f"faults {seed}")
        self.place = place
        agenda = Agenda(seed)
        plan = plan_of(self.chance.randint(3, 9), self.chance.uniform(0.5, 1.5))
        self.switch = Switch(agenda, Settings(), dialplan or fsacd_dialplan(plan))
        self.floor = Floor(self.switch, plan)
        self.rules = rules_for(plan)
        self.agenda = agenda
        self.time = VirtualTime(agenda)
        self.judge = Judge(self.switch, self.floor, self.serving)
        self.wishing = Wishing(agenda, seed, self.serving)
        self.story: list[str] = []
        self.lives: list[Life] = []
        self.disks: dict[str, Disk] = {}
        self.nets: dict[str, Net] = {}
        self.forgot = False  # a daemon's disk was full: what it did not write down it need not know
        self._only = only
        self._faults = self.chance.randint(1, 4) if faults is None else faults

    # --- the stage ---

    @contextmanager
    def _world(self) -> Iterator[None]:
        with world(self.time, self.seed, self._greenlet_failed):
            yield

    def _greenlet_failed(self, context: object, kind: type[BaseException], value: object, _trace: object) -> None:
        if not issubclass(kind, gevent.GreenletExit):
            self.judge.wrong("greenlet", f"{context} failed: {kind.__name__}: {value}")

    def serving(self) -> Life | None:
        """The one who serves the switch."""
        serving = [life for life in self.lives if life.serves]
        return serving[0] if len(serving) == 1 else None

    def current(self, instance: str) -> Life | None:
        """The life of this instance that is not over."""
        return next((life for life in self.lives if life.alive and life.instance == instance), None)

    def begin(self, instance: str, *, logs_in: bool = False) -> None:
        """Start a daemon."""
        assert self.current(instance) is None
        net = self.nets.setdefault(instance, Net(self.switch, Random(f"net {instance} {self.seed}")))
        disk = self.disks.setdefault(instance, Disk())
        life = Life(
            instance,
            self.place / instance,
            self.rules,
            net,
            disk,
            self.judge.write,
            self.judge.count,
            self._died,
            self._commanded,
            logs_in=logs_in,
            seed=self.chance.getrandbits(63),
        )
        self.lives.append(life)

    def _commanded(self, life: Life, command: Command) -> None:
        """Now and then somebody ends a call by hand just when a phone begins to ring for it."""
        if isinstance(command, RingAgent) and self.chance.random() < ENDS_BY_HAND:
            call_id = command.call_id

            def end() -> None:
                if life.alive and not life.frozen and call_id in life.engine._world.calls:
                    self.judge.ended_by_hand.add(call_id)
                    life.runtime.post(CallHangupAsked(call_id, "supervisor"))

            self.agenda.after(self.chance.uniform(0, 1_500), lambda: spawn_for(life, end))

    def _died(self, life: Life) -> None:
        """Nobody sees a dying daemon's memory but we: the next one must have the same."""
        if not life.began or self.forgot:
            return
        if life.doom == "journaled":
            return  # the engine has not seen what the journal has
        expected = shown(life.engine)
        first, second = (self._recovered(life) for _ in range(2))
        if first != second:
            self.judge.wrong("replay", f"the journal of {life.instance} replayed twice is not what it is once")
        if first is None:
            self.judge.wrong("recovery", f"nothing can be recovered from the journal of {life.instance}")
        elif first != expected:
            parts = [name for name in expected if first.get(name) != expected[name]]
            self.judge.wrong("recovery", f"another memory than that of {life.instance}: {', '.join(parts)}")

    def _recovered(self, life: Life) -> dict[str, object] | None:
        directory = Directory(life.directory)
        try:
            recovered = recover(directory, PLUGINS, "hours")
        except HopelessError as error:
            self.judge.wrong("recovery", str(error))
            return None
        finally:
            directory.close()
        return shown(recovered.engine) if recovered is not None else None

    # --- the play ---

    def run(self) -> Verdict:
        """From the first call to the last."""
        with self._world():
            try:
                self._play()
            finally:
                self._end()
        story, faults = tuple(self.story), tuple(self.judge.faults)
        called, differences = self.floor.tally.called, self.judge.oracle.differences
        return Verdict(self.seed, story, faults, called, self.talks, self.wishing.granted, differences)

    @property
    def talks(self) -> int:
        return self.floor.tally.talked

    def _play(self) -> None:
        self.begin("one")
        # On a switch that no daemon has ever served, callers take the fallback: that is no fault.
        self.let(START_S)
        self.floor.start()
        self.wishing.start()
        self.let(self.chance.uniform(*WARM_UP_S))
        for _ in range(self._faults):
            fault = self._only or self.chance.choices(FAULTS, WEIGHTS)[0]
            self.judge.broken = True
            fault(self)
            self.judge.broken = False
            self.let(self.chance.uniform(*PAUSE_S))
        self.let(CALM_S)
        if self.serving() is None:
            self.judge.wrong("nobody serves", f"{CALM_S} s after the last fault")
        self.floor.close()
        end_us = self.agenda.now_us + DRAIN_S * SECOND
        while self.floor.on_the_line and self.agenda.now_us < end_us:
            self.let(1)
        self.let(QUIET_S)
        self.judge.conclude()

    def let(self, seconds: float) -> None:
        """Let the time pass."""
        until_us = self.agenda.now_us + int(seconds * SECOND)
        self.time.advance(until_us, self._look)

    def _look(self) -> None:
        self.judge.look()
        for life in self.lives:
            failure = life.runtime.failure if life.alive and hasattr(life, "runtime") else ""
            if failure:
                self.judge.wrong("engine", f"the engine of {life.instance} failed: {failure}")
            if life.control is not None and life.control.stats().handler_errors:
                self.judge.wrong("handler", f"an event's handler of {life.instance} failed")

    def _end(self) -> None:
        end_all(self.time, self.lives)

    def say(self, sentence: str) -> None:
        """What happens now."""
        self.story.append(f"{self.agenda.now_us / SECOND:.3f} s: {sentence}")

    def main(self) -> Life:
        """The daemon that faults happen to."""
        return self.serving() or self.current("one") or next(life for life in self.lives if life.alive)

    # --- faults ---

    def kill(self) -> None:
        """SIGKILL between two steps, and a start later."""
        life, away_s = self.main(), self.chance.choice([0.05, 0.5, 2.0, 10.0, 25.0])
        self.say(f"kill -9 of {life.instance}, started again {away_s:g} s later")
        life.kill()
        self.let(away_s)
        self.begin(life.instance, logs_in=self.forgot)

    def kill_in_a_step(self) -> None:
        """SIGKILL in the middle of a step."""
        life, doom = self.main(), self.chance.choice(DOOMS)
        away_s = self.chance.choice([0.05, 1.0, 10.0])
        life.doom = doom
        end_us = self.agenda.now_us + 20 * SECOND
        while life.alive and self.agenda.now_us < end_us:
            self.let(0.05)
        if life.alive:
            life.doom = None
            return
        self.say(f"kill -9 of {life.instance} in a step, {doom}; started again {away_s:g} s later")
        self.let(away_s)
        self.begin(life.instance, logs_in=self.forgot)

    def stop(self) -> None:
        """SIGSTOP for a while."""
        life, for_s = self.main(), self.chance.choice([1.0, 9.0, 30.0])
        self.say(f"SIGSTOP of {life.instance} for {for_s:g} s")
        life.stop()
        self.let(for_s)
        life.go_on()

    def cut(self) -> None:
        """The link breaks, and can be made again later."""
        life, for_s = self.main(), self.chance.choice([0.01, 1.0, 10.0])
        self.say(f"the link of {life.instance} is cut for {for_s:g} s")
        life.net.cut()
        self.let(for_s)
        life.net.heal()

    def half_open(self) -> None:
        """Bytes vanish, or come late."""
        life, for_s = self.main(), self.chance.choice([0.5, 3.0, 10.0, 20.0])
        deliver = self.chance.random() < 0.5
        self.say(f"no byte of {life.instance} passes for {for_s:g} s, then {'all do' if deliver else 'it is cut'}")
        life.net.hold()
        self.let(for_s)
        life.net.heal(deliver=deliver)

    def bad_wire(self) -> None:
        """Bytes come late and in crumbs, or one of the two connections is reset."""
        life, for_s = self.main(), self.chance.choice([1.0, 5.0, 15.0])
        how = self.chance.choice(["late", "in crumbs", "reset"])
        self.say(f"the bytes of {life.instance} come {how} for {for_s:g} s")
        match how:
            case "late":
                life.net.late_us = self.chance.choice([20_000, 200_000, 900_000])
            case "in crumbs":
                life.net.most = self.chance.choice([100, 1_000])
            case _:
                life.net.reset_one()
        self.let(for_s)
        life.net.late_us, life.net.most = 0, 1 << 20

    def set_clock(self) -> None:
        """Somebody sets the daemons' wall clock by an hour; a start may follow."""
        by_s = self.chance.choice([-3_600, 3_600])
        self.say(f"the wall clock is set by {by_s} s")
        self.time.wall_ahead_s += by_s
        if self.chance.random() < 0.7:
            self.kill()

    def restart_switch(self) -> None:
        """The switch dies with all its calls, and comes back."""
        down_s = self.chance.choice([0.5, 3.0, 12.0])
        self.say(f"the switch is killed, and started {down_s:g} s later")
        self.judge.switch_restarts_us.append(self.agenda.now_us)
        self.switch.faults.kill(down_s * 1_000)
        self.let(down_s + 0.5)

    def fill_disk(self) -> None:
        """The journal's disk is full for a while, and perhaps the daemon is killed meanwhile."""
        life, for_s = self.main(), self.chance.choice([1.0, 8.0])
        dies = self.chance.random() < 0.3
        self.say(f"the disk of {life.instance} is full for {for_s:g} s" + (", and it is killed" if dies else ""))
        life._disk.full = True
        forgot_before, self.forgot = self.forgot, True
        self.let(for_s)
        if dies:
            self.judge.forgiven |= self.judge.known
            life.kill()
        life._disk.full = False
        if dies:
            self.let(1.0)
            self.begin(life.instance, logs_in=True)
        # A new segment is begun after a second, with a snapshot of its own.
        self.let(2.5)
        self.forgot = forgot_before or dies

    def second_daemon(self) -> None:
        """Another instance is started; the first one stops or is killed; both are there in the end, or not."""
        if self.current("two") is None:
            self.say("another instance is started")
            self.begin("two", logs_in=True)
            self.let(self.chance.choice([0.3, 3.0]))
        life = self.main()
        match self.chance.choice(["stop", "kill", "hold"]):
            case "stop":
                for_s = self.chance.choice([9.0, 13.0, 30.0])
                self.say(f"SIGSTOP of {life.instance} for {for_s:g} s beside another one")
                life.stop()
                self.let(for_s)
                life.go_on()
            case "kill":
                self.say(f"kill -9 of {life.instance} beside another one")
                life.kill()
                self.let(self.chance.choice([1.0, 15.0]))
                self.begin(life.instance)
            case _:
                self.say(f"no byte of {life.instance} passes for 15 s beside another one")
                life.net.hold()
                self.let(15.0)
                life.net.heal(deliver=self.chance.random() < 0.5)


FAULTS: tuple[Callable[[Schedule], None], ...] = (
    Schedule.kill,
    Schedule.kill_in_a_step,
    Schedule.stop,
    Schedule.cut,
    Schedule.half_open,
    Schedule.restart_switch,
    Schedule.fill_disk,
    Schedule.second_daemon,
    Schedule.bad_wire,
    Schedule.set_clock,
)
WEIGHTS = (4, 4, 2, 3, 3, 1, 1, 2, 2, 1)
