from __future__ import annotations

import re

import gevent
import pytest

from fsacd.desk.rights import Role
from fsacd.http.app import ROUTES
from fsacd.http.hosts import is_loopback
from fsacd.http.routes import Route
from tests.http.rig import FakeDaemon, agent_view, serve, snapshot

SAMPLES = {
    "agent_id": "1001",
    "queue_name": "sales",
    "call_id": "c0ffee00",
    "talk_id": "c0ffee00",
    "customer_id": "c1",
    "reload_number": "7",
}
# What a route cannot be asked without.
BODIES = {"CallChange": {"priority": 1}, "CallSend": {"agent": "1001"}, "AgentChange": {"skills": {}}}


def sample(route: Route) -> str:
    """A path of this route that exists."""
    return re.sub(r"{(\w+)}", lambda match: SAMPLES[match.group(1)], route.path)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_no_answer_may_be_stored_or_sniffed(route: Route) -> None:
    """Caches keep nothing of calls and agents, and browsers take the type that is said."""
    with serve() as rig:
        headers = rig.ask(route.method, sample(route)).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert [name for name in headers if name.startswith("access-control-")] == []


@pytest.mark.parametrize(
    ("given", "detail", "challenge"),
    [
        (None, "This needs a token, in the header 'Authorization: Bearer TOKEN'.", 'Bearer realm="fsacd"'),
        (
            "Bearer wrong",
            "The Authorization header holds no token that is known here.",
            'Bearer realm="fsacd", error="invalid_token"',
        ),
    ],
)
def test_401_says_how_to_get_in(given: str | None, detail: str, challenge: str) -> None:
    """A missing and a wrong token are told apart, with the challenge that HTTP wants."""
    headers = {} if given is None else {"Authorization": given}
    with serve() as rig:
        reply = rig.ask("GET", "/api/v1/status", None, headers=headers)
    assert (reply.status, reply.json["detail"], reply.headers["www-authenticate"]) == (401, detail, challenge)
    assert reply.headers["content-type"] == "application/problem+json"


def test_without_any_token_the_api_is_closed_and_says_why() -> None:
    """Forgetting to configure tokens opens nothing."""
    with serve(tokens=()) as rig:
        reply = rig.get("/api/v1/status", None)
        assert rig.get("/livez", None).status == 200
    assert reply.status == 401
    assert reply.json["detail"].startswith("No token is configured")


def test_403_names_the_role_that_is_missing() -> None:
    """A person can see what to ask for."""
    with serve() as rig:
        reply = rig.post("/api/v1/reload", None, Role.AGENT)
    assert reply.json["detail"] == (
        "api:agent may not reload the configuration; that takes the role admin or one above it."
    )
    assert reply.headers["www-authenticate"] == 'Bearer realm="fsacd", error="insufficient_scope", scope="admin"'


def test_metrics_can_be_kept_for_those_with_a_token() -> None:
    """With open_metrics off, /metrics needs the role read."""
    with serve(open_metrics=False) as rig:
        assert [rig.get("/metrics", role).status for role in (None, Role.READ)] == [401, 200]


def test_strangers_cannot_blind_a_scraper_that_has_a_token() -> None:
    """Requests without a token are limited together; open as /metrics is, who shows a token is counted apart."""
    with serve(rate=0.001, burst=1.0) as rig:
        strangers = [rig.get("/metrics", None).status for _ in range(3)]
        scraper = rig.get("/metrics", Role.READ).status
    assert (strangers, scraper) == ([200, 429, 429], 200)


