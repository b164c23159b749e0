"""An agent gives the caller away: into a queue, to a colleague, or to a number, without a word to whoever is next.

Or by their phone (REFER), which the switch obeys by itself: then we only hear of it (`by_phone`).

The agent's talk ends at once. The caller keeps their call, their time and their contact in a queue; sent to a number,
they are out of sight. If nobody has that number, the dialplan brings them back, and their call goes on (`ended`).
"""

from __future__ import annotations

import re
from typing import Final, assert_never

from fsacd.core import agent as a
from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.commands import ConfirmTalk, SendCall
from fsacd.core.events import GivenAway, OfferEnded, TalkTransferAsked, TransferTo
from fsacd.core.life import ending, offers, overflow, sticky, visits, withdrawing
from fsacd.core.life.world import World
from fsacd.core.reach import reaches
from fsacd.core.records import CallJoined, CallMoved, CallOutcome, OfferOutcome, TalkEnd, TransferKind
from fsacd.core.rules import ToExtension, ToHangup
from fsacd.core.shape import Shape, TalkShape
from fsacd.core.visit import HowIn, VisitOutcome

# What the caller's call says of it. So does the visit that ends.
TRANSFERRED: Final = "transferred"
# Where to, as talks have it: these hold nobody's number.
A_NUMBER: Final = "a number"
# How long the caller waits for the colleague alone; after that, for everybody who serves the queue.
_ALONE_MS: Final = 60_000
# The switch ends an agent's leg so long after their caller has got another place, at most.
_AT_ONCE_MS: Final = 2_000
# The digits that a phone has, and the sign of a number with its country.
_NUMBER: Final = re.compile(r"(?!-)[0-9*#+]{1,32}")


def transfer(world: World, call: c.Call, offer: o.Offer, shape: TalkShape, event: TalkTransferAsked) -> str | None:
    """The wish. Gives why it is refused, if it is."""
    if shape.shape not in (Shape.TOGETHER, Shape.HELD):
        return "a third party is being asked: complete or cancel that first"
    match event.kind:
        case TransferTo.QUEUE:
            return _to_queue(world, call, offer, event.target)
        case TransferTo.AGENT:
            return _to_agent(world, call, offer, event.target)
        case TransferTo.NUMBER:
            return _to_number(world, call, offer, event.target)
        case _:
            assert_never(event.kind)


def _to_queue(world: World, call: c.Call, offer: o.Offer, queue: str) -> str | None:
    if not world.has_queue(queue):
        return f"there is no queue {queue!r}"
    _wait_in(world, call, offer, queue, f"queue {queue}")
    _leave_if_must(world, call)
    return None


def _to_agent(world: World, call: c.Call, offer: o.Offer, agent_id: str) -> str | None:
    agent = world.agents.get(agent_id)
    if agent is None or agent.removed:
        return f"there is no agent {agent_id!r}"
    if agent_id == offer.agent_id:
        return "an agent cannot transfer a caller to themselves"
    if isinstance(agent.presence, a.LoggedOut):
        return f"agent {agent_id} is logged out"
    if call.queue in world.retired:
        return f"queue {call.queue}, in which the caller would wait, was removed"
    if call.queue in agent.not_ready_for:
        return f"agent {agent_id} is not ready for queue {call.queue}"
    if not reaches(agent.within, call.switch):
        return f"agent {agent_id} cannot be rung from switch {call.switch}, where the call is"
    _wait_in(world, call, offer, call.queue, agent_id)
    world.prefer(call, c.Preferred(agent_id, world.now_ms + _ALONE_MS, alone=True))
    _leave_if_must(world, call)
    return None


def why_no_number(text: str) -> str | None:
    """Why this is no number, in one sentence; None if it is one."""
    return None if _NUMBER.fullmatch(text) else "a number has up to 32 digits, *, # and +"


def _to_number(world: World, call: c.Call, offer: o.Offer, number: str) -> str | None:
    if (refused := why_no_number(number)) is not None:
        return refused
    assert isinstance(call.state, c.Talking)
    assert call.leg is not None
    world.command(SendCall(call.call_id, call.leg, ToExtension(number, "")))
    offers.talk_over(world, offer.offer_id, TalkEnd.TRANSFER, A_NUMBER, TransferKind.BLIND)
    call.talked_ms += world.now_ms - call.state.since_ms
    ending.end(world, call, CallOutcome.ANSWERED, TRANSFERRED, where=ending.number(number))
    ending.may_come_back(world, call)  # if nobody has the number
    return None


def handed_over(world: World, call: c.Call, offer: o.Offer, number: str, kind: TransferKind) -> None:
    """The caller talks with whoever has the number, whom the agent has asked; the agent's part is over."""
    assert isinstance(call.state, c.Talking)
    since_ms = call.state.since_ms
    offers.talk_over(world, offer.offer_id, TalkEnd.TRANSFER, A_NUMBER, kind)
    call.talked_ms += world.now_ms - since_ms
    _gone_to(world, call, number)


def left_with(world: World, third: o.Offer) -> None:
    """The agent's leg has ended, and the caller is in the talk's room with whoever has the number: a talk of no agent.

    It lasts until the two are bridged out of there (`out_of_sight`).
    """
    call = world.calls[third.call_id]
    world.move_offer(third, o.TALKING)
    third.connected_ms, call.confirmed_ms = world.now_ms, None
    world.move_call(call, c.Talking(third.offer_id, "", world.now_ms, third.answered_ms))


def out_of_sight(world: World, call: c.Call, third: o.Offer) -> None:
    """The caller is bridged with whoever has the number, outside any room: there is nothing left for us to do."""
    del world.shapes[third.offer_id]
    world.forget_offer(third)
    _gone_to(world, call, third.number)


