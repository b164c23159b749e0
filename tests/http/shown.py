"""A look at a snapshot that a test has written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from fsacd.core.shape import CALLER_HELD
from fsacd.core.show.look import Look
from fsacd.core.show.parts import InParts
from fsacd.core.views import AgentView, CallView, Counts, Listed, QueueView, Snapshot


class Shown(Look):
    """A look at what a test has written down instead of an engine."""

    def __init__(self, shown: Snapshot) -> None:
        self._shown = shown
        self._agents = {view.agent_id: view for view in sorted(shown.agents, key=lambda view: view.agent_id)}
        self._calls = {
            view.call_id: view for view in sorted(shown.calls, key=lambda view: (view.arrived_ms, view.call_id))
        }
        self._queues = {view.name: view for view in sorted(shown.queues, key=lambda view: view.name)}

    @property
    def now_ms(self) -> int:
        return self._shown.now_ms

    @property
    def agent_ids(self) -> Collection[str]:
        return self._agents

    @property
    def queue_names(self) -> Collection[str]:
        return self._queues

    def agent(self, agent_id: str) -> AgentView | None:
        return self._agents.get(agent_id)

    def call(self, call_id: str) -> CallView | None:
        return self._calls.get(call_id)

    def talk(self, talk_id: str) -> CallView | None:
        return next((view for view in self._calls.values() if view.talk and view.talk.talk_id == talk_id), None)

    def calls_beginning(self, prefix: str) -> list[str]:
        return [call_id for call_id in self._calls if call_id.startswith(prefix)]

    def agents(
        self, *, queue: str | None = None, state: str | None = None, offset: int = 0, limit: int
    ) -> InParts[Listed[AgentView]]:
        found = [
            view.agent_id
            for view in self._agents.values()
            if state in (None, view.state) and (queue is None or queue in dict(view.queues))
        ]
        yield
        return Listed(found[offset : offset + limit], self.agent, len(found))

    def calls(
        self, *, queue: str | None = None, state: str | None = None, offset: int = 0, limit: int
    ) -> InParts[Listed[CallView]]:
        found = [
            view.call_id for view in self._calls.values() if state in (None, view.state) and queue in (None, view.queue)
        ]
        yield
        return Listed(
            found[offset : offset + limit], self.call, len(found), lambda call_id: self._calls[call_id].position
        )

    def queue(self, name: str) -> InParts[QueueView | None]:
        yield
        return self._queues.get(name)

    def counts(self) -> InParts[Counts]:
        yield
        calls = Counter(view.state for view in self._calls.values())
        agents = Counter(view.state for view in self._agents.values())
        held = Counter(view.queue for view in self._calls.values() if view.talk and view.talk.shape in CALLER_HELD)
        return Counts(tuple(self._queues.values()), calls, agents, self._shown.switches, held)

    def skills(self) -> InParts[frozenset[str]]:
        yield
        levels = [*(view.skills for view in self._agents.values()), *(view.required for view in self._calls.values())]
        return frozenset(skill for level in levels for skill, _ in level)
