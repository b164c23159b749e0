"""A call centre whose phones a test plays by hand: the daemon, and all its agents and callers in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import gevent
from gevent.event import Event

from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.sip import Telephones
from tests.e2e.rig.switch import RealSwitch, await_true

# Long, because it says only that a thing comes to be: between a phone's word and the daemon's lie a dozen threads, and
# on a busy machine each waits for its turn.
_SOON_S = 60.0
SHORTEST_TALK_S = 0.3
# A talk that is shorter is none, but a bridge that broke; see `limits.settle`.
SETTLE = "100ms"
_SETTLED_S = 0.15
_LOOK_S = 0.05
_T = TypeVar("_T")


class Floor:
    """The daemon on a switch with the queues and agents of `config`; every agent's phone is on the floor."""

    def __init__(self, directory: Path, switch: RealSwitch, config: Mapping[str, Any]) -> None:
        self.switch = switch
        self.phones = Telephones(switch.trunk_port)
        contact = f"sofia/trunk/{{agent}}@127.0.0.1:{self.phones.port}"
        config = {"agent_contact": contact, "limits": {"settle": SETTLE}, **config}
        self.daemon = Daemon(directory, config, switch.esl_port)
        self._callers: dict[str, Dialog] = {}
        # One pair of eyes for everybody who waits for an agent's state: they would else ask more than is good.
        self._states: dict[str, str] = {}
        self._looks_begun = self._looks_done = 0
        self._look_wanted = Event()
        self._looking: gevent.Greenlet | None = None

    def start(self) -> None:
        """Open: returns when the daemon is in sync."""
        self.daemon.start()
        self._looking = gevent.spawn(self._look)

    def stop(self) -> None:
        """Close."""
        if self._looking is not None:
            self._looking.kill()
        self.daemon.stop()
        self.phones.stop()

    # --- what callers and agents do ---

    def call(self, number: str, queue: str) -> Dialog:
        """Somebody calls a queue; returns when they wait in it or are talking already."""
        self._callers[number] = caller = self.phones.call(number, f"queue-{queue}")
        await_true(lambda: caller.state == "talking", _SOON_S, f"{number} is taken by the switch")
        return caller

    def talk(self, ring: Dialog) -> None:
        """The agent answers; returns when they talk."""
        self.phones.answer(ring)
        self.becomes("talking", ring.user)

    def hang_up(self, ring: Dialog, talk_s: float = SHORTEST_TALK_S) -> None:
        """The agent, who talks, ends the talk so long after they have answered, or a little later."""
        time.sleep(max(_SETTLED_S, ring.answered_s + talk_s - time.time()))
        self.phones.hang_up(ring.user)

    def gives_up(self, number: str) -> None:
        """The caller hangs up; returns when no phone rings for them any more."""
        self.phones.hang_up(number)
        await_true(lambda: not self.ringing_for(number), _SOON_S, f"no phone rings for {number}")

    # --- what the test sees ---

    def caller(self, number: str) -> Dialog:
        """The caller's own phone."""
        return self._callers[number]

    def rings_for(self, number: str) -> list[Dialog]:
        """Every ring for this caller so far, in the order of the INVITEs."""
        return [ring for ring in self.phones.rung if ring.caller == number]

    def ringing_for(self, number: str) -> list[Dialog]:
        """The phones that ring for this caller now."""
        return [ring for ring in self.rings_for(number) if ring.state == "ringing"]

    def ring(self, number: str, count: int = 1, within_s: float = _SOON_S) -> Dialog:
        """The caller's ring of this count, as soon as it comes."""
        await_true(lambda: len(self.rings_for(number)) >= count, within_s, f"ring {count} for {number}")
        return self.rings_for(number)[count - 1]

    def states(self) -> dict[str, str]:
        """Every agent's state, as the API says it, asked for after the call of this."""
        begun = self._looks_begun
        self._look_wanted.set()
        await_true(lambda: self._looks_done > begun, _SOON_S, "the API answers")
        return self._states

    def becomes(self, state: str, *agents: str) -> None:
        """Wait until they are in this state."""

        def are() -> bool:
            states = self.states()
            return {states[agent] for agent in agents} == {state}

        await_true(are, _SOON_S, f"{', '.join(agents)}: {state}")

    def leaves(self, state: str, agent: str) -> None:
        """Wait until the agent is in this state no more."""
        await_true(lambda: self.states()[agent] != state, _SOON_S, f"{agent}: {state} no more")

    def _look(self) -> None:
        while True:
            self._look_wanted.wait()
            self._look_wanted.clear()
            self._looks_begun += 1
            self._states = {agent_id: agent["state"] for agent_id, agent in self.daemon.agents().items()}
            self._looks_done = self._looks_begun
            gevent.sleep(_LOOK_S)

    def call_of(self, number: str) -> dict[str, Any]:
        """The live call of this caller, as the API shows it, as soon as it is known."""

        def found() -> list[dict[str, Any]]:
            return [call for call in self.daemon.get("calls?limit=1000")["calls"] if call["number"] == number]

        return _awaited(found, f"the call of {number}")[0]


def _awaited(ask: Callable[[], _T], what: str) -> _T:
    """What is asked for, as soon as it is something."""
    answers: list[_T] = []

    def answered() -> bool:
        answers[:] = [ask()]
        return bool(answers[0])

    await_true(answered, _SOON_S, what)
    return answers[0]
