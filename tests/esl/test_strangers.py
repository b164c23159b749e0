"""Legs that no daemon knows when the link is back: who waits, who talks with whom, and what is none of ours."""

from __future__ import annotations

from functools import partial
from itertools import permutations

import pytest

from fsacd.core.events import CallQueued, CallReturned, Event, Leg, TalkFound
from fsacd.core.views import Underway
from fsacd.esl import strangers, translate
from fsacd.esl.switch_clock import SwitchClock
from tests.esl.legs_rig import LEG, OFFER, ORDERED, OTHER, Legs, Switch, view

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


def test_who_waited_before_a_crash_of_the_switch_keeps_their_place() -> None:
    """The uptimes of then say nothing of the time now, but who came first; nobody knows it better without a memory."""
    legs = {LEG: caller(LEG, 800_000), OTHER: caller(OTHER, 700_000), UNHEARD: caller(UNHEARD, 99_000)}
    assert found(legs) == [
        ("unknown_caller", OTHER, 399_999, False),
        ("unknown_caller", LEG, 400_000, False),
        ("unknown_caller", UNHEARD, 499_000, False),
    ]


def test_who_waits_although_their_call_has_ended() -> None:
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
    # Others have taken them away, and have left them between two states.
    taken = caller(LEG, 1, over="true") | {"Channel-State": "CS_RESET"}
    assert found({LEG: taken}) == [("caller_in_limbo", LEG, None, True)]
    for more in ({"variable_bridge_to": OTHER}, {"Channel-State": "CS_EXECUTE"}):
        assert found({LEG: taken | more, OTHER: {"Unique-ID": OTHER}}) == []
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
    assert strangers.suspected(Underway(0, (), ()), "fs1", rows) == [UNHEARD, LEG, OFFER]
    assert strangers.suspected(view("waiting", "ringing"), "fs1", rows) == [UNHEARD]


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
