"""The doors under pressure: counted in connections and answers, never in seconds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import gevent
import pytest

from fsacd.core.show.look import Look
from fsacd.desk.rights import Role
from tests.http.rig import FakeDaemon, Rig, daemon_status, receive_all, serve

LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
STATUS = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
KNOWN = STATUS.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer secret-of-read\r\n\r\n")
LIMIT = 32


class Counting(FakeDaemon):
    """Counts how often the application looked at it."""

    looks = 0

    def look(self) -> Look:
        self.looks += 1
        return super().look()


@contextmanager
def connections(rig: Rig, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections that have sent this and nothing more."""
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            sock = stack.enter_context(rig.connect())
            sock.sendall(sent)
            found.append(sock)
        yield found


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])


def everybody_is_served(rig: Rig) -> None:
    """Known tokens and health, over new connections."""
    assert rig.get("/api/v1/status", Role.READ).status == 200
    assert rig.get("/livez", None).status == 200
    assert rig.get("/readyz", None).status == 200
    assert rig.get("/metrics", None).status == 200


def test_idle_connections_close_nothing() -> None:
    """Three times as many as there are places, none of which says anything: everybody else is served."""
    with serve(connection_limit=LIMIT) as rig, connections(rig, 3 * LIMIT):
        everybody_is_served(rig)
        assert rig.server.connections <= LIMIT


def test_slow_connections_close_nothing() -> None:
    """As many as there are places, each in the middle of a request: the next stranger is told to come again."""
    with serve(connection_limit=LIMIT) as rig, connections(rig, LIMIT, b"GET /api") as slow:
        everybody_is_served(rig)
        refused = [status_of(sock.recv(2_000)) for sock in slow if has_answer(sock)]
    assert set(refused) == {503}
    assert len(refused) >= LIMIT - LIMIT // 4


def has_answer(sock: socket.socket) -> bool:
    sock.settimeout(0.05)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


def test_the_refusal_says_when_to_come_again() -> None:
    """503 with Retry-After, a problem document, and the end of the connection."""
    with serve(connection_limit=LIMIT, per_address=1) as rig, connections(rig, 1, b"GET /api"), rig.connect() as sock:
        await_places(rig, 1)
        sock.sendall(STATUS)
        head, _, body = receive_all(sock).partition(b"\r\n\r\n")
    assert status_of(head) == 503
    assert b"\r\nRetry-After: 1\r\n" in head
    assert b"urn:fsacd:problem:connections" in body


def await_places(rig: Rig, count: int) -> None:
    with gevent.Timeout(10):
        while rig.server.connections < count:
            gevent.sleep(0.01)


def test_accepting_never_stops() -> None:
    """Idle, slow and flooding strangers at once, ten times over: each new one is accepted and gets its answer."""
    with serve(connection_limit=LIMIT, rate=0.001, burst=5.0) as rig:
        with connections(rig, 3 * LIMIT), connections(rig, LIMIT, b"GET /api"):
            found = [exchange(rig, STATUS) for _ in range(10 * LIMIT)]
            everybody_is_served(rig)
        assert set(found) <= {401, 429, 503}


