"""The engine's state, and the only way to change it.

One dict of calls, one of agents, one of offers, each thing with exactly one state object. Indexes and timers follow
every change in here, so they cannot disagree with it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core import skills
from fsacd.core.commands import Command, EndCall, SendCall
from fsacd.core.index import Index
from fsacd.core.records import AgentStateEnded, Anomaly, CallOutcome, Record
from fsacd.core.rules import QueueRules, Rules
from fsacd.core.timers import Timers
from fsacd.strategy import Strategy

# Ended calls are remembered, so that a late announcement of one does not queue it a second time.
_ENDED_LIMIT = 50_000
_ENDED_FOR_MS = 600_000
# An announcement later than this after the end means that the leg never got the farewell command.
_FAREWELL_RETRY_MS = 3_000


@dataclass(slots=True)
class _Ended:
    at_ms: int
    farewell: SendCall | EndCall | None


class World:
    """Calls, agents, offers, their indexes and timers, and what the running step has produced so far."""

    def __init__(self, rules: Rules, strategies: Mapping[str, Strategy]) -> None:
        self.rules = rules
        self.strategies = strategies
        self.calls: dict[str, c.Call] = {}
        self.agents: dict[str, a.Agent] = {}
        self.offers: dict[str, o.Offer] = {}
        self.switches: dict[str, bool] = {}
        # Queues that are gone from the configuration, but whose rules a talk that is going on still needs.
        self.retired: frozenset[str] = frozenset()
        self.queue_lengths: dict[str, int] = dict.fromkeys(rules.queues, 0)
        # How calls have ended, by the queue they stood in last.
        self.outcomes: Counter[tuple[str, CallOutcome]] = Counter()
        self.delays = _delays(rules)
        self.index = Index(rules, strategies)
        self.timers = Timers()
        self.now_ms = 0
        self.commands: list[Command] = []
        self.records: list[Record] = []
        # Waiting for the distribution at the end of the step, in the order in which they became free. A free agent is
        # not in the index yet: most are given a call at once, and would only be put in and taken out again.
        self.free_agents: dict[str, None] = {}
        self.free_calls: dict[str, None] = {}
        self._ended: OrderedDict[str, _Ended] = OrderedDict()

    # --- output of the step ---

    def command(self, command: Command) -> None:
        """Want something done on a switch."""
        self.commands.append(command)

    def record(self, record: Record) -> None:
        """Write history."""
        self.records.append(record)

    def anomaly(self, kind: str, text: str) -> None:
        """Count and tell what should not have been."""
        self.records.append(Anomaly(kind, text, self.now_ms))

    # --- calls ---

    def add_call(self, call: c.Call) -> None:
        """A new call, Waiting."""
        assert call.call_id not in self.calls
        self.calls[call.call_id] = call
        self.queue_lengths[call.queue] += 1
        self._index_call(call)

    def move_call(self, call: c.Call, state: c.CallState) -> None:
        """Change a call's state. AssertionError for a move that the table forbids: an error of ours."""
        assert type(state) in c.CALL_MOVES[type(call.state)], f"call {call.state} -> {state}"
        self._unindex_call(call)
        was_queued, is_queued = in_queue(call.state), in_queue(state)
        self.queue_lengths[call.queue] += is_queued - was_queued
        call.state = state
        match state:
            case c.Settling():
                self.timers.set("settle", call.call_id, state.until_ms)
            case c.Talking():
                self.timers.set("settle", call.call_id, state.since_ms + self.rules.limits.settle_ms)
            case c.Waiting() | c.Ringing() | c.Connecting():
                self.timers.clear("settle", call.call_id)
        self._index_call(call)

    def requeue_call(self, call: c.Call, queue: str) -> None:
        """Move a waiting call into another queue: it requires what it asked for plus what that queue adds."""
        self._unindex_call(call)
        self.queue_lengths[call.queue] -= 1
        call.queue = queue
        call.joined_ms = self.now_ms
        call.required = skills.merge(self.rules.queues[queue].required, call.asked)
        self.queue_lengths[queue] += 1
        self._index_call(call)

    def forget_call(self, call: c.Call, farewell: SendCall | EndCall | None) -> None:
        """The call is over. The farewell is what its leg was told; it is told again if the leg is still here later."""
        self._unindex_call(call)
        self.queue_lengths[call.queue] -= in_queue(call.state)
        del self.calls[call.call_id]
        self.free_calls.pop(call.call_id, None)
        for kind in ("max_wait", "delay", "settle"):
            self.timers.clear(kind, call.call_id)
        self.remember_ended(call.call_id, farewell)

    def remember_ended(self, call_id: str, farewell: SendCall | EndCall | None) -> None:
        """Keep in mind, for a while, that this call is over."""
        self._ended[call_id] = _Ended(self.now_ms, farewell)
        while self._ended:
            oldest_id, oldest = next(iter(self._ended.items()))
            if len(self._ended) <= _ENDED_LIMIT and self.now_ms - oldest.at_ms < _ENDED_FOR_MS:
                break
            del self._ended[oldest_id]

    def has_ended(self, call_id: str) -> bool:
        """Whether the call was here and is over. Repeats the farewell to a leg that seems to have missed it."""
        ended = self._ended.get(call_id)
        if ended is None:
            return False
        if ended.farewell is not None and self.now_ms - ended.at_ms >= _FAREWELL_RETRY_MS:
            ended.at_ms = self.now_ms
            self.command(ended.farewell)
        return True

    def say_farewell(self, call_id: str) -> None:
        """An ended call's leg is back in the music: tell it at once where to go."""
        ended = self._ended.get(call_id)
        if ended is not None and ended.farewell is not None:
            self.command(ended.farewell)

    def has_queue(self, queue: str) -> bool:
        """Whether calls can join this queue."""
        return queue in self.rules.queues and queue not in self.retired

    def queue_rules(self, call: c.Call) -> QueueRules:
        """The rules of the queue the call stands in."""
        return self.rules.queues[call.queue]

    def may_offer(self, call: c.Call) -> bool:
        """Whether the call's leg can be reached. Calls without a leg can (a callback is dialled)."""
        return call.leg is None or self.switches.get(call.leg.switch, False)

    def is_indexed(self, call: c.Call) -> bool:
        """Whether the call belongs among those offered to agents."""
        return isinstance(call.state, c.Waiting) and self.may_offer(call)

    def _index_call(self, call: c.Call) -> None:
        if self.is_indexed(call):
            self.index.add_call(call)
            self.free_calls[call.call_id] = None

    def _unindex_call(self, call: c.Call) -> None:
        if self.is_indexed(call):
            self.index.remove_call(call)
            self.free_calls.pop(call.call_id, None)

    def set_switch(self, switch: str, *, up: bool) -> None:
        """A switch came or went: its waiting calls can, or cannot, be offered."""
        if self.switches.get(switch, False) == up:
            return
        mine = [call for call in self.calls.values() if call.leg is not None and call.leg.switch == switch]
        for call in mine:
            self._unindex_call(call)
        self.switches[switch] = up
        for call in mine:
            self._index_call(call)

    # --- agents ---

    def add_agent(self, agent: a.Agent) -> None:
        """A newly configured agent, LoggedOut."""
        assert isinstance(agent.state, a.LoggedOut)
        agent.since_ms = self.now_ms
        self.agents[agent.agent_id] = agent

    def move_agent(self, agent: a.Agent, state: a.AgentState, by: str = "") -> None:
        """Change an agent's state and write the interval down. AssertionError for a forbidden move."""
        assert type(state) in a.AGENT_MOVES[type(agent.state)], f"agent {agent.state} -> {state}"
        if state == agent.state:
            return
        name = a.STATE_NAMES[type(agent.state)]
        self.record(AgentStateEnded(agent.agent_id, name, agent.state_reason, agent.since_ms, self.now_ms, by))
        if isinstance(agent.state, a.Ready):
            if agent.agent_id in self.free_agents:
                del self.free_agents[agent.agent_id]
            else:
                self.index.remove_agent(agent)
        agent.state = state
        agent.since_ms = self.now_ms
        if isinstance(state, a.Ready):
            self.free_agents[agent.agent_id] = None
        if isinstance(state, a.WrappingUp | a.HeldBack):
            self.timers.set("agent", agent.agent_id, state.until_ms)
        else:
            self.timers.clear("agent", agent.agent_id)

    # --- offers ---

    def move_offer(self, offer: o.Offer, state: o.OfferState) -> None:
        """Change an offer's state. AssertionError for a forbidden move."""
        assert type(state) in o.OFFER_MOVES[type(offer.state)], f"offer {offer.state} -> {state}"
        offer.state = state

    def forget_offer(self, offer: o.Offer) -> None:
        """The agent's leg is gone for good."""
        offer.ended_ms = self.now_ms
        del self.offers[offer.offer_id]
        self.timers.clear("offer", offer.offer_id)

    # --- rules ---

    def set_rules(self, rules: Rules, retired: frozenset[str]) -> None:
        """Work by other rules. The caller has seen to it that no call stands in a queue that is no more."""
        self.rules = rules
        self.retired = retired
        self.delays = _delays(rules)
        self.index = Index(rules, self.strategies)
        self.queue_lengths = dict.fromkeys(rules.queues, 0)
        self.free_agents.clear()
        self.free_calls.clear()
        for call in self.calls.values():
            call.required = skills.merge(rules.queues[call.queue].required, call.asked)
            self.queue_lengths[call.queue] += in_queue(call.state)
            self._index_call(call)
        for agent in self.agents.values():
            if isinstance(agent.state, a.Ready):
                self.free_agents[agent.agent_id] = None

    def index_free_agents(self) -> None:
        """Let calls find the agents who became free in this step."""
        for agent_id in self.free_agents:
            self.index.add_agent(self.agents[agent_id])
        self.free_agents.clear()


def in_queue(state: c.CallState) -> bool:
    """Whether a call in this state counts towards its queue's length."""
    return isinstance(state, c.Waiting | c.Ringing | c.Connecting)


def _delays(rules: Rules) -> dict[str, tuple[int, ...]]:
    """By queue, the delays after which more of its agents help, ascending; queues without any are left out."""
    delays: dict[str, set[int]] = {}
    for agent in rules.agents.values():
        for queue, service in agent.queues.items():
            if service.delay_ms:
                delays.setdefault(queue, set()).add(service.delay_ms)
    return {queue: tuple(sorted(found)) for queue, found in delays.items()}
