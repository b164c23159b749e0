"""One switch's call control: what becomes of commands that the switch does not take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import gevent
import pytest

from fsacd.core.commands import AskConnected, Command, ConfirmTalk, Connect, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import (
    CallerGone,
    CallQueued,
    ConnectFailed,
    Event,
    Leg,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OutsideCallEnded,
    OutsideCallStarted,
    SwitchConnected,
    SwitchLost,
    SwitchTaken,
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
from tests.esl.fake_switch import until

CALL = "11111111-2222-4333-8444-555555555555"
LEG = Leg("fs1", "aaaaaaaa-2222-4333-8444-555555555555")
OFFER = "bbbbbbbb-2222-5333-8444-555555555555"
RING = RingAgent(OFFER, CALL, "1001", "sales", "user/1001", "fs1", "+4930", "Ann", 20_000)


class Link:
    """Answers each command as the test says, by the first word of its api command."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {}
        self.sent: list[str] = []
        self.hash: Callable[[Wire], Reply] | None = None

    def submit(
        self, wire: Wire, on_reply: Callable[[Reply], object] | None = None, timeout_s: float | None = None
    ) -> None:
        verb = wire.data.decode().split()[1]
        self.sent.append(verb)
        if on_reply is not None:
            if verb == "hash" and self.hash is not None:
                gevent.spawn(on_reply, self.hash(wire))
            else:
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
    def __init__(self, *, respect_outside_calls: bool = True, fence_term_ms: int = 0) -> None:
        self.runtime = Told()
        self.link = Link()
        desk = Desk(lambda _: None, monotonic_ms)
        desk.members = {"1001": Member("1001", "user/1001", None)}
        settings = LinkSettings(password="x", fence_term_ms=fence_term_ms, fence_renewal_ms=50)
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


# --- agents' own calls -----------------------------------------------------------------------------------------------

DIALS = {
    "Event-Name": "CHANNEL_CREATE",
    "Unique-ID": LEG.uuid,
    "Call-Direction": "inbound",
    "variable_user_name": "1001",
}
NOBODY = Reply(Outcome.OK, json.dumps({"row_count": 0}))
LISTED = Reply(Outcome.OK, json.dumps({"row_count": 1, "rows": [{"uuid": LEG.uuid}]}))


def comes_up(rig: Rig, *, restarted: bool, **answers: Reply) -> list[Event]:
    """What is told from the link's coming up to the first moment of service."""
    rig.link.answers = answers
    rig.control._on_state(Up("core", "fs1", restarted=restarted, uptime_ms=0, at_ms=0))
    until(lambda: rig.control.in_sync)
    rig.control._on_state(Down("the test is over"))
    return rig.runtime.facts


def test_an_agents_own_call_is_told(rig: Rig) -> None:
    """From the event that begins the leg to the one that ends it."""
    comes_up(rig, restarted=False, show=NOBODY)
    rig.runtime.facts.clear()
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    rig.control._on_event(Message(Kind.EVENT, DIALS | {"Event-Name": "CHANNEL_HANGUP"}))
    assert rig.runtime.facts == [OutsideCallStarted("1001", LEG), OutsideCallEnded("1001", LEG)]


def test_where_it_is_not_wanted_nothing_is_subscribed_or_told() -> None:
    """With the setting off, not even the events come."""
    on, off = Rig(), Rig(respect_outside_calls=False)
    comes_up(off, restarted=False, show=NOBODY)
    off.runtime.facts.clear()
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
    """Each outside call whose leg has gone with the switch is over before anybody is rung."""
    comes_up(rig, restarted=False, show=NOBODY)
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    rig.runtime.facts.clear()
    facts = comes_up(rig, restarted=True, show=NOBODY, uuid_exists=Reply(Outcome.OK, "false"))
    assert facts[:2] == [OutsideCallEnded("1001", LEG), SwitchConnected("fs1")]


# --- the fence -------------------------------------------------------------------------------------------------------


class HashTable:
    """What mod_hash does, in place of the network."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {}
        self.deaf = False

    def answer(self, wire: Wire) -> Reply:
        if self.deaf:
            return Reply(Outcome.UNCONFIRMED, "no answer in time")
        verb, _, key, *value = wire.data.decode().split(maxsplit=2)[2].strip().split("/")
        there = self.table.get(key)
        if verb == "select":
            return Reply(Outcome.OK, there) if there else Reply(Outcome.ERR, "-ERR no reply")
        if verb == "insert" or (verb == "insert_ifempty" and there is None):
            self.table[key] = value[0]
        elif verb == "delete" or (verb == "delete_ifmatch" and there == value[0]):
            self.table.pop(key, None)
        else:
            return Reply(Outcome.ERR, "-ERR")
        return Reply(Outcome.OK, "+OK")


@pytest.fixture
def fenced() -> Iterator[tuple[Rig, HashTable]]:
    rig, table = Rig(fence_term_ms=400), HashTable()
    rig.link.hash = table.answer
    rig.link.answers = {"show": NOBODY}
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=0, at_ms=monotonic_ms()))
    yield rig, table
    rig.control._on_state(Down("the test is over"))


Fenced = tuple[Rig, HashTable]


def test_nothing_is_sent_before_the_fence_is_ours(fenced: Fenced) -> None:
    """A command that comes up earlier is told as not sent."""
    rig, _ = fenced
    rig.control.send(RING)
    until(lambda: rig.runtime.facts)
    (fact, *_) = rig.runtime.facts
    assert isinstance(fact, OfferEnded)
    assert (fact.end, "originate" in rig.link.sent) == (OfferEnd.NOT_SENT, False)
    until(lambda: rig.control.in_sync)
    rig.control.send(RING)
    assert "originate" in rig.link.sent


def test_what_cannot_be_renewed_ends_the_service(fenced: Fenced) -> None:
    """The switch confirms no renewal: before the term has ended nothing more is sent, and the engine is told why."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    table.deaf = True
    until(lambda: SwitchLost("fs1") in rig.runtime.facts)
    rig.link.sent.clear()
    rig.control.send(RING)
    assert "originate" not in rig.link.sent
    table.deaf = False
    until(lambda: rig.control.in_sync)


