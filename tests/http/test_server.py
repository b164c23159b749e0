from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import Any

import gevent
import pytest

from fsacd.errors import FsacdError
from fsacd.http.app import make_app
from fsacd.http.server import ApiServer
from tests.http.rig import SETTINGS, FakeDaemon, Rig, agent_view, receive_all, serve, snapshot

LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def exchange(rig: Rig, sent: bytes) -> tuple[int, Any]:
    """Send bytes, read until the server closes: the status and the document."""
    with rig.connect() as sock:
        sock.sendall(sent)
        head, _, body = receive_all(sock).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"GET /livez\r\n", 400, "request"),
        (b"nonsense\r\n\r\n", 400, "request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "request"),
        (b"GET /livez HTTP/2.0\r\n\r\n", 400, "request"),
        (b"GET /livez HTTP/x\r\n\r\n", 400, "request"),
        (b"GET /livez HTTP/1\r\n\r\n", 400, "request"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "request"),
        (b"POST / HTTP/1.1\r\nContent-Length: abc\r\n\r\n", 400, "request"),
        (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nabcde", 400, "request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n0123456789", 400, "request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, "request"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length-required"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: x\r\n\r\n{}", 411, "length-required"),
        (b"POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\n{}", 400, "request"),
        (b"POST / HTTP/1.1\r\nno header\r\nContent-Length: 2\r\n\r\n{}", 400, "request"),
        (b"POST / HTTP/1.1\r\nX y: z\r\nHost: evil.example\r\n\r\n", 400, "request"),
        (b"POST / HTTP/1.1\r\nX: y\r\n Content-Length: 2\r\n\r\n{}", 400, "request"),
        (b"POST / HTTP/1.1\r\n Host: localhost\r\n\r\n", 400, "request"),
        (b"POST / HTTP/1.1\r\nX: y\rContent-Length: 2\r\n\r\n{}", 400, "request"),
        (b"POST / HTTP/1.1\r\nX: \x00\r\n\r\n", 400, "request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413, "body-size"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 400, "request"),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", 414, "path-size"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431, "header-size"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 5_000 + b"\r\n", 431, "header-size"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 150 + b"\r\n", 431, "header-size"),
    ],
)
def test_a_hostile_request_gets_a_problem_and_the_end(sent: bytes, status: int, kind: str) -> None:
    """Whatever breaks the rules of HTTP or a limit is answered with its reason, and the connection is closed."""
    with serve() as rig:
        found, problem = exchange(rig, sent)
        assert rig.get("/livez").status == 200
    assert (found, problem["type"]) == (status, f"urn:fsacd:problem:{kind}")


def test_a_body_over_the_limit_is_refused_even_while_it_is_sent() -> None:
    """The client that sends a megabyte can read why it was refused."""
    body = b"x" * 1_000_000
    with serve() as rig:
        reply = rig.ask("POST", "/api/v1/agents/1001/login", body=body)
    assert (reply.status, reply.json["type"]) == (413, "urn:fsacd:problem:body-size")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /liv",
        b"GET /livez HTTP/1.1\r\nHost: local",
        b"POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
    ],
)
def test_a_slow_client_is_given_up_after_the_deadline(sent: bytes) -> None:
    """A request that does not arrive whole in time ends with 408, wherever it stopped."""
    with serve(read_deadline_s=0.1) as rig:
        status, problem = exchange(rig, sent)
    assert (status, problem["detail"]) == (408, "The request did not arrive whole within 0.1 s.")


def test_a_client_that_trickles_does_not_stretch_the_deadline() -> None:
    """One byte now and then does not keep a request alive."""
    with serve(read_deadline_s=0.2) as rig, rig.connect() as sock:
        sender = gevent.spawn(trickle, sock)
        status = int(receive_all(sock).split()[1])
        sender.kill()
    assert status == 408


def trickle(sock: socket.socket) -> None:
    """Send header bytes for ever."""
    sock.sendall(b"GET /livez HTTP/1.1\r\nX: ")
    while True:
        gevent.sleep(0.02)
        try:
            sock.sendall(b"a")
        except OSError:  # closed, as it should be
            return


def test_a_body_that_ends_early_is_refused() -> None:
    """Fewer bytes than Content-Length said are not taken for the whole."""
    with serve() as rig, rig.connect() as sock:
        sock.sendall(b"POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{}")
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock).startswith(b"HTTP/1.1 400 ")


