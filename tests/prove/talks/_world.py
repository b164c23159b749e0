"""What a talk is by what was done to it, for the series: who talks and hears whom, and what history must say. Pure.

A `World` shares no code with the daemon. Where a party dies while a step is on its way, there are two worlds that may
come of it, the one before the step and the one after it; the phones tell which it is, and then all the rest must fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final


class Who(StrEnum):
    """The parties: a caller, their agent, a colleague in another queue, somebody outside; the agent's other line."""

    CALLER = "caller"
    AGENT = "agent"
    THIRD = "third"
    OUTSIDE = "outside"
    LINE = "line"
    DAEMON = "daemon"
    NOBODY = "nobody"


C, A, T, X, L = Who.CALLER, Who.AGENT, Who.THIRD, Who.OUTSIDE, Who.LINE
MUSIC: Final = "music"


class State(StrEnum):
    """How things stand."""

    TOGETHER = "together"
    HELD = "held"
    CALLING = "calling"
    CONSULTING = "consulting"
    SWAPPED = "swapped"
    THREE_WAY = "three_way"
    THIRDS = "thirds"  # the caller talks with the colleague, and it is the colleague's talk
    OFFERED = "offered"  # the caller waits, and the colleague's phone rings for them
    WAITS = "waits"  # the caller waits for somebody who is not ready
    PAIR = "pair"  # the caller has gone, and agent and colleague talk on
    OUT_RINGS = "out_rings"  # the caller was sent to a number outside, where it rings
    OUT_TALKS = "out_talks"
    PHONE_HELD = "phone_held"  # by the agent's phone
    BOTH_HELD = "both_held"  # by the agent's phone, and by us
    ASKING_OUT = "asking_out"  # held by the phone, which talks on its other line with somebody outside
    ASKING_QUEUE = "asking_queue"  # the same; the other line waits in the colleague's queue
    ASKING_THIRD = "asking_third"  # the same; the other line talks with the colleague, through their queue
    JOINED = "joined"  # the caller talks with the colleague, whom the agent had called on that line
    LEFT_OUT = "left_out"  # the caller has gone, and the agent's other line goes on
    LEFT_QUEUE = "left_queue"
    LEFT_THIRD = "left_third"
    OVER = "over"


@dataclass(frozen=True)
class Scene:
    """What is to be seen. `hears`: of whoever is listed, whom exactly; None: it does not matter whom, but no phone."""

    talk: frozenset[Who] = frozenset()
    hears: Mapping[Who, frozenset[str] | None] = field(default_factory=dict)
    rings: frozenset[Who] = frozenset()
    call: tuple[str, str] = ("", "")  # the call's state in the API, and its talk's shape; empty: there is none
    whose: Who | None = None  # whose talk it is
    as_whose: Who = Who.CALLER  # whose number the call has


def _scene(call: tuple[str, str], whose: Who | None, rings: tuple[Who, ...] = (), /, **hears: str | None) -> Scene:
    told = {Who(who): None if whom is None else frozenset(whom.split()) for who, whom in hears.items()}
    return Scene(frozenset(told), told, frozenset(rings), call, whose)


def _talks(shape: str) -> tuple[str, str]:
    return ("talking", shape)


