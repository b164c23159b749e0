"""Every route for every kind of principal, against a table that was written by hand.

The routes are read from the application, so a route without a row here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from fsacd.core.events import TalkVerb
from fsacd.core.views import TalkView
from fsacd.desk.rights import WISHES, Role, Scope, Verb
from fsacd.http.access import Access, Token
from fsacd.http.api import CustomerDesk
from fsacd.http.app import ROUTES
from fsacd.http.customer_forms import Forms
from fsacd.http.routes import Route
from tests.http.rig import NOON_MS, SETTINGS, TERMS, TOKENS, FakeBook, FakeDaemon, Rig, call_view, serve, snapshot

NOON_S = NOON_MS / 1000
OWN, FOREIGN = "1001", "1002"
SAMPLES = {"agent_id": OWN, "queue_name": "sales", "call_id": "c0ffee00", "customer_id": "c1", "reload_number": "7"}
# What a route cannot be asked without.
BODIES = {
    "Digits": {"digits": "12#"},
    "CallChange": {"priority": 1},
    "CallSend": {"agent": OWN},
    "Consult": {"agent": "1001"},
    "Transfer": {"queue": "support"},
    "AgentChange": {"skills": {}},
    "WrapUp": {"codes": []},
}
BODIES |= {
    "CustomerNew": {"numbers": ["+4930222"]},
    "CustomerMerge": {"customer": "c2"},
    "CustomerImport": {"lines": [{"line": 2, "cells": {"numbers": "+4930222"}}]},
}

# --- the table: who may what, in words of its own ---------------------------------------------------------------------

EVERYBODY = "nobody wrong_token expired revoked read agent_own agent_foreign supervisor admin"
LOOKERS = "read agent_own agent_foreign supervisor admin"
DESK = "agent_own supervisor admin"
FLOOR = "supervisor admin"
HOUSE = "admin"
TABLE = {
    "GET /livez": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": EVERYBODY,
    "GET /openapi.json": EVERYBODY,
    "GET /api/v1/status": LOOKERS,
    "GET /api/v1/queues": LOOKERS,
    "GET /api/v1/queues/{queue_name}": LOOKERS,
    "GET /api/v1/agents": LOOKERS,
    "GET /api/v1/agents/{agent_id}": LOOKERS,
    "GET /api/v1/calls": LOOKERS,
    "GET /api/v1/calls/{call_id}": LOOKERS,
    "GET /api/v1/calls/{call_id}/explain": LOOKERS,
    "POST /api/v1/agents/{agent_id}/login": DESK,
    "POST /api/v1/agents/{agent_id}/logout": DESK,
    "POST /api/v1/agents/{agent_id}/ready": DESK,
    "POST /api/v1/agents/{agent_id}/not-ready": DESK,
    "POST /api/v1/agents/{agent_id}/end-wrap-up": DESK,
    "POST /api/v1/agents/{agent_id}/wrap-up": DESK,
    "POST /api/v1/agents/{agent_id}/change": FLOOR,
    "POST /api/v1/calls/{call_id}/requeue": FLOOR,
    "POST /api/v1/calls/{call_id}/hangup": FLOOR,
    "POST /api/v1/calls/{call_id}/promote": FLOOR,
    "POST /api/v1/calls/{call_id}/change": FLOOR,
    "POST /api/v1/calls/{call_id}/send": FLOOR,
    **{f"POST /api/v1/talks/{{talk_id}}/{verb}": DESK for verb in (*TalkVerb, "consult", "transfer", "dtmf")},
    "POST /api/v1/queues/{queue_name}/open": FLOOR,
    "POST /api/v1/queues/{queue_name}/close": FLOOR,
    "GET /api/v1/customers": FLOOR,
    "GET /api/v1/customers/{customer_id}": FLOOR,
    "POST /api/v1/customers": FLOOR,
    "POST /api/v1/customers/import": FLOOR,
    "POST /api/v1/customers/{customer_id}/change": FLOOR,
    "POST /api/v1/customers/{customer_id}/merge": FLOOR,
    "POST /api/v1/customers/{customer_id}/delete": FLOOR,
    "POST /api/v1/reload": HOUSE,
    "POST /api/v1/reloads": HOUSE,
    "GET /api/v1/reloads/{reload_number}": HOUSE,
    "POST /api/v1/resync": HOUSE,
}


@dataclass(frozen=True)
class Kind:
    """One kind of principal: what it shows, for which agent it asks, and how it is turned away."""

    secret: str | None
    agent: str
    refusal: int


KINDS = {
    "nobody": Kind(None, OWN, 401),
    "wrong_token": Kind("secret-of-nobody", OWN, 401),
    "expired": Kind("secret-of-yesterday", OWN, 401),
    "revoked": Kind("secret-of-somebody-who-left", OWN, 401),
    "read": Kind("secret-of-read", OWN, 403),
    "agent_own": Kind("secret-of-agent", OWN, 403),
    "agent_foreign": Kind("secret-of-agent", FOREIGN, 403),
    "supervisor": Kind("secret-of-supervisor", OWN, 403),
    "admin": Kind("secret-of-admin", OWN, 403),
}


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture
def book() -> FakeBook:
    return FakeBook()


@pytest.fixture
def rig(book: FakeBook) -> Iterator[Rig]:
    """An API whose token of yesterday is over, and from which somebody's token has been taken."""
    yesterday = Token.of("yesterday", Role.ADMIN, "secret-of-yesterday", expires_s=NOON_S)
    left = Token.of("left", Role.ADMIN, "secret-of-somebody-who-left")
    access = Access((*TOKENS, yesterday, left), rate=SETTINGS.rate, burst=SETTINGS.burst, clock=lambda: 0.0)
    access.replace((*TOKENS, yesterday))
    talks = [
        call_view(f"c0ffee2{agent}", state="talking", talk=TalkView(f"talk-{agent}", agent, "together", 0))
        for agent in (OWN, FOREIGN)
    ]
    shown = snapshot()
    daemon = FakeDaemon(replace(shown, calls=(*shown.calls, *talks)))
    with serve(daemon, access=access, customers=CustomerDesk(book, lambda: Forms(TERMS))) as rig:
        yield rig


