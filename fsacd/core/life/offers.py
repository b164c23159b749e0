"""The life of an offer as far as the agent's side goes: made, withdrawn, over. Its record is written exactly once."""

from __future__ import annotations

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import contact, variables
from fsacd.core import offer as o
from fsacd.core.commands import CancelOffer, CancelReason, RingAgent
from fsacd.core.events import OfferEnd
from fsacd.core.evidence import Evidence
from fsacd.core.fact import NOTHING
from fsacd.core.life import agents, asking, display, roster, shared_phones, standing, thirds, withdrawing, wrap_ups
from fsacd.core.life.decisions import CallMoment
from fsacd.core.life.world import World
from fsacd.core.match.index import NOT_RANKED
from fsacd.core.records import DecisionMade, Elsewhere, OfferOutcome, TalkEnd, TransferKind
from fsacd.core.rules import Cause, HoldBack, QueueRules, WrapUp
from fsacd.strategy import Start

# A leg whose talk is over ends by itself; only if it has not by then, it is ended.
_TALK_OVER_GRACE_MS = 1_000
_LONGEST_CANCEL_PAUSE_MS = 1_000
_PHONE_TOLD_MS = 200
# How often an end is asked for before it is given up. Time alone is not enough: a daemon that was killed before its
# first command has asked for nothing, though the time is over when the next one goes on.
_CANCELS_IN_VAIN = 3
# At least as long as the switch lets a phone ring, and an answered leg stay unconnected (esl/translate.py).
_LONGEST_RING_MS = 600_000
_PARKED_FOR_MS = 15_000
# As in `grounds`.
_ANSWERED, _WITHDRAWN = OfferOutcome.ANSWERED, OfferOutcome.WITHDRAWN
_TALK_OVER, _LOST_RACE, _UNTIL_READY = CancelReason.TALK_OVER, str(CancelReason.LOST_RACE), WrapUp.UNTIL_READY


def make(world: World, call: c.Call, agent: a.Agent) -> None:
    """Ring this agent for this call."""
    if call.call_id in world.asking:
        _make_third(world, call, agent)
        return
    rules = world.queue_rules(call)
    decision = _note(world, call, agent)
    call.offers += 1
    _go_on_from(world, call, agent)
    switch = call.leg.switch if call.leg else agent.rules.switch
    call_id, queue, agent_id, now_ms = call.call_id, call.queue, agent.agent_id, world.now_ms
    offer_id = o.offer_id(world.seed + world.takeovers, call_id, call.offers)
    # By position, here and below: by name, an object of many fields takes twice as long to make (1 µs and not 0.5).
    offer = o.Offer(offer_id, call_id, queue, agent_id, switch, call.offers, now_ms, o.RINGING)
    standing_leg = standing.lend(world, agent, offer_id) if agent.standing is not None else ""
    offer.epoch = world.epochs.get(switch, 0)
    offer.legs = contact.most_legs(agent.contact) if not standing_leg else 1
    offer.contact, offer.contact_id = agent.contact, call.contact_id
    world.offers[offer_id] = offer
    world.record(DecisionMade(decision, call_id, queue, agent_id, offer_id, now_ms, call.contact_id))
    world.timers.set("offer", offer_id, now_ms + rules.ring_timeout_ms)
    ringing = call.state.offer_ids if isinstance(call.state, c.Ringing) else ()
    world.move_call(call, c.Ringing((*ringing, offer_id)))
    roster.take_work(world, agent, offer, a.Offered(offer_id, call_id))
    roster.settle(world, agent)
    shared_phones.take(world, offer)
    shown = world.shows(call)
    world.command(
        RingAgent(
            offer_id,
            call_id,
            agent_id,
            queue,
            agent.contact,
            switch,
            (call.shown_number or call.number) if shown else "",
            display.name_for(call, rules.agent_display or display.USUAL, hidden=not shown),
            rules.ring_timeout_ms,
            not shown,
            agent.rules.phone,
            _carried(call, rules, shown=shown) if call.variables else (),
            call.contact_id,
            standing_leg,
        )
    )


