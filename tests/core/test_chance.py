from __future__ import annotations

from fsacd.core.match.chance import Chance


def throws(seed: int, call_id: str, attempt: int, count: int = 4) -> list[float]:
    chance = Chance(seed, call_id, attempt)
    return [chance.random() for _ in range(count)]


def test_the_same_decision_throws_the_same() -> None:
    """Seed, call and attempt decide every throw, in any process."""
    assert throws(7, "anna", 0) == throws(7, "anna", 0)
    # Written down once: a journal of an older daemon must replay the same.
    assert [round(number, 9) for number in throws(0, "anna", 1, 2)] == [0.06927864, 0.059822101]


def test_another_decision_throws_otherwise() -> None:
    """Another seed, call or attempt has luck of its own."""
    all_throws = [
        tuple(throws(seed, call_id, attempt))
        for seed in range(3)
        for call_id in ("a", "1/a", "b")
        for attempt in (0, 1, 11)
    ]
    assert len(all_throws) == len(set(all_throws))


def test_numbers_are_even_over_zero_to_one() -> None:
    """Of 4,000 first throws, each tenth of [0, 1) has a tenth, give or take four standard deviations."""
    counts = [0] * 10
    for attempt in range(4_000):
        number = Chance(1, "anna", attempt).random()
        assert 0.0 <= number < 1.0
        counts[int(number * 10)] += 1
    assert all(abs(count - 400) < 76 for count in counts), counts
