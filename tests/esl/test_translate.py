"""Messages become facts: announcements, and what happens to legs."""

from __future__ import annotations

import pytest

from fsacd.core.events import (
    CallerGone,
    CallerReplaced,
    CallerTaken,
    CallLeft,
    CallQueued,
    CallReturned,
    Leg,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OfferRang,
    Taken,
)
from fsacd.esl.agents_leg import end_of
from fsacd.esl.codec import HeaderValue, Kind, Message
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.translate import Feature, Reader
from tests.esl.legs_rig import CALL, LEG, OFFER, OTHER

CLOCK = SwitchClock(uptime_ms=100_000, at_ms=5_000)


def event(name: str, **headers: str) -> Message:
    all_headers: dict[str, HeaderValue] = {"Event-Name": name, "Unique-ID": LEG}
    all_headers.update({key.replace("__", "-"): value for key, value in headers.items()})
    return Message(Kind.EVENT, all_headers)


def announcement(subclass: str, **headers: str) -> Message:
    given = {"variable_fsacd_call": CALL, "variable_fsacd_leg": "caller", **headers}
    return event("CUSTOM", Event__Subclass=subclass, **given)


class Warnings(list[str]):
    def __call__(self, sentence: str) -> None:
        self.append(sentence)


@pytest.fixture
def warnings() -> Warnings:
    return Warnings()


@pytest.fixture
def reader(warnings: Warnings) -> Reader:
    return Reader("fs1", warnings)


def test_an_announcement_says_when_the_caller_really_came(reader: Reader) -> None:
    """A call that waited before we connected keeps its waiting time, told by the switch's uptime."""
    message = announcement("fsacd::waiting", variable_fsacd_queue="sales", variable_fsacd_queued_at="93000\n")
    assert reader.read(message, CLOCK, 6_000) == CallQueued(
        CALL, "sales", 6_000 - 8_000, Leg("fs1", LEG), contact_id=""
    )


def test_an_arrival_before_the_printed_uptime_went_round(reader: Reader) -> None:
    """It is printed in 32 bits, which is 49 days."""
    message = announcement(
        "fsacd::queued", variable_fsacd_queue="sales", variable_fsacd_queued_at=str((1 << 32) - 1_000)
    )
    fact = reader.read(message, SwitchClock(uptime_ms=(1 << 32) + 100_000, at_ms=5_000), 6_000)
    assert isinstance(fact, CallQueued)
    assert fact.arrived_ms == 6_000 - 102_000


def test_an_arrival_before_a_crash_of_the_switch_is_told_by_the_clock_of_then(reader: Reader) -> None:
    """Who knew the switch before it crashed knows when its recovered callers came."""
    came = {"variable_fsacd_queue": "sales", "variable_fsacd_queued_at": "400000", "variable_fsacd_recovered": "true"}
    for uptime_ms in (2_000, 500_000):  # also when the switch has run for longer than it had then
        at_ms = 98_000 + uptime_ms
        crashed = SwitchClock(uptime_ms, at_ms, before=SwitchClock(uptime_ms=410_000, at_ms=80_000))
        fact = reader.read(announcement("fsacd::waiting", **came), crashed, at_ms + 1_000)
        assert isinstance(fact, CallQueued)
        assert fact.arrived_ms == 70_000


def test_who_came_before_a_crash_that_nobody_knew_of_is_looked_for(reader: Reader) -> None:
    """Each alone says nothing of the order; once all have been looked at, announcements do."""
    came = {"variable_fsacd_queue": "sales", "variable_fsacd_recovered": "true"}
    crashed, known = SwitchClock(2_000, 100_000), SwitchClock(2_000, 100_000).with_recovered(400_000)
    for queued_at, arrived_ms in (("400000", 98_000), ("398430", 96_430), ("400001", 98_000)):
        message = announcement("fsacd::waiting", variable_fsacd_queued_at=queued_at, **came)
        assert reader.read(message, crashed, 101_000) is None
        for fact in (reader.read(message, known, 101_000), reader.waiting(message, known, 101_000)):
            assert isinstance(fact, CallQueued)
            assert fact.arrived_ms == arrived_ms


