from __future__ import annotations

from typing import Any

import pytest

from fsacd.core import events as e
from fsacd.desk.rights import Role
from fsacd.errors import Unavailable
from fsacd.http.api import ReloadStatus
from tests.http.rig import NOON_MS, FakeDaemon, agent_view, daemon_status, serve, snapshot

CALL = "c0ffee00-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("agents/1001/login", None, e.AgentLoggedIn("1001", "api:admin", None, ready=True)),
        ("agents/1001/login", {}, e.AgentLoggedIn("1001", "api:admin", None, ready=True)),
        (
            "agents/1001/login",
            {"contact": "user/1002", "ready": False},
            e.AgentLoggedIn("1001", "api:admin", "user/1002", ready=False),
        ),
        ("agents/1001/logout", None, e.AgentLoggedOut("1001", "api:admin")),
        ("agents/1001/ready", {}, e.AgentSetReady("1001", "api:admin")),
        ("agents/1001/not-ready", None, e.AgentSetNotReady("1001", "api:admin", "")),
        ("agents/1001/not-ready", {"reason": "Mittag äöü"}, e.AgentSetNotReady("1001", "api:admin", "Mittag äöü")),
        ("agents/1001/ready", {"queue": "support"}, e.AgentSetReadyFor("1001", "api:admin", "support")),
        (
            "agents/1001/not-ready",
            {"queue": "support", "reason": "mail"},
            e.AgentSetNotReadyFor("1001", "api:admin", "support", "mail"),
        ),
        ("agents/1001/end-wrap-up", None, e.AgentEndedWrapUp("1001", "api:admin")),
        (
            "agents/1001/wrap-up",
            {"codes": ["sale/new", "2"], "note": "calls back\nat 5", "offer_id": "o1"},
            e.AgentCodedWrapUp("1001", "api:admin", ("sale/new", "2"), "calls back\nat 5", "o1"),
        ),
        ("agents/1001/wrap-up", {"codes": []}, e.AgentCodedWrapUp("1001", "api:admin", ())),
        ("agents/1001/wrap-up", {"note": ""}, e.AgentCodedWrapUp("1001", "api:admin", None, "")),
        ("calls/c0ffee00/requeue", None, e.CallRequeueAsked(CALL, "api:admin", None)),
        ("calls/c0ffee00/requeue", {"queue": "sales"}, e.CallRequeueAsked(CALL, "api:admin", "sales")),
        ("calls/c0ffee00/hangup", None, e.CallHangupAsked(CALL, "api:admin")),
    ],
)
def test_an_action_posts_one_fact(path: str, body: Any, expected: e.Event) -> None:
    """Every action is exactly one fact for the engine, with who asked for it."""
    with serve() as rig:
        reply = rig.post(f"/api/v1/{path}", body)
        assert (reply.status, rig.daemon.asked) == (200, [expected])


def test_an_agent_of_a_domain_is_named_with_it() -> None:
    """The @ of an id stands in a path as it is, or escaped."""
    shown = snapshot(agents=(agent_view("1001@pbx.example"),))
    with serve(FakeDaemon(shown)) as rig:
        for path in ("1001@pbx.example", "1001%40pbx.example"):
            assert rig.post(f"/api/v1/agents/{path}/ready").json["id"] == "1001@pbx.example"
        assert rig.daemon.asked == [e.AgentSetReady("1001@pbx.example", "api:admin")] * 2


def test_an_action_is_logged_with_who_asked_for_it() -> None:
    """The log tells who did what; looking is not logged, and the token never."""
    with serve() as rig:
        rig.post("/api/v1/agents/1001/ready")
        rig.get("/api/v1/agents/1001")
        assert rig.logs == [
            {"event": "api action", "by": "api:admin", "path": "/api/v1/agents/1001/ready", "log_level": "info"}
        ]


def test_the_cli_is_told_apart_from_other_programs() -> None:
    """History says whether a person at a terminal or another program used the token."""
    with serve() as rig:
        rig.ask("POST", "/api/v1/agents/1001/ready", headers={"User-Agent": "fsacd-cli/1.0"})
        assert rig.daemon.asked == [e.AgentSetReady("1001", "cli:admin")]


def test_an_agents_action_answers_with_the_agent() -> None:
    """The answer is the agent as they are after the action."""
    with serve() as rig:
        assert rig.post("/api/v1/agents/1002/not-ready").json == rig.get("/api/v1/agents/1002").json


