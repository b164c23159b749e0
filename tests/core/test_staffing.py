from __future__ import annotations

from types import MappingProxyType

from fsacd.core.agent import Agent, LoggedOut, NotReady, Presence, Ready, Served, Talking
from fsacd.core.rules import AgentRules
from fsacd.core.staffing import Condition, Staffing
from fsacd.strategy import ServiceFacts

RULES = AgentRules("1001", queues=MappingProxyType({}))


def make_agent(state: Presence, *queues: str, backup: bool = False) -> Agent:
    made = Agent("1001", RULES, RULES, presence=state, state=state)
    made.configure(RULES, tuple(Served(name, 1, 0, backup, ServiceFacts(0, 1, 1)) for name in queues))
    return made


def test_an_empty_queue_is_so_from_the_beginning() -> None:
    """Before anybody logs in, nobody is there since the beginning."""
    staffing = Staffing(("support",), 100)
    assert staffing.since == {
        (Condition.NOBODY_LOGGED_IN, "support"): 100,
        (Condition.NOBODY_READY, "support"): 100,
    }


def test_conditions_begin_and_end_with_the_agents() -> None:
    """Logged in ends the one condition, on duty the other; each begins anew when the last one goes."""
    staffing = Staffing(("support", "sales"), 0)
    agent = make_agent(LoggedOut(), "support")
    assert {"support"} == staffing.count(agent, 5)
    assert set() == staffing.count(agent, 10)
    agent.presence = agent.state = NotReady("lunch")
    assert {"support"} == staffing.count(agent, 20)
    assert (Condition.NOBODY_LOGGED_IN, "support") not in staffing.since
    assert staffing.since[Condition.NOBODY_READY, "support"] == 0
    agent.presence = agent.state = Ready()
    staffing.count(agent, 30)
    assert not [queue for _, queue in staffing.since if queue == "support"]
    agent.state, agent.presence = Talking("o", "c"), NotReady("lunch")
    assert {"support"} == staffing.count(agent, 40)
    assert staffing.since[Condition.NOBODY_READY, "support"] == 40
    assert {"support"} == staffing.forget(agent, 50)
    assert staffing.since[Condition.NOBODY_LOGGED_IN, "support"] == 50
    assert staffing.since[Condition.NOBODY_LOGGED_IN, "sales"] == 0


def test_backup_does_not_count() -> None:
    """Who serves a queue as backup helps it, and does not keep it open."""
    staffing = Staffing(("support",), 0)
    staffing.count(make_agent(Ready(), "support", backup=True), 10)
    assert staffing.logged_in == {"support": 0}
    assert staffing.on_duty == {"support": 0}


def test_other_queues_move_the_count() -> None:
    """An agent who is given another queue counts there, and no more in the old one."""
    staffing = Staffing(("support", "sales"), 0)
    agent = make_agent(Ready(), "support")
    staffing.count(agent, 10)
    agent.configure(RULES, (Served("sales", 1, 0, False, ServiceFacts(0, 1, 1)),))
    assert {"support", "sales"} == staffing.count(agent, 20)
    assert staffing.on_duty == {"support": 0, "sales": 1}


def test_open_and_closed() -> None:
    """A queue is open until it is closed; closed again, it is closed since the first time."""
    staffing = Staffing(("support",), 0)
    assert staffing.is_open("support")
    staffing.set_open("support", is_open=False, now_ms=10)
    staffing.set_open("support", is_open=False, now_ms=20)
    assert staffing.since[Condition.CLOSED, "support"] == 10
    staffing.set_open("support", is_open=True, now_ms=30)
    assert staffing.is_open("support")