def test_a_process_that_stood_still_finds_out_at_its_first_command(fenced: Fenced) -> None:
    """However long it was stopped, and whatever it does first: the clock has gone on, and no command leaves."""
    rig, _ = fenced
    until(lambda: rig.control.in_sync)
    rig.link.sent.clear()
    fence = rig.control._watch._fence
    assert fence is not None
    fence._good_until_ms = monotonic_ms()  # as after 30 s of SIGSTOP
    rig.control.send(RING)
    assert rig.runtime.facts.index(SwitchLost("fs1")) == len(rig.runtime.facts) - 1
    assert "originate" not in rig.link.sent
    until(lambda: rig.control.in_sync)
    assert rig.runtime.facts[-1] == SwitchConnected("fs1")


@pytest.mark.parametrize("first", ["an event", "a deadline"])
def test_a_process_that_stood_still_neither_believes_nor_decides(fenced: Fenced, first: str) -> None:
    """What the switch told it, and what came due meanwhile, may be another daemon's by now: first the fence is ours."""
    rig, _ = fenced
    until(lambda: rig.control.in_sync)
    rig.runtime.facts.clear()
    fence = rig.control._watch._fence
    assert fence is not None
    fence._good_until_ms = monotonic_ms()
    if first == "an event":
        rig.control._on_event(Message(Kind.EVENT, DIALS))
    else:
        rig.control.check_fence()
    assert rig.runtime.facts == [SwitchLost("fs1")]
    until(lambda: rig.control.in_sync)


def test_who_stands_by_says_so_and_listens_to_nothing(fenced: Fenced) -> None:
    """Another daemon takes over: its calls are not ours to hear of, until it is gone."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    table.table["leader"] = "other:7:1000:abcdef"  # by the switch's uptime: a second after the link came up
    until(lambda: rig.control.standing_by)
    assert rig.control.detail == "standing by: instance other serves this switch"
    assert rig.runtime.facts[-2:] == [SwitchLost("fs1"), SwitchTaken("fs1")]
    rig.runtime.facts.clear()
    rig.control._on_event(Message(Kind.EVENT, DIALS))
    assert rig.runtime.facts == []
    assert not rig.control.resync()
    until(lambda: rig.control.in_sync)
    assert not rig.control.standing_by


def test_a_clean_stop_gives_the_fence_up(fenced: Fenced) -> None:
    """The next daemon, another instance too, need not wait."""
    rig, table = fenced
    until(lambda: rig.control.in_sync)
    rig.control._watch.stop()
    assert table.table == {}


# --- comparing -------------------------------------------------------------------------------------------------------


def test_a_caller_of_whom_nobody_told_is_found(rig: Rig) -> None:
    """When engine and switch are compared, he is told of as if he had announced himself, and counted."""
    repaired: list[str] = []
    rig.control._watch._on_repair = repaired.append
    rig.link.answers = {"show": NOBODY}
    rig.control._on_state(Up("core", "fs1", restarted=False, uptime_ms=10_000, at_ms=monotonic_ms()))
    until(lambda: rig.control.in_sync)
    waits = {"leg": "caller", "over": "false", "call": CALL, "queue": "sales", "queued_at": "5000"}
    dump = {"Unique-ID": LEG.uuid, **{f"variable_fsacd_{name}": value for name, value in waits.items()}}
    rows = [{"uuid": LEG.uuid, "context": "fsacd"}]
    rig.link.answers = {
        "show": Reply(Outcome.OK, json.dumps({"row_count": 1, "rows": rows})),
        "uuid_dump": Reply(Outcome.OK, json.dumps(dump)),
    }
    assert rig.control.resync()
    until(lambda: any(isinstance(fact, CallQueued) for fact in rig.runtime.facts))
    rig.control._on_state(Down("the test is over"))
    assert repaired == ["unknown_caller"]


def test_callers_keep_their_order_when_the_clock_is_looked_at(rig: Rig) -> None:
    """A round trip that takes longer than the last one is no reason to shift what the next caller has waited."""
    watch = rig.control._watch
    for uptime_ms, expected in ((900_000, 900_000), (900_040, 900_000), (899_700, 900_000), (950_000, 950_000)):
        watch._set_clock(uptime_ms, 1_000)
        assert watch.clock.uptime_at(1_000) == expected
