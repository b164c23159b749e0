"""What becomes of a call: it joins, is returned, ends. When it leaves by rule is in `overflow`, offers in `offers`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fsacd.core import call as c
from fsacd.core import offer as o
from fsacd.core.call import in_queue
from fsacd.core.commands import ArmCall, CancelReason, ConfirmTalk, NoteContact
from fsacd.core.ended import Before
from fsacd.core.events import (
    CallQueued,
    CallReturned,
    Leg,
)
from fsacd.core.evidence import Evidence
from fsacd.core.life import (
    absence,
    connecting,
    ending,
    offers,
    overflow,
    resuming,
    shaping,
    sticky,
    visits,
    withdrawing,
)
from fsacd.core.life.world import World
from fsacd.core.records import CallJoined, CallOutcome, OfferOutcome, TalkEnd
from fsacd.core.rules import ToExtension, ToHangup


def queued(world: World, event: CallQueued) -> str | None:
    """A caller is announced, for the first time or again."""
    # The music loop announces its caller every few seconds, so a known call is the ordinary case.
    known = world.calls.get(event.call_id)
    if known is not None:
        if known.orphan and event.leg is not None and event.leg != known.leg:
            _take_heir(world, known, event)
        else:
            keep_contact(world, known, event)
        return None
    before = world.ended.take_back(event.call_id)
    if event.call_id in world.ended:
        final_command = world.ended.announced_again(event.call_id, world.now_ms)
        if final_command is not None:
            # An orphaned call is announced by the leg that replaces its own.
            world.command(final_command if event.leg is None else replace(final_command, leg=event.leg))
        return None
    call = make(world, event, before)
    keep_contact(world, call, event)
    if not world.has_queue(call.queue):
        return _refuse(world, call, f"there is no queue {event.queue!r}")
    if event.leg is None:
        # Until callbacks are dialled nothing could connect it, and an agent would be rung for nobody.
        return _refuse(world, call, "it has no leg to talk on")
    if len(world.calls) >= world.rules.limits.calls:
        return _refuse(world, call, f"the limit of {world.rules.limits.calls} calls is reached")
    if not event.changed:  # a call that was changed by hand, or by an earlier daemon, keeps the place it was given
        resuming.resume(world, call)
    world.add_call(call)
    visits.first(world, call, event.visit, event.how_in, before.visit if before is not None else None)
    world.record(CallJoined(call.call_id, call.queue, world.now_ms, contact_id=call.contact_id))
    if call.resumes:
        world.note_call(call)
    overflow.join(world, call)
    return None


def make(world: World, event: CallQueued, before: Before | None) -> c.Call:
    """The call that this announcement speaks of, which stands nowhere yet.

    `before`: of one that had ended, as far as was known, what is known of it.
    """
    queue = world.queue_named(event.queue)
    rules = world.rules.queues.get(queue)
    priority = event.priority if event.priority is not None else (rules.priority if rules else 0)
    arrived_ms = min(event.arrived_ms, world.now_ms)  # a leg cannot come from the future, but two clocks can differ
    # By position: between the announcement and the ring, see `offers.make`.
    call = c.Call(
        event.call_id,
        queue,
        arrived_ms,
        min(arrived_ms + event.joined_after_ms, world.now_ms),
        event.head_start_ms,
        priority,
        event.required,
        event.leg,
        event.number,
        event.name,
        event.customer,
        event.language,
        event.named_agent,
        event.source,
        event.number_believed is not False,
        event.identity,
        event.hidden,
        priority,
    )
    call.epoch = world.epochs.get(event.leg.switch, 0) if event.leg is not None else 0
    call.shown_name, call.shown_number, call.variables = event.shown_name, event.shown_number, event.variables
    call.customer_id, call.remembered_as = event.customer_id, event.remembered_as
    call.contact_id = event.contact_id or event.call_id
    if before is not None:
        call.came_back = True
        call.offers = before.offers  # the count goes on, because the ids of agents' legs are made from it
    return call


def keep_contact(world: World, call: c.Call, event: CallQueued) -> None:
    """Let the call's leg, which this fact tells of, say to which contact it belongs: the leg's next call asks it."""
    if event.contact_id in (None, call.contact_id) or call.leg is None or event.leg != call.leg:
        return
    # The ordinary case ends above: the dialplan has noted it. An older one notes none, an operator's may not fit, and a
    # leg that has taken another's place has none.
    world.command(NoteContact(call.call_id, call.leg, call.contact_id))


def _refuse(world: World, call: c.Call, why: str) -> str:
    """The call never stands in a queue; its caller takes the dialplan's fallback."""
    world.anomaly("call_refused", f"call {call.call_id} was refused: {why}")
    call.queue = call.queue if call.queue in world.rules.queues else ""
    final_command = ending.final_command_to(call, world.rules.fallback)
    ending.write(
        world, call, CallOutcome.REFUSED, why, after=ending.name_of(world.rules.fallback if final_command else None)
    )
    world.ended.remember(call.call_id, final_command, world.now_ms)
    if final_command is not None:
        world.command(final_command)
    return why


