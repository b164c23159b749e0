"""Lets a daemon go on where an earlier one stopped: the time between is treated as a cut of every link.

The engine comes back in its old state. What has happened to its legs meanwhile is found out as after any cut. Until
then no deadline is acted on: a phone that was ringing may have been answered long ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, Protocol

import gevent
import structlog

from fsacd.caller.traces import Traces
from fsacd.core.engine import Engine
from fsacd.core.events import (
    AgentLoggedIn,
    CallersForgotten,
    Event,
    LastAgentsKnown,
    Leg,
    RulesChanged,
    SwitchLost,
    SwitchRestarted,
)
from fsacd.core.match.plugins import Plugins
from fsacd.core.records import AgentPresence, CallEnded, LogIn, Record, VisitEnded, WrapUpEnded
from fsacd.core.rules import Rules
from fsacd.journal.journal import Journal
from fsacd.journal.recovery import Ended
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime import watched
from fsacd.runtime.loop import Runtime

log = structlog.get_logger(__name__)

# Deadlines wait this long for the switches: not for ever, because a switch may never come.
_WAIT_FOR_SYNC_S: Final = 5.0
_LOOK_S: Final = 0.02
# How many numbers are read before calls get their turn.
_NUMBERS_AT_ONCE: Final = 50
_BREATH_S: Final = 0.0005


class Control(Protocol):
    """What resuming needs of a switch's call control."""

    @property
    def in_sync(self) -> bool:
        """Whether engine and switch agree."""
        ...

    def remember_outside(self, legs: Iterable[tuple[str, Leg]]) -> None:
        """Take the agents' outside calls of the daemon before."""
        ...

    def remember_epoch(self, epoch: int) -> None:
        """Take the epoch of the fence in which the daemon before served the switch last."""
        ...

    def check_fence(self) -> None:
        """Tell the engine if this daemon does not serve the switch any more."""
        ...


class Continuation:
    """The engine of a first start, or continued from the journal; with `journal` None every start is a first one."""

    def __init__(self, journal: Journal | None, rules: Rules, plugins: Plugins, seed: int) -> None:
        recovered = journal.recover(plugins) if journal is not None else None
        self.clock: Callable[[], int] = journal.clock if journal is not None else monotonic_ms
        self.ahead_ms = journal.clock.ahead_ms if journal is not None else 0
        self.hours: Mapping[str, bool] = journal.hours if journal is not None else {}
        self._rules = rules
        self._goes_on = recovered is not None
        # The agents whom the daemon before knew: their state is restored, and nobody logs them in anew.
        self._known: frozenset[str] = frozenset()
        # What history may miss of calls, offers and agents; rows that are there already are skipped as duplicates.
        self.unwritten: tuple[Record, ...] = ()
        if recovered is None:
            now_ms = self.clock()
            self.engine = Engine(rules, plugins, now_ms, seed=seed)
            # The presences that a daemon before has left open are over.
            self.unwritten = tuple(AgentPresence(agent_id, "logged_out", "", now_ms) for agent_id in rules.agents)
            return
        self.engine = recovered.engine
        assert journal is not None
        erased = journal.to_be_erased()
        self.unwritten = tuple(_without_erased(record, erased) for record in recovered.lately_ended)
        view = self.engine.snapshot(recovered.last_ms)
        self._known = frozenset(agent.agent_id for agent in view.agents)
        log.info(
            "going on where the last daemon stopped",
            calls=len(view.calls),
            agents_logged_in=sum(agent.state != "logged_out" for agent in view.agents),
            entries=recovered.entries,
            away_s=round((self.clock() - recovered.last_ms) / 1_000, 1),
        )

    def contacts(self) -> dict[str, str]:
        """Where each agent is rung, as given at their log-in."""
        return {agent.agent_id: agent.contact for agent in self.engine.snapshot(self.engine.now_ms).agents}

    def tell(self, runtime: Runtime, controls: Mapping[str, Control], log_in: Collection[str]) -> None:
        """Tell the engine what is new: no link is up, the configuration of now, and the agents whom it logs in."""
        if self._goes_on:
            self._tell_changes(runtime, controls)
        for agent_id in log_in:
            if agent_id not in self._known:
                runtime.post(AgentLoggedIn(agent_id, "configuration"))

    def _tell_changes(self, runtime: Runtime, controls: Mapping[str, Control]) -> None:
        facts: list[Event] = []
        for switch, _ in self.engine.snapshot(self.engine.now_ms).switches:
            facts.append(SwitchLost(switch))
            if switch not in controls:
                # The switch is not configured any more: nothing on it can be reached.
                facts.append(SwitchRestarted(switch))
        for fact in facts:
            runtime.post(fact)
        for name, control in controls.items():
            control.remember_outside(self.engine.outside_legs(name))
            control.remember_epoch(self.engine.epoch_of(name))
        if not self.engine.works_by(self._rules):
            runtime.post(RulesChanged(self._rules))

    def keep_time(self, runtime: Runtime, controls: Collection[Control]) -> None:
        """Begin to act on deadlines: at once, or when the switches have told what has happened meanwhile."""
        if self._goes_on:
            watched.keep("start of the timer", lambda: _keep_time_in_sync(runtime, controls), may_end=lambda: True)
        else:
            _keep_time(runtime, controls)


