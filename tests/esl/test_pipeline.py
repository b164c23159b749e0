"""Asking the switch many things at once."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from fsacd.esl import encoder
from fsacd.esl.pipeline import Pipeline, Round
from fsacd.esl.wire import Outcome, Reply, Wire

LEGS = [f"aaaaaaaa-2222-4333-8444-{number:012}" for number in range(200)]
DUMPS = [encoder.uuid_dump(leg) for leg in LEGS]


class Switch:
    """Answers a little later; `deaf_after` questions it answers nothing any more."""

    def __init__(self, deaf_after: int = 10_000) -> None:
        self.asked: list[bytes] = []
        self.under_way = self.most_under_way = 0
        self.deaf_after = deaf_after

    def submit(self, wire: Wire, on_reply: Callable[[Reply], object], _timeout_s: float) -> None:
        self.asked.append(wire.data)
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        if len(self.asked) <= self.deaf_after:
            gevent.spawn_later(0.001, self._answer, wire, on_reply)

    def _answer(self, wire: Wire, on_reply: Callable[[Reply], object]) -> None:
        self.under_way -= 1
        on_reply(Reply(Outcome.OK, wire.data.decode().split()[2]))


@pytest.fixture
def switch() -> Switch:
    return Switch()


def test_answers_come_in_the_order_of_the_questions(switch: Switch) -> None:
    """Many are under way at once, but not all: a switch's answers about a leg are long."""
    assert [reply.text for reply in Pipeline(switch.submit, 30.0).all(DUMPS)] == LEGS
    assert 1 < switch.most_under_way <= 64


def test_a_look_asks_each_question_once(switch: Switch) -> None:
    """What was asked ahead is answered from memory."""
    look = Round(Pipeline(switch.submit, 30.0), 30.0)
    look.ahead(DUMPS[:5])
    assert [look(wire).text for wire in DUMPS[:6]] == LEGS[:6]
    look.ahead(DUMPS[:7])
    assert switch.asked == [wire.data for wire in DUMPS[:7]]


def test_a_slow_switch_does_not_hold_a_look_up() -> None:
    """What it has not answered in time stays open, and is not asked for again, one by one, for ever."""
    switch = Switch(deaf_after=100)
    look = Round(Pipeline(switch.submit, 30.0), 0.2)
    look.ahead(DUMPS)
    answers = [look(wire) for wire in DUMPS]
    assert [answer.text for answer in answers[:100]] == LEGS[:100]
    assert {answer.outcome for answer in answers[100:]} == {Outcome.NOT_SENT}
    asked = len(switch.asked)
    assert look(encoder.uptime("s")).outcome is Outcome.NOT_SENT
    assert len(switch.asked) == asked


def test_a_switch_that_says_too_much_is_not_asked_on() -> None:
    """Answers have a bound together: beyond it nothing is kept, nothing more is asked, and the look is over."""
    asked: list[bytes] = []

    def submit(wire: Wire, on_reply: Callable[[Reply], object], _timeout_s: float) -> None:
        asked.append(wire.data)
        gevent.spawn(on_reply, Reply(Outcome.OK, "x" * 1_000))

    replies = Pipeline(submit, 30.0).all(DUMPS, most_text=10_500)
    assert [reply.text for reply in replies[:10]] == ["x" * 1_000] * 10
    assert {reply.outcome for reply in replies[10:]} == {Outcome.NOT_SENT}
    assert len(asked) < len(DUMPS)
    look = Round(Pipeline(submit, 30.0), 30.0, most_text=10_500)
    look.ahead(DUMPS)
    look.ahead(DUMPS)
    asked.clear()
    assert look(DUMPS[-1]).outcome is Outcome.NOT_SENT
    assert look(DUMPS[0]).text == "x" * 1_000
