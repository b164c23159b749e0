"""The store's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fsacd.caller.number_plan import PLAIN, NumberPlan


@dataclass(frozen=True, slots=True)
class Keep:
    """How long finished history is kept, in milliseconds; None: for ever. Offers are kept as long as calls."""

    calls_ms: int | None = None
    decisions_ms: int | None = None
    changes_ms: int | None = None
    agent_states_ms: int | None = None
    visits_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where history goes and what it may cost.

    Times in milliseconds, limits in rows, `documents_limit` and `spool_limit` in bytes.
    """

    dsn: str
    queue_limit: int = 100_000
    batch: int = 200
    retry_min_ms: int = 200
    retry_max_ms: int = 10_000
    statement_timeout_ms: int = 5_000
    # How many bytes of explanations may wait in memory: they are long where many agents serve a queue.
    documents_limit: int = 64 * 1024 * 1024
    # A directory that outlives the process; None: rows that the database has not taken yet are in memory alone.
    spool: Path | None = None
    spool_limit: int = 256 * 1000 * 1000
    keep: Keep = Keep()
    # The number plan by which numbers are compared when callers are erased or looked for.
    plan: NumberPlan = PLAIN
