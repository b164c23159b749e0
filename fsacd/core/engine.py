"""The engine: facts and the time go in, commands and records come out. Pure: the same facts give the same commands.

`handle` is total. Facts come late, doubled and out of order, and about calls, offers and agents that nobody knows;
each of the modules behind it says at the place why that is ordinary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from fsacd.core import agents, calls, checks, distribute, snapshot, talks
from fsacd.core.events import (
    AgentEndedWrapUp,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetReady,
    CallerGone,
    CallHangupAsked,
    CallLeft,
    CallLost,
    CallQueued,
    CallRequeueAsked,
    CallReturned,
    ConnectFailed,
    Event,
    OfferAnswered,
    OfferConnected,
    OfferEnded,
    OfferRang,
    RulesChanged,
    SwitchConnected,
    SwitchLost,
    SwitchRestarted,
)
from fsacd.core.rules import Rules
from fsacd.core.timers import TimerKey
from fsacd.core.views import Snapshot, Step
from fsacd.core.world import World, in_queue
from fsacd.strategy import Strategy


class Engine:
    """Distributes calls to agents by `rules`. Times are milliseconds of one monotonic clock that never goes back.

    `now_ms` is when it begins: since then everybody is logged out.
    """

    def __init__(self, rules: Rules, strategies: Mapping[str, Strategy], now_ms: int = 0) -> None:
        self._world = World(rules, strategies)
        self._world.now_ms = now_ms
        agents.configure(self._world, dict(rules.agents))

    def handle(self, event: Event, now_ms: int) -> Step:
        """Take one fact; return what is to be done and written down, and why the fact was refused, if it was."""
        self._tick(now_ms)
        refused = self._dispatch(event)
        return self._finish(refused)

    def advance(self, now_ms: int) -> Step:
        """Let the time pass: act on every deadline that has come."""
        self._tick(now_ms)
        while (key := self._world.timers.pop_due(now_ms)) is not None:
            self._fire(key)
            # Each deadline is decided before the next: one agent freed by two deadlines would be offered twice.
            distribute.run(self._world)
        return self._finish(None)

    def next_deadline_ms(self) -> int | None:
        """When `advance` has something to do next, or None."""
        return self._world.timers.next_ms()

    @property
    def busy(self) -> bool:
        """Whether there is a call or a ready agent, so that the next fact matters at once."""
        return bool(self._world.calls) or self._world.index.has_ready_agent

    def check(self) -> None:
        """Prove every invariant; raises AssertionError. Costs a look at everything: for tests and for doubt."""
        checks.check(self._world)

    def snapshot(self, now_ms: int) -> Snapshot:
        """Everything, as frozen views."""
        return snapshot.take(self._world, now_ms)

    def _tick(self, now_ms: int) -> None:
        assert now_ms >= self._world.now_ms, "the clock went back"
        self._world.now_ms = now_ms

    def _finish(self, refused: str | None) -> Step:
        world = self._world
        distribute.run(world)
        step = Step(tuple(world.commands), tuple(world.records), refused)
        world.commands.clear()
        world.records.clear()
        return step

    def _dispatch(self, event: Event) -> str | None:
        world = self._world
        refused = None
        match event:
            case CallQueued():
                refused = calls.queued(world, event)
            case CallReturned():
                calls.returned(world, event)
            case CallerGone() | CallLeft() | CallLost():
                calls.gone(world, event)
            case CallRequeueAsked():
                refused = calls.requeue_asked(world, event)
            case CallHangupAsked():
                refused = calls.hangup_asked(world, event)
            case OfferRang() | OfferAnswered() | OfferConnected() | ConnectFailed() | OfferEnded():
                talks.handle(world, event)
            case AgentLoggedIn() | AgentLoggedOut() | AgentSetReady() | AgentSetNotReady() | AgentEndedWrapUp():
                refused = agents.handle(world, event)
            case SwitchConnected(switch):
                world.set_switch(switch, up=True)
            case SwitchLost(switch):
                world.set_switch(switch, up=False)
            case SwitchRestarted(switch):
                calls.switch_restarted(world, switch)
            case RulesChanged(rules):
                _change_rules(world, rules)
            case _:
                assert_never(event)
        return refused

    def _fire(self, key: TimerKey) -> None:
        world = self._world
        match key.kind:
            case "offer":
                talks.deadline(world, key.owner)
            case "agent":
                agents.pause_over(world, key.owner)
            case "max_wait":
                calls.max_wait_passed(world, key.owner)
            case "delay":
                calls.delay_passed(world, key.owner)
            case "settle":
                calls.settled(world, key.owner)
            case kind:
                raise AssertionError(f"a timer of unknown kind {kind!r}")


def _change_rules(world: World, rules: Rules) -> None:
    """Swap the rules whole. Calls of a queue that is no more take the dialplan's fallback; talks go on."""
    orphans = [call for call in world.calls.values() if call.queue not in rules.queues]
    talking = {call.queue: world.rules.queues[call.queue] for call in orphans if not in_queue(call.state)}
    for call in orphans:
        if in_queue(call.state):
            calls.queue_removed(world, call)
    # A queue with a talk going on keeps its rules until the next reload: the talk's end needs them.
    rules = replace(rules, queues={**rules.queues, **talking})
    agents.configure(world, dict(rules.agents))
    world.set_rules(rules, retired=frozenset(talking))
    agents.drop_removed(world)
    calls.rearm(world)
