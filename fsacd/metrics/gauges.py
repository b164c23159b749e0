"""The state of the daemon's parts at the moment of a scrape: series from counts."""

from __future__ import annotations

from typing import Protocol

from fsacd.core.views import Counts
from fsacd.metrics.series import Series, counter, gauge

AGENT_STATES = ("logged_out", "not_ready", "ready", "offered", "talking", "wrapping_up", "held_back", "busy")


class StoreCounts(Protocol):
    """The figures of the store."""

    @property
    def connected(self) -> bool: ...  # noqa: D102 - the names say it; fsacd.store.postgres.StoreState documents them
    @property
    def queued(self) -> int: ...  # noqa: D102
    @property
    def written(self) -> int: ...  # noqa: D102
    @property
    def duplicates(self) -> int: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102
    @property
    def refused(self) -> int: ...  # noqa: D102
    @property
    def safe(self) -> bool: ...  # noqa: D102
    @property
    def spooled_bytes(self) -> int: ...  # noqa: D102
    @property
    def unspooled(self) -> int: ...  # noqa: D102
    @property
    def corrupt(self) -> int: ...  # noqa: D102


class JournalCounts(Protocol):
    """The figures of the journal."""

    @property
    def writing(self) -> bool: ...  # noqa: D102 - the names say it; fsacd.journal.journal.JournalState documents them
    @property
    def entries(self) -> int: ...  # noqa: D102
    @property
    def bytes(self) -> int: ...  # noqa: D102
    @property
    def lost(self) -> int: ...  # noqa: D102
    @property
    def errors(self) -> int: ...  # noqa: D102
    @property
    def sync_lag_s(self) -> float: ...  # noqa: D102
    @property
    def snapshots(self) -> int: ...  # noqa: D102
    @property
    def snapshot_failures(self) -> int: ...  # noqa: D102


class ExplainerCounts(Protocol):
    """The figures of the explaining of decisions."""

    @property
    def queued(self) -> int: ...  # noqa: D102 - the names say it; fsacd.store.explanations.ExplainerState documents them
    @property
    def explained(self) -> int: ...  # noqa: D102
    @property
    def forgotten(self) -> int: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102
    @property
    def failed(self) -> int: ...  # noqa: D102


def now(counts: Counts) -> list[Series]:
    """Queues and agents as they are."""
    waiting = gauge("calls_waiting", "Calls that no agent has answered yet.", "queue")
    ringing = gauge("calls_ringing", "Waiting calls for which an agent's phone rings.", "queue")
    talking = gauge("calls_talking", "Calls in talk.", "queue")
    held = gauge("calls_held", "Calls in talk whose caller is on hold.", "queue")
    oldest = gauge("oldest_wait_seconds", "Wait of the call that waits longest; 0 when none does.", "queue")
    ready = gauge("queue_agents_ready", "Agents of the queue who are ready.", "queue")
    logged_in = gauge("queue_agents_logged_in", "Agents of the queue who are logged in.", "queue")
    resting = gauge(
        "queue_agents_not_ready", "Agents of the queue who are at work but not ready for this queue.", "queue"
    )
    is_open = gauge("queue_open", "1 while the queue is open.", "queue")
    estimate = gauge(
        "estimated_wait_seconds", "Estimated wait of a call that joins now; absent while nobody is on duty.", "queue"
    )
    substituted = gauge(
        "strategy_substituted", "1 while a plugin of the queue has failed and another rule does its work.", "queue"
    )
    for queue in counts.queues:
        substituted.values[queue.name,] = bool(queue.substituted)
        waiting.values[queue.name,] = queue.waiting + queue.offered
        ringing.values[queue.name,] = queue.offered
        talking.values[queue.name,] = queue.talking
        held.values[queue.name,] = counts.held.get(queue.name, 0)
        oldest.values[queue.name,] = (queue.oldest_wait_ms or 0) / 1_000
        ready.values[queue.name,] = queue.agents_ready
        logged_in.values[queue.name,] = queue.agents_logged_in
        resting.values[queue.name,] = queue.agents_not_ready
        is_open.values[queue.name,] = queue.is_open
        if queue.estimated_wait_ms is not None:
            estimate.values[queue.name,] = queue.estimated_wait_ms / 1_000
    agents = gauge("agents", "Agents by state.", "state")
    agents.values.update({(state,): 0 for state in AGENT_STATES})
    agents.values.update({(state,): count for state, count in counts.agents.items()})
    legs = gauge("standing_legs", "Agents' standing legs by state, where agents have any.", "state")
    legs.values.update({(state,): count for state, count in counts.standing_legs.items()})
    switches = gauge("switch_up", "1 while the link to the switch is in sync.", "switch")
    switches.values.update({(name,): is_up for name, is_up in counts.switches})
    by_queue = [waiting, ringing, talking, held, oldest, ready, logged_in, resting, is_open, estimate, substituted]
    return [*by_queue, agents, legs, switches]


