"""What the daemon learns of the legs of its calls when the link is back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fsacd.core.events import (
    CallerGone,
    CallerTaken,
    CallLeft,
    CallLost,
    CallQueued,
    CallReturned,
    Event,
    Leg,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OfferUnheard,
    Taken,
    TalkFound,
)
from fsacd.core.offer import MOST_LEGS, legs_of, offer_id
from fsacd.core.records import Elsewhere
from fsacd.core.views import CallView, OfferView, Underway
from fsacd.esl import differences, missed, translate
from fsacd.esl.codec import Message
from fsacd.esl.differences import Absence, Difference
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import Outcome, Reply
from tests.esl.legs_rig import CALL, LEG, OFFER, ORDERED, OTHER, Legs, Switch, view

WAITS = {"variable_fsacd_call": CALL, "variable_fsacd_over": "false", "Answer-State": "answered"}
ANSWERED, RINGS = {"Answer-State": "answered"}, {"Answer-State": "ringing"}
PARKED = ANSWERED | {"variable_current_application": "park"}
BACK = WAITS | {"Caller-Context": "fsacd", "Caller-Destination-Number": "fsacd_back", "variable_fsacd_back_at": "90000"}

TALK = TalkFound(CallQueued(CALL, "sales", 0, Leg("fs1", LEG)), OFFER, "1002", 1, 2, 3)


def returned(leg: Message) -> CallReturned:
    return translate.Reader("fs1", lambda _: None).returned(leg, SwitchClock(100_000, 500_000), 500_000)


def facts(switch: Switch, underway: Underway, *, away: Absence = differences.HERE) -> list[Event]:
    rows = differences.channels(switch.ask)
    assert rows is not None
    findings = missed.findings(underway, "fs1", rows, switch.ask, returned, away)
    return [finding.fact for finding in findings if finding.fact is not None]


# The leg of a caller whose agent's phone has fallen silent; and the fact.
_LAST = "variable_last_bridge_to"
SILENT = BACK | {_LAST: OFFER, "variable_last_bridge_hangup_cause": "MEDIA_TIMEOUT"}
LOST = OfferEnded(OFFER, OfferEnd.CONNECTION_LOST, "MEDIA_TIMEOUT", answered=True)
HUNG_UP: list[Event] = [
    CallReturned(CALL, Leg("fs1", LEG), 490_000),
    OfferEnded(OFFER, OfferEnd.HUNG_UP, "ended_unseen"),
]

CASES: dict[str, tuple[str, str | None, Legs, list[Event]]] = {
    "the caller waits on": ("waiting", None, {LEG: WAITS}, []),
    "the agent's phone fell silent": ("talking", "talking", {LEG: SILENT}, [LOST]),
    "an earlier agent's phone fell silent": ("talking", "talking", {LEG: {**SILENT, _LAST: OTHER}}, HUNG_UP),
    "the caller hung up": ("waiting", None, {}, [CallerGone(CALL, "ended_unseen", leg=Leg("fs1", LEG), found=True)]),
    "the caller took the fallback": (
        "waiting",
        None,
        {LEG: {**WAITS, "variable_fsacd_over": "true", "variable_bridge_to": OTHER}},
        [CallLeft(CALL, found=True)],
    ),
    "the leg is another call now": (
        "waiting",
        None,
        {LEG: {**WAITS, "variable_fsacd_call": OTHER, "variable_fsacd_queue": "service"}},
        [CallLeft(CALL, found=True, into="service")],
    ),
    "they talk with an agent whom we did not give them": (
        "waiting",
        None,
        {LEG: {**WAITS, "variable_bridge_to": OFFER}, OFFER: {}},
        [CallLost(CALL, Elsewhere.TALKS_UNSEEN)],
    ),
    "a colleague has picked them up": (
        "waiting",
        None,
        {LEG: {**WAITS, "variable_bridge_to": OTHER, "Other-Leg-Caller-ID-Number": "2001"}, OTHER: {}},
        [CallerTaken(Leg("fs1", LEG), Taken.PICKED_UP, "2001", found=True)],
    ),
    "somebody has moved them": (
        "waiting",
        None,
        {LEG: {**WAITS, "Caller-Context": "public", "Caller-Destination-Number": "voicemail"}},
        [CallerTaken(Leg("fs1", LEG), Taken.MOVED, "voicemail public", found=True)],
    ),
    "somebody has moved them while a phone rang": (
        "offered",
        "ringing",
        {LEG: {**WAITS, "Caller-Context": "public", "Caller-Destination-Number": "voicemail"}, OFFER: RINGS},
        [CallerTaken(Leg("fs1", LEG), Taken.MOVED, "voicemail public", found=True)],
    ),
    "somebody has parked them": (
        "waiting",
        None,
        {
            LEG: {
                **WAITS,
                "Caller-Context": "fsacd",
                "Caller-Destination-Number": "fsacd_enter",
                "Channel-State": "CS_PARK",
            }
        },
        [CallerTaken(Leg("fs1", LEG), Taken.PARKED, "fsacd_enter fsacd", found=True)],
    ),
    "they hear the music": (
        "waiting",
        None,
        {LEG: {**WAITS, "Caller-Context": "fsacd", "Caller-Destination-Number": "fsacd_wait"}},
        [],
    ),
    "they are on their way back from a talk that is over": (
        "waiting",
        None,
        {LEG: {**WAITS, "variable_bridge_to": OTHER}},
        [],
    ),
    "the bridge came": (
        "connecting",
        "connecting",
        {LEG: {**WAITS, "variable_bridge_to": OFFER}, OFFER: PARKED},
        [OfferConnected(OFFER)],
    ),
    "they have talked meanwhile, and the agent has handed them on": (
        "connecting",
        "connecting",
        {LEG: {**WAITS, "variable_last_bridge_to": OFFER, "Caller-Context": "public"}},
        [OfferConnected(OFFER), OfferEnded(OFFER, OfferEnd.HUNG_UP, "ended_unseen")],
    ),
    "the bridge broke, and they hear the music": (
        "connecting",
        "connecting",
        {LEG: {**WAITS, "variable_last_bridge_to": OFFER, "Caller-Context": "fsacd"}, OFFER: PARKED},
        [],
    ),
    "they talked with another agent before, and were moved": (
        "connecting",
        "connecting",
        {LEG: {**WAITS, "variable_last_bridge_to": OTHER, "Caller-Context": "public"}, OFFER: PARKED},
        [CallerTaken(Leg("fs1", LEG), Taken.MOVED, " public", found=True)],
    ),
    "the bridge did not come yet": ("connecting", "connecting", {LEG: WAITS | ORDERED, OFFER: PARKED}, []),
    "they talk on": ("talking", "talking", {LEG: WAITS | {"variable_bridge_to": OFFER}, OFFER: PARKED}, []),
    "the caller hung up after the talk": (
        "talking",
        "talking",
        {OFFER: PARKED | {"variable_bridge_to": LEG}},
        [CallerGone(CALL, "ended_unseen", leg=Leg("fs1", LEG), found=True)],
    ),
    "the caller has given their place in the talk to another": (
        "talking",
        "talking",
        {OFFER: PARKED | {"variable_bridge_to": OTHER}},
        [CallerGone(CALL, "ended_unseen", transferred=True, leg=Leg("fs1", LEG), found=True)],
    ),
    "the caller talked, and is back in the music": (
        "talking",
        "talking",
        {LEG: BACK},
        [CallReturned(CALL, Leg("fs1", LEG), 490_000), OfferEnded(OFFER, OfferEnd.HUNG_UP, "ended_unseen")],
    ),
    "the talk broke, the agent's end is known, and the caller is back": (
        "talking",
        None,
        {LEG: BACK | {"Caller-Destination-Number": "fsacd_wait"}},
        [CallReturned(CALL, Leg("fs1", LEG), 490_000)],
    ),
    "after the talk the caller was sent elsewhere": (
        "talking",
        None,
        {LEG: BACK | {"Caller-Context": "public", "Caller-Destination-Number": "survey"}},
        [],
    ),
    "the agent hung up": ("talking", "talking", {LEG: WAITS}, [OfferEnded(OFFER, OfferEnd.HUNG_UP, "ended_unseen")]),
    "the agent answered": ("offered", "ringing", {LEG: WAITS, OFFER: PARKED}, [OfferAnswered(OFFER, "fs1")]),
    "the agent's leg is about to be parked": ("offered", "ringing", {LEG: WAITS, OFFER: ANSWERED}, []),
    "the phone rings on": ("offered", "ringing", {LEG: WAITS, OFFER: RINGS}, []),
}


@pytest.mark.parametrize("what", CASES)
def test_what_was_missed(what: str) -> None:
    """Each leg is asked what has become of it, and what changed is told as the fact that was missed."""
    call, offer, legs, expected = CASES[what]
    assert facts(Switch(legs), view(call, offer)) == expected


@pytest.mark.parametrize("state", ["ringing", "ending"])
def test_a_leg_that_the_switch_has_not_made_yet(state: str) -> None:
    """A busy switch makes a leg seconds after it has accepted the order: until then its absence says nothing."""
    call = CallView(CALL, "sales", "waiting", 1, 0, 0, 0, 0, "", "", "", (), (), 0, Leg("fs1", LEG))
    young = OfferView(OFFER, CALL, "1001", "fs1", state, 10_000)
    gone = OfferEnded(OFFER, OfferEnd.HUNG_UP, "ended_unseen")
    switch = Switch({LEG: WAITS})

    def found(offer: OfferView, now_ms: int, away: Absence = differences.HERE) -> list[Event]:
        return facts(switch, Underway(now_ms, (call,), (offer,)), away=away)

    assert found(young, 19_999) == []
    assert found(young, 20_000) == [gone]
    assert found(replace(young, heard_of=True), 10_100) == [gone], "it rang, and is not there any more"
    never = OfferEnded(OFFER, OfferEnd.NOT_SENT, "switch_restarted")
    assert never in found(young, 10_100, Absence(restarted=True)), "a switch that was started anew makes none"


def test_an_order_that_may_be_lost_with_its_link() -> None:
    """Nothing was heard of it, and there is no leg: its caller goes on. What the switch knows of is not taken back."""

    def found(offer: OfferView, legs: Legs, now_ms: int = 500) -> list[Event | None]:
        asked = replace(view("offered", "ringing"), offers=(offer,), now_ms=now_ms)
        return [finding.fact for finding in missed.unheard(asked, "fs1", {}, Switch(legs).ask)]

    (young,) = view("offered", "ringing").offers
    assert found(young, {LEG: WAITS}) == [OfferUnheard(OFFER)]
    assert found(replace(young, heard_of=True), {LEG: WAITS}) == [], "it rings, or has rung"
    assert found(young, {LEG: WAITS, OFFER: RINGS}) == [], "there is a leg of it"
    assert found(replace(young, state="ending"), {LEG: WAITS}) == [], "it is being ended already"
    assert found(replace(young, switch="fs2"), {LEG: WAITS}) == []
    assert found(young, {LEG: WAITS}, 20_000) == [], "it is over, which is found otherwise"


def test_a_crash_brings_back_a_talk_that_was_over() -> None:
    """What is written down for recovery is older than the crash: the caller who waits again is put into the music."""
    recovered = {**WAITS, "variable_bridge_to": OTHER, "variable_fsacd_recovered": "true"}
    switch = Switch({LEG: recovered})
    rows = differences.channels(switch.ask)
    assert rows is not None
    (finding,) = missed.findings(view("waiting", None), "fs1", rows, switch.ask, returned, Absence(restarted=True))
    assert (finding.kind, finding.fact) == (Difference.CALLER_IN_LIMBO, None)
    assert finding.remedy is not None
    assert finding.remedy.data.decode().split()[1:] == ["uuid_transfer", LEG, "fsacd_wait", "XML", "fsacd"]


def test_a_caller_whose_agent_was_not_recovered() -> None:
    """A crash left the caller alone in a talk, which no bridge will end: they are sent on like one who is back."""
    away = Absence(restarted=True)
    (finding,) = missed.findings(view("talking", "talking"), "fs1", {}, Switch({LEG: WAITS}).ask, returned, away)
    assert finding.fact == OfferEnded(OFFER, OfferEnd.HUNG_UP, "switch_restarted")
    assert finding.then == CallReturned(CALL, Leg("fs1", LEG))


def test_a_talk_whose_bridge_a_crash_has_lost_is_bridged_again() -> None:
    """Both legs were recovered as they were before the bridge: the caller hears music, the agent nothing."""
    recovered = {**WAITS, "variable_fsacd_recovered": "true", "Caller-Destination-Number": "fsacd_enter"}
    switch = Switch({LEG: recovered, OFFER: PARKED})
    known, rows = view("talking", "talking"), {LEG: {"context": "fsacd", "application": "playback"}, OFFER: {}}
    (finding,) = missed.findings(known, "fs1", rows, switch.ask, returned)
    assert (finding.kind, finding.fact) == (Difference.TALK_UNBRIDGED, None)
    assert finding.remedy is not None
    assert finding.remedy.text == f"api uuid_bridge {LEG} {OFFER}"
    for leg in ({"variable_fsacd_recovered": ""}, {"variable_bridge_to": OFFER}):
        switch = Switch({LEG: recovered | leg, OFFER: PARKED})
        assert list(missed.findings(known, "fs1", rows, switch.ask, returned)) == []


def test_the_list_of_channels_may_lag() -> None:
    """A leg that the list does not show is gone only if the switch says so for this very leg."""
    switch = Switch({LEG: WAITS}, unlisted=frozenset({LEG}))
    assert facts(switch, view("waiting", None)) == []


def test_no_answer_is_no_fact() -> None:
    """When the link breaks again meanwhile, nothing is told that nobody knows."""
    lost = Reply(Outcome.UNCONFIRMED, "the link was closed")
    assert differences.channels(lambda _: lost) is None
    assert list(missed.findings(view("waiting", "ringing"), "fs1", {}, lambda _: lost, returned)) == []


@pytest.mark.parametrize("answered", [0, 1])
def test_of_several_phones_the_one_that_was_answered_is_found(answered: int) -> None:
    """By the name of its leg, of which alone the switch is asked; the others may ring, or have fallen silent."""
    several = offer_id(1, CALL, 1)
    names = legs_of(several, MOST_LEGS)
    offer = OfferView(several, CALL, "1001", "fs1", "ringing", 0, heard_of=True, legs=names)
    underway = replace(view("offered", None), offers=(offer,))
    switch = Switch({LEG: WAITS, names[answered]: PARKED})
    assert facts(switch, underway) == [OfferAnswered(several, "fs1", names[answered])]
    assert set(switch.dumped) <= {LEG, names[answered]}
    assert facts(Switch({LEG: WAITS, names[0]: RINGS, names[1]: RINGS}), underway) == []
    gone = OfferEnded(several, OfferEnd.HUNG_UP, "ended_unseen")
    assert facts(Switch({LEG: WAITS}), underway) == [gone]


def test_legs_of_another_switch_are_not_asked_for() -> None:
    """Each switch is asked for its own legs alone."""
    assert list(missed.findings(view("waiting", "ringing"), "fs2", {}, Switch({}).ask, returned)) == []


def test_after_a_restart_of_the_switch_a_leg_is_lost_and_nobody_to_blame() -> None:
    """What has gone with the switch is lost with this cause; an agent who was ringing has missed no call."""
    assert facts(Switch({}), view("offered", "ringing"), away=Absence(restarted=True)) == [
        CallLost(CALL, "switch_restarted"),
        OfferEnded(OFFER, OfferEnd.NOT_SENT, "switch_restarted"),
    ]


def test_what_was_recovered_goes_on() -> None:
    """A leg that the switch has brought back after its crash is no reason to lose a call."""
    assert facts(Switch({LEG: WAITS}), view("waiting", None), away=Absence(restarted=True)) == []


def test_the_list_of_a_switch_that_has_crashed_is_not_believed() -> None:
    """For a while it shows the legs of before; each is asked for."""
    found = missed.findings(view("waiting", None), "fs1", {LEG: {}}, Switch({}).ask, returned, Absence(restarted=True))
    assert [finding.fact for finding in found] == [CallLost(CALL, "switch_restarted")]


def test_a_caller_who_may_have_taken_the_fallback_is_lost() -> None:
    """When the lease had ended meanwhile, nobody knows whether the caller hung up."""
    assert facts(Switch({}), view("waiting", None), away=Absence(lease_ended=True)) == [CallLost(CALL, "ended_unseen")]


def test_who_waits_quietly_is_not_asked() -> None:
    """Only legs that look suspicious in the list cost a question."""
    switch = Switch({LEG: WAITS, OFFER: RINGS})
    rows = {LEG: {"context": "fsacd", "call_uuid": ""}, OFFER: {"callstate": "RINGING"}}
    assert list(missed.findings(view("waiting", "ringing"), "fs1", rows, switch.ask, returned)) == []
    assert missed.asked_for(view("waiting", "ringing"), "fs1", rows) == []
    assert switch.dumped == []
    rows = {LEG: {"context": "fsacd", "call_uuid": OTHER}, OFFER: {"callstate": "ACTIVE"}}
    list(missed.findings(view("waiting", "ringing"), "fs1", rows, switch.ask, returned))
    asked = missed.asked_for(view("waiting", "ringing"), "fs1", rows)
    assert [wire.data.decode().split()[2] for wire in asked] == [LEG, OFFER]
    assert switch.dumped == [LEG, OFFER]


def test_a_caller_who_hears_nothing_is_put_into_the_music() -> None:
    """A waiting caller's leg that hangs between two states is sent into the loop; one that is bridged is not."""
    stuck = {"state": "CS_SOFT_EXECUTE", "call_uuid": ""}
    assert [finding.leg for finding in missed.in_limbo(view("waiting", None), "fs1", {LEG: stuck})] == [LEG]
    assert [finding.leg for finding in missed.in_limbo(view("offered", "ringing"), "fs1", {LEG: stuck})] == [LEG]
    for row in (stuck | {"call_uuid": OTHER}, stuck | {"state": "CS_EXECUTE"}):
        assert list(missed.in_limbo(view("waiting", None), "fs1", {LEG: row})) == []
    assert list(missed.in_limbo(view("connecting", "connecting"), "fs1", {LEG: stuck})) == []


