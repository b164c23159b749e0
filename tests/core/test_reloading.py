"""What a reload does that no story shows: where agents are rung, what was counted, where callers go."""

from __future__ import annotations

from typing import Any

import pytest

from fsacd.core.amending import differing
from fsacd.core.commands import RingAgent, SendCall
from fsacd.core.events import (
    AgentLoggedIn,
    CallerGone,
    OfferAnswered,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    RulesChanged,
    SwitchConnected,
)
from fsacd.core.rules import AgentRules, Limits, QueueRules, Rules, Service, ToExtension
from fsacd.core.show.parts import whole
from fsacd.core.views import Step
from fsacd.testing import Driver, queued


def rules(*queues: QueueRules, contacts: dict[str, str] | None = None, **settings: Any) -> Rules:
    """Agents by their contacts; each serves all queues."""
    serves = {queue.name: Service() for queue in queues}
    agents = {
        agent_id: AgentRules(agent_id, contact=contact, queues=serves) for agent_id, contact in (contacts or {}).items()
    }
    return Rules({queue.name: queue for queue in queues}, agents, **settings)


SUPPORT = QueueRules("support")


class Told:
    """How the engine is told of other rules."""

    amends = False


@pytest.fixture(autouse=True, params=[False, True], ids=["whole", "what_differs"])
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told of the whole rules, or of what differs, the engine does the same."""
    monkeypatch.setattr(Told, "amends", request.param)


def reload(driver: Driver, new: Rules) -> Step:
    before, driver.rules = driver.rules, new
    event = whole(differing(before, new, driver.engine.edition)) if Told.amends else RulesChanged(new)
    assert event is not None
    return driver.tell(event)


@pytest.fixture
def driver() -> Driver:
    driver = Driver(rules(SUPPORT, contacts={"1001": "user/1001"}))
    driver.tell(SwitchConnected("fs1"))
    return driver


def _rung_at(driver: Driver) -> list[str]:
    return [ring.contact for ring in driver.commands_of(RingAgent)]


def test_an_agent_is_rung_at_the_new_contact(driver: Driver) -> None:
    """Who is at work where the configuration says so is there, wherever it says so now."""
    driver.tell(AgentLoggedIn("1001", "test"))
    reload(driver, rules(SUPPORT, contacts={"1001": "user/desk7"}))
    driver.tell(queued("anna", "support"))
    assert _rung_at(driver) == ["user/desk7"]


def test_an_agent_is_rung_where_they_have_said(driver: Driver) -> None:
    """Who has logged in at another phone stays there until they log out, whatever the configuration says."""
    driver.tell(AgentLoggedIn("1001", "test", contact="user/home"))
    reload(driver, rules(SUPPORT, contacts={"1001": "user/desk7"}))
    driver.tell(queued("anna", "support"))
    assert _rung_at(driver) == ["user/home"]


def test_a_new_agent_shares_the_phone_that_the_configuration_gives_them(driver: Driver) -> None:
    """One phone rings for one call, also for a colleague who has come by a reload."""
    reload(driver, rules(SUPPORT, contacts={"1001": "user/1001", "1002": "user/1001"}))
    driver.tell(AgentLoggedIn("1001", "test"))
    driver.tell(AgentLoggedIn("1002", "test"))
    driver.tell(queued("anna", "support"))
    driver.tell(queued("bert", "support"))
    assert len(_rung_at(driver)) == 1
    assert sorted(agent.state for agent in driver.engine.snapshot(0).agents) == ["busy", "offered"]


def test_who_comes_back_into_the_configuration_stays(driver: Driver) -> None:
    """Taken out during a call, and put in again before its end: they are an agent as any other."""
    driver.tell(AgentLoggedIn("1001", "test"))
    driver.tell(queued("anna", "support"))
    reload(driver, rules(SUPPORT))
    reload(driver, rules(SUPPORT, contacts={"1001": "user/1001"}))
    driver.tell(CallerGone("anna", "NORMAL_CLEARING"))
    driver.wait(60_000)
    reload(driver, rules(SUPPORT, QueueRules("sales"), contacts={"1001": "user/1001"}))
    agent = driver.agent("1001")
    assert agent is not None
    assert agent.state == "ready"


def _abandoned(driver: Driver) -> dict[str, int]:
    return {queue.name: queue.abandoned for queue in driver.engine.snapshot(driver.now_ms).queues}


def test_a_renamed_queue_keeps_what_was_counted(driver: Driver) -> None:
    """Its callers did not become another queue's; what the other one has counted itself stays, too."""
    reload(driver, rules(SUPPORT, QueueRules("help")))
    for call_id, queue in (("anna", "support"), ("bert", "support"), ("carl", "help")):
        driver.tell(queued(call_id, queue))
        driver.tell(CallerGone(call_id, "NORMAL_CLEARING"))
    assert _abandoned(driver) == {"support": 2, "help": 1}
    reload(driver, rules(QueueRules("help", was=("support",))))
    assert _abandoned(driver) == {"help": 3}


