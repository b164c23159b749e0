"""From the ring to the talk: what an offer's facts mean for its call and its agent."""

from __future__ import annotations

from dataclasses import replace

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import AskConnected, CancelOffer, CancelReason, Connect
from fsacd.core.events import (
    ConnectFailed,
    GivenAway,
    LegInRoom,
    LegsJoined,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OfferEvent,
    OfferForked,
    OfferRang,
    OfferUnheard,
    PhoneEvent,
    TalkEvent,
)
from fsacd.core.fact import NOTHING
from fsacd.core.life import (
    absence,
    calls,
    connecting,
    gathering,
    offers,
    phone_hold,
    shaping,
    standing,
    talk_wishes,
    thirds,
    transferring,
    withdrawing,
)
from fsacd.core.life.told import told_ms
from fsacd.core.life.world import World
from fsacd.core.records import OfferOutcome, TalkEnd, TransferKind
from fsacd.core.shape import Pair, Shape, TalkShape

_CALLER_AGENT = Pair.CALLER_AGENT  # as in `grounds`


def handle(world: World, event: OfferEvent) -> None:
    """One fact about an agent's leg."""
    offer = world.offer_on(event.offer_id)
    if offer is None and (talk := thirds.talk_of(world, event.offer_id)) is not None:
        _of_third(world, talk, event)
        return
    _note_leg(offer, event)
    match event:
        case OfferRang():
            _rang(world, offer)
        case OfferAnswered():
            world.late_ms = event.late_ms
            _answered(world, offer, event)
        case OfferConnected():
            world.late_ms = event.late_ms
            if offer is not None:
                _joined(world, offer, event.contact_id)
                shaping.joined(world, offer, _CALLER_AGENT)
                connecting.connected(world, offer, told_ms(world))
        case OfferEnded():
            world.late_ms = event.late_ms
            if offer is not None and (end := _last(world, offer, event)) is not None:
                _ended(world, offer, standing.as_lost(world, offer, end))
        case OfferForked():
            _forked(offer, event.legs)
        case OfferUnheard():
            _unheard(world, offer)
        case ConnectFailed():
            if offer is not None and isinstance(offer.state, o.OfferConnecting):
                _not_connected(world, offer)


def _note_leg(offer: o.Offer | None, event: OfferEvent) -> None:
    """Note the leg of a fact that names one of the offer's legs in its place: the offer is on that leg.

    So does all that an early 0.1.0 has written of its offers, for each had one leg, whose name ended in any digit.
    """
    if offer is None or event.offer_id == offer.offer_id:
        return
    match event:
        case OfferRang():
            offer.legs = max(offer.legs, o.legs_up_to(event.offer_id))
        case OfferAnswered() | OfferConnected() if not offer.leg:
            offer.leg, offer.legs = event.offer_id, max(offer.legs, 2)
        case _:
            pass


def _talked_ms(call: c.Call | None, event: OfferEnded | GivenAway) -> int:
    """How long the talk was, where nobody has changed it: the switch tells how long its last bridge stood.

    0: it had several, as somebody else's leg has taken the place of the caller's meanwhile.
    """
    return 0 if call is not None and call.talks_on_another_leg else event.talked_ms


def _forked(offer: o.Offer | None, legs: int) -> None:
    if offer is not None and not offer.leg:
        offer.legs = max(1, min(legs, o.MOST_LEGS))


def of_talk(world: World, event: TalkEvent) -> str | None:
    """A wish about a talk, or the fact that an agent's leg and a third party's are bridged, whichever tells it."""
    if isinstance(event, LegInRoom):
        shaping.in_room(world, event.offer_id, event.leg)
        return None
    if not isinstance(event, LegsJoined):
        return talk_wishes.asked(world, event)
    world.late_ms = event.late_ms
    talk = thirds.talk_of(world, event.other) or thirds.talk_of(world, event.offer_id)
    if talk is not None:
        shaping.joined(world, talk, Pair.AGENT_THIRD)
    return None