def ask(rig: Rig, route: Route, kind: Kind) -> int:
    samples = SAMPLES | {"agent_id": kind.agent, "talk_id": f"talk-{kind.agent}"}
    path = re.sub(r"{(\w+)}", lambda match: samples[match.group(1)], route.path)
    headers = {} if kind.secret is None else {"Authorization": f"Bearer {kind.secret}"}
    return rig.ask(route.method, path, None, BODIES.get(route.body.__name__), headers).status


def test_the_table_has_a_row_for_every_route_and_no_other() -> None:
    """A new route needs a decision about who may use it."""
    assert sorted(TABLE) == sorted(map(named, ROUTES))


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_serves_those_of_its_row_alone(rig: Rig, route: Route) -> None:
    """Each kind of principal gets 200 where its row says so, and 401 or 403 where it does not."""
    allowed = TABLE[named(route)].split()
    expected = {name: 200 if name in allowed else kind.refusal for name, kind in KINDS.items()}
    assert {name: ask(rig, route, kind) for name, kind in KINDS.items()} == expected


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "POST"], ids=named)
def test_nothing_is_asked_of_the_engine_by_whoever_may_not(rig: Rig, book: FakeBook, route: Route) -> None:
    """A refusal is not only an answer: nothing has happened."""
    rig.daemon.reloads = rig.daemon.resyncs = lambda: pytest.fail("it was done")
    for name, kind in KINDS.items():
        if name not in TABLE[named(route)].split():
            ask(rig, route, kind)
    assert (rig.daemon.asked, book.asked) == ([], [])


def test_an_expired_token_says_so() -> None:
    """A person sees that the token was right once."""
    token = Token.of("temp", Role.READ, "secret-of-temp", expires_s=NOON_S)
    with serve(tokens=(token,)) as rig:
        reply = rig.ask("GET", "/api/v1/status", None, headers={"Authorization": "Bearer secret-of-temp"})
    assert (reply.status, reply.json["detail"]) == (
        401,
        "This token has expired; api.tokens in the configuration says when.",
    )


def test_a_token_holds_until_its_moment() -> None:
    """A millisecond before it expires it is taken."""
    token = Token.of("temp", Role.READ, "secret-of-temp", expires_s=NOON_S + 0.001)
    with serve(tokens=(token,)) as rig:
        reply = rig.ask("GET", "/api/v1/status", None, headers={"Authorization": "Bearer secret-of-temp"})
    assert reply.status == 200


def test_an_agents_token_may_stand_for_several() -> None:
    """A shared terminal acts for those who use it and for nobody else."""
    token = Token.of("terminal", Role.AGENT, "secret-of-terminal", Scope(agents=frozenset({"1001", "1002"})))
    with serve(FakeDaemon(), tokens=(token,)) as rig:
        found = [
            rig.ask(
                "POST", f"/api/v1/agents/{agent}/ready", None, headers={"Authorization": "Bearer secret-of-terminal"}
            )
            for agent in ("1001", "1002", "1003")
        ]
    assert [reply.status for reply in found] == [200, 200, 403]
    assert found[2].json["detail"] == "api:terminal may act for the agents 1001, 1002 alone, not for 1003."


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "POST"], ids=named)
def test_a_route_names_the_verb_of_what_it_asks_for(rig: Rig, book: FakeBook, route: Route) -> None:
    """What the document says of a route is what the daemon looks at when its wish comes."""
    assert ask(rig, route, KINDS["admin"]) == 200
    changed = {Verb.CHANGE_CUSTOMERS} if book.asked else set()
    verbs = {WISHES[type(wish)] for wish in rig.daemon.asked} | changed or {Verb.RELOAD, Verb.RESYNC}
    assert route.verb in verbs
