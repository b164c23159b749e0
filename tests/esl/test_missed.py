"""What the daemon learns of its legs when the link is back."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from itertools import permutations

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
from fsacd.core.views import CallView, OfferView, Snapshot
from fsacd.esl import differences, missed, strangers, translate
from fsacd.esl.codec import Message
from fsacd.esl.differences import Absence, Difference
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import Outcome, Reply, Wire

CALL = "11111111-2222-4333-8444-555555555555"
LEG = "aaaaaaaa-2222-4333-8444-555555555555"
OFFER = "bbbbbbbb-2222-5333-8444-555555555555"
OTHER = "cccccccc-2222-4333-8444-555555555555"
WAITS = {"variable_fsacd_call": CALL, "variable_fsacd_over": "false", "Answer-State": "answered"}
ANSWERED, RINGS = {"Answer-State": "answered"}, {"Answer-State": "ringing"}
PARKED = ANSWERED | {"variable_current_application": "park"}
# What a bridge that was ordered leaves on the leg, whether or not it comes to be.
ORDERED = {"variable_signal_bond": OFFER}

BACK = WAITS | {"Caller-Context": "fsacd", "Caller-Destination-Number": "fsacd_back", "variable_fsacd_back_at": "90000"}

Legs = dict[str, dict[str, str]]


class Switch:
    """Answers by its legs; `unlisted` are those that its list does not show yet."""

    def __init__(self, legs: Legs, unlisted: frozenset[str] = frozenset()) -> None:
        self.legs, self.unlisted = legs, unlisted
        self.dumped: list[str] = []

    def ask(self, wire: Wire) -> Reply:
        words = wire.data.decode().split()
        match words[1]:
            case "show":
                rows = [{"uuid": leg} for leg in self.legs if leg not in self.unlisted]
                return Reply(Outcome.OK, json.dumps({"row_count": len(rows), **({"rows": rows} if rows else {})}))
            case "uuid_exists":
                return Reply(Outcome.OK, "true" if words[2] in self.legs else "false")
            case "uuid_dump" if words[2] in self.legs:
                self.dumped.append(words[2])
                return Reply(Outcome.OK, json.dumps({"Unique-ID": words[2]} | self.legs[words[2]]))
        return Reply(Outcome.ERR, "-ERR No such channel!")


def returned(leg: Message) -> CallReturned:
    return translate.Reader("fs1", lambda _: None).returned(leg, SwitchClock(100_000, 500_000), 500_000)


def view(call: str, offer: str | None) -> Snapshot:
    who = CallView(CALL, "sales", call, 1, 0, 0, 0, 0, "", "", "", (), (), 0, Leg("fs1", LEG))
    offers = () if offer is None else (OfferView(OFFER, CALL, "1001", "fs1", offer, 0),)
    return Snapshot(0, (who,), (), (), offers, ())


def facts(switch: Switch, snapshot: Snapshot, *, away: Absence = differences.HERE) -> list[Event]:
    rows = differences.channels(switch.ask)
    assert rows is not None
    findings = missed.findings(snapshot, "fs1", rows, switch.ask, returned, away)
    return [finding.fact for finding in findings if finding.fact is not None]


CASES: dict[str, tuple[str, str | None, Legs, list[Event]]] = {
    "the caller waits on": ("waiting", None, {LEG: WAITS}, []),
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
        return facts(switch, Snapshot(now_ms, (call,), (), (), (offer,), ()), away=away)

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
    snapshot = replace(view("offered", None), offers=(offer,))
    switch = Switch({LEG: WAITS, names[answered]: PARKED})
    assert facts(switch, snapshot) == [OfferAnswered(several, "fs1", names[answered])]
    assert set(switch.dumped) <= {LEG, names[answered]}
    assert facts(Switch({LEG: WAITS, names[0]: RINGS, names[1]: RINGS}), snapshot) == []
    gone = OfferEnded(several, OfferEnd.HUNG_UP, "ended_unseen")
    assert facts(Switch({LEG: WAITS}), snapshot) == [gone]


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


# --- legs that nobody knows ------------------------------------------------------------------------------------------

UNHEARD = "dddddddd-2222-4333-8444-555555555555"


def caller(leg: str, queued_at: int, **more: str) -> dict[str, str]:
    call = leg.replace("2222", "3333")
    variables = {"leg": "caller", "over": "false", "call": call, "queue": "sales", "queued_at": str(queued_at)}
    return {"Unique-ID": leg, **{f"variable_fsacd_{name}": value for name, value in (variables | more).items()}}


def found(legs: Legs) -> list[tuple[str, str, int | None, bool]]:
    reader, clock = translate.Reader("fs1", lambda _: None), SwitchClock(100_000, 500_000)
    findings = strangers.findings(legs, Switch(legs).ask, lambda leg: reader.waiting(leg, clock, 500_000))
    return [
        (
            str(finding.kind),
            finding.leg,
            finding.fact.arrived_ms if isinstance(finding.fact, CallQueued) else None,
            finding.remedy is not None,
        )
        for finding in findings
    ]


def test_waiting_callers_are_found_in_the_order_of_their_arrival() -> None:
    """After a lost disk nothing but the legs says who waits, and since when."""
    assert found({LEG: caller(LEG, 90_000), OTHER: caller(OTHER, 80_000), UNHEARD: caller(UNHEARD, 99_000)}) == [
        ("unknown_caller", OTHER, 480_000, False),
        ("unknown_caller", LEG, 490_000, False),
        ("unknown_caller", UNHEARD, 499_000, False),
    ]


def test_who_waited_before_a_crash_of_the_switch_keeps_his_place() -> None:
    """The uptimes of then say nothing of the time now, but who came first; nobody knows it better without a memory."""
    legs = {LEG: caller(LEG, 800_000), OTHER: caller(OTHER, 700_000), UNHEARD: caller(UNHEARD, 99_000)}
    assert found(legs) == [
        ("unknown_caller", OTHER, 399_999, False),
        ("unknown_caller", LEG, 400_000, False),
        ("unknown_caller", UNHEARD, 499_000, False),
    ]


def test_who_waits_although_his_call_has_ended() -> None:
    """The command to end the caller's leg may be lost: the engine hears that they hear music, and says it again."""
    reader, clock = translate.Reader("fs1", lambda _: None), SwitchClock(100_000, 500_000)
    legs = {LEG: caller(LEG, 90_000)}
    (finding,) = strangers.findings(legs, Switch(legs).ask, lambda leg: reader.waiting(leg, clock, 500_000))
    assert finding.then == CallReturned(LEG.replace("2222", "3333"), Leg("fs1", LEG))


