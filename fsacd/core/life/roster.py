"""The agents' side of the world: the only way to change an agent's state, rules or place in the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from fsacd.core import agent as a
from fsacd.core import reach
from fsacd.core.fact import NOTHING
from fsacd.core.life import asking, log_ins, standing, sticky, wrap_ups
from fsacd.core.life.world import World
from fsacd.core.load import plus_call, plus_time
from fsacd.core.offer import Offer
from fsacd.core.records import AgentPresence, AgentStateEnded, AgentWorkEnded
from fsacd.core.rules import FULL, VOICE, AgentRules
from fsacd.strategy import ServiceFacts


def add(world: World, rules: AgentRules, made: Made | None = None, counted: set[str] | None = None) -> None:
    """A newly configured agent, LoggedOut. `made` and `counted`: as for `configure`."""
    now_ms = world.now_ms
    agent = a.Agent(rules.agent_id, rules, rules, contact=rules.contact, presence_since_ms=now_ms, since_ms=now_ms)
    agent.load.away_since_ms = world.now_ms
    world.agents[agent.agent_id] = agent
    world.record(_presence(agent, None))
    world.changed_agents[agent.agent_id] = None
    world.decisions.remember(agent)  # so that the change is from serving no queue
    configure(world, agent, rules, made, counted)


class Made(NamedTuple):
    """What follows from an agent's rules at a contact, computed beforehand; nothing of it holds for other ones."""

    rules: AgentRules
    contact: str
    within: tuple[str, ...]
    services: tuple[a.Served, ...]
    served: dict[str, None]
    helps_late: bool


def make(rules: AgentRules, contact: str, place_in: Callable[[str], int]) -> Made:
    """The services of an agent who takes the calls of all their queues. `place_in`: their place in each."""
    within = reach.within(contact, rules.switches, stands=rules.standing_leg)
    services = [
        a.Served(
            queue,
            service.rank,
            service.delay_ms,
            service.backup,
            ServiceFacts(place_in(queue), service.rank, service.weight),
            None,
            within,
        )
        for queue, service in rules.queues.items()
    ]
    helps_late = any(served.delay_ms for served in services)
    return Made(rules, contact, within, tuple(services), dict.fromkeys(rules.queues), helps_late)


def configure(
    world: World, agent: a.Agent, rules: AgentRules, ready_made: Made | None = None, counted: set[str] | None = None
) -> None:
    """Give the agent other rules. The agent must not be in the index.

    `ready_made` holds if it is of these rules and the agent's contact. Who configures many agents gives `counted`, gets
    the queues there whose conditions may have changed, and arms them.
    """
    # What the rules do not name is forgotten.
    resting = agent.not_ready_for
    if resting:
        resting = agent.not_ready_for = {queue: why for queue, why in resting.items() if queue in rules.queues}
    if ready_made is None or ready_made.rules is not rules or ready_made.contact != agent.contact:
        ready_made = made(world, agent, rules)
    services = ready_made.services
    if resting:
        services = tuple(
            served._replace(not_ready=resting[served.queue].reason) if served.queue in resting else served
            for served in services
        )
    if ready_made.helps_late:
        _note_delays(world, services)
    same = services == agent.services
    if not same or rules != agent.rules:
        world.changed_agents[agent.agent_id] = None
        world.changed_queues.update({**agent.rules.queues, **rules.queues})
    if same and counted is not None:
        services = agent.services  # nothing of theirs is to be counted anew
    agent.within = ready_made.within
    if not same or rules.skills != agent.rules.skills:
        world.decisions.remember(agent)
        world.index.forget_seats(agent.agent_id)
    agent.configure(rules, services)
    recount(world, agent, counted)


def take(world: World, ready_made: Sequence[tuple[a.Agent, Made]], counted: set[str]) -> None:
    """The same as `configure`, in a fifth of the time, for many agents: other rules for those who rest in no queue."""
    others = [
        one for one in ready_made if one[1].services != one[0].services or one[1].rules.skills != one[0].rules.skills
    ]
    known = [agent for agent, _ in others]
    world.decisions.remember_all(known)
    world.index.forget_many_seats([agent.agent_id for agent in known])
    world.changed_queues.update(dict.fromkeys(chain.from_iterable([agent.served for agent in known])))
    for agent, made in others:
        if made.helps_late:
            _note_delays(world, made.services)
        agent.take(made.rules, made.services, made.served)
        agent.within = made.within
    for agent, made in ready_made:
        agent.rules = agent.configured = made.rules
    world.changed_agents.update(dict.fromkeys([agent.agent_id for agent, _ in ready_made]))
    world.changed_queues.update(dict.fromkeys(chain.from_iterable([agent.served for agent, _ in ready_made])))
    counted |= world.staffing.configured(known, world.now_ms)
    world.present.count_all([agent for agent in known if agent.on_duty])


