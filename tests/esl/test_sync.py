"""What the daemon learns of its legs when the link is back."""

from __future__ import annotations

import json

import pytest

from fsacd.core.events import CallLeft, CallLost, Event, Leg, OfferAnswered, OfferConnected, OfferEnd, OfferEnded
from fsacd.core.views import CallView, OfferView, Snapshot
from fsacd.esl import sync
from fsacd.esl.wire import Outcome, Reply, Wire

CALL = "11111111-2222-4333-8444-555555555555"
LEG = "aaaaaaaa-2222-4333-8444-555555555555"
OFFER = "bbbbbbbb-2222-5333-8444-555555555555"
OTHER = "cccccccc-2222-4333-8444-555555555555"
WAITS = {"variable_fsacd_call": CALL, "variable_fsacd_over": "false", "Answer-State": "answered"}
PARKED, RINGS = {"Answer-State": "answered"}, {"Answer-State": "ringing"}

Legs = dict[str, dict[str, str]]


class Switch:
    """Answers by its legs; `unlisted` are those that its list does not show yet."""

    def __init__(self, legs: Legs, unlisted: frozenset[str] = frozenset()) -> None:
        self.legs, self.unlisted = legs, unlisted

    def ask(self, wire: Wire) -> Reply:
        words = wire.data.decode().split()
        match words[1]:
            case "show":
                rows = [{"uuid": leg} for leg in self.legs if leg not in self.unlisted]
                return Reply(Outcome.OK, json.dumps({"row_count": len(rows), **({"rows": rows} if rows else {})}))
            case "uuid_exists":
                return Reply(Outcome.OK, "true" if words[2] in self.legs else "false")
            case "uuid_dump" if words[2] in self.legs:
                return Reply(Outcome.OK, json.dumps(self.legs[words[2]]))
        return Reply(Outcome.ERR, "-ERR No such channel!")


def view(call: str, offer: str | None) -> Snapshot:
    who = CallView(CALL, "sales", call, 1, 0, 0, 0, 0, "", "", "", (), (), 0, Leg("fs1", LEG))
    offers = () if offer is None else (OfferView(OFFER, CALL, "1001", "fs1", offer, 0),)
    return Snapshot(0, (who,), (), (), offers, ())


CASES: dict[str, tuple[str, str | None, Legs, list[Event]]] = {
    "the caller waits on": ("waiting", None, {LEG: WAITS}, []),
    "the caller hung up": ("waiting", None, {}, [CallLost(CALL, "ended_unseen")]),
    "the caller took the fallback": (
        "waiting",
        None,
        {LEG: {**WAITS, "variable_fsacd_over": "true", "variable_signal_bond": OTHER}},
        [CallLeft(CALL)],
    ),
    "the leg is another call now": ("waiting", None, {LEG: {**WAITS, "variable_fsacd_call": OTHER}}, [CallLeft(CALL)]),
    "he talks with somebody we did not give him": (
        "waiting",
        None,
        {LEG: {**WAITS, "variable_signal_bond": OTHER}},
        [CallLost(CALL, sync.TALKS_UNSEEN)],
    ),
    "the bridge came": (
        "connecting",
        "connecting",
        {LEG: {**WAITS, "variable_signal_bond": OFFER}, OFFER: PARKED},
        [OfferConnected(OFFER)],
    ),
    "the bridge did not come yet": ("connecting", "connecting", {LEG: WAITS, OFFER: PARKED}, []),
    "they talk on": ("talking", "talking", {LEG: WAITS | {"variable_signal_bond": OFFER}, OFFER: PARKED}, []),
    "the agent hung up": ("talking", "talking", {LEG: WAITS}, [OfferEnded(OFFER, OfferEnd.HUNG_UP, "ended_unseen")]),
    "the agent answered": ("offered", "ringing", {LEG: WAITS, OFFER: PARKED}, [OfferAnswered(OFFER, "fs1")]),
    "the phone rings on": ("offered", "ringing", {LEG: WAITS, OFFER: RINGS}, []),
}


@pytest.mark.parametrize("what", CASES)
def test_what_was_missed(what: str) -> None:
    """Each leg is asked what has become of it, and what changed is told as the fact that was missed."""
    call, offer, legs, expected = CASES[what]
    assert expected == list(sync.missed(view(call, offer), "fs1", Switch(legs).ask))


def test_the_list_of_channels_may_lag() -> None:
    """A leg that the list does not show is gone only if the switch says so for this very leg."""
    switch = Switch({LEG: WAITS}, unlisted=frozenset({LEG}))
    assert list(sync.missed(view("waiting", None), "fs1", switch.ask)) == []


def test_no_answer_is_no_fact() -> None:
    """When the link breaks again meanwhile, nothing is told that nobody knows."""
    lost = Reply(Outcome.UNCONFIRMED, "the link was closed")
    assert list(sync.missed(view("waiting", "ringing"), "fs1", lambda _: lost)) == []


def test_legs_of_another_switch_are_not_asked_for() -> None:
    """Each switch is asked for its own legs alone."""
    assert list(sync.missed(view("waiting", "ringing"), "fs2", Switch({}).ask)) == []
