"""The API on a real engine: what a supervisor asks for happens, and what it refuses comes back as a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from fsacd.cli.main import main
from fsacd.core.commands import (
    CancelOffer,
    CancelReason,
    Command,
    MuteAgent,
    RingAgent,
    RingNumber,
    SendCall,
    SendDigits,
)
from fsacd.core.events import AgentLoggedIn, OfferAnswered, OfferConnected, SwitchConnected
from fsacd.core.records import ChangeMade, TalkEnded
from fsacd.core.rules import Service, ToExtension
from fsacd.core.show.feed import Feed
from fsacd.core.show.look import Look
from fsacd.core.views import Explanation
from fsacd.desk.rights import Principal, Role, Wish
from fsacd.errors import Refused
from fsacd.testing import Driver, agent, queue, queued, rules_of
from tests.http.rig import FakeDaemon, Rig, serve

BY = "api:supervisor"
RULES = rules_of(
    queue("support", required=(("german", 3),)),
    queue("sales"),
    agent("1001", "support", ("sales", Service(rank=2)), skills={"german": 8}),
    agent("1002", "support", skills={"german": 2}),
    agent("1003", "sales", skills={"french": 5}),
)


@dataclass
class EngineDaemon(FakeDaemon):
    """A daemon that is an engine with a clock to turn."""

    driver: Driver = field(default_factory=lambda: Driver(RULES))
    taken: int = 0

    def __post_init__(self) -> None:
        self.feed = Feed("here", self.driver.engine.is_there)

    def ask(self, wish: Wish, principal: Principal) -> None:
        step = self.driver.tell(wish)
        if step.refused is not None:
            raise Refused(step.refused)

    def look(self) -> Look:
        return self.driver.engine.look(self.driver.now_ms)

    def changes(self) -> Feed:
        for step in self.driver.steps[self.taken :]:
            self.feed.take(step)
        self.taken = len(self.driver.steps)
        return self.feed

    def explain(self, call_id: str) -> tuple[Explanation, ...]:
        return self.driver.engine.explain(call_id, self.driver.now_ms)


@contextmanager
def centre() -> Iterator[tuple[Rig, Driver]]:
    """Two callers wait for support, where 1002 is at work, whose German is too poor for them."""
    daemon = EngineDaemon()
    driver = daemon.driver
    driver.tell(SwitchConnected("fs1"))
    driver.tell(AgentLoggedIn("1002", "test"))
    driver.tell(queued("anna-000", "support"), at_ms=1_000)
    driver.tell(queued("berta-000", "support", 2_000), at_ms=2_000)
    driver.wait_until(10_000)
    with serve(daemon) as rig:
        yield rig, driver


def change(rig: Rig, path: str, body: Any = None) -> int:
    """The status of a change asked for by a supervisor."""
    return rig.post(f"/api/v1/{path}", body, Role.SUPERVISOR).status


def changes(driver: Driver) -> list[tuple[str, str, str]]:
    """What history says of changes by hand: (kind, subject, by)."""
    return [(record.kind, record.subject, record.by) for record in driver.records_of(ChangeMade)]


def rung(driver: Driver) -> list[tuple[str, str]]:
    """Who was rung for whom, in order."""
    return [(ring.agent_id, ring.call_id) for ring in driver.commands_of(RingAgent)]


def test_a_promoted_call_goes_first() -> None:
    """The second caller overtakes the first."""
    with centre() as (rig, driver):
        assert change(rig, "calls/berta-000/promote") == 200
        driver.tell(AgentLoggedIn("1001", "test"))
    assert (rung(driver), changes(driver)) == ([("1001", "berta-000")], [("call_promoted", "berta-000", BY)])


def test_a_call_that_needs_something_else_is_rung_at_once() -> None:
    """Nobody at work speaks enough German; who is taught it gets the first caller at once."""
    with centre() as (rig, driver):
        assert change(rig, "agents/1002/change", {"skills": {"german": 3}}) == 200
        assert rig.get("/api/v1/agents/1002").json["skills"] == {"german": 3}
    assert (rung(driver), changes(driver)) == ([("1002", "anna-000")], [("agent_changed", "1002", BY)])


def test_a_call_of_a_higher_class_goes_first() -> None:
    """Priority and head start are shown and count from the moment of the change."""
    with centre() as (rig, driver):
        assert change(rig, "calls/berta-000/change", {"priority": 5, "head_start_seconds": 7}) == 200
        call = rig.get("/api/v1/calls/berta-000").json
        driver.tell(AgentLoggedIn("1001", "test"))
    assert [call["priority"], call["head_start_seconds"]] == [5, 7.0]
    assert (rung(driver), changes(driver)) == ([("1001", "berta-000")], [("call_changed", "berta-000", BY)])


def test_a_call_is_sent_to_an_agent_who_does_not_serve_its_queue() -> None:
    """It waits for that agent alone, who is rung as soon as they are ready."""
    with centre() as (rig, driver):
        driver.tell(AgentLoggedIn("1003", "test", ready=False))
        assert change(rig, "calls/anna-000/send", {"agent": "1003", "for_seconds": 30}) == 200
        assert rig.get("/api/v1/calls/anna-000").json["reserved_for"] == "1003"
        assert change(rig, "agents/1003/ready") == 200
    assert (rung(driver), changes(driver)) == ([("1003", "anna-000")], [("call_sent", "anna-000", BY)])


def test_a_queue_is_closed_and_opened() -> None:
    """The answer is the queue as it is then."""
    with centre() as (rig, driver):
        closed = rig.post("/api/v1/queues/sales/close", None, Role.SUPERVISOR).json["open"]
        opened = rig.post("/api/v1/queues/sales/open", None, Role.SUPERVISOR).json["open"]
    assert [closed, opened] == [False, True]
    assert changes(driver) == [("queue_closed", "sales", BY), ("queue_opened", "sales", BY)]


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("calls/anna-000/requeue", {"queue": "support"}, "The call waits in that queue already."),
        ("calls/anna-000/send", {"agent": "1003"}, "Agent 1003 is logged out."),
        ("agents/1003/ready", None, "Agent 1003 is logged out."),
    ],
)
def test_what_the_engine_refuses_is_told_in_its_words(path: str, body: Any, detail: str) -> None:
    """409 with the reason; nothing is recorded as changed."""
    with centre() as (rig, driver):
        reply = rig.post(f"/api/v1/{path}", body, Role.SUPERVISOR)
    assert (reply.status, reply.json["detail"], changes(driver)) == (409, detail, [])


def test_why_a_call_waits_and_why_an_agent_was_rung() -> None:
    """Reasons and keys as the engine had them, also after everything has changed."""
    with centre() as (rig, driver):
        waiting = rig.get("/api/v1/calls/anna-000/explain", Role.READ).json["waiting"]
        driver.tell(AgentLoggedIn("1001", "test"))
        told = rig.get("/api/v1/calls/anna-000/explain", Role.READ).json
    assert waiting["chosen"] is None
    assert waiting["sentence"].startswith("It waits")
    assert [(agent["agent"], agent["why"]) for agent in waiting["not_rung"]] == [
        ("1001", "logged_out"),
        ("1002", "skill"),
    ]
    (decision,) = told["decisions"]
    assert [decision["chosen"], decision["strategy"], decision["required_skills"]] == [
        "1001", "longest_idle", {"german": 3},
    ]  # fmt: skip
    assert [(agent["agent"], agent["rank"], agent["level"]) for agent in decision["eligible"]] == [("1001", 1, 8)]
    assert [(agent["agent"], agent["why"]) for agent in decision["not_rung"]] == [("1002", "skill")]
    assert (told["waiting"], told["note"]) == (None, "")


@contextmanager
def talking() -> Iterator[tuple[Rig, Driver, str]]:
    """1001 talks with the first caller, and the talk has its id."""
    with centre() as (rig, driver):
        driver.tell(AgentLoggedIn("1001", "test"))
        (talk_id,) = (each.offer_id for each in driver.commands_of(RingAgent) if each.agent_id == "1001")
        driver.tell(OfferAnswered(talk_id, "fs1"))
        driver.tell(OfferConnected(talk_id))
        driver.wait_until(driver.now_ms + 5_000)
        yield rig, driver, talk_id


@pytest.mark.parametrize(
    ("body", "sent_to", "to"),
    [
        ({"queue": "sales"}, ToExtension("fsacd_back", "fsacd"), "queue sales"),
        ({"agent": "1002"}, ToExtension("fsacd_back", "fsacd"), "1002"),
        ({"number": "+49*1#"}, ToExtension("+49*1#", ""), "a number"),
    ],
)
def test_a_caller_is_given_away(body: Any, sent_to: ToExtension, to: str) -> None:
    """The caller's leg goes there, and the talk has ended so; the answer is the call, which is gone with a number."""
    with talking() as (rig, driver, talk_id):
        reply = rig.post(f"/api/v1/talks/{talk_id}/transfer", body, Role.SUPERVISOR)
    assert (reply.status, reply.json["id"]) == (200, "anna-000")
    assert [command.target for command in driver.commands_of(SendCall)] == [sent_to]
    assert [(talk.kind, talk.to) for talk in driver.records_of(TalkEnded)] == [("blind", to)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"queue": "sales", "agent": "1002"}, 422),
        ({"queue": "nowhere"}, 422),
        ({"agent": "1009"}, 422),
        ({"number": "12 34"}, 422),
        ({"number": "1" * 33}, 422),
        ({"agent": "1003"}, 409),
    ],
)
def test_a_caller_is_given_away_to_one_who_is_there(body: Any, status: int) -> None:
    """Exactly one target, which there is, and which is a number if it says so; nothing changes otherwise."""
    with talking() as (rig, driver, talk_id):
        reply = rig.post(f"/api/v1/talks/{talk_id}/transfer", body, Role.SUPERVISOR)
    assert (reply.status, driver.records_of(TalkEnded)) == (status, [])