def test_a_connection_serves_one_request_after_another() -> None:
    """Keep-alive and pipelining work, each request with a deadline of its own."""
    with serve() as rig, rig.connect() as sock:
        sock.sendall(LIVE * 3 + LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert receive_all(sock).count(b"HTTP/1.1 200 OK") == 4


def test_an_idle_connection_is_closed_without_a_word() -> None:
    """Nobody asked, so nobody is answered."""
    with serve(idle_s=0.1) as rig, rig.connect() as sock:
        assert receive_all(sock) == b""


def test_waiting_for_the_next_request_is_not_slowness() -> None:
    """The deadline begins with the first byte of a request."""
    with serve(read_deadline_s=0.2) as rig, rig.connect() as sock:
        gevent.sleep(0.4)  # the point of the test is that this time does not count
        sock.sendall(LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert receive_all(sock).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_does_not_read_is_let_go() -> None:
    """An answer that nobody takes ends with the idle time, and the others are served meanwhile."""
    size = 20_000_000
    daemon = FakeDaemon(snapshot(agents=(agent_view("1001", name="x" * size),)))
    with serve(daemon, idle_s=0.3) as rig, rig.connect() as sock:
        head = b"GET /api/v1/agents/1001 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret-of-admin\r\n\r\n"
        sock.sendall(head)
        assert rig.get("/livez").status == 200
        with gevent.Timeout(10):
            while rig.server.connections:
                gevent.sleep(0.01)
        assert received_before_the_end(sock) < size


def received_before_the_end(sock: socket.socket) -> int:
    """How many bytes are there to read before the connection ends, in whichever way."""
    total = 0
    try:
        while part := sock.recv(1 << 20):
            total += len(part)
    except ConnectionResetError:
        return total
    return total


def test_expect_continue_is_answered() -> None:
    """A client that waits for leave to send its body gets it."""
    head = (
        b"POST /api/v1/agents/1001/ready HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret-of-admin\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with serve() as rig, rig.connect() as sock:
        sock.sendall(head)
        assert sock.recv(1_024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert receive_all(sock).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://localhost/livez", b"evil.example", 200),
        (b"HTTP://127.0.0.1:8090/livez?x=1", b"evil.example", 422),
        (b"http://evil.example/livez", b"localhost", 421),
        (b"http://localhost@evil.example/livez", b"localhost", 421),
        (b"http:///livez", b"localhost", 421),
        (b"http://localhost", b"localhost", 404),
        (b"ftp://localhost/livez", b"localhost", 400),
        (b"//localhost/livez", b"localhost", 404),
        (b"livez", b"localhost", 400),
        (b"*", b"localhost", 400),
    ],
)
def test_a_whole_url_as_target_overrides_the_host(target: bytes, host: bytes, status: int) -> None:
    """RFC 9112: the name in it is the one that counts, and must be ours as any other."""
    with serve() as rig:
        sent = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
        assert exchange(rig, sent)[0] == status


@pytest.mark.parametrize(
    "hosts", [b"", b"Host: localhost\r\nHost: evil.example\r\n", b"Host: localhost\r\nhost: localhost\r\n"]
)
def test_a_request_has_one_host(hosts: bytes) -> None:
    """None, or two, of which we and a proxy might each believe another one: 400."""
    with serve() as rig:
        status, problem = exchange(rig, b"GET /livez HTTP/1.1\r\n" + hosts + b"\r\n")
    assert (status, problem["detail"]) == (400, "The request needs one Host header.")


def test_a_taken_port_is_one_clear_sentence() -> None:
    """Starting on a port that another program has says which, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = ApiServer(make_app(FakeDaemon(), SETTINGS, lambda: (b"", "")), replace(SETTINGS, port=port))
        with pytest.raises(FsacdError) as caught:
            server.start()
    assert str(caught.value) == (
        f"The API cannot listen on 127.0.0.1:{port}: another program listens there; "
        "end it, or set api.listen to another port."
    )


def test_the_address_is_the_kernels_when_port_0_was_asked_for() -> None:
    """The URL that is printed can be used."""
    with serve() as rig:
        host, port = rig.server.address
        assert (host, rig.server.url) == ("127.0.0.1", f"http://127.0.0.1:{port}")
        assert port > 0


def test_after_a_stop_nobody_is_answered() -> None:
    """Stopping closes the address."""
    with serve() as rig:
        rig.server.stop(grace_s=0.1)
        with pytest.raises(ConnectionRefusedError):
            rig.connect()
