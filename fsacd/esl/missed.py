"""Finds out what has become of the legs that the engine knows, when the events of it were missed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from fsacd.core.events import (
    CallerGone,
    CallerTaken,
    CallLeft,
    CallLost,
    CallReturned,
    Event,
    Leg,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OfferUnheard,
    Taken,
)
from fsacd.core.offer import MAKING_MS
from fsacd.core.records import ENDED_UNSEEN, Elsewhere
from fsacd.core.views import CallView, OfferView, Underway
from fsacd.esl import encoder
from fsacd.esl.announced import LONGEST_TEXT, is_recovered
from fsacd.esl.codec import Kind, Message
from fsacd.esl.differences import (
    BETWEEN,
    CONTEXT,
    HERE,
    PARTNER,
    SILENT,
    Absence,
    Ask,
    Difference,
    Finding,
    Returned,
    Row,
    Talk,
    armed,
    disarmed,
    dump,
    has_ended,
    in_music,
    into_music,
    known_legs,
    talk_of,
)
from fsacd.esl.wire import Wire, is_offer

# In these states of a call, fsacd has not ordered a bridge for its caller.
_UNBRIDGED = ("waiting", "offered")


_LAST_PARTNER, _LAST_CAUSE = "variable_last_bridge_to", "variable_last_bridge_hangup_cause"


# Somebody has parked the leg (uuid_park): its caller hears nothing, and waits until somebody picks them up.
_PARK = "CS_PARK"


def findings(
    underway: Underway,
    switch: str,
    rows: Mapping[str, Row],
    ask: Ask,
    returned: Returned,
    away: Absence = HERE,
    talk: Talk | None = None,
    *,
    silent: bool = False,
) -> Iterator[Finding]:
    """What the engine has missed of the legs that it knows on this switch, in the order in which to tell it.

    Blocks for as long as `ask` does, two or three questions for each leg that has ended or may have moved on. A caller
    who waits in the list as in the engine is not asked for: without us nobody bridges them. `returned` reads the leg of
    a caller who is back in the music, `talk` the two legs of a talk that another daemon connected. `silent` legs have
    said nothing for so long that what they are doing now is no passing moment.
    """
    calls = {call.leg.uuid: call for call in underway.calls if call.leg is not None and call.leg.switch == switch}
    offers = {offer.offer_id: offer for offer in underway.offers if offer.switch == switch}
    if away.restarted:
        rows = {}  # for a while the list still shows the legs of before the crash: only each leg's own answer counts
    connecting = {leg for offer in offers.values() if offer.state == "connecting" for leg in offer.live_legs}
    talking = {offer.call_id: offer.live_legs[0] for offer in offers.values() if offer.state == "talking"}
    lost = set[str]()  # calls whose agent's phone fell silent
    for leg, call in calls.items():
        if leg not in rows and has_ended(leg, ask):
            replaced = call.call_id in talking and _talks_with_another(talking[call.call_id], leg, ask)
            yield Finding(Difference.CALL_WITHOUT_LEG, leg, _end_of(call, away, replaced=replaced))
        elif _is_in_doubt(call, rows.get(leg)):
            channel = Message(Kind.EVENT, dump(leg, ask))
            if call.state == "talking" and _fell_silent(channel, talking.get(call.call_id, ""), ask):
                lost.add(call.call_id)  # told below, in place of the return of a caller whose agent has hung up
            elif call.state == "talking":
                yield from _broken(leg, channel, returned)
                if not away.restarted:  # after a crash the switch may be about to make the bridge anew
                    yield from _unbridged(leg, channel, talking.get(call.call_id), ask)
            else:
                moved = list(_moved_on(call, leg, channel, connecting, talk, ask))
                yield from moved or (_stuck(call, leg, channel) if silent else ())
    for offer_id, offer in offers.items():
        legs = offer.live_legs
        made = away.restarted or not may_be_in_the_making(offer, underway.now_ms)
        if made and not any(leg in rows for leg in legs) and all(has_ended(leg, ask) for leg in legs):
            left = _left_by_crash(offer, calls.values(), ask) if away.restarted else None
            silent_end = offer.state == "talking" and offer.call_id in lost
            end = _end_of_offer(offer, away, silent=silent_end)
            yield Finding(Difference.OFFER_WITHOUT_LEG, offer_id, end, then=left)
        elif offer.state == "ringing":
            for leg in _perhaps_answered(offer, rows):
                yield from _answered(offer, leg, ask)


def unheard(underway: Underway, switch: str, rows: Mapping[str, Row], ask: Ask) -> Iterator[Finding]:
    """Orders to ring that may be lost: the link broke before anything was heard of them, and they have no leg.

    Their callers would wait for phones that perhaps never ring, while later callers are served. Blocks as `missed`
    does.
    """
    for offer in underway.offers:
        if offer.switch != switch or offer.state != "ringing" or not may_be_in_the_making(offer, underway.now_ms):
            continue
        if not any(leg in rows for leg in offer.live_legs) and all(has_ended(leg, ask) for leg in offer.live_legs):
            yield Finding(Difference.OFFER_UNHEARD, offer.offer_id, OfferUnheard(offer.offer_id))


def mistaken(
    underway: Underway, switch: str, rows: Mapping[str, Row], ask: Ask, talk: Talk | None
) -> Iterator[Finding]:
    """Offers to one agent under whose leg's name another agent's leg exists: the offer's own leg does not.

    Only a journal of 0.1.0 that ends with a crash leads to such offers. Replayed by newer rules, the same attempt for
    the same call may go to another agent. The names of 0.1.0 differ from today's in the last digit alone, like the
    names of one offer's legs. If the leg were taken for the offer's, another agent's talk would be ended.
    """
    for offer in underway.offers:
        if offer.switch != switch or offer.offer_id in rows:
            continue
        for leg in offer.live_legs:
            agents = Message(Kind.EVENT, dump(leg, ask) if leg in rows else {})
            if agents.get("variable_fsacd_agent") in ("", offer.agent_id):
                continue
            caller = agents.get(PARTNER)
            if caller and (found := talk_of(caller, Message(Kind.EVENT, dump(caller, ask)), talk, ask)) is not None:
                yield Finding(Difference.UNKNOWN_TALK, leg, found)
            elif offer.state != "talking":
                never = OfferEnded(offer.offer_id, OfferEnd.NOT_SENT, ENDED_UNSEEN)
                yield Finding(Difference.OFFER_WITHOUT_LEG, offer.offer_id, never)


def asked_for(underway: Underway, switch: str, rows: Mapping[str, Row], away: Absence = HERE) -> list[Wire]:
    """The questions about known legs that `missed` is going to ask."""
    exist = recoverable(underway, switch) if away.restarted else []
    rows = {} if away.restarted else rows
    legs = [
        call.leg.uuid
        for call in underway.calls
        if call.leg is not None and call.leg.switch == switch and _is_in_doubt(call, rows.get(call.leg.uuid))
    ]
    ringing = [offer for offer in underway.offers if offer.switch == switch and offer.state == "ringing"]
    legs += [leg for offer in ringing for leg in _perhaps_answered(offer, rows)]
    return exist + [encoder.uuid_dump(leg) for leg in legs]


def recoverable(underway: Underway, switch: str) -> list[Wire]:
    """The question for each leg that a crash of the switch need not end: those that are answered."""
    legs = [*known_legs(underway, switch)]
    talking = (offer for offer in underway.offers if offer.switch == switch and offer.state == "talking")
    legs += [leg for offer in talking for leg in offer.live_legs]
    return [encoder.uuid_exists(leg) for leg in legs]


def _talks_with_another(agents_leg: str, leg: str, ask: Ask) -> bool:
    """Whether the agent goes on talking with somebody to whom the caller has transferred them."""
    partner = Message(Kind.EVENT, dump(agents_leg, ask)).get(PARTNER)
    return partner not in ("", leg)


def _end_of(call: CallView, away: Absence, *, replaced: bool) -> Event:
    if replaced:
        return CallerGone(call.call_id, ENDED_UNSEEN, transferred=True, leg=call.leg, found=True)
    if away.restarted:
        return CallLost(call.call_id, "switch_restarted")
    if away.lease_ended and call.state != "talking":
        return CallLost(call.call_id, ENDED_UNSEEN)  # the fallback may have ended the call: nobody knows
    return CallerGone(call.call_id, ENDED_UNSEEN, leg=call.leg, found=True)


def may_be_in_the_making(offer: OfferView, now_ms: int) -> bool:
    """Whether the switch may have accepted the order for this leg, and not have made it yet.

    The switch makes legs on threads of their own, and a busy switch takes seconds; until then it says that there is no
    such leg. An agent who counts as free meanwhile would be rung twice.
    """
    return not offer.heard_of and offer.state in ("ringing", "ending") and now_ms - offer.started_ms < MAKING_MS


def _end_of_offer(offer: OfferView, away: Absence, *, silent: bool) -> Event:
    if silent:
        return OfferEnded(offer.offer_id, OfferEnd.CONNECTION_LOST, SILENT, answered=True)
    if away.restarted and offer.state != "talking":
        return OfferEnded(offer.offer_id, OfferEnd.NOT_SENT, "switch_restarted")  # the crash, not the agent
    return OfferEnded(offer.offer_id, OfferEnd.HUNG_UP, "switch_restarted" if away.restarted else ENDED_UNSEEN)


def _left_by_crash(offer: OfferView, calls: Iterable[CallView], ask: Ask) -> Event | None:
    """The caller of a talk of which only the caller's leg was recovered.

    No bridge has ended there, so the switch neither releases the caller nor sends them on: they would hear nothing.
    """
    for call in calls:
        if call.call_id == offer.call_id and call.leg is not None and offer.state == "talking":
            return None if has_ended(call.leg.uuid, ask) else CallReturned(call.call_id, call.leg)
    return None


def _is_in_doubt(call: CallView, row: Row | None) -> bool:
    """Whether the list does not tell what has become of this call's leg."""
    if call.state == "talking":
        return row is None or row.get("application") != "uuid_bridge"
    if call.state == "connecting" or row is None:
        return True
    return row.get("context") != CONTEXT or bool(row.get("call_uuid")) or row.get("state") == _PARK


