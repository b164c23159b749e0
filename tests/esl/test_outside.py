"""Agents' calls that are not ours: what a real switch said of them, and what the engine is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fsacd.core.events import AgentLoggedIn, Event, Leg, OutsideCallEnded, OutsideCallStarted
from fsacd.esl import outside
from fsacd.esl.codec import Decoder, Kind, Message
from fsacd.esl.outside import OutsideCalls
from fsacd.esl.phones import Phones
from fsacd.esl.wire import Outcome, Reply, Wire

TRANSCRIPTS = Path(__file__).parent / "transcripts"
LEG, OTHER = "aaaaaaaa-2222-4333-8444-555555555555", "bbbbbbbb-2222-4333-8444-555555555555"
OUT = {"Call-Direction": "outbound", "Answer-State": "ringing"}
IN = {"Call-Direction": "inbound", "Answer-State": "ringing"}
CALL_ID = "3c26701@10.0.0.7"


class Rig:
    """One switch's outside calls of the agents 1001 to 1003, and what is told of them."""

    def __init__(self) -> None:
        self.phones = Phones()
        self.phones.configure({agent: f"user/{agent}" for agent in ("1001", "1002", "1003")})
        self.facts: list[Event] = []
        self.offers: set[str] = set()
        self.calls = OutsideCalls("fs1", self.phones, self.facts.append, self.offers.__contains__)

    def story(self) -> list[str]:
        """Each fact as agent, sign and the leg's number in the order of appearance."""
        legs: dict[str, int] = {}
        words = []
        for fact in self.facts:
            assert isinstance(fact, OutsideCallStarted | OutsideCallEnded)
            assert fact.leg.switch == "fs1"
            sign = "+" if isinstance(fact, OutsideCallStarted) else "-"
            words.append(f"{fact.agent_id}{sign}{legs.setdefault(fact.leg.uuid, len(legs) + 1)}")
        return words

    def hear(self, name: str, leg: str = LEG, **headers: str) -> None:
        named = {key.replace("__", "-"): value for key, value in headers.items()}
        self.calls.hear(Message(Kind.EVENT, {"Event-Name": name, "Unique-ID": leg, **named}))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def recorded(name: str) -> list[Message]:
    return Decoder().feed((TRANSCRIPTS / f"outside-{name}.json.esl").read_bytes())


STORIES = {
    "dials-out": ["1001+1", "1001-1"],
    "gives-up": ["1001+1", "1001-1"],
    # By a stranger whose caller id is agent 1002's number.
    "is-called": ["1001+1", "1001-1"],
    # A caller is with 1002, who transfers them to 1001.
    "transferred": ["1002+1", "1002-1", "1001+2", "1001-2"],
    # 1001 dials out; we ring 1001; somebody calls 1001; their own call ends, and then the other one.
    "several": ["1001+1", "1001+2", "1001-1", "1001-2"],
    # The phone itself is behind the loopback's dialplan.
    "loopback-offer": [],
}


@pytest.mark.parametrize("name", STORIES)
def test_what_a_real_switch_tells(rig: Rig, name: str) -> None:
    """An agent's own calls are told from first to last, our rings and other people's legs never."""
    for message in recorded(name):
        rig.calls.hear(message)
    assert rig.story() == STORIES[name]


@pytest.mark.parametrize("name", STORIES)
def test_only_a_legs_beginning_is_told_early(rig: Rig, name: str) -> None:
    """The first event of a leg is the one that tells: an agent is not rung while the other phone does not ring yet."""
    messages = recorded(name)
    for message in messages:
        before = len(rig.facts)
        rig.calls.hear(message)
        started = [fact for fact in rig.facts[before:] if isinstance(fact, OutsideCallStarted)]
        assert not started or message.name == "CHANNEL_CREATE"


def test_the_subscription_is_what_was_recorded() -> None:
    """The recordings were made through these filters: with fewer, a story above would lack its beginning or end."""
    assert outside.EVENTS == ("CHANNEL_CREATE",)
    for name in STORIES:
        for message in recorded(name):
            assert any(message.get(header) for header, _ in (*outside.FILTERS[1:], ("variable_fsacd_leg", ""))) or (
                message.get("Call-Direction") == "outbound"
            )


def test_a_colleague_at_the_same_phone_is_not_rung_while_it_rings_for_the_other(rig: Rig) -> None:
    """Two agents have logged in at one phone: our ring for one is a call at the other's phone."""
    with rig.phones.moving(AgentLoggedIn("1002", "phone:1001", contact="user/1001")):
        pass
    ring = {"variable_fsacd_leg": "agent", "variable_fsacd_agent": "1001", "variable_dialed_user": "1001"}
    rig.hear("CHANNEL_CREATE", **OUT, **ring)
    assert rig.facts == [OutsideCallStarted("1002", Leg("fs1", LEG))]


