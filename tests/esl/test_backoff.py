"""The delays between attempts."""

from __future__ import annotations

from fsacd.esl.link import Backoff


def test_delays_double_up_to_the_largest() -> None:
    """Attempts come at growing intervals, up to the largest."""
    backoff = Backoff(200, 1_000, lambda: 1.0)
    assert [backoff.next_ms() for _ in range(5)] == [200, 400, 800, 1_000, 1_000]


def test_half_of_a_delay_is_chance() -> None:
    """A delay lies between its half and its whole."""
    chances = iter([0.0, 0.5, 1.0])
    backoff = Backoff(100, 100, lambda: next(chances))
    assert [backoff.next_ms() for _ in range(3)] == [50, 75, 100]


def test_a_success_begins_anew() -> None:
    """After a success the first delay is the shortest again."""
    backoff = Backoff(200, 1_000, lambda: 1.0)
    backoff.next_ms()
    backoff.next_ms()
    backoff.reset()
    assert backoff.next_ms() == 200
