"""A client connected to a scripted switch; both end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from fsacd.esl.client import EslClient
from fsacd.esl.codec import Message
from fsacd.esl.settings import LinkSettings
from tests.esl.fake_switch import FakeSwitch, Peer

Connect = Callable[..., EslClient]
_NO_HANDLERS: Mapping[str, Callable[[Message], object]] = {}


def make(switch: FakeSwitch, timeout: float = 2.0, **values: Any) -> EslClient:
    """A client of this switch, not connected; the values are link settings."""
    settings = LinkSettings(host=switch.host, port=switch.port, password="secret", **values)
    return EslClient(switch.host, switch.port, "secret", timeout, settings=settings)


@pytest.fixture(name="connect")
def connect_fixture() -> Iterator[Connect]:
    """Connects clients to switches that log them in and play a script."""
    switches: list[FakeSwitch] = []
    clients: list[EslClient] = []

    def connect(
        script: Callable[[Peer], object],
        handlers: Mapping[str, Callable[[Message], object]] = _NO_HANDLERS,
        **values: Any,
    ) -> EslClient:
        switches.append(FakeSwitch(lambda peer: script(peer.log_in())).__enter__())
        client = make(switches[-1], **values)
        clients.append(client)
        for name, handler in handlers.items():
            client.register_handle(name, handler)
        client.connect()
        return client

    yield connect
    for client in clients:
        client.stop()
    for switch in switches:
        switch.__exit__()
