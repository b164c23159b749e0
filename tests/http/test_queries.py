from __future__ import annotations

import pytest
from pydantic import BaseModel

from fsacd.core.views import LastTalkView, WorkView
from fsacd.desk.rights import Role
from fsacd.http import models as m
from fsacd.http.api import ReloadStatus
from tests.http.rig import (
    NOON_MS,
    NOW_MS,
    FakeDaemon,
    agent_view,
    call_view,
    daemon_status,
    queue_view,
    serve,
    snapshot,
)

WAITING = "c0ffee00-0000-4000-8000-000000000001"
TALKING = "c0ffee11-0000-4000-8000-000000000002"


def test_status_shows_the_daemon_its_links_and_what_is_going_on() -> None:
    """GET /status tells version, times, links, database, and how many calls and agents are in each state."""
    with serve() as rig:
        reply = rig.get("/api/v1/status", Role.READ)
    assert reply.status == 200
    assert reply.json == {
        "instance": "main",
        "version": "1.2.3",
        "ready": True,
        "at": "2026-03-01T12:00:00.000Z",
        "started_at": "2026-03-01T11:00:00.000Z",
        "uptime_seconds": 3600.0,
        "configuration_loaded_at": "2026-03-01T11:00:00.000Z",
        "switches": [
            {
                "name": "fs1",
                "connected": True,
                "detail": "",
                "standing_by": False,
                "since_at": "2026-03-01T11:00:01.000Z",
                "event_lag_seconds": 0.0025,
                "events": 0,
                "reconnects": 0,
                "pending_commands": 0,
            }
        ],
        "store": {"configured": True, "connected": True, "detail": "", "queued": 0, "written": 0, "dropped": 0},
        "troubles": [],
        "last_reload": None,
        "calls": {"waiting": 1, "offered": 0, "connecting": 0, "talking": 1},
        "agents": {"ready": 1, "talking": 1},
    }


def test_a_call_is_shown_with_times_and_units() -> None:
    """GET /calls/{id} gives times as RFC 3339 and durations in seconds."""
    call = call_view(
        WAITING,
        head_start_ms=60_000,
        language="de",
        reserved_for="1002",
        number_believed=False,
        waits_since_ms=NOW_MS - 12_500,
        contact_id="K-7",
    )
    with serve(FakeDaemon(snapshot(calls=(call,)))) as rig:
        reply = rig.get(f"/api/v1/calls/{WAITING}", Role.SUPERVISOR)
    assert reply.json == {
        "id": WAITING,
        "contact_id": "K-7",
        "queue": "support",
        "state": "waiting",
        "position": 1,
        "priority": 2,
        "head_start_seconds": 60.0,
        "arrived_at": "2026-03-01T11:59:47.500Z",
        "waited_seconds": 12.5,
        "talked_seconds": 0.0,
        "waiting_since_at": "2026-03-01T11:59:47.500Z",
        "talking_since_at": None,
        "number": "+493012345678",
        "number_believed": False,
        "name": "Bob",
        "customer": "c-1",
        "customer_id": None,
        "language": "de",
        "required_skills": {"german": 3},
        "reserved_for": "1002",
        "agents": [],
        "offers": 0,
        "resumes": "",
        "switch": "fs1",
        "leg_uuid": "aaaaaaaa-0000-4000-8000-000000000001",
        "talk": None,
    }


def test_a_call_without_a_leg_is_shown_too() -> None:
    """A waiting callback stands on no switch."""
    with serve(FakeDaemon(snapshot(calls=(call_view(WAITING, leg=None),)))) as rig:
        call = rig.get(f"/api/v1/calls/{WAITING}").json
    assert [call["switch"], call["leg_uuid"]] == [None, None]