def _perhaps_answered(offer: OfferView, rows: Mapping[str, Row]) -> list[str]:
    """The legs of a ringing offer that may be answered: the list does not show them as ringing.

    Of several legs, only those that the list shows at all.
    """
    legs = offer.live_legs
    listed = legs if len(legs) == 1 else [leg for leg in legs if leg in rows]
    return [leg for leg in listed if _seems_answered(rows.get(leg))]


def _seems_answered(row: Row | None) -> bool:
    return row is None or row.get("callstate") not in ("RINGING", "EARLY")


def _broken(leg: str, channel: Message, returned: Returned) -> Iterator[Finding]:
    """A talk whose caller is back in the music, and so has left the talk. No other place of the caller matters here."""
    if channel.get("Unique-ID") != leg or channel.get(PARTNER) or channel.get("Answer-State") == "hangup":
        return
    if in_music(channel):
        yield Finding(Difference.CALL_RETURNED, leg, returned(channel))


def _fell_silent(channel: Message, agents_leg: str, ask: Ask) -> bool:
    """Whether the agent's leg has ended because their phone fell silent: the switch notes it on their partner's leg."""
    silent = channel.get(_LAST_PARTNER) == agents_leg != "" and channel.get(_LAST_CAUSE) == SILENT
    return silent and not channel.get(PARTNER) and has_ended(agents_leg, ask)


