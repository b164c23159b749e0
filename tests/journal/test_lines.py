"""The journal's lines: what is written is read, and what was damaged is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.core import events as e
from fsacd.core.records import StrategyFailed
from fsacd.core.rules import Limits, Service, ToExtension
from fsacd.core.show.parts import whole
from fsacd.journal import lines
from fsacd.journal.clock import Anchor
from fsacd.testing import agent, queue, rules_of

FACTS: list[e.Event | None] = [
    e.CallQueued("c", "q", 5, e.Leg("s", "u"), priority=None, required=(("german", 5),), name="Ünal\n"),
    e.OfferEnded("o", e.OfferEnd.BUSY, "USER_BUSY"),
    e.AgentChangeAsked("a", "api:x", skills=(), queues={"q": Service(2, backup=True)}),
    e.RulesChanged(rules_of(queue("q"), agent("a", "q", skills={"german": 3}))),
    e.LastAgentsKnown((("1", "a"),)),
    e.CallersForgotten(("1", "+49 2")),
    e.CallChangeAsked("c", "by", priority=2**70),
    e.AgentSetNotReady("a", "phone:1", "half a \ud83d character"),
    None,
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back(fact: e.Event | None) -> None:
    """Every kind of fact is one line, and comes back as it was; also one that JSON's fast writer does not take."""
    line = lines.of_entry(7, fact)
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert lines.Entered(7, fact) == lines.read(line[:-1])


@pytest.mark.parametrize("by", ["anna", "half a \ud83d character"])
def test_digits_are_not_written_down(by: str) -> None:
    """Only how many they were; they may be a card's number."""
    line = lines.of_entry(7, e.TalkDigitsAsked("a", "o", 4, by, "49w29"))
    assert b"49w29" not in line
    assert lines.read(line[:-1]) == lines.Entered(7, e.TalkDigitsAsked("a", "o", 4, by))


@pytest.mark.parametrize("agents", [0, 1, 100])
def test_what_was_written_down_before_is_the_same(agents: int) -> None:
    """In parts, and with the time at which it entered the engine at its end."""
    crowd = {f"a{n}": agent(f"a{n}", "q", skills={"german": 3}) for n in range(agents)}
    event = e.RulesAmended(
        3, Limits(), ToExtension("x"), ToExtension("y"), queues={"q": queue("q")}, agents=crowd, gone_agents=("b",)
    )
    rendered = whole(lines.rendered(event))
    assert rendered is not None
    line = lines.of_rendered(7, rendered)
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert lines.read(line[:-1]) == lines.Entered(7, event) == lines.read(lines.of_entry(7, event)[:-1])


def test_what_only_the_slower_writer_takes_is_not_written_down_before() -> None:
    """It is written when it enters."""
    event = e.RulesAmended(0, Limits(), ToExtension("x"), ToExtension("y"), agents={"a": agent("a \ud83d")})
    assert whole(lines.rendered(event)) is None


def test_notes_come_back() -> None:
    """What is noted of a step, and of the clocks, comes back as it was."""
    failure = StrategyFailed("q", "mine", "mine.py: too slow", 12, 7)
    anchor = Anchor(1, "boot", 2, 3)
    assert lines.PluginFailedThere(7, failure) == lines.read(lines.of_plugin_failure(7, failure)[:-1])
    assert lines.EngineFailedThere(7) == lines.read(lines.of_engine_failure(7)[:-1])
    assert anchor == lines.read(lines.of_clocks(anchor)[:-1])


@given(st.integers(min_value=0), st.integers(1, 255))
def test_one_changed_byte_is_noticed(place: int, change: int) -> None:
    """A line that differs from what was written in one byte is not believed."""
    line = bytearray(lines.of_entry(7, FACTS[0])[:-1])
    line[place % len(line)] ^= change
    with pytest.raises(lines.Damaged):
        lines.read(bytes(line))


def test_what_a_newer_fsacd_writes_is_passed_over() -> None:
    """A kind of fact or of note that this fsacd does not know is no damage."""
    assert lines.read(lines.of_object({"t": 1, "f": "CallSang", "d": {}})[:-1]) is None
    assert lines.read(lines.of_object({"t": 1, "n": "weather"})[:-1]) is None


@pytest.mark.parametrize("content", [{"t": "soon"}, {"f": "CallerGone", "d": {}}, {"t": 1, "f": "CallerGone", "d": {}}])
def test_what_makes_no_sense_is_damage(content: dict[str, object]) -> None:
    """A whole line that is no entry is said to be none."""
    with pytest.raises(lines.Damaged, match="it is not understood"):
        lines.read(lines.of_object(content)[:-1])
