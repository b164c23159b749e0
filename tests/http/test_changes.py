"""Live changes: what is asked of the engine, and what is refused before it is."""

from __future__ import annotations

from typing import Any

import pytest

from fsacd.core import events as e
from fsacd.core.rules import Service, SkillLevels
from fsacd.core.views import Snapshot
from fsacd.desk.rights import Role
from tests.http.rig import FakeDaemon, agent_view, call_view, queue_view, serve, snapshot

CALL = "c0ffee00-0000-4000-8000-000000000001"
BY = "api:supervisor"


def centre() -> Snapshot:
    """1001 serves support and speaks German; 1002 serves sales and speaks French, too."""
    french = agent_view("1002", queues=(("sales", Service()),), skills=(("french", 5), ("german", 8)))
    return snapshot(agents=(agent_view("1001"), french))


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("calls/c0ffee00/promote", None, e.CallPromoteAsked(CALL, BY)),
        ("calls/c0ffee00/change", {"priority": -100}, e.CallChangeAsked(CALL, BY, priority=-100)),
        ("calls/c0ffee00/change", {"head_start_seconds": 1.5}, e.CallChangeAsked(CALL, BY, head_start_ms=1_500)),
        ("calls/c0ffee00/change", {"required_skills": {}}, e.CallChangeAsked(CALL, BY, required=())),
        (
            "calls/c0ffee00/change",
            {"priority": 3, "required_skills": {"german": 1, "french": 5}, "head_start_seconds": 0},
            e.CallChangeAsked(CALL, BY, priority=3, required=(("french", 5), ("german", 1)), head_start_ms=0),
        ),
        ("calls/c0ffee00/send", {"agent": "1002"}, e.CallSendAsked(CALL, "1002", BY, 60_000)),
        ("calls/c0ffee00/send", {"agent": "1002", "for_seconds": 1}, e.CallSendAsked(CALL, "1002", BY, 1_000)),
        ("queues/sales/open", None, e.QueueSetOpen("sales", open=True, by=BY)),
        ("queues/sales/close", None, e.QueueSetOpen("sales", open=False, by=BY)),
    ],
)
def test_a_change_posts_one_fact(path: str, body: Any, expected: e.Event) -> None:
    """Every change is exactly one fact for the engine, with who asked for it."""
    with serve(FakeDaemon(centre())) as rig:
        reply = rig.post(f"/api/v1/{path}", body, Role.SUPERVISOR)
        assert (reply.status, rig.daemon.asked) == (200, [expected])


@pytest.mark.parametrize(
    ("skills", "only", "expected"),
    [
        ({"spanish": 2}, False, (("french", 5), ("german", 8), ("spanish", 2))),
        ({"french": 10}, False, (("french", 10), ("german", 8))),
        ({"french": None}, False, (("german", 8),)),
        ({"french": None, "german": 1, "new": 1}, False, (("german", 1), ("new", 1))),
        ({"spanish": 2}, True, (("spanish", 2),)),
        ({}, True, ()),
        ({}, False, (("french", 5), ("german", 8))),
    ],
)
def test_skills_are_set_taken_away_or_replaced(
    skills: dict[str, int | None], only: bool, expected: SkillLevels
) -> None:
    """Those named are set, null takes one away, `only` takes all others away; queues stay untouched."""
    with serve(FakeDaemon(centre())) as rig:
        reply = rig.post("/api/v1/agents/1002/change", {"skills": skills, "only": only}, Role.SUPERVISOR)
        assert (reply.status, rig.daemon.asked) == (200, [e.AgentChangeAsked("1002", BY, skills=expected)])


@pytest.mark.parametrize(
    ("queues", "only", "expected"),
    [
        ({"sales": {}}, False, {"support": Service(2, 20_000), "sales": Service()}),
        ({"support": {"rank": 3}}, False, {"support": Service(3, 20_000)}),
        (
            {"sales": {"rank": 4, "delay_seconds": 0.5, "backup": True, "weight": 100}, "support": None},
            False,
            {"sales": Service(4, 500, backup=True, weight=100)},
        ),
        ({"sales": {}}, True, {"sales": Service()}),
        ({}, True, {}),
    ],
)
def test_queues_are_set_taken_away_or_replaced(queues: dict[str, Any], only: bool, expected: object) -> None:
    """What is left out of a queue stays as it was; a new queue begins as usual."""
    with serve(FakeDaemon(centre())) as rig:
        reply = rig.post("/api/v1/agents/1001/change", {"queues": queues, "only": only}, Role.SUPERVISOR)
        (asked,) = rig.daemon.asked
        assert reply.status == 200
        assert isinstance(asked, e.AgentChangeAsked)
        assert (asked.agent_id, asked.by, asked.skills, dict(asked.queues or {})) == ("1001", BY, None, expected)