def test_a_log_in_from_a_phone_that_is_in_a_call(rig: Rig) -> None:
    """An agent who logs in at another's phone is told to be in its call before they can be rung, then leaves."""
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001")
    with rig.phones.moving(AgentLoggedIn("1002", "phone:1001", contact="user/1001")):
        assert rig.story() == ["1001+1", "1002+1"]
    with rig.phones.moving(AgentLoggedIn("1002", "phone:1002")):
        pass
    rig.hear("CHANNEL_HANGUP", **IN)
    assert rig.story() == ["1001+1", "1002+1", "1002-1", "1001-1"]


def test_a_leg_killed_at_birth_leaves_nothing(rig: Rig) -> None:
    """FreeSWITCH tells of such a leg's end before it tells of its beginning."""
    rig.hear("CHANNEL_HANGUP", **OUT | {"Answer-State": "hangup"}, variable_dialed_user="1001")
    rig.hear("CHANNEL_CREATE", **OUT | {"Answer-State": "hangup"}, variable_dialed_user="1001")
    assert rig.facts == []


def test_a_beginning_that_was_missed_is_made_up_for(rig: Rig) -> None:
    """Any event of a leg that nobody knows begins it."""
    rig.hear("CHANNEL_BRIDGE", **IN, variable_user_name="1001")
    rig.hear("CHANNEL_PROGRESS", **IN, variable_user_name="1001")
    assert rig.facts == [OutsideCallStarted("1001", Leg("fs1", LEG))]


def test_what_another_daemon_has_taken_is_forgotten(rig: Rig) -> None:
    """The engine clears them by itself: an end that comes late is of no call that is known."""
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001")
    rig.calls.forget()
    rig.hear("CHANNEL_HANGUP", **IN)
    assert rig.story() == ["1001+1"]


