"""What Prometheus may ask: counters from the records, gauges from a snapshot, and how we ourselves do.

`config/prometheus/README.md` defines each metric. Base units; no number, name or uuid of a caller is ever a label, and
the words in labels are the configuration's or come from lists with an end.

A scrape copies the numbers where calls are decided, in one go, and renders the copy in a thread when it is large.
"""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, assert_never

from gevent.hub import get_hub
from gevent.lock import BoundedSemaphore
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fsacd import __version__
from fsacd.core.records import (
    AgentStateEnded,
    Anomaly,
    CallConnected,
    CallEnded,
    CallJoined,
    CallMoved,
    CallOutcome,
    ChangeMade,
    DecisionMade,
    OfferClosed,
    Record,
    StrategyFailed,
)
from fsacd.core.rules import QueueRules, Rules
from fsacd.core.views import Snapshot
from fsacd.series import OTHER, Distribution, Series, Words, counter, gauge

# The queue of calls that name one we do not know; no configured queue can have brackets in its name.
UNKNOWN_QUEUE = "(unknown)"
AGENT_STATES = ("logged_out", "not_ready", "ready", "offered", "talking", "wrapping_up", "held_back", "busy")
_WAIT_BUCKETS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800)
_TALK_BUCKETS = (5, 10, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600)
_DECISION_BUCKETS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.25)
# Beyond this many values a scrape is rendered in a thread: below, the hand-over costs more than it spares.
_LARGE = 1_000
_SWITCH_INTERVAL_S = 0.001


class StoreCounts(Protocol):
    """What we show of the store."""

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
    """What we show of the journal."""

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
    """What we show of the explaining of decisions."""

    @property
    def queued(self) -> int: ...  # noqa: D102 - the names say it; fsacd.explaining.ExplainerState documents them
    @property
    def explained(self) -> int: ...  # noqa: D102
    @property
    def forgotten(self) -> int: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102
    @property
    def failed(self) -> int: ...  # noqa: D102


class _Calls:
    """What is counted by queue."""

    def __init__(self) -> None:
        self.offered = counter("calls_offered", "Calls that joined the queue.", "queue")
        self.connected = counter("calls_connected", "Connections of a caller and an agent, as they come.", "queue")
        self.answered = counter("calls_answered", "Finished calls that an agent answered.", "queue")
        self.answered_in_time = counter(
            "calls_answered_within_service_level", "Of these, those that waited no longer than the threshold.", "queue"
        )
        self.abandoned = counter("calls_abandoned", "Calls whose caller hung up while waiting.", "queue")
        self.abandoned_short = counter(
            "calls_abandoned_short", "Of these, those within the short-abandon limit.", "queue"
        )
        self.abandoned_in_time = counter(
            "calls_abandoned_within_service_level",
            "Of the abandoned, those beyond the short-abandon limit that waited no longer than the threshold.",
            "queue",
        )
        self.overflowed = counter(
            "calls_overflowed", "Calls that left the queue for another target, by why.", "queue", "why"
        )
        self.refused = counter("calls_refused", "Calls that never stood in a queue.", "queue")
        self.ended = counter("calls_ended", "Finished calls, each once.", "queue", "outcome")
        self.wait = Distribution(
            _WAIT_BUCKETS, "wait_seconds", "Wait of finished calls, ringing included.", "queue", "outcome"
        )
        self.talk = Distribution(_TALK_BUCKETS, "talk_seconds", "Talk of finished calls.", "queue")
        self.decisions = counter("decisions", "Decisions to ring an agent for a call.", "queue")
        self.offers = counter("offers", "Finished offers of a call to an agent.", "queue", "outcome", "reason")
        self.failures = counter(
            "strategy_failures", "Failures of a plugin, whose work another one has taken over.", "queue", "plugin"
        )

    def by_queue(self) -> tuple[Series, ...]:
        """The counters whose only label is the queue, which begin at zero."""
        return (
            self.offered, self.connected, self.answered, self.answered_in_time,
            self.abandoned, self.abandoned_short, self.abandoned_in_time, self.refused, self.decisions,
        )  # fmt: skip

    def all(self) -> tuple[Series | Distribution, ...]:
        return (*self.by_queue(), self.overflowed, self.ended, self.wait, self.talk, self.offers, self.failures)