def _unbridged(leg: str, channel: Message, offer: str | None, ask: Ask) -> Iterator[Finding]:
    """A talk whose legs the switch has recovered after a crash, but not their bridge, which was too young."""
    alone = channel.get("Unique-ID") == leg and not channel.get(PARTNER) and channel.get("Answer-State") != "hangup"
    if offer is None or not alone or channel.get("variable_fsacd_recovered") != "true":
        return
    agents = Message(Kind.EVENT, dump(offer, ask))
    if agents.get("Unique-ID") == offer and agents.get("variable_current_application") == "park":
        yield Finding(Difference.TALK_UNBRIDGED, leg, remedy=encoder.uuid_bridge(leg, offer))


def _moved_on(
    call: CallView, leg: str, channel: Message, connecting: Collection[str], talk: Talk | None, ask: Ask
) -> Iterator[Finding]:
    if channel.get("Unique-ID") != leg:
        return  # no answer: the call stays as the engine knows it
    partner = channel.get(PARTNER, "")
    if not partner and channel.get(_LAST_PARTNER) in connecting and channel.get("Caller-Context") != CONTEXT:
        # They have talked meanwhile, and the talk is over: the call must not end as that of a caller who waits.
        yield Finding(Difference.BRIDGE_UNHEARD, leg, OfferConnected(channel.get(_LAST_PARTNER)))
    elif partner in connecting:
        yield Finding(Difference.BRIDGE_UNHEARD, leg, OfferConnected(partner))
    elif (found := talk_of(leg, channel, talk, ask)) is not None and found.call.call_id == call.call_id:
        yield Finding(Difference.UNKNOWN_TALK, leg, found)
    elif _is_disarmed_in_music(call, channel):
        # A talk was confirmed and broke all the same, and the order to arm the leg again was lost with a link.
        yield Finding(Difference.CALLER_DISARMED, leg, remedy=armed(leg))
    elif channel.get("variable_fsacd_call") != call.call_id or channel.get("variable_fsacd_over") == "true":
        # The leg carries another call, or the dialplan's fallback has ended this one.
        into = channel.get("variable_fsacd_queue") if channel.get("variable_fsacd_over") != "true" else ""
        yield Finding(Difference.CALL_ELSEWHERE, leg, CallLeft(call.call_id, found=True, into=into[:LONGEST_TEXT]))
    elif partner and has_ended(partner, ask):
        # The switch sends the caller back without us, except after a crash: it may have recovered one leg of a talk,
        # and then no bridge ends. The caller has kept their place, and hears nothing.
        if is_recovered(channel):
            yield Finding(Difference.CALLER_IN_LIMBO, leg, remedy=into_music(leg))
    elif is_offer(partner):
        # They talk with an agent in a talk that we do not know. After it they must not come back into a queue without a
        # call.
        yield Finding(Difference.CALL_ELSEWHERE, leg, CallLost(call.call_id, Elsewhere.TALKS_UNSEEN), disarmed(leg))
    elif call.leg is not None and (taken := _taken(call.leg, channel)) is not None:
        yield Finding(Difference.CALL_ELSEWHERE, leg, taken)


