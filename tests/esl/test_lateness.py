"""How late events come, by their own stamps, on whatever clock the switch has."""

from __future__ import annotations

from fsacd.core.events import OfferConnected, OfferRang
from fsacd.esl.codec import Kind, Message
from fsacd.esl.lateness import Lateness

# The switch's wall clock is far ahead of our monotonic one.
AHEAD_MS = 1_796_302_166_000


def made(at_ms: int) -> Message:
    """An event that was made at this moment of our clock."""
    return Message(Kind.EVENT, {"Event-Date-Timestamp": str((AHEAD_MS + at_ms) * 1_000)})


def test_the_soonest_came_at_once() -> None:
    """What others took beyond that, they were late; within a step of the switch's clock nobody can tell."""
    lateness = Lateness()
    assert lateness.of(made(1_000), 1_005) == 0
    assert lateness.of(made(1_100), 1_405) == 300
    assert lateness.of(made(1_500), 1_520) == 0


def test_a_clock_that_is_set() -> None:
    """Set forward, the next event is the soonest; set back by much, nothing is known until old ones are forgotten."""
    lateness = Lateness()
    assert lateness.of(made(1_000), 1_000) == 0
    assert lateness.of(made(3_601_000), 1_000) == 0
    assert lateness.of(made(1_000), 1_000) == 0, "an hour late is nobody"
    late = [lateness.of(made(at_ms), at_ms + 200) for at_ms in range(2_000, 100_000, 1_000)]
    assert late[-1] == 0
    assert lateness.of(made(100_000), 100_500) == 300


def test_whatever_has_no_stamp_is_not_late() -> None:
    """Nor what a switch says that sends nonsense."""
    lateness = Lateness()
    assert lateness.of(Message(Kind.EVENT, {}), 1_000) == 0
    assert lateness.of(Message(Kind.EVENT, {"Event-Date-Timestamp": "soon"}), 1_000) == 0


def test_what_is_counted_by_is_dated() -> None:
    """A fact between whose moments history counts has its lateness; another one stays the very object."""
    lateness = Lateness()
    lateness.of(made(0), 0)
    assert lateness.noted(OfferConnected("o"), made(100), 400) == OfferConnected("o", late_ms=300)
    rang = OfferRang("o")
    assert lateness.noted(rang, made(100), 400) is rang