@pytest.mark.parametrize(
    ("queued_at", "arrived_ms"),
    [
        ("101050", 6_000),  # 50 ms ahead of our reading of the same clock
        ("5000000", 6_000 - 101_000),  # of before a crash of the switch, which has been up for 101 s
        ("soon", 6_000),
        ("", 6_000),
    ],
)
def test_odd_arrival_times_never_lie_in_the_future(reader: Reader, queued_at: str, arrived_ms: int) -> None:
    """The clock's jitter, the 32-bit wrap and nonsense all give a time that is not after now."""
    message = announcement("fsacd::queued", variable_fsacd_queue="sales", variable_fsacd_queued_at=queued_at)
    fact = reader.read(message, CLOCK, 6_000)
    assert isinstance(fact, CallQueued)
    assert fact.arrived_ms == arrived_ms


def test_the_optional_variables_are_read(reader: Reader, warnings: Warnings) -> None:
    """fsacd_priority, fsacd_skills and fsacd_customer reach the fact, as the caller's number and name do."""
    message = announcement(
        "fsacd::queued",
        variable_fsacd_queue="sales",
        variable_fsacd_priority="2",
        variable_fsacd_skills="german:5, billing",
        variable_fsacd_customer="ACME",
        Caller__Caller__ID__Number="+4930123",
        Caller__Caller__ID__Name="Ann",
    )
    assert reader.read(message, CLOCK, 6_000) == CallQueued(
        CALL, "sales", 6_000, Leg("fs1", LEG), 2, 0, (("billing", 1), ("german", 5)), "+4930123", "Ann", "ACME",
        contact_id="",
    )  # fmt: skip
    assert warnings == []


def test_nonsense_in_a_variable_is_named_and_the_call_is_queued_all_the_same(
    reader: Reader, warnings: Warnings
) -> None:
    """A typing mistake in the dialplan must not cost a caller their place."""
    message = announcement(
        "fsacd::queued", variable_fsacd_queue="q", variable_fsacd_priority="high", variable_fsacd_skills="german:11,x:1"
    )
    fact = reader.read(message, CLOCK, 6_000)
    assert isinstance(fact, CallQueued)
    assert (fact.priority, fact.required) == (None, (("x", 1),))
    assert warnings == [
        f"call {CALL}: fsacd_priority 'high' is no class from -100 to 100; the queue's is used",
        f"call {CALL}: fsacd_skills has 'german:11', which is no skill with a level 1 to 10; it is left out",
    ]


def test_a_leg_that_no_command_can_name_is_not_queued(reader: Reader, warnings: Warnings) -> None:
    """With the caller's own Call-ID as its uuid no agent could be connected with it: the engine refuses a call so."""
    fact = reader.read(announcement("fsacd::queued", variable_fsacd_queue="q", Unique__ID="a b@evil"), CLOCK, 6_000)
    assert isinstance(fact, CallQueued)
    assert fact.leg is None
    (warning,) = warnings
    assert warning == (
        f"call {CALL}: its leg is called 'a b@evil', which no command can name; "
        "inbound-use-callid-as-uuid must be off in the SIP profile"
    )


def test_an_announcement_without_an_id_is_ignored_aloud(reader: Reader, warnings: Warnings) -> None:
    """Without fsacd_call there is nothing to recognise the call by."""
    message = announcement("fsacd::queued", variable_fsacd_call="x'; y")
    assert reader.read(message, CLOCK, 6_000) is None
    assert warnings == ['a call announced itself without a proper fsacd_call ("x\'; y"); it is ignored']


