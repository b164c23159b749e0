"""The part of the stories' language that tells of talks which are held, or into which a third party comes."""

from __future__ import annotations

from dataclasses import replace

from fsacd.core import events as e
from fsacd.core import offer
from fsacd.core.records import TransferKind
from tests.core.story_rules import StoryError, milliseconds, pairs


def offer_id_of(name: str) -> str:
    """The id of the offer that a story calls `anna/1`; one apostrophe for each takeover."""
    call_id, _, attempt = name.partition("/")
    takeovers = call_id.count("'")
    return offer.offer_id(takeovers, call_id.rstrip("'"), int(attempt)) if attempt else name


def talk_fact(talk_id: str, words: list[str], by: str) -> e.Event:
    """A wish about a talk, or a fact about its legs."""
    match words:
        case [agent_id, "consults", colleague]:
            return e.TalkConsultAsked(agent_id, talk_id, colleague, by)
        case [agent_id, "consults", kind, target]:
            return e.TalkConsultAsked(agent_id, talk_id, target, by, e.TransferTo(kind))
        case [agent_id, "transfers", "to", kind, target]:
            return e.TalkTransferAsked(agent_id, talk_id, e.TransferTo(kind), target, by)
        case [agent_id, verb] if verb.endswith("s") and verb[:-1] in {one.value for one in e.TalkVerb}:
            return e.TalkChangeAsked(agent_id, talk_id, e.TalkVerb(verb[:-1]), by)
        case [agent_id, "hangs", "up"]:
            return e.TalkChangeAsked(agent_id, talk_id, e.TalkVerb.HANG_UP, by)
        case [agent_id, "sends", digits]:
            return e.TalkDigitsAsked(agent_id, talk_id, sum(one not in "wW" for one in digits), by, digits)
        case ["parked"]:
            return e.OfferAnswered(talk_id, "fs1")
        case ["inside", name]:
            return e.LegInRoom(talk_id, offer_id_of(name))
        case ["joined", name]:
            return e.LegsJoined(talk_id, offer_id_of(name))
    return _by_phone(talk_id, words)


def _by_phone(talk_id: str, words: list[str]) -> e.Event:
    """What a phone does with its talk by its own keys."""
    match words:
        case ["held_by_phone", since]:
            return e.HeldByPhone(talk_id, milliseconds(since.removeprefix("since=")))
        case ["resumed_by_phone", since]:
            return e.ResumedByPhone(talk_id, milliseconds(since.removeprefix("since=")))
        case [("refers" | "refers_and_parks") as how, kind, *given]:
            # To a number, to a leg, or nobody says; after the phone has held for so long in all.
            to = given.pop(0) if given and "=" not in given[0] else ""
            times = {name: milliseconds(span) for name, span in pairs(given).items()}
            talked_ms, held_ms = times.get("talked", 0), times.get("held", 0)
            to = offer_id_of(to)
            if how == "refers_and_parks":
                return e.GivenAway(talk_id, TransferKind(kind), to, talked_ms, held_ms)
            cause = "NORMAL_CLEARING"
            ended = e.OfferEnded(talk_id, e.OfferEnd.TRANSFERRED, cause, answered=True, talked_ms=talked_ms)
            return replace(ended, held_ms=held_ms, kind=TransferKind(kind), to=to)
        case ["late", span, "connected"]:
            return e.OfferConnected(talk_id, late_ms=milliseconds(span))
        case ["late", span, "parked"]:
            return e.OfferAnswered(talk_id, "fs1", late_ms=milliseconds(span))
        case ["late", span, "hung_up"]:
            return e.OfferEnded(talk_id, e.OfferEnd.HUNG_UP, late_ms=milliseconds(span))
        case ["ended", end, held]:
            return e.OfferEnded(talk_id, e.OfferEnd(end), held_ms=milliseconds(held.removeprefix("held=")))
    raise StoryError(f"no fact about a talk: {' '.join(words)}")