def back_to_waiting(world: World, call: c.Call) -> None:
    """The call waits (again), with the place it had; or leaves, if its time came while an agent rang."""
    call.answered_after_ms = None
    world.move_call(call, c.WAITING)
    if call.taken is not None:
        ending.let_go(world, call, call.taken)
        return
    world.set_reach(call)
    if call.queue in world.retired:
        queue_removed(world, call)
    elif (reason := overflow.must_leave(world, call)) is not None:
        overflow.send_on(world, call, *reason)


def one_less(world: World, call: c.Call, offer_id: str) -> None:
    """One phone fewer rings for the call; with the last one it waits again."""
    assert isinstance(call.state, c.Ringing)
    left = tuple(other for other in call.state.offer_ids if other != offer_id)
    if left:
        world.move_call(call, c.Ringing(left))
    else:
        back_to_waiting(world, call)


def returned(world: World, event: CallReturned) -> None:
    """The caller hears music again. Ordinary after a broken bridge; also after a talk whose end we saw first."""
    call = call_of(world, event.call_id, event.leg)
    if call is None:
        world.repeat_final_command(event.call_id)
        return
    match call.state:
        case c.Connecting(offer_id):
            call.taken = None
            withdrawing.withdraw(world, offer_id, CancelReason.BRIDGE_WINDOW)
            back_to_waiting(world, call)
        case c.Talking(offer_id) if shaping.returned(world, call, offer_id):
            pass
        case c.Talking() | c.Settling() as talk:
            _back_from_talk(world, call, talk, event.at_ms)
        case c.Waiting() | c.Ringing():
            pass  # put back by us already, when the agent's leg ended


def _back_from_talk(world: World, call: c.Call, talk: c.Talking | c.Settling, back_ms: int | None) -> None:
    """The caller is back in the music since `back_ms`: by this time it is decided whether there was a talk."""
    since_ms = talk.since_ms if isinstance(talk, c.Talking) else talk.offer.connected_ms
    assert since_ms is not None
    if isinstance(talk, c.Settling) and talk.offer.talked_ms:
        back_ms = since_ms + talk.talk_ms  # the switch has measured it
    elif back_ms is None:
        # The switch has noted no time: it was just now, or when the agent's leg ended.
        back_ms = world.now_ms if isinstance(talk, c.Talking) else since_ms + talk.talk_ms
    if back_ms - since_ms >= world.rules.limits.settle_ms:
        if isinstance(talk, c.Talking):
            end_talk(world, call, talk, "agent_hung_up", back_ms)
        else:
            was_talk(world, call, talk)
            end_answered(world, call, "agent_hung_up")
        world.repeat_final_command(call.call_id)
        return
    if call.confirmed_ms is not None:
        # The talk was confirmed while the caller was in the music, which has disarmed the leg.
        assert call.leg is not None
        world.command(ArmCall(call.call_id, call.leg))
    if isinstance(talk, c.Talking):
        offers.talk_broken(world, talk.offer_id)
    else:
        withdrawing.write(world, talk.offer, OfferOutcome.FAILED, str(CancelReason.BRIDGE_WINDOW))
    if call.first_talk is not None:
        shaping.next_is_gone(world, call)
    else:
        back_to_waiting(world, call)


