"""Who may do what, at the whole daemon: tokens come and go by a reload, and every wish is looked at again."""

from __future__ import annotations

import http.client
import itertools
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from fsacd.config.problems import ConfigErrors
from fsacd.core import events as e
from fsacd.daemon.main import Daemon
from fsacd.daemon.plugging import read
from fsacd.desk.rights import BY_SIGNAL, WISHES, Principal, Role, Scope, Wish
from fsacd.errors import Forbidden, Refused
from tests.test_daemon import AGENT, COLLEAGUE, TOKEN, Sim, await_true
from tests.test_daemon import Daemon as Process

BY = "api:x"
CODES = ("*31", "*32", "*33", "*341", "*35")

CONFIG: dict[str, Any] = {
    "switches": {"fs1": {"password": "fine"}},
    "queues": {"support": {}, "sales": {}},
    "agents": {"1001": {"queues": ["support"]}, "1002": {"queues": ["sales"]}},
}


# --- wishes, past the API --------------------------------------------------------------------------------------------


@pytest.fixture
def inside(tmp_path: Path) -> Daemon:
    """A daemon that has not been started: it decides, and reaches nobody."""
    file = tmp_path / "fsacd.yaml"
    file.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return Daemon(file, read(file))


ASKED: dict[type[Wish], Wish] = {
    e.AgentLoggedIn: e.AgentLoggedIn("1001", BY),
    e.AgentLoggedOut: e.AgentLoggedOut("1001", BY),
    e.AgentSetReady: e.AgentSetReady("1001", BY),
    e.AgentSetReadyFor: e.AgentSetReadyFor("1001", BY, "support"),
    e.AgentSetNotReadyFor: e.AgentSetNotReadyFor("1001", BY, "support"),
    e.AgentSetNotReady: e.AgentSetNotReady("1001", BY),
    e.AgentEndedWrapUp: e.AgentEndedWrapUp("1001", BY),
    e.AgentCodedWrapUp: e.AgentCodedWrapUp("1001", BY, ("sale",)),
    e.AgentChangeAsked: e.AgentChangeAsked("1001", BY, (("german", 1),)),
    e.CallRequeueAsked: e.CallRequeueAsked("c", BY),
    e.CallHangupAsked: e.CallHangupAsked("c", BY),
    e.CallChangeAsked: e.CallChangeAsked("c", BY, 1),
    e.CallPromoteAsked: e.CallPromoteAsked("c", BY),
    e.CallSendAsked: e.CallSendAsked("c", "1001", BY),
    e.QueueSetOpen: e.QueueSetOpen("support", False, BY),
    e.TalkChangeAsked: e.TalkChangeAsked("1001", "t", e.TalkVerb.HOLD, BY),
    e.TalkDigitsAsked: e.TalkDigitsAsked("1001", "t", 1, BY, "1"),
    e.TalkTransferAsked: e.TalkTransferAsked("1001", "t", e.TransferTo.QUEUE, "sales", BY),
    e.TalkConsultAsked: e.TalkConsultAsked("1001", "t", "1002", BY),
}


def test_every_wish_is_asked_for_here() -> None:
    """A new one needs a line above."""
    assert set(ASKED) == set(WISHES)


@pytest.mark.parametrize("wish", ASKED.values(), ids=lambda wish: type(wish).__name__)
@pytest.mark.parametrize(
    "who",
    [
        Principal(BY, Role.READ.verbs),
        Principal(BY, Role.ADMIN.verbs, Scope(agents=frozenset({"1002"}), queues=frozenset({"sales"}))),
        Principal(BY, Role.ADMIN.verbs, expires_s=1.0),
        Principal("api:y", Role.ADMIN.verbs),
        BY_SIGNAL,
    ],
    ids=["read", "elsewhere", "expired", "another", "signal"],
)
def test_a_route_that_forgets_to_look_lets_nobody_in(inside: Daemon, wish: Wish, who: Principal) -> None:
    """The daemon looks at each wish itself, says no in the log, and the engine never hears of it."""
    before = inside.runtime.snapshot()
    with capture_logs() as logs, pytest.raises(Forbidden):
        inside.ask(wish, who)
    assert [(line["event"], line["by"]) for line in logs] == [("not allowed", who.subject)]
    assert (inside.runtime.snapshot().agents, inside.runtime.snapshot().queues) == (before.agents, before.queues)