def test_what_else_may_be_found() -> None:
    """A ring of nobody is ended, a talk of nobody releases its caller afterwards, all else is none of our business."""
    ring = {"Unique-ID": OFFER, "variable_fsacd_leg": "agent", "variable_fsacd_offer": OFFER}
    assert found({OFFER: ring}) == [("unknown_agent_leg", OFFER, None, True)]
    assert found({OFFER: ring | {"variable_bridge_to": LEG}}) == []
    assert found({OFFER: ring | {"Unique-ID": OTHER}}) == []  # copied variables on the far side of a loopback
    talks = {LEG: caller(LEG, 1) | {"variable_bridge_to": OTHER}}
    assert found(talks | {OTHER: {"Unique-ID": OTHER}}) == [("unknown_talk", LEG, None, True)]
    assert found(talks) == [("caller_in_limbo", LEG, None, True)]  # recovered after a crash, and the other one was not
    assert found({LEG: caller(LEG, 1) | ORDERED}) == [("unknown_caller", LEG, 400_001, False)]
    assert found({LEG: caller(LEG, 1, over="true")}) == []
    assert found({LEG: caller(LEG, 1) | {"Answer-State": "hangup"}}) == []
    # After a talk in which a crash has left the caller alone they are released; one that stands goes on.
    alone = caller(LEG, 1, over="true") | {"variable_bridge_to": OTHER, "variable_recovered": "true"}
    assert found({LEG: alone}) == [("caller_in_limbo", LEG, None, True)]
    assert found({LEG: alone, OTHER: {"Unique-ID": OTHER}}) == []
    assert found({LEG: alone | {"variable_recovered": ""}}) == []
    # Their call is over, and the command that was to end it was lost.
    music = {"Caller-Context": "fsacd", "Caller-Destination-Number": "fsacd_back"}
    assert found({LEG: caller(LEG, 1, over="true") | music}) == [("call_returned", LEG, None, False)]
    assert found({LEG: {"Unique-ID": LEG, "variable_fsacd_leg": "feature"}}) == []


def test_who_may_be_one_of_ours() -> None:
    """Asked for are legs in the context of the waiting, and those whose name only we can have given."""
    rows = {
        LEG: {"context": "fsacd", "created_epoch": "2"},
        OTHER: {"context": "public", "created_epoch": "1"},
        OFFER: {"context": "default", "created_epoch": "3"},
        UNHEARD: {"context": "fsacd", "created_epoch": "1"},
    }
    assert strangers.suspected(Snapshot(0, (), (), (), (), ()), "fs1", rows) == [UNHEARD, LEG, OFFER]
    assert strangers.suspected(view("waiting", "ringing"), "fs1", rows) == [UNHEARD]


