"""Lines that come again and again: one is written, the others are counted, and that is told."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from fsacd.log import setup as logs
from fsacd.log.repeats import GROUPS, KINDS, PERIOD_S, Repeats, kind_of


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repeats(clock: Clock) -> Repeats:
    return Repeats(clock=clock)


def _tell(*_: object, **__: object) -> None:
    return


def test_one_of_each_kind_in_a_minute(repeats: Repeats, clock: Clock) -> None:
    """The first of a kind is written, the others of the same minute are not; the next minute has its own."""
    assert [repeats.is_due("fs1", "an event", kind, _tell) for kind in "aabab"] == [True, False, True, False, False]
    clock.now_s = PERIOD_S - 1
    assert not repeats.is_due("fs1", "an event", "a", _tell)
    assert repeats.over() == []
    clock.now_s = PERIOD_S
    assert [(over.group, over.event, over.kind, over.count) for over in repeats.over()] == [
        ("fs1", "an event", "a", 3),
        ("fs1", "an event", "b", 1),
    ]
    assert repeats.over() == []
    assert repeats.is_due("fs1", "an event", "a", _tell)


def test_what_came_once_is_told_once(repeats: Repeats, clock: Clock) -> None:
    """A minute in which nothing was left out ends without a word."""
    repeats.is_due("fs1", "an event", "a", _tell)
    clock.now_s = PERIOD_S
    assert repeats.over() == []


def test_groups_and_events_do_not_disturb_each_other(repeats: Repeats) -> None:
    """One switch's flood hides no other switch's line, nor another line of its own."""
    assert repeats.is_due("fs1", "an event", "a", _tell)
    assert repeats.is_due("fs2", "an event", "a", _tell)
    assert repeats.is_due("fs1", "another", "a", _tell)


def test_who_invents_kinds_and_groups_gets_few_lines(repeats: Repeats) -> None:
    """However many kinds and groups a stranger invents: lines and memory have a bound."""
    lines = sum(repeats.is_due("fs1", "an event", str(number), _tell) for number in range(10_000))
    assert lines == KINDS + 1
    lines = sum(repeats.is_due(str(number), "an event", "a", _tell) for number in range(10_000))
    assert lines <= GROUPS + 1
    assert len(repeats._known) <= GROUPS + 1


def test_the_kind_of_a_sentence_is_what_stays_the_same() -> None:
    """Quoted words, names of calls and numbers differ between two sentences of one kind."""
    first = "call 11111111-2222-4333-8444-555555555555: fsacd_priority '7x' is not a number; the queue's is used"
    second = 'call aaaaaaaa-2222-4333-8444-555555555555: fsacd_priority "12" is not a number; the queue\'s is used'
    assert kind_of(first) == kind_of(second)
    assert kind_of(first) != kind_of(first.replace("priority", "head_start"))
    assert len(kind_of("x" * 1_000_000)) < 100


def test_seldom_writes_once_and_says_how_many_it_left_out(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of warnings is one line, and one more at the end of the minute."""
    log = structlog.get_logger("test")
    monkeypatch.setattr(logs, "_repeats", Repeats(clock=clock))
    with capture_logs() as lines:
        for number in range(1_000):
            logs.seldom(log.warning, "skills", "an announcement makes no sense", group="fs1", switch="fs1", what=number)
        logs.tell_repeats()
        clock.now_s = PERIOD_S
        logs.tell_repeats()
    assert [(line["event"], line["log_level"]) for line in lines] == [("an announcement makes no sense", "warning")] * 2
    assert lines[0]["what"] == 0
    assert (lines[1]["group"], lines[1]["kind"], lines[1]["repeated"]) == ("fs1", "skills", 999)
