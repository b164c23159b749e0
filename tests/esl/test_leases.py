"""What a lease on the switch tells of the time in which no daemon listened."""

from __future__ import annotations

import pytest

from fsacd.esl.switch_clock import LEASES, lease_end_ms


@pytest.mark.parametrize(
    ("text", "ends_ms"),
    [
        ("155", 155_000),
        (" 155\n", 155_000),
        ("030", None),  # that of vars.xml
        ("", None),
        ("-ERR", None),
        ("\u0661\u0665\u0665", None),  # figures, but not ours
        ("9" * 40, int("9" * 18) * 1_000),
    ],
)
def test_only_what_a_daemon_has_written_counts(text: str, ends_ms: int | None) -> None:
    """In seconds; a number that no daemon writes is cut, whatever somebody has typed there."""
    assert lease_end_ms(text) == ends_ms


def test_the_one_that_reloadxml_leaves_alone_is_asked_for_first() -> None:
    """The other one may be that of vars.xml again, though the switch has not been started anew."""
    assert LEASES == ("fsacd_held_until", "fsacd_lease")