_NONE: Final = ("", "")
_HOLDS: Final = {"caller": MUSIC, "agent": None}
SCENES: Final[Mapping[State, Scene]] = {
    State.TOGETHER: _scene(_talks("together"), A, caller="agent", agent="caller"),
    State.HELD: _scene(_talks("held"), A, caller=MUSIC, agent=""),
    State.CALLING: _scene(_talks("calling"), A, (T,), caller=MUSIC, agent=""),
    State.CONSULTING: _scene(_talks("consulting"), A, caller=MUSIC, agent="third", third="agent"),
    State.SWAPPED: _scene(_talks("swapped"), A, caller="agent", agent="caller", third=MUSIC),
    State.THREE_WAY: _scene(_talks("three_way"), A, caller="agent third", agent="caller third", third="caller agent"),
    State.THIRDS: _scene(_talks("together"), T, caller="third", third="caller"),
    State.OFFERED: _scene(("offered", ""), None, (T,), caller=MUSIC),
    State.WAITS: _scene(("waiting", ""), None, caller=MUSIC),
    State.PAIR: _scene(_talks("consulting"), A, agent="third", third="agent"),
    State.OUT_RINGS: _scene(_NONE, None, (X,), caller=None),
    State.OUT_TALKS: _scene(_NONE, None, caller="outside", outside="caller"),
    State.PHONE_HELD: _scene(_talks("together"), A, **_HOLDS),
    State.BOTH_HELD: _scene(_talks("held"), A, **_HOLDS),
    State.ASKING_OUT: _scene(_talks("together"), A, line="outside", outside="line", **_HOLDS),
    State.ASKING_QUEUE: _scene(_talks("together"), A, line=MUSIC, **_HOLDS),
    State.ASKING_THIRD: _scene(_talks("together"), A, line="third", third="line", **_HOLDS),
    State.JOINED: replace(_scene(_talks("together"), T, caller="third", third="caller"), as_whose=A),
    State.LEFT_OUT: _scene(_NONE, None, line="outside", outside="line"),
    State.LEFT_QUEUE: _scene(_NONE, None, line=MUSIC),
    State.LEFT_THIRD: _scene(_NONE, None, line="third", third="line"),
    State.OVER: Scene(),
}


@dataclass(frozen=True)
class Row:
    """A talk in history. `holds` and `consults`: how many."""

    whose: Who
    ended_by: str
    kind: str = ""
    to: str = ""  # the colleague is `third`
    holds: int = 0
    consults: int = 0


@dataclass(frozen=True)
class Visit:
    """A visit in history. `queue`: own or other, for the agent's and the colleague's; `how_in`: empty: whichever."""

    queue: str
    how_in: str
    outcome: str = ""  # empty: it goes on


@dataclass(frozen=True)
class World:
    """How things stand, and what has been until now. Nothing changes one: each step gives another."""

    state: State = State.TOGETHER
    rows: tuple[Row, ...] = ()
    visits: tuple[Visit, ...] = (Visit("own", "direct", "answered"),)
    holds: int = 0
    consults: int = 0

    def to(self, state: State, **more: int) -> World:
        """The same talk in another state."""
        return World(state, self.rows, self.visits, more.get("holds", self.holds), more.get("consults", self.consults))

    def talk_over(self, state: State, ended_by: str, kind: str = "", to: str = "") -> World:
        """The talk of whoever has one ends."""
        whose = SCENES[self.state].whose
        assert whose is not None, self
        row = Row(whose, ended_by, kind, to, self.holds, self.consults)
        return World(state, (*self.rows, row), self.visits)

    def waits(self, state: State, queue: str, how_in: str) -> World:
        """The caller waits for the next talk."""
        return World(state, self.rows, (*self.visits, Visit(queue, how_in)))

    def answered(self, state: State) -> World:
        """Whoever waited is served."""
        return self._last(state, "answered")

    def abandoned(self) -> World:
        """The caller hangs up who waits."""
        return self._last(State.OVER, "abandoned")

    def _last(self, state: State, outcome: str) -> World:
        *before, last = self.visits
        return World(state, self.rows, (*before, Visit(last.queue, last.how_in, outcome)))


# --- steps ------------------------------------------------------------------------------------------------------------

S = State
_SENT: Final = ("transfer", "blind")
_BACK_TO_CALLER: Final = frozenset({S.CALLING, S.CONSULTING, S.SWAPPED, S.THREE_WAY})


