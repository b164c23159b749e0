"""An early 0.1.0 named an offer's one leg by any last digit: replayed today, its facts name legs of today's."""

from __future__ import annotations

from dataclasses import replace

from fsacd.core import events as e
from fsacd.core.commands import Connect, RingAgent
from fsacd.core.records import CallEnded, CallOutcome
from fsacd.testing import Driver, agent, queue, queued, rules_of

# No registered user: such a contact has one leg.
ANNA = replace(agent("1001", "support"), contact="sofia/gateway/pstn/1001")


def rung() -> tuple[Driver, str]:
    """Anna is rung for c1; the leg that an early 0.1.0 would have had."""
    driver = Driver(rules_of(queue("support"), ANNA))
    driver.tell(e.SwitchConnected("fs1"))
    driver.tell(e.AgentLoggedIn("1001", "test"))
    driver.tell(queued("c1", "support"))
    (ring,) = driver.commands_of(RingAgent)
    return driver, ring.offer_id[:-1] + "e"


def legs(driver: Driver) -> tuple[str, ...]:
    """The legs that are looked for on the switch."""
    (offer,) = driver.engine.underway(driver.now_ms).offers
    return offer.live_legs


def test_a_talk_is_on_the_leg_that_the_facts_name() -> None:
    """That leg is looked for after the restart, and ends the talk."""
    driver, leg = rung()
    driver.tell(e.OfferAnswered(leg, "fs1"))
    assert [command.agents_leg for command in driver.commands_of(Connect)] == [leg]
    driver.tell(e.OfferConnected(leg))
    assert legs(driver) == (leg,)
    driver.wait(5_000)
    driver.tell(e.OfferEnded(leg, e.OfferEnd.HUNG_UP))
    assert [one.outcome for one in driver.records_of(CallEnded)] == [CallOutcome.ANSWERED]


def test_a_talk_of_which_only_the_bridge_was_heard_is_on_that_leg() -> None:
    """The answer was told to a daemon that had just been killed."""
    driver, leg = rung()
    driver.tell(e.OfferConnected(leg))
    assert legs(driver) == (leg,)


def test_a_ring_is_looked_for_by_that_name_too() -> None:
    """It rings on."""
    driver, leg = rung()
    assert leg not in legs(driver)
    driver.tell(e.OfferRang(leg))
    assert leg in legs(driver)


def test_a_name_of_today_changes_nothing() -> None:
    """The offer's own leg."""
    driver, leg = rung()
    own = leg[:-1] + "0"
    driver.tell(e.OfferRang(own))
    driver.tell(e.OfferAnswered(own, "fs1"))
    driver.tell(e.OfferConnected(own))
    assert legs(driver) == (own,)
