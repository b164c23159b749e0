"""One switch's call control: what becomes of commands that the switch does not take."""

from __future__ import annotations

import json
from collections.abc import Callable

import gevent
import pytest

from fsacd.core.commands import Command, ConfirmTalk, Connect, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import (
    CallerGone,
    ConnectFailed,
    Event,
    Leg,
    OfferEnd,
    OfferEnded,
    OutsideCallEnded,
    OutsideCallStarted,
    SwitchConnected,
    SwitchRestarted,
)
from fsacd.core.rules import Rules
from fsacd.esl.codec import Kind, Message
from fsacd.esl.control import CallControl
from fsacd.esl.features import Desk, Member
from fsacd.esl.settings import LinkSettings
from fsacd.esl.states import Down, Up
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.runtime import Runtime, monotonic_ms
from fsacd.testing import PLUGINS

CALL = "11111111-2222-4333-8444-555555555555"
LEG = Leg("fs1", "aaaaaaaa-2222-4333-8444-555555555555")
OFFER = "bbbbbbbb-2222-5333-8444-555555555555"
RING = RingAgent(OFFER, CALL, "1001", "sales", "user/1001", "fs1", "+4930", "Ann", 20_000)


class Link:
    """Answers each command as the test says, by the first word of its api command."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {}
        self.sent: list[str] = []

    def submit(
        self, wire: Wire, on_reply: Callable[[Reply], object] | None = None, timeout_s: float | None = None
    ) -> None:
        verb = wire.data.decode().split()[1]
        self.sent.append(verb)
        if on_reply is not None:
            on_reply(self.answers.get(verb, Reply(Outcome.OK, "+OK")))

    def call(self, wire: Wire, timeout_s: float | None = None) -> Reply:
        found: list[Reply] = []
        self.submit(wire, found.append, timeout_s)
        return found[0]


class Told(Runtime):
    """Keeps the facts instead of deciding."""

    def __init__(self) -> None:
        super().__init__(Engine(Rules({}, {}), PLUGINS))
        self.facts: list[Event] = []

    def post(self, event: Event) -> None:
        self.facts.append(event)


class Rig:
    def __init__(self, *, respect_outside_calls: bool = True) -> None:
        self.runtime = Told()
        self.link = Link()
        desk = Desk(lambda _: None, monotonic_ms)
        desk.members = {"1001": Member("1001", "user/1001", None)}
        settings = LinkSettings(password="x")
        self.control = CallControl(
            "fs1", settings, self.runtime, 60_000, desk, respect_outside_calls=respect_outside_calls
        )
        self.subscription = self.control._link._subscription
        self.control._link = self.link  # type: ignore[assignment]  # stands in for the network

    def send(self, command: Command, **answers: Reply) -> list[Event]:
        self.link.answers = answers
        self.control.send(command)
        return self.runtime.facts


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


def test_a_refused_bridge_to_a_caller_who_is_not_there_ends_his_call(rig: Rig) -> None:
    """Even if his hang-up was never heard of: otherwise one agent after the other would be rung for nobody."""
    facts = rig.send(Connect(OFFER, CALL, LEG), uuid_bridge=REFUSED, uuid_exists=Reply(Outcome.OK, "false"))
    assert facts == [CallerGone(CALL, "no_such_leg")]


def test_a_bridge_that_was_not_sent_failed(rig: Rig) -> None:
    """There is nobody to ask."""
    assert rig.send(Connect(OFFER, CALL, LEG), uuid_bridge=NOT_SENT) == [ConnectFailed(OFFER, "the link is down")]
    assert rig.link.sent == ["uuid_bridge"]


def test_a_talk_that_could_not_be_confirmed_is_no_fact(rig: Rig) -> None:
    """The leg has gone, and its hang-up says so."""
    assert rig.send(ConfirmTalk(CALL, LEG, None), uuid_setvar_multi=REFUSED) == []


# --- agents' own calls -----------------------------------------------------------------------------------------------

DIALS = {
    "Event-Name": "CHANNEL_CREATE",
    "Unique-ID": LEG.uuid,
    "Call-Direction": "inbound",
    "variable_user_name": "1001",
}
LISTED = Reply(Outcome.OK, json.dumps({"row_count": 1, "rows": [{"uuid": LEG.uuid}]}))


def comes_up(rig: Rig, *, restarted: bool, **answers: Reply) -> list[Event]:
    """What is told from the link's coming up to the first moment of service."""
    rig.link.answers = answers
    rig.control._on_state(Up("core", "fs1", restarted=restarted, uptime_ms=0, at_ms=0))
    with gevent.Timeout(5):
        while not rig.control.in_sync:
            gevent.sleep(0.001)
    rig.control._on_state(Down("the test is over"))
    return rig.runtime.facts


def test_an_agents_own_call_is_told(rig: Rig) -> None:
    """From the event that begins the leg to the one that ends it."""
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    rig.control._on_event(Message(Kind.EVENT, DIALS | {"Event-Name": "CHANNEL_HANGUP"}))
    assert rig.runtime.facts == [OutsideCallStarted("1001", LEG), OutsideCallEnded("1001", LEG)]


def test_where_it_is_not_wanted_nothing_is_subscribed_or_told() -> None:
    """With the setting off, not even the events come."""
    on, off = Rig(), Rig(respect_outside_calls=False)
    off.control._on_event(Message(Kind.EVENT, DIALS))
    assert off.runtime.facts == []
    assert [set(more) - set(less) for more, less in zip(on.subscription, off.subscription, strict=True)] == [
        {"CHANNEL_CREATE"},
        set(),
        {("Call-Direction", "outbound"), ("variable_user_name", "/^./"), ("variable_verto_user", "/^./")},
    ]


def test_who_is_in_a_call_is_known_before_anybody_is_rung(rig: Rig) -> None:
    """When the link comes up, the calls that are there are told before the switch is said to be in service."""
    dump = Reply(Outcome.OK, json.dumps(DIALS))
    facts = comes_up(rig, restarted=False, show=LISTED, uuid_dump=dump, uuid_exists=Reply(Outcome.OK, "true"))
    assert facts[:2] == [OutsideCallStarted("1001", LEG), SwitchConnected("fs1")]


def test_a_restarted_switch_has_none_of_the_calls_of_before(rig: Rig) -> None:
    """The engine clears them when it hears of the restart: their ends are not told as well."""
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    none = Reply(Outcome.OK, json.dumps({"row_count": 0}))
    facts = comes_up(rig, restarted=True, show=none, uuid_exists=Reply(Outcome.OK, "false"))
    assert facts[:3] == [OutsideCallStarted("1001", LEG), SwitchRestarted("fs1"), SwitchConnected("fs1")]
