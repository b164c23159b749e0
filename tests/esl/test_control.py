"""One switch's call control: what becomes of commands that the switch does not take, and what is told of its calls."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from fsacd.config.installed import DIALPLAN_VERSION
from fsacd.core.commands import AskConnected, ConfirmTalk, Connect, EndCall, RingAgent
from fsacd.core.events import (
    CallerGone,
    ConnectFailed,
    Event,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OutsideCallEnded,
    OutsideCallStarted,
    SwitchConnected,
)
from fsacd.esl.codec import Kind, Message
from fsacd.esl.control import CallControl
from fsacd.esl.features import Desk
from fsacd.esl.settings import LinkSettings
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Outcome, Reply
from fsacd.process.monotonic import monotonic_ms
from tests.esl.control_rig import CALL, DIALS, LEG, LISTED, NOBODY, OFFER, RING, Rig, comes_up
from tests.esl.fake_switch import until


@pytest.fixture
def rig() -> Rig:
    return Rig()


NOT_SENT = Reply(Outcome.NOT_SENT, "the link is down")
REFUSED = Reply(Outcome.ERR, "-ERR Invalid uuid")
UNKNOWN = Reply(Outcome.UNCONFIRMED, "no answer in time")


def test_a_ring_that_was_not_sent_blames_nobody(rig: Rig) -> None:
    """The order never left us, so the agent's phone did not ring."""
    assert rig.send(RING, originate=NOT_SENT) == [OfferEnded(OFFER, OfferEnd.NOT_SENT, "the link is down")]


def test_a_ring_without_an_answer_is_left_to_the_engines_deadline(rig: Rig) -> None:
    """The phone may be ringing: nothing is done twice."""
    assert rig.send(RING, originate=UNKNOWN) == []


def test_a_contact_without_a_safe_form_is_not_sent(rig: Rig) -> None:
    """What cannot be encoded safely is not sent at all."""
    bad = RingAgent(OFFER, CALL, "1001", "sales", "user/1001 &system(id)", "fs1", "", "", 20_000)
    (fact,) = rig.send(bad)
    assert isinstance(fact, OfferEnded)
    assert (fact.end, rig.link.sent) == (OfferEnd.NOT_SENT, [])


def test_a_refused_bridge_to_a_living_caller_failed(rig: Rig) -> None:
    """The agent's leg has gone; the caller waits on."""
    facts = rig.send(Connect(OFFER, CALL, LEG), uuid_bridge=REFUSED, uuid_exists=Reply(Outcome.OK, "true"))
    assert facts == [ConnectFailed(OFFER, "-ERR Invalid uuid")]


def test_a_refused_bridge_to_a_caller_who_is_not_there_ends_their_call(rig: Rig) -> None:
    """Even if the caller's hang-up was never heard of: otherwise agent after agent would be rung for nobody."""
    facts = rig.send(Connect(OFFER, CALL, LEG), uuid_bridge=REFUSED, uuid_exists=Reply(Outcome.OK, "false"))
    assert facts == [CallerGone(CALL, "no_such_leg")]


def test_a_bridge_that_was_not_sent_failed(rig: Rig) -> None:
    """There is nobody to ask."""
    assert rig.send(Connect(OFFER, CALL, LEG), uuid_bridge=NOT_SENT) == [ConnectFailed(OFFER, "the link is down")]
    assert rig.link.sent == ["uuid_bridge"]


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        (Reply(Outcome.OK, '{"Caller-Channel-Bridged-Time": "1795312083386308"}'), [OfferConnected(OFFER)]),
        (Reply(Outcome.OK, '{"Caller-Channel-Bridged-Time": "0"}'), [ConnectFailed(OFFER, "there is no bridge")]),
        (Reply(Outcome.OK, "nonsense"), []),
        (REFUSED, []),
        (NOT_SENT, []),
        (UNKNOWN, []),
    ],
)
def test_the_switch_is_asked_for_a_bridge_it_has_not_told_of(rig: Rig, answer: Reply, facts: list[Event]) -> None:
    """What it cannot say is left to the engine's deadline."""
    assert rig.send(AskConnected(OFFER, "fs1"), uuid_dump=answer) == facts


def test_a_talk_that_could_not_be_confirmed_is_no_fact(rig: Rig) -> None:
    """The leg has gone, and its hang-up says so."""
    assert rig.send(ConfirmTalk(CALL, LEG, None), uuid_setvar_multi=REFUSED) == []


# --- what a caller's REFER does, and what the switch is ---------------------------------------------------------------