def _make_third(world: World, entry: c.Call, agent: a.Agent) -> None:
    """Ring this agent for another one, who asks whoever is next in the entry's queue."""
    talk, shape = world.offers[entry.call_id], world.shapes[entry.call_id]
    call, ring_ms = world.calls[talk.call_id], world.rules.queues[entry.queue].ring_timeout_ms
    decision = _note(world, entry, agent)
    _go_on_from(world, entry, agent)
    entry.only_rank_and_level = None  # one agent rings at a time, and then the next, of any rank and level
    asking.leave(world, entry)
    third = shape.third = thirds.ring(world, call, talk, agent.agent_id, entry.queue, ring_ms)
    made = (decision, call.call_id, entry.queue, agent.agent_id, third.offer_id, world.now_ms, call.contact_id)
    world.record(DecisionMade(*made))
    if shape.wanted is None:
        world.timers.set("talk", talk.offer_id, asking.ends_ms(world, entry, third))
    world.refresh(call)


def _carried(call: c.Call, rules: QueueRules, *, shown: bool) -> tuple[tuple[str, str], ...]:
    """The variables of the caller's leg that go along."""
    number, name = ("", "") if shown else (call.number or "hidden", call.name)
    return tuple(variables.chosen(call.variables, rules.agent_variables, hidden_number=number, hidden_name=name))


def _note(world: World, call: c.Call, agent: a.Agent) -> int:
    """Remember the decision as it was made, before anything is done about it. Returns its number."""
    ranked_for, ranked, candidates = world.index.last_ranked
    world.index.last_ranked = NOT_RANKED
    if ranked_for != call.call_id or agent.agent_id not in ranked:
        ranked, candidates = (), 0
    moment = moment_of_call(world, call, ranked, candidates)
    if call.call_id in world.asking:
        moment = moment._replace(call_id=world.offers[call.call_id].call_id)  # told with the call of the talk
    return world.decisions.add(moment, agent.agent_id, world.now_ms, world.rules.limits.decisions)


def moment_of_call(world: World, call: c.Call, ranked: tuple[str, ...] = (), candidates: int = 0) -> CallMoment:
    """What decides now who may be rung for the call, and in which order."""
    ordering = world.orderings[call.queue]
    return CallMoment(
        call.call_id,
        ordering.rules,
        ordering,
        ordering.strategy_name,
        call.required,
        call.priority,
        call.delay_ms,
        call.backup,
        call.waited_ms(world.now_ms),
        call.preferred,
        call.not_taken,
        call.only_rank_and_level,
        Start(ordering.last_place, call.last_place) if ordering.goes_round else None,
        ranked,
        candidates,
        call.number_believed,
        call.switch,
        call.contact_id,
    )


def _go_on_from(world: World, call: c.Call, agent: a.Agent) -> None:
    """Note what later offers depend on: the agent rung last by queue and call, and the first one's rank and level."""
    agent.last_offered_ms = world.now_ms
    ordering = world.orderings[call.queue]
    for served in agent.serves:
        if served.queue == call.queue:
            ordering.last_place = call.last_place = served.facts.place
            if not ordering.ring.beyond_best and call.only_rank_and_level is None:
                level = agent.fit(call.required)
                call.only_rank_and_level = (served.rank, -(level or 0) if ordering.level_first else 0)
            break
    if ordering.ring.one_more_every_ms:
        # The time until a further agent rings counts from the first.
        world.timers.set_unless_set("more", call.call_id, world.now_ms + ordering.ring.one_more_every_ms)


def one_more(world: World, call_id: str) -> None:
    """Nobody has answered for a while: one more agent may ring."""
    call = world.calls[call_id]
    every_ms = world.orderings[call.queue].ring.one_more_every_ms
    if every_ms and world.wanted(call) < world.rules.limits.ringing:
        call.more += 1
        world.timers.set("more", call_id, world.now_ms + every_ms)
        world.refresh(call)


