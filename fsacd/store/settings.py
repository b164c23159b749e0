"""What the store is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where history goes and what it may cost. Times in milliseconds, limits in rows, `documents_limit` in bytes."""

    dsn: str
    queue_limit: int = 100_000
    batch: int = 200
    retry_min_ms: int = 200
    retry_max_ms: int = 10_000
    statement_timeout_ms: int = 5_000
    # Explanations are long where many agents serve a queue: so many bytes of them may wait.
    documents_limit: int = 64 * 1024 * 1024
