"""The client of the HTTP API: one connection, one deadline for each answer, one sentence for each failure.

Only the standard library, so that a client command starts in a moment.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fsacd import __version__
from fsacd.errors import FsacdError, Refused

DEFAULT_URL = "http://127.0.0.1:8090"
DEADLINE_S = 5.0

# Longer than any page that the daemon sends; a longer answer is not from fsacd.
_ANSWER_LIMIT = 64 << 20
_CHUNK = 1 << 16
# Between two tries of a request that the daemon had no time for.
_LEAST_WAIT_S = 0.02

Document = dict[str, Any]


class NotReachable(FsacdError):  # noqa: N818 - named after the state the daemon is in
    """Nothing that is fsacd answered at the address."""


class BadUse(FsacdError):  # noqa: N818 - the sentence is about the command line
    """An option that cannot be used as it is."""


class Client:
    """Asks one daemon. Every method raises Refused (the daemon said no) or NotReachable."""

    def __init__(self, url: str = DEFAULT_URL, token: str = "", deadline_s: float = DEADLINE_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadUse(f"{url!r} is not an address like {DEFAULT_URL}.")
        try:
            self._port = parts.port
        except ValueError:
            raise BadUse(f"{url!r} has a port that is not a number up to 65535.") from None
        if not token.isascii() or not token.isprintable():
            raise BadUse("The token holds a character that no token can hold; is it the right file?")
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._path = parts.path.rstrip("/")
        self._token = token
        self._deadline_s = deadline_s

    def get(self, *path: str, **query: object) -> Document:
        """The document at a path under /api/v1; its parts are quoted here. None in the query is left out."""
        wanted = {name: value for name, value in query.items() if value is not None}
        suffix = f"?{urlencode(wanted)}" if wanted else ""
        return self._ask("GET", _under_v1(path) + suffix, None)

    def post(self, *path: str, body: Mapping[str, object] | None = None) -> Document:
        """Ask for something at a path under /api/v1."""
        return self._ask("POST", _under_v1(path), dict(body or {}))

    def _ask(self, method: str, path: str, body: Document | None) -> Document:
        headers = {"Accept": "application/json", "User-Agent": f"fsacd-cli/{__version__}", "Connection": "close"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        ends_at = time.monotonic() + self._deadline_s
        while True:
            status, content = self._exchange(method, self._path + path, data, headers, ends_at)
            document = _object(content)
            if document is None:
                raise NotReachable(f"{self.url} answered with status {status}, but not as fsacd does; is --url right?")
            wait_s = document.get("retry_after_seconds") if status == http.client.TOO_MANY_REQUESTS else None
            # Written so that a number that is none ends it, too.
            if not isinstance(wait_s, int | float) or not time.monotonic() + wait_s < ends_at:
                break
            time.sleep(max(_LEAST_WAIT_S, wait_s))  # long lists before this one count as many requests
        if status >= http.client.BAD_REQUEST:
            problems = document.get("problems")
            detail = document.get("detail") or f"The daemon refused with status {status}."
            raise Refused(str(detail), [str(problem) for problem in problems] if isinstance(problems, list) else ())
        return document

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str], ends_at: float
    ) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=max(0.001, ends_at - time.monotonic()))
        try:
            connection.connect()
            # A socket's timeout starts anew with each byte; only this deadline ends an answer that trickles in for
            # ever.
            guard = threading.Timer(max(0.0, ends_at - time.monotonic()), _shut, [connection.sock])
            guard.daemon = True
            guard.start()
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                return response.status, _read(response)
            finally:
                guard.cancel()
        except (OSError, http.client.HTTPException) as error:
            why = f"no answer within {self._deadline_s:g} s" if time.monotonic() >= ends_at else _reason(error)
            hint = "is it running, and is --url right?"
            raise NotReachable(f"fsacd is not reachable at {self.url}: {why}; {hint}") from error
        finally:
            connection.close()


def _under_v1(path: tuple[str, ...]) -> str:
    return "/api/v1/" + "/".join(quote(part, safe="") for part in path)


def _object(content: bytes) -> Document | None:
    try:
        document = json.loads(content)
    except ValueError:  # UnicodeDecodeError is a ValueError, too
        return None
    return document if isinstance(document, dict) else None


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # the connection was closed at the same moment
        return


def _read(response: http.client.HTTPResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := response.read(_CHUNK):
        size += len(chunk)
        if size > _ANSWER_LIMIT:
            raise http.client.HTTPException("the answer is too long to be fsacd's")
        parts.append(chunk)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def _reason(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "nothing listens there"
        case TimeoutError():
            return "no answer in time"
        case socket.gaierror():
            return "there is no host of that name"
        case http.client.RemoteDisconnected() | http.client.IncompleteRead() | ConnectionError():
            return "the connection was cut"
        case OSError(strerror=str(text)):
            return text
        case _:
            return str(error) or type(error).__name__
