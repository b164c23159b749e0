"""The invariants, proved by a look at everything. Run after every step of the tests, and when in doubt."""

from __future__ import annotations

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.call import in_queue
from fsacd.core.life import asking, log_ins, offers, standing
from fsacd.core.life.decisions import moment_of
from fsacd.core.life.world import World
from fsacd.core.origins import Origins
from fsacd.core.reach import reaches
from fsacd.core.rules import FULL
from fsacd.core.shape import PAIR_OF, Shape, is_held
from fsacd.core.show.eligible import why_not
from fsacd.core.staffing import Condition
from fsacd.core.standing_leg import LIVE, WITH_DEADLINE, Stand
from fsacd.core.timers import TimerKey


def check(world: World) -> None:
    """Raise AssertionError for the first invariant that does not hold."""
    _check_calls(world)
    _check_offers(world)
    _check_agents(world)
    _check_shapes(world)
    _check_timers(world)
    _check_staffing(world)
    there = {**world.calls, **world.asking}
    seeking = {i: (call, isinstance(call.state, c.Ringing)) for i, call in there.items() if world.seeks(call)}
    ready = {agent_id: agent for agent_id, agent in world.agents.items() if agent.room}
    world.index.check(seeking, ready)
    _check_nobody_idle(world, [call for call, _ in seeking.values()], ready)
    for queue, length in world.queue_lengths.items():
        true = sum(call.queue == queue and in_queue(call.state) for call in world.calls.values())
        assert length == true, f"queue {queue} holds {true} calls, not {length}"
    origins = Origins()
    for call in world.calls.values():
        origins.add(call)
    assert world.origins.counts() == origins.counts(), "calls are counted wrongly by number or address"
    assert not world.free_agents, "an agent is left undistributed"
    assert not world.free_calls, "a call is left undistributed"


def _check_calls(world: World) -> None:
    for call_id, call in world.calls.items():
        assert call.call_id == call_id
        match call.state:
            case c.Ringing(offer_ids):
                assert offer_ids, "a ringing call has an offer"
                for offer_id in offer_ids:
                    assert isinstance(world.offers[offer_id].state, o.OfferRinging)
                    assert world.offers[offer_id].call_id == call_id
            case c.Connecting(offer_id):
                assert isinstance(world.offers[offer_id].state, o.OfferConnecting)
                assert world.offers[offer_id].call_id == call_id
            case c.Talking(offer_id, agent_id, _):
                assert isinstance(world.offers[offer_id].state, o.OfferTalking)
                assert world.offers[offer_id].agent_id == agent_id
            case c.Settling(_, offer, _):
                assert not offer.closed, "what is written of a short talk is decided when it settles"
                assert offer.offer_id not in world.offers
            case c.Waiting():
                pass
        if in_queue(call.state):
            nobody_before_ms = world.nobody_before_ms(call, call.required, call.backup)
            assert call.delay_ms >= nobody_before_ms, f"nobody is there for {call_id} before {nobody_before_ms} ms"
        if call.preferred is not None and call.preferred.agent_id in world.agents:
            preferred = world.agents[call.preferred.agent_id]
            assert call.queue not in preferred.not_ready_for, f"{call_id} waits for who wants no calls of its queue"
            assert reaches(preferred.within, call.switch), f"{call_id} waits for who cannot be rung from its switch"
        assert not call.orphan or isinstance(call.state, c.Waiting), "nobody is rung for who is not there yet"


def _check_offers(world: World) -> None:
    holders: dict[str, str] = {}
    for offer_id, offer in world.offers.items():
        assert not offer.closed or isinstance(offer.state, o.OfferEnding), "a record is written when an offer ends"
        if isinstance(offer.state, o.OfferEnding):
            continue
        if offer.number:
            # The caller and whoever has a number are on their way out of the room that the agent has left.
            assert isinstance(offer.state, o.OfferTalking)
            assert isinstance(world.calls[offer.call_id].state, c.Talking)
            assert world.shapes[offer_id].wanted is Shape.TOGETHER, "nobody bridges caller and number"
            continue
        work = world.agents[offer.agent_id].work[offer_id]
        if work.weight >= FULL:
            assert offer.agent_id not in holders, f"agent {offer.agent_id} has two live offers"
            holders[offer.agent_id] = offer_id
        state = world.calls[offer.call_id].state
        match offer.state:
            case o.OfferRinging():
                assert isinstance(state, c.Ringing)
                assert offer_id in state.offer_ids
                assert work.state == a.Offered(offer_id, offer.call_id)
            case o.OfferConnecting():
                assert state == c.Connecting(offer_id)
                assert work.state == a.Offered(offer_id, offer.call_id)
            case o.OfferTalking():
                assert isinstance(state, c.Talking)
                assert work.state == a.Talking(offer_id, offer.call_id)