def by_phone(world: World, event: PhoneEvent) -> None:
    """What an agent's phone does with the talk by its own keys."""
    if isinstance(event, GivenAway):
        _given_away(world, event)
    else:
        phone_hold.told(world, event)


def _given_away(world: World, event: GivenAway) -> None:
    """The agent's phone has given the caller away, and its leg is about to end: the talk is over before that."""
    offer = world.offer_on(event.offer_id)
    if offer is None or not isinstance(offer.state, o.OfferTalking):
        return  # told late, or twice
    shape = world.shapes.get(offer.offer_id)
    if shaping.is_apart(shape):
        shaping.parked(world, offer)  # it was the third party whom they have given away
        return
    call = world.calls[offer.call_id]
    if shape is None or shape.untouched:
        offer.talked_ms = _talked_ms(call, event)
    if shape is None and call.first_talk is None:  # as in `_ended`
        phone_hold.as_the_switch_says(offer, event)
    transferring.by_phone(world, call, offer, event)


def _of_third(world: World, talk: o.Offer, event: OfferEvent) -> None:
    """A fact about the leg of a talk's third party."""
    if isinstance(event, OfferAnswered | OfferConnected | OfferEnded):
        world.late_ms = event.late_ms
    third = world.shapes[talk.offer_id].third
    assert third is not None
    match event:
        case OfferForked():
            _forked(third, event.legs)
        case OfferRang():
            third.rang_ms = third.rang_ms if third.rang_ms is not None else world.now_ms
        case OfferAnswered():
            if event.leg and not third.leg:
                third.leg, third.legs = event.leg, max(third.legs, 2)
            if event.leg and event.leg != third.leg:
                # As for any offer: the first phone that answers has the talk.
                world.command(CancelOffer(third.offer_id, third.switch, CancelReason.LOST_RACE, (event.leg,)))
            else:
                shaping.third_answered(world, talk)
        case OfferConnected():
            shaping.joined(world, talk, Pair.CALLER_THIRD)
        case OfferEnded():
            if _last(world, third, event) is not None:
                shaping.third_ended(world, talk, event.end)
        case OfferUnheard():
            shaping.cancel(world, talk)  # it is not known whether this leg will come
        case ConnectFailed():
            pass  # the step's deadline decides


def _agent_gone(world: World, call: c.Call, offer: o.Offer, shape: TalkShape | None, event: OfferEnded) -> None:
    """The agent's leg ended during the talk: the caller's part ends with it, unless they were not bridged."""
    lost = event.end is OfferEnd.CONNECTION_LOST  # not by the agent, whose phone fell silent
    if shape is None or not shaping.is_apart(shape):
        if event.end is OfferEnd.TRANSFERRED:
            transferring.by_phone(world, call, offer, event)
        else:
            (calls.connection_lost if lost else calls.agent_hung_up)(world, call, offer)
        return
    ended_by = TalkEnd.CALLER if shape.caller_gone else TalkEnd.CONNECTION_LOST if lost else TalkEnd.AGENT
    withdrawing.write(world, offer, OfferOutcome.ANSWERED, "talk", None, ended_by)
    if shape.caller_gone:
        assert isinstance(call.state, c.Talking)
        call.talked_ms += world.now_ms - call.state.since_ms
        calls.end_answered(world, call, "caller_hung_up")
    else:
        shaping.back_to_queue(world, call, shaping.CONNECTION_LOST if lost else shaping.AGENT_GONE)


def _unheard(world: World, offer: o.Offer | None) -> None:
    """It is not known whether this leg will come. The caller goes on at once; the agent is not rung until it is."""
    if offer is not None and not offer.heard_of and isinstance(offer.state, o.OfferRinging):
        withdrawing.withdraw(world, offer.offer_id, CancelReason.UNKNOWN)
        calls.one_less(world, world.calls[offer.call_id], offer.offer_id)