def test_metrics_come_as_the_daemon_gives_them() -> None:
    """/metrics hands on text and type unchanged."""
    with serve() as rig:
        reply = rig.get("/metrics", None)
    assert (reply.body, reply.headers["content-type"]) == (b"fsacd_up 1\n", "text/plain; version=0.0.4")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8090", 200),
        ("127.0.0.1", 200),
        ("127.8.9.1:80", 200),
        ("[::1]:8090", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8090", 421),
        ("[::1", 421),
        ("[::1]evil", 421),
        ("[::1]evil.example:8090", 421),
        ("localhost:80@evil.example", 421),
        ("localhost, evil.example", 421),
        ("::1", 421),
        ("", 421),
        ("10.0.0.1", 421),
    ],
)
def test_on_loopback_only_loopbacks_names_are_answered(host: str, status: int) -> None:
    """A web page that points its own name at 127.0.0.1 gets nothing, not even the health pages."""
    with serve() as rig:
        assert rig.get("/livez", None, Host=host).status == status


def test_a_foreign_name_is_told_what_to_set() -> None:
    """421 names the setting."""
    with serve() as rig:
        problem = rig.get("/livez", None, Host="fsacd.example.com").json
    assert problem["type"] == "urn:fsacd:problem:unknown-host"
    assert "api.allowed_hosts" in problem["detail"]


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded"])
def test_what_a_proxy_says_of_the_name_counts_for_nothing(header: str) -> None:
    """Anybody can write these: the name in Host is the one that is looked at, for better and for worse."""
    with serve() as rig:
        value = "host=localhost" if header == "Forwarded" else "localhost"
        assert rig.ask("GET", "/livez", None, headers={"Host": "evil.example", header: value}).status == 421
        assert rig.ask("GET", "/livez", None, headers={header: "evil.example"}).status == 200


def test_a_configured_name_is_answered() -> None:
    """Behind a proxy that keeps the name, the name can be allowed."""
    with serve(allowed_hosts=("acd.example.org",)) as rig:
        assert rig.get("/livez", None, Host="ACD.example.org:443").status == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("LocalHost", True), ("0.0.0.0", False), ("::", False), ("acd", False)],
)
def test_loopback_is_the_machine_itself(host: str, expected: bool) -> None:
    """Addresses that others can reach, and names, are not loopback."""
    assert expected == is_loopback(host)


def test_a_token_that_asks_too_often_waits() -> None:
    """429 says how long; health is never limited; other tokens are not touched."""
    with serve(rate=0.001, burst=2.0) as rig:
        statuses = [rig.get("/api/v1/queues", Role.READ).status for _ in range(3)]
        refused = rig.get("/api/v1/queues", Role.READ)
        others = [rig.get("/api/v1/queues", Role.ADMIN).status, *(rig.get("/livez").status for _ in range(5))]
    assert statuses == [200, 200, 429]
    assert 0 < refused.json["retry_after_seconds"] <= 1000
    assert 1 <= int(refused.headers["retry-after"]) <= 1001
    assert others == [200] * 6


def test_a_long_list_counts_as_many_requests() -> None:
    """Fifty items cost as much as one request: the limit counts work. One item costs no more than its request."""
    daemon = FakeDaemon(snapshot(agents=tuple(agent_view(f"a{n:03}") for n in range(200))))
    with serve(daemon, rate=0.001, burst=5.0) as rig:
        long = [rig.get("/api/v1/agents?limit=200", Role.READ).status for _ in range(3)]
        short = [rig.get("/api/v1/agents?limit=1", Role.ADMIN).status for _ in range(6)]
    assert long == [200, 200, 429]
    assert short == [200] * 5 + [429]


def test_guessing_tokens_is_limited() -> None:
    """After a burst of wrong tokens the next is not even looked at."""
    with serve(rate=0.001, burst=3.0) as rig:
        wrong = {"Authorization": "Bearer guess"}
        found = [rig.ask("GET", "/api/v1/queues", None, headers=wrong).status for _ in range(4)]
    assert found == [401, 401, 401, 429]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("DELETE", "/api/v1/calls/c0ffee00", "GET"), ("GET", "/api/v1/reload", "POST"), ("PUT", "/livez", "GET")],
)
def test_a_wrong_method_is_told_the_right_one(method: str, path: str, allow: str) -> None:
    """405 carries Allow."""
    with serve() as rig:
        reply = rig.ask(method, path)
    assert (reply.status, reply.json["type"]) == (405, "urn:fsacd:problem:method")
    assert allow in reply.headers["allow"].replace(",", " ").split()


