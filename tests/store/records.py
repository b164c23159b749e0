"""One record of each kind, and a store that writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fsacd.core.records import (
    AgentPresence,
    AgentWorkEnded,
    CallEnded,
    CallOutcome,
    ChangeMade,
    DecisionMade,
    OfferClosed,
    OfferOutcome,
)
from fsacd.store.postgres import Store, StoreSettings

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALL = CallEnded(
    call_id="c1", queue="support", outcome=CallOutcome.ANSWERED, detail="NORMAL_CLEARING", arrived_ms=1_000,
    ended_ms=65_001, waited_ms=4_000, talked_ms=60_001, agent_id="anna", offers=2, priority=3, number="+4930123456",
    name="Zoë 😀", customer="K-1", switch="fs1", leg_uuid="11-22", after="survey", language="fr",
    number_believed=False, resumes="c0", contact_id="K-7",
)  # fmt: skip
OFFER = OfferClosed(
    offer_id="o1", call_id="c1", queue="support", agent_id="anna", attempt=1, outcome=OfferOutcome.UNANSWERED,
    reason="no_answer", started_ms=1_500, answered_ms=None, connected_ms=None, ended_ms=3_000, contact_id="K-7",
)  # fmt: skip
PRESENCE = AgentPresence("anna", "not_ready", "lunch", 0, None, "phone:1001")
WORK = AgentWorkEnded("anna", "talking", "", 200, 1_000, "", "o1", "c1", "support", "voice", 100)
CHANGE = ChangeMade("call_changed", "c1", "priority 0 → 3", "api:wallboard", 1_234)
DECISION = DecisionMade(7, "c1", "support", "anna", "o1", 1_500)


def wall(ms: int) -> int:
    """The Unix time (ms) of a moment of the engine's clock."""
    return int(START.timestamp() * 1_000) + ms


def at(ms: int) -> datetime:
    """The same as a row has it."""
    return START + timedelta(milliseconds=ms)


def settings(dsn: str, **changes: Any) -> StoreSettings:
    """Settings that try again soon, with these changes."""
    return replace(StoreSettings(dsn, retry_min_ms=20, retry_max_ms=100, statement_timeout_ms=1_000), **changes)


@contextmanager
def running(dsn: str, **changes: Any) -> Iterator[Store]:
    """A store that writes; at the end it leaves what it has not written."""
    store = Store(settings(dsn, **changes), wall)
    store.start()
    try:
        yield store
    finally:
        store.stop(0)
