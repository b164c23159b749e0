"""A daemon that is all data, served over real HTTP on a port of the kernel's choosing."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
from structlog.testing import capture_logs

from fsacd.caller.customers import Change, Imported, ImportRow, Page, Record, Search, Settings
from fsacd.caller.own_fields import FieldType
from fsacd.core.events import Leg
from fsacd.core.rules import Service
from fsacd.core.show.feed import Feed
from fsacd.core.show.look import Look
from fsacd.core.views import (
    AgentView,
    CallView,
    Explanation,
    QueueView,
    RankedAgent,
    Rejected,
    Snapshot,
    WhyNot,
)
from fsacd.desk.rights import EVERYWHERE, Places, Principal, Role, Scope, Wish, may_ask
from fsacd.errors import Forbidden, Refused
from fsacd.http import health
from fsacd.http.access import Access, Token
from fsacd.http.api import (
    ApiSettings,
    CustomerDesk,
    DaemonStatus,
    ReloadStatus,
    StoredExplanations,
    StoreStatus,
    SwitchStatus,
)
from fsacd.http.app import make_app
from fsacd.http.customer_forms import Terms
from fsacd.http.server import ApiServer
from tests.http.shown import Shown

# The engine's clock reads 1,000,000 ms at noon on the first of March 2026.
NOW_MS = 1_000_000
NOON_MS = 1_772_366_400_000

# The token of the role agent is bound to 1001.
OWN = Scope(agents=frozenset({"1001"}))
TOKENS = tuple(
    Token.of(role.value, role, f"secret-of-{role.value}", OWN if role is Role.AGENT else EVERYWHERE) for role in Role
)
SETTINGS = ApiSettings(port=0, tokens=TOKENS, rate=10_000.0, burst=10_000.0)


def call_view(call_id: str, **changes: Any) -> CallView:
    """A call that has waited for 12.5 s."""
    view = CallView(
        call_id=call_id,
        queue="support",
        state="waiting",
        position=1,
        priority=2,
        arrived_ms=NOW_MS - 12_500,
        waited_ms=12_500,
        talked_ms=0,
        number="+493012345678",
        name="Bob",
        customer="c-1",
        required=(("german", 3),),
        agent_ids=(),
        offers=0,
        leg=Leg("fs1", "aaaaaaaa-0000-4000-8000-000000000001"),
    )
    return replace(view, **changes)


def agent_view(agent_id: str, **changes: Any) -> AgentView:
    """An agent who has been ready for a minute."""
    view = AgentView(
        agent_id=agent_id,
        name="Anna",
        state="ready",
        reason="",
        since_ms=NOW_MS - 60_000,
        until_ms=None,
        then="",
        contact=f"user/{agent_id}",
        queues=(("support", Service(rank=2, delay_ms=20_000)),),
        skills=(("german", 8),),
        call_id=None,
        presence="ready",
        presence_since_ms=NOW_MS - 60_000,
        room=100,
    )
    return replace(view, **changes)


def queue_view(name: str, **changes: Any) -> QueueView:
    """A queue in which one caller waits."""
    view = QueueView(
        name=name,
        waiting=1,
        offered=0,
        talking=0,
        oldest_wait_ms=12_500,
        agents_logged_in=2,
        agents_ready=1,
        answered=7,
        abandoned=3,
        estimated_wait_ms=90_000,
    )
    return replace(view, **changes)


def explanation(number: int | None = 812, **changes: Any) -> Explanation:
    """Why 1001 was chosen five seconds ago, before 1004, and not 1002 or 1003."""
    told = Explanation(
        call_id="c0ffee00-0000-4000-8000-000000000001",
        queue="support",
        at_ms=NOW_MS - 5_000,
        decision=number,
        chosen=None if number is None else "1001",
        strategy="longest_idle",
        required=(("german", 3),),
        priority=2,
        waited_ms=7_500,
        eligible=(RankedAgent("1001", 0, 1, 8, (940_000,)), RankedAgent("1004", 1, 1, 8, (900_000.5, float("-inf")))),
        rejected=(Rejected("1002", WhyNot.TALKING, "c0ffee11"), Rejected("1003", WhyNot.SKILL, "german 2, needs 3")),
        sentence="1001 was chosen of 2: they have not missed the call.",
    )
    return replace(told, **changes)


def snapshot(**changes: Any) -> Snapshot:
    """Two queues, two agents, two calls."""
    whole = Snapshot(
        now_ms=NOW_MS,
        calls=(
            call_view("c0ffee00-0000-4000-8000-000000000001"),
            call_view("c0ffee11-0000-4000-8000-000000000002", queue="sales", state="talking", agent_ids=("1002",)),
        ),
        agents=(agent_view("1001"), agent_view("1002", state="talking", queues=(("sales", Service()),))),
        queues=(queue_view("support"), queue_view("sales", waiting=0, oldest_wait_ms=None)),
        offers=(),
        switches=(("fs1", True),),
    )
    return replace(whole, **changes)


def daemon_status(**changes: Any) -> DaemonStatus:
    """A daemon that has run for an hour, in sync with its only switch."""
    whole = DaemonStatus(
        instance="main",
        version="1.2.3",
        started_ms=NOON_MS - 3_600_000,
        configured_ms=NOON_MS - 3_600_000,
        switches=(SwitchStatus("fs1", connected=True, since_ms=NOON_MS - 3_599_000, event_lag_ms=2.5),),
        store=StoreStatus(configured=True, connected=True),
    )
    return replace(whole, **changes)


@dataclass
class FakeDaemon:
    """Holds what it shows, keeps what it was asked, and says no when told to."""

    shown: Snapshot = field(default_factory=snapshot)
    state: DaemonStatus = field(default_factory=daemon_status)
    asked: list[Wish] = field(default_factory=list)
    answer: Callable[[Wish], None] = lambda _: None
    allowed_contacts: tuple[str, ...] = ()
    resyncs: Callable[[], str] = lambda: "comparing with fs1"
    reloads: Callable[[], str] = lambda: "The configuration was reloaded: 2 queues, 2 agents."
    explanations: tuple[Explanation, ...] = (explanation(),)
    # The last reload, whether the first answer comes before its end, and how often it was asked for since.
    ended: ReloadStatus = field(default_factory=lambda: ReloadStatus(7, "signal", NOON_MS))
    takes_long: bool = False
    looks: int = 0

    def ask(self, wish: Wish, principal: Principal) -> None:
        places = Places({agent.agent_id: agent.contact for agent in self.shown.agents}, self.allowed_contacts)
        refusal = may_ask(principal, wish, places, lambda _: "support", NOON_MS / 1000)
        if refusal is not None:
            raise Forbidden(refusal)
        self.asked.append(wish)
        self.answer(wish)

    def look(self) -> Look:
        return Shown(self.shown)

    def changes(self) -> Feed | None:
        return None

    def explain(self, call_id: str) -> tuple[Explanation, ...]:
        return tuple(told for told in self.explanations if told.call_id == call_id)

    def wall_ms(self, engine_ms: int) -> int:
        return engine_ms - NOW_MS + NOON_MS

    def reload(self, _principal: Principal, *, dry_run: bool = False, even_so: bool = False) -> str:
        self.asked_to_reload = (dry_run, even_so)
        return self.reloads()

    def begin_reload(
        self, principal: Principal, *, dry_run: bool = False, even_so: bool = False, within_s: float = 0
    ) -> ReloadStatus:
        self.waited_s = within_s
        begun = ReloadStatus(7, principal.subject, NOON_MS, dry_run=dry_run, began_ms=NOON_MS, ended_ms=NOON_MS + 2_000)
        try:
            said = self.reload(principal, dry_run=dry_run, even_so=even_so)
            self.ended = replace(begun, result="in_force", message=said)
        except Refused as refused:
            self.ended = replace(begun, result="refused", message=str(refused), problems=refused.problems)
        if self.takes_long:
            return replace(self.ended, result="running", message="", problems=(), ended_ms=None)
        return self.ended

    def reload_of(self, number: int) -> ReloadStatus | None:
        if number != self.ended.number:
            return None
        self.looks += 1
        running = self.looks < 2
        return replace(self.ended, result="running", message="", problems=()) if running else self.ended

    def resync(self, _principal: Principal) -> str:
        return self.resyncs()

    def status(self) -> DaemonStatus:
        return self.state

    def refuse(self, sentence: str, *problems: str) -> None:
        """Refuse everything from now on."""

        def no(_: object = None) -> str:
            raise Refused(sentence, problems)

        self.answer = no  # type: ignore[assignment]  # the answer's value is not used
        self.reloads = no
        self.resyncs = no


@dataclass
class FakeBook:
    """One customer, c1, and what was asked about customers."""

    record: Record = field(
        default_factory=lambda: Record(
            1, ("+4930111",), Settings("ACME"), {"contract": "K-1"}, "2026-03-01T12:00:00Z", "cli:root"
        )
    )
    asked: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    wrong: Exception | None = None

    def _answer(self, what: str, customer_id: int = 1) -> Record:
        self.asked.append(what)
        if self.wrong is not None:
            raise self.wrong
        if customer_id != 1:
            raise KeyError(customer_id)
        return self.record

    def show(self, customer_id: int) -> Record:
        return self._answer("show", customer_id)

    def search(self, wanted: Search) -> Page:
        return Page((self._answer(f"search {wanted}"),))

    def create(self, wanted: Change, by: str) -> Record:
        return self._answer(f"create {wanted.numbers} by {by}")

    def change(self, customer_id: int, wanted: Change, by: str) -> Record:
        self.changes.append(wanted)
        return self._answer(f"change by {by}", customer_id)

    def delete(self, customer_id: int, by: str) -> Record:
        return self._answer(f"delete by {by}", customer_id)

    def merge(self, kept_id: int, gone_id: int, by: str) -> tuple[Record, str]:
        return self._answer(f"merge c{gone_id} by {by}", kept_id), ""

    def take(self, rows: Sequence[ImportRow], by: str, *, dry_run: bool) -> Imported:
        self._answer(f"take {len(rows)} by {by}{' dry' if dry_run else ''}")
        return Imported(added=len(rows), owners=(None,) * len(rows))


TERMS = Terms(
    {"contract": FieldType.TEXT, "since": FieldType.DATE}, frozenset({"german", "french"}), frozenset({"1001", "1002"})
)


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Rig:
    """A served fake and a client for it."""

    daemon: FakeDaemon
    server: ApiServer
    logs: list[MutableMapping[str, Any]]

    def ask(
        self,
        method: str,
        path: str,
        role: Role | None = Role.ADMIN,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own; `body` is sent as JSON unless it is bytes."""
        sent = {} if role is None else {"Authorization": f"Bearer secret-of-{role.value}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.server.address, timeout=10)
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, role: Role | None = Role.ADMIN, **headers: str) -> Reply:
        return self.ask("GET", path, role, headers=headers)

    def post(self, path: str, body: object = None, role: Role | None = Role.ADMIN) -> Reply:
        return self.ask("POST", path, role, body)

    def connect(self) -> socket.socket:
        """A bare connection, for what no decent client sends."""
        return socket.create_connection(self.server.address, timeout=10)


@contextmanager
def serve(
    daemon: FakeDaemon | None = None,
    stored: StoredExplanations | None = None,
    access: Access | None = None,
    customers: CustomerDesk | None = None,
    **settings: Any,
) -> Iterator[Rig]:
    """Serve a fake daemon until the block ends; it is noon there for ever.

    `stored` is what its database holds, None: it has none. `customers`: whom it knows.
    """
    chosen = replace(SETTINGS, **settings)
    fake = daemon or FakeDaemon()
    if access is None:
        access = Access(chosen.tokens, rate=chosen.rate, burst=chosen.burst, clock=time.monotonic)
    text = b"fsacd_up 1\n", "text/plain; version=0.0.4"
    app = make_app(
        fake, chosen, lambda: text, wall=lambda: NOON_MS / 1000, explanations=stored, access=access, customers=customers
    )
    server = ApiServer(app, chosen, access, lambda path: health.page(fake.status(), path))
    server.start()
    try:
        with gevent.Timeout(30), capture_logs() as logs:
            yield Rig(fake, server, logs)
    finally:
        server.stop(grace_s=0.1)


def receive_all(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    while part := sock.recv(65_536):
        parts.append(part)
    return b"".join(parts)
