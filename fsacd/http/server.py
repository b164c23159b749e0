"""The HTTP server: gevent.pywsgi, made safe to leave alone.

pywsgi has no deadline for a request and no limit on its headers or its body; a client that sends one byte a minute
keeps it for ever. Here a request is read whole, within a deadline and within limits, before the application sees it.
When all its places are taken, pywsgi stops accepting, and further clients wait without an answer. Here a door stands
before the places (`door`), and accepting never stops. Chunked requests are refused: nobody needs them for bodies this
small, and they are where request smuggling lives.
"""

from __future__ import annotations

import _socket
import errno
import http.client
import io
import os
import re
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import gevent
import gevent.socket
import structlog
from gevent.pool import Pool
from gevent.pywsgi import Input, WSGIHandler, WSGIServer

from fsacd.errors import FsacdError
from fsacd.http.access import Access
from fsacd.http.api import ApiSettings
from fsacd.http.buckets import Crowd
from fsacd.http.door import Door, Pages
from fsacd.http.hosts import Hosts
from fsacd.http.places import Doing, Place, Places, Standing
from fsacd.http.problem import ProblemError

_log = structlog.get_logger("fsacd.http")

_LENGTH = re.compile(r"[0-9]{1,10}")
# RFC 9112's field line, and nothing of what older texts allowed: no blank before the colon, no folding, no lone CR.
_HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\x00]*\r?\n|\r?\n")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)((?:[/?].*)?)", re.IGNORECASE)
_REQUEST_LINE_LIMIT = 8_192
# The kernel's queue is only for moments in which the process stands still: at most `connection_limit` are accepted.
_BACKLOG = 1_024
_NO_ROUTE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.MISDIRECTED_REQUEST})
# How much is still read from a client whose request was refused, so that no reset loses the answer.
_LINGER_BYTES = 1 << 20
_LINGER_S = 1.0
# The operating system's socket, not the one with which gevent has replaced it.
_PlainSocket = _socket.socket


class _StrictHeaders:
    """A reader of header lines that refuses more than a limit, and any line that is not one.

    http.client allows 100 headers of 64 KiB each, and its parser takes a malformed line for the end of the headers: a
    Content-Length or Host behind it would be seen by a proxy and not by us, which is how requests are smuggled.
    """

    def __init__(self, source: io.BufferedReader, limit: int) -> None:
        self._source = source
        self._left = limit

    def readline(self, size: int = -1) -> bytes:
        line = self._source.readline(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise _headers_too_large()
        if line and not _HEADER_LINE.fullmatch(line):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "request", "A header of the request is malformed.")
        return line


def _headers_too_large() -> ProblemError:
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return ProblemError(status, "header-size", "The headers of the request are too large.")