def test_an_unknown_path_is_a_problem_document() -> None:
    """404 points at the description of the API."""
    with serve() as rig:
        reply = rig.get("/api/v2/status")
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")
    assert reply.json["type"] == "urn:fsacd:problem:unknown-path"


def test_head_is_get_without_the_body() -> None:
    """Probes that use HEAD work."""
    with serve() as rig:
        reply = rig.ask("HEAD", "/livez", None)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("path", sorted({sample(route) for route in ROUTES}))
def test_who_asks_for_the_methods_is_told_the_same_as_who_errs(path: str) -> None:
    """OPTIONS and a method that is not taken agree, and both are what the routes say."""
    taken = {route.method for route in ROUTES if sample(route) == path}
    with serve() as rig:
        asked, erred = rig.ask("OPTIONS", path, None), rig.ask("DELETE", path, None)
    assert (asked.status, asked.body, erred.status) == (204, b"", 405)
    told = [{method.strip() for method in reply.headers["allow"].split(",")} for reply in (asked, erred)]
    assert told[0] == told[1] == taken | {"OPTIONS"} | ({"HEAD"} if "GET" in taken else set())
    assert erred.json["detail"].count("OPTIONS") == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"ready": true, "ready": false}',
        b'{"ready": true, "contact": "user/1001", "r\\u0065ady": true}',
        b'{"contact": {"a": 1, "a": 2}}',
    ],
)
def test_a_name_that_stands_twice_is_refused(body: bytes) -> None:
    """Which of the two is meant nobody can know, and another reader on the way may take the other one."""
    with serve() as rig:
        reply = rig.ask("POST", "/api/v1/agents/1001/login", body=body)
        assert rig.daemon.asked == []
    assert (reply.status, reply.json["type"]) == (400, "urn:fsacd:problem:json")
    assert "twice" in reply.json["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_body_that_is_not_called_json_is_refused(kind: str) -> None:
    """415: what a web page's form can send is not taken."""
    with serve() as rig:
        reply = rig.ask("POST", "/api/v1/agents/1001/ready", body=b"{}", headers={"Content-Type": kind})
        assert rig.daemon.asked == []
    assert (reply.status, reply.json["type"]) == (415, "urn:fsacd:problem:content-type")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"nonsense", 400),
        (b'{"ready": NaN}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 5_000, 400),
        (b'{"contact": "\\ud800"}', 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
    ],
)
def test_a_broken_body_is_refused(body: bytes, status: int) -> None:
    """400 for what is not JSON, 422 for what is no object."""
    with serve() as rig:
        reply = rig.ask("POST", "/api/v1/agents/1001/login", body=body)
        assert rig.daemon.asked == []
    assert reply.status == status


def test_a_fault_of_ours_says_nothing_about_itself() -> None:
    """500 points at the log; the exception's text stays inside."""
    daemon = FakeDaemon()

    def broken() -> str:
        raise RuntimeError("secret inside")

    daemon.reloads = broken
    with serve(daemon) as rig:
        reply = rig.post("/api/v1/reload")
        assert [(log["log_level"], str(log["exc_info"])) for log in rig.logs] == [("error", "secret inside")]
    assert (reply.status, reply.json["detail"]) == (500, "The daemon failed at this request; its log says why.")
    assert b"secret inside" not in reply.body


def test_a_daemon_that_does_not_answer_is_given_up() -> None:
    """503 after the deadline, and the next request is served."""
    daemon = FakeDaemon()

    def stuck() -> str:
        gevent.sleep(30)
        return "too late"

    daemon.reloads = stuck
    with serve(daemon, answer_deadline_s=1.0) as rig:
        reply = rig.post("/api/v1/reload")
        assert rig.get("/api/v1/queues").status == 200
    assert (reply.status, reply.json["type"]) == (503, "urn:fsacd:problem:unavailable")