AGENT = {"Unique__ID": OFFER, "variable_fsacd_leg": "agent", "variable_fsacd_offer": OFFER, "variable_fsacd_call": CALL}
CALLER = {"variable_fsacd_leg": "caller", "variable_fsacd_call": CALL}


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        (announcement("fsacd::returned"), CallReturned(CALL, Leg("fs1", LEG))),
        (
            announcement("fsacd::returned", variable_fsacd_back_at="93000\n"),
            CallReturned(CALL, Leg("fs1", LEG), -2_000),
        ),
        (announcement("fsacd::left"), CallLeft(CALL, Leg("fs1", LEG))),
        (
            announcement("fsacd::left", Caller__Destination__Number="fsacd_fallback", variable_fsacd_queue="sales"),
            CallLeft(CALL, Leg("fs1", LEG)),
        ),
        (
            announcement("fsacd::left", Caller__Destination__Number="fsacd_enter", variable_fsacd_queue="sales"),
            CallLeft(CALL, Leg("fs1", LEG), into="sales"),
        ),
        (event("CHANNEL_PROGRESS", **AGENT), OfferRang(OFFER)),
        (event("CHANNEL_PROGRESS_MEDIA", **AGENT), OfferRang(OFFER)),
        (event("CHANNEL_PARK", **AGENT), OfferAnswered(OFFER, "fs1")),
        (event("CHANNEL_BRIDGE", **CALLER, Bridge__B__Unique__ID=OFFER), OfferConnected(OFFER)),
        (
            event("CHANNEL_BRIDGE", **CALLER, Bridge__B__Unique__ID=OFFER, variable_fsacd_contact_id="K-7"),
            OfferConnected(OFFER),
        ),
        (
            # They have talked before, and their agent joins them with a colleague.
            event(
                "CHANNEL_BRIDGE",
                **CALLER,
                Bridge__B__Unique__ID=OFFER,
                variable_fsacd_over="true",
                variable_fsacd_contact_id="K-7",
            ),
            OfferConnected(OFFER, "K-7"),
        ),
        (
            event(
                "CHANNEL_BRIDGE",
                **CALLER,
                Bridge__B__Unique__ID=OFFER,
                variable_fsacd_over="true",
                variable_fsacd_contact_id="a;b",
            ),
            OfferConnected(OFFER),
        ),
        (event("CHANNEL_BRIDGE", **AGENT), OfferConnected(OFFER)),
        (
            # As FreeSWITCH tells of `intercept`: who picks up is the first of the two.
            event(
                "CHANNEL_BRIDGE",
                Unique__ID=OTHER,
                Bridge__A__Unique__ID=OTHER,
                Bridge__B__Unique__ID=LEG,
                Other__Leg__Context="fsacd",
                Caller__Caller__ID__Number="2001",
            ),
            CallerTaken(Leg("fs1", LEG), Taken.PICKED_UP, "2001"),
        ),
        (
            # A key of the operator's has let the caller's own leg dial somebody.
            event("CHANNEL_BRIDGE", **CALLER, Bridge__B__Unique__ID=OTHER, Caller__Callee__ID__Number="7000"),
            CallerTaken(Leg("fs1", LEG), Taken.PICKED_UP, "7000"),
        ),
        (event("CHANNEL_BRIDGE", Unique__ID=OTHER, Bridge__B__Unique__ID=LEG, Other__Leg__Context="public"), None),
        (event("CHANNEL_HANGUP", Unique__ID=OTHER, Other__Leg__Context="fsacd"), None),
        (
            # Where that one talks, or is about to, it takes over its partner.
            event(
                "CHANNEL_CREATE",
                Unique__ID=OTHER,
                Other__Leg__Unique__ID=LEG,
                Other__Leg__Context="fsacd",
                Caller__Destination__Number=f"answer,intercept:{LEG}",
                variable_sip_replaces_call_id="c1@phone",
            ),
            CallerReplaced(Leg("fs1", LEG), Leg("fs1", OTHER), talks=True),
        ),
        (
            # INVITE with Replaces: the new leg says whose place it has taken.
            event(
                "CHANNEL_CREATE",
                Unique__ID=OTHER,
                Other__Leg__Unique__ID=LEG,
                Other__Leg__Context="fsacd",
                variable_sip_replaces_call_id="c1@phone",
            ),
            CallerReplaced(Leg("fs1", LEG), Leg("fs1", OTHER)),
        ),
        (event("CHANNEL_CREATE", Unique__ID=OTHER, Other__Leg__Unique__ID=LEG, Other__Leg__Context="fsacd"), None),
        (event("CHANNEL_CREATE", Unique__ID=OTHER, variable_sip_replaces_call_id="c1@phone"), None),
        (
            event("CHANNEL_HANGUP", **AGENT, Hangup__Cause="USER_BUSY"),
            OfferEnded(OFFER, OfferEnd.BUSY, "USER_BUSY", phone_told=False),
        ),
        (
            # What ends a ring of several phones in FreeSWITCH if nothing else has.
            event("CHANNEL_HANGUP", **AGENT, Hangup__Cause="PROGRESS_TIMEOUT"),
            OfferEnded(OFFER, OfferEnd.NO_ANSWER, "PROGRESS_TIMEOUT", phone_told=False),
        ),
        (
            event("CHANNEL_HANGUP_COMPLETE", **AGENT, Hangup__Cause="USER_BUSY"),
            OfferEnded(OFFER, OfferEnd.BUSY, "USER_BUSY"),
        ),
        (event("CHANNEL_HANGUP_COMPLETE", **CALLER, Hangup__Cause="NORMAL_CLEARING"), None),
        (
            event("CHANNEL_HANGUP", **AGENT, Hangup__Cause="LOSE_RACE", Caller__Channel__Answered__Time="1795332010"),
            OfferEnded(OFFER, OfferEnd.CANCELLED, "LOSE_RACE", answered=True, phone_told=False),
        ),
        (
            # We may have heard of the bridge late; the switch knows how long they talked.
            event(
                "CHANNEL_HANGUP",
                **AGENT,
                Hangup__Cause="NORMAL_CLEARING",
                Caller__Channel__Bridged__Time="1795312083386308",
                Event__Date__Timestamp="1795312085326311",
            ),
            OfferEnded(OFFER, OfferEnd.HUNG_UP, "NORMAL_CLEARING", talked_ms=1_940, phone_told=False),
        ),
        (
            # Bridged again when a crash of the switch was over: they had talked for longer.
            event(
                "CHANNEL_HANGUP",
                **AGENT,
                Hangup__Cause="NORMAL_CLEARING",
                variable_recovered="true",
                Caller__Channel__Bridged__Time="1795312085306308",
                Event__Date__Timestamp="1795312085326311",
            ),
            OfferEnded(OFFER, OfferEnd.HUNG_UP, "NORMAL_CLEARING", phone_told=False),
        ),
        (
            event("CHANNEL_HANGUP", **CALLER, Hangup__Cause="NORMAL_CLEARING"),
            CallerGone(CALL, "NORMAL_CLEARING", leg=Leg("fs1", LEG)),
        ),
        # The far side of a loopback contact: it carries a copy of the agent leg's variables.
        (event("CHANNEL_PARK", **{**AGENT, "Unique__ID": LEG}), None),
        (event("CHANNEL_HANGUP", **{**AGENT, "Unique__ID": LEG}, Hangup__Cause="NORMAL_CLEARING"), None),
        (
            # They go on at another phone, which has replaced their leg of the talk.
            event("CHANNEL_HANGUP", **CALLER, Hangup__Cause="PICKED_OFF"),
            CallerGone(CALL, "PICKED_OFF", transferred=True, leg=Leg("fs1", LEG)),
        ),
        (
            event("CHANNEL_HANGUP", **CALLER, Hangup__Cause="ATTENDED_TRANSFER"),
            CallerGone(CALL, "ATTENDED_TRANSFER", transferred=True, leg=Leg("fs1", LEG)),
        ),
        # The second one is there before the first: a busy switch may end the leg between the two.
        *(
            (
                event("CHANNEL_HANGUP", **CALLER, Hangup__Cause="NORMAL_CLEARING", **{f"variable_{name}": text}),
                CallerGone(CALL, "NORMAL_CLEARING", transferred=True, leg=Leg("fs1", LEG)),
            )
            for name, text in {
                "endpoint_disposition": "ATTENDED_TRANSFER",
                "transfer_disposition": "replaced",
                "transfer_to": f"att:{LEG}",
            }.items()
        ),
        # Joined with another agent's leg: neither has a caller any more.
        (
            event("CHANNEL_HANGUP", **CALLER, Hangup__Cause="NORMAL_CLEARING", variable_transfer_to=f"att:{OFFER}"),
            CallerGone(CALL, "NORMAL_CLEARING", leg=Leg("fs1", LEG)),
        ),
        # By a REFER of the caller's own the agent's leg was sent to a number, and finds none: the talk is over.
        (
            event(
                "CHANNEL_HANGUP",
                **CALLER,
                Hangup__Cause="NORMAL_CLEARING",
                variable_endpoint_disposition="BLIND_TRANSFER",
            ),
            CallerGone(CALL, "NORMAL_CLEARING", leg=Leg("fs1", LEG)),
        ),
        (
            event("CHANNEL_HANGUP", **CALLER, Hangup__Cause="BLIND_TRANSFER"),
            CallerGone(CALL, "BLIND_TRANSFER", leg=Leg("fs1", LEG)),
        ),
        (
            event("BACKGROUND_JOB", Job__UUID=f"ring-{OFFER}", _body="-ERR USER_NOT_REGISTERED\n"),
            OfferEnded(OFFER, OfferEnd.UNREACHABLE, "USER_NOT_REGISTERED", phone_told=False),
        ),
        # +OK means answered, which CHANNEL_PARK says better: only a parked leg can be bridged.
        (event("BACKGROUND_JOB", Job__UUID=f"ring-{OFFER}", _body=f"+OK {OFFER}\n"), None),
        (event("BACKGROUND_JOB", Job__UUID="somebody-elses", _body="-ERR NO_ANSWER\n"), None),
        (event("CHANNEL_PARK", **CALLER), None),
        (event("CHANNEL_HANGUP", Hangup__Cause="NORMAL_CLEARING"), None),
        (event("HEARTBEAT"), None),
        (event("CUSTOM", Event__Subclass="sofia::register"), None),
    ],
)
def test_messages_become_facts(reader: Reader, message: Message, fact: object) -> None:
    """Which leg an event is about is told from our variables on it, nothing is remembered."""
    assert reader.read(message, CLOCK, 6_000) == fact


