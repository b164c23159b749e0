"""Spoiled journals: one or two files of a journal spoiled in any way, and each start comes through all the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journal.test_nonsense import judge

JOURNALS = 400
_OF_ONE = 20
_CRITICAL = 50


def main(n: int | None) -> int:
    """Spoil them, each time others. What the daemon says of them is left out: it is what every one of them is about."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_CRITICAL))

    @settings(
        max_examples=JOURNALS if n is None else _OF_ONE * n,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def spoil(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory(prefix="fsacd-journal-") as place:
            judge(Path(place) / "journal", data)

    spoil()
    return 0