def test_what_the_engine_refuses_is_a_conflict() -> None:
    """409 carries the engine's sentence."""
    daemon = FakeDaemon()
    daemon.refuse("Agent 1001 is not logged in.")
    with serve(daemon) as rig:
        reply = rig.post("/api/v1/agents/1001/ready")
    assert reply.status == 409
    assert reply.json == {
        "type": "urn:fsacd:problem:refused",
        "title": "Conflict",
        "status": 409,
        "detail": "Agent 1001 is not logged in.",
    }


def test_a_daemon_that_has_no_time_says_so() -> None:
    """503 tells the client to come back."""
    daemon = FakeDaemon()

    def busy(_: e.Event) -> None:
        raise Unavailable("the daemon is stopping")

    daemon.answer = busy
    with serve(daemon) as rig:
        reply = rig.post("/api/v1/agents/1001/ready")
    assert (reply.status, reply.headers["retry-after"], reply.json["detail"]) == (503, "1", "The daemon is stopping.")


def test_a_reload_says_what_it_did() -> None:
    """POST /reload answers with the daemon's sentence."""
    with serve() as rig:
        reply = rig.post("/api/v1/reload")
    assert (reply.status, reply.json) == (200, {"message": "The configuration was reloaded: 2 queues, 2 agents."})


def test_a_bad_configuration_comes_back_with_all_its_problems() -> None:
    """A refused reload carries every problem with its place."""
    daemon = FakeDaemon()
    daemon.refuse("The configuration has 2 problems; the old one stays.", "a.yaml:1:1: x", "a.yaml:2:1: y")
    with serve(daemon) as rig:
        reply = rig.post("/api/v1/reload")
    assert (reply.status, reply.json["problems"]) == (409, ["a.yaml:1:1: x", "a.yaml:2:1: y"])


def test_a_reload_that_takes_long_is_followed() -> None:
    """The first answer has its number; its end is told there, with the problems of its file."""
    daemon = FakeDaemon(takes_long=True)
    daemon.refuse("the configuration has 1 problem; the old one stays", "a.yaml:1:1: x")
    with serve(daemon) as rig:
        begun = rig.post("/api/v1/reloads", {"wait_seconds": 5})
        assert (begun.status, begun.json["number"], begun.json["result"]) == (200, 7, "running")
        assert begun.json["ended_at"] is None
        assert rig.get("/api/v1/reloads/7", Role.ADMIN).json["result"] == "running"
        ended = rig.get("/api/v1/reloads/7", Role.ADMIN)
    assert (ended.status, ended.json["result"], ended.json["problems"]) == (200, "refused", ["a.yaml:1:1: x"])
    assert ended.json["message"] == "The configuration has 1 problem; the old one stays."
    assert ended.json["ended_at"] == "2026-03-01T12:00:02.000Z"


def test_the_answer_comes_before_the_requests_own_deadline() -> None:
    """Whoever asks for more gets half of it."""
    with serve(answer_deadline_s=1.0) as rig:
        assert rig.post("/api/v1/reloads", {"wait_seconds": 4}).status == 200
        assert rig.daemon.waited_s == 0.5
        assert rig.post("/api/v1/reloads", {"wait_seconds": 6}).status == 422


@pytest.mark.parametrize("number", ["8", "x", "-7", "7.0", "9" * 40, "%C2%B2"])
def test_a_reload_that_nobody_knows_is_404(number: str) -> None:
    """Whatever stands in the path."""
    with serve() as rig:
        reply = rig.get(f"/api/v1/reloads/{number}", Role.ADMIN)
    assert (reply.status, reply.json["type"]) == (404, "urn:fsacd:problem:unknown-reload")


def test_the_status_has_the_last_reload_without_its_problems() -> None:
    """Those quote the file, which is for admins."""
    last = ReloadStatus(3, "signal", NOON_MS, result="refused", message="no", problems=("a.yaml:1:1: x",))
    with serve(FakeDaemon(state=daemon_status(last_reload=last))) as rig:
        shown = rig.get("/api/v1/status").json["last_reload"]
    assert (shown["number"], shown["by"], shown["result"], shown["message"]) == (3, "signal", "refused", "No.")
    assert "problems" not in shown