def _is_disarmed_in_music(call: CallView, channel: Message) -> bool:
    ours = channel.get("variable_fsacd_call") == call.call_id and channel.get("variable_fsacd_over") == "true"
    return ours and not channel.get(PARTNER) and in_music(channel)


def _taken(leg: Leg, channel: Message) -> CallerTaken | None:
    """Who has taken a caller away, or where they were moved; None for one who is in the music."""
    if channel.get(PARTNER):
        number = channel.get("Other-Leg-Caller-ID-Number") or channel.get("Caller-Caller-ID-Number")
        return CallerTaken(leg, Taken.PICKED_UP, number[:LONGEST_TEXT], found=True)
    where = f"{channel.get('Caller-Destination-Number')} {channel.get('Caller-Context')}"[:LONGEST_TEXT]
    if channel.get("Channel-State") == _PARK:
        return CallerTaken(leg, Taken.PARKED, where, found=True)
    if channel.get("Caller-Context") not in ("", CONTEXT):
        return CallerTaken(leg, Taken.MOVED, where, found=True)
    return None


def _answered(offer: OfferView, leg: str, ask: Ask) -> Iterator[Finding]:
    # A leg that is answered but not parked yet would lose the bridge. Its parking will come as an event.
    channel = dump(leg, ask)
    parked = channel.get("Answer-State") == "answered" and channel.get("variable_current_application") == "park"
    if parked and not channel.get(PARTNER):
        which = leg if offer.legs else ""
        yield Finding(Difference.ANSWER_UNHEARD, offer.offer_id, OfferAnswered(offer.offer_id, offer.switch, which))


def _stuck(call: CallView, leg: str, channel: Message) -> Iterator[Finding]:
    """A caller whose leg waits for ever for another party's bridge: the other leg ended while the bridge was made."""
    if call.state in _UNBRIDGED and channel.get("Unique-ID") == leg and channel.get("Channel-State") in BETWEEN:
        yield Finding(Difference.CALLER_IN_LIMBO, leg, remedy=into_music(leg))


def in_limbo(underway: Underway, switch: str, rows: Mapping[str, Row]) -> Iterator[Finding]:
    """Waiting callers whose leg is stuck between two things: they hear nothing, and are put into the music again."""
    for call in underway.calls:
        if call.leg is None or call.leg.switch != switch or call.state not in _UNBRIDGED:
            continue
        row = rows.get(call.leg.uuid, {})
        if row.get("state") in BETWEEN and not row.get("call_uuid"):
            yield Finding(Difference.CALLER_IN_LIMBO, call.leg.uuid, remedy=into_music(call.leg.uuid))


def unchanged(found: Iterable[Finding], before: Underway, now: Underway, switch: str) -> list[Finding]:
    """The findings about legs of which the engine learned nothing while the switch was asked: else it knows better."""
    then, since = _states(before, switch), _states(now, switch)
    return [finding for finding in found if then.get(finding.leg) == since.get(finding.leg)]


def _states(underway: Underway, switch: str) -> dict[str, tuple[str, int]]:
    calls = (call for call in underway.calls if call.leg is not None and call.leg.switch == switch)
    known = {call.leg.uuid: (call.state, call.offers) for call in calls if call.leg is not None}
    return known | {
        offer.offer_id: (f"{offer.state} {offer.pair} {offer.phone_holds}", 0)
        for offer in underway.offers
        if offer.switch == switch
    }