class _Handler(WSGIHandler):  # type: ignore[misc]  # gevent has no types
    """One connection. Every request on it gets a deadline of its own."""

    server: _Server
    place: Place
    path: str
    _whole: bytes = b""
    _ends: bool = False
    _crowd: Crowd = Crowd.NAMELESS
    _refusal: ProblemError | None = None

    def handle_one_request(self) -> object:
        """Read one request within the deadline, answer it; None ends the connection."""
        settings = self.server.settings
        # The idle time limits waiting for the next request, and each send: a client that does not read is disconnected.
        self.socket.settimeout(settings.idle_s)
        try:
            if not self.rfile.peek(1):
                return None
        except (OSError, ValueError):  # gone, idle for too long, or closed by us
            return None
        self._turn(Doing.READING)
        self._refusal = None
        self._deadline = gevent.Timeout.start_new(settings.read_deadline_s)
        try:
            result: object = super().handle_one_request()
        except gevent.Timeout as timeout:
            if timeout is not self._deadline:
                raise
            detail = f"The request did not arrive whole within {settings.read_deadline_s:g} s."
            self._refusal = ProblemError(HTTPStatus.REQUEST_TIMEOUT, "slow-request", detail)
            result = ()
        finally:
            self._deadline.close()
        if not isinstance(result, tuple):
            self.server.door.rest(self.place)
            return result
        self._charge(Crowd.NAMELESS)
        self._refuse(self._refusal or ProblemError(HTTPStatus.BAD_REQUEST, "request", "This is not an HTTP request."))
        return None

    def read_requestline(self) -> str:
        """The first line. A longer one than the limit is refused here, with a body that says why."""
        line: str = super().read_requestline()
        if len(line) >= _REQUEST_LINE_LIMIT:
            self._refusal = ProblemError(HTTPStatus.REQUEST_URI_TOO_LONG, "path-size", "The path is too long.")
        return line

    def read_request(self, raw_requestline: str) -> bool:
        """Headers and body, within their limits. Raises ProblemError, which `_handle_client_error` keeps."""
        if len(raw_requestline.split()) != 3:  # noqa: PLR2004 - method, path and version; HTTP/0.9 had no version
            raise ProblemError(HTTPStatus.BAD_REQUEST, "request", "This is not an HTTP/1 request.")
        super().read_request(raw_requestline)
        if self.headers.get_all("transfer-encoding"):
            detail = "Send the body with a Content-Length, not in chunks."
            raise ProblemError(HTTPStatus.LENGTH_REQUIRED, "length-required", detail)
        lengths = self.headers.get_all("content-length") or ["0"]
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0].strip()):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "request", "The Content-Length is not one number.")
        length = int(lengths[0])
        limit = self.server.settings.body_limit
        if length > limit:
            detail = f"The body is larger than the limit of {limit} bytes."
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-size", detail)
        if length and self.headers.get("expect", "").lower() == "100-continue":
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._whole = self.rfile.read(length) if length else b""
        if len(self._whole) < length:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "request", "The body ended before its Content-Length.")
        self._check_target()
        self._deadline.close()
        self._show_who()
        return True

    def _check_target(self) -> None:
        """One Host, and a path. A whole URL in its place, as for a proxy, says the host and overrides the header."""
        hosts = self.headers.get_all("host") or []
        if len(hosts) > 1 or (not hosts and self.request_version != "HTTP/1.0"):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "request", "The request needs one Host header.")
        found = _ABSOLUTE.fullmatch(self.path)
        if found is not None:
            del self.headers["Host"]
            self.headers["Host"] = found[1]
            self.path = found[2] if found[2].startswith("/") else "/" + found[2]
        elif not self.path.startswith("/"):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "request", "The target of the request is not a path.")

    def _turn(self, doing: Doing) -> None:
        self.server.door.places.turn(self.place, doing, self.server.door.clock())

    def _show_who(self) -> None:
        """The request is complete: tell the door who sent it, and whether the connection goes on after the answer."""
        door = self.server.door
        authorization = self.headers.get("authorization")
        self._crowd = crowd = Crowd.of(self.path.partition("?")[0], authorization=authorization is not None)
        if door.access.identify(authorization) is not None:
            door.places.raise_to(self.place, Standing.KNOWN)
        elif crowd is Crowd.HEALTH and self.command in ("GET", "HEAD"):
            door.places.raise_to(self.place, Standing.HEALTH)
            # The application does not limit health. A client who asks too often has to pass the door again, where it is
            # cheap.
            self._ends = door.access.admit(None, crowd) > 0.0
        self._turn(Doing.ANSWERING)

    def _charge(self, crowd: Crowd) -> None:
        """Count a request that did not reach a route, where the others are counted."""
        if self.place.standing is not Standing.KNOWN:
            self.server.door.access.admit(None, Crowd.NAMELESS if crowd is Crowd.HEALTH else crowd)

    def finalize_headers(self) -> None:
        """Let the connection end with an answer about asking too often."""
        super().finalize_headers()
        if self.code in _NO_ROUTE:
            self._charge(self._crowd)
        if self._ends or self.code == HTTPStatus.TOO_MANY_REQUESTS:
            self.close_connection = True
            self.response_headers.append((b"Connection", b"close"))

    def MessageClass(self, *args: Any) -> object:  # noqa: N802 - pywsgi's name
        """The headers, each a proper one, and together within their limit."""
        return super().MessageClass(_StrictHeaders(args[0], self.server.settings.header_limit), *args[1:])

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment, with the body that has already been read."""
        environ: dict[str, Any] = super().get_environ()
        environ["wsgi.input"] = io.BytesIO(self._whole)
        environ.pop("HTTP_EXPECT", None)
        # pywsgi discards what the application left unread; from here there is nothing left on the wire.
        self.wsgi_input = Input(io.BytesIO(b""), 0)
        return environ

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        match ex:
            case ProblemError():
                self._refusal = ex
            case http.client.HTTPException():  # more than 100 headers, or one line of more than 64 KiB
                self._refusal = _headers_too_large()
            case _:  # pywsgi's own errors about the grammar; one sentence answers all of them
                self._refusal = None
        return ("", b"")

    def _refuse(self, problem: ProblemError) -> None:
        """Answer and end the connection, reading a little of what is still coming."""
        try:
            self.socket.sendall(problem.response())
            self.socket.shutdown(socket.SHUT_WR)
            with gevent.Timeout(_LINGER_S, False):
                left = _LINGER_BYTES
                while left > 0 and (data := self.socket.recv(65_536)):
                    left -= len(data)
        except OSError:
            # The client has gone without waiting for its answer, which is its right.
            return

    def log_request(self) -> None:
        """Nothing: actions are logged by the application, and reading happens many times a second."""

    def handle_error(self, t: type[BaseException], v: BaseException, _tb: object) -> None:
        """Handle an error that escaped from the application or from sending; the connection ends."""
        self.close_connection = True
        if issubclass(t, gevent.GreenletExit):  # we are being stopped: pywsgi would stay and send another answer
            raise v
        if issubclass(t, OSError):  # the client has gone, or does not read; there is nobody to tell
            return
        _log.error("the API's server failed at a request", exc_info=v)
        self._send_error_response_if_possible(500)


class _Server(WSGIServer):  # type: ignore[misc]  # gevent has no types
    """pywsgi's server with our settings on it, and a door before its handlers."""

    settings: ApiSettings
    door: Door
    _watcher: Any
    # How many are accepted at a time: they take about a millisecond, then calls get their turn, and calls go first.
    # With fewer, a slow loop would leave a flood in the kernel's queue.
    max_accept = 16

    def start_accepting(self) -> None:
        """As pywsgi does, but after all other events of the same round of the loop."""
        if self._watcher is None:
            self._watcher = watcher = self.loop.io(self.socket.fileno(), 1)
            watcher.priority = self.loop.MINPRI
            watcher.start(self._do_read)

    def do_read(self) -> tuple[_socket.socket, Any] | None:
        """Accept a connection; None when there is none. It is a plain socket: gevent's are costly, and few need one."""
        try:
            number, address = self.socket._accept()  # noqa: SLF001 - as pywsgi does
        except BlockingIOError:
            return None
        guest = _PlainSocket(fileno=number)
        guest.setblocking(False)
        return guest, address

    def do_handle(self, *args: Any) -> None:
        """A connection was accepted; this runs in the hub, so nothing here waits."""
        self.door.came(*args)

    def serve(self, guest: _socket.socket, address: Any, place: Place) -> None:
        """Give a connection its greenlet."""
        own = gevent.socket.socket(fileno=guest.detach())
        self.door.seated(place, own)
        self.pool.spawn(self._serve, own, address, place)

    def _serve(self, guest: Any, address: Any, place: Place) -> None:
        try:
            handler = _Handler(guest, address, self)
            handler.place = place
            handler.handle()
        finally:
            self.door.left(place)
            guest.close()


