"""Calls whose caller has not acknowledged our answer: kept back, asked for, and let in when the ACK has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import gevent
import pytest

from fsacd.core.events import CallQueued, Leg
from fsacd.esl import acknowledging, trust
from fsacd.esl.acknowledging import Acknowledging
from fsacd.esl.codec import HeaderValue, Kind, Message
from fsacd.esl.settings import RequireAck
from fsacd.esl.states import Down
from fsacd.esl.wire import Outcome, Reply
from fsacd.runtime import watched
from tests.esl.control_rig import CALL, LEG, Link, Rig
from tests.esl.fake_switch import until

UNSET = Reply(Outcome.OK, "_undef_")
SET = Reply(Outcome.OK, "1")
GONE = Reply(Outcome.ERR, "-ERR No such channel!")
DENIED = Reply(Outcome.ERR, "-ERR permission denied")


def announcement(subclass: str, **more: HeaderValue) -> Message:
    headers: dict[str, HeaderValue] = {
        "Event-Name": "CUSTOM",
        "Event-Subclass": subclass,
        "Unique-ID": LEG.uuid,
        "Channel-Name": "sofia/trunk/+4930@192.0.2.1",
        "Call-Direction": "inbound",
        "variable_fsacd_leg": "caller",
        "variable_fsacd_call": CALL,
        "variable_fsacd_queue": "sales",
        **more,
    }
    return Message(Kind.EVENT, headers)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig(require_ack=RequireAck.ALWAYS)
    made.control._service.listens = True
    yield made
    made.control._on_state(Down("the test is over"))


def queued(rig: Rig) -> list[str]:
    return [fact.call_id for fact in rig.runtime.facts if isinstance(fact, CallQueued)]


def test_who_never_acknowledges_is_no_call(rig: Rig) -> None:
    """Nobody hears of it, however often the leg is asked for."""
    rig.link.answers = {"uuid_getvar": UNSET}
    rig.control._on_event(announcement("fsacd::queued"))
    until(lambda: rig.link.sent.count("uuid_getvar") >= 3)
    rig.control._on_event(announcement("fsacd::waiting"))
    assert queued(rig) == []


def test_a_call_is_let_in_when_its_ack_has_come(rig: Rig) -> None:
    """Once, with all that it announced."""
    rig.link.answers = {"uuid_getvar": UNSET}
    rig.control._on_event(announcement("fsacd::queued", **{"Caller-Caller-ID-Number": "+4930"}))
    until(lambda: rig.link.sent.count("uuid_getvar") >= 2)
    rig.link.answers = {"uuid_getvar": SET}
    until(lambda: queued(rig))
    gevent.sleep(0.05)
    assert queued(rig) == [CALL]
    (fact,) = (fact for fact in rig.runtime.facts if isinstance(fact, CallQueued))
    assert (fact.queue, fact.number, fact.leg) == ("sales", "+4930", LEG)


def test_an_ack_that_has_come_already_costs_no_question(rig: Rig) -> None:
    """As with nearly every caller of a near network."""
    rig.control._on_event(announcement("fsacd::queued", variable_sip_cseq="1"))
    assert queued(rig) == [CALL]
    assert rig.link.sent == []


def test_the_next_announcement_lets_it_in_as_well(rig: Rig) -> None:
    """The caller is announced every ten seconds anyway, and then nobody goes on asking."""
    rig.link.answers = {"uuid_getvar": UNSET}
    rig.control._on_event(announcement("fsacd::queued"))
    rig.control._on_event(announcement("fsacd::waiting", variable_sip_cseq="1"))
    asked = rig.link.sent.count("uuid_getvar")
    gevent.sleep(0.05)
    assert queued(rig) == [CALL]
    assert rig.link.sent.count("uuid_getvar") == asked


@pytest.mark.parametrize(
    "end",
    [
        announcement("fsacd::left"),
        Message(
            Kind.EVENT,
            {**announcement("").headers, "Event-Name": "CHANNEL_HANGUP", "Hangup-Cause": "NORMAL_CLEARING"},
        ),
    ],
)
def test_a_leg_that_has_left_is_not_asked_for_any_more(rig: Rig, end: Message) -> None:
    """An ACK that is seen after the caller has gone makes no call of theirs."""
    rig.link.answers = {"uuid_getvar": UNSET}
    rig.control._on_event(announcement("fsacd::queued"))
    rig.control._on_event(end)
    rig.link.answers = {"uuid_getvar": SET}
    gevent.sleep(0.05)
    assert queued(rig) == []


def test_a_leg_that_is_not_there_is_not_asked_for_again(rig: Rig) -> None:
    """Its end may not be told to us."""
    rig.link.answers = {"uuid_getvar": GONE}
    rig.control._on_event(announcement("fsacd::queued"))
    gevent.sleep(0.05)
    assert rig.link.sent.count("uuid_getvar") == 1
    assert queued(rig) == []


@pytest.mark.parametrize(("cseq", "calls"), [("", []), ("1", [CALL])])
def test_a_user_of_older_rights_is_served_by_another_question(rig: Rig, cseq: str, calls: list[str]) -> None:
    """uuid_getvar was not among the rights of before; uuid_dump was."""
    rig.link.answers = {
        "uuid_getvar": DENIED,
        "uuid_dump": Reply(Outcome.OK, json.dumps({**announcement("").headers, "variable_sip_cseq": cseq})),
    }
    rig.control._on_event(announcement("fsacd::queued"))
    until(lambda: rig.link.sent.count("uuid_dump") >= 1)
    assert queued(rig) == calls
    assert rig.link.sent.count("uuid_getvar") == 1


def test_a_switch_that_is_not_ours_any_more_lets_nobody_in(rig: Rig) -> None:
    """The daemon that serves it next hears of the caller itself."""
    rig.link.answers = {"uuid_getvar": UNSET}
    rig.control._on_event(announcement("fsacd::queued"))
    rig.control._on_state(Down("cut"))
    rig.link.answers = {"uuid_getvar": SET}
    gevent.sleep(0.05)
    assert queued(rig) == []


# --- bounds --------------------------------------------------------------------------------------------------------


def many(number: int) -> list[CallQueued]:
    return [
        CallQueued(f"c{at}", "sales", 0, Leg("fs1", f"{at:08x}-2222-4333-8444-555555555555")) for at in range(number)
    ]


def test_a_flood_of_them_has_bounds_and_the_newest_have_the_places() -> None:
    """As many are watched as there is place for, and so many questions are asked in a second and no more."""
    link, posted = Link(), list[CallQueued]()
    link.answers = {"uuid_getvar": UNSET}
    given_up = list[int]()
    kept = Acknowledging("fs1", link.submit, posted.append, lambda: given_up.append(1))
    calls = many(3 * acknowledging.LIMIT)
    for call in calls:
        kept.keep(call)
    assert len(kept) == acknowledging.LIMIT
    assert len(given_up) == 2 * acknowledging.LIMIT
    assert len(link.sent) <= 2 * acknowledging._QUESTIONS_PER_S  # the flood may lie over the turn of a second
    link.answers = {"uuid_getvar": SET}
    until(lambda: not len(kept))
    assert {call.call_id for call in posted} == {call.call_id for call in calls[-acknowledging.LIMIT :]}
    kept.clear()


def test_nobody_is_asked_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the next announcement decides."""
    monkeypatch.setattr(acknowledging, "_GIVE_UP_S", 0.05)
    link, posted = Link(), list[CallQueued]()
    link.answers = {"uuid_getvar": UNSET}
    given_up = list[int]()
    kept = Acknowledging("fs1", link.submit, posted.append, lambda: given_up.append(1))
    for again in (False, True):
        kept.keep(many(1)[0], again=again)
        until(lambda: not len(kept))
    # Told of once, though the caller was announced twice.
    assert (posted, given_up) == ([], [1])