def test_an_agent_is_shown_with_what_they_serve() -> None:
    """GET /agents/{id} gives state, since when, queues with rank and delay, and skills."""
    agent = agent_view(
        "1001",
        state="wrapping_up",
        until_ms=NOW_MS + 5_000,
        then="not_ready lunch",
        not_ready_for=(("support", "mail"),),
        presence="not_ready",
        presence_reason="lunch",
        work=(
            WorkView(
                "o1",
                WAITING,
                "support",
                "voice",
                100,
                "wrapping_up",
                NOW_MS - 1_000,
                NOW_MS + 5_000,
                "Bob",
                ("sale/new",),
            ),
        ),
        room=0,
        standing_leg="used",
        last_talk=LastTalkView("o0", "c0", "sales", NOW_MS - 9_000, ("complaint",)),
    )
    with serve(FakeDaemon(snapshot(agents=(agent,)))) as rig:
        reply = rig.get("/api/v1/agents/1001", Role.READ)
    assert reply.json == {
        "id": "1001",
        "name": "Anna",
        "presence": "not_ready",
        "presence_reason": "lunch",
        "presence_since_at": "2026-03-01T11:59:00.000Z",
        "work": [
            {
                "offer_id": "o1",
                "call_id": WAITING,
                "queue": "support",
                "channel": "voice",
                "weight": 100,
                "state": "wrapping_up",
                "since_at": "2026-03-01T11:59:59.000Z",
                "until_at": "2026-03-01T12:00:05.000Z",
                "caller": "Bob",
                "codes": ["sale/new"],
            }
        ],
        "room": 0,
        "standing_leg": "used",
        "last_talk": {
            "offer_id": "o0",
            "call_id": "c0",
            "queue": "sales",
            "ended_at": "2026-03-01T11:59:51.000Z",
            "codes": ["complaint"],
        },
        "state": "wrapping_up",
        "reason": "",
        "since_at": "2026-03-01T11:59:00.000Z",
        "state_seconds": 60.0,
        "until_at": "2026-03-01T12:00:05.000Z",
        "then": "not_ready lunch",
        "contact": "user/1001",
        "queues": [
            {
                "queue": "support",
                "rank": 2,
                "delay_seconds": 20.0,
                "backup": False,
                "weight": 1,
                "ready": False,
                "reason": "mail",
            }
        ],
        "skills": {"german": 8},
        "call_id": None,
        "caller": "",
    }


def test_queues_are_listed_by_name() -> None:
    """GET /queues gives every queue; nobody waiting means no oldest wait, not nought."""
    with serve() as rig:
        queues = rig.get("/api/v1/queues", Role.READ).json["queues"]
    assert [(queue["name"], queue["waiting"], queue["oldest_wait_seconds"]) for queue in queues] == [
        ("sales", 0, None),
        ("support", 1, 12.5),
    ]


def test_a_queue_says_whether_it_is_open_and_what_a_call_would_wait() -> None:
    """`open` and `estimated_wait_seconds`, which is null when nobody is on duty."""
    closed = queue_view("support", is_open=False, estimated_wait_ms=None)
    with serve(FakeDaemon(snapshot(queues=(closed, queue_view("sales"))))) as rig:
        queues = rig.get("/api/v1/queues", Role.READ).json["queues"]
    assert [(queue["open"], queue["estimated_wait_seconds"]) for queue in queues] == [(True, 90.0), (False, None)]


def test_an_agent_in_a_call_of_their_own_is_busy() -> None:
    """The state busy is shown, counted and can be asked for."""
    with serve(FakeDaemon(snapshot(agents=(agent_view("1001", state="busy"), agent_view("1002"))))) as rig:
        found = rig.get("/api/v1/agents?state=busy", Role.READ).json["agents"]
        counts = rig.get("/api/v1/status", Role.READ).json["agents"]
    assert ([agent["id"] for agent in found], counts) == (["1001"], {"busy": 1, "ready": 1})


