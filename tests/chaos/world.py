"""What whole daemons live in while their time is the simulated switch's: clocks, wires and dice, for one story."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from unittest.mock import patch

import gevent
import gevent.socket

from fsacd.esl.client import EslClient
from tests.chaos.life import InlineSyncer, Life
from tests.chaos.net import Net, connector
from tests.chaos.virtual import Frozen, VirtualTime


@contextmanager
def world(time: VirtualTime, seed: int, failed: Callable[..., None]) -> Iterator[None]:
    """Everything that a daemon reaches for; `failed` is told of greenlets that die, as gevent's hub is."""
    dice = Random(f"the daemon's {seed}")
    state = random.getstate()
    with ExitStack() as stack:
        stack.enter_context(time.installed())
        stack.enter_context(patch.object(gevent.socket, "create_connection", connector(_net_of)))
        stack.enter_context(patch.object(EslClient, "has_unread", lambda client: client.sock.has_unread))
        stack.enter_context(patch.object(secrets, "token_hex", lambda size: f"{dice.getrandbits(8 * size):x}"))
        stack.enter_context(patch("fsacd.journal.journal.Syncer", InlineSyncer))
        stack.enter_context(patch.object(gevent.get_hub(), "handle_error", failed))
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


def end_all(time: VirtualTime, lives: Sequence[Life]) -> None:
    """The story is over: whatever is left of these lives goes."""
    for life in lives:
        life.end()
    time.settle()
    for life in lives:
        gevent.killall(life.greenlets(), block=False)  # they see no more than their end
    time.settle()


def _net_of(life: Frozen) -> Net:
    assert isinstance(life, Life)
    return life.net