def test_whoever_may_is_served(inside: Daemon) -> None:
    """The same wishes from an admin reach the engine; what it refuses is refused in its own words."""
    admin, refused = Principal(BY, Role.ADMIN.verbs), []
    for wish in ASKED.values():
        try:
            inside.ask(wish, admin)
        except Refused:
            refused.append(type(wish))
    # There is no call, nobody is in wrap-up, and whoever has gone home is neither ready nor not.
    assert {e.AgentLoggedIn, e.AgentLoggedOut, e.AgentChangeAsked, e.QueueSetOpen}.isdisjoint(refused)


@pytest.mark.parametrize("role", [Role.READ, Role.AGENT, Role.SUPERVISOR])
def test_reload_and_resync_are_looked_at_too(inside: Daemon, role: Role) -> None:
    """They are no wishes to the engine, and are for admins all the same."""
    for ask in (inside.reload, inside.resync):
        with pytest.raises(Forbidden):
            ask(Principal(BY, role.verbs))


def test_a_contact_that_is_not_allowed_is_not_rung_whoever_wants_it(inside: Daemon) -> None:
    """Neither a route nor a feature code can have the switch dial what the configuration does not name."""
    with pytest.raises(Forbidden, match="may not be rung at user/9999@elsewhere"):
        inside.ask(e.AgentLoggedIn("1001", BY, "user/9999@elsewhere"), Principal(BY, Role.ADMIN.verbs))
    inside.ask(e.AgentLoggedIn("1001", BY, "user/1002"), Principal(BY, Role.ADMIN.verbs))
    assert next(agent.contact for agent in inside.runtime.snapshot().agents if agent.agent_id == "1001") == "user/1002"


def test_who_is_rung_where_it_is_not_allowed_any_more_is_told(inside: Daemon, tmp_path: Path) -> None:
    """After a reload took a place away, or logged in by an earlier version: readiness says so until they log out."""
    file = tmp_path / "fsacd.yaml"
    admin = Principal(BY, Role.ADMIN.verbs)
    file.write_text(yaml.safe_dump({**CONFIG, "allowed_contacts": ["user/desk*"]}), encoding="utf-8")
    inside.reload(admin)
    inside.ask(e.AgentLoggedIn("1001", BY, "user/desk7"), admin)
    assert inside.status().troubles == ()
    file.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    inside.reload(admin)
    [trouble] = inside.status().troubles
    assert (trouble.words, trouble.detail) == (
        "Agents are logged in where the configuration does not allow them to be rung; log them out.",
        "1001",
    )
    inside.ask(e.AgentLoggedOut("1001", BY), admin)
    assert inside.status().troubles == ()


def test_an_unbound_token_of_the_role_agent_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    """It acted for every agent: the file is refused with the line to write."""
    file = tmp_path / "fsacd.yaml"
    token = {"name": "desk", "role": "agent", "token": TOKEN}
    file.write_text(yaml.safe_dump({**CONFIG, "api": {"tokens": [token]}}), encoding="utf-8")
    with pytest.raises(ConfigErrors) as refused:
        read(file)
    assert 'write agent: "1001"' in str(refused.value)


# --- tokens, in the life of a daemon ---------------------------------------------------------------------------------


@pytest.fixture
def sim() -> Iterator[Sim]:
    sim = Sim()
    yield sim
    sim.stop()


@pytest.fixture
def daemon(tmp_path: Path, sim: Sim, database: str) -> Iterator[Process]:
    daemon = Process(tmp_path, sim, database)
    yield daemon
    daemon.process.kill()
    daemon.process.wait(10)


def token(name: str, role: str = "admin", **more: object) -> dict[str, object]:
    return {"name": name, "role": role, "token": f"token-of-{name}-0123456789", **more}


class Client:
    """One connection that stays open."""

    def __init__(self, daemon: Process, secret: str) -> None:
        self._connection = http.client.HTTPConnection(daemon.url.removeprefix("http://"), timeout=10)
        self._headers = {"Authorization": f"Bearer {secret}"}

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
        self._connection.request(method, f"/api/v1/{path}", headers=self._headers)
        reply = self._connection.getresponse()
        return reply.status, json.loads(reply.read())

    def close(self) -> None:
        self._connection.close()


