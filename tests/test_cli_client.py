"""The client against servers that do not behave."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest

from fsacd.cli.client import Client, NotReachable
from fsacd.cli.main import main
from fsacd.errors import Refused

HINT = "is it running, and is --url right?"


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that behaves as told on each connection; gives its URL."""

    def accept(listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65_536)
                try:
                    behave(sock)
                except OSError:  # the client has gone, as it should
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = gevent.spawn(accept, listener)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            serving.kill()


def sends(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda sock: sock.sendall(answer)


def silence(_: socket.socket) -> None:
    gevent.sleep(30)


def trickle_headers(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(1_000):
        sock.sendall(b"a")
        gevent.sleep(0.02)


def trickle_body(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(1_000):
        sock.sendall(b" ")
        gevent.sleep(0.02)


@pytest.mark.parametrize("behave", [silence, trickle_headers, trickle_body])
def test_the_deadline_holds_whatever_the_server_does(behave: Callable[[socket.socket], None]) -> None:
    """A server that says nothing, or a byte now and then, is given up at the deadline."""
    with server(behave) as url, gevent.Timeout(10), pytest.raises(NotReachable) as caught:
        Client(url, deadline_s=0.3).get("status")
    assert str(caught.value) == f"fsacd is not reachable at {url}: no answer within 0.3 s; {HINT}"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "the connection was cut"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "the connection was cut"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6"),
    ],
)
def test_a_broken_answer_is_not_reachable(answer: bytes, why: str) -> None:
    """Half an answer, and another protocol, are told as what they are."""
    with server(sends(answer)) as url, pytest.raises(NotReachable) as caught:
        Client(url).get("status")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"<html>hello</html>", b"[]", b"{", b"\xff"],
)
def test_another_program_is_recognised(body: bytes) -> None:
    """An answer that is no JSON object does not come from fsacd."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with server(sends(answer)) as url, pytest.raises(NotReachable) as caught:
        Client(url).get("status")
    assert str(caught.value) == f"{url} answered with status 200, but not as fsacd does; is --url right?"


def test_a_problem_without_a_detail_still_makes_a_sentence() -> None:
    """A proxy's error document is a refusal."""
    answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n{}"
    with server(sends(answer)) as url, pytest.raises(Refused) as caught:
        Client(url).get("status")
    assert str(caught.value) == "The daemon refused with status 502."


def test_nobody_listening_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence on standard error says where was looked, and what to check."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert main(["status", "--url", url]) == 3
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"fsacd: fsacd is not reachable at {url}: nothing listens there; {HINT}\n")


def test_a_name_is_quoted_into_the_path() -> None:
    """What a person types as an id stays one part of the path."""
    seen: list[bytes] = []

    def record(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            sock, _ = listener.accept()
            with sock:
                seen.append(sock.recv(65_536))
                record(sock)

        serving = gevent.spawn(accept)
        Client(f"http://127.0.0.1:{listener.getsockname()[1]}/base/").get("agents", "a/../b?c#d e\r\n")
        serving.join(5)
    assert seen[0].split(b"\r\n")[0] == b"GET /base/api/v1/agents/a%2F..%2Fb%3Fc%23d%20e%0D%0A HTTP/1.1"


def refusing(times: int, wait_s: float) -> Callable[[socket.socket], None]:
    """A daemon that has no time for the first requests."""
    asked = iter(range(times))

    def behave(sock: socket.socket) -> None:
        busy = b'{"detail":"Too many requests; wait before asking again.","retry_after_seconds":%g}' % wait_s
        status, body = (b"429 Too Many Requests", busy) if next(asked, None) is not None else (b"200 OK", b'{"a":1}')
        sock.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    return behave


def test_who_is_told_to_wait_waits() -> None:
    """Long lists count as many requests; a command that asks for several goes on by itself."""
    with server(refusing(2, 0.01)) as url:
        assert Client(url, deadline_s=60.0).get("agents") == {"a": 1}


def test_nobody_waits_beyond_their_deadline() -> None:
    """The refusal is told when the wait is too long."""
    with server(refusing(2, 1_000.0)) as url, pytest.raises(Refused, match="Too many requests"):
        Client(url, deadline_s=60.0).get("agents")