def call_of(world: World, call_id: str, leg: Leg | None) -> c.Call | None:
    """The live call that this leg may speak for.

    FreeSWITCH copies variables from leg to leg in more places than one, and some of them can be reached from outside
    (a REFER whose target carries headers); whoever has got hold of a call's id must not end it.
    """
    call = world.calls.get(call_id)
    if call is None or leg is None or call.leg is None or leg in (call.leg, call.heir):
        return call
    world.anomaly("foreign_leg", f"leg {leg.uuid} on {leg.switch} claims to be that of call {call_id}")
    return None


def _take_heir(world: World, call: c.Call, event: CallQueued) -> None:
    for agent in world.agents.values():
        if call.leg in agent.outside:
            offers.not_taken(world, call, agent.agent_id)  # this agent has handed the caller over: others come first
    before = call.switch
    world.adopt_leg(call, event)
    if call.switch != before:  # other agents are in reach
        world.miss(call.switch)
        world.set_reach(call)
        sticky.keep_in_reach(world, call)
    world.note_call(call)
    keep_contact(world, call, event)
    if call.queue in world.retired:
        queue_removed(world, call)
    elif (reason := overflow.must_leave(world, call)) is not None:
        overflow.send_on(world, call, *reason)


def agent_hung_up(world: World, call: c.Call, offer: o.Offer) -> None:
    """The agent's leg ended during the talk, perhaps because the caller's has, of which nothing was told yet."""
    settling = c.Settling(world.now_ms + world.rules.limits.settle_ms, offer, offer.talk_ms(world.now_ms))
    if _may_have_broken(world, call, offer):
        world.move_call(call, settling)
    else:
        was_talk(world, call, settling)
        if offer.keeps_caller and call.leg is not None and not call.talks_on_another_leg:
            # They are on the way to the music, where the last command is told to them; or their agent has transferred
            # them, and after that bridge they must not come to us.
            world.command(ConfirmTalk(call.call_id, call.leg, world.queue_rules(call).after_talk))
        end_answered(world, call, who_hung_up(offer))


def who_hung_up(offer: o.Offer) -> str:
    """How a call ends whose agent's leg was told to have ended first."""
    return "caller_hung_up" if offer.released else "agent_hung_up"


def connection_lost(world: World, call: c.Call, offer: o.Offer) -> None:
    """The agent's leg ended during the talk because their phone fell silent: the caller goes back to the queue."""
    is_short = offer.talk_ms(world.now_ms) < world.rules.limits.settle_ms
    comes_back = call.confirmed_ms is None or offer.keeps_caller
    if is_short and call.confirmed_ms is None:
        agent_hung_up(world, call, offer)  # there was no talk: the caller keeps their place
        return
    withdrawing.write(world, offer, OfferOutcome.ANSWERED, "talk", None, TalkEnd.CONNECTION_LOST)
    if comes_back and call.leg is not None and not call.talks_on_another_leg:
        shaping.back_to_queue(world, call, CONNECTION_LOST)
        return
    # Nothing brings this caller back: the switch has released them, or sent them to where they go after a talk.
    call.talked_ms += offer.talk_ms(world.now_ms)
    end_answered(world, call, CONNECTION_LOST)


CONNECTION_LOST = shaping.CONNECTION_LOST


def _may_have_broken(world: World, call: c.Call, offer: o.Offer) -> bool:
    """Whether the caller may be on the way back to the music, because there was no talk."""
    settle_ms = world.rules.limits.settle_ms
    if offer.talked_ms:
        return offer.talked_ms < settle_ms
    # The switch does not say. If the daemon was stopped, it hears only now of what happened before it confirmed.
    return call.confirmed_ms is None or world.now_ms - call.confirmed_ms < settle_ms


def was_talk(world: World, call: c.Call, settling: c.Settling) -> None:
    """Count a short talk as a talk."""
    ended_by = TalkEnd.CALLER if settling.offer.released else TalkEnd.AGENT
    withdrawing.write(world, settling.offer, OfferOutcome.ANSWERED, "talk", None, ended_by)
    call.talked_ms += settling.talk_ms


