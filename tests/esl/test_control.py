"""One switch's call control: what becomes of commands that the switch does not take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fsacd.core.commands import Command, ConfirmTalk, Connect, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import CallerGone, ConnectFailed, Event, Leg, OfferEnd, OfferEnded
from fsacd.core.rules import Rules
from fsacd.esl.control import CallControl
from fsacd.esl.features import Desk
from fsacd.esl.settings import LinkSettings
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.runtime import Runtime, monotonic_ms

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


class Told(Runtime):
    """Keeps the facts instead of deciding."""

    def __init__(self) -> None:
        super().__init__(Engine(Rules({}, {}), {}))
        self.facts: list[Event] = []

    def post(self, event: Event) -> None:
        self.facts.append(event)


class Rig:
    def __init__(self) -> None:
        self.runtime = Told()
        self.link = Link()
        desk = Desk(lambda _: None, monotonic_ms)
        self.control = CallControl("fs1", LinkSettings(password="x"), self.runtime, 60_000, desk)
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
