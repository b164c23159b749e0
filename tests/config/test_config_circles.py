"""Overflows must end: every circle is found, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import parse
from tests.config.few_plugins import few_plugins

QUEUES = "abcde"
# Every way in which a queue can overflow into another.
WAYS = (
    "when_full: {{queue: {to}}}",
    "max_per_number: 3, when_max_per_number: {{queue: {to}}}",
    "max_per_source: 3, when_max_per_source: {{queue: {to}}}",
    "max_wait: 1h, when_max_wait: {{queue: {to}}}",
    "when_closed: {{queue: {to}, waiting: false}}",
    "when_nobody_logged_in: {{queue: {to}, joining: false}}",
    "when_nobody_ready: {{queue: {to}, after: 1m}}",
    "when_estimated_wait: {{queue: {to}, above: 1m}}",
    "steps: [{{after: 1s, backup: true}}, {{after: 2s, overflow: {{queue: {to}}}}}]",
)
# From, by which way, to: so few that about half of the drawings have no circle.
EDGES = st.dictionaries(
    st.tuples(st.sampled_from(QUEUES), st.sampled_from(WAYS)), st.sampled_from(QUEUES), min_size=2, max_size=6
)


def problems(text: str) -> list[str]:
    try:
        parse(
            f"switches: {{fs1: {{password: fine}}}}\n{text}".encode(), Path("f.yaml"), plugins=few_plugins, environ={}
        )
    except ConfigErrors as errors:
        return [problem.text for problem in errors.problems]
    return []


def goes_round(onward: dict[str, set[str]]) -> bool:
    reached = dict(onward)
    for _ in QUEUES:
        reached = {queue: targets.union(*(reached[target] for target in targets)) for queue, targets in reached.items()}
    return any(queue in targets for queue, targets in reached.items())


@given(EDGES)
def test_circles_are_found_if_there_are_any(edges: dict[tuple[str, str], str]) -> None:
    """Whatever leads from queue to queue, it is complained of exactly when some call could go round for ever."""
    onward: dict[str, set[str]] = {queue: set() for queue in QUEUES}
    settings: dict[str, list[str]] = {queue: [] for queue in QUEUES}
    for (queue, way), to in edges.items():
        onward[queue].add(to)
        settings[queue].append(way.format(to=to))
    found = problems("queues:\n" + "".join(f"  {queue}: {{{', '.join(said)}}}\n" for queue, said in settings.items()))
    assert all(problem.startswith("overflow goes round in a circle: ") for problem in found)
    assert bool(found) == goes_round(onward)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_a_way(way: str) -> None:
    """A queue that overflows into itself is a circle by whichever setting."""
    assert problems(f"queues: {{a: {{{way.format(to='a')}}}}}") == ["overflow goes round in a circle: a → a"]


@pytest.mark.parametrize("limit", ["max_per_number", "max_per_source"])
def test_a_limit_that_is_off_leads_nowhere(limit: str) -> None:
    """Its target is no way, and a queue that names one itself is told so."""
    assert problems(f"defaults: {{{limit}: 0, when_{limit}: {{queue: a}}}}\nqueues: {{a: , b: }}") == []
    assert problems(f"queues: {{a: {{{limit}: 0, when_{limit}: {{queue: b}}}}, b: }}") == [
        f"never happens: {limit} is 0"
    ]


def test_a_maximum_wait_that_never_comes_leads_nowhere() -> None:
    """A target of the defaults for calls that waited too long is no way where there is no maximum."""
    assert problems("defaults: {when_max_wait: {queue: a}}\nqueues: {a: , b: }") == []