def settled(world: World, call_id: str) -> None:
    """The talk has lasted long enough to be one; or it broke at once, and the caller did not come back."""
    call = world.calls[call_id]
    if not world.may_offer(call):
        # Without the link nobody can tell whether the bridge broke. When it is back, the switch tells that first.
        world.timers.set("settle", call_id, absence.until_ms(world, call.switch))
        return
    match call.state:
        case c.Talking() if call.talks_on_another_leg:
            pass  # commands to the leg that talks now are not ours to send
        case c.Talking():
            assert call.leg is not None
            call.confirmed_ms = world.now_ms
            # Not earlier: up to here the switch itself sends a caller whose agent's leg dies back to the music.
            connecting.confirm(world, call, world.offers[call.state.offer_id])
        case c.Settling(until_ms) if call.confirmed_ms is None and world.now_ms < until_ms + _UNTOLD_MS:
            # The switch puts such a caller back into the music, unless they hang up, and tells either of it; a link
            # that has gone deaf keeps it from us until that is noticed. Time alone would release who waits.
            world.timers.set("settle", call_id, until_ms + _UNTOLD_MS)
        case c.Settling() as settling:
            was_talk(world, call, settling)
            end_answered(world, call, who_hung_up(settling.offer))
        case c.Waiting() | c.Ringing() | c.Connecting():
            raise AssertionError(f"a call in {call.state} has nothing to settle")


# A dead link is noticed within 50 s (`heartbeat_timeout`), the next comparison with the switch comes within 30 s.
_UNTOLD_MS = 60_000


_LOST = TalkEnd.LOST  # this and the next as in `grounds`
_ANSWERED = CallOutcome.ANSWERED
_ENDED_BY = {"caller_hung_up": TalkEnd.CALLER, "agent_hung_up": TalkEnd.AGENT}


def end_talk(
    world: World, call: c.Call, talk: c.Talking, detail: str, at_ms: int, evidence: Evidence | None = None
) -> None:
    """The caller's side of the talk is over, since `at_ms`."""
    offers.talk_over(world, talk.offer_id, _ENDED_BY.get(detail, _LOST))
    call.talked_ms += at_ms - talk.since_ms
    end_answered(world, call, detail, evidence)


def end_answered(world: World, call: c.Call, detail: str, evidence: Evidence | None = None) -> None:
    """A call that talked is over; its caller goes where the queue says."""
    after = world.queue_rules(call).after_talk or _HANGUP
    ending.end(world, call, _ANSWERED, detail, after=after, evidence=evidence)


_HANGUP = ToHangup()


def take_offers_back(world: World, call: c.Call, reason: CancelReason) -> None:
    """No agent shall ring for this call any more. The call's own state is the caller's to change."""
    match call.state:
        case c.Ringing(offer_ids):
            for offer_id in offer_ids:
                withdrawing.withdraw(world, offer_id, reason)
        case c.Connecting(offer_id):
            withdrawing.withdraw(world, offer_id, reason)
        case c.Waiting() | c.Talking() | c.Settling():
            pass


QUEUE_REMOVED = shaping.QUEUE_REMOVED


def queue_removed(world: World, call: c.Call) -> None:
    """The call's queue is gone from the configuration, and it does not talk yet: it takes the fallback."""
    overflow.send_on(world, call, world.rules.when_queue_removed or world.rules.fallback, QUEUE_REMOVED)


def end_without_queue(world: World, call: c.Call, target: ToExtension | ToHangup) -> None:
    """The call ends here, as far as we go, because its queue is no more."""
    ending.end(world, call, CallOutcome.OVERFLOWED, QUEUE_REMOVED, send_to=target)


def arm_again(world: World, switch: str) -> None:
    """The link is back: the order to arm a caller whose talk broke may have been lost with the last one."""
    for call in world.calls.values():
        was_confirmed = in_queue(call.state) and call.confirmed_ms is not None
        if was_confirmed and call.leg is not None and call.leg.switch == switch:
            world.command(ArmCall(call.call_id, call.leg))


def rearm(world: World, arriving: Collection[c.Call], queues: Collection[str] | None = None) -> None:
    """After a reload: the new rules (of these queues) hold for the calls that wait already, or may wait again.

    `arriving` are about to join one of these queues. That they leave it again is looked at when they do.
    """
    joining = {call.call_id for call in arriving}
    for call in [call for call in world.calls.values() if queues is None or call.queue in queues]:
        if world.orderings[call.queue].ring.beyond_best:
            call.only_rank_and_level = None  # the strategy that set it is gone
        world.set_reach(call)
        sticky.keep_in_reach(world, call)
        overflow.arm(world, call)
        if in_queue(call.state) and call.call_id not in joining:
            overflow.leave_by_step(world, call)