def test_one_queue_comes_with_its_calls_and_agents() -> None:
    """GET /queues/{name} adds the calls in it and the agents who serve it."""
    with serve() as rig:
        queue = rig.get("/api/v1/queues/sales", Role.READ).json
    assert queue["name"] == "sales"
    assert [call["id"] for call in queue["calls"]] == [TALKING]
    assert [agent["id"] for agent in queue["agents"]] == ["1002"]


def test_agents_can_be_chosen_by_queue_and_state() -> None:
    """GET /agents takes queue and state."""
    with serve() as rig:
        found = {
            query: [agent["id"] for agent in rig.get(f"/api/v1/agents{query}").json["agents"]]
            for query in ("", "?queue=sales", "?state=ready", "?queue=sales&state=ready")
        }
    assert found == {
        "": ["1001", "1002"],
        "?queue=sales": ["1002"],
        "?state=ready": ["1001"],
        "?queue=sales&state=ready": [],
    }


def test_calls_come_in_pages_in_the_order_of_arrival() -> None:
    """GET /calls takes limit and offset, and says how many there are in all."""
    calls = tuple(call_view(f"{place:08x}-call", arrived_ms=NOW_MS - place) for place in range(5))
    with serve(FakeDaemon(snapshot(calls=calls))) as rig:
        first = rig.get("/api/v1/calls?limit=2").json
        last = rig.get("/api/v1/calls?limit=2&offset=4").json
        none = rig.get("/api/v1/calls?queue=sales").json
    assert ([call["id"][:8] for call in first["calls"]], first["total"]) == (["00000004", "00000003"], 5)
    assert ([call["id"][:8] for call in last["calls"]], last["total"]) == (["00000000"], 5)
    assert none == {"calls": [], "total": 0}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?limit=0", "limit: should be greater than or equal to 1"),
        ("?limit=5001", "limit: should be less than or equal to 5000"),
        ("?limit=many", "limit: should be a whole number"),
        ("?limit=1&limit=2", "limit: should be a valid integer"),
        ("?quue=sales", "quue: unknown field, did you mean 'queue'?"),
        ("?state=wating", "state: should be 'waiting', 'offered', 'connecting' or 'talking'"),
    ],
)
def test_a_wrong_query_is_refused_with_the_reason(query: str, expected: str) -> None:
    """422 names the parameter and what is wrong with it."""
    with serve() as rig:
        reply = rig.get(f"/api/v1/calls{query}")
    assert (reply.status, reply.json["problems"]) == (422, [expected])


def test_an_unknown_queue_in_a_query_is_an_error_not_an_empty_page() -> None:
    """A slip in a filter is told, with a near miss."""
    with serve() as rig:
        replies = [rig.get(f"/api/v1/{kind}?queue=slaes") for kind in ("calls", "agents")]
    assert [(reply.status, reply.json["did_you_mean"]) for reply in replies] == [(422, ["sales"])] * 2


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("agents/1003", 404, "There is no agent '1003'; did you mean '1002'?"),
        ("queues/suport", 404, "There is no queue 'suport'; did you mean 'support'?"),
        ("queues/nothing-like-it", 404, "There is no queue 'nothing-like-it'."),
        ("queues/a%2Fb", 404, "There is nothing at '/api/v1/queues/a/b'; /openapi.json lists what there is."),
        ("calls/deadbeef", 404, "There is no call 'deadbeef'."),
        ("calls/c0ffee", 409, "2 calls begin with 'c0ffee'; give more characters of the id."),
        ("calls/c0ffe", 400, "Name a call by at least 6 characters of its id."),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(path: str, status: int, detail: str) -> None:
    """Unknown names come with a near miss, ambiguous ids with their number."""
    with serve() as rig:
        reply = rig.get(f"/api/v1/{path}")
    assert (reply.status, reply.json["detail"]) == (status, detail)