class _Daemon:
    """What is counted about ourselves and our links."""

    def __init__(self) -> None:
        self.agent_seconds = counter("agent_state_seconds", "Time agents spent in a state, as it ends.", "state")
        self.changes = counter("changes", "Changes that somebody made by hand.", "kind")
        self.anomalies = counter("anomalies", "What should not have been, and was dealt with.", "kind")
        self.decision = Distribution(_DECISION_BUCKETS, "decision_seconds", "Time the engine took for one event.")
        self.lag = gauge("event_lag_seconds", "Age of the last probe event when it arrived.", "switch")
        self.reconnects = counter("link_reconnects", "Connections to a switch after the first.", "switch")
        self.late_replies = counter("link_late_replies", "Replies that came after their deadline.", "switch")
        self.standing_by = gauge("switch_standing_by", "1 while another daemon serves the switch.", "switch")
        self.reconciled = counter("reconciled", "Differences between engine and switch that were repaired.", "kind")
        self.build = gauge("build_info", "What runs.", "version", "python")
        self.build.values[__version__, platform.python_version()] = 1

    def all(self) -> tuple[Series | Distribution, ...]:
        return (
            self.agent_seconds, self.changes, self.anomalies, self.decision, self.lag, self.reconnects,
            self.late_replies, self.standing_by, self.reconciled, self.build,
        )  # fmt: skip


