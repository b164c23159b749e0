"""A look at the engine as it is now, one thing at a time: each look costs what it shows, and nothing is copied.

One agent, one call and the names are there at once. What must look at many comes in parts. The world may change between
two of them, so a list shows each thing as it is when its turn comes; what is gone by then is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from fsacd.core import call as c
from fsacd.core.agent import STATE_NAMES, LoggedOut
from fsacd.core.call import in_queue
from fsacd.core.life.world import World
from fsacd.core.show import snapshot
from fsacd.core.show.parts import InParts, batches
from fsacd.core.views import AgentView, CallView, Counts, Listed, QueueView
from fsacd.strategy import Key


class Look:
    """What the engine shows of itself. It stays true while the engine goes on: every answer is of its own moment."""

    def __init__(self, world: World, now_ms: int) -> None:
        self._world = world
        self._began_ms = now_ms

    @property
    def now_ms(self) -> int:
        """The moment of the answers, in milliseconds of the engine's clock."""
        return max(self._began_ms, self._world.now_ms)

    # --- at once ---

    @property
    def agent_ids(self) -> Collection[str]:
        """The configured agents."""
        return self._world.agents.keys()

    @property
    def queue_names(self) -> Collection[str]:
        """All queues."""
        return self._world.rules.queues.keys()

    def agent(self, agent_id: str) -> AgentView | None:
        """The agent of this id, if there is one."""
        agent = self._world.agents.get(agent_id)
        return None if agent is None else snapshot.agent_view(self._world, agent)

    def call(self, call_id: str) -> CallView | None:
        """The live call of this id, if there is one. For its position it looks at the calls of its queue."""
        call = self._world.calls.get(call_id)
        if call is None:
            return None
        return snapshot.call_view(self._world, call, self._position(call), self.now_ms)

    def talk(self, talk_id: str) -> CallView | None:
        """The call that talks in the talk of this id, if there is one."""
        offer = self._world.offers.get(talk_id)
        call = self._world.calls.get(offer.call_id) if offer is not None else None
        if call is None or not isinstance(call.state, c.Talking) or call.state.offer_id != talk_id:
            return None
        return snapshot.call_view(self._world, call, 0, self.now_ms)

    def queue_of(self, call_id: str) -> str:
        """The queue in which the live call of this id stands; empty when there is none."""
        call = self._world.calls.get(call_id)
        return "" if call is None else call.queue

    def calls_beginning(self, prefix: str) -> list[str]:
        """The live calls whose ids begin with this. It compares all ids, some ten microseconds for a thousand."""
        return [call_id for call_id in self._world.calls if call_id.startswith(prefix)]

    def beyond(self, queues: Collection[str], agents: Collection[str]) -> tuple[list[tuple[str, str]], dict[str, str]]:
        """What these queues and agents leave out: calls in other queues (queue and state), other agents (state by id).

        It costs a look at every call where there are other queues, and at nothing else.
        """
        world = self._world
        others = world.rules.queues.keys() - set(queues)
        standing = (call for call in world.calls.values() if call.queue in others) if others else ()
        gone = [world.agents[agent_id] for agent_id in world.agents if agent_id not in agents]
        return (
            [(call.queue, snapshot.CALL_STATES[type(call.state)]) for call in standing],
            {agent.agent_id: STATE_NAMES[type(agent.state)] for agent in gone},
        )

    def contacts(self) -> InParts[dict[str, str]]:
        """Where the agents who are logged in are rung."""
        found: dict[str, str] = {}
        for crowd in batches(self._world.agents):
            found.update((one.agent_id, one.contact) for one in crowd if not isinstance(one.state, LoggedOut))
            yield
        return found

    def _position(self, call: c.Call) -> int:
        if not in_queue(call.state):
            return 0
        ordering = self._world.orderings[call.queue]
        own = ordering.place_key(call)
        others = (other for other in self._world.calls.values() if other.queue == call.queue and in_queue(other.state))
        return 1 + sum(ordering.place_key(other) < own for other in others)

    # --- in parts ---

    def agents(
        self, *, queue: str | None = None, state: str | None = None, offset: int = 0, limit: int
    ) -> InParts[Listed[AgentView]]:
        """The agents of this queue and in this state, by id."""
        ids = sorted(self._world.agents)
        if queue is not None or state is not None:
            found: list[str] = []
            for batch in batches(self._world.agents, ids):
                found += [
                    agent.agent_id
                    for agent in batch
                    if (queue is None or queue in agent.rules.queues)
                    and state in (None, STATE_NAMES[type(agent.state)])
                ]
                yield
            ids = found
        return Listed(ids[offset : offset + limit], self.agent, len(ids))

    def calls(
        self, *, queue: str | None = None, state: str | None = None, offset: int = 0, limit: int
    ) -> InParts[Listed[CallView]]:
        """The live calls of this queue and in this state, in the order of arrival."""
        found: list[tuple[int, str]] = []
        for batch in batches(self._world.calls):
            found += [
                (call.arrived_ms, call.call_id)
                for call in batch
                if queue in (None, call.queue) and state in (None, snapshot.CALL_STATES[type(call.state)])
            ]
            yield
        found.sort()
        page = [call_id for _, call_id in found[offset : offset + limit]]
        positions = yield from self._positions(page)

        def position(call_id: str) -> int:
            call = self._world.calls.get(call_id)
            # Who came to talk meanwhile has no position any more; who came into a queue meanwhile has none yet.
            return positions.get(call_id, 0) if call is not None and in_queue(call.state) else 0

        def view(call_id: str) -> CallView | None:
            call = self._world.calls.get(call_id)
            return None if call is None else snapshot.call_view(self._world, call, position(call_id), self.now_ms)

        return Listed(page, view, len(found), position)

    def _positions(self, shown: Collection[str]) -> InParts[Mapping[str, int]]:
        """Where calls stand in the queues in which these stand; 1 for the next."""
        world = self._world
        queues = {world.calls[call_id].queue for call_id in shown if call_id in world.calls}
        orders: dict[str, list[tuple[Key, str]]] = defaultdict(list)
        for batch in batches(world.calls):
            for call in batch:
                if call.queue in queues and in_queue(call.state):
                    orders[call.queue].append(world.orderings[call.queue].place_key(call))
            yield
        positions: dict[str, int] = {}
        for order in orders.values():
            order.sort()
            positions.update((call_id, place) for place, (_, call_id) in enumerate(order, 1))
            yield
        return positions

    def queue(self, name: str) -> InParts[QueueView | None]:
        """The queue of this name, if there is one."""
        views = yield from snapshot.queue_views(self._world, self.now_ms, only=name)
        return views[0] if views else None

    def counts(self) -> InParts[Counts]:
        """All queues, and how many calls and agents are in which state."""
        world = self._world
        calls, agents, legs = Counter[str](), Counter[str](), Counter[str]()
        for batch in batches(world.calls):
            calls.update(snapshot.CALL_STATES[type(call.state)] for call in batch)
            yield
        for crowd in batches(world.agents):
            agents.update(STATE_NAMES[type(agent.state)] for agent in crowd)
            legs.update(agent.standing.state.value for agent in crowd if agent.standing is not None)
            yield
        queues = yield from snapshot.queue_views(world, self.now_ms)
        held = yield from self._held()
        return Counts(queues, calls, agents, tuple(sorted(world.switches.items())), held, legs)

    def _held(self) -> InParts[Mapping[str, int]]:
        """How many callers are on hold, by the queue of their call: costs a look at the talks that were changed."""
        world = self._world
        found = Counter[str]()
        for batch in batches(world.offers, list(world.shapes)):
            for offer in batch:
                shape, call = world.shapes.get(offer.offer_id), world.calls.get(offer.call_id)
                if shape is not None and call is not None and shape.held_since_ms is not None and not shape.caller_gone:
                    found[call.queue] += 1
            yield
        return found

    def skills(self) -> InParts[frozenset[str]]:
        """All skills that an agent has or a call requires."""
        found: set[str] = set()
        for crowd in batches(self._world.agents):
            found.update(skill for agent in crowd for skill, _ in agent.rules.skills)
            yield
        for batch in batches(self._world.calls):
            found.update(skill for call in batch for skill, _ in call.required)
            yield
        return frozenset(found)