def _rang(world: World, offer: o.Offer | None) -> None:
    if offer is None or offer.rang_ms is not None:
        return
    offer.rang_ms = world.now_ms
    if isinstance(offer.state, o.OfferEnding) and offer.state.reason is CancelReason.UNKNOWN:
        # It was not known whether the leg would come. Now that it is there, it can be ended at once.
        world.command(CancelOffer(offer.offer_id, offer.switch, offer.state.reason, offer.named_legs))


def deadline(world: World, offer_id: str) -> None:
    """The offer's deadline has come: nobody answered, the bridge did not come, or a leg will not end."""
    offer = world.offers[offer_id]
    match offer.state:
        case o.OfferRinging():
            withdrawing.withdraw(world, offer_id, CancelReason.NO_ANSWER)
            call = world.calls[offer.call_id]
            offers.not_taken(world, call, offer.agent_id)
            calls.one_less(world, call, offer_id)
        case o.OfferConnecting() if not world.switches.get(offer.switch, False):
            # The bridge may stand, but without the link nobody can tell. Ending the agent's leg now might cut a talk;
            # when the link is back, the switch says how things stand.
            world.timers.set("offer", offer_id, absence.until_ms(world, offer.switch))
        case o.OfferConnecting() if not offer.asked:
            # A busy switch tells of bridges late: ending the agent's leg at once might cut a talk.
            offer.asked = True
            world.timers.set("offer", offer_id, world.now_ms + world.rules.limits.connect_ms)
            world.command(AskConnected(offer_id, offer.switch, offer.leg))
        case o.OfferConnecting():
            world.anomaly("bridge_timeout", f"the bridge of offer {offer_id} did not come in time; the caller waits on")
            _not_connected(world, offer)
        case o.OfferEnding() as ending:
            offers.repeat_cancel(world, offer, ending)
        case o.OfferTalking():
            raise AssertionError("a talk has no deadline")


def _answered(world: World, offer: o.Offer | None, event: OfferAnswered) -> None:
    if offer is None:
        # The offer was given up, or was an earlier daemon's and its caller is gone: this agent would hear nobody.
        if event.switch:
            legs = (event.leg,) if event.leg else ()
            world.command(CancelOffer(event.offer_id, event.switch, CancelReason.UNKNOWN, legs))
        return
    if event.leg and not offer.leg:
        offer.leg, offer.legs = event.leg, max(offer.legs, 2)
    elif event.leg and event.leg != offer.leg:
        # The switch connects the first phone that answers and ends the others. An agent on another one hears nobody.
        world.command(CancelOffer(offer.offer_id, offer.switch, CancelReason.LOST_RACE, (event.leg,)))
        return
    # An answer that is told after the leg's end counts for nothing.
    if offer.answered_ms is None and offer.ended_ms is None:
        offer.answered_ms = world.now_ms
    if offer.agent_id in world.agents:
        world.agents[offer.agent_id].in_vain = NOTHING
    match offer.state:
        case o.OfferEnding(reason, _):
            # The agent answered while the call was being taken away; a leg that exists can be ended at once.
            world.command(CancelOffer(offer.offer_id, offer.switch, reason, offer.named_legs))
        case o.OfferRinging():
            call = world.calls[offer.call_id]
            assert call.leg is not None, "a call without a leg is dialled before it is offered"
            connecting.take_answer(world, offer, call)
            world.command(Connect(offer.offer_id, call.call_id, call.leg, offer.leg))
        case o.OfferTalking():
            shaping.parked(world, offer)
        case o.OfferConnecting():
            pass  # told twice


def _joined(world: World, offer: o.Offer, contact_id: str) -> None:
    """Another caller is bridged with an agent who talks: from now on the talk is of that caller's contact.

    An agent has asked this one, by a call to their queue, and now leaves their customer to them.
    """
    if isinstance(offer.state, o.OfferTalking) and contact_id:
        call = world.calls[offer.call_id]
        call.contact_id = contact_id
        world.refresh(call)


