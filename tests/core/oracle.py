"""A judge of the engine by brute force. It shares no code with it: it knows the rules, the facts, and what came out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.rules import Rules
from fsacd.core.views import AgentView, CallView, Step
from fsacd.testing import Driver

# The shortest time after which a leg that is not heard of is not waited for: the adversary's offer grace.
SHORTEST_MS = 1_000

CallKey = tuple[int, int, int, str]
AgentKey = tuple[int, int, int, str]


@dataclass(frozen=True)
class Pair:
    """A call and an agent who may take it, with each one's opinion of the other: smaller is better."""

    call_id: str
    agent_id: str
    call_key: CallKey
    agent_key: AgentKey


@dataclass
class Oracle:
    """Give it to an `Adversary` as its watch; it raises AssertionError for what must not be."""

    driver: Driver
    rules: Rules
    queued: dict[str, e.CallQueued] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    rung: dict[str, str] = field(default_factory=dict)  # every offer ever made → its agent
    closed: Counter[str] = field(default_factory=Counter)
    ringing: dict[str, str] = field(default_factory=dict)  # agent → his offer that is not closed
    legs: dict[str, tuple[str, int]] = field(default_factory=dict)  # offers that are closed, but whose leg may be there
    legs_ended: set[str] = field(default_factory=set)
    since: dict[str, int] = field(default_factory=dict)  # agent → when his present interval began
    idle_since: dict[str, int] = field(default_factory=dict)
    advanced_to: int = 0

    def watch(self, event: e.Event | None, step: Step, alone: bool) -> None:
        """One step has been made; `alone`: of one fact or one deadline, so that what it gave can be judged as one."""
        if isinstance(event, e.CallQueued) and event.call_id not in self.queued:
            self.queued[event.call_id] = event
        if isinstance(event, e.RulesChanged):
            self.rules = event.rules
        if isinstance(event, e.OfferEnded):
            # His leg has ended, though what to write of a very short talk may not be known yet.
            self.ringing = {agent: offer for agent, offer in self.ringing.items() if offer != event.offer_id}
        self._legs(event, step)
        self._books(step)
        rings = [command for command in step.commands if isinstance(command, k.RingAgent)]
        snapshot = self.driver.engine.snapshot(self.driver.now_ms)
        waiting = [call for call in snapshot.calls if call.state == "waiting"]
        ready = [agent for agent in snapshot.agents if agent.state == "ready"]
        up = dict(snapshot.switches)
        offerable = [call for call in waiting if call.leg is not None and up.get(call.leg.switch, False)]
        calls = {call.call_id: call for call in snapshot.calls}
        agents = {agent.agent_id: agent for agent in snapshot.agents}
        if event is None:
            self.advanced_to = self.driver.now_ms
        self._nobody_idle(offerable, ready)
        if alone and rings:
            self._best_pairs(rings, offerable, ready, calls, agents)
            self._nobody_overtaken(rings, offerable, calls)
        self._each_in_one_place(snapshot.calls, snapshot.agents)

    def all_over(self) -> None:
        """After a long silence: every offer was closed, but for those of the calls that talk."""
        talking = {call.agent_ids for call in self.driver.engine.snapshot(self.driver.now_ms).calls if call.agent_ids}
        left = {(agent_id,) for offer_id, agent_id in self.rung.items() if not self.closed[offer_id]}
        assert left == talking, f"offers of {left} are not closed, calls talk with {talking}"
        assert len(self.rung) - len(self.closed) == len(talking)

    # --- the books: everything ends exactly once ---

    def _books(self, step: Step) -> None:
        now_ms = self.driver.now_ms
        for record in step.records:
            match record:
                case r.AgentStateEnded(agent_id, state, _, started_ms, ended_ms, _):
                    assert started_ms == self.since.get(agent_id, started_ms), f"{agent_id} has a gap before {state}"
                    assert started_ms <= ended_ms == now_ms
                    self.since[agent_id] = ended_ms
                    if state in {"talking", "logged_out"}:
                        self.idle_since[agent_id] = ended_ms
                case r.CallEnded():
                    self.ended[record.call_id] += 1
                    assert self.ended[record.call_id] == 1, f"{record.call_id} ended twice"
                    assert record.call_id in self.queued
                    assert record.waited_ms >= 0 and record.talked_ms >= 0
                    assert record.waited_ms + record.talked_ms <= record.ended_ms - record.arrived_ms
                    assert (record.outcome is r.CallOutcome.ANSWERED) <= (record.agent_id is not None)
                case r.OfferClosed():
                    self.closed[record.offer_id] += 1
                    assert self.closed[record.offer_id] == 1, f"{record.offer_id} closed twice"
                    assert self.rung[record.offer_id] == record.agent_id
                    if self.ringing.get(record.agent_id) == record.offer_id:
                        del self.ringing[record.agent_id]
                    times = (record.started_ms, record.answered_ms, record.connected_ms, record.ended_ms)
                    known = [at_ms for at_ms in times if at_ms is not None]
                    assert known == sorted(known), f"times out of order: {record}"
                    # An agent who answered has a talk, or the name of what took it from him.
                    if record.answered_ms is not None:
                        assert record.reason in {"talk", "bridge_window", "lost_race"}, record
                case _:
                    pass
        # After the records: an agent freed and rung in one step has his old offer closed in it.
        for command in step.commands:
            if isinstance(command, k.RingAgent):
                assert command.offer_id not in self.rung, "an offer is made once"
                held = self.ringing.get(command.agent_id)
                assert held is None, f"{command.agent_id} is rung while {held} is not closed"
                self.rung[command.offer_id] = command.agent_id
                if not self.closed[command.offer_id]:
                    self.ringing[command.agent_id] = command.offer_id

    def _legs(self, event: e.Event | None, step: Step) -> None:
        """Nobody is rung while his last leg is still there, unless he asks for it or it was waited for in vain."""
        now_ms = self.driver.now_ms
        closed = [record for record in step.records if isinstance(record, r.OfferClosed)]
        self.legs |= {c.offer_id: (c.agent_id, now_ms) for c in closed if c.offer_id not in self.legs_ended}
        if isinstance(event, e.OfferEnded):
            self.legs_ended.add(event.offer_id)
            self.legs.pop(event.offer_id, None)
        if isinstance(event, e.SwitchRestarted):
            self.legs.clear()
        for record in step.records:
            match record:
                case r.Anomaly("offer_unconfirmed", text, _):
                    self.legs = {offer_id: leg for offer_id, leg in self.legs.items() if offer_id not in text}
                case r.AgentStateEnded(agent_id, "wrapping_up", by=by) if by:
                    self.legs = {offer_id: leg for offer_id, leg in self.legs.items() if leg[0] != agent_id}
                case _:
                    pass
        rung = {command.agent_id for command in step.commands if isinstance(command, k.RingAgent)}
        for offer_id, (agent_id, closed_ms) in self.legs.items():
            # An offer's grace, and the shortest wrap-up, of the adversary's rules.
            waited = now_ms - closed_ms >= SHORTEST_MS
            assert waited or agent_id not in rung, f"{agent_id} is rung while the leg of {offer_id} is there"

    def _each_in_one_place(self, calls: tuple[CallView, ...], agents: tuple[AgentView, ...]) -> None:
        live = [call.call_id for call in calls]
        assert len(live) == len(set(live))
        for call_id in live:
            assert not self.ended[call_id], f"{call_id} has ended and is still here"
        for call_id in self.queued.keys() - set(live):
            assert self.ended[call_id], f"{call_id} has vanished"
        busy = [agent_id for call in calls for agent_id in call.agent_ids]
        assert len(busy) == len(set(busy)), "one live offer per agent"
        states = {agent.agent_id: agent.state for agent in agents}
        self.since = {agent.agent_id: self.since.get(agent.agent_id, agent.since_ms) for agent in agents}
        assert self.since == {agent.agent_id: agent.since_ms for agent in agents}
        for call in calls:
            for agent_id in call.agent_ids:
                assert states[agent_id] == ("talking" if call.state == "talking" else "offered")

    # --- the promise of order ---

    def _pair(self, call: CallView, agent: AgentView) -> Pair | None:
        """What they think of each other, or None if the agent may not take the call now."""
        rules = self.rules.agents.get(agent.agent_id)
        if rules is None or call.queue not in rules.queues:
            return None
        service = rules.queues[call.queue]
        event = self.queued[call.call_id]
        virtual_ms = min(event.arrived_ms, call.arrived_ms) - event.head_start_ms
        if self.driver.now_ms - virtual_ms < service.delay_ms:
            return None
        levels = dict(rules.skills)
        wanted = dict(event.required)
        for skill, level in self.rules.queues[call.queue].required:
            wanted[skill] = max(level, wanted.get(skill, 0))
        if any(levels.get(skill, 0) < max(level, 1) for skill, level in wanted.items()):
            return None
        lowest = min((levels[skill] for skill in wanted), default=0)
        return Pair(
            call.call_id,
            agent.agent_id,
            call_key=(-call.priority, service.rank, virtual_ms, call.call_id),
            agent_key=(service.rank, -lowest, self.idle_since.get(agent.agent_id, 0), agent.agent_id),
        )

    def _nobody_idle(self, waiting: list[CallView], ready: list[AgentView]) -> None:
        for call in waiting:
            for agent in ready:
                if self._pair(call, agent) is None:
                    continue
                service = self.rules.agents[agent.agent_id].queues[call.queue]
                due_ms = call.arrived_ms - self.queued[call.call_id].head_start_ms + service.delay_ms
                # A delay that has passed is acted on when the shell looks at its deadlines, not before.
                assert service.delay_ms and due_ms > self.advanced_to, f"{agent.agent_id} idle, {call.call_id} waits"

    def _best_pairs(
        self,
        rings: list[k.RingAgent],
        waiting: list[CallView],
        ready: list[AgentView],
        calls: dict[str, CallView],
        agents: dict[str, AgentView],
    ) -> None:
        """No call and agent who would both rather have each other than what this step gave them."""
        got: dict[str, str] = {ring.call_id: ring.agent_id for ring in rings}
        pool_calls = [*waiting, *(calls[call_id] for call_id in got)]
        pool_agents = [*ready, *(agents[agent_id] for agent_id in got.values())]
        pairs = {
            (pair.call_id, pair.agent_id): pair
            for call in pool_calls
            for agent in pool_agents
            if (pair := self._pair(call, agent)) is not None
        }
        of_agent = {agent_id: call_id for call_id, agent_id in got.items()}
        for call_id, agent_id in got.items():
            assert (call_id, agent_id) in pairs, f"{agent_id} was rung for {call_id}, whom he may not take"
        for pair in pairs.values():
            mine, his = got.get(pair.call_id), of_agent.get(pair.agent_id)
            if mine is None and his is None:
                continue  # judged as idleness
            call_gains = mine is None or pair.agent_key < pairs[pair.call_id, mine].agent_key
            agent_gains = his is None or pair.call_key < pairs[his, pair.agent_id].call_key
            assert not (call_gains and agent_gains), f"{pair.agent_id} and {pair.call_id} prefer each other; got {got}"

    def _nobody_overtaken(self, rings: list[k.RingAgent], waiting: list[CallView], calls: dict[str, CallView]) -> None:
        """Within a class and queue, same requirements: nobody goes before who came earlier by their head starts."""
        for ring in rings:
            first = calls[ring.call_id]
            for left in waiting:
                same = (left.queue, left.priority, left.required) == (first.queue, first.priority, first.required)
                if same:
                    head_starts = self.queued[first.call_id].head_start_ms - self.queued[left.call_id].head_start_ms
                    assert first.arrived_ms - left.arrived_ms <= head_starts, f"{left.call_id} was overtaken"
