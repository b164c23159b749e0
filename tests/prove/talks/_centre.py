"""A call centre for many talks side by side on one real switch: each seat has its own agent, colleague and queues."""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.lock import Semaphore

from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch, await_true
from tests.prove.talks._sound import MUSIC as MUSIC_HZ
from tests.prove.talks._sound import TONES, Line
from tests.prove.talks._world import MUSIC, Who

SOON_S: Final = 20.0
_FIRST_AGENT: Final = 1001
OUTSIDE: Final = "7000"
_LOOK_S: Final = 0.05
_AT_MOST: Final = 4


def await_soon(condition: Callable[[], object], within_s: float, what: str) -> None:
    """Wait until it is so; AssertionError naming `what` if it is not within this time, as processes have had it.

    Many wait here for the same processes: on a machine that is never idle that time may stand still.
    """
    until_s = time.monotonic() + _AT_MOST * within_s

    def is_so() -> object:
        assert time.monotonic() < until_s, f"{what}: not within {_AT_MOST * within_s:g} s"
        return condition()

    await_true(is_so, within_s, what)


def agents_of(seats: int) -> tuple[str, ...]:
    """The users of all seats."""
    return tuple(str(_FIRST_AGENT + number) for number in range(2 * seats))


@dataclass
class Look:
    """What daemon and switch say at one moment. `legs`: whose each is, by uuid."""

    calls: Mapping[str, dict[str, Any]] = field(default_factory=dict)  # by the caller's number
    agents: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    legs: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Centre:
    """The daemon, all phones, and one pair of eyes for everybody who waits for something."""

    def __init__(self, directory: Path, switch: RealSwitch, dsn: str, seats: int) -> None:
        self.switch = switch
        self.phones = Telephones(switch.trunk_port)
        self.phones.on_ring = self._rung
        queues: dict[str, Any] = {f"{kind}{seat}": {} for seat in range(seats) for kind in ("own", "other")}
        agents = {
            user: {"queues": [f"{('own', 'other')[number % 2]}{number // 2}"], "login_at_start": True}
            for number, user in enumerate(agents_of(seats))
        }
        config: dict[str, Any] = {
            "agent_contact": f"sofia/trunk/{{agent}}@127.0.0.1:{self.phones.port}",
            "limits": {"settle": "100ms"},
            "defaults": {"wrap_up": "1h", "ring_timeout": "2m", "hold_back": {"refused": "1s", "busy": "1s"}},
            "queues": queues,
            "agents": agents,
            "wrap_up_codes": {"done": {"name": "Done", "digits": "1"}},
            "journal": {"directory": str(directory / "journal")},
            "store": {"dsn": dsn, "spool": {"directory": str(directory / "spool")}},
        }
        self.daemon = Daemon(directory, config, switch.esl_port)
        self.seats = [Seat(self, number) for number in range(seats)]
        self._by_user = {user: seat for seat in self.seats for user in (seat.agent, seat.third)}
        self._look, self._begun, self._done = Look(), 0, 0
        self._wanted = Event()
        self._one = Semaphore()

    def start(self) -> None:
        """Returns when the daemon is in sync."""
        self.daemon.start()
        self._esl = self.switch.esl()
        self._greenlets = [gevent.spawn(self._watch)]

    def stop(self) -> None:
        gevent.killall(self._greenlets)
        self._esl.close()
        self.daemon.end()
        for seat in self.seats:
            seat.stop()
        self.phones.stop()

    def api(self, command: str) -> str:
        """What the switch says to a command."""
        with self._one:
            return self._esl.api(command)

    def _rung(self, ring: Dialog) -> None:
        seat = self._by_user.get(ring.user)
        if seat is None:
            seat = next((one for one in self.seats if ring.caller in one.numbers), None)
        if seat is not None:
            seat.rung(ring)

    # --- looks ---

    def look(self) -> Look:
        """What is now: looked at after the call of this."""
        begun = self._begun
        self._wanted.set()
        while self._done <= begun:
            gevent.sleep(0.01)
        return self._look

    def eventually(self, what: str, condition: Callable[[Look], object], within_s: float = SOON_S) -> None:
        """Wait until it is so; AssertionError naming `what` when it is not in time."""
        await_soon(lambda: condition(self.look()), within_s, what)

    def _watch(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self._begun += 1
            self._look = self._looked()
            self._done = self._begun
            gevent.sleep(_LOOK_S)

    def _looked(self) -> Look:
        rows = json.loads(self.api("show channels as json")).get("rows", [])
        legs = {row["uuid"]: frozenset((_user(row["name"]), *(row[name] for name in _NAMES))) for row in rows}
        try:
            calls = {call["number"]: call for call in self.daemon.get("calls?limit=1000")["calls"]}
            return Look(calls, self.daemon.agents(), legs)
        except (OSError, urllib.error.URLError, ValueError):
            return Look(legs=legs)  # it was just killed


_NAMES: Final = ("cid_num", "initial_cid_num", "dest", "initial_dest", "callee_num")


def _user(leg: str) -> str:
    return leg.partition("@")[0].rpartition("/")[2]


class Seat:
    """An agent and their colleague, with the lines of a caller, both of them, and somebody outside."""

    def __init__(self, centre: Centre, number: int) -> None:
        self.centre, self.phones = centre, centre.phones
        self.number = number
        self.agent, self.third = agents_of(number + 1)[-2:]
        self.own, self.other = f"own{number}", f"other{number}"
        parts = (Who.CALLER, Who.AGENT, Who.THIRD, Who.OUTSIDE, Who.LINE)
        tones = (TONES[(len(parts) * number + index) % len(TONES)] for index in range(len(parts)))
        self.lines = {who: Line(tone) for who, tone in zip(parts, tones, strict=True)}
        self._tones = {line.hertz: str(who) for who, line in self.lines.items()} | {MUSIC_HZ: MUSIC}
        self._strangers = tuple(tone for tone in TONES if tone not in self._tones)
        self.caller = ""
        self.numbers: set[str] = set()
        self.rings: list[Dialog] = []  # of this play, in their order
        self._calls = 0

    def stop(self) -> None:
        for line in self.lines.values():
            line.stop()

    # --- phones ---

    def call(self) -> None:
        """A caller whom nobody knows calls the agent's queue."""
        users = (self.agent, self.third, OUTSIDE, *self.numbers)
        self.phones.forget(*users)
        self._calls += 1
        self.caller = f"49{self.number:02}{self._calls:07}"
        self.numbers = {self.caller, self.agent}
        self.rings = []
        for line in self.lines.values():
            line.takes(None)
        for user, who in ((self.agent, Who.AGENT), (self.third, Who.THIRD)):
            self.phones.offers[user] = self.lines[who].offer
        line = self.lines[Who.CALLER]
        line.takes(self.phones.call(self.caller, f"queue-{self.own}", sound=line.offer))

    def dials(self, number: str) -> None:
        """The agent calls a number on their other line."""
        line = self.lines[Who.LINE]
        line.takes(self.phones.call(self.agent, number, sound=line.offer))

    def rung(self, ring: Dialog) -> None:
        """A phone of this seat begins to ring."""
        who = {self.agent: Who.AGENT, self.third: Who.THIRD}.get(ring.user, Who.OUTSIDE)
        held = self.lines[who].dialog
        if who is Who.AGENT and held is not None and held.state == "talking":
            who = Who.LINE
        if who in (Who.OUTSIDE, Who.LINE):
            ring.own = self.lines[who].offer
        self.lines[who].takes(ring)
        self.rings.append(ring)

    def state(self, who: Who) -> str:
        """What this party's phone knows of its call: calling, ringing, talking, over; none."""
        dialog = self.lines[who].dialog
        return dialog.state if dialog is not None else "none"

    def answers(self, who: Who) -> None:
        """This party's phone rings, or is about to: they answer."""
        await_soon(lambda: self.state(who) == "ringing", SOON_S, f"{who} is rung")
        dialog = self.lines[who].dialog
        assert dialog is not None
        self.phones.answer(dialog)

    def dies(self, who: Who) -> bool:
        """This party hangs up, or refuses; False: they were in no call."""
        died = False
        for each in (who, Who.LINE) if who is Who.AGENT else (who,):
            dialog = self.lines[each].dialog
            if dialog is not None and dialog.state == "talking":
                self.phones.end(dialog)
                died = True
            elif dialog is not None and dialog.state == "ringing":
                self.phones.refuse(dialog)
                died = True
        return died

    def hears(self, who: Who) -> frozenset[str]:
        """Whom of this seat, or music, this party hears now."""
        line = self.lines[who]
        return frozenset(self._tones[tone] for tone in line.hears(tone for tone in self._tones if tone != line.hertz))

    def hears_strangers(self, who: Who) -> bool:
        """Whether they hear anybody of another seat: a look for all tones that there are, which takes a while."""
        return bool(self.lines[who].hears(self._strangers))

    # --- the daemon ---

    def ask(self, path: str, **body: object) -> None:
        """A wish; HTTPError if it is refused, OSError if nobody hears it."""
        self.centre.daemon.post(path, **body)

    def user(self, who: Who) -> str:
        """The agent's or the colleague's id."""
        return self.agent if who is Who.AGENT else self.third

    def legs(self, look: Look) -> list[str]:
        """The legs on the switch of anybody of this seat."""
        names = {self.caller, self.agent, self.third}
        return [leg for leg, whose in look.legs.items() if names & whose]

    def rescue(self) -> None:
        """Whatever went wrong: nothing of this seat is left, and both agents are ready."""
        with suppress(AssertionError):
            for _ in range(5):
                for who in self.lines:
                    self.dies(who)
                for leg in self.legs(self.centre.look()):
                    self.centre.api(f"uuid_kill {leg}")
                for user in (self.agent, self.third):
                    for verb in ("end-wrap-up", "ready"):
                        with suppress(OSError):
                            self.ask(f"agents/{user}/{verb}")
                gevent.sleep(1.0)
                look = self.centre.look()
                states = {look.agents.get(user, {}).get("state") for user in (self.agent, self.third)}
                if not self.legs(look) and states == {"ready"}:
                    return
