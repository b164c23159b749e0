"""Everything ends exactly once, and nobody is in two places: calls, offers, agents' intervals, agents' legs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.views import AgentView, CallView, Snapshot, Step
from tests.core.clerk import given_up

# Ways to leave after which the same call may wait again.
_MAY_COME_BACK = {*(how.value for how in e.Taken), "transferred"}
# The shortest time after which a leg that is not heard of is not waited for: the adversary's offer grace.
SHORTEST_MS = 1_000


@dataclass
class Ledger:
    """Counts."""

    ended: Counter[str] = field(default_factory=Counter)
    rung: dict[str, str] = field(default_factory=dict)  # every offer ever made → its agent
    closed: Counter[str] = field(default_factory=Counter)
    ringing: dict[str, str] = field(default_factory=dict)  # agent → their offer that is not closed
    legs: dict[str, tuple[str, int]] = field(default_factory=dict)  # offers that are closed, but whose leg may be there
    legs_ended: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)  # calls of which sight was lost: they may be announced again
    since: dict[str, int] = field(default_factory=dict)  # agent → when their present interval began

    def take(self, event: e.Event | None, step: Step, after: Snapshot, queued: Mapping[str, e.CallQueued]) -> None:
        """One step."""
        if isinstance(event, e.OfferEnded):
            # The agent's leg has ended, though what to write of a very short talk may not be known yet.
            self.ringing = {agent: offer for agent, offer in self.ringing.items() if offer != event.offer_id}
        self._legs(event, step, after.now_ms)
        self._records(step, after.now_ms, queued)
        if step.refused is None:
            self._by_hand(event, [record for record in step.records if isinstance(record, r.ChangeMade)])
        self._each_in_one_place(after.calls, after.agents, queued)

    def take_back(self, call_id: str) -> bool:
        """Whether the end of this call was seen by nobody, so that it may be here again when it is announced."""
        if call_id not in self.away:
            return False
        self.away.discard(call_id)
        self.ended[call_id] = 0
        return True

    def all_over(self, shown: Snapshot) -> None:
        """After a long silence: every offer was closed, but for those of the calls that talk."""
        talking = {call.agent_ids for call in shown.calls if call.agent_ids}
        left = {(agent_id,) for offer_id, agent_id in self.rung.items() if not self.closed[offer_id]}
        assert left == talking, f"offers of {left} are not closed, calls talk with {talking}"
        assert len(self.rung) - len(self.closed) == len(talking)

    def _records(self, step: Step, now_ms: int, queued: Mapping[str, e.CallQueued]) -> None:
        for record in step.records:
            match record:
                case r.AgentStateEnded(agent_id, state, _, started_ms, ended_ms, _):
                    assert started_ms == self.since.get(agent_id, started_ms), f"{agent_id} has a gap before {state}"
                    assert started_ms <= ended_ms == now_ms
                    self.since[agent_id] = ended_ms
                case r.CallEnded():
                    self._call_ended(record, queued)
                case r.OfferClosed():
                    self._offer_closed(record)
                case _:
                    pass
        # After the records: an agent freed and rung in one step has their old offer closed in it.
        for command in step.commands:
            if isinstance(command, k.RingAgent):
                assert command.offer_id not in self.rung, "an offer is made once"
                held = self.ringing.get(command.agent_id)
                assert held is None, f"{command.agent_id} is rung while {held} is not closed"
                self.rung[command.offer_id] = command.agent_id
                if not self.closed[command.offer_id]:
                    self.ringing[command.agent_id] = command.offer_id

    def _by_hand(self, event: e.Event | None, made: list[r.ChangeMade]) -> None:
        """What somebody changes by hand is written down with who did it; what changes nothing may be left out."""
        told = [(record.kind, record.subject, record.by) for record in made]
        match event:
            case e.CallRequeueAsked():
                assert told == [("call_moved", event.call_id, event.by)]
            case e.CallPromoteAsked():
                assert told == [("call_promoted", event.call_id, event.by)]
            case e.CallSendAsked():
                assert told == [("call_sent", event.call_id, event.by)]
            case e.CallHangupAsked():
                assert told == [("call_ended", event.call_id, event.by)]
            case e.CallChangeAsked():
                assert told in ([], [("call_changed", event.call_id, event.by)])
            case e.AgentChangeAsked():
                assert told in ([], [("agent_changed", event.agent_id, event.by)])
            case e.AgentSetReadyFor():
                assert told in ([], [("agent_ready_for", event.agent_id, event.by)])
            case e.AgentSetNotReadyFor():
                assert told in ([], [("agent_not_ready_for", event.agent_id, event.by)])
            case e.QueueSetOpen():
                assert told in ([], [("queue_opened" if event.open else "queue_closed", event.queue, event.by)])
            case _:
                assert told == [], f"{event} changed something by hand: {told}"

    def _call_ended(self, record: r.CallEnded, queued: Mapping[str, e.CallQueued]) -> None:
        if record.outcome is r.CallOutcome.REFUSED and record.call_id in self.away:
            self.ended[record.call_id] -= 1  # it was announced again, and never joined
            self.away.discard(record.call_id)
        self.ended[record.call_id] += 1
        assert self.ended[record.call_id] == 1, f"{record.call_id} ended twice"
        lost = record.outcome is r.CallOutcome.LOST
        if lost or (record.outcome is r.CallOutcome.LEFT and record.detail in _MAY_COME_BACK):
            self.away.add(record.call_id)
        assert record.call_id in queued
        assert record.waited_ms >= 0
        assert record.talked_ms >= 0
        assert record.waited_ms + record.talked_ms <= record.ended_ms - record.arrived_ms
        assert (record.outcome is r.CallOutcome.ANSWERED) <= (record.agent_id is not None)

    def _offer_closed(self, record: r.OfferClosed) -> None:
        self.closed[record.offer_id] += 1
        assert self.closed[record.offer_id] == 1, f"{record.offer_id} closed twice"
        assert self.rung[record.offer_id] == record.agent_id
        if self.ringing.get(record.agent_id) == record.offer_id:
            del self.ringing[record.agent_id]
        times = (record.started_ms, record.answered_ms, record.connected_ms, record.ended_ms)
        known = [at_ms for at_ms in times if at_ms is not None]
        assert known == sorted(known), f"times out of order: {record}"
        # An agent who answered has a talk, or the name of what took it from them.
        if record.answered_ms is not None:
            assert record.reason in {"talk", "bridge_window", "lost_race"}, record

    def _legs(self, event: e.Event | None, step: Step, now_ms: int) -> None:
        """No agent is rung while their last leg is there, unless they ask for it or it was waited for in vain."""
        closed = [record for record in step.records if isinstance(record, r.OfferClosed)]
        self.legs |= {c.offer_id: (c.agent_id, now_ms) for c in closed if c.offer_id not in self.legs_ended}
        if isinstance(event, e.OfferEnded):
            self.legs_ended.add(event.offer_id)
            self.legs.pop(event.offer_id, None)
        if isinstance(event, e.SwitchRestarted) or given_up(step):
            self.legs.clear()
        for record in step.records:
            match record:
                case r.Anomaly("offer_unconfirmed", text, _):
                    self.legs = {offer_id: leg for offer_id, leg in self.legs.items() if offer_id not in text}
                case r.AgentStateEnded(agent_id, "wrapping_up" | "logged_out" | "not_ready", by=by) if by:
                    self.legs = {offer_id: leg for offer_id, leg in self.legs.items() if leg[0] != agent_id}
                case _:
                    pass
        rung = {command.agent_id for command in step.commands if isinstance(command, k.RingAgent)}
        for offer_id, (agent_id, closed_ms) in self.legs.items():
            # An offer's grace, and the shortest wrap-up, of the adversary's rules.
            waited = now_ms - closed_ms >= SHORTEST_MS
            assert waited or agent_id not in rung, f"{agent_id} is rung while the leg of {offer_id} is there"

    def _each_in_one_place(
        self, calls: tuple[CallView, ...], agents: tuple[AgentView, ...], queued: Mapping[str, e.CallQueued]
    ) -> None:
        live = [call.call_id for call in calls]
        assert len(live) == len(set(live))
        for call_id in live:
            assert not self.ended[call_id] or call_id in self.away, f"{call_id} has ended and is still here"
        for call_id in queued.keys() - set(live):
            assert self.ended[call_id], f"{call_id} has vanished"
        busy = [agent_id for call in calls for agent_id in call.agent_ids]
        assert len(busy) == len(set(busy)), "one live offer per agent"
        states = {agent.agent_id: agent.state for agent in agents}
        self.since = {agent.agent_id: self.since.get(agent.agent_id, agent.since_ms) for agent in agents}
        assert self.since == {agent.agent_id: agent.since_ms for agent in agents}
        for call in calls:
            for agent_id in call.agent_ids:
                assert states[agent_id] == ("talking" if call.state == "talking" else "offered")