def test_too_many_legs_are_not_looked_at(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a leg is ignored, and there is room again when one has ended."""
    monkeypatch.setattr(outside, "_MOST_LEGS", 1)
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001")
    rig.hear("CHANNEL_CREATE", OTHER, **IN, variable_user_name="1002")
    assert rig.story() == ["1001+1"]
    rig.hear("CHANNEL_HANGUP", **IN)
    rig.hear("CHANNEL_PROGRESS", OTHER, **IN, variable_user_name="1002")
    assert rig.story() == ["1001+1", "1001-1", "1002+2"]


# --- asked for -------------------------------------------------------------------------------------------------------


class Switch:
    """Answers by its legs. `before_dump` is called before each leg is shown: what happens meanwhile."""

    def __init__(self, legs: dict[str, dict[str, str]]) -> None:
        self.legs = legs
        self.domain = "lab.example"
        self.asked: list[str] = []
        self.before_dump: Callable[[], object] = lambda: None

    def ask(self, wire: Wire) -> Reply:
        words = wire.data.decode().split()
        match words[1]:
            case "show":
                rows = [{"uuid": leg, "name": about.get("Channel-Name", "")} for leg, about in self.legs.items()]
                return Reply(Outcome.OK, json.dumps({"row_count": len(rows), "rows": rows}))
            case "uuid_exists":
                return Reply(Outcome.OK, "true" if words[2] in self.legs else "false")
            case "global_getvar":
                return Reply(Outcome.OK, self.domain)
        self.asked.append(words[2])
        text = json.dumps({"Unique-ID": words[2], **self.legs[words[2]]}) if words[2] in self.legs else "-ERR"
        self.before_dump()
        return Reply(Outcome.OK, text)


def test_a_sweep_finds_what_began_and_ended_unseen(rig: Rig) -> None:
    """After the link was away: a leg that is there begins, one that is gone ends, and one that is known stays."""
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001")
    rig.hear("CHANNEL_CREATE", OTHER, **IN, variable_user_name="1002")
    new = "cccccccc-2222-4333-8444-555555555555"
    switch = Switch({OTHER: IN, new: OUT | {"variable_dialed_user": "1003"}})
    rig.calls.sweep(switch.ask, ())
    assert rig.story() == ["1001+1", "1002+2", "1003+3", "1001-1"]
    assert switch.asked == [new]


def test_an_end_heard_during_the_sweep_is_believed(rig: Rig) -> None:
    """The switch showed the leg alive, then it ended: it must not be begun afterwards and block its agent for ever."""
    switch = Switch({LEG: IN | {"variable_user_name": "1001"}})
    switch.before_dump = lambda: rig.hear("CHANNEL_HANGUP", **IN)
    rig.calls.sweep(switch.ask, ())
    assert rig.facts == []


def test_a_talk_of_a_daemon_before_this_one_is_an_outside_call(rig: Rig) -> None:
    """Its leg is none that we ring, so its agent is busy until it ends; a ring of ours is no such leg."""
    ring = {"variable_fsacd_leg": "agent", "variable_fsacd_agent": "1001", "variable_dialed_user": "1001"}
    legs = {leg: OUT | ring | {"variable_fsacd_offer": leg} for leg in (LEG, OTHER)}
    rig.calls.sweep(Switch(legs).ask, (OTHER,), adopt=True)
    assert rig.facts == [OutsideCallStarted("1001", Leg("fs1", LEG))]
    again = Rig()
    again.calls.sweep(Switch(legs).ask, ())
    assert again.facts == []


def test_a_sweep_asks_first_for_what_looks_like_an_agents(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more legs than one sweep asks for, those with an agent's name on them are not left out."""
    monkeypatch.setattr(outside, "_MOST_ASKED", 1)
    switch = Switch(
        {
            LEG: {"Channel-Name": "sofia/trunk/4930123@10.0.0.1"},
            OTHER: IN | {"Channel-Name": "sofia/internal/1001@example.net", "variable_user_name": "1001"},
        }
    )
    rig.calls.sweep(switch.ask, ())
    assert switch.asked == [OTHER]
    assert rig.story() == ["1001+1"]


def test_the_list_alone_ends_nothing(rig: Rig) -> None:
    """It lags behind the truth: a leg that it does not show is asked for, and only then over."""
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001")
    rig.hear("CHANNEL_CREATE", OTHER, **IN, variable_user_name="1002")
    switch = Switch({OTHER: IN})
    rig.calls.sweep(switch.ask, (), rows={})
    assert rig.story() == ["1001+1", "1002+2", "1001-1"]


def test_what_was_found_to_be_nobodys_is_not_asked_for_again(rig: Rig) -> None:
    """Three hundred waiting callers are looked at once, not every half minute; when an agent moves, once more."""
    switch = Switch({LEG: IN | {"variable_user_name": "1009"}})
    assert [rig.calls.sweep(switch.ask, ()) for _ in range(2)] == [0, 0]
    assert switch.asked == [LEG]
    rig.phones.configure({"1009": "user/1009"})
    assert rig.calls.sweep(switch.ask, ()) == 1
    assert switch.asked == [LEG, LEG]


def test_no_answer_ends_nothing(rig: Rig) -> None:
    """When the link breaks again meanwhile, nothing is told that nobody knows."""
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001")
    rig.calls.sweep(lambda _: Reply(Outcome.UNCONFIRMED, "the link was closed"), ())
    assert rig.story() == ["1001+1"]


def test_what_a_daemon_before_has_told_is_looked_after(rig: Rig) -> None:
    """A call that still goes on is told nothing of, one that has ended ends, and later ends are heard."""
    rig.calls.remember([("1001", Leg("fs1", LEG)), ("1002", Leg("fs1", OTHER))])
    switch = Switch({LEG: IN | {"variable_user_name": "1001"}})
    rig.calls.sweep(switch.ask, (), adopt=True)
    assert rig.facts == [OutsideCallEnded("1002", Leg("fs1", OTHER))]
    rig.hear("CHANNEL_HANGUP", LEG, **IN)
    assert rig.facts[1:] == [OutsideCallEnded("1001", Leg("fs1", LEG))]


def test_an_end_before_the_sweep_is_heard_for_a_remembered_call(rig: Rig) -> None:
    """Events flow before the sweep has asked: the end of a call that only the engine knows is told at once."""
    rig.calls.remember([("1001", Leg("fs1", LEG))])
    rig.hear("CHANNEL_HANGUP", LEG, **IN)
    rig.calls.sweep(Switch({}).ask, ())
    assert rig.facts == [OutsideCallEnded("1001", Leg("fs1", LEG))]


def test_a_remembered_call_of_an_agent_who_sits_elsewhere_now_ends(rig: Rig) -> None:
    """The leg goes on at a phone where 1003 does not sit any more: it is a call of the agent who sits there."""
    rig.calls.remember([("1003", Leg("fs1", LEG))])
    rig.calls.sweep(Switch({LEG: IN | {"variable_user_name": "1001"}}).ask, ())
    assert rig.facts == [OutsideCallEnded("1003", Leg("fs1", LEG)), OutsideCallStarted("1001", Leg("fs1", LEG))]


def test_a_leg_that_cannot_be_asked_for_ends_when_two_lists_do_not_show_it(rig: Rig) -> None:
    """Where legs are called by their Call-ID, no command can carry a phone's: there is the list alone, which lags."""
    rig.hear("CHANNEL_CREATE", CALL_ID, **IN, variable_user_name="1001")
    rig.calls.remember([("1002", Leg("fs1", "another " + CALL_ID))])
    listed, gone = Switch({CALL_ID: IN}), Switch({})
    story = []
    for switch in (gone, listed, gone, gone):
        rig.calls.sweep(switch.ask, ())
        story.append(rig.story())
    assert story == [["1001+1"], ["1001+1", "1002-2"], ["1001+1", "1002-2"], ["1001+1", "1002-2", "1001-1"]]


def test_a_talk_that_a_crash_had_ended_for_us_and_that_is_back_is_a_call_of_its_agents(rig: Rig) -> None:
    """Recovered late, the agent talks with a caller of whom the engine knows nothing: nobody may ring them."""
    ours = {**OUT, "variable_fsacd_offer": LEG, "variable_fsacd_agent": "1001", "variable_dialed_user": "1001"}
    for known, recovered, told in (
        (set[str](), "true", ["1001+1", "1001-1"]),
        ({LEG}, "true", []),  # recovered in time: the engine goes on with this talk
        (set[str](), "false", []),  # a ring of ours whose offer has just ended: its hangup is on its way
    ):
        rig.facts.clear()
        rig.offers = known
        rig.calls = OutsideCalls("fs1", rig.phones, rig.facts.append, known.__contains__)
        rig.hear("CHANNEL_CREATE", **ours, variable_recovered=recovered)
        rig.hear("CHANNEL_HANGUP", **ours)
        assert rig.story() == told


# --- the same number in several domains ------------------------------------------------------------------------------


def test_another_domains_call_is_no_call_of_our_agent(rig: Rig) -> None:
    """1001 of another domain dials out or is called: our 1001, who is in the switch's own domain, is free."""
    rig.calls.sweep(Switch({}).ask, ())
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001", variable_domain_name="other.example")
    rig.hear("CHANNEL_CREATE", OTHER, **OUT, variable_dialed_user="1001", variable_dialed_domain="other.example")
    assert rig.facts == []
    rig.hear("CHANNEL_PROGRESS", **IN, variable_user_name="1001", variable_domain_name="LAB.example")
    assert rig.story() == ["1001+1"]


def test_agents_of_the_same_number_are_told_apart() -> None:
    """Each domain's 1001 is busy by their own calls alone, found out by a sweep, too."""
    rig = Rig()
    other = "1001@other.example"
    rig.phones.configure({"1001": "user/1001", other: "user/1001@other.example"}, {other: "other.example"})
    legs = {
        LEG: IN | {"variable_user_name": "1001", "variable_domain_name": "other.example"},
        OTHER: OUT | {"Channel-Presence-ID": "1001@lab.example"},
    }
    rig.calls.sweep(Switch(legs).ask, ())
    assert sorted(rig.facts, key=str) == [
        OutsideCallStarted("1001", Leg("fs1", OTHER)),
        OutsideCallStarted(other, Leg("fs1", LEG)),
    ]


@pytest.mark.parametrize("reply", [Reply(Outcome.ERR, "-ERR no permission"), Reply(Outcome.OK, "")])
def test_where_the_switchs_domain_is_not_known_any_domain_counts(rig: Rig, reply: Reply) -> None:
    """A link without the right to ask serves as before: rather an agent too many is left in peace than one too few."""
    switch = Switch({LEG: IN | {"variable_user_name": "1001", "variable_domain_name": "other.example"}})
    rig.calls.sweep(lambda wire: reply if b"global_getvar" in wire.data else switch.ask(wire), ())
    assert rig.story() == ["1001+1"]


# --- what the engine has given up ------------------------------------------------------------------------------------


def test_a_leg_that_the_engine_has_given_up_is_told_anew(rig: Rig) -> None:
    """Its switch was away for too long, or its agent has logged in meanwhile; the leg is still there."""
    rig.hear("CHANNEL_CREATE", **IN, variable_user_name="1001")
    rig.hear("CHANNEL_CREATE", OTHER, **IN, variable_user_name="1002")
    switch = Switch({LEG: IN, OTHER: IN})
    rig.calls.recall([("1001", Leg("fs1", LEG)), ("1002", Leg("fs1", OTHER))])
    rig.calls.sweep(switch.ask, ())
    assert rig.story() == ["1001+1", "1002+2"]
    rig.calls.recall([("1001", Leg("fs1", LEG))])
    rig.calls.sweep(switch.ask, ())
    assert rig.story() == ["1001+1", "1002+2", "1002+2"]
    rig.calls.recall([])
    rig.calls.sweep(Switch({OTHER: IN}).ask, ())
    assert rig.story() == ["1001+1", "1002+2", "1002+2", "1002+2"], "of an end that the engine knows nothing is told"
