"""Builders and a driver for tests of the engine and of plugins. They are part of the package.

Example:
    driver = Driver(rules_of(queue("support"), agent("1001", "support")))
    driver.tell(SwitchConnected("fs1"))
    driver.tell(AgentLoggedIn("1001", by="test"))
    driver.tell(queued("anna", "support"), at_ms=2_000)
    assert [ring.agent_id for ring in driver.commands_of(RingAgent)] == ["1001"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from fsacd.core.commands import Command
from fsacd.core.engine import Engine
from fsacd.core.events import CallQueued, Event, Leg
from fsacd.core.match.plugins import Plugins
from fsacd.core.records import Record, StrategyFailed
from fsacd.core.rules import AgentRules, QueueRules, Rules, Service
from fsacd.core.skills import levels_of
from fsacd.core.views import AgentView, CallView, Step
from fsacd.plugins import shipped

PLUGINS: Plugins = shipped()

# More deadlines than this in one `Driver.wait_until` mean that the engine sets them without end.
_DEADLINES_LIMIT = 100_000

CommandT = TypeVar("CommandT", bound=Command)
RecordT = TypeVar("RecordT", bound=Record)


def queue(name: str, **settings: Any) -> QueueRules:
    """A queue with default rules, except for `settings` (fields of `QueueRules`). TypeError for an unknown field."""
    return QueueRules(name, **settings)


def agent(agent_id: str, *queues: str | tuple[str, Service], skills: Mapping[str, int] | None = None) -> AgentRules:
    """An agent who serves these queues at rank 1 (or as the `Service` beside the name says)."""
    return AgentRules(
        agent_id,
        name=f"Agent {agent_id}",
        contact=f"user/{agent_id}",
        queues=MappingProxyType(dict((entry, Service()) if isinstance(entry, str) else entry for entry in queues)),
        skills=levels_of(skills or {}),
    )


def rules_of(*parts: QueueRules | AgentRules, **settings: Any) -> Rules:
    """Rules of these queues and agents, with further fields of `Rules`. ValueError for a queue that is not there."""
    queues = {part.name: part for part in parts if isinstance(part, QueueRules)}
    agents = {part.agent_id: part for part in parts if isinstance(part, AgentRules)}
    for one in agents.values():
        unknown = one.queues.keys() - queues.keys()
        if unknown:
            raise ValueError(f"agent {one.agent_id} serves queues that are not there: {', '.join(sorted(unknown))}")
    return Rules(queues=MappingProxyType(queues), agents=MappingProxyType(agents), **settings)


def queued(call_id: str, queue_name: str, arrived_ms: int = 0, switch: str = "fs1", **settings: Any) -> CallQueued:
    """The fact that a caller with a leg on `switch` stands in a queue since `arrived_ms`."""
    return CallQueued(call_id, queue_name, arrived_ms, Leg(switch, f"leg-{call_id}"), **settings)


class Driver:
    """An engine with a clock that tests set. It keeps all steps, and proves the engine's invariants after each one.

    `strict=False` leaves the proof out, for measurements. `journal` holds what went in: (now_ms, fact), or
    (now_ms, None) where only time passed; `replay` takes it.
    """

    def __init__(self, rules: Rules, plugins: Plugins = PLUGINS, *, strict: bool = True) -> None:
        self.engine = Engine(rules, plugins)
        self.rules = rules
        self.now_ms = 0
        self.steps: list[Step] = []
        self.journal: list[tuple[int, Event | None]] = []
        self._strict = strict

    def tell(self, event: Event, at_ms: int | None = None) -> Step:
        """Let the time pass until `at_ms` (default: now), then tell the engine a fact. Returns the fact's own step."""
        if at_ms is not None:
            self.wait_until(at_ms)
        return self._take(event)

    def wait_until(self, at_ms: int) -> list[tuple[int, Step]]:
        """Let the time pass, each deadline at its own time. Returns the steps: (ms, step)."""
        assert at_ms >= self.now_ms, "the clock does not go back"
        came: list[tuple[int, Step]] = []
        while (due_ms := self.engine.next_deadline_ms()) is not None and due_ms <= at_ms:
            assert len(came) < _DEADLINES_LIMIT, "the engine sets deadlines without end"
            self.now_ms = max(due_ms, self.now_ms)
            came.append((self.now_ms, self._take(None)))
        self.now_ms = at_ms
        return came

    def jump_to(self, at_ms: int) -> Step:
        """Let the time pass at once, as after a pause of the whole process: all deadlines between come due late."""
        assert at_ms >= self.now_ms, "the clock does not go back"
        self.now_ms = at_ms
        return self._take(None)

    def wait(self, for_ms: int) -> list[tuple[int, Step]]:
        """Let some time pass."""
        return self.wait_until(self.now_ms + for_ms)

    def commands_of(self, kind: type[CommandT]) -> list[CommandT]:
        """All commands of one kind, in order."""
        return [command for step in self.steps for command in step.commands if isinstance(command, kind)]

    def records_of(self, kind: type[RecordT]) -> list[RecordT]:
        """All records of one kind, in order."""
        return [record for step in self.steps for record in step.records if isinstance(record, kind)]

    def call(self, call_id: str) -> CallView | None:
        """One live call, or None."""
        return next((view for view in self.engine.snapshot(self.now_ms).calls if view.call_id == call_id), None)

    def agent(self, agent_id: str) -> AgentView | None:
        """One configured agent, or None."""
        return next((view for view in self.engine.snapshot(self.now_ms).agents if view.agent_id == agent_id), None)

    def failures(self, place: int) -> list[StrategyFailed]:
        """The plugins that failed in the step at this place of the journal."""
        return _failures(self.steps[place])

    def _take(self, event: Event | None) -> Step:
        self.journal.append((self.now_ms, event))
        step = self.engine.advance(self.now_ms) if event is None else self.engine.handle(event, self.now_ms)
        self.steps.append(step)
        if self._strict:
            self.engine.check()
        return step


def replay(
    rules: Rules, journal: list[tuple[int, Event | None]], plugins: Plugins = PLUGINS, steps: Sequence[Step] = ()
) -> list[Step]:
    """What a fresh engine makes of a journal: the same steps.

    `steps` are the steps of the first run. A plugin that failed in one of them is made to fail there again, even if it
    would not by itself (because it only took too long).
    """
    engine = Engine(rules, plugins)
    taken = []
    for place, (now_ms, event) in enumerate(journal):
        for failure in _failures(steps[place]) if steps else ():
            engine.expect_failure(failure)
        taken.append(engine.advance(now_ms) if event is None else engine.handle(event, now_ms))
    return taken


def _failures(step: Step) -> list[StrategyFailed]:
    return [record for record in step.records if isinstance(record, StrategyFailed)]