def test_six_characters_name_a_call_when_no_other_begins_so() -> None:
    """A prefix that one live call has is as good as its id."""
    calls = (call_view("abcdef01-a"), call_view("abcdee01-b"))
    with serve(FakeDaemon(snapshot(calls=calls))) as rig:
        assert rig.get("/api/v1/calls/abcdef").json["id"] == "abcdef01-a"


def test_a_whole_id_is_found_even_when_it_begins_another() -> None:
    """An exact id is never ambiguous, however short."""
    with serve(FakeDaemon(snapshot(calls=(call_view("abc"), call_view("abcdef"))))) as rig:
        assert rig.get("/api/v1/calls/abc").json["id"] == "abc"


@pytest.mark.parametrize(
    ("role", "number"),
    [
        (Role.READ, "***5678"),
        (Role.AGENT, "***5678"),
        (Role.SUPERVISOR, "+493012345678"),
        (Role.ADMIN, "+493012345678"),
    ],
)
def test_only_supervisors_see_whole_numbers(role: Role, number: str) -> None:
    """Below supervisor a number, and a name or customer or contact that is one, shows its last four digits."""
    whole = "+493012345678"
    shown = snapshot(
        calls=(call_view(WAITING, number=whole, name=whole, customer=whole),),
        agents=(agent_view("1001", contact=f"sofia/gateway/out/{whole}"),),
    )
    with serve(FakeDaemon(shown)) as rig:
        call = rig.get(f"/api/v1/calls/{WAITING}", role).json
        agent = rig.get("/api/v1/agents/1001", role).json
        queue = rig.get("/api/v1/queues/support", role).json
    assert [call["number"], call["name"], call["customer"]] == [number] * 3
    assert agent["contact"] == f"sofia/gateway/out/{number}"
    assert [queue["calls"][0]["number"], queue["agents"][0]["contact"]] == [number, f"sofia/gateway/out/{number}"]


def test_a_hostile_name_arrives_as_text() -> None:
    """Whatever name a caller claims is data in the answer, and nothing else."""
    name = '\x1b[2J\r\nSet-Cookie: a=b\x00"}<script>\u202e'
    with serve(FakeDaemon(snapshot(calls=(call_view(WAITING, name=name),)))) as rig:
        reply = rig.get(f"/api/v1/calls/{WAITING}")
    assert reply.json["name"] == name
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    ("path", "model"),
    [("calls", m.Calls), ("agents", m.Agents), ("queues", m.Queues), ("queues/support", m.QueueDetail)],
)
def test_lists_are_what_the_description_says(path: str, model: type[BaseModel]) -> None:
    """Their items are rendered one by one, past the model of the whole; an empty one is a list, too."""
    with serve(FakeDaemon(snapshot())) as full, serve(FakeDaemon(snapshot(calls=(), agents=()))) as empty:
        for rig in (full, empty):
            answer = rig.get(f"/api/v1/{path}", Role.READ)
            assert answer.headers["content-type"] == "application/json"
            assert model.model_validate(answer.json, strict=False).model_dump(mode="json") == answer.json


def test_the_status_has_the_last_reload() -> None:
    """Null before the first; then who asked, and what came of it in a sentence."""
    last = ReloadStatus(
        3,
        "signal",
        NOON_MS - 500,
        result="refused",
        message="the configuration has errors",
        began_ms=NOON_MS,
        ended_ms=NOON_MS + 1_500,
    )
    for told, shown in (
        (None, None),
        (
            last,
            {
                "number": 3,
                "by": "signal",
                "dry_run": False,
                "asked_at": "2026-03-01T11:59:59.500Z",
                "result": "refused",
                "message": "The configuration has errors.",
                "began_at": "2026-03-01T12:00:00.000Z",
                "ended_at": "2026-03-01T12:00:01.500Z",
            },
        ),
    ):
        with serve(FakeDaemon(state=daemon_status(last_reload=told))) as rig:
            assert rig.get("/api/v1/status", Role.READ).json["last_reload"] == shown