def not_taken(world: World, call: c.Call, agent_id: str) -> None:
    """The agent has not taken the call: others come first for it from now on."""
    known = call.not_taken if len(call.not_taken) < _NOT_TAKEN_LIMIT else NOTHING
    call.not_taken = {**known, agent_id: known.get(agent_id, 0) + 1}
    if call.preferred is not None and call.preferred.agent_id == agent_id:
        world.prefer(call, None)


_NOT_TAKEN_LIMIT = 256


def talk_over(
    world: World, offer_id: str, ended_by: TalkEnd, to: str = "", kind: TransferKind = TransferKind.NONE
) -> None:
    """Caller and agent have talked, and the caller's side is over. The agent's leg should end by itself."""
    offer = world.offers.get(offer_id)
    if offer is not None and not offer.number:
        wrap_ups.talk_over(world, world.agents[offer.agent_id], offer)
    _end_talk(world, offer_id, _ANSWERED, "talk", ended_by, to, kind)


def talk_broken(world: World, offer_id: str) -> None:
    """The bridge broke before they could talk, and the caller has gone back to waiting."""
    _end_talk(world, offer_id, OfferOutcome.FAILED, "bridge_window")


def _end_talk(
    world: World,
    offer_id: str,
    outcome: OfferOutcome,
    reason: str,
    ended_by: TalkEnd | None = None,
    to: str = "",
    kind: TransferKind = TransferKind.NONE,
) -> None:
    offer = world.offers.get(offer_id)
    if offer is None:
        return  # the agent's leg ended first, which has done all this already
    is_alone = bool(world.shapes) and thirds.leave(world, offer)
    withdrawing.write(world, offer, outcome, reason, None, ended_by, to, kind)
    give_up_ms = world.now_ms + _TALK_OVER_GRACE_MS + world.rules.limits.offer_grace_ms
    world.move_offer(offer, o.OfferEnding(_TALK_OVER, give_up_ms))
    world.timers.set("offer", offer_id, world.now_ms + _TALK_OVER_GRACE_MS)
    if is_alone:
        # No bridge ends with the caller's side, so the leg would not end by itself.
        world.command(CancelOffer(offer_id, offer.switch, CancelReason.TALK_OVER, offer.named_legs))
    if offer.number:
        return
    agent, (wrap_up_ms, ends) = world.agents[offer.agent_id], _wrap_up(world, offer)
    shared_phones.take_own(offer, agent)
    if wrap_up_ms > 0:
        agents.wrap_up(world, agent, offer_id, wrap_up_ms, ends)
    else:
        agents.wrap_up_until_leg_ends(world, agent, offer_id, give_up_ms)


def await_phone(world: World, offer: o.Offer) -> None:
    """The leg was ended by us, but its phone has not been told yet and cannot ring again before that: wait for it."""
    if offer.ended_ms is None:
        offer.ended_ms = world.now_ms
        world.timers.set("offer", offer.offer_id, world.now_ms + _PHONE_TOLD_MS)


def repeat_cancel(world: World, offer: o.Offer, ending: o.OfferEnding) -> None:
    """The leg has still not ended: ask again (a kill can miss a leg that is just being made), or go on without it."""
    if offer.ended_ms is not None:
        # The leg has ended; there was no phone to be told, or its confirmation did not come.
        write_end(world, offer, OfferEnd.CANCELLED)
        over(world, offer, OfferEnd.CANCELLED)
        return
    gone_ms = _gone_by_itself_ms(world, offer, ending)
    if not world.switches.get(offer.switch, False) and world.now_ms < gone_ms:
        # Without the link the switch can neither be asked nor answer: the leg may be there when the link is back.
        world.timers.set("offer", offer.offer_id, gone_ms)
        return
    # A leg of which nothing was heard may still be made.
    made_ms = 0 if offer.heard_of else offer.started_ms + o.MAKING_MS
    late_ms = world.now_ms - max(ending.give_up_ms, made_ms)
    if late_ms >= 0 and offer.cancels >= _CANCELS_IN_VAIN:
        world.anomaly("offer_unconfirmed", f"the leg of offer {offer.offer_id} did not end in time")
        write_end(world, offer, OfferEnd.CANCELLED)
        over(world, offer, OfferEnd.CANCELLED)
        return
    # Twice as long each time: a switch that is slow to answer is not helped by being asked more often.
    offer.cancels += 1
    pause_ms = min(world.rules.limits.cancel_retry_ms << offer.cancels, _LONGEST_CANCEL_PAUSE_MS)
    again_ms = world.now_ms + pause_ms
    world.timers.set("offer", offer.offer_id, again_ms if late_ms >= 0 else min(again_ms, world.now_ms - late_ms))
    world.command(CancelOffer(offer.offer_id, offer.switch, ending.reason, offer.named_legs))