def test_a_caller_who_hears_nothing_is_put_into_the_music() -> None:
    """A waiting caller's leg that hangs between two states is sent into the loop; one that is bridged is not."""
    stuck = {"state": "CS_SOFT_EXECUTE", "call_uuid": ""}
    assert [finding.leg for finding in missed.in_limbo(view("waiting", None), "fs1", {LEG: stuck})] == [LEG]
    for row in (stuck | {"call_uuid": OTHER}, stuck | {"state": "CS_EXECUTE"}):
        assert list(missed.in_limbo(view("waiting", None), "fs1", {LEG: row})) == []
    assert list(missed.in_limbo(view("connecting", "connecting"), "fs1", {LEG: stuck})) == []


AGENTS = {
    "Unique-ID": OFFER,
    "variable_fsacd_leg": "agent",
    "variable_fsacd_offer": OFFER,
    "variable_fsacd_call": LEG.replace("2222", "3333"),
    "variable_fsacd_agent": "1001",
    "variable_bridge_to": LEG,
    "Event-Date-Timestamp": "1700000100000000",
    "Caller-Channel-Created-Time": "1700000090000000",
    "Caller-Channel-Answered-Time": "1700000093000000",
    "Caller-Channel-Bridged-Time": "1700000093040000",
}


def adopted(callers: dict[str, str], agents: dict[str, str]) -> list[Event | None]:
    reader, clock = translate.Reader("fs1", lambda _: None), SwitchClock(100_000, 500_000)
    legs = {LEG: callers, OFFER: agents}
    waiting = partial(reader.waiting, clock=clock, now_ms=500_000)
    talk = partial(reader.talk, clock=clock, now_ms=500_000)
    return [finding.fact for finding in strangers.findings([LEG], Switch(legs).ask, waiting, talk)]


def test_a_talk_of_another_daemon_is_read_from_its_legs() -> None:
    """Confirmed or not: who talks with whom, since when, and all that an announcement would say of the call."""
    for over in ("true", "false"):
        (fact,) = adopted(caller(LEG, 80_000, over=over) | {"variable_bridge_to": OFFER}, AGENTS)
        assert isinstance(fact, TalkFound)
        assert (fact.call.queue, fact.call.arrived_ms, fact.call.leg) == ("sales", 480_000, Leg("fs1", LEG))
        assert (fact.offer_id, fact.agent_id) == (OFFER, "1001")
        assert (fact.rang_ms, fact.answered_ms, fact.connected_ms) == (490_000, 493_000, 493_040)


@pytest.mark.parametrize(
    "change",
    [
        {"variable_fsacd_call": "another"},
        {"variable_fsacd_offer": OTHER},  # copied variables
        {"variable_fsacd_leg": "feature"},
        {"variable_bridge_to": OTHER},
        {"Answer-State": "hangup"},
        {"Caller-Channel-Bridged-Time": "0"},
        {"Unique-ID": OTHER},
    ],
    ids=str,
)
def test_what_is_no_talk_of_ours_is_not_taken_over(change: dict[str, str]) -> None:
    """Both legs must say the same of each other."""
    facts_of = adopted(caller(LEG, 80_000) | {"variable_bridge_to": OFFER}, AGENTS | change)
    assert not any(isinstance(fact, TalkFound) for fact in facts_of)


def test_who_came_within_one_millisecond_stays_so() -> None:
    """Between them every daemon decides in the same way, whichever leg it has found first."""
    legs = {LEG: caller(LEG, 90_000), OTHER: caller(OTHER, 90_000), UNHEARD: caller(UNHEARD, 90_001)}
    for order in permutations(legs):
        arrived = {leg: ms for _, leg, ms, _ in found({leg: legs[leg] for leg in order})}
        assert arrived == {LEG: 490_000, OTHER: 490_000, UNHEARD: 490_001}


def test_the_newest_of_those_who_came_before_a_crash() -> None:
    """It stands for the clock of then; who came after the crash, and agents, say nothing of it."""
    then = {"variable_recovered": "true"}
    legs = {LEG: caller(LEG, 800_000) | then, OTHER: caller(OTHER, 700_000) | then, UNHEARD: caller(UNHEARD, 900_000)}
    assert strangers.newest_recovered(legs, Switch(legs).ask) == 800_000
    assert strangers.newest_recovered([UNHEARD], Switch(legs).ask) is None
