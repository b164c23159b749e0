"""Legs on the switch that the engine does not know: callers who wait, rings, talks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from fsacd.core.events import (
    CallQueued,
    CallReturned,
    Event,
)
from fsacd.core.offer import is_leg_of
from fsacd.core.views import Underway
from fsacd.esl import encoder, standing
from fsacd.esl.announced import is_recovered
from fsacd.esl.codec import Kind, Message
from fsacd.esl.differences import (
    BETWEEN,
    CONTEXT,
    PARTNER,
    Ask,
    Difference,
    Finding,
    Row,
    Talk,
    disarmed,
    dump,
    has_ended,
    in_music,
    into_music,
    is_in_room,
    known_legs,
    on_hold,
    talk_of,
)
from fsacd.esl.wire import is_offer

_LONGEST_NUMBER = 19


def suspected(underway: Underway, switch: str, rows: Mapping[str, Row]) -> list[str]:
    """Legs that may be ours and that the engine does not know: in the context of the waiting, or with an offer's id."""
    known = known_legs(underway, switch)
    known |= {leg for offer in underway.offers if offer.switch == switch for leg in offer.live_legs}
    known |= {leg.leg for leg in underway.standing_legs if leg.switch == switch and leg.state != "ringing"}
    found = [leg for leg, row in rows.items() if leg not in known and (row.get("context") == CONTEXT or is_offer(leg))]
    # The legs that came first are found first when there are too many.
    return sorted(found, key=lambda leg: str(rows[leg].get("created_epoch", "")))


def findings(
    legs: Iterable[str],
    ask: Ask,
    queued: Callable[[Message], Event | None],
    talk: Talk | None = None,
    switch: str = "",
) -> list[Finding]:
    """What these strangers are: callers who wait (in the order of their arrival), rings, talks of which nobody knows.

    `queued` reads a waiting caller's leg as an announcement is read. `talk` reads the two legs of a talk: a talk that
    an earlier daemon connected becomes ours. Without `talk` such a talk goes on, and its caller is released after it.
    A standing leg on `switch` tells of itself.
    """
    callers: list[tuple[int, int, CallQueued]] = []
    others: list[Finding] = []
    for leg in legs:
        channel = Message(Kind.EVENT, dump(leg, ask))
        if channel.get("Unique-ID") != leg or channel.get("Answer-State") == "hangup":
            continue
        partner = channel.get(PARTNER)
        bridged = bool(partner)
        match channel.get("variable_fsacd_leg"):
            case "caller" if (found := talk_of(leg, channel, talk, ask)) is not None:
                others.append(Finding(Difference.UNKNOWN_TALK, leg, found))
            case "caller" if not bridged and (on_hold(channel) or is_in_room(channel)):
                # Nobody knows of a talk in which they could be on hold. In the music they announce themselves: who is
                # remembered is told where to go, and all others wait again, with their time.
                others.append(Finding(Difference.CALLER_IN_LIMBO, leg, remedy=into_music(leg)))
            case "caller" if channel.get("variable_fsacd_over") == "false":
                if bridged and has_ended(partner, ask):
                    # The caller was recovered after a crash, the agent was not: the caller hears nothing and waits on.
                    others.append(Finding(Difference.CALLER_IN_LIMBO, leg, remedy=into_music(leg)))
                elif bridged:
                    others.append(Finding(Difference.UNKNOWN_TALK, leg, remedy=disarmed(leg)))
                elif isinstance(fact := queued(channel), CallQueued) and fact.leg is not None:
                    callers.append((fact.arrived_ms, _number(channel.get("variable_fsacd_queued_at")), fact))
            case "caller" if talk is None and _is_left_alone(channel, partner, ask):
                kill = encoder.uuid_kill(leg, "NORMAL_CLEARING")
                others.append(Finding(Difference.CALLER_IN_LIMBO, leg, remedy=kill))
            case "caller" if not bridged and in_music(channel) and isinstance(fact := queued(channel), CallQueued):
                # The call is over, and the command that was to end its leg was lost: the engine gives the command
                # again.
                others.append(Finding(Difference.CALL_RETURNED, leg, CallReturned(fact.call_id, fact.leg)))
            case _:  # a feature code, a talk that goes on, somebody who has left the queue; or an agent's
                others += _agents(leg, channel, switch)
    return others + [_adopted(fact) for fact in _one_after_the_other(callers)]


def _agents(leg: str, channel: Message, switch: str) -> Iterator[Finding]:
    """An agent's leg, or that of whom they ask, of which nobody knows: a ring, or a standing leg that waits."""
    if standing.waits(channel):
        yield Finding(Difference.STANDING_LEG_UNHEARD, leg, standing.up(channel, switch))
    elif (
        channel.get("variable_fsacd_leg") in {"agent", "third"}
        and is_leg_of(leg, channel.get("variable_fsacd_offer"))
        and not channel.get(PARTNER)
    ):
        # This cause ends the ring at all phones (ringing.py), and the phones show no missed call.
        yield Finding(Difference.UNKNOWN_AGENT_LEG, leg, remedy=encoder.uuid_kill(leg, "LOSE_RACE"))


def _is_left_alone(channel: Message, partner: str, ask: Ask) -> bool:
    """Whether nothing would ever release this caller, whose call is over.

    A crash has left them alone in a former talk, and no end of a bridge comes any more; or others have taken them away,
    and somebody's next bridge failed.
    """
    if partner:
        return is_recovered(channel) and has_ended(partner, ask)
    return _is_stuck(channel)


def _is_stuck(channel: Message) -> bool:
    """Whether the leg of a call that is over waits for ever for a bridge: the other leg went while it was made."""
    return channel.get("variable_fsacd_over") == "true" and channel.get("Channel-State") in BETWEEN


def newest_recovered(legs: Iterable[str], ask: Ask) -> int | None:
    """The highest uptime, by the clock before a crash, at which a recovered caller came; None without such callers."""
    dumps = (Message(Kind.EVENT, dump(leg, ask)) for leg in legs)
    recovered = (leg for leg in dumps if leg.get("variable_fsacd_leg") == "caller" and is_recovered(leg))
    return max((_number(leg.get("variable_fsacd_queued_at")) for leg in recovered), default=None)


def _adopted(fact: CallQueued) -> Finding:
    assert fact.leg is not None
    # The call may be over, and the command that was to end its leg lost: then the engine gives the command again.
    return Finding(Difference.UNKNOWN_CALLER, fact.leg.uuid, fact, then=CallReturned(fact.call_id, fact.leg))


def _one_after_the_other(callers: Iterable[tuple[int, int, CallQueued]]) -> list[CallQueued]:
    """Callers in the order of their arrival.

    Nobody knows when callers came who came before a crash of the switch, but the uptimes of that time tell their order.
    Callers of the same millisecond keep the same arrival: the engine orders them, in the same way in every daemon.
    """
    facts: list[CallQueued] = []
    next_queued_at = -1
    for _, queued_at, fact in sorted(callers, key=lambda caller: caller[:2], reverse=True):
        latest = fact.arrived_ms
        if facts:
            latest = facts[-1].arrived_ms - (queued_at != next_queued_at)
        facts.append(fact if fact.arrived_ms <= latest else replace(fact, arrived_ms=latest))
        next_queued_at = queued_at
    return facts[::-1]


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < _LONGEST_NUMBER else 0
