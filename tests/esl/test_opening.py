from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.hub import get_hub

from fsacd.esl.opening import opened
from tests.esl.fake_switch import FakeSwitch

HOW: dict[str, Any] = {"owner": "any", "write_timeout_ms": 5_000}


def test_an_address_waits_for_no_name() -> None:
    """While every thread that looks names up hangs, a switch that is given by its address is reached."""
    hub, answered = get_hub(), Event()
    hang = gevent.monkey.get_original("threading", "Event")()
    lookups = [hub.threadpool.spawn(hang.wait, 30) for _ in range(hub.threadpool.maxsize)]
    try:
        with FakeSwitch(lambda _: answered.set()) as switch, gevent.Timeout(30):
            sock = opened(switch.host, switch.port, 5.0, **HOW)
            answered.wait()
            sock.close()
    finally:
        hang.set()
        gevent.joinall(lookups, timeout=30)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nobody_listens(host: str) -> None:
    """A closed port is an OSError, for an address and for a name."""
    with pytest.raises(OSError, match="refused"):
        opened(host, 1, 2.0, **HOW)
