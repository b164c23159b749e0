from __future__ import annotations

import pytest

from fsacd.http.hosts import Hosts, host_of


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("localhost", "localhost"),
        ("ACD.example.org:443", "acd.example.org"),
        ("127.0.0.1:8090", "127.0.0.1"),
        ("localhost:", "localhost"),
        ("[::1]", "::1"),
        ("[0:0::1]:8090", "::1"),
        ("[::1]evil", None),
        ("[::1]evil:80", None),
        ("[::1]]", None),
        ("[::1].example", None),
        ("[::1", None),
        ("[::1]:80:80", None),
        ("[::1]:x", None),
        ("[::1%25lo]", None),
        ("[127.0.0.1]", None),
        ("::1", None),
        ("127.0.0.1:8090:1", None),
        ("localhost:80x", None),
        ("localhost:\u0661", None),
        ("localhost evil", None),
        ("localhost,evil", None),
        ("localhost/evil", None),
        ("user@localhost", None),
        ("localhost\n", None),
        ("l\u00f6calhost", None),
        (":80", None),
        ("", None),
    ],
)
def test_a_host_is_a_name_or_an_address_and_perhaps_a_port(authority: str, host: str | None) -> None:
    """RFC 3986's authority without its user; whatever is more or less than that is nobody's name."""
    assert host_of(authority) == host


@pytest.mark.parametrize(
    ("listen", "allowed", "authority", "answered"),
    [
        ("127.0.0.1", (), "localhost:8090", True),
        ("127.0.0.1", (), "[::1]:8090", True),
        ("127.0.0.1", (), "fsacd.example.com", False),
        ("127.0.0.1", ("fsacd.example.com",), "FSACD.example.com:443", True),
        ("127.0.0.1", ("Fsacd.Example.com",), "fsacd.example.com", True),
        ("127.0.0.1", ("fsacd.example.com",), "evil.fsacd.example.com", False),
        ("127.0.0.1", ("2001:db8:0::1",), "[2001:db8::1]:80", True),
        ("10.0.0.5", (), "whatever.example", True),
        ("10.0.0.5", ("fsacd.example.com",), "10.0.0.5:8090", True),
        ("10.0.0.5", ("fsacd.example.com",), "10.0.0.6:8090", False),
        ("10.0.0.5", ("fsacd.example.com",), "localhost", True),
    ],
)
def test_names_that_are_answered(listen: str, allowed: tuple[str, ...], authority: str, answered: bool) -> None:
    """Loopback's own, the address we listen on and the allowed ones; any on an open address without allowed ones."""
    assert Hosts(listen, allowed).answers(authority) is answered