@pytest.mark.parametrize(("name", "was"), [("help", ("support",)), ("support", ())])
def test_what_was_decided_before_a_reload_is_explained_by_the_counters_of_then(name: str, was: tuple[str, ...]) -> None:
    """The half-life is another one, by which the agents of then are not shown; the queue may be renamed, too."""

    def one(name: str, half_life_ms: int, was: tuple[str, ...] = ()) -> Rules:
        queue = QueueRules(name, strategy="fewest_calls", wrap_up_ms=0, was=was)
        contacts = {"1001": "user/1001", "1002": "user/1002"}
        return rules(queue, contacts=contacts, limits=Limits(counters_half_life_ms=half_life_ms))

    driver = Driver(one("support", 3_600_000))
    driver.tell(SwitchConnected("fs1"))
    driver.tell(AgentLoggedIn("1001", "test"))
    driver.tell(AgentLoggedIn("1002", "test"))
    for call_id in ("anna", "bert", "carl"):
        driver.tell(queued(call_id, "support"))
        offer_id = driver.commands_of(RingAgent)[-1].offer_id
        driver.tell(OfferAnswered(offer_id))
        driver.tell(OfferConnected(offer_id))
        driver.wait(5_000)
        driver.tell(OfferEnded(offer_id, OfferEnd.HUNG_UP))
        driver.tell(CallerGone(call_id))
    driver.wait(3_600_000)
    before = driver.engine.explain_decision(3)
    reload(driver, one(name, 7_200_000, was=was))
    assert before is not None
    assert driver.engine.explain_decision(3) == before


def test_what_was_counted_of_a_queue_goes_with_it(driver: Driver) -> None:
    """The next queue of its name begins at nought."""
    driver.tell(queued("anna", "support"))
    driver.tell(CallerGone("anna", "NORMAL_CLEARING"))
    reload(driver, rules(QueueRules("sales")))
    reload(driver, rules(SUPPORT))
    assert _abandoned(driver) == {"support": 0}


def test_what_was_counted_of_a_queue_stays_while_a_call_of_it_talks(driver: Driver) -> None:
    """Its talk will be counted, too, where the next file brings it back."""
    driver.tell(AgentLoggedIn("1001", "test"))
    driver.tell(queued("anna", "support"))
    (ring,) = driver.commands_of(RingAgent)
    driver.tell(OfferAnswered(ring.offer_id, "fs1"))
    driver.tell(OfferConnected(ring.offer_id))
    driver.tell(queued("bert", "support"))
    driver.tell(CallerGone("bert", "NORMAL_CLEARING"))
    reload(driver, rules(QueueRules("sales")))
    reload(driver, rules(SUPPORT))
    assert _abandoned(driver) == {"support": 1}


def test_callers_without_a_queue_take_the_fallback_of_the_new_rules(driver: Driver) -> None:
    """The file that removes their queue is the one that says where they go."""
    driver.tell(queued("anna", "support"))
    step = reload(driver, rules(QueueRules("sales"), fallback=ToExtension("lobby", "public")))
    (sent,) = step.commands
    assert isinstance(sent, SendCall)
    assert sent.target == ToExtension("lobby", "public")


def test_who_is_new_at_a_phone_that_rings_is_busy(driver: Driver) -> None:
    """A colleague is rung there already; the new agent is free when that leg has ended."""
    driver.tell(AgentLoggedIn("1001", "test"))
    driver.tell(queued("anna", "support"))
    (ring,) = driver.commands_of(RingAgent)
    reload(driver, rules(SUPPORT, contacts={"1001": "user/1001", "1002": "user/1001"}))
    driver.tell(AgentLoggedIn("1002", "test"))
    found = driver.agent("1002")
    assert found is not None
    assert found.state == "busy"
    driver.tell(OfferEnded(ring.offer_id, OfferEnd.REFUSED))
    assert [command.agent_id for command in driver.commands_of(RingAgent)] == ["1001", "1002"]
