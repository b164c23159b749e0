from __future__ import annotations

import os
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
    # A pipe, for the threads' own locks may be gevent's, which threads of two hubs wait for in strange ways.
    read_end, write_end = os.pipe()
    lookups = [hub.threadpool.spawn(os.read, read_end, 1) for _ in range(hub.threadpool.maxsize)]
    try:
        with FakeSwitch(lambda _: answered.set()) as switch, gevent.Timeout(30):
            sock = opened(switch.host, switch.port, 5.0, **HOW)
            answered.wait()
            sock.close()
    finally:
        os.write(write_end, bytes(len(lookups)))
        gevent.joinall(lookups, timeout=30)
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nobody_listens(host: str) -> None:
    """A closed port is an OSError, for an address and for a name."""
    with pytest.raises(OSError, match="refused"):
        opened(host, 1, 2.0, **HOW)
