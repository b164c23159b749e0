"""A call's contact: kept over a restart, and read from what knew of none."""

from __future__ import annotations

from typing import Any

from fsacd.core import events as e
from fsacd.core.commands import NoteContact, RingAgent
from fsacd.core.engine import Engine
from fsacd.core.records import CallEnded, OfferClosed
from fsacd.plugins import shipped
from fsacd.testing import agent, queue, queued, rules_of

RULES = rules_of(queue("support"), agent("1001", "support"))


def ringing(contact_id: str | None) -> Engine:
    """An engine in which a call of this contact rings an agent."""
    engine = Engine(RULES, shipped())
    engine.handle(e.SwitchConnected("fs1"), 0)
    engine.handle(e.AgentLoggedIn("1001", "test"), 0)
    engine.handle(queued("anna", "support", contact_id=contact_id), 0)
    return engine


def of_an_older_fsacd(plain: Any) -> Any:
    """The memory without what an older fsacd did not know."""
    if isinstance(plain, dict):
        return {name: of_an_older_fsacd(part) for name, part in plain.items() if name != "contact_id"}
    return [of_an_older_fsacd(part) for part in plain] if isinstance(plain, list) else plain


def contacts_of(engine: Engine) -> list[str]:
    """What becomes of the call and its offer, when its caller hangs up: the contact in each record."""
    (offer,) = engine.snapshot(10).offers
    ended = e.OfferEnded(offer.offer_id, e.OfferEnd.CANCELLED)
    steps = [engine.handle(e.CallerGone("anna"), 10), engine.handle(ended, 20)]
    records = [record for step in steps for record in step.records]
    return [record.contact_id for record in records if isinstance(record, CallEnded | OfferClosed)]


def test_a_restart_keeps_it() -> None:
    """Call and offer go on in their contact."""
    heir = Engine.restore(ringing("K-7").dump(), shipped())
    assert [call.contact_id for call in heir.snapshot(5).calls] == ["K-7"]
    assert contacts_of(heir) == ["K-7", "K-7"]


def test_a_memory_of_an_older_fsacd() -> None:
    """The call is the first of its contact that is known; the leg is told so when it announces itself again."""
    heir = Engine.restore(of_an_older_fsacd(ringing("K-7").dump()), shipped())
    noted = heir.handle(queued("anna", "support", contact_id=""), 5).commands
    assert noted == (NoteContact("anna", e.Leg("fs1", "leg-anna"), "anna"),)
    assert contacts_of(heir) == ["anna", "anna"]


def test_a_journal_of_an_older_fsacd() -> None:
    """Its facts say nothing of contacts: nothing is noted anew, because nobody has looked at the leg."""
    engine = ringing(None)
    assert [call.contact_id for call in engine.snapshot(5).calls] == ["anna"]
    assert engine.handle(queued("anna", "support"), 5).commands == ()


def test_a_leg_that_is_not_the_calls_is_told_nothing() -> None:
    """Whoever has got hold of a call's id does not change what its leg says, and is not taken into its contact."""
    engine = ringing("K-7")
    foreign = e.CallQueued("anna", "support", 0, e.Leg("fs1", "other"), contact_id="")
    assert engine.handle(foreign, 5).commands == ()
    assert [call.contact_id for call in engine.snapshot(5).calls] == ["K-7"]


def test_the_agent_is_told_with_the_ring() -> None:
    """The order to ring names the contact."""
    engine = Engine(RULES, shipped())
    engine.handle(e.SwitchConnected("fs1"), 0)
    engine.handle(e.AgentLoggedIn("1001", "test"), 0)
    (ring,) = engine.handle(queued("anna", "support", contact_id="K-7"), 0).commands
    assert isinstance(ring, RingAgent)
    assert ring.contact_id == "K-7"