def _check_agents(world: World) -> None:
    for agent_id, agent in world.agents.items():
        assert agent.agent_id == agent_id
        resting = {served.queue for served in agent.services if served.not_ready is not None}
        assert agent.not_ready_for.keys() == resting, "who wants no calls of a queue is taken for who does"
        assert not resting or not isinstance(agent.state, a.LoggedOut), "a break in one queue ends with the work"
        state, room = agent.state_and_room()
        assert agent.state == state, f"{agent_id} is told to be {agent.state}"
        assert agent.room == room, f"{agent_id} is said to have room for {agent.room}"
        assert agent.held_back is None or isinstance(agent.presence, a.Ready), "whoever wants no calls is not held back"
        _check_standing_leg(world, agent)
        assert not agent.removed or agent.work, "who is gone from the configuration holds their last call"
        at_work, here = log_ins.goes_on(agent), agent.log_in is not None and agent.log_in.contact == agent.contact
        assert at_work == (not isinstance(agent.presence, a.LoggedOut)), f"{agent_id} is {agent.presence}"
        assert here or not at_work, f"{agent_id} is logged in elsewhere than at {agent.contact}"
        held = sum(work.weight for work in agent.work.values() if not isinstance(work.state, a.WrappingUp))
        assert held <= FULL or any(work.talks_since_ms is not None for work in agent.work.values()), "offered too much"
        for offer_id, work in agent.work.items():
            assert work.offer_id == offer_id
            match work.state:
                case a.Offered():
                    offer = _offer(world, offer_id)
                    assert offer.agent_id == agent_id
                    assert not isinstance(offer.state, o.OfferTalking)
                case a.Talking(_, call_id):
                    offer = _offer(world, offer_id)
                    assert isinstance(offer.state, o.OfferTalking) or is_third_party(world, offer)
                    assert offer.call_id == call_id
                case a.WrappingUp(_, leg):
                    assert not leg or world.offers[leg].agent_id == agent_id, "an agent waits for a leg that is no more"


def _check_standing_leg(world: World, agent: a.Agent) -> None:
    """Whoever is at work and is to have one has one, up or on its way; nobody else has more than the rest of one."""
    leg = agent.standing
    if leg is None:
        assert not standing.wants(agent), f"{agent.agent_id} has no standing leg"
        return
    assert (world.standing.get(leg.leg) == agent.agent_id) == (leg.state in LIVE), "nobody finds a leg's agent"
    if leg.state is Stand.USED:
        assert leg.offer_id in world.offers or leg.offer_id in world.thirds, "a standing leg is lent to nobody"
    elif leg.state is not Stand.ENDING:
        assert standing.wants(agent), f"{agent.agent_id} still has a standing leg"
    assert leg.state is not Stand.GIVEN_UP or not isinstance(agent.presence, a.Ready)


def _offer(world: World, offer_id: str) -> o.Offer:
    """The offer, or the third party's that may become one."""
    offer = world.offers.get(offer_id) or world.shapes[world.thirds[offer_id]].third
    assert offer is not None
    return offer


def is_third_party(world: World, offer: o.Offer) -> bool:
    """Whether the leg is that of a colleague who is, or was, asked by an agent: answered, and no talk of its own."""
    return offer.offer_id in world.thirds or (offer.closed and isinstance(offer.state, o.OfferEnding))


def _check_shapes(world: World) -> None:
    thirds, asks = {}, dict[str, c.Call]()
    for talk_id, shape in world.shapes.items():
        assert isinstance(world.offers[talk_id].state, o.OfferTalking), "only a talk has a shape"
        if shape.third is not None:
            assert isinstance(shape.third.state, o.OfferRinging | o.OfferConnecting)
            assert isinstance(shape.third.state, o.OfferConnecting) == (shape.third.answered_ms is not None)
            assert shape.third.offer_id not in world.offers
            thirds[shape.third.offer_id] = talk_id
        assert shape.wanted is not None or shape.caller_gone or shape.pair is PAIR_OF[shape.shape], "nobody mends it"
        assert shape.shape is not Shape.HANDED_OVER
        assert (shape.held_since_ms is not None) == is_held(shape)
        assert not shape.untouched or (shape.shape, shape.wanted, shape.third) == (Shape.TOGETHER, None, None)
        if shape.asks is not None:
            assert Shape.CALLING in (shape.wanted, shape.shape if shape.wanted is None else None), "asks in vain"
            assert shape.third is None or isinstance(shape.third.state, o.OfferRinging), "asks who has answered"
            if shape.third is None and asking.is_there(world, shape.asks):
                asks[talk_id] = shape.asks
    assert world.asking == asks, f"agents ask queues in {asks.keys()}"
    assert not world.asking.keys() & world.calls.keys()
    assert world.thirds == thirds, f"third parties are {thirds}"


