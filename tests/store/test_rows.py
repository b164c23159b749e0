from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fsacd.core.records import (
    AgentPresence,
    AgentStateEnded,
    Anomaly,
    CallConnected,
    CallJoined,
    CallMoved,
    DecisionMade,
    Record,
    StandingLegLost,
    StrategyFailed,
    StrategyReturned,
)
from fsacd.store.rows import AGENT_STATES, TEXT_LIMIT, Row, clean, row


@pytest.mark.parametrize(
    "record",
    [
        CallJoined("c1", "support", 0),
        CallConnected("c1", "support", "anna", 0, 5),
        CallMoved("c1", "support", "sales", 0, "max_wait"),
        DecisionMade(1, "c1", "support", "anna", "o1", 0),
        StrategyFailed("support", "own", "it raised", calls=1, at_ms=0),
        StrategyReturned("support", "own", 1, 0),
        StandingLegLost("anna", "USER_BUSY", 0),
        Anomaly("late_reply", "a late reply", 0),
        AgentStateEnded("anna", "ready", "", 1, 2),
    ],
)
def test_counted_only(record: Record) -> None:
    """Records that only count become no row."""
    assert row(record, lambda ms: ms) is None


def test_moments_become_dates() -> None:
    """Engine milliseconds go through the wall clock and become exact dates in UTC."""
    made = row(AgentPresence("anna", "ready", "", 1, 2, "phone:1001"), lambda ms: 1_700_000_000_120 + ms)
    assert made is not None
    assert made.fields() == {
        "agent_id": "anna",
        "presence": "ready",
        "reason": "",
        "started_at": datetime(2023, 11, 14, 22, 13, 20, 121_000, tzinfo=UTC),
        "ended_at": datetime(2023, 11, 14, 22, 13, 20, 122_000, tzinfo=UTC),
        "by": "phone:1001",
    }


def test_moment_outside_the_calendar() -> None:
    """A senseless moment fails when it is written, not when it is put."""
    made = Row(AGENT_STATES, ("anna", "ready", "", 0, 10**18, ""))
    with pytest.raises(OverflowError):
        made.fields()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Zoë 😀", "Zoë 😀"),
        ("a\x00b", "a\ufffdb"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("9" * 60_000, "9" * TEXT_LIMIT),
        ("'; DROP TABLE calls; --", "'; DROP TABLE calls; --"),
    ],
)
def test_text_of_callers(text: str, stored: str) -> None:
    """What PostgreSQL cannot hold is replaced, what is too long is cut, and the rest stays as it came."""
    assert clean(text) == stored