@pytest.mark.parametrize("to", [("--queue", "sales"), ("--agent", "1002"), ("--number", "4711")])
def test_a_caller_is_given_away_by_command(to: tuple[str, str]) -> None:
    """`fsacd talk transfer`, by the call's first characters."""
    with talking() as (rig, driver, _):
        assert main(["talk", "transfer", "anna-0", *to, "--url", rig.server.url, "--token", "secret-of-admin"]) == 0
    assert [talk.kind for talk in driver.records_of(TalkEnded)] == ["blind"]


def test_a_command_gives_a_caller_away_to_one_alone() -> None:
    """Two targets, or none, are a wrong command line."""
    with talking() as (rig, driver, _):
        for to in ((), ("--queue", "sales", "--agent", "1002")):
            end = main(["talk", "transfer", "anna-0", *to, "--url", rig.server.url, "--token", "secret-of-admin"])
            assert end == 2
    assert driver.records_of(TalkEnded) == []


@pytest.mark.parametrize("to", [("--number", "+49*1#"), ("--agent", "1002"), ("1002",)])
def test_somebody_is_asked(to: tuple[str, ...]) -> None:
    """`fsacd talk consult`: a number is dialled, and shown while it is asked."""
    with talking() as (rig, driver, _):
        assert main(["talk", "consult", "anna-0", *to, "--url", rig.server.url, "--token", "secret-of-admin"]) == 0
        third = driver.commands_of(RingAgent)[-1].agent_id if to[-1] == "1002" else None
        talk = rig.get("/api/v1/calls/anna-000", Role.ADMIN).json["talk"]
        assert (talk["becoming"], talk["colleague"]) == ("calling", third)
        assert talk["number"] == (None if third else "+49*1#")
    assert [command.number for command in driver.commands_of(RingNumber)] == ([] if third else ["+49*1#"])