class ApiServer:
    """The API on its address. `start` binds, `stop` ends open connections within `grace_s` seconds.

    `access` should be the application's, so that both count in the same buckets. `pages` makes the open pages of health
    for clients who ask so often that the door answers them.
    """

    def __init__(
        self,
        app: Callable[..., object],
        settings: ApiSettings,
        access: Access | None = None,
        pages: Pages | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._pages = pages
        self._access = access or Access(settings.tokens, rate=settings.rate, burst=settings.burst, clock=time.monotonic)
        self._server: _Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, the kernel's when port 0 was asked for. Valid after `start`."""
        assert self._server is not None, "the server has not been started"
        host, port = self._server.address[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """The base of every path, `http://127.0.0.1:8090`, say. Valid after `start`."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return 0 if self._server is None else len(self._server.door.places)

    def start(self) -> None:
        """Bind and serve. Raises FsacdError when the address cannot be had."""
        settings = self._settings
        server = _Server(
            _listen(settings.host, settings.port),
            self._app,
            spawn=Pool(),  # the door keeps the limit
            log=None,
            error_log=None,
            # Otherwise pywsgi asks the resolver for the machine's name, which can take seconds.
            environ={"SERVER_NAME": settings.host},
        )
        server.settings = settings
        server.door = Door(
            Places(settings.connection_limit, settings.per_address),
            self._access,
            Hosts(settings.host, settings.allowed_hosts),
            server.serve,
            self._pages,
            min(settings.first_byte_s, settings.idle_s),
            time.monotonic,
        )
        self._server = server
        server.door.open()
        server.start()

    def stop(self, grace_s: float = 1.0) -> None:
        """Stop listening; requests under way get `grace_s` seconds to finish."""
        if self._server is not None:
            self._server.door.close()
            self._server.stop(timeout=grace_s)


def _listen(host: str, port: int) -> gevent.socket.socket:
    # gevent's own way leaves the socket open when the address is taken.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = gevent.socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise FsacdError(f"The API cannot listen on {host}:{port}: {_why(error)}.") from error
    return listener


def _why(error: OSError) -> str:
    match error:
        case socket.gaierror():
            return "there is no address of that name"
        case OSError(errno=errno.EADDRINUSE):
            return "another program listens there; end it, or set api.listen to another port"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
        case _:
            return str(error)
