"""Stops a daemon in order: no new ring begins, and the rings under way are ended.

Waiting callers and talks are left as they are: the switch plays on, and the next daemon takes them over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import gevent

from fsacd.core.commands import CancelOffer, CancelReason, Command
from fsacd.core.events import Event, SwitchLost
from fsacd.core.views import OfferView, Underway

# How long a stopping daemon waits until the phones that it rings are told that the ring is over.
_WITHDRAW_S: Final = 1.0
_LOOK_S: Final = 0.05


class Deciding(Protocol):
    """What draining needs of the runtime."""

    def post(self, event: Event) -> None:
        """Take a fact."""
        ...

    def underway(self) -> Underway:
        """All calls and offers now."""
        ...


def drain(runtime: Deciding, switches: Iterable[str], send: Callable[[Command], None], ring_ms: int) -> None:
    """Offer nothing more, let phones ring on for at most `ring_ms`, then withdraw them. Ends within a second after."""
    # The engine loses its switches first, or it would ring another agent for every call whose ring has ended.
    for switch in switches:
        runtime.post(SwitchLost(switch))
    _wait(runtime, ring_ms / 1000, lambda _live: None)

    def withdraw(live: list[OfferView]) -> None:
        for offer in live:
            # Again and again, because a kill misses a leg that is just being made. The engine itself repeats the end of
            # offers that it is ending already, and an answered offer is being connected.
            if offer.state == "ringing":
                send(CancelOffer(offer.offer_id, offer.switch, CancelReason.WITHDRAWN, offer.legs))

    _wait(runtime, _WITHDRAW_S, withdraw)


def _wait(runtime: Deciding, limit_s: float, look: Callable[[list[OfferView]], None]) -> None:
    """Wait until no phone rings any more and nobody is being connected, at most this long."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        live = [offer for offer in runtime.underway().offers if offer.state != "talking"]
        if not live:
            return
        look(live)
        gevent.sleep(_LOOK_S)
