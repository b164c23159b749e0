"""The engine's state as frozen views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.call import in_queue
from fsacd.core.life import estimate
from fsacd.core.life.world import World
from fsacd.core.match.ordering import FALLBACK, Ordering
from fsacd.core.records import CallOutcome
from fsacd.core.views import AgentView, CallView, OfferView, QueueView, Snapshot, Substituted


def take(world: World, now_ms: int) -> Snapshot:
    """Everything at once: costs a look at every call and agent."""
    calls = _calls(world, now_ms)
    agents = tuple(_agent(world, agent) for agent in sorted(world.agents.values(), key=lambda agent: agent.agent_id))
    switches = tuple(sorted(world.switches.items()))
    return Snapshot(now_ms, calls, agents, _queues(world, calls, now_ms), _offers(world), switches)


def _calls(world: World, now_ms: int) -> tuple[CallView, ...]:
    position: Counter[str] = Counter()
    views = []
    for call in sorted(
        world.calls.values(), key=lambda call: (call.queue, world.orderings[call.queue].place_key(call))
    ):
        if in_queue(call.state):
            position[call.queue] += 1
        views.append(_call(world, call, position[call.queue] if in_queue(call.state) else 0, now_ms))
    return tuple(views)


def _call(world: World, call: c.Call, position: int, now_ms: int) -> CallView:
    talked_ms, agent_ids, shown = call.talked_ms, tuple[str, ...](), world.shows(call)
    match call.state:
        case c.Ringing(offer_ids):
            agent_ids = tuple(world.offers[offer_id].agent_id for offer_id in offer_ids)
        case c.Connecting(offer_id):
            agent_ids = (world.offers[offer_id].agent_id,)
        case c.Talking(_, agent_id, since_ms):
            agent_ids = (agent_id,)
            talked_ms += now_ms - since_ms
        case c.Waiting() | c.Settling():
            pass
    return CallView(
        call_id=call.call_id,
        queue=call.queue,
        state=_CALL_NAMES[type(call.state)],
        position=position,
        priority=call.priority,
        arrived_ms=call.arrived_ms,
        waited_ms=call.waited_ms(now_ms),
        talked_ms=talked_ms,
        number=call.number if shown else "",
        name=call.name if shown else "",
        customer=call.customer if shown else "",
        required=call.required,
        agent_ids=agent_ids,
        offers=call.offers,
        leg=None if call.talks_on_another_leg or call.orphan else call.leg,
        head_start_ms=call.head_start_ms,
        language=call.language,
        reserved_for=call.preferred.agent_id if call.preferred is not None and call.preferred.alone else None,
        number_believed=call.number_believed,
        resumes=call.resumes,
        customer_id=call.customer_id if shown else 0,
    )


_CALL_NAMES: dict[type, str] = {
    c.Waiting: "waiting",
    c.Ringing: "offered",
    c.Connecting: "connecting",
    c.Talking: "talking",
    c.Settling: "talking",  # the agent's leg has just ended, and it is not known yet whether the caller stays
}


_OFFER_NAMES: dict[type, str] = {
    o.OfferRinging: "ringing",
    o.OfferConnecting: "connecting",
    o.OfferTalking: "talking",
    o.OfferEnding: "ending",
}


def _offers(world: World) -> tuple[OfferView, ...]:
    return tuple(
        OfferView(
            offer_id=offer.offer_id,
            call_id=offer.call_id,
            agent_id=offer.agent_id,
            switch=offer.switch,
            state=_OFFER_NAMES[type(offer.state)],
            started_ms=offer.started_ms,
            heard_of=offer.heard_of,
            legs=offer.named_legs,
        )
        for offer in world.offers.values()
    )


def _caller(world: World, agent: a.Agent) -> str:
    """With whom the agent talks, or for whom they are rung: the customer's name, else the caller's own."""
    call = world.calls.get(agent.state.call_id) if isinstance(agent.state, a.Talking | a.Offered) else None
    return (call.customer or call.name) if call is not None and world.shows(call) else ""


def _agent(world: World, agent: a.Agent) -> AgentView:
    until_ms = agent.state.until_ms if isinstance(agent.state, a.WrappingUp | a.HeldBack) else None
    return AgentView(
        agent_id=agent.agent_id,
        name=agent.rules.name,
        state=a.STATE_NAMES[type(agent.state)],
        reason=agent.state_reason,
        since_ms=agent.since_ms,
        until_ms=until_ms,
        then=_wish(agent.then),
        contact=agent.contact,
        queues=tuple(sorted(agent.rules.queues.items())),
        skills=agent.rules.skills,
        call_id=agent.state.call_id if isinstance(agent.state, a.Talking) else None,
        caller=_caller(world, agent),
        not_ready_for=tuple((queue, why.reason) for queue, why in sorted(agent.not_ready_for.items())),
    )


def _wish(then: a.LoggedOut | a.NotReady | None) -> str:
    match then:
        case None:
            return ""
        case a.LoggedOut():
            return "logged_out"
        case a.NotReady(reason):
            return f"not_ready {reason}".rstrip()


def _queues(world: World, calls: tuple[CallView, ...], now_ms: int) -> tuple[QueueView, ...]:
    states = Counter((call.queue, call.state) for call in calls)
    oldest: dict[str, int] = {}
    for call in calls:
        if call.position:
            oldest[call.queue] = max(call.waited_ms, oldest.get(call.queue, 0))
    logged_in: Counter[str] = Counter()
    ready: Counter[str] = Counter()
    resting: Counter[str] = Counter()
    for agent in world.agents.values():
        for queue in agent.rules.queues:
            logged_in[queue] += not isinstance(agent.state, a.LoggedOut)
            ready[queue] += isinstance(agent.state, a.Ready) and queue not in agent.not_ready_for
        resting.update(agent.not_ready_for.keys())
    return tuple(
        QueueView(
            name=name,
            waiting=states[name, "waiting"],
            offered=states[name, "offered"] + states[name, "connecting"],
            talking=states[name, "talking"],
            oldest_wait_ms=oldest.get(name),
            agents_logged_in=logged_in[name],
            agents_ready=ready[name],
            answered=world.outcomes[name, CallOutcome.ANSWERED] + states[name, "talking"],
            abandoned=world.outcomes[name, CallOutcome.ABANDONED],
            is_open=world.staffing.is_open(name),
            estimated_wait_ms=estimate.for_newcomer(world, name, now_ms),
            strategy=rules.strategy,
            call_order=rules.call_order,
            substituted=tuple(_substituted(world, name, world.orderings[name])),
            agents_not_ready=resting[name],
        )
        for name, rules in sorted(world.rules.queues.items())
    )


def substituted(world: World) -> tuple[Substituted, ...]:
    """The plugins that are out of service, by queue. Costs a look at every queue."""
    failed = ((name, ordering) for name, ordering in sorted(world.orderings.items()) if ordering.has_failed)
    return tuple(told for name, ordering in failed for told in _substituted(world, name, ordering))


def _substituted(world: World, queue: str, ordering: Ordering) -> Iterator[Substituted]:
    for post, standing in ordering.standings.items():
        if standing.failed:
            again_ms = world.timers.at(post, queue)
            assert again_ms is not None, "a plugin that has failed is tried again"
            yield Substituted(
                queue=queue,
                post=post,
                plugin=standing.plugin,
                by=FALLBACK if post == "strategy" else "",
                why=standing.why,
                failures=standing.failures,
                since_ms=standing.since_ms,
                again_ms=again_ms,
            )