def test_a_queue_is_asked() -> None:
    """`fsacd talk consult --queue`: nobody is free yet, and the queue is shown until somebody answers."""
    with talking() as (rig, *_):
        to = ["--queue", "support", "--url", rig.server.url, "--token", "secret-of-admin"]
        assert main(["talk", "consult", "anna-0", *to]) == 0
        talk = rig.get("/api/v1/calls/anna-000", Role.ADMIN).json["talk"]
        assert (talk["becoming"], talk["colleague"], talk["queue"]) == ("calling", None, "support")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"number": "12", "agent": "1002"}, 422),
        ({"queue": "support", "agent": "1002"}, 422),
        ({"queue": "nowhere"}, 422),
        ({"agent": "1009"}, 422),
        ({"number": "12 34"}, 422),
        ({"number": "1" * 33}, 422),
        ({"agent": "1001"}, 409),
    ],
)
def test_whoever_is_asked_is_named_alone(body: Any, status: int) -> None:
    """As whom a caller is given away to; nothing changes otherwise."""
    with talking() as (rig, driver, talk_id):
        reply = rig.post(f"/api/v1/talks/{talk_id}/consult", body, Role.SUPERVISOR)
        assert main(["talk", "consult", "anna-0", "1002", "--number", "1", "--url", rig.server.url]) == 2
    assert (reply.status, driver.commands_of(RingNumber)) == (status, [])


