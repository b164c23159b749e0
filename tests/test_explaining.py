from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gevent
import pytest
from structlog.testing import capture_logs

from fsacd.core.records import CallJoined, DecisionMade
from fsacd.core.views import Explanation, RankedAgent, Rejected, WhyNot
from fsacd.http import models
from fsacd.store.explanations import AGENTS, Explain, Explainer, InParts, document
from fsacd.store.rows import DECISIONS, Row

TOLD = Explanation(
    call_id="c1", queue="support", at_ms=2_000, decision=7, chosen="anna", strategy="longest_idle",
    required=(("french", 3),), priority=2, waited_ms=1_500,
    eligible=(RankedAgent("anna", 0, 1, 7, (1.5, float("-inf"))), RankedAgent("ben", 1, 2, 3, (0.0, float("inf")))),
    rejected=(Rejected("carl", WhyNot.SKILL, "has no french"), Rejected("dora", WhyNot.NOT_READY, "lunch")),
    sentence="anna was chosen of 2", candidates=3, shown=2, contact_id="c0",
)  # fmt: skip


def wall(ms: int) -> int:
    return 1_700_000_000_000 + ms


def made(number: int) -> DecisionMade:
    return DecisionMade(number, "c1", "support", "anna", f"o{number}", 2_000)


def await_true(condition: Callable[[], bool], deadline_s: float = 30.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the awaited condition did not come true"
        gevent.sleep(0.001)


class Kept(list[Row]):
    """A store that keeps what it gets."""

    def __call__(self, rows: Sequence[Row]) -> None:
        self.extend(rows)

    def numbers(self) -> list[object]:
        return [row.values[2] for row in self]


@contextmanager
def explaining(explain: Explain, kept: Kept, limit: int = 100) -> Iterator[Explainer]:
    explainer = Explainer(explain, kept, wall, limit=limit)
    explainer.start()
    try:
        yield explainer
    finally:
        explainer.stop(0)


def test_a_decision_becomes_a_row() -> None:
    """A decision is explained after its step and becomes one row; other records are left alone."""
    kept = Kept()
    asked: list[int] = []

    def explain(number: int) -> Explanation:
        asked.append(number)
        return TOLD

    with explaining(explain, kept) as explainer:
        explainer.sink([CallJoined("c1", "support", 0), made(7)])
        assert asked == []
        await_true(lambda: explainer.state().explained == 1)
    assert asked == [7]
    (row,) = kept
    assert (row.table, row.values[:-1]) == (DECISIONS, ("o7", "c1", 7, "support", "anna", wall(2_000)))
    text = row.values[-1]
    assert isinstance(text, bytes)
    assert json.loads(text) == document(TOLD, wall)


def test_the_document_is_the_apis() -> None:
    """What is stored is what the API shows: moments as RFC 3339, seconds, keys without an infinity of Python's own."""
    shown = document(TOLD, wall)
    assert models.Explanation.model_validate(shown).model_dump() == shown
    assert shown == {
        "decision": 7,
        "at": "2023-11-14T22:13:22.000Z",
        "queue": "support",
        "chosen": "anna",
        "strategy": "longest_idle",
        "sentence": "anna was chosen of 2",
        "priority": 2,
        "required_skills": {"french": 3},
        "waited_seconds": 1.5,
        "eligible": [
            {"agent": "anna", "missed": 0, "let_pass": 0, "rank": 1, "level": 7, "key": [1.5, "-infinity"]},
            {"agent": "ben", "missed": 1, "let_pass": 1, "rank": 2, "level": 3, "key": [0.0, "infinity"]},
        ],
        "eligible_total": 2,
        "not_rung": [
            {"agent": "carl", "why": "skill", "detail": "has no french"},
            {"agent": "dora", "why": "not_ready", "detail": "lunch"},
        ],
        "not_rung_total": 2,
        "reasons": {"skill": 1, "not_ready": 1},
        "candidates": 3,
        "shown": 2,
        "contact_id": "c0",
    }


def test_a_large_queue_is_not_written_out_in_full() -> None:
    """Of thousands of agents the first are written out, and all are counted."""
    many = Explanation(
        "c1", "support", 0, 1, None, "x", (), 0, 0,
        tuple(RankedAgent(f"a{number}", 0, 1, 0, (1.0,)) for number in range(5_000)),
        tuple(Rejected(f"b{number}", WhyNot.TALKING, "c2") for number in range(4_000)), "",
    )  # fmt: skip
    shown = document(many, wall)
    assert (len(shown["eligible"]), shown["eligible_total"]) == (AGENTS, 5_000)
    assert (len(shown["not_rung"]), shown["not_rung_total"], shown["reasons"]) == (AGENTS, 4_000, {"talking": 4_000})


def test_what_the_engine_has_forgotten() -> None:
    """A decision that the engine no longer knows is counted, and those after it are explained."""
    kept = Kept()
    with explaining(lambda number: None if number == 1 else TOLD, kept) as explainer:
        explainer.sink([made(1), made(2)])
        await_true(lambda: explainer.state().queued == 0 and explainer.state().explained == 1)
        assert explainer.state().forgotten == 1
    assert kept.numbers() == [2]


def test_a_fault_of_one_explanation() -> None:
    """An explanation that fails is counted and logged once, and the others go on."""
    kept = Kept()

    def explain(number: int) -> Explanation:
        if number in (1, 3):
            raise KeyError(number)
        return TOLD

    with capture_logs() as logs, explaining(explain, kept) as explainer:
        explainer.sink([made(number) for number in range(5)])
        await_true(lambda: explainer.state().explained == 3)
    assert kept.numbers() == [0, 2, 4]
    assert explainer.state().failed == 2
    assert [line["log_level"] for line in logs] == ["error"]


def test_more_than_can_be_explained() -> None:
    """At the limit new decisions are dropped and counted, with one warning until there is room again."""
    kept = Kept()
    explainer = Explainer(lambda number: TOLD, kept, wall, limit=3)
    with capture_logs() as logs:
        for number in range(5):
            explainer.sink([made(number)])
        assert (explainer.state().queued, explainer.state().dropped) == (3, 2)
        assert [line["log_level"] for line in logs] == ["warning"]
        explainer.start()
        await_true(lambda: explainer.state().queued == 0)
        explainer.sink([made(number) for number in range(5, 10)])
    assert explainer.stop() == 0
    assert kept.numbers() == [0, 1, 2, 5, 6, 7]
    assert [line["log_level"] for line in logs] == ["warning", "warning"]


def test_calls_go_first() -> None:
    """However much there is to explain, others get their turn after each moment of it."""
    kept = Kept()
    turns = 0

    def explain(number: int) -> Explanation:
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        return TOLD

    def decide() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    with explaining(explain, kept, limit=1_000) as explainer:
        explainer.sink([made(number) for number in range(100)])
        other = gevent.spawn(decide)
        await_true(lambda: explainer.state().explained >= 20)
        other.kill()
    assert turns >= 20


def test_an_explanation_in_parts() -> None:
    """An explanation that is told in parts lets others go first between them, and is kept as a whole."""
    kept = Kept()
    parts = turns = 0

    def explain(number: int) -> InParts:
        nonlocal parts
        for _ in range(20):
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            parts += 1
            yield
        return TOLD if number else None

    def decide() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0.001)

    with explaining(explain, kept) as explainer:
        explainer.sink([made(0), made(1)])
        other = gevent.spawn(decide)
        await_true(lambda: explainer.state().explained == 1)
        other.kill()
    assert (parts, kept.numbers(), explainer.state().forgotten) == (40, [1], 1)
    assert turns >= 40


def test_stop_explains_what_waits() -> None:
    """The end explains what waits, for a limited time, and says what stays unexplained."""
    kept = Kept()
    explainer = Explainer(lambda number: TOLD, kept, wall)
    explainer.start()
    explainer.sink([made(number) for number in range(50)])
    assert explainer.stop() == 0
    assert len(kept) == 50
    never_started = Explainer(lambda number: TOLD, kept, wall)
    never_started.sink([made(1)])
    with capture_logs() as logs:
        assert never_started.stop(10) == 1
    assert [(line["log_level"], line["decisions"]) for line in logs] == [("warning", 1)]


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d pair"])
def test_text_that_no_document_can_hold(text: str) -> None:
    """NUL and half surrogates in whatever an operator wrote are replaced, so that the row is stored."""
    told = Explanation("c1", "q", 0, 1, None, "x", (), 0, 0, (), (Rejected("a", WhyNot.NOT_READY, text),), text)
    shown = document(told, wall)
    assert "\ufffd" in shown["sentence"]
    assert "\ufffd" in shown["not_rung"][0]["detail"]
