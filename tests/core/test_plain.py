"""Values as plain data: every fact comes back as it was, through JSON, and older and newer writings are understood."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsacd.core import events as e
from fsacd.core.plain import Unreadable, from_plain, is_plain_as_it_is, to_plain
from fsacd.core.rules import AgentRules, QueueRules, Rules, Service, Step, ToExtension, ToHangup, ToQueue

EVENTS = get_args(e.Event)
# What JSON's writer takes: no lone surrogates, and numbers of 64 bits.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
LEVELS = st.lists(st.tuples(TEXTS, st.integers(1, 10)), max_size=3).map(tuple)

st.register_type_strategy(str, TEXTS)
st.register_type_strategy(int, NUMBERS)
TARGETS = st.one_of(st.builds(ToQueue), st.builds(ToExtension), st.builds(ToHangup))
STEPS = st.builds(Step, overflow=st.none() | TARGETS)
SCALARS = st.one_of(NUMBERS, TEXTS, st.booleans(), st.floats(allow_nan=False))
MANY = st.lists(SCALARS, max_size=3).map(tuple) | st.lists(st.tuples(TEXTS, SCALARS), max_size=3).map(tuple)
PARAMETERS = st.lists(st.tuples(TEXTS, SCALARS | MANY), max_size=3).map(tuple)
QUEUES = st.builds(
    QueueRules, strategy_parameters=PARAMETERS, steps=st.lists(STEPS, max_size=2).map(tuple), when_full=TARGETS
)
AGENTS = st.builds(AgentRules, queues=st.dictionaries(TEXTS, st.builds(Service), max_size=2), skills=LEVELS)
RULES = st.builds(
    Rules, queues=st.dictionaries(TEXTS, QUEUES, max_size=2), agents=st.dictionaries(TEXTS, AGENTS, max_size=2)
)
SERVICES = st.none() | st.dictionaries(TEXTS, st.builds(Service), max_size=2)


def facts(kind: type) -> st.SearchStrategy[Any]:
    """Any fact of this kind."""
    if kind is e.RulesChanged:
        return st.builds(e.RulesChanged, RULES)
    if kind is e.AgentChangeAsked:
        return st.builds(e.AgentChangeAsked, queues=SERVICES)
    return st.builds(kind)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_fact_comes_back(kind: type, data: st.DataObject) -> None:
    """Whatever a fact holds, it is read from JSON as it was written."""
    fact = data.draw(facts(kind))
    assert fact == from_plain(orjson.loads(orjson.dumps(to_plain(fact, kind))), kind)
    assert type(fact) is kind


@pytest.mark.parametrize("kind", [kind for kind in EVENTS if is_plain_as_it_is(kind)], ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_plain_facts_need_no_help(kind: type, data: st.DataObject) -> None:
    """A fact that is plain as it is may be given to a writer of JSON that knows dataclasses."""
    fact = data.draw(facts(kind))
    assert orjson.loads(orjson.dumps(to_plain(fact, kind))) == orjson.loads(orjson.dumps(fact))


def test_infinity_is_kept() -> None:
    """JSON has no infinity, but the counters of an agent who has done nothing have."""

    @dataclass
    class Counter:
        value: float

    plain = json.loads(json.dumps(to_plain(Counter(-inf), Counter), allow_nan=False))
    assert from_plain(plain, Counter) == Counter(-inf)


def test_missing_fields_take_their_defaults_and_unknown_ones_are_ignored() -> None:
    """An older fsacd has written less than we know, a newer one more."""
    plain = {"call_id": "c", "queue": "q", "arrived_ms": 1, "mood": {"good": True}}
    assert from_plain(plain, e.CallQueued) == e.CallQueued("c", "q", 1)


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ({"call_id": "c"}, "CallerGone.cause: str was expected, not 5"),
        ([], "CallerGone was expected, not []"),
        ({}, "CallerGone has no call_id"),
    ],
)
def test_what_does_not_fit_is_said(plain: Any, sentence: str) -> None:
    """Data that is no such value is refused in one sentence that names the field."""
    if plain:
        plain["cause"] = 5
    with pytest.raises(Unreadable) as refused:
        from_plain(plain, e.CallerGone)
    assert sentence == str(refused.value)


def test_an_unknown_class_is_said() -> None:
    """A target of a kind that only a newer fsacd knows is no target."""
    with pytest.raises(Unreadable, match="one of ToQueue, ToExtension, ToHangup was expected, not 'ToMoon'"):
        from_plain({**to_plain(QueueRules("q"), QueueRules), "when_full": {"is": "ToMoon"}}, QueueRules)