def _gone_to(world: World, call: c.Call, number: str) -> None:
    assert call.leg is not None
    after = world.queue_rules(call).after_talk
    # Still armed as one who may have to come back; when they have talked with the number they must not come to us.
    world.command(ConfirmTalk(call.call_id, call.leg, after))
    where = ending.number(number)
    ending.end(world, call, CallOutcome.ANSWERED, TRANSFERRED, after=after or ToHangup(), where=where)


def by_phone(world: World, call: c.Call, offer: o.Offer, event: OfferEnded | GivenAway) -> None:
    """The agent's phone has given the caller away: their talk is over, and so is the call.

    Where the caller is now, is the switch's doing: in whatever dialplan the number leads to, or bridged already.
    """
    assert isinstance(call.state, c.Talking)
    if call.leg is not None and not call.talks_on_another_leg and (offer.keeps_caller or call.confirmed_ms is None):
        # Still armed as one who may have to come back; after whom they talk with next they must not come to us.
        world.command(ConfirmTalk(call.call_id, call.leg, world.queue_rules(call).after_talk))
    where = ending.number(event.to) if event.kind is TransferKind.BLIND and _NUMBER.fullmatch(event.to) else ""
    to, colleague = A_NUMBER, None
    if event.kind is TransferKind.ATTENDED:
        where, colleague = _joined_with(world, offer, event.to)
        to = colleague.agent_id if colleague is not None else where or (A_NUMBER if event.to else "")
    talked_ms = offer.talked_ms or world.now_ms - call.state.since_ms
    if offer.offer_id in world.offers:
        offers.talk_over(world, offer.offer_id, TalkEnd.TRANSFER, to, event.kind)
    else:
        withdrawing.write(world, offer, OfferOutcome.ANSWERED, "talk", None, TalkEnd.TRANSFER, to, event.kind)
    call.talked_ms += talked_ms
    if colleague is not None:
        _is_theirs(world, call, colleague)
    after = world.queue_rules(call).after_talk or ToHangup()
    ending.end(world, call, CallOutcome.ANSWERED, TRANSFERRED, after=after, where=where)


def gives_place(world: World, call: c.Call) -> None:
    """Another leg takes the place of this call's: of an agent's own, it is the leg of the caller whom they talk with.

    The agent's leg ends next, and says nothing of it.
    """
    for agent in world.agents.values():
        if call.leg in agent.outside and agent.live is not None and agent.live.offer_id in world.offers:
            offer = world.offers[agent.live.offer_id]
            offer.place_in, offer.place_ms = call.queue, world.now_ms


def has_given_place(world: World, offer: o.Offer) -> bool:
    """Whether the agent's caller has just got the place of the agent's own call in a queue."""
    return bool(offer.place_in) and world.now_ms - offer.place_ms <= _AT_ONCE_MS


def _joined_with(world: World, offer: o.Offer, leg: str) -> tuple[str, o.Offer | None]:
    """With whom the agent has joined their caller: in which queue they wait instead of the agent, or with which talk.

    `leg` is the one that the caller talks with, if the switch says it. If not, it is whom the agent talked with, or
    waited for, in a call of their own.
    """
    if has_given_place(world, offer):
        return f"queue {offer.place_in}", None
    colleague = world.offer_on(leg) if leg else None
    if not leg:
        agent = world.agents.get(offer.agent_id)
        calls = (world.call_on(own) for own in agent.outside) if agent is not None else ()
        call = next((call for call in calls if call is not None), None)
        if call is not None and c.in_queue(call.state):
            return f"queue {call.queue}", None
        if call is not None and isinstance(call.state, c.Talking):
            colleague = world.offers.get(call.state.offer_id)
    talks = colleague is not None and colleague is not offer and isinstance(colleague.state, o.OfferTalking)
    return "", colleague if talks else None


def _is_theirs(world: World, call: c.Call, colleague: o.Offer) -> None:
    """The colleague, whom the agent has called through a queue, talks with this caller from now on."""
    asked = world.calls[colleague.call_id]
    asked.contact_id = call.contact_id
    world.refresh(asked)
    sticky.remember(world, sticky.known_as(world, call), colleague.agent_id)


def _wait_in(world: World, call: c.Call, offer: o.Offer, queue: str, to: str) -> None:
    """The caller hears the music of this queue and keeps their arrival; the agent's talk is over."""
    assert isinstance(call.state, c.Talking)
    assert call.leg is not None
    since_ms, before = call.state.since_ms, call.queue
    world.command(SendCall(call.call_id, call.leg, world.rules.back))
    visits.leave_for(world, call, queue, VisitOutcome.ANSWERED, TRANSFERRED)
    offers.talk_over(world, offer.offer_id, TalkEnd.TRANSFER, to, TransferKind.BLIND)
    call.talked_ms += world.now_ms - since_ms
    # The talk does not count towards the maximum wait.
    call.answered_after_ms, call.joined_ms, call.confirmed_ms = None, world.now_ms, None
    world.move_call(call, c.WAITING)
    if queue != before:
        world.record(CallMoved(call.call_id, before, queue, world.now_ms, TRANSFERRED, call.contact_id))
        world.requeue_call(call, queue)
        world.record(CallJoined(call.call_id, queue, world.now_ms, by_overflow=True, contact_id=call.contact_id))
    else:
        world.set_reach(call)
    visits.go_on(world, call, HowIn.TRANSFERRED)
    world.note_call(call)


def _leave_if_must(world: World, call: c.Call) -> None:
    overflow.arm(world, call)
    if (reason := overflow.must_leave(world, call)) is not None:
        overflow.send_on(world, call, *reason)