@pytest.mark.parametrize(
    ("verb", "body", "order"),
    [
        ("mute", None, lambda talk: MuteAgent(talk, "fs1", talk, muted=True)),
        ("unmute", None, lambda talk: MuteAgent(talk, "fs1", talk, muted=False)),
        ("hangup", None, lambda talk: CancelOffer(talk, "fs1", CancelReason.TALK_OVER)),
        ("dtmf", {"digits": "1w2#"}, lambda talk: SendDigits(talk, "fs1", ("leg-anna-000",), "1w2#")),
    ],
)
def test_what_moves_nobody(verb: str, body: Any, order: Callable[[str], Command]) -> None:
    """The order is given and recorded, of digits only how many; the answer says whether the agent is muted."""
    with talking() as (rig, driver, talk_id):
        reply = rig.post(f"/api/v1/talks/{talk_id}/{verb}", body, Role.SUPERVISOR)
    assert (reply.status, reply.json["talk"]["muted"]) == (200, verb == "mute")
    assert driver.steps[-1].commands == (order(talk_id),)
    (made,) = driver.records_of(ChangeMade)
    assert (made.kind, made.subject) == (f"talk_{verb}", "anna-000")
    assert made.detail == ("1001, 3 digits" if verb == "dtmf" else "1001")


@pytest.mark.parametrize("digits", ["", "w", "12x45", "1 2", "1" * 65, "a", "1\n", None])
def test_digits_are_digits(digits: str | None) -> None:
    """Nothing else is sent, and the refusal does not say what was given: it may be a card's number, wrongly spelt."""
    with talking() as (rig, driver, talk_id):
        reply = rig.post(f"/api/v1/talks/{talk_id}/dtmf", {"digits": digits}, Role.SUPERVISOR)
    assert (reply.status, driver.commands_of(SendDigits)) == (422, [])
    assert not digits or len(digits) < 3 or digits not in str(reply.json)


@pytest.mark.parametrize(
    ("words", "typed", "command"),
    [
        (("mute", "anna-0"), "", MuteAgent),
        (("unmute", "anna-0"), "", MuteAgent),
        (("dtmf", "anna-0", "42"), "", SendDigits),
        (("dtmf", "anna-0", "-"), "42\n", SendDigits),
        (("hang-up", "anna-0"), "", CancelOffer),
    ],
)
def test_what_moves_nobody_by_command(
    words: tuple[str, ...], typed: str, command: type[Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fsacd talk`, by the call's first characters; digits also from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with talking() as (rig, driver, _):
        assert main(["talk", *words, "--url", rig.server.url, "--token", "secret-of-admin"]) == 0
    (ordered,) = driver.steps[-1].commands
    assert isinstance(ordered, command)
    assert getattr(ordered, "digits", "42") == "42"