def exchange(rig: Rig, sent: bytes) -> int:
    with rig.connect() as sock:
        sock.sendall(sent.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return status_of(receive_all(sock))


def test_a_known_connection_outlives_a_flood() -> None:
    """A connection that has shown a token and is idle stays when strangers take all that they can get."""
    with serve(connection_limit=LIMIT) as rig, rig.connect() as known:
        known.sendall(KNOWN)
        assert status_of(known.recv(65_536)) == 200
        with connections(rig, 3 * LIMIT), connections(rig, 2 * LIMIT, LIVE), connections(rig, LIMIT, b"GET /api"):
            known.sendall(KNOWN)
            assert status_of(known.recv(65_536)) == 200


def test_the_longest_idle_stranger_makes_room_for_the_next() -> None:
    """Strangers who have had an answer and stay are sent away in the order in which they had it."""
    with serve(connection_limit=LIMIT) as rig, connections(rig, LIMIT // 8, LIVE) as idle:
        assert [status_of(sock.recv(2_000)) for sock in idle] == [200] * (LIMIT // 8)
        assert exchange(rig, STATUS) == 401
        assert idle[0].recv(1) == b""
        idle[1].sendall(LIVE)
        assert status_of(idle[1].recv(2_000)) == 200


def test_who_says_nothing_is_let_go_soon() -> None:
    """A connection without a first byte ends at its deadline, without a word."""
    with serve(first_byte_s=0.1, idle_s=60.0) as rig, rig.connect() as sock:
        assert receive_all(sock) == b""
        assert rig.server.connections == 0


def test_a_flood_without_a_token_never_reaches_the_application() -> None:
    """Beyond the burst each is refused at the door; a known token and another crowd are served all the while."""
    daemon = Counting()
    with serve(daemon, rate=0.001, burst=5.0) as rig:
        found = [rig.get("/api/v1/status", None).status for _ in range(60)]
        assert found == [401] * 5 + [429] * 55
        guessed = [rig.ask("GET", "/metrics", None, headers={"Authorization": "Bearer x"}).status for _ in range(60)]
        assert guessed == [200] * 5 + [429] * 55
        assert daemon.looks == 0
        assert [rig.get("/api/v1/status", Role.READ).status for _ in range(5)] == [200] * 5
        assert rig.get("/metrics", None).status == 200


def test_a_token_that_floods_is_refused_at_the_door() -> None:
    """Its own bucket, and nobody else's; health is answered to it all the same."""
    daemon = Counting()
    with serve(daemon, rate=0.001, burst=5.0) as rig:
        found = [rig.get("/api/v1/status", Role.READ).status for _ in range(20)]
        assert found == [200] * 5 + [429] * 15
        assert daemon.looks == 5
        assert [rig.get("/livez", Role.READ).status for _ in range(20)] == [200] * 20
        assert rig.get("/api/v1/status", Role.ADMIN).status == 200


@pytest.mark.parametrize(
    ("failure", "path", "status", "document"),
    [
        ("", "/livez", 200, {"live": True}),
        ("KeyError: '+493012345678'", "/livez", 503, {"live": False}),
        ("", "/readyz", 200, {"ready": True, "reasons": [], "degraded": []}),
    ],
)
def test_health_is_answered_however_often_it_is_asked(
    failure: str, path: str, status: int, document: dict[str, object]
) -> None:
    """Beyond the burst the door itself answers, with what the application would have said, and the end."""
    daemon = Counting(state=daemon_status(failure=failure))
    with serve(daemon, rate=0.001, burst=2.0) as rig:
        replies = [rig.get(path, None) for _ in range(30)]
        head = rig.ask("HEAD", path, None)
    assert {reply.status for reply in replies} == {status}
    assert all(reply.json == document for reply in replies)
    assert (head.status, head.body) == (status, b"")
    assert {reply.headers["content-type"] for reply in replies} == {"application/json"}
    assert {reply.headers["cache-control"] for reply in replies} == {"no-store"}
    assert sum("date" in reply.headers for reply in replies) == 2  # what comes from the server has one


def test_health_for_a_foreign_name_is_no_way_in() -> None:
    """Who asks for health under a name that is not ours is a stranger like others."""
    with serve(rate=0.001, burst=2.0) as rig:
        found = [rig.get("/livez", None, Host="evil.example").status for _ in range(6)]
        assert rig.get("/livez", None).status == 200
    assert found == [421] * 2 + [429] * 4


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"PUT /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET /api/v1/status HTTP/1.1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"OPTIONS /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 204),
    ],
)
def test_no_way_of_asking_escapes_the_rate(sent: bytes, status: int) -> None:
    """What never comes as far as a route is counted all the same."""
    with serve(rate=0.001, burst=5.0) as rig:
        found = [exchange(rig, sent) for _ in range(20)]
        everybody_is_served(rig)
    assert found == [status] * 5 + [429] * 15


def test_one_connection_cannot_flood_either() -> None:
    """After the answer that it asks too often, or has asked for health too often, the connection ends."""
    with serve(rate=0.001, burst=3.0) as rig:
        with rig.connect() as sock:
            sock.sendall(STATUS * 50)
            answers = receive_all(sock)
        assert [answers.count(b"HTTP/1.1 %d " % status) for status in (401, 429)] == [3, 1]
        with rig.connect() as sock:
            sock.sendall(LIVE * 50)
            assert receive_all(sock).count(b"HTTP/1.1 200 OK") == 4


def test_who_is_sent_away_in_the_middle_of_a_request_is_told() -> None:
    """A slow stranger who makes room for a known token gets 503, not silence."""
    with serve(connection_limit=16) as rig, connections(rig, 1, b"GET /api") as slow:
        await_places(rig, 1)
        with connections(rig, 12, KNOWN) as known:
            assert [status_of(sock.recv(65_536)) for sock in known] == [200] * 12
            assert status_of(receive_all(slow[0])) == 503


def test_after_a_stop_those_who_said_nothing_are_gone() -> None:
    """Stopping ends them, too, at once."""
    with serve() as rig, connections(rig, 5) as silent:
        await_places(rig, 5)
        rig.server.stop(grace_s=0.1)
        assert [sock.recv(1) for sock in silent] == [b""] * 5