def _note_delays(world: World, services: Iterable[a.Served]) -> None:
    for served in services:
        known = world.delays.get(served.queue, ())
        if served.delay_ms and served.delay_ms not in known:
            # Somebody has changed the agent by hand; calls must be looked at again when this delay is over, too.
            world.delays[served.queue] = tuple(sorted((*known, served.delay_ms)))


def made(world: World, agent: a.Agent, rules: AgentRules) -> Made:
    """What follows from these rules where the agent is now."""
    return make(rules, agent.contact, lambda queue: _place(world, queue, agent.agent_id))


def _place(world: World, queue: str, agent_id: str) -> int:
    places = world.places[queue]
    if (place := places.get(agent_id)) is None:
        # Of agents who are gone, gaps may be left.
        place = places[agent_id] = 1 + max(places.values(), default=-1)
    return place


def change(world: World, agent: a.Agent, rules: AgentRules) -> None:
    """Somebody changes by hand what an agent can do or serves."""
    world.by_hand += 1
    if agent.room:
        _take_out(world, agent)
    delays, before = dict(world.delays), agent.rules
    configure(world, agent, rules)
    for queue, service in before.queues.items():
        if service.delay_ms and not _is_used(world, queue, service.delay_ms):
            world.delays[queue] = tuple(ms for ms in world.delays[queue] if ms != service.delay_ms)
    for call in [call for call in world.calls.values() if delays.get(call.queue) != world.delays.get(call.queue)]:
        world.set_reach(call)
    asking.delays_changed(world, delays)
    if agent.room:
        _let_look(world, agent)


def rest(world: World, agent: a.Agent, queue: str, why: a.NotReadyFor | None) -> None:
    """From now on the agent takes no calls of this one queue; with `why` None they take them again."""
    if agent.room:
        _take_out(world, agent)
    if why is None:
        agent.not_ready_for = {name: why_ for name, why_ in agent.not_ready_for.items() if name != queue}
    else:
        agent.not_ready_for = {**agent.not_ready_for, queue: why}
        sticky.release(world, agent.agent_id, queue)
    configure(world, agent, agent.rules)
    if agent.room:
        _let_look(world, agent)


def look_from_there(world: World, agent: a.Agent) -> None:
    """The agent is at another phone, perhaps: other switches may ring it."""
    if reach.within(agent.contact, agent.rules.switches, stands=agent.rules.standing_leg) == agent.within:
        return
    if agent.room:
        _take_out(world, agent)
    configure(world, agent, agent.rules)
    for call in list(world.calls.values()):
        sticky.keep_in_reach(world, call)
    if agent.room:
        _let_look(world, agent)


def _is_used(world: World, queue: str, delay_ms: int) -> bool:
    """Whether any agent helps the queue so late."""
    services = (agent.rules.queues.get(queue) for agent in world.agents.values())
    return any(service is not None and service.delay_ms == delay_ms for service in services)


# --- presence, work, and what keeps an agent away: change any of these, then let the agent `settle` ------------------


def set_presence(world: World, agent: a.Agent, presence: a.Presence, by: str = "") -> None:
    """Change what the agent wants, at once. Nobody is held back who wants no calls. `settle` must follow."""
    if presence == agent.presence:
        return
    world.changed_agents[agent.agent_id] = None
    world.record(_presence(agent, world.now_ms))
    agent.presence, agent.presence_since_ms, agent.presence_by = presence, world.now_ms, by
    world.record(_presence(agent, None))
    log_ins.follow(world, agent, by)
    if type(presence) is not a.Ready and agent.held_back is not None:
        end_hold(world, agent)