# --- callers of an address that has acknowledged lately -----------------------------------------------------------


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(acknowledging, "_LOOK_S", 0.02)
    monkeypatch.setattr(acknowledging, "_DOUBTED_AFTER_S", 0.04)
    monkeypatch.setattr(acknowledging, "_ENDED_AFTER_S", 0.1)
    made = Rig(require_ack=RequireAck.STRANGERS)
    made.control._service.listens = True
    made.link.answers = {"uuid_getvar": UNSET}
    yield made
    made.control._on_state(Down("the test is over"))


def caller(number: int, *, acks: bool, address: str = "192.0.2.1") -> Message:
    ids = {"Unique-ID": f"{number:08x}-2222-4333-8444-555555555555", "Caller-Network-Addr": address}
    return announcement(
        "fsacd::queued",
        **ids,
        **({"variable_sip_cseq": "1"} if acks else {}),
        variable_fsacd_call=f"{number:08x}-1111-4333-8444-555555555555",
    )


def test_a_stranger_waits_for_the_ack_and_the_next_of_the_address_does_not(trusting: Rig) -> None:
    """The first proves that somebody is there; a further one is looked at behind its ring."""
    trusting.control._on_event(caller(1, acks=False))
    gevent.sleep(0.05)
    assert len(queued(trusting)) == 0
    trusting.link.answers = {"uuid_getvar": SET}
    until(lambda: len(queued(trusting)) == 1)
    trusting.control._on_event(caller(2, acks=False))
    assert len(queued(trusting)) == 2, "at once"
    trusting.link.answers = {"uuid_getvar": UNSET}
    trusting.control._on_event(caller(3, acks=False, address="192.0.2.9"))
    assert len(queued(trusting)) == 2, "another address is another matter"
    trusting.link.answers = {"uuid_getvar": SET}
    gevent.sleep(0.2)
    assert "uuid_kill" not in trusting.link.sent, "all have acknowledged"