def test_skills_and_queues_change_together() -> None:
    """One request is one fact, whatever it changes; the answer is the agent."""
    body = {"skills": {"french": 1}, "queues": {"sales": {"rank": 1}}, "only": True}
    with serve(FakeDaemon(centre())) as rig:
        reply = rig.post("/api/v1/agents/1001/change", body)
        assert rig.daemon.asked == [
            e.AgentChangeAsked("1001", "api:admin", (("french", 1),), {"sales": Service()}),
        ]
        assert reply.json == rig.get("/api/v1/agents/1001").json


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("calls/c0ffee00/promote", None, f"Call {CALL} goes before all others of the queue support."),
        (
            "calls/c0ffee00/change",
            {"priority": 3, "head_start_seconds": 90, "required_skills": {"german": 1, "french": 5}},
            f"Call {CALL} was changed: priority 3, head start 90 s, requires french 5 and german 1 of its own.",
        ),
        ("calls/c0ffee00/change", {"required_skills": {}}, f"Call {CALL} was changed: requires nothing of its own."),
        (
            "calls/c0ffee00/send",
            {"agent": "1002", "for_seconds": 90},
            f"Call {CALL} goes to agent 1002; for 90 s nobody else gets it.",
        ),
    ],
)
def test_a_change_says_what_was_done(path: str, body: Any, message: str) -> None:
    """The answer is one sentence."""
    with serve(FakeDaemon(centre())) as rig:
        assert rig.post(f"/api/v1/{path}", body).json == {"message": message}


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("calls/c0ffee00/change", {}, "it: should change something: priority, required_skills or head_start_seconds"),
        ("calls/c0ffee00/change", {"priority": 101}, "priority: should be less than or equal to 100"),
        ("calls/c0ffee00/change", {"priority": -101}, "priority: should be greater than or equal to -100"),
        ("calls/c0ffee00/change", {"priority": "3"}, "priority: should be a valid integer"),
        (
            "calls/c0ffee00/change",
            {"head_start_seconds": 86_401},
            "head_start_seconds: should be less than or equal to 86400",
        ),
        ("calls/c0ffee00/change", {"required_skills": {"german": 0}}, "required_skills.german: should be greater"),
        ("calls/c0ffee00/change", {"required_skills": {"german": 11}}, "required_skills.german: should be less"),
        ("calls/c0ffee00/change", {"required_skills": {"german": None}}, "required_skills.german: should be a valid"),
        (
            "calls/c0ffee00/change",
            {"required_skills": {f"s{n}": 1 for n in range(33)}},
            "required_skills: dictionary should have at most 32 items after validation",
        ),
        ("calls/c0ffee00/send", {}, "agent: field required"),
        ("calls/c0ffee00/send", {"agent": "1001", "for_seconds": 0.9}, "for_seconds: should be greater than or equal"),
        ("calls/c0ffee00/send", {"agent": "1001", "for_seconds": 3_601}, "for_seconds: should be less than or equal"),
        ("agents/1001/change", {}, "it: should change something: skills or queues"),
        ("agents/1001/change", {"only": True}, "it: should change something: skills or queues"),
        ("agents/1001/change", {"skills": {"a b": 1}}, "skills.a b: a skill is a name of up to 64 letters"),
        (
            "agents/1001/change",
            {"queues": {"sales": {"rank": 0}}},
            "queues.sales.rank: should be greater than or equal",
        ),
        ("agents/1001/change", {"queues": {"sales": {"rnk": 1}}}, "queues.sales.rnk: unknown field"),
        (
            "agents/1001/change",
            {"queues": {"sales": {"delay_seconds": -1}}},
            "queues.sales.delay_seconds: should be gre",
        ),
        (
            "agents/1001/change",
            {"queues": {"sales": {"weight": 101}}},
            "queues.sales.weight: should be less than or eq",
        ),
        (
            "agents/1001/change",
            {"queues": {f"q{n}": {} for n in range(65)}},
            "queues: dictionary should have at most 64 items after validation",
        ),
        ("queues/sales/close", {"for": 1}, "for: unknown field"),
    ],
)
def test_what_is_out_of_bounds_is_refused(path: str, body: object, problem: str) -> None:
    """422 names the field and its bound, and nothing is asked of the engine."""
    with serve(FakeDaemon(centre())) as rig:
        reply = rig.post(f"/api/v1/{path}", body)
        assert rig.daemon.asked == []
    assert (reply.status, [found[: len(problem)] for found in reply.json["problems"]]) == (422, [problem])


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999", b"-1e999"])
def test_a_duration_is_a_number(number: bytes) -> None:
    """What is no finite number of seconds is refused, not turned into milliseconds."""
    with serve() as rig:
        headers = {"Content-Type": "application/json"}
        body = b'{"head_start_seconds": ' + number + b"}"
        reply = rig.ask("POST", "/api/v1/calls/c0ffee00/change", body=body, headers=headers)
        assert rig.daemon.asked == []
    assert reply.status in (400, 422)


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("calls/deadbeef/promote", None, 404, "There is no call 'deadbeef'."),
        ("calls/deadbeef/change", {"priority": 1}, 404, "There is no call 'deadbeef'."),
        ("calls/deadbeef/send", {"agent": "1001"}, 404, "There is no call 'deadbeef'."),
        ("calls/c0ffee/promote", None, 409, "2 calls begin with 'c0ffee'; give more characters of the id."),
        ("calls/c0ffee00/send", {"agent": "1003"}, 422, "There is no agent '1003'; did you mean '1002'?"),
        (
            "calls/c0ffee00/change",
            {"required_skills": {"frensh": 1}},
            422,
            "There is no skill 'frensh'; did you mean 'french'?",
        ),
        ("agents/1003/change", {"skills": {}}, 404, "There is no agent '1003'; did you mean '1002'?"),
        (
            "agents/1002/change",
            {"skills": {"frensh": None}},
            422,
            "Agent 1002 has no skill 'frensh'; did you mean 'french'?",
        ),
        ("agents/1002/change", {"queues": {"suport": {}}}, 422, "There is no queue 'suport'; did you mean 'support'?"),
        ("agents/1002/change", {"queues": {"support": None}}, 422, "Agent 1002 has no queue 'support'."),
        ("queues/sale/open", None, 404, "There is no queue 'sale'; did you mean 'sales'?"),
        ("queues/sale/close", None, 404, "There is no queue 'sale'; did you mean 'sales'?"),
    ],
)
def test_what_is_not_there_is_not_asked_for(path: str, body: object, status: int, detail: str) -> None:
    """An unknown name in the path is 404, in the body 422, both with a near miss; the engine hears nothing."""
    with serve(FakeDaemon(centre())) as rig:
        reply = rig.post(f"/api/v1/{path}", body)
        assert rig.daemon.asked == []
    assert (reply.status, reply.json["detail"]) == (status, detail)


