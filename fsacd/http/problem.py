"""Errors on the wire: problem details as in RFC 9457, the same for a wrong name, a wrong token and a fault of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from http import HTTPStatus

import orjson

CONTENT_TYPE = "application/problem+json"

# The search for a near miss takes time in proportion to the names; with more names than this it is skipped.
_NAMES_LIMIT = 2_000
_NAME_LENGTH_LIMIT = 64


class ProblemError(Exception):
    """An error answer. `kind` is the stable word for programs, `detail` the sentence for people."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        more: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The problem document as JSON."""
        document = {
            "type": f"urn:fsacd:problem:{self.kind}",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            **self.more,
        }
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)

    def response(self) -> bytes:
        """A whole HTTP/1.1 response that ends the connection, for requests that never reach the application."""
        return response(self.status, CONTENT_TYPE, self.body(), self.headers)


def response(status: HTTPStatus, content_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole HTTP/1.1 response that ends the connection."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def too_many(wait_s: float) -> ProblemError:
    """The problem of asking too often; `wait_s` is how long to wait before the next request."""
    return ProblemError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate",
        "Too many requests; wait before asking again.",
        more={"retry_after_seconds": round(wait_s, 3)},
        headers={"Retry-After": str(int(wait_s) + 1)},
    )


def no_place() -> ProblemError:
    """The problem of a connection for which there is no place."""
    detail = "Too many connections; show a token at once, or come again later."
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "connections", detail, headers={"Retry-After": "1"})


def unknown_host() -> ProblemError:
    """The problem of a request for a name that is not ours."""
    detail = (
        "This address does not answer under that name: call it as localhost, or add the name to api.allowed_hosts "
        "in the configuration."
    )
    return ProblemError(HTTPStatus.MISDIRECTED_REQUEST, "unknown-host", detail)


def sentence(text: str) -> str:
    """The text as a sentence, with a capital and a full stop; an id at its beginning is not capitalised."""
    first = text.partition(" ")[0]
    if first.isalpha():
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def near(name: str, names: Iterable[str]) -> list[str]:
    """Up to three names that the client may have meant, best first."""
    if len(name) > _NAME_LENGTH_LIMIT:
        return []
    folded: dict[str, str] = {}
    for candidate in names:
        if abs(len(candidate) - len(name)) <= 3:  # noqa: PLR2004 - farther off is another word, not a slip
            folded.setdefault(candidate.lower(), candidate)
            if len(folded) >= _NAMES_LIMIT:
                break
    return [folded[match] for match in get_close_matches(name.lower(), folded, n=3)]


def unknown(
    what: str, name: str, names: Iterable[str], status: HTTPStatus = HTTPStatus.NOT_FOUND, of: str = ""
) -> ProblemError:
    """The problem of an unknown name: `what` is agent, queue, call or skill; `of`: whose names were searched."""
    matches = near(name, names)
    shown = name if len(name) <= _NAME_LENGTH_LIMIT else name[:_NAME_LENGTH_LIMIT] + "…"
    hint = f"; did you mean {matches[0]!r}?" if matches else "."
    more = {"did_you_mean": matches} if matches else None
    begins = f"{sentence(of)[:-1]} has" if of else "There is"
    return ProblemError(status, f"unknown-{what}", f"{begins} no {what} {shown!r}{hint}", more=more)