def test_who_was_let_in_and_does_not_acknowledge_is_ended(trusting: Rig) -> None:
    """And others of the address wait for their ACK from then on."""
    trusting.control._on_event(caller(1, acks=True))
    trusting.control._on_event(caller(2, acks=False))
    assert len(queued(trusting)) == 2
    until(lambda: "uuid_kill" in trusting.link.sent)
    trusting.control._on_event(caller(3, acks=False))
    assert len(queued(trusting)) == 2
    trusting.control._on_event(caller(4, acks=True))
    assert len(queued(trusting)) == 3, "who has acknowledged is there"
    trusting.control._on_event(caller(5, acks=False))
    assert len(queued(trusting)) == 3, "and proves nothing for others of a doubted address"


def test_those_who_were_let_in_are_checked_by_one_greenlet(trusting: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A greenlet and a timer for each call would cost more than the question."""
    started: list[str] = []
    brief = watched.brief

    def noted(part: str, work: Callable[..., object], *arguments: object) -> gevent.Greenlet:
        started.append(part)
        return brief(part, work, *arguments)

    monkeypatch.setattr(watched, "brief", noted)
    trusting.control._on_event(caller(0, acks=True))
    for number in range(1, trust.UNPROVEN_OF_ONE):
        trusting.control._on_event(caller(number, acks=False))
    trusting.link.answers = {"uuid_getvar": SET}
    until(lambda: not len(trusting.control._acknowledging))
    assert started.count("acknowledgements") == 1
    trusting.control._on_event(caller(100, acks=False))
    until(lambda: not len(trusting.control._acknowledging))
    assert started.count("acknowledgements") == 2, "it had ended when nobody was left"


def test_a_flood_in_the_name_of_a_trusted_address_has_a_bound(trusting: Rig) -> None:
    """So many are let in before the first of them is missed."""
    trusting.control._on_event(caller(0, acks=True))
    for number in range(1, 100):
        trusting.control._on_event(caller(number, acks=False))
    assert len(queued(trusting)) == 1 + trust.UNPROVEN_OF_ONE
    until(lambda: trusting.link.sent.count("uuid_kill") == trust.UNPROVEN_OF_ONE)
    assert len(queued(trusting)) == 1 + trust.UNPROVEN_OF_ONE


def test_who_goes_before_the_ack_is_seen_leaves_no_trace(trusting: Rig) -> None:
    """Short calls must not use up the places of those who may be unproven."""
    trusting.control._on_event(caller(0, acks=True))
    for number in range(1, 100):
        call = caller(number, acks=False)
        trusting.control._on_event(call)
        hangup = {**call.headers, "Event-Name": "CHANNEL_HANGUP", "Hangup-Cause": "NORMAL_CLEARING"}
        trusting.control._on_event(Message(Kind.EVENT, hangup))
    assert len(queued(trusting)) == 100
    gevent.sleep(0.2)
    assert "uuid_kill" not in trusting.link.sent
