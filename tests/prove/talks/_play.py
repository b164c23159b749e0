"""One play of the series: a talk is led through its steps, somebody dies at one, and all that follows is judged.

At a step means: while it is on its way, or when it is done.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import gevent

from tests.e2e.rig.dialog import replaces
from tests.prove.talks._centre import OUTSIDE, SOON_S, Centre, Look, Seat, await_soon
from tests.prove.talks._history import History
from tests.prove.talks._world import MORTALS, MUSIC, PARTING, SCENES, State, Who, World, after, dies, killed, on_the_way

# No leg is left so long after the last one has hung up.
NO_LEG_S: Final = 5.0
# A step takes about so long; whoever dies during it does so at some moment of that.
_ON_THE_WAY_S: Final = 0.4
# How long what is heard has to stay as it is.
_STAYS_S: Final = 0.12
_IN_VAIN_S: Final = 45.0
_AGAIN_S: Final = 0.3


class Killing(Protocol):
    """A daemon that is killed for many plays at once."""

    def meet(self) -> None:
        """Wait until all have come to where it is to be killed; it is killed at some moment soon after that."""

    def wait(self) -> None:
        """Until another daemon runs."""


@dataclass(frozen=True)
class Cell:
    """Where who dies: at the step of this number (0: the talk has begun) of a sequence."""

    sequence: str
    steps: tuple[str, ...]
    at: int
    who: Who

    @property
    def step(self) -> str:
        return self.steps[self.at - 1] if self.at else "talk"


@dataclass
class Play:
    """`underway`: who dies does so while the step is on its way."""

    cell: Cell
    seat: Seat
    seed: int
    underway: bool
    history: History
    killing: Killing | None = None
    worlds: list[World] = field(default_factory=lambda: [World()])
    offers: dict[str, bool] = field(default_factory=dict)  # by its leg's name: whether history must have it

    def run(self) -> None:
        """Raises AssertionError with what is wrong."""
        self._chance = random.Random(self.seed)
        self._allowed: set[frozenset[str]] = set()
        watch = gevent.spawn(self._watch)
        self._wrong: list[str] = []
        try:
            self._begin()
            self._lead()
            self._wind_up()
            self._no_leg_is_left()
            self._free()
            self.history.judge(self.seat, self.worlds)
        finally:
            watch.kill()
        assert not self._wrong, self._wrong[0]

    @property
    def centre(self) -> Centre:
        return self.seat.centre

    # --- the way ---

    def _begin(self) -> None:
        seat = self.seat
        seat.call()
        await_soon(lambda: seat.state(Who.CALLER) == "talking", SOON_S, "the caller is taken by the switch")
        seat.answers(Who.AGENT)
        self._is(State.TOGETHER)
        leg = self.centre.look().calls[seat.caller]["leg_uuid"]
        await_soon(lambda: self.centre.api(f"uuid_getvar {leg} fsacd_over") == "true", SOON_S, "the talk is one")

    def _lead(self) -> None:
        cell = self.cell
        if cell.at == 0:
            self._death()
            return
        for number, step in enumerate(cell.steps, 1):
            if number == cell.at and self.underway and cell.who is Who.DAEMON:
                self._killed_on_the_way(step)
            elif number == cell.at and self.underway and cell.who is not Who.NOBODY:
                self._dies_on_the_way(step)
                return
            else:
                self._step(step)
                if number == cell.at:
                    self._death()
            if number == cell.at and cell.who not in (Who.DAEMON, Who.NOBODY):
                return

    def _step(self, step: str) -> None:
        """One step, until it is done."""
        done = [after(world, step) for world in self.worlds]
        if step == "wait in vain":
            self._comes_to(done, _IN_VAIN_S)
            return
        self._may_hear(done)
        _STEPS[step](self)
        self._comes_to(done)

    def _death(self) -> None:
        """Somebody dies when a step is done."""
        who = self.cell.who
        if who is Who.DAEMON:
            assert self.killing is not None
            self.killing.meet()
            self.killing.wait()
            self._comes_to(self.worlds)
        elif who is not Who.NOBODY:
            self.seat.dies(who)
            world = self._only()
            rung_again = [world] if world.state is State.OFFERED and who is Who.THIRD else []
            self._comes_to([dies(world, who), *rung_again])

    def _dies_on_the_way(self, step: str) -> None:
        world = self._only()
        self._may_hear([after(world, step)])
        if step != "wait in vain":
            order = gevent.spawn(self._order, step)
            gevent.sleep(self._chance.uniform(0, _ON_THE_WAY_S))
        else:
            order = gevent.spawn(lambda: None)
            gevent.sleep(30.0 - self._chance.uniform(0, 2 * _ON_THE_WAY_S))
        died = self.seat.dies(self.cell.who)
        order.join()
        if step == "ask colleague" and self.seat.state(Who.THIRD) != "talking" and self.cell.who is Who.THIRD and died:
            self.seat.answers(Who.THIRD)  # they have refused, and are rung again
        self._comes_to(on_the_way(world, step, self.cell.who) if died else [after(world, step)], _IN_VAIN_S)

    def _killed_on_the_way(self, step: str) -> None:
        assert self.killing is not None
        world = self._only()
        self._may_hear([after(world, step)])
        self.killing.meet()
        gevent.sleep(self._chance.uniform(0, _ON_THE_WAY_S))
        if step != "wait in vain":
            self._order(step)
        self.killing.wait()
        self._comes_to(killed(world, step), _IN_VAIN_S)
        if self.worlds == [world]:
            self._step(step)  # nobody has heard the wish, or its order was lost

    def _order(self, step: str) -> None:
        with suppress(OSError, AssertionError):  # it was refused, or the daemon was killed, as somebody had died
            _STEPS[step](self)

    def _wind_up(self) -> None:
        """Whoever waits is served; then all hang up, one after the other."""
        while (state := self.worlds[0].state) is not State.OVER:
            if state is State.WAITS:
                self._serve()
                continue
            if state in (State.OFFERED, State.OUT_RINGS):
                who, step = (Who.THIRD, "take") if state is State.OFFERED else (Who.OUTSIDE, "outside answers")
                self.seat.answers(who)
                self._comes_to([after(world, step) for world in self.worlds])
                continue
            who = self._parts(state)
            self.seat.dies(who)
            self._comes_to([dies(world, who) for world in self.worlds])

    def _parts(self, state: State) -> Who:
        """Who hangs up next."""
        return next(who for who in PARTING if who in MORTALS[state])

    def _serve(self) -> None:
        """Whoever the caller waits for is ready, and talks with them."""
        who = Who.AGENT if self.worlds[0].visits[-1].queue == "own" else Who.THIRD
        self._end_wrap_up(who, ready=True)
        self.seat.answers(who)
        state = State.TOGETHER if who is Who.AGENT else State.THIRDS
        self._comes_to([world.answered(state) for world in self.worlds])

    # --- what is seen ---

    def _only(self) -> World:
        assert len(self.worlds) == 1, self.worlds
        return self.worlds[0]

    def _is(self, state: State) -> None:
        self._comes_to([world.to(state) for world in self.worlds])

    def _comes_to(self, worlds: list[World], within_s: float = SOON_S) -> None:
        """Wait until it is as in one of these worlds, and stays so; those are left that it may be."""
        self._may_hear(worlds)
        states = list(dict.fromkeys(world.state for world in worlds))
        reached: list[State] = []

        def is_so(look: Look) -> bool:
            reached[:] = [state for state in states if not self._differs(state, look)]
            return bool(reached)

        def stays(look: Look) -> bool:
            if not is_so(look):
                return False
            seen = list(reached)
            gevent.sleep(_STAYS_S)
            return is_so(self.centre.look()) and reached == seen

        try:
            self.centre.eventually("", stays, within_s)
        except AssertionError:
            look = self.centre.look()
            why = {state: self._differs(state, look) for state in states}
            reached[:] = [state for state, differs in why.items() if not differs]  # later than anybody can wait
            if not reached:
                told = "; ".join(f"not {state}, for {differs}" for state, differs in why.items())
                raise AssertionError(told) from None
        if states == [State.OVER] or reached[0] is State.OVER:
            self._over_s = time.monotonic()
        self.worlds = [world for world in worlds if world.state is reached[0]]
        for who in SCENES[reached[0]].talk:
            assert not self.seat.hears_strangers(who), f"{who} hears somebody of another seat"

    def _differs(self, state: State, look: Look) -> str:
        """What is otherwise than in this state; empty: nothing."""
        seat, scene = self.seat, SCENES[state]
        for who in seat.lines:
            wanted = "talking" if who in scene.talk else "ringing" if who in scene.rings else ""
            now = seat.state(who)
            if (now if now in ("talking", "ringing") else "") != wanted:
                return f"{who}'s phone is {now}"
        for who, whom in scene.hears.items():
            heard = seat.hears(who)
            if heard != whom if whom is not None else heard - {MUSIC}:
                return f"{who} hears {sorted(heard)}"
        call = look.calls.get(seat.caller if scene.as_whose is Who.CALLER else seat.agent)
        if not look.agents:
            return "no daemon answers"
        shown = ("", "") if call is None else (call["state"], (call["talk"] or {}).get("shape", ""))
        if shown != scene.call or (call is not None and call["talk"] is not None and call["talk"]["becoming"]):
            return f"the API shows {shown}, {call and call['talk']}"
        if call is not None and scene.whose is not None and call["agents"] != [seat.user(scene.whose)]:
            return f"it is the talk of {call['agents']}"
        held = state in (State.PHONE_HELD, State.ASKING_OUT, State.ASKING_QUEUE, State.ASKING_THIRD)
        if call is not None and call["talk"] is not None and call["talk"]["held_by_phone"] is not held:
            return f"held by phone: {not held}"
        return ""

    def _may_hear(self, worlds: list[World]) -> None:
        """From now on these may hear each other; whoever else does is told by `_watch`."""
        for world in (*self.worlds, *worlds):
            for who, whom in SCENES[world.state].hears.items():
                self._allowed |= {frozenset((str(who), other)) for other in whom or ()}

    def _watch(self) -> None:
        """Nobody hears whom they must not, at any moment."""
        while True:
            gevent.sleep(0.1)
            for who, line in self.seat.lines.items():
                if line.talks:
                    self._wrong += [
                        f"{who} hears {other}, once"
                        for other in self.seat.hears(who) - {MUSIC}
                        if frozenset((str(who), other)) not in self._allowed
                    ]

    # --- the end ---

    def _no_leg_is_left(self) -> None:
        seat = self.seat
        within_s = max(1.0, NO_LEG_S - (time.monotonic() - self._over_s))
        self.centre.eventually("no leg is left", lambda look: not seat.legs(look), within_s)

    def _free(self) -> None:
        """Both agents wrap up what they have to, and are ready."""
        for who in (Who.AGENT, Who.THIRD):
            self._end_wrap_up(who, ready=True)

    def _end_wrap_up(self, who: Who, *, ready: bool) -> None:
        """The agent is through with what they had to do."""
        user, asked_s = self.seat.user(who), 0.0

        def is_free(look: Look) -> bool:
            nonlocal asked_s
            state = look.agents.get(user, {}).get("state")
            if time.monotonic() - asked_s > _AGAIN_S:
                asked_s = time.monotonic()
                verbs = {"wrapping_up": ["end-wrap-up"], "not_ready": ["ready"]}.get(str(state), [])
                for verb in verbs:
                    with suppress(OSError):
                        self.seat.ask(f"agents/{user}/{verb}")
            return state in ("ready", "offered") or not ready

        self.centre.eventually(f"{who} is ready", is_free)

    # --- what is done at a step ---

    def _wish(self, verb: str, **body: str) -> None:
        """The agent wishes something of their talk."""
        call = self.centre.look().calls.get(self.seat.caller)
        if call is None or call["talk"] is None:
            raise ConnectionError("there is no talk, or no daemon")
        self.seat.ask(f"talks/{call['talk']['id']}/{verb}", **body)

    def _refer(self, number: str) -> None:
        dialog = self.seat.lines[Who.AGENT].dialog
        assert dialog is not None
        self.seat.phones.refer(dialog, self._address(number))

    def _address(self, number: str) -> str:
        return f"sip:{number}@127.0.0.1:{self.seat.phones.trunk_port}"

    def _hold(self, *, off: bool) -> None:
        dialog = self.seat.lines[Who.AGENT].dialog
        assert dialog is not None
        self.seat.phones.hold(dialog, off=off)

    def _asks_outside(self) -> None:
        self.seat.dials(f"outside-{self.seat.phones.port}")
        self.seat.answers(Who.OUTSIDE)

    def _asks_in_queue(self) -> None:
        """The agent's other line is rung by the switch, as from a desk, and put through to the colleague's queue."""
        seat = self.seat
        phone = f"sofia/trunk/{seat.agent}@127.0.0.1:{seat.phones.port}"
        self.centre.api(
            f"bgapi originate {{origination_caller_id_number={seat.agent}}}{phone} queue-{seat.other} XML public"
        )
        seat.answers(Who.LINE)

    def _asks_queue(self) -> None:
        self.seat.ask(f"agents/{self.seat.third}/not-ready")
        self._asks_in_queue()

    def _asks_colleague(self) -> None:
        self._asks_in_queue()
        self.seat.answers(Who.THIRD)

    def _joins(self, by: Who) -> None:
        """The agent joins those on their two lines; it is on this one that they say so."""
        lines = [self.seat.lines[who].dialog for who in (Who.AGENT, Who.LINE)]
        first, second = lines if by is Who.AGENT else lines[::-1]
        assert first is not None
        assert second is not None
        self.seat.phones.refer(first, self._address(OUTSIDE), replaces(second))
        gevent.sleep(0.5)
        for line in lines:  # as a phone does whose transfer has succeeded
            if line is not None and line.state == "talking" and any(said.startswith("200") for said in first.referred):
                self.seat.phones.end(line)


_STEPS: Final[dict[str, Callable[[Play], object]]] = {
    **{
        verb: (lambda play, verb=verb: play._wish(verb))  # type: ignore[misc]
        for verb in ("hold", "resume", "cancel", "swap", "complete", "three-way", "leave", "drop")
    },
    "consult": lambda play: play._wish("consult", agent=play.seat.third),
    "to colleague": lambda play: play._wish("transfer", agent=play.seat.third),
    "to queue": lambda play: play._wish("transfer", queue=play.seat.other),
    "to number": lambda play: play._wish("transfer", number=f"00{play.seat.phones.port}"),
    "to nowhere": lambda play: play._wish("transfer", number="4711*2"),
    "answer": lambda play: play.seat.answers(Who.THIRD),
    "take": lambda play: play.seat.answers(Who.THIRD),
    "outside answers": lambda play: play.seat.answers(Who.OUTSIDE),
    "refuse": lambda play: play.seat.dies(Who.THIRD),
    "refer to queue": lambda play: play._refer(f"queue-{play.seat.other}"),
    "refer to number": lambda play: play._refer(f"00{play.seat.phones.port}"),
    "refer to nowhere": lambda play: play._refer("4711*2"),
    "phone holds": lambda play: play._hold(off=False),
    "phone back": lambda play: play._hold(off=True),
    "ask outside": lambda play: play._asks_outside(),
    "ask queue": lambda play: play._asks_queue(),
    "ask colleague": lambda play: play._asks_colleague(),
    "join": lambda play: play._joins(Who.AGENT),
    "join by it": lambda play: play._joins(Who.LINE),
}
