from __future__ import annotations

import pytest

from fsacd.core.engine import Engine
from fsacd.core.events import AgentLoggedIn, CallChangeAsked, CallQueued, LastAgentsKnown, Leg, SwitchConnected
from fsacd.core.rules import AgentRules, QueueRules, Rules, Service
from fsacd.http import models
from fsacd.plugins import Catalogue
from fsacd.runtime.loop import Runtime
from fsacd.store.explanations import Explainer
from fsacd.store.postgres import Store
from fsacd.store.reading import History
from tests.store.rig import await_true, quick, rows

pytestmark = pytest.mark.postgres


def test_a_decision_from_the_engine_to_the_api(database: str) -> None:
    """What the engine decides is explained, stored, and read back as the API shows it; so is a change by hand."""
    serves = {"support": Service()}
    rules = Rules(
        {"support": QueueRules("support", required=(("french", 3),))},
        {
            "anna": AgentRules("anna", contact="user/anna", switch="fs1", queues=serves, skills=(("french", 7),)),
            "ben": AgentRules("ben", contact="user/ben", switch="fs1", queues=serves),
        },
    )
    runtime = Runtime(Engine(rules, Catalogue.load([])[0]))
    store = Store(quick(database), runtime.wall_ms)
    explainer = Explainer(runtime.explain_decision, store.put_rows, runtime.wall_ms)
    runtime.set_sender(lambda command: None)
    runtime.add_sink(store.put)
    runtime.add_sink(explainer.sink)
    store.start()
    explainer.start()
    runtime.post(SwitchConnected("fs1"))
    for agent_id in ("anna", "ben"):
        runtime.post(AgentLoggedIn(agent_id, "test"))
    runtime.post(CallQueued("c1", "support", 0, leg=Leg("fs1", "u1"), number="+491"))
    runtime.post(CallQueued("c2", "support", 0, leg=Leg("fs1", "u2"), number="+492"))
    runtime.ask(CallChangeAsked("c2", "api:desk", priority=3))
    runtime.post(LastAgentsKnown((("+491", "anna"),)))
    await_true(lambda: explainer.state().explained == 1)
    assert explainer.stop() == 0
    assert store.stop() == 0
    (told,) = History(quick(database)).explanations("c1", 10)
    shown = models.Explanation.model_validate(told)
    assert (shown.chosen, [agent.agent for agent in shown.eligible]) == ("anna", ["anna"])
    assert [(agent.agent, agent.why, agent.detail) for agent in shown.not_rung] == [("ben", "skill", "has no french")]
    assert rows(database, "SELECT kind, subject, by FROM changes") == [("call_changed", "c2", "api:desk")]
    assert rows(database, "SELECT call_id, agent_id FROM decisions") == [("c1", "anna")]
    runtime.stop()
