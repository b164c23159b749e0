"""The engine's state as frozen views."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.call import in_queue
from fsacd.core.life import estimate
from fsacd.core.life.world import World
from fsacd.core.match.ordering import FALLBACK, Ordering
from fsacd.core.records import CallOutcome
from fsacd.core.shape import Shape, TalkShape, with_thirds
from fsacd.core.show.parts import InParts, batches, whole
from fsacd.core.views import (
    AgentView,
    CallView,
    LastTalkView,
    OfferView,
    QueueView,
    Snapshot,
    StandingLegView,
    Substituted,
    TalkView,
    Underway,
    WorkView,
)


def take(world: World, now_ms: int) -> Snapshot:
    """Everything at once: costs a look at every call and agent."""
    calls = _calls(world, now_ms)
    agents = tuple(
        agent_view(world, agent) for agent in sorted(world.agents.values(), key=lambda agent: agent.agent_id)
    )
    switches = tuple(sorted(world.switches.items()))
    return Snapshot(now_ms, calls, _offers(world), agents, whole(queue_views(world, now_ms)), switches)


def underway(world: World, now_ms: int) -> Underway:
    """Calls and offers: costs a look at every call."""
    return Underway(now_ms, _calls(world, now_ms), _offers(world), standing_legs=_standing_legs(world))


def _standing_legs(world: World) -> tuple[StandingLegView, ...]:
    legs = []
    for agent_id in world.standing.values():
        leg = world.agents[agent_id].standing
        assert leg is not None
        legs.append(StandingLegView(leg.leg, agent_id, leg.switch, leg.state.value, leg.since_ms))
    return tuple(legs)


def _calls(world: World, now_ms: int) -> tuple[CallView, ...]:
    position: Counter[str] = Counter()
    views = []
    for call in sorted(
        world.calls.values(), key=lambda call: (call.queue, world.orderings[call.queue].place_key(call))
    ):
        if in_queue(call.state):
            position[call.queue] += 1
        views.append(call_view(world, call, position[call.queue] if in_queue(call.state) else 0, now_ms))
    return tuple(views)


def call_view(world: World, call: c.Call, position: int, now_ms: int) -> CallView:
    """One live call, as it stands at this position."""
    agent_ids, shown, talks_since_ms = tuple[str, ...](), world.shows(call), None
    talk: TalkView | None = None
    match call.state:
        case c.Ringing(offer_ids):
            agent_ids = tuple(world.offers[offer_id].agent_id for offer_id in offer_ids)
        case c.Connecting(offer_id):
            agent_ids = (world.offers[offer_id].agent_id,)
        case c.Talking(offer_id, agent_id, since_ms):
            talks_since_ms = since_ms - call.talked_ms
            if agent_id:
                agent_ids, talk = (agent_id,), _talk(world.shapes.get(offer_id), offer_id, agent_id, since_ms)
        case c.Waiting() | c.Settling():
            pass
    return CallView(
        call_id=call.call_id,
        queue=call.queue,
        state=CALL_STATES[type(call.state)],
        position=position,
        priority=call.priority,
        arrived_ms=call.arrived_ms,
        waited_ms=call.waited_ms(now_ms),
        talked_ms=call.talked_ms if talks_since_ms is None else now_ms - talks_since_ms,
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
        contact_id=call.contact_id,
        waits_since_ms=_waits_since_ms(call),
        talks_since_ms=talks_since_ms,
        talk=talk,
    )


def _talk(shape: TalkShape | None, talk_id: str, agent_id: str, since_ms: int) -> TalkView:
    if shape is None:
        return TalkView(talk_id, agent_id, Shape.TOGETHER, since_ms)
    third = shape.third.agent_id if shape.third is not None else ""
    return TalkView(
        talk_id,
        agent_id,
        shape.shape,
        shape.since_ms,
        shape.wanted or "",
        third,
        muted=shape.muted,
        phone_holds=shape.phone_since_ms is not None,
        number=shape.third.number if shape.third is not None else "",
        queue=shape.asks.queue if shape.asks is not None else "",
    )


def _waits_since_ms(call: c.Call) -> int | None:
    """Since when the call waits, without its talks; None while its wait is over."""
    return call.arrived_ms + call.talked_ms if call.answered_after_ms is None else None


CALL_STATES: dict[type, str] = {
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
    return tuple(_offer(world, offer) for offer in with_thirds(world.offers, world.shapes))


def _offer(world: World, offer: o.Offer) -> OfferView:
    shape = world.shapes.get(offer.offer_id)
    return OfferView(
        offer_id=offer.offer_id,
        call_id=offer.call_id,
        agent_id=offer.agent_id,
        switch=offer.switch,
        state=_OFFER_NAMES[type(offer.state)],
        started_ms=offer.started_ms,
        heard_of=offer.heard_of,
        legs=offer.named_legs,
        pair=shape.pair if shape is not None and not shape.untouched else "",
        third_leg=shape.third.agents_leg if shape is not None and shape.third is not None else "",
        phone_holds=shape is not None and shape.phone_since_ms is not None,
    )


def _caller(world: World, state: a.AgentState) -> str:
    """With whom an agent talks, or for whom they are rung: the customer's name, else the caller's own.

    Nobody while a ring is only being ended: so its call can change and go without a change of the agent.
    """
    if not isinstance(state, a.Talking | a.Offered):
        return ""
    offer = world.offers.get(state.offer_id)
    ends = offer is None or isinstance(offer.state, o.OfferEnding)
    call = None if ends else world.calls.get(state.call_id)
    return (call.customer or call.name) if call is not None and world.shows(call) else ""


def agent_view(world: World, agent: a.Agent) -> AgentView:
    """One agent."""
    until_ms = agent.state.until_ms if isinstance(agent.state, a.WrappingUp | a.HeldBack) else None
    if agent.state == a.WITHOUT_LEG:
        until_ms = None  # nobody knows
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
        caller=_caller(world, agent.state),
        not_ready_for=tuple((queue, why.reason) for queue, why in sorted(agent.not_ready_for.items())),
        presence=a.STATE_NAMES[type(agent.presence)],
        presence_reason=agent.presence.reason if isinstance(agent.presence, a.NotReady) else "",
        presence_since_ms=agent.presence_since_ms,
        work=tuple(_work(world, work) for work in agent.work.values()),
        room=agent.room,
        standing_leg=agent.standing.state.value if agent.standing is not None else "",
        last_talk=_last_talk(agent.wrapped) if agent.wrapped is not None else None,
    )


def _work(world: World, work: a.Work) -> WorkView:
    return WorkView(
        offer_id=work.offer_id,
        call_id=work.call_id,
        queue=work.queue,
        channel=work.channel,
        weight=work.weight,
        state=a.STATE_NAMES[type(work.state)],
        since_ms=work.since_ms,
        until_ms=work.state.until_ms if isinstance(work.state, a.WrappingUp) else None,
        caller=_caller(world, work.state),
        codes=work.said.codes if work.said is not None else (),
    )


def _last_talk(talk: a.Wrapped) -> LastTalkView:
    assert talk.said.ended_ms is not None
    return LastTalkView(talk.offer_id, talk.call_id, talk.queue, talk.said.ended_ms, talk.said.codes)


def _wish(then: a.LoggedOut | a.NotReady | None) -> str:
    match then:
        case None:
            return ""
        case a.LoggedOut():
            return "logged_out"
        case a.NotReady(reason):
            return f"not_ready {reason}".rstrip()


@dataclass(slots=True)
class _Tally:
    """What is counted of one queue."""

    calls: Counter[str] = field(default_factory=Counter)  # by state
    oldest_since_ms: int | None = None
    logged_in: int = 0
    ready: int = 0
    resting: int = 0


def queue_views(world: World, now_ms: int, only: str | None = None) -> InParts[tuple[QueueView, ...]]:
    """All queues by name, or only the one of this name: costs a look at every call and agent."""
    tallies: dict[str, _Tally] = defaultdict(_Tally)
    for batch in batches(world.calls):
        for call in batch:
            _count_call(tallies[call.queue], call)
        yield
    for crowd in batches(world.agents):
        for agent in crowd:
            _count_agent(world, tallies, agent)
        yield
    views = []
    for name in sorted(world.rules.queues) if only is None else [only]:
        if name in world.rules.queues:  # a reload may have come in between
            views.append(_queue(world, name, tallies[name], now_ms))
            yield
    return tuple(views)


def _count_call(tally: _Tally, call: c.Call) -> None:
    tally.calls[CALL_STATES[type(call.state)]] += 1
    since_ms = _waits_since_ms(call) if in_queue(call.state) else None
    if since_ms is not None and (tally.oldest_since_ms is None or since_ms < tally.oldest_since_ms):
        tally.oldest_since_ms = since_ms


def _count_agent(world: World, tallies: dict[str, _Tally], agent: a.Agent) -> None:
    logged_in = not isinstance(agent.state, a.LoggedOut)
    for queue in agent.rules.queues:
        tally = tallies[queue]
        tally.logged_in += logged_in
        if agent.room and queue not in agent.not_ready_for and queue in world.rules.queues:
            tally.ready += agent.may_be_offered(world.rules.queues[queue].weight)
    for queue in agent.not_ready_for:
        tallies[queue].resting += 1


def _queue(world: World, name: str, tally: _Tally, now_ms: int) -> QueueView:
    rules, calls, since_ms = world.rules.queues[name], tally.calls, tally.oldest_since_ms
    return QueueView(
        name=name,
        waiting=calls["waiting"],
        offered=calls["offered"] + calls["connecting"],
        talking=calls["talking"],
        oldest_wait_ms=None if since_ms is None else now_ms - since_ms,
        agents_logged_in=tally.logged_in,
        agents_ready=tally.ready,
        answered=world.outcomes[name, CallOutcome.ANSWERED] + calls["talking"],
        abandoned=world.outcomes[name, CallOutcome.ABANDONED],
        is_open=world.staffing.is_open(name),
        estimated_wait_ms=estimate.for_newcomer(world, name, now_ms),
        strategy=rules.strategy,
        call_order=rules.call_order,
        substituted=tuple(_substituted(world, name, world.orderings[name])),
        agents_not_ready=tally.resting,
        oldest_since_ms=since_ms,
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
