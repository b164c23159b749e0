"""What agents want and hold, judged by records and views: presences touch, and nobody holds more than they can.

It shares no code with the engine, and holds whatever the queues' weights are: each walk is watched by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fsacd.core import events as e
from fsacd.core import records as r
from fsacd.core.views import AgentView, Snapshot, Step, WorkView
from tests.core.log_ins import LogIns

ALL = 100
# (agent, offer) → the state that it is in, and since when.
Held = dict[tuple[str, str], tuple[str, int]]


@dataclass
class Holdings:
    """Follows presences and work by what is recorded of them, and compares with what is shown."""

    presences: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # agent → presence, reason, since
    log_ins: LogIns = field(default_factory=LogIns)
    found: set[str] = field(default_factory=set)  # agents of whom a talk was found: they may hold more than all

    def take(self, event: e.Event | None, step: Step, before: Snapshot, after: Snapshot) -> None:
        """One step."""
        if isinstance(event, e.TalkFound):
            self.found.add(event.agent_id)
        self._presences(step, after)
        self.log_ins.take(step, after)
        self._work(step, before, after)
        for agent in after.agents:
            self._not_too_much(agent)

    def _presences(self, step: Step, after: Snapshot) -> None:
        for record in step.records:
            if not isinstance(record, r.AgentPresence):
                continue
            told = (record.presence, record.reason, record.started_ms)
            if record.ended_ms is None:
                assert record.started_ms == after.now_ms
                assert record.agent_id not in self.presences, f"{record.agent_id} has two presences"
                self.presences[record.agent_id] = told
            else:
                was = self.presences.pop(record.agent_id, told)
                assert was == told, f"{record.agent_id} was {was}, and is told to have been {told}"
                assert record.ended_ms == after.now_ms
        shown = {a.agent_id: (a.presence, a.presence_reason, a.presence_since_ms) for a in after.agents}
        # Whoever has been there from the beginning, or is gone from the configuration, is told of later or no more.
        known = {agent_id: self.presences.get(agent_id, told) for agent_id, told in shown.items()}
        assert known == shown, f"presences {known.items() ^ shown.items()}"
        self.presences = known

    def _work(self, step: Step, before: Snapshot, after: Snapshot) -> None:
        """Each interval that is told began when it was shown to begin, and what is shown goes on where that ended."""
        held, now = _held(before), _held(after)
        for record in step.records:
            if isinstance(record, r.AgentWorkEnded) and record.offer_id:
                key = (record.agent_id, record.offer_id)
                # What began in this step has not been shown.
                state, since_ms = held.pop(key, (record.state, record.started_ms))
                assert (state, since_ms) == (record.state, record.started_ms), f"{key}: {state} was not told"
                assert record.ended_ms == after.now_ms
                assert record.weight > 0 and record.channel and record.queue, f"{record} says too little"
        lost = {key: held[key] for key in held.keys() - now.keys()}
        assert not lost, f"work has vanished: {lost}"
        for key, told in now.items():
            assert held.get(key, told) == told, f"{key} was {held[key]}, is {told}, and nothing was told"

    def _not_too_much(self, agent: AgentView) -> None:
        held = sum(work.weight for work in agent.work)
        assert held <= ALL or agent.agent_id in self.found, f"{agent.agent_id} holds {held} of {ALL}"
        assert agent.room in {0, ALL - held}, f"{agent.agent_id} holds {held}, and has room for {agent.room}"
        assert not agent.room or agent.presence == "ready", f"{agent.agent_id} is {agent.presence}, and may be offered"
        assert agent.state == (_first(agent.work) or agent.state)
        if not agent.work and agent.presence != "ready":
            assert agent.state == agent.presence
        if agent.state == "ready":
            assert agent.room == ALL


def _first(work: tuple[WorkView, ...]) -> str | None:
    states = {one.state for one in work}
    return next((state for state in ("talking", "offered", "wrapping_up") if state in states), None)


def _held(shown: Snapshot) -> Held:
    return {(a.agent_id, work.offer_id): (work.state, work.since_ms) for a in shown.agents for work in a.work}