class Metrics(Collector):
    """All metrics of one daemon, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry(auto_describe=False) if registry is None else registry
        self._queues: dict[str, QueueRules] = {}
        self._calls = _Calls()
        self._daemon = _Daemon()
        self._words: defaultdict[str, Words] = defaultdict(Words)
        self._snapshot: Callable[[], Snapshot] | None = None
        self._store: Callable[[], StoreCounts] | None = None
        self._explainer: Callable[[], ExplainerCounts] | None = None
        self._journal: Callable[[], JournalCounts] | None = None
        self._prepared: list[Callable[[], Metric]] | None = None
        self._scrape = BoundedSemaphore()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def set_rules(self, rules: Rules) -> None:
        """The queues to count for, at the start and at each reload; a queue that is gone takes its series along."""
        for gone in self._queues.keys() - rules.queues.keys():
            for series in self._calls.all():
                for labels in [labels for labels in series.values if labels[0] == gone]:
                    del series.values[labels]
        self._queues = dict(rules.queues)
        for queue in self._queues:
            for series in self._calls.by_queue():
                series.values[queue,] += 0
            for outcome in (CallOutcome.ANSWERED, CallOutcome.ABANDONED):
                _ = self._calls.ended.values[queue, outcome.value], self._calls.wait.values[queue, outcome.value]
            _ = self._calls.talk.values[queue,]
        self._set_plugins()

    def _set_plugins(self) -> None:
        """For each queue the plugins it uses, from zero; those it has used before a reload are gone."""
        failures = self._calls.failures.values
        used = {
            (queue, plugin)
            for queue, rules in self._queues.items()
            for plugin in (rules.strategy, rules.call_order)
            if plugin is not None
        }
        for gone in [labels for labels in failures if labels not in used]:
            del failures[gone]
        for labels in used:
            failures[labels] += 0

    def watch_snapshot(self, snapshot: Callable[[], Snapshot]) -> None:
        """Where gauges come from at a scrape."""
        self._snapshot = snapshot

    def watch_store(self, state: Callable[[], StoreCounts]) -> None:
        """Where the store's figures come from at a scrape."""
        self._store = state

    def watch_journal(self, state: Callable[[], JournalCounts]) -> None:
        """Where the journal's figures come from at a scrape."""
        self._journal = state

    def watch_explainer(self, state: Callable[[], ExplainerCounts]) -> None:
        """Where the figures of the explained decisions come from at a scrape."""
        self._explainer = state

    def decided(self, seconds: float) -> None:
        """The engine took this long for one event."""
        self._daemon.decision.observe(seconds)

    def event_lag(self, switch: str, seconds: float) -> None:
        """A probe event of ours came back after this long."""
        self._daemon.lag.values[switch,] = seconds

    def reconnected(self, switch: str) -> None:
        """The link to a switch is up again."""
        self._daemon.reconnects.values[switch,] += 1

    def late_reply(self, switch: str) -> None:
        """A reply came when nobody waited for it any more."""
        self._daemon.late_replies.values[switch,] += 1

    def stands_by(self, switch: str, stands_by: bool) -> None:
        """Whether another daemon serves this switch."""
        self._daemon.standing_by.values[switch,] = stands_by

    def reconciled(self, kind: str) -> None:
        """Engine and switch differed in this way, and the difference was repaired."""
        self._daemon.reconciled.values[kind,] += 1

    def sink(self, records: Sequence[Record]) -> None:
        """Count records; a sink of the runtime."""
        for record in records:
            self._count(record)

    def _count(self, record: Record) -> None:
        calls = self._calls
        match record:
            case CallJoined():
                calls.offered.values[self._queue(record.queue),] += 1
            case CallConnected():
                calls.connected.values[self._queue(record.queue),] += 1
            case CallMoved():
                # An operator's name stands behind "asked by".
                why = "asked" if record.why.startswith("asked") else self._words["why"](record.why)
                calls.overflowed.values[self._queue(record.from_queue), why] += 1
            case CallEnded():
                self._count_ended(record)
            case OfferClosed():
                reason = self._words["reason"](record.reason)
                calls.offers.values[self._queue(record.queue), record.outcome.value, reason] += 1
            case AgentStateEnded():
                state = self._words["state"](record.state)
                self._daemon.agent_seconds.values[state,] += (record.ended_ms - record.started_ms) / 1_000
            case DecisionMade():
                calls.decisions.values[self._queue(record.queue),] += 1
            case StrategyFailed():
                failures, labels = calls.failures.values, (self._queue(record.queue), record.plugin)
                failures[labels if labels in failures else (labels[0], OTHER)] += 1
            case ChangeMade():
                self._daemon.changes.values[self._words["change"](record.kind),] += 1
            case Anomaly():
                self._daemon.anomalies.values[self._words["kind"](record.kind),] += 1
            case _:
                assert_never(record)

    def _count_ended(self, call: CallEnded) -> None:
        calls = self._calls
        queue = self._queue(call.queue)
        rules = self._queues.get(queue)
        in_time = rules is not None and call.waited_ms <= rules.service_level_ms
        calls.ended.values[queue, call.outcome.value] += 1
        if call.outcome is CallOutcome.REFUSED:
            calls.refused.values[queue,] += 1
            return
        calls.wait.observe(call.waited_ms / 1_000, queue, call.outcome.value)
        match call.outcome:
            case CallOutcome.ANSWERED:
                calls.answered.values[queue,] += 1
                calls.answered_in_time.values[queue,] += in_time
                calls.talk.observe(call.talked_ms / 1_000, queue)
            case CallOutcome.ABANDONED:
                is_short = rules is not None and call.waited_ms < rules.short_abandon_ms
                calls.abandoned.values[queue,] += 1
                calls.abandoned_short.values[queue,] += is_short
                calls.abandoned_in_time.values[queue,] += in_time and not is_short
            case CallOutcome.OVERFLOWED:
                calls.overflowed.values[queue, self._words["why"](call.detail)] += 1
            case CallOutcome.HUNG_UP | CallOutcome.LEFT | CallOutcome.LOST:
                pass  # counted as ended

    def _queue(self, name: str) -> str:
        return name if name in self._queues else UNKNOWN_QUEUE

    def exposition(self) -> tuple[bytes, str]:
        """The text for Prometheus and its content type; one scrape at a time, and the calls go on meanwhile."""
        with self._scrape:
            self._prepared = self._freeze()
            try:
                size = sum(len(series.values) for series in self._all())
                if size < _LARGE:
                    return generate_latest(self.registry), CONTENT_TYPE_LATEST
                # A thread that computes gives the interpreter up this often, and so delays a decision by no more.
                usual = sys.getswitchinterval()
                sys.setswitchinterval(_SWITCH_INTERVAL_S)
                try:
                    text: bytes = get_hub().threadpool.apply(generate_latest, (self.registry,))
                finally:
                    sys.setswitchinterval(usual)
                return text, CONTENT_TYPE_LATEST
            finally:
                self._prepared = None

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client asks for: the numbers copied for this scrape, or those of this moment."""
        for build in self._prepared if self._prepared is not None else self._freeze():
            yield build()

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering us must not take a snapshot."""
        return ()

    def _all(self) -> Iterator[Series | Distribution]:
        yield from self._calls.all()
        yield from self._daemon.all()

    def _freeze(self) -> list[Callable[[], Metric]]:
        series = list(self._all())
        if self._snapshot is not None:
            series.extend(_now(self._snapshot()))
        if self._store is not None:
            series.extend(_stored(self._store()))
        if self._explainer is not None:
            series.extend(_explained(self._explainer()))
        if self._journal is not None:
            series.extend(_journaled(self._journal()))
        return [one.family() for one in series]


