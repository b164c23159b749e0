"""A scripted Event Socket for tests of one connection: it says exactly the bytes it is told to, also wrong ones."""

from __future__ import annotations

import socket as plain_socket
from collections.abc import Callable
from typing import Self

import gevent
import gevent.socket
from gevent.event import Event

AUTH_REQUEST = b"Content-Type: auth/request\n\n"
ACCEPTED = b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
NOTICE = b"Content-Type: text/disconnect-notice\nContent-Length: 10\n\nGood bye.\n"


def reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def response(body: bytes) -> bytes:
    return b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body)


def event(body: str | bytes) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    return b"Content-Length: %d\nContent-Type: text/event-json\n\n%s" % (len(data), data)


class Peer:
    """The switch's end of one connection."""

    def __init__(self, sock: gevent.socket.socket) -> None:
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)  # as FreeSWITCH does
        self.sock = sock
        self._heard = bytearray()

    def say(self, *data: bytes) -> Self:
        self.sock.sendall(b"".join(data))
        return self

    def hear(self) -> bytes:
        """The next command; empty at the end of the stream. Bare newlines are dropped, as FreeSWITCH does."""
        searched = 0
        while True:
            while self._heard.startswith(b"\n"):
                del self._heard[:1]
            end = self._heard.find(b"\n\n", searched)
            if end >= 0:
                command = bytes(self._heard[:end])
                del self._heard[: end + 2]
                return command
            searched = max(0, len(self._heard) - 1)
            data = self.sock.recv(65536)
            if not data:
                return b""
            self._heard += data

    def log_in(self) -> Self:
        self.say(AUTH_REQUEST)
        self.hear()
        return self.say(ACCEPTED)

    def answer_all(self) -> Self:
        """Answer every command with its own text, until the client goes."""
        while command := self.hear():
            self.say(response(command))
        return self

    def wait_for_the_end(self) -> Self:
        """Read nothing, say nothing; the test's end ends it."""
        Event().wait(60)
        return self

    def close(self) -> Self:
        self.sock.close()
        return self

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        linger = b"\x01\0\0\0\0\0\0\0"
        self.sock.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_LINGER, linger)
        self.sock.close()


class FakeSwitch:
    """Runs the script once per connection, in a greenlet of its own."""

    def __init__(self, script: Callable[[Peer], object]) -> None:
        self._script = script
        self._listener = gevent.socket.socket()
        # Small, so that a client that is not read from notices it soon.
        self._listener.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_RCVBUF, 64 * 1024)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(5)
        self.host, self.port = self._listener.getsockname()
        self.peers: list[Peer] = []
        self.connected = Event()
        self._greenlets: list[gevent.Greenlet] = []
        self._acceptor: gevent.Greenlet | None = None

    def __enter__(self) -> Self:
        self._acceptor = gevent.spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._acceptor is not None
        self._acceptor.kill()
        gevent.killall(self._greenlets)
        self._listener.close()
        for peer in self.peers:
            peer.close()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            peer = Peer(sock)
            self.peers.append(peer)
            self.connected.set()
            self._greenlets.append(gevent.spawn(self._run, peer))

    def _run(self, peer: Peer) -> None:
        try:
            self._script(peer)
        except OSError:
            # The client has gone, which is what many scripts are about.
            return


def named(name: str, **headers: str) -> bytes:
    """An event with this name."""
    pairs = "".join(f',"{key}":"{value}"' for key, value in headers.items())
    return event(f'{{"Event-Name":"{name}"{pairs}}}')


def until(condition: Callable[[], object], deadline_s: float = 30.0) -> None:
    """Wait for a condition, with a deadline that is never met by a healthy run."""
    with gevent.Timeout(deadline_s, AssertionError("the condition did not come true in time")):
        while not condition():
            gevent.sleep(0.001)