def stored(state: StoreCounts) -> list[Series]:
    """History on its way to the database."""
    up = gauge("store_up", "1 while there is a connection to the database.")
    queued = gauge("store_queued_rows", "Rows of history that wait to be written.")
    written = counter("store_written_rows", "Rows of history written.")
    duplicates = counter("store_duplicate_rows", "Rows of history that the database had already.")
    dropped = counter("store_dropped_rows", "Rows of history lost because too many waited for the database.")
    refused = counter("store_refused_rows", "Rows of history that the database refused.")
    safe = gauge("store_spool_up", "1 while waiting rows are on disk, where they survive the end of the daemon.")
    spooled = gauge("store_spool_bytes", "Disk that the spool uses.")
    unspooled = counter("store_unspooled_rows", "Rows that could not be written to the spool and waited in memory.")
    corrupt = counter("store_corrupt_lines", "Lines of the spool that could not be used.")
    for series, value in (
        (up, state.connected), (queued, state.queued), (written, state.written),
        (duplicates, state.duplicates), (dropped, state.dropped), (refused, state.refused),
        (safe, state.safe), (spooled, state.spooled_bytes), (unspooled, state.unspooled), (corrupt, state.corrupt),
    ):  # fmt: skip
        series.values[()] = value
    return [up, queued, written, duplicates, dropped, refused, safe, spooled, unspooled, corrupt]


def explained(state: ExplainerCounts) -> list[Series]:
    """Decisions on their way to history."""
    queued = gauge("decisions_queued", "Decisions that wait to be explained.")
    explained = counter("decisions_explained", "Decisions whose explanation went to the store.")
    unexplained = counter("decisions_unexplained", "Decisions whose explanation was not kept, by why.", "why")
    queued.values[()] = state.queued
    explained.values[()] = state.explained
    unexplained.values["dropped",] = state.dropped
    unexplained.values["forgotten",] = state.forgotten
    unexplained.values["failed",] = state.failed
    return [queued, explained, unexplained]


def journaled(state: JournalCounts) -> list[Series]:
    """What is kept for the next start."""
    up = gauge("journal_up", "1 while the journal is written.")
    lag = gauge(
        "journal_sync_lag_seconds",
        "Time from a write to its sync on disk: of the last batch, or of one that still waits.",
    )
    entries = counter("journal_entries", "Entries written to the journal.")
    written = counter("journal_bytes", "Bytes written to the journal.")
    lost = counter("journal_lost_entries", "Entries lost to a restart, because they could not be written.")
    errors = counter("journal_errors", "How often the journal could not be written.")
    snapshots = counter("journal_snapshots", "Snapshots made.")
    failed = counter("journal_failed_snapshots", "Snapshots that could not be made.")
    for series, value in (
        (up, state.writing), (lag, state.sync_lag_s), (entries, state.entries), (written, state.bytes),
        (lost, state.lost), (errors, state.errors), (snapshots, state.snapshots), (failed, state.snapshot_failures),
    ):  # fmt: skip
        series.values[()] = value
    return [up, lag, entries, written, lost, errors, snapshots, failed]


def guessed(locked: int, locks: int) -> list[Series]:
    """PINs that somebody tries."""
    now = gauge("pins_locked", "Agents whose PIN is not taken now, after too many wrong ones.")
    total = counter("pin_locks", "Times that an agent's PIN was no longer taken, after too many wrong ones.")
    now.values[()], total.values[()] = locked, locks
    return [now, total]
