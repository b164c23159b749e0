from __future__ import annotations

import pytest

from fsacd.http.buckets import Crowd
from fsacd.http.glance import glance

END = b"\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "crowd"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: localhost" + END, Crowd.HEALTH),
        (b"HEAD /readyz?verbose HTTP/1.0\r\nhOsT:localhost" + END, Crowd.HEALTH),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x" + END, Crowd.HEALTH),
        (b"GET /metrics HTTP/1.1\r\nHost: a" + END, Crowd.METRICS),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nauthorization: Bearer x" + END, Crowd.GUESSERS),
        (b"GET /api/v1/status HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x" + END, Crowd.GUESSERS),
        (b"GET /api/v1/status HTTP/1.1\r\nHost: a" + END, Crowd.NAMELESS),
        # None of these is a simple look at health.
        (b"GET /livez HTTP/1.1\r\nHost: a", Crowd.NAMELESS),
        (b"POST /livez HTTP/1.1\r\nHost: a" + END, Crowd.NAMELESS),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b" + END, Crowd.NAMELESS),
        (b"GET /livez HTTP/1.1\r\nX: y" + END, Crowd.NAMELESS),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 10" + END, Crowd.NAMELESS),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked" + END, Crowd.NAMELESS),
        (b"GET http://a/livez HTTP/1.1\r\nHost: a" + END, Crowd.NAMELESS),
        (b"GET  /livez HTTP/1.1\r\nHost: a" + END, Crowd.NAMELESS),
        (b"GET /livez HTTP/2.0\r\nHost: a" + END, Crowd.NAMELESS),
        (b"\x16\x03\x01", Crowd.NAMELESS),
        (b"", Crowd.NAMELESS),
    ],
)
def test_the_crowd_of_a_request(head: bytes, crowd: Crowd) -> None:
    """Health and figures without a token, guesses, and all the others; what is not whole or odd is of the others."""
    assert glance(head).crowd is crowd


def test_the_token_is_seen_wherever_it_stands() -> None:
    """Also in a request whose body, or the end of whose head, is still to come."""
    seen = glance(b"POST /api/v1/reload HTTP/1.1\r\nContent-Length: 2\r\nAUTHORIZATION:  Bearer abc \r\nX: ")
    assert (seen.simple, seen.authorization) == (False, "Bearer abc")


def test_only_the_first_request_counts() -> None:
    """What is sent behind it, in the same packet, has a turn of its own."""
    first = b"GET /livez HTTP/1.1\r\nHost: localhost" + END
    assert glance(first + b"GET /x HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer x" + END) == glance(first)