def _check_timers(world: World) -> None:
    """Every transient state has a deadline, and no deadline is left without its owner."""
    transient = {i for i, offer in world.offers.items() if not isinstance(offer.state, o.OfferTalking)}
    expected = {TimerKey("offer", i) for i in transient}
    expected |= {
        TimerKey("agent", i)
        for i, agent in world.agents.items()
        if agent.held_back is not None or any(isinstance(work.state, a.WrappingUp) for work in agent.work.values())
    }
    expected |= {
        TimerKey("standing", i)
        for i, agent in world.agents.items()
        if agent.standing is not None and agent.standing.state in WITH_DEADLINE
    }
    expected |= {
        TimerKey("talk", i)
        for i, shape in world.shapes.items()
        if shape.wanted is not None or shape.shape is Shape.CALLING
    }
    expected |= {TimerKey("settle", i) for i, call in world.calls.items() if isinstance(call.state, c.Settling)}
    expected |= {TimerKey("abandoned", place.call_id) for place in world.abandoned}
    expected |= {TimerKey("heir", i) for i, call in world.calls.items() if call.orphan}
    expected |= {TimerKey("preferred", i) for i, call in world.calls.items() if call.preferred is not None}
    expected |= {TimerKey("switch_gone", switch) for switch in _absent(world)}
    optional = {TimerKey(kind, call_id) for kind in ("max_wait", "reach", "more") for call_id in world.calls}
    optional |= {TimerKey("reach", talk_id) for talk_id in world.asking}
    optional |= {TimerKey("settle", i) for i, call in world.calls.items() if isinstance(call.state, c.Talking)}
    kinds = ("estimated_wait", *Condition)
    optional |= {TimerKey(kind, queue) for kind in kinds for queue in world.staffing.logged_in}
    expected |= {
        TimerKey(post, queue)
        for queue, ordering in world.orderings.items()
        for post, standing in ordering.standings.items()
        if standing.failed
    }
    keys = world.timers.keys()
    assert expected <= keys, f"no deadline for {expected - keys}"
    assert keys <= expected | optional, f"deadlines without an owner: {keys - expected - optional}"


def _absent(world: World) -> set[str]:
    """The switches that will be given up: all that are away while something is there."""
    if not world.rules.limits.switch_gone_ms:
        return set()
    there = {call.switch for call in world.calls.values() if call.leg is not None}
    there |= {leg.switch for agent in world.agents.values() for leg in agent.outside}
    away = {switch for switch in there if not world.switches.get(switch, False)}
    assert away <= world.absent.keys(), f"nobody waits for {away - world.absent.keys()}"
    assert not any(world.switches.get(switch, False) for switch in world.absent), "a switch is away and there"
    return set(world.absent)


def _check_staffing(world: World) -> None:
    for queue in world.rules.queues:
        serving = [agent for agent in world.agents.values() if _keeps_open(agent, queue)]
        logged_in = sum(not isinstance(agent.state, a.LoggedOut) for agent in serving)
        on_duty = sum(agent.on_duty and queue not in agent.not_ready_for for agent in serving)
        assert world.staffing.logged_in[queue] == logged_in, f"{logged_in} agents of {queue} are logged in"
        assert world.staffing.on_duty[queue] == on_duty, f"{on_duty} agents of {queue} are on duty"
        assert ((Condition.NOBODY_READY, queue) in world.staffing.since) == (on_duty == 0)


def _keeps_open(agent: a.Agent, queue: str) -> bool:
    return queue in agent.rules.queues and not agent.rules.queues[queue].backup


def _check_nobody_idle(world: World, seeking: list[c.Call], ready: dict[str, a.Agent]) -> None:
    """No ready agent is idle while a call they may take seeks one. Stated without the index: it looks at all pairs."""
    for call in seeking:
        moment = offers.moment_of_call(world, call)
        for agent_id, agent in ready.items():
            now = moment_of(agent)
            why = why_not(moment, agent_id, now, now.service(call.queue))
            assert why is not None, f"agent {agent_id} idles while {call.call_id} waits"