def after(world: World, step: str) -> World:  # noqa: C901, PLR0912 - a table of what each step does
    """The world when this step is done."""
    now = world.state
    match step:
        case "hold" if now is S.PHONE_HELD:
            return world.to(S.BOTH_HELD)
        case "hold":
            return world.to(S.HELD, holds=world.holds + 1)
        case "resume" if now is S.HELD:
            return world.to(S.TOGETHER)
        case "consult":
            return world.to(S.CALLING, holds=world.holds + (now is S.TOGETHER), consults=world.consults + 1)
        case "answer":
            return world.to(S.CONSULTING)
        case "refuse" | "wait in vain" | "cancel" | "drop" if now in _BACK_TO_CALLER:
            return world.to(S.TOGETHER)
        case "swap" if now is S.CONSULTING:
            return world.to(S.SWAPPED)
        case "swap" if now is S.SWAPPED:
            return world.to(S.CONSULTING, holds=world.holds + 1)
        case "complete":
            return world.talk_over(S.THIRDS, "transfer", "attended", "third")
        case "three-way":
            return world.to(S.THREE_WAY)
        case "leave":
            return world.talk_over(S.THIRDS, "transfer", "conference", "third")
        case "to colleague":
            return world.talk_over(S.OFFERED, *_SENT, "third").waits(S.OFFERED, "own", "transferred")
        case "to queue":
            return world.talk_over(S.OFFERED, *_SENT, "queue other").waits(S.OFFERED, "other", "transferred")
        case "to number" | "refer to number":
            return world.talk_over(S.OUT_RINGS, *_SENT, "a number")
        case "to nowhere" | "refer to nowhere":
            return world.talk_over(S.WAITS, *_SENT, "a number").waits(S.WAITS, "own", "transferred")
        case "refer to queue":
            return world.talk_over(S.OFFERED, *_SENT, "a number").waits(S.OFFERED, "other", "transferred")
        case "take":
            return world.answered(S.THIRDS)
        case "outside answers":
            return world.to(S.OUT_TALKS)
        case "phone holds":
            return world.to(S.PHONE_HELD, holds=world.holds + 1)
        case "phone back" if now is S.PHONE_HELD:
            return world.to(S.TOGETHER)
        case "phone back" if now is S.BOTH_HELD:
            return world.to(S.HELD)
        case "ask outside":
            return world.to(S.ASKING_OUT)
        case "ask queue":
            return world.to(S.ASKING_QUEUE)
        case "ask colleague":
            return world.to(S.ASKING_THIRD)
        case "join" if now is S.ASKING_OUT:
            return world.talk_over(S.OUT_TALKS, "transfer", "attended", "a number")
        case "join by it" if now is S.ASKING_OUT:  # the switch does not say with whom
            return world.talk_over(S.OUT_TALKS, "transfer", "attended", "")
        case "join" | "join by it" if now is S.ASKING_QUEUE:
            return world.talk_over(S.WAITS, "transfer", "attended", "queue other").waits(S.WAITS, "other", "")
        case "join" | "join by it" if now is S.ASKING_THIRD:
            joined = world.talk_over(S.JOINED, "transfer", "attended", "third")
            return joined.waits(S.JOINED, "other", "").answered(S.JOINED)
    raise AssertionError(f"{step} in {now}")


# --- deaths -----------------------------------------------------------------------------------------------------------

_HOLD: Final = frozenset({S.HELD, S.CALLING, S.CONSULTING, S.BOTH_HELD})
_ON_LINE: Final = {S.ASKING_OUT: S.LEFT_OUT, S.ASKING_QUEUE: S.LEFT_QUEUE, S.ASKING_THIRD: S.LEFT_THIRD}
# Whom to let die in a state. The agent's other line dies with them.
MORTALS: Final[Mapping[State, tuple[Who, ...]]] = {
    **dict.fromkeys((S.TOGETHER, S.HELD, S.PHONE_HELD, S.BOTH_HELD, S.ASKING_QUEUE), (C, A)),
    **dict.fromkeys((S.CALLING, S.CONSULTING, S.SWAPPED, S.THREE_WAY, S.ASKING_THIRD), (C, A, T)),
    **dict.fromkeys((S.THIRDS, S.JOINED, S.OFFERED), (C, T)),
    S.WAITS: (C,),
    S.ASKING_OUT: (C, A, X),
    **dict.fromkeys((S.OUT_RINGS, S.OUT_TALKS), (C, X)),
    S.PAIR: (A, T),
    **dict.fromkeys((S.LEFT_OUT, S.LEFT_QUEUE, S.LEFT_THIRD), (L,)),
    S.OVER: (),
}


