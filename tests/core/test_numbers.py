"""Which numbers are the same, and which are nobody's."""

from __future__ import annotations

import pytest

from fsacd.core import call as c
from fsacd.core.numbers import identity
from fsacd.core.origins import Origins


@pytest.mark.parametrize(
    "number",
    [
        "",
        " ",
        "anonymous",
        "Anonymous",
        " UNKNOWN ",
        "restricted",
        "0000000000",
        "00000",
        "+000000",
        "anonymous@anonymous.invalid",
    ],
)
def test_a_number_that_is_withheld(number: str) -> None:
    """What switches show where there is none: many callers have it, and it is no one's."""
    assert identity(number) == ""


@pytest.mark.parametrize("number", ["+49301", "1001", "0", "anna", "anonymous1", "000", "00000000001"])
def test_a_number_that_is_somebodys(number: str) -> None:
    """Everything else is somebody's, short as it may be."""
    assert identity(number) == number


def call(call_id: str, number: str, source: str = "") -> c.Call:
    return c.Call(call_id, "support", 0, 0, 0, 0, (), None, number, source=source)


def test_what_has_ended_is_not_kept() -> None:
    """Counts go back to nothing, however numbers are written, so that they take no more room than the calls."""
    origins = Origins()
    calls = [
        call("a", "+49 301", "192.0.2.1"),
        call("b", "+49-301", "192.0.2.1"),
        call("c", "anonymous", "192.0.2.1"),
        call("d", ""),
    ]
    for one in calls:
        origins.add(one)
    assert [origins.of_number(one) for one in calls] == [2, 2, 0, 0]
    assert [origins.of_source(one) for one in calls] == [3, 3, 3, 0]
    for one in calls:
        origins.remove(one)
    assert origins.counts() == ({}, {})
