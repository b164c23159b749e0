from __future__ import annotations

import pytest

from fsacd.desk.rights import Role
from fsacd.http.access import Access, Token
from fsacd.http.buckets import Bucket

WALLBOARD = Token.of("wallboard", Role.READ, "a-long-secret")
DESK = Token.of("desk", Role.AGENT, "another-secret")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer a-long-secret", WALLBOARD),
        ("bearer   another-secret ", DESK),
        ("Bearer a-long-secre", None),
        ("Bearer A-long-secret", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic a-long-secret", None),
        ("a-long-secret", None),
        ("Bearer ÿ\xff", None),
        ("Bearer 😀", None),
        ("", None),
        (None, None),
    ],
)
def test_only_the_exact_secret_behind_bearer_is_a_token(header: str | None, expected: Token | None) -> None:
    """A token is recognised by its exact secret after the word Bearer in any case."""
    access = Access([WALLBOARD, DESK], rate=1, burst=1, clock=Clock())
    assert expected == access.identify(header)


def test_a_token_does_not_show_its_digest() -> None:
    """What identifies a token does not get into a log by printing it."""
    assert "wallboard" in repr(WALLBOARD)
    assert "sha256" not in repr(WALLBOARD)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """Three requests at once, then one every half second, and the wait is told exactly."""
    clock = Clock()
    bucket = Bucket(2.0, 3.0, clock)
    assert [bucket.take() for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 0.5]
    clock.now += 0.5
    assert [bucket.take(), bucket.take()] == [0.0, 0.5]


def test_a_bucket_in_debt_gives_nothing_until_it_is_paid() -> None:
    """What was charged after a request was let in is waited for by the next."""
    clock = Clock()
    bucket = Bucket(2.0, 3.0, clock)
    assert bucket.take() == 0.0
    bucket.charge(4.0)
    assert bucket.take() == 1.5
    clock.now += 1.5
    assert bucket.take() == 0.0


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    """An hour of silence does not allow an hour's requests at once."""
    clock = Clock()
    bucket = Bucket(2.0, 3.0, clock)
    clock.now += 3_600
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]


def test_strangers_do_not_use_up_a_tokens_requests() -> None:
    """Requests without a valid token are counted apart from those with one, and each token for itself."""
    access = Access([WALLBOARD, DESK], rate=1, burst=1, clock=Clock())
    assert [access.admit(None), access.admit(None)] == [0.0, 1.0]
    assert [access.admit(WALLBOARD), access.admit(WALLBOARD)] == [0.0, 1.0]
    assert access.admit(DESK) == 0.0