def _presence(agent: a.Agent, ended_ms: int | None) -> AgentPresence:
    presence = agent.presence
    reason = presence.reason if isinstance(presence, a.NotReady) else ""
    name = a.STATE_NAMES[type(presence)]
    return AgentPresence(agent.agent_id, name, reason, agent.presence_since_ms, ended_ms, agent.presence_by)


def take_work(world: World, agent: a.Agent, offer: Offer, state: a.WorkState) -> None:
    """The agent holds one more piece of work. Of those that fill them the latest is true. `settle` must follow."""
    rules = world.rules.queues.get(offer.queue)
    channel, weight = (rules.channel, rules.weight) if rules is not None else (VOICE, FULL)
    if weight >= FULL and agent.work:
        for other in [other for other in agent.work.values() if other.weight >= FULL]:
            end_work(world, agent, other.offer_id)
    work = a.Work(offer.offer_id, offer.call_id, offer.queue, channel, weight, state, world.now_ms)
    agent.work[offer.offer_id] = work
    world.changed_agents[agent.agent_id] = None


def move_work(world: World, agent: a.Agent, offer_id: str, state: a.WorkState, by: str = "") -> None:
    """A piece of work goes on. AssertionError for a move that the table forbids. `settle` must follow."""
    work = agent.work[offer_id]
    assert type(state) in a.WORK_MOVES[type(work.state)], f"work {work.state} -> {state}"
    _write_work(world, agent, work, by)
    work.state, work.since_ms = state, world.now_ms
    world.changed_agents[agent.agent_id] = None
    if isinstance(state, a.WrappingUp):
        _arm(world, agent)


def end_work(world: World, agent: a.Agent, offer_id: str, by: str = "") -> None:
    """The agent holds this piece of work no more. `settle` must follow."""
    work = agent.work.pop(offer_id)
    world.changed_agents[agent.agent_id] = None
    _write_work(world, agent, work, by)
    if isinstance(work.state, a.WrappingUp):
        _arm(world, agent)
    if work.said is not None and wrap_ups.over(world, agent, work) and type(agent.presence) is a.Ready:
        set_presence(world, agent, a.NotReady(wrap_ups.CODE_MISSING), "fsacd")
    if work.talks_since_ms is not None and work.queue in world.rules.queues:
        mean_ms = world.handling_ms(work.queue)
        world.changed_queues[work.queue] = None
        world.handling[work.queue] = mean_ms + (world.now_ms - work.talks_since_ms - mean_ms) / 8


def _write_work(world: World, agent: a.Agent, work: a.Work, by: str) -> None:
    offer_id, call_id, queue, channel, weight = work.offer_id, work.call_id, work.queue, work.channel, work.weight
    who, name, since_ms = agent.agent_id, a.STATE_NAMES[type(work.state)], work.since_ms
    world.record(AgentWorkEnded(who, name, "", since_ms, world.now_ms, by, offer_id, call_id, queue, channel, weight))


def hold(world: World, agent: a.Agent, reason: str, for_ms: int) -> None:
    """The agent is not rung for so long. `settle` must follow."""
    agent.held_back = a.HeldBack(reason, world.now_ms + for_ms)
    _arm(world, agent)


def end_hold(world: World, agent: a.Agent) -> None:
    """The agent may be rung again. `settle` must follow."""
    agent.held_back = None
    _arm(world, agent)


def _arm(world: World, agent: a.Agent) -> None:
    """Set the agent's deadline: when the first of their pauses is over."""
    first_ms = agent.held_back.until_ms if agent.held_back is not None else None
    for work in agent.work.values():
        state = work.state
        if type(state) is a.WrappingUp and (first_ms is None or state.until_ms < first_ms):
            first_ms = state.until_ms
    if first_ms is not None:
        world.timers.set("agent", agent.agent_id, first_ms)
    else:
        world.timers.clear("agent", agent.agent_id)