def _gone_by_itself_ms(world: World, offer: o.Offer, ending: o.OfferEnding) -> int:
    """The latest time at which the switch itself ends the leg: ringing and parking both have a timeout there."""
    rules = world.rules.queues.get(offer.queue)
    return ending.give_up_ms + (rules.ring_timeout_ms if rules else _LONGEST_RING_MS) + _PARKED_FOR_MS


def over(world: World, offer: o.Offer, end: OfferEnd) -> None:
    """The agent's leg is gone: let the agent go on, and forget the offer."""
    if world.shapes:
        thirds.leave(world, offer)
    world.forget_offer(offer)
    for other in shared_phones.free(world, offer):
        agents.done(world, other)
    agent = world.agents.get(offer.agent_id)
    if agent is None:
        return
    standing.released(world, agent, offer.offer_id)
    if not _holds(agent, offer):
        # The agent has been in wrap-up since the caller hung up, and may be in any state by now.
        agents.leg_ended(world, agent, offer.offer_id)
        roster.settle(world, agent)
        return
    match offer.state:
        case o.OfferTalking():
            _talk_gone(world, agent, offer, end)
        case o.OfferEnding(CancelReason.NO_ANSWER, _) if offer.answered_ms is None:
            _hold_back(world, agent, offer, Cause.NO_ANSWER)
        case o.OfferEnding():
            agents.end(world, agent, offer.offer_id)
        case o.OfferConnecting():
            _hold_back(world, agent, offer, Cause.REFUSED)
        case o.OfferRinging():
            if end is OfferEnd.NOT_SENT:
                # No phone rang. Without a pause the same agent would be chosen over and over.
                agents.come_to_nothing(world, agent, offer.offer_id, "not_sent", _NOT_SENT_PAUSE_MS)
            else:
                _hold_back(world, agent, offer, _HOLD_BACK_AS[end])


def _talk_gone(world: World, agent: a.Agent, offer: o.Offer, end: OfferEnd) -> None:
    """The agent's leg ended in the talk."""
    if end is OfferEnd.CONNECTION_LOST:
        # Whoever is offered to them next would hear nobody, too: they say themselves when they are there again.
        wrap_ups.talk_over(world, agent, offer)
        agents.lose(world, agent, offer.offer_id, end.value)
    elif end is not OfferEnd.TRANSFERRED and not offer.released and _broke_at_once(world, offer):
        # Without a pause, an agent who hangs up at once would be offered the same caller over and over.
        agent.idle_since_ms = world.now_ms
        _hold_back(world, agent, offer, Cause.REFUSED)
    else:
        wrap_ups.talk_over(world, agent, offer)
        agents.wrap_up(world, agent, offer.offer_id, *_wrap_up(world, offer))


def _broke_at_once(world: World, offer: o.Offer) -> bool:
    return offer.talk_ms(world.now_ms) < world.rules.limits.settle_ms


_NOT_SENT_PAUSE_MS = 1_000

