from __future__ import annotations

from fsacd.core.call import Preferred
from fsacd.core.rules import Service
from fsacd.testing import agent, queue, rules_of
from tests.core.built import Built, make_call


def test_the_best_call_over_all_queues() -> None:
    """Nobody rings yet, class, the agent's rank for the queue, virtual arrival, id: in this order."""
    rules = rules_of(
        queue("first"), queue("second"), agent("1001", ("first", Service(rank=1)), ("second", Service(rank=2)))
    )
    built = Built(rules)
    in_order = [
        make_call("class", "second", 900, priority=1),
        make_call("b", "first", 500),
        make_call("c", "first", 500),
        make_call("late", "first", 501),
        make_call("oldest", "second", 1),
    ]
    rings_already = built.add(make_call("rings", "first", 0, priority=2), already_ringing=True)
    for call in reversed(in_order):
        built.add(call)
    for call in in_order:
        assert call.call_id == built.best_call("1001")
        built.remove(call)
    assert built.best_call("1001") == "rings"
    built.remove(rings_already)
    assert built.best_call("1001") is None


def test_the_best_agent_for_a_call() -> None:
    """Rank first, then the better skilled, then the strategy's key, then id; a delayed one only when it is time."""
    rules = rules_of(
        queue("support"),
        agent("delayed", ("support", Service(rank=1, delay_ms=5_000)), skills={"german": 9}),
        agent("skilled", "support", skills={"german": 8}),
        agent("a", "support", skills={"german": 5}),
        agent("b", "support", skills={"german": 5}),
        agent("last", ("support", Service(rank=2)), skills={"german": 10}),
        agent("backup", ("support", Service(backup=True)), skills={"german": 10}),
        agent("never", "support", skills={"english": 10}),
    )
    call = make_call("anna", "support", 0, (("german", 5),))
    assert Built(rules).order(call) == ["skilled", "a", "b", "last"]
    call = make_call("anna", "support", 0, (("german", 5),), delay_ms=5_000)
    call.backup = True
    assert Built(rules).order(call) == ["backup", "delayed", "skilled", "a", "b", "last"]


def test_who_has_not_taken_the_call() -> None:
    """How often an agent has not taken this very call goes before their rank."""
    rules = rules_of(
        queue("support"), agent("a", "support"), agent("b", "support"), agent("c", ("support", Service(rank=2)))
    )
    call = make_call("anna", "support", 0)
    call.not_taken = {"a": 2, "b": 1}
    assert Built(rules).order(call) == ["c", "b", "a"]


def test_longest_idle_first() -> None:
    """Among equals the strategy's key decides: here, who has had no talk for longest."""
    built = Built(rules_of(queue("support"), agent("a", "support"), agent("b", "support")), a=20, b=10)
    assert built.order(make_call("anna", "support", 0)) == ["b", "a"]


def test_a_reserved_call() -> None:
    """A reserved call is its agent's alone, whether they serve its queue or not, and is ranked by the usual key."""
    rules = rules_of(queue("support"), queue("sales"), agent("a", "support"), agent("b", "sales"))
    built = Built(rules)
    reserved = make_call("reserved", "support", 500)
    reserved.preferred = Preferred("b", until_ms=9_000, alone=True)
    built.add(reserved)
    built.add(make_call("older", "sales", 400))
    assert built.best_call("a") is None
    assert built.best_call("b") == "older"
    assert built.index.best_agent(reserved) == "b"
    built.check()
    built.remove(built.calls["older"][0])
    assert built.best_call("b") == "reserved"
    built.take_out("b")
    assert built.index.best_agent(reserved) is None


def test_the_circle_goes_on_over_ranks_and_delays() -> None:
    """Where a strategy goes round, each rank is a circle of its own, whoever helps when."""
    rules = rules_of(
        queue("support", strategy="round_robin_memory"),
        agent("a", "support"),
        agent("b", ("support", Service(delay_ms=5_000))),
        agent("c", ("support", Service(rank=2))),
        agent("d", "support"),
        agent("e", ("support", Service(rank=2, backup=True))),
    )
    built = Built(rules)
    built.orderings["support"].last_place = 2
    call = make_call("anna", "support", 0, delay_ms=5_000)
    call.backup = True
    assert built.order(call) == ["d", "a", "b", "e", "c"]
