"""An agent's part of the engine's memory (`memory`), and how one that an older fsacd has written is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fsacd.core import agent as a
from fsacd.core.events import Leg
from fsacd.core.fact import fact
from fsacd.core.life import log_ins, roster, shared_phones, wrap_ups
from fsacd.core.life.world import World
from fsacd.core.load import Load
from fsacd.core.log_in import LogIn
from fsacd.core.rules import FULL, VOICE, AgentRules, Cause
from fsacd.core.standing_leg import LIVE, StandingLeg


@fact
class AgentMemory:
    """An agent. Rules of None are those that the configuration has for them.

    `state`, `since_ms`, `then` and `handling` follow from presence and work; an older fsacd reads only them.
    """

    agent_id: str
    state: a.AgentState
    since_ms: int
    then: a.LoggedOut | a.NotReady | None
    contact: str
    idle_since_ms: int
    last_offered_ms: int
    working_since_ms: int
    load: Load
    rules: AgentRules | None = None
    configured: AgentRules | None = None
    unanswered: int = 0  # unanswered offers in a row, also in `in_vain`; an older fsacd reads only this
    outside: tuple[Leg, ...] = ()
    handling: tuple[str, int] | None = None
    removed: bool = False
    in_vain: dict[Cause, int] | None = None
    not_ready_for: Mapping[str, a.NotReadyFor] | None = None
    # What an fsacd that knew one state alone has not written: see `_as_presence_and_work`.
    presence: a.Presence | None = None
    presence_since_ms: int = 0
    presence_by: str = ""
    work: tuple[a.Work, ...] = ()
    held_back: a.HeldBack | None = None
    wrapped: a.Wrapped | None = None
    log_in: LogIn | None = None
    standing: StandingLeg | None = None


def dumped(world: World, agent: a.Agent) -> AgentMemory:
    """An agent as plain data."""
    usual = world.rules.agents.get(agent.agent_id)
    return AgentMemory(
        agent_id=agent.agent_id,
        state=agent.state,
        since_ms=agent.since_ms,
        then=agent.then,
        contact=agent.contact,
        idle_since_ms=agent.idle_since_ms,
        last_offered_ms=agent.last_offered_ms,
        working_since_ms=agent.working_since_ms,
        load=agent.load,
        rules=agent.rules if agent.rules != usual else None,
        configured=agent.configured if agent.configured != usual else None,
        in_vain=dict(agent.in_vain),
        not_ready_for=agent.not_ready_for or None,
        unanswered=agent.in_vain.get(Cause.NO_ANSWER, 0),
        outside=tuple(agent.outside),
        handling=next(((w.queue, w.talks_since_ms) for w in agent.work.values() if w.talks_since_ms is not None), None),
        removed=agent.removed,
        presence=agent.presence,
        presence_since_ms=agent.presence_since_ms,
        presence_by=agent.presence_by,
        work=tuple(agent.work.values()),
        held_back=agent.held_back,
        wrapped=wrap_ups.kept(world, agent),
        log_in=agent.log_in,
        standing=agent.standing,
    )


def restore(world: World, memory: AgentMemory) -> None:
    """Put an agent into the world; their calls and offers are there already."""
    usual = world.rules.agents.get(memory.agent_id, AgentRules(memory.agent_id))
    if memory.presence is None:
        memory = _as_presence_and_work(world, memory)
    assert memory.presence is not None
    agent = a.Agent(
        agent_id=memory.agent_id,
        rules=memory.rules or usual,
        configured=memory.configured or usual,
        presence=memory.presence,
        presence_since_ms=memory.presence_since_ms,
        presence_by=memory.presence_by,
        work={work.offer_id: work for work in memory.work},
        held_back=memory.held_back,
        state=memory.state,
        since_ms=memory.since_ms,
        contact=memory.contact,
        idle_since_ms=memory.idle_since_ms,
        last_offered_ms=memory.last_offered_ms,
        working_since_ms=memory.working_since_ms,
        load=memory.load,
        in_vain=_in_vain(memory),
        not_ready_for=memory.not_ready_for or {},
        outside=dict.fromkeys(memory.outside),
        removed=memory.removed,
        wrapped=memory.wrapped,
        log_in=memory.log_in,
        standing=memory.standing,
    )
    if agent.standing is not None and agent.standing.state in LIVE:
        world.standing[agent.standing.leg] = agent.agent_id
    _, agent.room = agent.state_and_room()
    world.agents[agent.agent_id] = agent
    shared_phones.join(world, agent)
    roster.configure(world, agent, agent.rules)
    log_ins.restored(world, agent)


def _as_presence_and_work(world: World, memory: AgentMemory) -> AgentMemory:
    """What an fsacd that knew one state alone has written: of the presence behind work it tells no beginning."""
    state = memory.state
    presence: a.Presence | None = memory.then
    work = tuple[a.Work, ...]()
    match state:
        case a.LoggedOut() | a.NotReady() | a.Ready():
            presence = state
        case a.Offered(offer_id, call_id) | a.Talking(offer_id, call_id):
            work = (_work_of(memory, offer_id, call_id, world.offers[offer_id].queue),)
        case a.WrappingUp():
            # Wrap-up did not say of which offer, unless it waits for the end of its leg.
            queue = memory.handling[0] if memory.handling is not None else ""
            work = (_work_of(memory, state.leg or f"wrap-up of {memory.agent_id}", "", queue),)
        case a.HeldBack() | a.Busy():
            pass
    return replace(
        memory,
        presence=presence or a.READY,
        presence_since_ms=memory.since_ms,
        work=work,
        held_back=state if isinstance(state, a.HeldBack) else None,
    )


def _work_of(memory: AgentMemory, offer_id: str, call_id: str, queue: str) -> a.Work:
    assert isinstance(memory.state, a.WorkState)
    talks_since_ms = memory.handling[1] if memory.handling is not None else None
    return a.Work(offer_id, call_id, queue, VOICE, FULL, memory.state, memory.since_ms, talks_since_ms)


def _in_vain(memory: AgentMemory) -> dict[Cause, int]:
    if memory.in_vain is not None:
        return dict(memory.in_vain)
    return {Cause.NO_ANSWER: memory.unanswered} if memory.unanswered else {}
