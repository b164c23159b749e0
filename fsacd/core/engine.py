"""The engine: facts and the time go in, commands and records come out. Pure: the same facts give the same commands.

`handle` is total. Facts come late, doubled and out of order, and about calls, offers and agents that nobody knows;
each of the modules behind it says at the place why that is ordinary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fsacd.core.events import (
    AgentChangeAsked,
    AgentCodedWrapUp,
    AgentEndedWrapUp,
    AgentLoggedIn,
    AgentLoggedOut,
    AgentSetNotReady,
    AgentSetNotReadyFor,
    AgentSetReady,
    AgentSetReadyFor,
    CallChangeAsked,
    CallerGone,
    CallerReplaced,
    CallerTaken,
    CallHangupAsked,
    CallLeft,
    CallLost,
    CallPromoteAsked,
    CallQueued,
    CallRequeueAsked,
    CallReturned,
    CallSendAsked,
    ConnectFailed,
    Event,
    GivenAway,
    HeldByPhone,
    Leg,
    LegInRoom,
    LegsJoined,
    OfferAnswered,
    OfferConnected,
    OfferEnded,
    OfferForked,
    OfferRang,
    OfferUnheard,
    OutsideCallEnded,
    OutsideCallStarted,
    ResumedByPhone,
    RulesAmended,
    StandingLegEnded,
    StandingLegUp,
    SwitchHeld,
    TalkChangeAsked,
    TalkConsultAsked,
    TalkDigitsAsked,
    TalkFound,
    TalkTransferAsked,
)
from fsacd.core.life import (
    absence,
    agent_wishes,
    agents,
    calls,
    centre,
    distribute,
    found,
    leaving,
    new_rules,
    offers,
    overflow,
    resuming,
    shaping,
    standing,
    sticky,
    stood,
    switches,
    talks,
    thirds,
    wishes,
    wrap_ups,
)
from fsacd.core.life.world import World
from fsacd.core.match.plugins import PluginFailed, Plugins
from fsacd.core.records import StrategyFailed
from fsacd.core.rules import Rules
from fsacd.core.show import explain, invariants, memory, snapshot
from fsacd.core.show.feed import Kind
from fsacd.core.show.look import Look
from fsacd.core.show.parts import InParts, whole
from fsacd.core.staffing import Condition
from fsacd.core.timers import TimerKey
from fsacd.core.views import Explanation, Snapshot, Step, Substituted, Underway


class Engine:
    """Distributes calls to agents by `rules`. Times are milliseconds of one monotonic clock that never goes back.

    `now_ms` is when it begins: since then everybody is logged out. `plugins` makes what the rules name; it must know
    longest_idle. `seed` drives random strategies and makes leg ids unique; every new engine needs a new one.
    """

    def __init__(self, rules: Rules, plugins: Plugins, now_ms: int = 0, seed: int = 0) -> None:
        self._world = World(rules, plugins, now_ms, seed)
        agents.configure(self._world, dict(rules.agents))
        self._world.records.clear()  # that everybody is logged out is no news
        self._world.forget_changes()

    def handle(self, event: Event, now_ms: int) -> Step:
        """Take one fact; return what is to be done and written down, and why the fact was refused, if it was."""
        world = self._world
        assert now_ms >= world.now_ms, "the clock went back"
        world.now_ms = now_ms
        return self._finish(self._dispatch(event))

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
        invariants.check(self._world)

    def look(self, now_ms: int) -> Look:
        """One thing at a time, as it is when it is looked at."""
        return Look(self._world, now_ms)

    def is_there(self, kind: Kind, key: str) -> bool:
        """Whether there is a call, an agent or a queue of this id or name."""
        world = self._world
        things: Mapping[str, object] = (
            world.calls if kind == "call" else world.agents if kind == "agent" else world.rules.queues
        )
        return key in things

    def underway(self, now_ms: int) -> Underway:
        """All calls and offers, as frozen views: costs a look at every call."""
        return snapshot.underway(self._world, now_ms)

    def snapshot(self, now_ms: int) -> Snapshot:
        """Everything, as frozen views: costs a look at everything."""
        return snapshot.take(self._world, now_ms)

    def dump(self) -> dict[str, Any]:
        """Everything that decisions depend on, as plain data fit for JSON. Costs a look at everything."""
        return memory.dump(self._world)

    @classmethod
    def restore(cls, plain: Mapping[str, Any], plugins: Plugins) -> Engine:
        """An engine that goes on exactly as the one that was dumped. Raises Unreadable, or PluginError."""
        engine = cls.__new__(cls)
        engine._world = memory.restore(plain, plugins)  # noqa: SLF001 - it is one of ours
        return engine

    def changes_nothing(self, event: Event) -> bool:
        """Whether the fact certainly changes nothing now, so that nobody need keep it. Most announcements are such."""
        world = self._world
        match event:
            case CallQueued():
                known = world.calls.get(event.call_id)
                return known is not None and not known.orphan
            case SwitchHeld():
                return world.epochs.get(event.switch) == event.epoch
            case OfferForked() | OfferRang() | OfferConnected() | ConnectFailed() | OfferEnded() | HeldByPhone():
                return world.offer_on(event.offer_id) is None and thirds.talk_of(world, event.offer_id) is None
            case OutsideCallStarted() | OutsideCallEnded():
                return event.agent_id not in world.agents
            case StandingLegUp():
                return stood.is_known(world, event)
            case _:
                return False

    def expect_failure(self, failure: StrategyFailed) -> None:
        """Let a plugin fail in the next step where it failed when the step was taken first.

        ARCHITECTURE.md, "A plugin's failure, replayed", says who does what for it, and why.
        """
        # A failure that does not say where it was follows from what the plugin was asked: it will come by itself.
        if not failure.calls:
            return
        # The plugin may come into service only within the step, by a reload or by its own return.
        self._world.expected[failure.queue, failure.plugin] = failure
        ordering = self._world.orderings.get(failure.queue)
        if ordering is not None:
            ordering.fail_at(failure.plugin, failure.why, failure.calls)

    def works_by(self, rules: Rules) -> bool:
        """Whether these rules are in force, and no plugin that they name has failed since."""
        world = self._world
        orders = world.orderings.values()
        return world.rules == rules and not any(ordering.has_failed for ordering in orders)

    @property
    def edition(self) -> int:
        """How often the rules have been changed: `RulesAmended` says of which edition it is."""
        return self._world.edition

    def prepare(self, event: RulesAmended) -> InParts[None]:
        """Compute, in parts, what this fact will bring about: facts may be handled between them. It is then cheaper."""
        return new_rules.prepare(self._world, event)

    def epoch_of(self, switch: str) -> int:
        """The last epoch in which this daemon held the switch's fence; 0: it never did."""
        return self._world.epochs.get(switch, 0)

    def outside_legs(self, switch: str) -> tuple[tuple[str, Leg], ...]:
        """The calls on this switch that agents have without us: (agent, leg)."""
        agents_ = self._world.agents.items()
        return tuple((agent_id, leg) for agent_id, agent in agents_ for leg in agent.outside if leg.switch == switch)

    def is_offer(self, leg: str) -> bool:
        """Whether there is an offer with this leg now: its phone rings, or its agent talks."""
        return self._world.offer_on(leg) is not None or thirds.talk_of(self._world, leg) is not None

    def numbers_in_calls(self) -> set[str]:
        """The numbers of those who are waiting or talking, or whose talk is being wrapped up."""
        return {call.number for call in self._world.calls.values()} | wrap_ups.in_wrap_up(self._world)

    def last_agent_of(self, number: str) -> str:
        """The agent with whom the caller remembered by this number talked last; empty when none is known."""
        return self._world.last_agents.get(number, "")

    def numbers_remembered(self) -> list[str]:
        """The numbers of those whose last agent is known, whose place is kept, or of whose talk more may be said."""
        world = self._world
        return [*world.last_agents, *(place.who for place in world.abandoned), *wrap_ups.remembered(world)]

    def substituted(self) -> tuple[Substituted, ...]:
        """The plugins that are out of service, by queue."""
        return snapshot.substituted(self._world)

    @property
    def now_ms(self) -> int:
        """The time of the latest step."""
        return self._world.now_ms

    def explain(self, call_id: str, now_ms: int) -> tuple[Explanation, ...]:
        """What was decided about this call and why, oldest first; last, if it waits, why it still does."""
        return whole(self.explain_in_parts(call_id, now_ms))

    def explain_in_parts(self, call_id: str, now_ms: int) -> InParts[tuple[Explanation, ...]]:
        """The same, in parts of less than a millisecond: facts may be handled between them."""
        self._tick(now_ms)
        return explain.of_call(self._world, call_id)

    def explain_decision(self, number: int) -> Explanation | None:
        """One decision, as numbered in `DecisionMade`; None if it is not remembered any more."""
        parts = self.explain_decision_in_parts(number)
        return whole(parts) if parts is not None else None

    def explain_decision_in_parts(self, number: int) -> InParts[Explanation | None] | None:
        """The same, in parts of less than a millisecond: facts may be handled between them."""
        decision = self._world.decisions.get(number)
        return explain.of_decision(self._world, decision) if decision is not None else None

    def _tick(self, now_ms: int) -> None:
        assert now_ms >= self._world.now_ms, "the clock went back"
        self._world.now_ms = now_ms

    def _finish(self, refused: str | None) -> Step:
        world = self._world
        if world.free_agents or world.free_calls or world.failures or world.present.changed:
            distribute.run(world)
        if world.expected:
            self._fail_late()
        return world.end_step(refused)

    def _fail_late(self) -> None:
        """A strategy that was expected to fail in this step and has not is put out of service all the same.

        An older fsacd has asked it for other keys, so at its nth call it was elsewhere.
        """
        world = self._world
        failed = {(record.queue, record.plugin) for record in world.records if isinstance(record, StrategyFailed)}
        for (queue, plugin), failure in world.expected.items():
            ordering = world.orderings.get(queue)
            if ordering is not None and (queue, plugin) not in failed and ordering.strategy_name == plugin:
                ordering.fall_back(PluginFailed(failure.why))
                world.index.order_agents_anew(queue)
        world.expected.clear()
        if world.failures:
            distribute.run(world)

    def _dispatch(self, event: Event) -> str | None:
        world = self._world
        match event:  # what each call brings stands first: each case costs a look at the fact's class
            case CallQueued():
                return calls.queued(world, event)
            case (
                OfferRang()
                | OfferAnswered()
                | OfferConnected()
                | OfferEnded()
                | OfferForked()
                | OfferUnheard()
                | ConnectFailed()
            ):
                talks.handle(world, event)
            case CallerGone() | CallLeft() | CallerTaken() | CallerReplaced() | CallLost():
                leaving.handle(world, event)
            case LegsJoined() | LegInRoom():
                return talks.of_talk(world, event)
            case TalkChangeAsked() | TalkConsultAsked() | TalkTransferAsked() | TalkDigitsAsked():
                return talks.of_talk(world, event)
            case HeldByPhone() | ResumedByPhone() | GivenAway():
                talks.by_phone(world, event)
            case CallReturned():
                calls.returned(world, event)
            case TalkFound():
                found.talk(world, event)
            case CallRequeueAsked() | CallHangupAsked() | CallChangeAsked() | CallPromoteAsked() | CallSendAsked():
                return wishes.of_call(world, event)
            case (
                AgentLoggedIn()
                | AgentLoggedOut()
                | AgentSetReady()
                | AgentSetNotReady()
                | AgentSetReadyFor()
                | AgentSetNotReadyFor()
                | AgentEndedWrapUp()
                | AgentCodedWrapUp()
                | AgentChangeAsked()
            ):
                return agent_wishes.handle(world, event)
            case OutsideCallStarted() | OutsideCallEnded() | StandingLegUp() | StandingLegEnded():
                stood.of_phone(world, event)
            case _:
                return centre.handle(world, event)
        return None

    def _fire(self, key: TimerKey) -> None:
        world = self._world
        act = _DEADLINES.get(key.kind)
        if act is not None:
            act(world, key.owner)
            return
        match key.kind:
            case "strategy" | "call_order" as post:
                world.put_back(post, key.owner)
            case Condition() as condition:
                overflow.condition_held(world, condition, key.owner)
            case kind:
                raise AssertionError(f"a timer of unknown kind {kind!r}")


# What is done when a deadline of this kind has come; it belongs to a call, an offer, an agent, a queue or a switch.
_DEADLINES: dict[str, Callable[[World, str], None]] = {
    "offer": talks.deadline,
    "agent": agents.pause_over,
    "max_wait": overflow.max_wait_passed,
    "reach": overflow.reach_changed,
    "more": offers.one_more,
    "preferred": sticky.expired,
    "settle": calls.settled,
    shaping.TIMER: shaping.deadline,
    "heir": leaving.no_heir,
    "estimated_wait": overflow.look_at_estimates,
    resuming.TIMER: resuming.expired,
    absence.TIMER: switches.gone,
    standing.TIMER: stood.deadline,
}