def _not_connected(world: World, offer: o.Offer) -> None:
    """No bridge: end the agent's leg. The caller has kept their place; if they have gone, the switch will say so."""
    withdrawing.withdraw(world, offer.offer_id, CancelReason.BRIDGE_WINDOW)
    calls.back_to_waiting(world, world.calls[offer.call_id])


def _last(world: World, offer: o.Offer, event: OfferEnded) -> OfferEnded | None:
    """The fact, if it ends the offer's last leg; None if other legs are left, or another one was answered."""
    if not event.leg:
        return event
    if offer.leg:
        return event if event.leg == offer.leg else None
    # The first fact tells how the leg ended; a later one tells that its phone knows.
    offer.legs_over.setdefault(event.leg, event.end)
    if event.phone_told and event.leg not in offer.legs_told:
        offer.legs_told = (*offer.legs_told, event.leg)
    if event.answered and event.end is not OfferEnd.CANCELLED and offer.answered_ms is None:
        offer.answered_ms = world.now_ms  # this leg did not lose a race, so it was answered, though no fact told so
    if len(offer.legs_over) < event.legs:
        return None
    return replace(event, phone_told=len(offer.legs_told) >= event.legs)


# How an offer to several phones ended: what a person did counts before what happened to the other phones.
_STRONGEST = (
    OfferEnd.REFUSED,
    OfferEnd.BUSY,
    OfferEnd.DIVERTED,
    OfferEnd.HUNG_UP,
    OfferEnd.TRANSFERRED,
    OfferEnd.CONNECTION_LOST,
    OfferEnd.NO_ANSWER,
    OfferEnd.UNREACHABLE,
    OfferEnd.CANCELLED,
    OfferEnd.NOT_SENT,
)


def _ended(world: World, offer: o.Offer, event: OfferEnded) -> None:
    if isinstance(offer.state, o.OfferEnding) and not event.phone_told:
        offers.await_phone(world, offer)
        return
    if offer.legs_over and not offer.leg:
        event = replace(event, end=min(offer.legs_over.values(), key=_STRONGEST.index))
    state = offer.state
    if isinstance(state, o.OfferTalking) and transferring.has_given_place(world, offer):
        event = replace(event, end=OfferEnd.TRANSFERRED, kind=TransferKind.ATTENDED)
    if event.answered and offer.answered_ms is None:
        offer.answered_ms = world.now_ms  # they answered, and the leg ended before the switch told of the answer
    call, shape = world.calls.get(offer.call_id), world.shapes.get(offer.offer_id)
    untouched = shape is None or shape.untouched
    offer.talked_ms = _talked_ms(call, event) if untouched else 0
    offer.released = event.end is OfferEnd.HUNG_UP and not (event.by_phone or offer.hangs_up)
    offers.write_end(world, offer, event.end)
    if shape is not None and gathering.talk_on_without_agent(shape):
        third = gathering.agent_gone(world, offer, event.end)
        shaping.two_left(world, third, ordered=shape.wanted is Shape.HANDED_OVER)
        return
    offers.over(world, offer, event.end)
    match state:
        case o.OfferRinging():
            assert call is not None
            if event.end is not OfferEnd.NOT_SENT:
                offers.not_taken(world, call, offer.agent_id)
            calls.one_less(world, call, offer.offer_id)
        case o.OfferConnecting():
            assert call is not None
            calls.back_to_waiting(world, call)
        case o.OfferTalking():
            assert call is not None
            assert isinstance(call.state, c.Talking)
            if untouched and call.first_talk is None:  # a colleague's phone may have held whoever has asked them
                phone_hold.as_the_switch_says(offer, event)
            _agent_gone(world, call, offer, shape, event)
        case o.OfferEnding():
            pass  # the call has left this offer already