def test_a_feature_code_names_phone_and_agent(reader: Reader) -> None:
    """fsacd_user is who authenticated, fsacd_agent the agent they act for."""
    message = event(
        "CUSTOM",
        Event__Subclass="fsacd::feature",
        variable_fsacd_feature="not_ready",
        variable_fsacd_user="1001",
        variable_fsacd_reason="3",
    )
    assert reader.read(message, CLOCK, 0) == Feature("not_ready", Leg("fs1", LEG), "1001", "", "3", "")


@pytest.mark.parametrize(
    ("cause", "end"),
    [
        ("CALL_REJECTED", OfferEnd.REFUSED),
        ("USER_BUSY", OfferEnd.BUSY),
        ("NO_ANSWER", OfferEnd.NO_ANSWER),
        ("NO_USER_RESPONSE", OfferEnd.UNREACHABLE),
        ("SUBSCRIBER_ABSENT", OfferEnd.UNREACHABLE),
        ("DESTINATION_OUT_OF_ORDER", OfferEnd.UNREACHABLE),
        ("SOMETHING_NEW", OfferEnd.UNREACHABLE),
        ("LOSE_RACE", OfferEnd.CANCELLED),
        ("NORMAL_CLEARING", OfferEnd.HUNG_UP),
    ],
)
def test_causes_say_what_the_agent_did(cause: str, end: OfferEnd) -> None:
    """A cause that nobody thought of makes the phone unreachable, never refused: the agent is not blamed."""
    assert end_of(cause) == end
