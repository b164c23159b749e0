"""From when the fence counts, and what happens after its end; the switch is that of test_fence."""

from __future__ import annotations

from fsacd.esl.fence import Held, Taken
from fsacd.esl.wire import Outcome, Reply
from tests.esl.test_fence import ACTS_MS, TERM_MS, Switch


def test_the_term_counts_from_the_moment_of_asking() -> None:
    """A slow switch may have written it down at once: what its answer took is gone, at the taking as at a renewal."""
    switch = Switch()
    one = switch.daemon("one")
    switch.takes_ms = 1_000
    began_ms = 2 * 1_000  # who holds it, and who held it last
    end_ms = switch.now_ms + began_ms + ACTS_MS
    assert one.acquire() == Held(1, "")
    assert one.left_ms() == end_ms - switch.now_ms < ACTS_MS
    asked_ms = switch.now_ms
    assert one.renew()
    assert one.left_ms() == asked_ms + ACTS_MS - switch.now_ms < ACTS_MS


def test_after_its_end_nothing_is_asked() -> None:
    """A renewal that is too late would lengthen what may be somebody else's."""
    switch = Switch()
    one = switch.daemon("one")
    one.acquire()
    asked: list[str] = []
    switch.before = asked.append
    switch.now_ms += TERM_MS
    assert not one.renew()
    assert one.left_ms() == 0
    assert asked == []


def test_the_end_is_noticed_at_the_end() -> None:
    """A switch that does not answer holds nobody for longer than the right to act: then it is over, and told so."""
    switch = Switch()
    one = switch.daemon("one")
    one.acquire()
    switch.now_ms += 2_500
    end_ms = switch.now_ms + one.left_ms()
    switch.takes_ms = 10 * TERM_MS
    assert not one.renew()
    assert switch.now_ms == end_ms


def test_where_nobody_knows_whether_it_was_renewed_it_was() -> None:
    """The entry's own end has passed, and the switch does not say how often it was renewed: it stays the other's."""
    switch = Switch()
    one, two = switch.daemon("one"), switch.daemon("two")
    one.acquire()
    switch.now_ms += ACTS_MS - 1
    assert one.renew()
    switch.now_ms += TERM_MS - ACTS_MS + 1
    asked: list[str] = []

    def answer_the_first(verb: str) -> None:
        asked.append(verb)
        switch.refusal = Reply(Outcome.UNCONFIRMED, "no answer in time") if len(asked) == 2 else None

    switch.before = answer_the_first
    assert two.acquire() == Taken("one", 1)
    assert asked == ["select", "select"]
    assert one.renew()


def test_nothing_of_a_fence_that_is_over_stays_in_the_switch() -> None:
    """Its table has no end of its own: a year of daemons that come and go would fill it."""
    switch = Switch()
    one, two = switch.daemon("one"), switch.daemon("two")
    one.acquire()
    assert one.renew()
    switch.now_ms += 2 * TERM_MS
    assert two.acquire() == Held(2, "one")
    assert set(switch.table) == {"leader", "last"}
    again = switch.daemon("two")
    assert again.acquire() == Held(3, "two")
    assert not two.renew()
    assert set(switch.table) == {"leader", "last"}
