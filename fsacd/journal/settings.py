"""The settings of a journal, and the state that it reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fsacd.caller.number_plan import PLAIN, NumberPlan


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """A snapshot is made after `snapshot_entries`, or after `snapshot_s` if there are any, but never before the pause.

    `retry_s`: how soon a journal that could not be written is tried again; `snapshot_retry_s`: a snapshot that failed.
    """

    directory: Path
    snapshot_entries: int = 20_000
    snapshot_s: float = 300.0
    snapshot_pause_s: float = 15.0
    retry_s: float = 3.0
    snapshot_retry_s: float = 60.0
    # How numbers are compared when callers are erased.
    plan: NumberPlan = PLAIN


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the journal has done since the start. Lags are seconds from a write to the disk."""

    writing: bool
    entries: int
    bytes: int
    lost: int
    errors: int
    syncs: int
    sync_lag_s: float
    longest_sync_lag_s: float
    snapshots: int
    snapshot_failures: int
    snapshot_s: float
