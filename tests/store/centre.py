"""A centre whose database a test may take away: an engine, a runtime, the store, and callers who come and go."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import gevent
import gevent.socket
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fsacd.core.commands import CancelOffer, Command, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.events import AgentLoggedIn, CallerGone, CallQueued, Leg, OfferEnd, OfferEnded, SwitchConnected
from fsacd.core.rules import AgentRules, QueueRules, Rules, Service
from fsacd.plugins import Catalogue
from fsacd.runtime.loop import Runtime
from fsacd.store.embedded import EmbeddedPostgres
from fsacd.store.postgres import Store
from fsacd.store.settings import StoreSettings
from tests.store.rig import await_true, rows

# The database's own patience is so long that a test which waited for it would not end in its time.
PATIENCE_MS = 300_000
STEPS = 300


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server that a test may stop, freeze and kill; each test leaves it running."""
    with tempfile.TemporaryDirectory(prefix="fsacd-f-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with EmbeddedPostgres(Path(place) / "pg", durable=False) as running:
            yield running


@pytest.fixture
def dsn(server: EmbeddedPostgres, request: pytest.FixtureRequest) -> str:
    name = "t" + str(abs(hash(request.node.name)))
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.dsn_of(name)


class Centre:
    """A runtime with an engine and the store behind it; each call rings the one agent, and its caller hangs up."""

    def __init__(self, dsn: str, spool: Path, timeout_ms: int = PATIENCE_MS) -> None:
        self.settings = StoreSettings(
            dsn, retry_min_ms=10, retry_max_ms=50, statement_timeout_ms=timeout_ms, spool=spool, queue_limit=200
        )
        rules = Rules(
            {"support": QueueRules("support")},
            {"anna": AgentRules("anna", contact="user/anna", switch="fs1", queues={"support": Service()})},
        )
        self.runtime = Runtime(Engine(rules, Catalogue.load([])[0]))
        self.store = Store(self.settings, self.runtime.wall_ms)
        self.rung = 0
        self.calls = 0
        self.runtime.set_sender(self._send)
        self.runtime.add_sink(self.store.put)
        self.runtime.post(SwitchConnected("fs1"))
        self.runtime.post(AgentLoggedIn("anna", "test"))

    def _send(self, command: Command) -> None:
        if isinstance(command, RingAgent):
            self.rung += 1
        elif isinstance(command, CancelOffer):
            self.runtime.post(OfferEnded(command.offer_id, OfferEnd.CANCELLED))

    def go_on(self, steps: int = STEPS) -> None:
        """Calls come, are offered at once, and go; other greenlets run in between."""
        rung = self.rung
        for _ in range(steps):
            call_id = f"c{self.calls}"
            self.calls += 1
            leg = Leg("fs1", f"u{call_id}")
            self.runtime.post(CallQueued(call_id, "support", 0, leg=leg, number="+491"))
            self.runtime.post(CallerGone(call_id, "ORIGINATOR_CANCEL"))
            gevent.sleep(0)
        assert self.rung - rung == steps


@contextmanager
def centre(dsn: str, spool: Path, timeout_ms: int = PATIENCE_MS) -> Iterator[Centre]:
    made = Centre(dsn, spool, timeout_ms)
    made.store.start()
    made.go_on(10)
    await_true(lambda: made.store.state().queued == 0 and made.store.state().written > 0)
    try:
        yield made
    finally:
        made.runtime.stop()
        made.store.stop(0)


def arrived(made: Centre) -> None:
    """Every call's record is there, once, and so is that of its visit."""
    await_true(lambda: made.store.state().queued == 0)
    assert rows(made.settings.dsn, "SELECT count(*), count(DISTINCT call_id) FROM calls") == [(made.calls, made.calls)]
    visits = "SELECT count(*), count(DISTINCT call_id), max(n) FROM visits"
    assert rows(made.settings.dsn, visits) == [(made.calls, made.calls, 1)]
    state = made.store.state()
    assert (state.dropped, state.refused, state.unspooled, state.corrupt) == (0, 0, 0, 0)


class Line:
    """The way to a database, by which a commit may get lost (the first one itself, or the word that it was done).

    What is lost is lost without a sign: neither side ever hears that the connection is dead.
    """

    SOCKET: Final = ".s.PGSQL.5432"

    def __init__(self, dsn: str, place: Path, lost: str) -> None:
        known = conninfo_to_dict(dsn)
        self.dsn = make_conninfo(dsn, host=str(place))
        self._there = f"{known['host']}/{self.SOCKET}"
        self._lost = lost
        self._dead: set[gevent.socket.socket] = set()
        self._open: list[gevent.socket.socket] = []
        self._listener = gevent.socket.socket(gevent.socket.AF_UNIX)
        self._listener.bind(os.fspath(place / self.SOCKET))
        self._listener.listen(5)
        self._workers = [gevent.spawn(self._accept)]
        self.is_armed = False
        self.commits_lost = 0
        self.delay_s = 0.0  # in each direction

    def stop(self) -> None:
        gevent.killall(self._workers)
        for sock in (self._listener, *self._open):
            sock.close()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = gevent.socket.socket(gevent.socket.AF_UNIX)
            far.connect(self._there)
            self._open += [near, far]
            self._workers += [gevent.spawn(self._carry, near, far), gevent.spawn(self._carry, far, near)]

    def _carry(self, source: gevent.socket.socket, target: gevent.socket.socket) -> None:
        with suppress(OSError):  # one of the two has gone
            self._carry_all(source, target)

    def _carry_all(self, source: gevent.socket.socket, target: gevent.socket.socket) -> None:
        while data := source.recv(65_536):
            if b"COMMIT" in data and b"INSERT" not in data and not self.commits_lost and self.is_armed:
                self.commits_lost += 1
                self._dead |= {source, target}
                if self._lost == "word":
                    target.sendall(data)
            gevent.sleep(self.delay_s)
            if source not in self._dead:
                target.sendall(data)
        if source not in self._dead:
            target.close()