_HOLD_BACK_AS: dict[OfferEnd, Cause] = {
    OfferEnd.REFUSED: Cause.REFUSED,
    OfferEnd.BUSY: Cause.BUSY,
    OfferEnd.DIVERTED: Cause.REFUSED,
    OfferEnd.NO_ANSWER: Cause.NO_ANSWER,
    OfferEnd.UNREACHABLE: Cause.UNREACHABLE,
    OfferEnd.CANCELLED: Cause.REFUSED,
    OfferEnd.HUNG_UP: Cause.REFUSED,
    OfferEnd.TRANSFERRED: Cause.REFUSED,
    OfferEnd.CONNECTION_LOST: Cause.UNREACHABLE,
}

_ENDED_AS: dict[OfferEnd, OfferOutcome] = {
    OfferEnd.REFUSED: OfferOutcome.REFUSED,
    OfferEnd.BUSY: OfferOutcome.REFUSED,
    OfferEnd.DIVERTED: OfferOutcome.REFUSED,
    OfferEnd.NO_ANSWER: OfferOutcome.UNANSWERED,
    OfferEnd.UNREACHABLE: OfferOutcome.FAILED,
    OfferEnd.CANCELLED: OfferOutcome.FAILED,
    OfferEnd.HUNG_UP: OfferOutcome.REFUSED,
    OfferEnd.TRANSFERRED: OfferOutcome.REFUSED,
    OfferEnd.CONNECTION_LOST: OfferOutcome.FAILED,
    OfferEnd.NOT_SENT: OfferOutcome.FAILED,
}


def ended_with_switch(world: World, offer: o.Offer, why: str) -> None:
    """The switch has restarted, or is not ours any more: the leg is gone for us, and nobody is to blame."""
    if offer.answered_ms is None:
        evidence = Evidence.HANDED_OVER if why == Elsewhere.SERVED_ELSEWHERE else None
        withdrawing.write(world, offer, OfferOutcome.FAILED, why, evidence)
    write_end(world, offer, OfferEnd.NOT_SENT)
    over(world, offer, OfferEnd.NOT_SENT)


def write_end(world: World, offer: o.Offer, end: OfferEnd) -> None:
    """Write the record of an offer whose leg has ended; after a bridge `calls` does, which knows if it was a talk."""
    match offer.state:
        case o.OfferRinging() if offer.answered_ms is None:
            withdrawing.write(world, offer, _ENDED_AS[end], str(end))
        case o.OfferRinging() | o.OfferConnecting():
            withdrawing.write(world, offer, OfferOutcome.FAILED, "bridge_window")
        case o.OfferTalking():
            pass
        case o.OfferEnding(reason, _):
            if offer.answered_ms is not None:
                # The agent answered while we took the call away from them.
                withdrawing.write(world, offer, _WITHDRAWN, _LOST_RACE)
            else:
                withdrawing.write(world, offer, withdrawing.OUTCOMES[reason], str(reason))


def _holds(agent: a.Agent, offer: o.Offer) -> bool:
    work = agent.work.get(offer.offer_id)
    return work is not None and not isinstance(work.state, a.WrappingUp)


def _hold_back(world: World, agent: a.Agent, offer: o.Offer, cause: Cause) -> None:
    rules, own = world.rules.queues.get(offer.queue), agent.rules.own
    limit = own.not_ready_after.get(cause, rules.not_ready_limit(cause) if rules else 0)
    by = agents.FSACD if agents.in_vain(world, agent, cause, limit) else ""
    times = rules.hold_back if rules else HoldBack()
    for_ms = own.hold_back_ms.get(cause, times.of(cause))
    agents.come_to_nothing(world, agent, offer.offer_id, cause.value, for_ms, by)


def _wrap_up(world: World, offer: o.Offer) -> tuple[int, WrapUp]:
    rules, agent = world.rules.queues.get(offer.queue), world.agents.get(offer.agent_id)
    if rules is None or agent is None:
        return 0, WrapUp.CAPPED
    own = agent.rules.own
    ends = rules.wrap_up if own.wrap_up is None else own.wrap_up
    if ends is _UNTIL_READY:
        return world.rules.limits.longest_wrap_up_ms, ends
    return rules.wrap_up_ms if own.wrap_up_ms is None else own.wrap_up_ms, ends