def dies(world: World, who: Who) -> World:
    """The world after this party's phone has gone; of whoever is not in it any more, the same world."""
    now = world.state
    if who not in MORTALS[now]:
        return world
    match now, who:
        case ((S.CONSULTING | S.THREE_WAY), Who.CALLER):
            return world.to(S.PAIR)
        case S.THREE_WAY, Who.AGENT:
            return world.talk_over(S.THIRDS, "transfer", "conference", "third")
        case ((S.CALLING | S.CONSULTING | S.SWAPPED | S.THREE_WAY), Who.THIRD):
            return world.to(S.TOGETHER)
        case (S.ASKING_OUT, Who.OUTSIDE) | (S.ASKING_THIRD, Who.THIRD):
            return world.to(S.PHONE_HELD)
        case S.PAIR, _:
            return world.talk_over(S.OVER, "caller")
        case ((S.WAITS | S.OFFERED), Who.CALLER):
            return world.abandoned()
        case S.OFFERED, Who.THIRD:
            return world.to(S.WAITS)
        case ((S.OUT_RINGS | S.OUT_TALKS | S.LEFT_OUT | S.LEFT_QUEUE | S.LEFT_THIRD), _):
            return world.to(S.OVER)
        case _, Who.CALLER:
            return world.talk_over(_ON_LINE.get(now, S.OVER), "caller")
        case _, Who.AGENT if now in _HOLD:
            return world.talk_over(S.WAITS, "agent").waits(S.WAITS, "own", "requeued")
        case _:
            return world.talk_over(S.OVER, "agent")


def on_the_way(world: World, step: str, who: Who) -> list[World]:
    """What may come of a step during which this party dies: as if they had died before it, or after it."""
    done = after(world, step)
    found = [dies(world, who), dies(done, who)]
    if step in ("complete", "leave") and who is T:
        # The caller was handed over to somebody with whom they did not talk.
        found.append(done.waits(S.WAITS, "own", "requeued"))
    if step in ("three-way", "complete", "leave", "join", "join by it") and who is C:
        found.append(world.talk_over(S.OVER, "caller"))  # the end of the caller's leg was that of the bridge, too
    if step in ("three-way", "complete", "drop") and who is A:
        # Agent and caller were apart already, and the colleague did not have the caller, or not any more.
        found.append(world.talk_over(S.WAITS, "agent").waits(S.WAITS, "own", "requeued"))
    if step == "three-way" and who is T:
        # Between two bridges the agent's leg ends with the colleague's.
        found.append(world.talk_over(S.WAITS, "agent").waits(S.WAITS, "own", "requeued"))
    if who is T and (step == "ask colleague" or done.state is S.OFFERED):
        found.append(done)  # they have refused, and are rung again
    return list(dict.fromkeys(found))


def killed(world: World, step: str) -> list[World]:
    """What may come of a step during which the daemon is killed."""
    done = after(world, step)
    found = [world, done]
    if step.startswith(("refer", "join")):
        # Nobody has seen more of it than that the agent's leg has ended.
        rows = (*done.rows[:-1], replace(done.rows[-1], ended_by="agent", kind="", to=""))
        found.append(replace(done, rows=rows))
    return found


# Who hangs up first when all has been seen.
PARTING: Final = (C, L, A, T, X)