ELSEWHERE = [
    "user/9999@elsewhere",
    "user/+4930123456",
    "user/desk1+4930123456",
    "user/desk1@elsewhere",
    "sofia/gateway/carrier/+19005551234",
    "loopback/9000",
    "USER/1001",
    "user/1001;a=b",
    "user/1001/0900",
]


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR, Role.ADMIN])
@pytest.mark.parametrize("contact", ELSEWHERE)
def test_nobody_can_have_an_agent_rung_where_the_configuration_does_not_allow_it(role: Role, contact: str) -> None:
    """No token can make the switch dial a number or another domain: that costs money, and tokens are stolen."""
    with serve(FakeDaemon(allowed_contacts=("user/desk*",))) as rig:
        refused = rig.post("/api/v1/agents/1001/login", {"contact": contact}, role)
        assert rig.daemon.asked == []
    assert (refused.status, refused.json["type"]) == (403, "urn:fsacd:problem:right")
    assert f"may not be rung at {contact}" in refused.json["detail"]


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR, Role.ADMIN])
@pytest.mark.parametrize("contact", ["user/1001", "user/1002", "user/desk7", "user/1001@home.example.org"])
def test_an_agent_is_rung_at_any_agents_contact_and_where_it_is_allowed(role: Role, contact: str) -> None:
    """Their own phone, a colleague's, and what stands in the list, with the agent's own id filled in."""
    with serve(FakeDaemon(allowed_contacts=("user/desk*", "user/{agent}@home.example.org"))) as rig:
        assert rig.post("/api/v1/agents/1001/login", {"contact": contact}, role).status == 200
        assert rig.daemon.asked == [e.AgentLoggedIn("1001", f"api:{role}", contact, ready=True)]


@pytest.mark.parametrize(
    "contact",
    ["", "user", "user/", "1001", "user/1:_:sofia/gateway/x/0900", "user/unload_mod_event_socket", "user/1 &park()",
     "{a=b}user/1", "[a=b]user/1", "user/1,user/2", "user/1|user/2", "user/1\n\napi", "user/$x", "user/'1'",
     'user/"1"', "user/%41", "user/1\x00", "user/é", "user/" + "a" * 201],
)  # fmt: skip
def test_a_contact_that_could_be_more_than_one_is_refused(contact: str) -> None:
    """Nothing that separates dial strings, sets variables or ends a command gets into a contact."""
    with serve() as rig:
        reply = rig.post("/api/v1/agents/1001/login", {"contact": contact})
        assert rig.daemon.asked == []
    assert reply.status == 422


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("agents/1001/login", {"redy": True}, "redy: unknown field, did you mean 'ready'?"),
        ("agents/1001/login", {"ready": "yes"}, "ready: should be a valid boolean"),
        ("agents/1001/login", {"ready": 1}, "ready: should be a valid boolean"),
        ("agents/1001/logout", {"reason": "x"}, "reason: unknown field"),
        ("agents/1001/not-ready", {"reason": None}, "reason: should be a valid string"),
        ("calls/c0ffee00/requeue", {"queue": 7}, "queue: should be a valid string"),
    ],
)
def test_a_wrong_field_is_named(path: str, body: object, problem: str) -> None:
    """422 says which field is wrong, and why; nothing is guessed."""
    with serve() as rig:
        reply = rig.post(f"/api/v1/{path}", body)
        assert rig.daemon.asked == []
    assert (reply.status, reply.json["problems"]) == (422, [problem])


@pytest.mark.parametrize("reason", ["a\nb", "a\x1b[2J", "x" * 65, "a\u2028b", "\x85"])
def test_a_reason_is_one_short_line(reason: str) -> None:
    """A reason with control characters, or longer than 64 characters, is refused."""
    with serve() as rig:
        assert rig.post("/api/v1/agents/1001/not-ready", {"reason": reason}).status == 422


def test_a_call_cannot_be_put_into_an_unknown_queue() -> None:
    """The near miss is offered, and nothing is asked of the engine."""
    with serve() as rig:
        reply = rig.post("/api/v1/calls/c0ffee00/requeue", {"queue": "sale"})
        assert rig.daemon.asked == []
    assert (reply.status, reply.json["did_you_mean"]) == (422, ["sales"])


@pytest.mark.parametrize("path", ["agents/1003/ready", "calls/deadbeef/hangup"])
def test_an_action_on_nobody_is_not_found(path: str) -> None:
    """404, and nothing is asked of the engine."""
    with serve() as rig:
        reply = rig.post(f"/api/v1/{path}")
        assert rig.daemon.asked == []
    assert reply.status == 404