def _now(snapshot: Snapshot) -> list[Series]:
    waiting = gauge("calls_waiting", "Calls that no agent has answered yet.", "queue")
    ringing = gauge("calls_ringing", "Of these, those for whom an agent's phone rings.", "queue")
    talking = gauge("calls_talking", "Calls in talk.", "queue")
    oldest = gauge("oldest_wait_seconds", "Wait of the call that waits longest; 0 when none does.", "queue")
    ready = gauge("queue_agents_ready", "Agents of the queue who are ready.", "queue")
    logged_in = gauge("queue_agents_logged_in", "Agents of the queue who are logged in.", "queue")
    is_open = gauge("queue_open", "1 while the queue is open.", "queue")
    estimate = gauge("estimated_wait_seconds", "Wait of a call that joined now; absent: nobody is on duty.", "queue")
    for queue in snapshot.queues:
        waiting.values[queue.name,] = queue.waiting + queue.offered
        ringing.values[queue.name,] = queue.offered
        talking.values[queue.name,] = queue.talking
        oldest.values[queue.name,] = (queue.oldest_wait_ms or 0) / 1_000
        ready.values[queue.name,] = queue.agents_ready
        logged_in.values[queue.name,] = queue.agents_logged_in
        is_open.values[queue.name,] = queue.is_open
        if queue.estimated_wait_ms is not None:
            estimate.values[queue.name,] = queue.estimated_wait_ms / 1_000
    agents = gauge("agents", "Agents by state.", "state")
    agents.values.update({(state,): 0 for state in AGENT_STATES})
    for agent in snapshot.agents:
        agents.values[agent.state,] += 1
    switches = gauge("switch_up", "1 while the link to the switch is in sync.", "switch")
    switches.values.update({(name,): is_up for name, is_up in snapshot.switches})
    return [waiting, ringing, talking, oldest, ready, logged_in, is_open, estimate, agents, switches]


def _stored(state: StoreCounts) -> list[Series]:
    up = gauge("store_up", "1 while there is a connection to the database.")
    queued = gauge("store_queued_rows", "Rows of history that wait to be written.")
    written = counter("store_written_rows", "Rows of history written.")
    duplicates = counter("store_duplicate_rows", "Rows that were there already.")
    dropped = counter("store_dropped_rows", "Rows lost because the queue to the database was full.")
    refused = counter("store_refused_rows", "Rows that the database refused.")
    safe = gauge("store_spool_up", "1 while rows that wait survive the end of the daemon, on disk.")
    spooled = gauge("store_spool_bytes", "Disk that the spool uses.")
    unspooled = counter("store_unspooled_rows", "Rows that could not be written to the spool, and waited in memory.")
    corrupt = counter("store_corrupt_lines", "Lines of the spool that could not be used.")
    for series, value in (
        (up, state.connected), (queued, state.queued), (written, state.written),
        (duplicates, state.duplicates), (dropped, state.dropped), (refused, state.refused),
        (safe, state.safe), (spooled, state.spooled_bytes), (unspooled, state.unspooled), (corrupt, state.corrupt),
    ):  # fmt: skip
        series.values[()] = value
    return [up, queued, written, duplicates, dropped, refused, safe, spooled, unspooled, corrupt]


def _explained(state: ExplainerCounts) -> list[Series]:
    queued = gauge("decisions_queued", "Decisions that wait to be explained.")
    explained = counter("decisions_explained", "Decisions whose explanation went to the store.")
    unexplained = counter("decisions_unexplained", "Decisions that are not kept with an explanation, by why.", "why")
    queued.values[()] = state.queued
    explained.values[()] = state.explained
    unexplained.values["dropped",] = state.dropped
    unexplained.values["forgotten",] = state.forgotten
    unexplained.values["failed",] = state.failed
    return [queued, explained, unexplained]


def _journaled(state: JournalCounts) -> list[Series]:
    up = gauge("journal_up", "1 while what enters the engine is written to the journal.")
    lag = gauge("journal_sync_lag_seconds", "From a write to the disk: of the last batch, or of one that still waits.")
    entries = counter("journal_entries", "Entries written to the journal.")
    written = counter("journal_bytes", "Bytes written to the journal.")
    lost = counter("journal_lost_entries", "Entries that a restart would not know, because the disk took none.")
    errors = counter("journal_errors", "How often the journal could not be written.")
    snapshots = counter("journal_snapshots", "Snapshots made.")
    failed = counter("journal_failed_snapshots", "Snapshots that could not be made.")
    for series, value in (
        (up, state.writing), (lag, state.sync_lag_s), (entries, state.entries), (written, state.bytes),
        (lost, state.lost), (errors, state.errors), (snapshots, state.snapshots), (failed, state.snapshot_failures),
    ):  # fmt: skip
        series.values[()] = value
    return [up, lag, entries, written, lost, errors, snapshots, failed]