def test_a_leg_that_a_callers_refer_has_made_is_ended(rig: Rig) -> None:
    """At once, and it is nobody's call."""
    comes_up(rig, restarted=False, show=NOBODY)
    rig.runtime.facts.clear()
    rig.link.sent.clear()
    made = {"Event-Name": "CHANNEL_CREATE", "Unique-ID": LEG.uuid, "Call-Direction": "outbound"}
    rig.control._on_event(Message(Kind.EVENT, made | {"variable_sip_h_X-FS-Refer-For": OFFER}))
    assert (rig.link.sent, rig.runtime.facts) == (["uuid_kill"], [])


def test_the_dialplan_that_a_call_has_run_through_is_the_one_that_counts(rig: Rig) -> None:
    """Whatever the global variable said when the link came up; those who wait longer say nothing of it."""
    comes_up(rig, restarted=False, show=NOBODY)
    assert [trouble.words.partition(" of ")[0] for trouble in rig.control.terms.troubles()] == [
        "Switch fs1 runs version 1"
    ]
    new = {"Event-Name": "CUSTOM", "Event-Subclass": "fsacd::queued", "variable_fsacd_dialplan": str(DIALPLAN_VERSION)}
    rig.control._on_event(Message(Kind.EVENT, new))
    rig.control._on_event(Message(Kind.EVENT, {"Event-Name": "CUSTOM", "Event-Subclass": "fsacd::waiting"}))
    assert list(rig.control.terms.troubles()) == []


# --- agents' own calls -----------------------------------------------------------------------------------------------


def test_an_agents_own_call_is_told(rig: Rig) -> None:
    """From the event that begins the leg to the one that ends it."""
    comes_up(rig, restarted=False, show=NOBODY)
    rig.runtime.facts.clear()
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    rig.control._on_event(Message(Kind.EVENT, DIALS | {"Event-Name": "CHANNEL_HANGUP"}))
    assert rig.runtime.facts == [OutsideCallStarted("1001", LEG), OutsideCallEnded("1001", LEG)]


def test_an_agent_who_gives_up_their_own_call_is_free_after_it(rig: Rig) -> None:
    """One hangup is two facts. In the other order the free agent would get the call that is about to end."""
    comes_up(rig, restarted=False, show=NOBODY)
    rig.runtime.facts.clear()
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    gone = {"Event-Name": "CHANNEL_HANGUP", "Hangup-Cause": "NORMAL_CLEARING"}
    rig.control._on_event(
        Message(Kind.EVENT, DIALS | gone | {"variable_fsacd_leg": "caller", "variable_fsacd_call": CALL})
    )
    assert rig.runtime.facts == [
        OutsideCallStarted("1001", LEG),
        CallerGone(CALL, "NORMAL_CLEARING", leg=LEG),
        OutsideCallEnded("1001", LEG),
    ]


def test_where_it_is_not_wanted_nothing_is_subscribed_or_told() -> None:
    """With the setting off no filter lets the events through."""
    on, off = Rig(), Rig(respect_outside_calls=False)
    comes_up(off, restarted=False, show=NOBODY)
    off.runtime.facts.clear()
    off.control._on_event(Message(Kind.EVENT, DIALS))
    assert off.runtime.facts == []
    assert [set(more) - set(less) for more, less in zip(on.subscription, off.subscription, strict=True)] == [
        set(),
        set(),
        {("Call-Direction", "outbound"), ("variable_user_name", "/^./"), ("variable_verto_user", "/^./")},
    ]


def test_where_it_is_not_wanted_any_more_nobody_stays_busy() -> None:
    """The daemon before respected the agents' own calls: nobody would ever hear of the end of those there are."""
    off = Rig(respect_outside_calls=False)
    off.control.remember_outside([("1001", LEG)])
    assert off.runtime.facts == [OutsideCallEnded("1001", LEG)]


def test_who_is_in_a_call_is_known_before_anybody_is_rung(rig: Rig) -> None:
    """When the link comes up, the calls that are there are told before the switch is said to be in service."""
    dump = Reply(Outcome.OK, json.dumps(DIALS))
    facts = comes_up(rig, restarted=False, show=LISTED, uuid_dump=dump, uuid_exists=Reply(Outcome.OK, "true"))
    assert facts[:2] == [OutsideCallStarted("1001", LEG), SwitchConnected("fs1")]


