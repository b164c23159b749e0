"""A daemon that is asked to stop: what becomes of the phones that ring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fsacd.core.commands import CancelOffer, CancelReason, Command
from fsacd.core.events import Event, SwitchLost
from fsacd.core.views import OfferView, Underway
from fsacd.daemon.drain import drain

RINGING = OfferView("offer-1", "call-1", "1001", "fs1", "ringing", 0)


class Engine:
    """Has these offers; `then` is told of each look at them."""

    def __init__(self, *offers: OfferView, then: Callable[[int], None] = lambda _looks: None) -> None:
        self.offers = offers
        self.facts: list[Event] = []
        self.sent: list[Command] = []
        self.looks = 0
        self.then = then

    def post(self, event: Event) -> None:
        self.facts.append(event)

    def underway(self) -> Underway:
        self.looks += 1
        self.then(self.looks)
        return Underway(0, (), self.offers)

    def send(self, command: Command) -> None:
        self.sent.append(command)


WITHDRAWN = CancelOffer("offer-1", "fs1", CancelReason.WITHDRAWN)


def test_rings_are_withdrawn_until_they_have_ended() -> None:
    """First no new offer is made; then a ring is taken back, again and again, until the switch says that it ended."""

    def ended(looks: int) -> None:
        if looks == 4:
            engine.offers = ()

    engine = Engine(RINGING, then=ended)
    drain(engine, ("fs1", "fs2"), engine.send, 0)
    assert engine.facts == [SwitchLost("fs1"), SwitchLost("fs2")]
    assert engine.sent == [WITHDRAWN] * 3


def test_a_phone_may_ring_on_for_a_while() -> None:
    """Within the time that the setting gives, an agent who picks up is connected: nothing is withdrawn."""

    def answered(looks: int) -> None:
        if looks == 3:
            engine.offers = (replace(RINGING, state="connecting"),)
        if looks == 5:
            engine.offers = (replace(RINGING, state="talking"),)

    engine = Engine(RINGING, then=answered)
    drain(engine, ("fs1",), engine.send, 30_000)
    assert engine.sent == []


def test_it_has_an_end() -> None:
    """A ring that does not end is withdrawn after that time; the stop waits no longer than a second more."""
    engine = Engine(RINGING)
    drain(engine, ("fs1",), engine.send, 100)
    assert engine.sent
    assert set(engine.sent) == {WITHDRAWN}
    engine.sent.clear()
    engine.offers = (replace(RINGING, state="connecting"),)
    drain(engine, ("fs1",), engine.send, 0)
    assert engine.sent == []