@pytest.mark.parametrize("state", ["CS_RESET", "CS_SOFT_EXECUTE", "CS_HIBERNATE"])
@pytest.mark.parametrize("partner", ["", OTHER])
@pytest.mark.parametrize("call", ["waiting", "offered"])
def test_a_silent_caller_whose_leg_is_stuck_is_put_into_the_music(state: str, partner: str, call: str) -> None:
    """Somebody bridged them with a leg that went at once. What may be a passing moment is left alone."""
    switch = Switch({LEG: WAITS | {"Channel-State": state, "variable_bridge_to": partner}})
    asked = view(call, None)
    (finding,) = missed.findings(asked, "fs1", {}, switch.ask, returned, silent=True)
    assert (finding.kind, finding.leg, finding.fact) == (Difference.CALLER_IN_LIMBO, LEG, None)
    assert finding.remedy is not None
    assert finding.remedy.data.decode().split()[1:] == ["uuid_transfer", LEG, "fsacd_wait", "XML", "fsacd"]
    assert list(missed.findings(asked, "fs1", {}, switch.ask, returned)) == []
    switch.legs[LEG]["Channel-State"] = "CS_EXECUTE"
    assert list(missed.findings(asked, "fs1", {}, switch.ask, returned, silent=True)) == []


def test_a_leg_that_says_that_it_is_another_agents_is_none_of_the_offer() -> None:
    """Its name alone would make it one: of who rings nothing is there, of who talks the talk is found."""
    offer = replace(
        view("waiting", "ringing").offers[0], offer_id=f"{OFFER[:-1]}0", legs=legs_of(f"{OFFER[:-1]}0", MOST_LEGS)
    )
    underway = replace(view("waiting", "ringing"), offers=(offer,))
    theirs = PARKED | {"variable_fsacd_agent": "1002", "variable_fsacd_offer": OFFER, "variable_fsacd_call": CALL}

    def mistaken(legs: Legs) -> list[tuple[str, Event | None]]:
        switch = Switch(legs)
        rows = differences.channels(switch.ask)
        assert rows is not None
        found = missed.mistaken(underway, "fs1", rows, switch.ask, lambda *_: TALK)
        return [(finding.leg, finding.fact) for finding in found]

    never = OfferEnded(offer.offer_id, OfferEnd.NOT_SENT, "ended_unseen")
    assert mistaken({LEG: WAITS, OFFER: theirs}) == [(offer.offer_id, never)]
    talks = {LEG: WAITS | {"variable_bridge_to": OFFER}, OFFER: theirs | {"variable_bridge_to": LEG}}
    assert mistaken(talks) == [(OFFER, TALK)]
    assert mistaken({LEG: WAITS, OFFER: theirs | {"variable_fsacd_agent": "1001"}}) == []
    assert mistaken({LEG: WAITS, OFFER: theirs, offer.offer_id: PARKED}) == []
    assert mistaken({LEG: WAITS}) == []


def test_a_waiting_caller_whose_leg_is_disarmed_is_armed_again() -> None:
    """Their talk was confirmed and broke, and the order to arm them was lost with the link: they have not left."""
    over = BACK | {"variable_fsacd_over": "true"}
    for call, offer in (("waiting", None), ("connecting", "connecting")):
        (finding,) = missed.findings(view(call, offer), "fs1", {}, Switch({LEG: over, OFFER: PARKED}).ask, returned)
        assert (finding.kind, finding.fact) == (Difference.CALLER_DISARMED, None)
        assert finding.remedy is not None
        assert b"fsacd_over=false" in finding.remedy.data
        assert b"transfer_after_bridge=fsacd_back:XML:fsacd" in finding.remedy.data
    elsewhere = over | {"Caller-Destination-Number": "fsacd_fallback"}
    (finding,) = missed.findings(view("waiting", None), "fs1", {}, Switch({LEG: elsewhere}).ask, returned)
    assert finding.fact == CallLeft(CALL, found=True)
