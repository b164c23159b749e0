"""What has become of our legs while the link was away: asked leg by leg, told as the facts that were missed.

Without this an agent could be rung for a caller who talks already: the bridge would take him out of his talk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from fsacd.core.events import CallLeft, CallLost, Event, OfferAnswered, OfferConnected, OfferEnd, OfferEnded
from fsacd.core.views import CallView, OfferView, Snapshot
from fsacd.esl import encoder
from fsacd.esl.wire import Reply, Wire

Ask = Callable[[Wire], Reply]

TALKS_UNSEEN = "talks_unseen"


def missed(snapshot: Snapshot, switch: str, ask: Ask) -> Iterator[Event]:
    """The facts about this switch's legs that nobody has told the engine, in the order in which to tell them.

    Blocks for as long as `ask` does, two or three questions for each leg that has ended or may have moved on.
    """
    calls = {call.leg.uuid: call for call in snapshot.calls if call.leg is not None and call.leg.switch == switch}
    offers = {offer.offer_id: offer for offer in snapshot.offers if offer.switch == switch}
    if not calls and not offers:
        return
    listed = {row.get("uuid", "") for row in channels(ask)}
    connecting = {offer.offer_id for offer in offers.values() if offer.state == "connecting"}
    for leg, call in calls.items():
        if leg not in listed and has_ended(leg, ask):
            yield CallLost(call.call_id, "ended_unseen")
        elif call.state != "talking":
            yield from _moved_on(call, dump(leg, ask), connecting)
    for leg, offer in offers.items():
        if leg not in listed and has_ended(leg, ask):
            yield OfferEnded(leg, OfferEnd.HUNG_UP, "ended_unseen")
        else:
            yield from _answered(offer, ask)


def _moved_on(call: CallView, leg: dict[str, Any], connecting: set[str]) -> Iterator[Event]:
    if not leg:
        return  # no answer: what we know of the call is the best there is
    partner = leg.get("variable_signal_bond", "")
    if leg.get("variable_fsacd_call") != call.call_id or leg.get("variable_fsacd_over") == "true":
        yield CallLeft(call.call_id)
    elif partner in connecting:
        yield OfferConnected(partner)
    elif partner:
        yield CallLost(call.call_id, TALKS_UNSEEN)


def _answered(offer: OfferView, ask: Ask) -> Iterator[Event]:
    if offer.state == "ringing" and dump(offer.offer_id, ask).get("Answer-State") == "answered":
        yield OfferAnswered(offer.offer_id, offer.switch)


def has_ended(leg: str, ask: Ask) -> bool:
    """Whether the switch says that there is no such leg; no answer is no."""
    # The list of channels lags behind the truth; only the question for this one leg is sure.
    return ask(encoder.uuid_exists(leg)).text.strip() == "false"


def channels(ask: Ask) -> list[dict[str, Any]]:
    """The switch's list of legs, which lags up to 0.3 s behind the truth; empty when no answer comes."""
    rows = _json(ask(encoder.show_channels())).get("rows", [])
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def dump(leg: str, ask: Ask) -> dict[str, Any]:
    """Everything about a leg, as in its events; empty when it is gone or no answer comes."""
    return _json(ask(encoder.uuid_dump(leg)))


def _json(reply: Reply) -> dict[str, Any]:
    try:
        content = orjson.loads(reply.text)
    except orjson.JSONDecodeError:
        return {}  # an error in words, or no answer
    return content if isinstance(content, dict) else {}