def test_a_restarted_switch_has_none_of_the_calls_of_before(rig: Rig) -> None:
    """Each outside call whose leg has gone with the switch is over before anybody is rung."""
    comes_up(rig, restarted=False, show=NOBODY)
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    told = len(rig.runtime.facts)
    facts = comes_up(rig, restarted=True, show=NOBODY, uuid_exists=Reply(Outcome.OK, "false"))
    assert facts[told:][:2] == [OutsideCallEnded("1001", LEG), SwitchConnected("fs1")]


# --- what a switch says wrongly, and what it cannot do ----------------------------------------------------------------


def test_what_a_switch_can_bring_about_costs_one_line_for_each_kind(rig: Rig) -> None:
    """Thousands of announcements without sense, refused commands and feature codes are a handful of lines."""
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=monotonic_ms()))
    rig.control._service.listens = True
    calls = [f"{number:08x}-2222-4333-8444-555555555555" for number in range(2_000)]
    with capture_logs() as lines:
        for call in calls:
            announcement = {
                "Event-Name": "CUSTOM",
                "Event-Subclass": "fsacd::queued",
                "Unique-ID": call,
                "variable_fsacd_call": call,
                "variable_fsacd_priority": f"'{call}'",
                "variable_fsacd_skills": f"no skill {call}",
            }
            rig.control._on_event(Message(Kind.EVENT, announcement))
            feature = {**announcement, "Event-Subclass": "fsacd::feature", "variable_fsacd_user": call}
            rig.control._on_event(Message(Kind.EVENT, feature))
            rig.control._failed(EndCall(call, LEG, "NORMAL_CLEARING"), Reply(Outcome.ERR, f"-ERR no such leg {call}"))
        until(lambda: any(line["event"] == "feature code refused" for line in lines))
    rig.control._on_state(Down("the test is over"))
    assert len(lines) < 20
    assert {line["event"] for line in lines} >= {
        "an announcement makes no sense",
        "the switch did not take a command",
        "feature code refused",
    }


def test_what_a_switch_has_said_wrongly_is_told_for_a_while(rig: Rig) -> None:
    """Nonsense and messages that were left out are a trouble for a minute, in words of our own and with a detail."""
    desk = Desk(lambda _wish, _by: None, monotonic_ms)
    control = CallControl("fs1", LinkSettings(password="x"), rig.runtime, 60_000, desk)
    assert list(control.troubles()) == []
    counters = control._link._counters
    counters.note_nonsense("FreeSWITCH sent an event whose Event-Name is no text.")
    counters.note_left_out(3)
    nonsense, left_out = control.troubles()
    assert nonsense.words == "Switch fs1 sent what no FreeSWITCH sends; fsacd ends the link each time."
    assert nonsense.detail == "FreeSWITCH sent an event whose Event-Name is no text."
    assert left_out.words.startswith("Switch fs1 sends messages that are too large")
    counters.nonsense_at_s -= 61
    counters.left_out_at_s -= 61
    assert list(control.troubles()) == []


@pytest.mark.parametrize(("dialplan", "answer"), [("2", "fsacd_no"), ("3", "fsacd_no_agent")])
def test_a_refused_code_has_a_tone_of_its_own(dialplan: str, answer: str) -> None:
    """Where the dialplan has one: an older one knows one tone for all reasons."""
    rig = Rig()
    rig.control._service.listens = True
    rig.control.terms.linked(dialplan, ())
    rig.control._on_event(
        Message(
            Kind.EVENT,
            {
                "Event-Name": "CUSTOM",
                "Event-Subclass": "fsacd::feature",
                "Unique-ID": LEG.uuid,
                "variable_fsacd_feature": "ready",
                "variable_fsacd_user": "4711",
            },
        )
    )
    until(lambda: rig.link.wires)
    assert rig.link.wires[-1].data.decode().split()[1:] == ["uuid_transfer", LEG.uuid, answer, "XML", "fsacd"]


def test_music_that_cannot_be_played_is_told() -> None:
    """By the announcements of those who should hear it."""
    rig = Rig()
    rig.control._service.listens = True
    headers = {"Event-Name": "CUSTOM", "Event-Subclass": "fsacd::waiting", "Unique-ID": LEG.uuid}
    rig.control._on_event(Message(Kind.EVENT, headers))
    assert list(rig.control._silence()) == []
    rig.control._on_event(Message(Kind.EVENT, {**headers, "variable_fsacd_silent": "local_stream://gone"}))
    (trouble,) = rig.control._silence()
    assert trouble.words == "Switch fs1 cannot play the music that waiting callers are to hear; they hear a tone."
    assert trouble.detail == "fsacd_music is local_stream://gone"