def test_many_changes_do_not_add_up_beyond_the_limit() -> None:
    """An agent who has as many skills and queues as the configuration allows gets no more."""
    names = [f"q{n}" for n in range(501)]
    full = agent_view(
        "1001", skills=tuple((name, 1) for name in names[1:201]), queues=tuple((name, Service()) for name in names[1:])
    )
    shown = snapshot(agents=(full,), queues=tuple(queue_view(name) for name in names))
    with serve(FakeDaemon(shown)) as rig:
        details = [
            rig.post("/api/v1/agents/1001/change", {what: value}).json.get("detail")
            for what, value in (
                ("skills", {"q0": 1}),
                ("skills", {"q1": 2}),
                ("queues", {"q0": {}}),
                ("queues", {"q1": {}}),
            )
        ]
        assert len(rig.daemon.asked) == 2
    assert details == [
        "Agent 1001 cannot have more than 200 skills.", None, "Agent 1001 cannot serve more than 500 queues.", None
    ]  # fmt: skip


def test_a_call_may_go_on_needing_what_nobody_has() -> None:
    """A skill that a live call requires already is no slip of the pen."""
    shown = snapshot(calls=(call_view(CALL, required=(("welsh", 2),)),))
    with serve(FakeDaemon(shown)) as rig:
        reply = rig.post("/api/v1/calls/c0ffee00/change", {"required_skills": {"welsh": 1}})
        assert rig.daemon.asked == [e.CallChangeAsked(CALL, "api:admin", required=(("welsh", 1),))]
    assert reply.status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("calls/c0ffee00/promote", None),
        ("calls/c0ffee00/change", {"priority": 1}),
        ("calls/c0ffee00/send", {"agent": "1001"}),
        ("agents/1001/change", {"skills": {"german": 1}}),
        ("queues/sales/open", None),
        ("queues/sales/close", None),
    ],
)
def test_a_refusal_of_the_engine_is_a_conflict(path: str, body: object) -> None:
    """409 carries the engine's reason as a sentence."""
    daemon = FakeDaemon(centre())
    daemon.refuse("the call talks already")
    with serve(daemon) as rig:
        reply = rig.post(f"/api/v1/{path}", body)
    assert (reply.status, reply.json["detail"]) == (409, "The call talks already.")


@pytest.mark.parametrize("role", [Role.READ, Role.AGENT])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("calls/c0ffee00/promote", None),
        ("calls/c0ffee00/change", {"priority": 1}),
        ("calls/c0ffee00/send", {"agent": "1001"}),
        ("agents/1001/change", {"skills": {"german": 10}}),
        ("queues/sales/close", None),
    ],
)
def test_only_supervisors_change_what_goes_on(path: str, body: object, role: Role) -> None:
    """An agent cannot give themselves skills, choose their calls or close a queue."""
    with serve(FakeDaemon(centre())) as rig:
        reply = rig.post(f"/api/v1/{path}", body, role)
        assert rig.daemon.asked == []
    assert (reply.status, reply.json["type"]) == (403, "urn:fsacd:problem:right")
