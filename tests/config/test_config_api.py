"""The doors in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsacd.config.model import Config
from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import parse
from fsacd.daemon.wiring import api_settings
from fsacd.http.hosts import Hosts
from tests.config.test_config_reference import shipped_plugins

FILE = "switches: {fs1: {password: secret-secret}}\napi: {%s}\n"


def read(api: str) -> Config:
    return parse((FILE % api).encode(), Path("fsacd.yaml"), plugins=shipped_plugins, environ={})


def test_names_that_are_allowed_reach_the_api() -> None:
    """What stands in the file is what the server answers to."""
    settings = api_settings(read("allowed_hosts: [fsacd.example.com, '2001:db8::1']"))
    hosts = Hosts(settings.host, settings.allowed_hosts)
    assert [hosts.answers(name) for name in ("fsacd.example.com", "[2001:db8::1]:443", "evil.example")] == [
        True,
        True,
        False,
    ]


def test_limits_reach_the_api() -> None:
    """Connections at once, and of them those of one address."""
    usual, given = api_settings(read("")), api_settings(read("connections: 40, connections_per_address: 3"))
    assert (usual.connection_limit, usual.per_address) == (400, None)
    assert (given.connection_limit, given.per_address) == (40, 3)


@pytest.mark.parametrize(
    "api",
    [
        "allowed_hosts: ['https://fsacd.example.com']",
        "allowed_hosts: ['fsacd.example.com:443']",
        "allowed_hosts: ['[::1]evil']",
        "allowed_hosts: ['*']",
        "connections: 3",
        "connections_per_address: 0",
    ],
)
def test_what_cannot_be_is_refused(api: str) -> None:
    """A name is a name: without a scheme, a port or a star."""
    with pytest.raises(ConfigErrors) as caught:
        read(api)
    assert len(caught.value.problems) == 1
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://keeper:Pa55@w0rd@localhost/db",
        "postgresql://keeper:Pa55/w0rd@localhost/db",
        "postgresql://keeper:Pa55%w0rd@localhost/db",
        "host=localhost password=Pa55 w0rd",
        "host=localhost port=Pa55w0rd",
    ],
)
def test_a_malformed_connection_string_is_refused_and_not_repeated(dsn: str) -> None:
    """Also where the database's own reader would take it, with a piece of the password as host or port."""
    text = f"switches: {{fs1: {{password: secret-secret}}}}\nstore: {{dsn: '{dsn}'}}\n"
    with pytest.raises(ConfigErrors) as caught:
        parse(text.encode(), Path("fsacd.yaml"), plugins=shipped_plugins, environ={})
    said = str(caught.value)
    assert "not a PostgreSQL connection string" in said
    assert [piece for piece in ("Pa55", "w0rd", "keeper") if piece in said] == []