def _without_erased(record: Ended, erased: Traces) -> Record:
    """The record without the callers who were to be erased meanwhile, whose own it is or whom its texts name."""
    match record:
        case CallEnded():
            if erased.are_meant(record.number):
                record = replace(record, number="", name="", customer="", leg_uuid=None, customer_id=0)
            return replace(record, detail=erased.without(record.detail), after=erased.without(record.after))
        case VisitEnded():
            return replace(record, detail=erased.without(record.detail), to=erased.without(record.to))
        case WrapUpEnded():
            if erased.are_meant(record.number):
                record = replace(record, number="", note="")
            return replace(record, note=erased.without(record.note), by=erased.without(record.by))
        case LogIn():
            by, ended_by = erased.without(record.by), erased.without(record.ended_by)
            return replace(record, contact=erased.without(record.contact), by=by, ended_by=ended_by)
        case _:
            return record


def _keep_time_in_sync(runtime: Runtime, controls: Collection[Control]) -> None:
    until = time.monotonic() + _WAIT_FOR_SYNC_S
    while time.monotonic() < until and not all(control.in_sync for control in controls):
        gevent.sleep(_LOOK_S)
    _keep_time(runtime, controls)


def _keep_time(runtime: Runtime, controls: Collection[Control]) -> None:
    def check_fences() -> None:
        for control in controls:
            control.check_fence()

    runtime.start(check_fences)


def rename_callers(engine: Engine, post: Callable[[Event], None], key_of: Callable[[str], str]) -> None:
    """Rename the callers whose last agent is remembered to what `key_of` makes of their numbers; others run meanwhile.

    The daemon before may have had another number plan, or none; or two numbers have become one customer's. The engine
    is told only of names that change.
    """
    before = {number: engine.last_agent_of(number) for number in engine.numbers_remembered()}
    decided: set[str] = set()
    # The latest comes first: of several numbers of one caller, the latest last agent holds.
    for place, number in enumerate(reversed(before), 1):
        if place % _NUMBERS_AT_ONCE == 0:
            gevent.sleep(_BREATH_S)
        key, agent_id = key_of(number), engine.last_agent_of(number)
        if key != number and agent_id:
            # An agent with whom they have talked meanwhile is newer than anything here.
            is_latest = key and key not in decided and engine.last_agent_of(key) == before.get(key, "")
            post(CallersForgotten((number, key) if is_latest else (number,)))
            if is_latest:
                post(LastAgentsKnown(((key, agent_id),)))
        decided.add(key)