def settle(world: World, agent: a.Agent, by: str = "") -> None:
    """What follows from the agent's presence and work: their one state, their room, and their place in the index."""
    if agent.rules.standing_leg or agent.standing is not None:
        standing.follow(world, agent)
    old, (state, room) = agent.state, agent.state_and_room()
    was, now = type(old), type(state)
    is_other = now is not was or state != old
    if not is_other and room == agent.room:
        return
    world.changed_agents[agent.agent_id] = None
    if room != agent.room or now is a.LoggedOut or was is a.LoggedOut:
        world.changed_queues.update(agent.served)  # they count who is ready, and who is logged in
    world.decisions.remember(agent)
    if agent.room:
        _take_out(world, agent)
    if is_other:
        reason = old.reason if isinstance(old, a.WITH_REASON) else ""
        name, since_ms = a.STATE_NAMES[was], agent.since_ms
        world.record(AgentStateEnded(agent.agent_id, name, reason, since_ms, world.now_ms, by))
        if was in _AWAY:
            world.record(AgentWorkEnded(agent.agent_id, name, reason, since_ms, world.now_ms, by))
        _count_time(world, agent, now)
        agent.state, agent.since_ms = state, world.now_ms
    agent.room = room
    if room:
        _let_look(world, agent)
    if was in a.OFF_DUTY or now in a.OFF_DUTY:
        if now is a.LoggedOut is not was:
            _go_home(world, agent)
        recount(world, agent)


def _go_home(world: World, agent: a.Agent) -> None:
    sticky.release(world, agent.agent_id)
    if agent.not_ready_for:
        agent.not_ready_for = NOTHING
        configure(world, agent, agent.rules)


_AWAY = (a.HeldBack, a.Busy)


def recount(world: World, agent: a.Agent, counted: set[str] | None = None) -> None:
    """The agent's state or presence may have changed: queues may have lost their last agent, or have one again.

    `counted`: as for `configure`.
    """
    if counted is not None:
        counted |= world.staffing.count(agent, world.now_ms)
    else:
        for queue in sorted(world.staffing.count(agent, world.now_ms)):
            world.arm_conditions(queue)
    world.present.count(agent)


def answered(world: World, agent: a.Agent, offer_id: str) -> None:
    """The agent begins to talk with the caller of this offer."""
    agent.in_vain = NOTHING
    agent.work[offer_id].talks_since_ms = world.now_ms
    agent.load.calls = plus_call(agent.load.calls, world.now_ms, world.rules.limits.counters_half_life_ms)


def forget(world: World, agent: a.Agent) -> None:
    """The agent is gone from the configuration, and holds no call."""
    world.timers.clear("agent", agent.agent_id)
    world.changed_agents[agent.agent_id] = None
    world.changed_queues.update(agent.served)
    sticky.release(world, agent.agent_id)
    for queue in sorted(world.staffing.forget(agent, world.now_ms)):
        world.arm_conditions(queue)
    world.present.forget(agent.agent_id)
    world.index.forget_seats(agent.agent_id)
    del world.agents[agent.agent_id]


def leave_index(world: World, agents: Iterable[a.Agent], *, is_new: bool = False) -> None:
    """Before a change of the rules: no call finds these agents until they look. `is_new`: nobody is in the index."""
    free = world.free_agents
    leaving = {agent.agent_id: agent for agent in agents if agent.room and agent.agent_id not in free}
    if not is_new:
        world.index.remove_agents(leaving.values())
    free.update(dict.fromkeys(leaving))


def let_look(world: World, agents: Iterable[a.Agent]) -> None:
    """After a change of the rules: those of these agents who have room look for a call anew."""
    for agent in agents:
        if agent.room:
            _let_look(world, agent)


def _let_look(world: World, agent: a.Agent) -> None:
    agent.show()
    world.free_agents[agent.agent_id] = None


def _take_out(world: World, agent: a.Agent) -> None:
    if agent.agent_id in world.free_agents:
        del world.free_agents[agent.agent_id]
    else:
        world.index.remove_agent(agent)


def _count_time(world: World, agent: a.Agent, new: type[a.AgentState]) -> None:
    """The agent leaves their state for one of this kind: add the interval to what they have done."""
    old, load, half_life_ms = type(agent.state), agent.load, world.rules.limits.counters_half_life_ms
    if new in a.WORKING:
        if old not in a.WORKING:
            agent.working_since_ms = world.now_ms
    elif old in a.WORKING:
        load.work = plus_time(load.work, agent.working_since_ms, world.now_ms, half_life_ms)
    if old is a.Talking:
        load.talk = plus_time(load.talk, agent.since_ms, world.now_ms, half_life_ms)
    if new in a.OFF_DUTY:
        load.leave(world.now_ms)
    elif load.away_since_ms is not None:
        load.come_back(world.now_ms, half_life_ms)