def test_a_reload_revokes_and_adds_tokens(daemon: Process) -> None:
    """Without a restart, in the middle of a connection, and even for the token that asks for it."""
    daemon.config["api"]["tokens"] = [token("old"), token("desk", "agent", agent=AGENT)]
    daemon.write()
    first = Client(daemon, TOKEN)
    old = Client(daemon, "token-of-old-0123456789")
    desk = Client(daemon, "token-of-desk-0123456789")
    assert (old.ask("status")[0], desk.ask("status")[0]) == (401, 401)
    # It takes itself out, and its own answer still comes.
    assert first.ask("reload", "POST") == (200, {"message": "The new configuration is in force."})
    assert first.ask("status")[0] == 401
    assert old.ask("status")[0] == 200
    assert desk.ask(f"agents/{AGENT}/login", "POST")[0] == 200
    assert desk.ask(f"agents/{COLLEAGUE}/login", "POST")[0] == 403

    daemon.config["api"]["tokens"] = [token("new"), token("desk", "agent", agent=COLLEAGUE)]
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    await_true(lambda: daemon.said("reload", times=2), "the file is taken over")
    assert old.ask("status")[0] == 401
    assert [desk.ask(f"agents/{agent}/logout", "POST")[0] for agent in (AGENT, COLLEAGUE)] == [403, 200]
    said = [line for line in daemon.lines() if line.get("event") == "reload"]
    assert [(line["by"], line["result"]) for line in said] == [
        ("api:test", "the new configuration is in force"),
        ("signal", "the new configuration is in force"),
    ]
    for client in (first, old, desk):
        client.close()


def test_a_token_expires_by_itself(daemon: Process) -> None:
    """At its moment, without a reload; the one that expires later goes on."""
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    daemon.config["api"]["tokens"] = [token("soon", expires=soon), token("late", expires="2999-01-01")]
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    await_true(lambda: daemon.said("reload"), "the file is taken over")
    soon_client = Client(daemon, "token-of-soon-0123456789")
    await_true(lambda: soon_client.ask("status")[0] == 401, "the token is over")
    assert soon_client.ask("status")[1]["detail"].startswith("This token has expired")
    late = Client(daemon, "token-of-late-0123456789")
    assert late.ask("status")[0] == 200
    soon_client.close()
    late.close()


# --- feature codes, from the simulated switch ------------------------------------------------------------------------


def test_a_code_is_served_by_the_phone_of_the_agents_domain_alone(sim: Sim, daemon: Process) -> None:
    """Every code: from the own phone yes; from the other domain's, from a stranger, and from who lies no."""
    others = ({"user": f"{AGENT}@other.example"}, {"user": f"{AGENT}@other.example", "realm": "127.0.0.1"})
    # A stranger does not even reach the daemon.
    for code, who in itertools.product(CODES, (*others, {})):
        sim.tell(call={"number": AGENT, "destination": code, "context": "default", **who})
    await_true(lambda: sim.tell(fault="none")["legs"] == 0, "all of them have heard their tones")
    assert daemon.said("feature code refused"), "one line for all"
    assert daemon.agent() == "logged_out"
    for served, code in enumerate(CODES[:-1], start=1):
        sim.tell(call={"number": AGENT, "destination": code, "context": "default", "user": AGENT, "realm": "lie"})
        if code == "*32":
            await_true(lambda: daemon.agent() == "logged_out", "the agent is logged out")
            sim.tell(call={"number": AGENT, "destination": "*31", "context": "default", "user": AGENT})
            await_true(lambda: daemon.agent() != "logged_out", "and logged in again, which the log need not repeat")
        await_true(lambda: daemon.said("feature code", served), code)  # noqa: B023 - at once
    assert daemon.agent() == "not_ready"
    whys = {line["why"] for line in daemon.lines() if line.get("event") == "feature code refused"}
    assert len(whys) == 1
    assert whys.pop().startswith("the phone authenticated in the domain other.example")
