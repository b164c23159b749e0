"""The metrics for Prometheus: counters from the records, gauges from a look at the engine, and the daemon's own health.

`config/prometheus/README.md` defines each metric. Metrics have base units. No number, name or uuid of a caller is ever
a label. Label values come from the configuration or from closed lists.

A scrape copies the numbers in the main thread, in one go, and renders the copy in another thread. A further scrape
within a second gets the same text, so that scrapes delay the calls once a second at most, however many there are.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import assert_never

import gevent
from gevent.hub import get_hub
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fsacd.core.agent import STATE_NAMES, WrappingUp
from fsacd.core.records import (
    AgentPresence,
    AgentStateEnded,
    AgentWorkEnded,
    Anomaly,
    CallConnected,
    CallEnded,
    CallJoined,
    CallMoved,
    CallOutcome,
    ChangeMade,
    DecisionMade,
    Elsewhere,
    LegMeasured,
    LogIn,
    OfferClosed,
    Record,
    StandingLegLost,
    StrategyFailed,
    StrategyReturned,
    TalkEnded,
    VisitEnded,
    WrapUpEnded,
)
from fsacd.core.rules import QueueRules, Rules
from fsacd.core.show.look import Look
from fsacd.errors import Unavailable
from fsacd.metrics import gauges
from fsacd.metrics.counters import TALK_ENDS, CallCounters, DaemonCounters
from fsacd.metrics.gauges import ExplainerCounts, JournalCounts, StoreCounts
from fsacd.metrics.series import OTHER, Distribution, Series, Words
from fsacd.runtime import watched
from fsacd.runtime.pace import Pace

# The label of calls for a queue that is not configured; no configured queue can have brackets in its name.
UNKNOWN_QUEUE = "(unknown)"
# How long one text serves all scrapes.
_FRESH_S = 1.0


class _Frozen:
    """What one scrape has copied, as prometheus-client's renderer asks for it; may be asked in another thread."""

    def __init__(self, ours: Sequence[Callable[[], Metric]], process: Collector) -> None:
        self._ours = ours
        self._process = process

    def collect(self) -> Iterator[Metric]:
        for build in self._ours:
            yield build()
        yield from self._process.collect()


class Metrics(Collector):
    """All metrics of one daemon, registered in `registry`. `clock` is monotonic, in seconds."""

    def __init__(self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry(auto_describe=False) if registry is None else registry
        self._queues: dict[str, QueueRules] = {}
        self._calls = CallCounters()
        self._daemon = DaemonCounters()
        self._words: defaultdict[str, Words] = defaultdict(Words)
        self._look: Callable[[], Look] | None = None
        self._store: Callable[[], StoreCounts] | None = None
        self._parts: Callable[[], Mapping[str, int]] = dict
        self._explainer: Callable[[], ExplainerCounts] | None = None
        self._journal: Callable[[], JournalCounts] | None = None
        self._pins: Callable[[], tuple[int, int]] | None = None
        self._clock = clock
        self._text: tuple[float, bytes] | None = None
        self._rendering: gevent.Greenlet | None = None
        self.registry.register(self)
        self._process = ProcessCollector(registry=self.registry)

    def begin_at_zero(self, switches: Iterable[str], repairs: Iterable[str]) -> None:
        """Begin the series of these switches, and of these kinds of differences, at zero (see `DaemonCounters`)."""
        for switch in switches:
            self._daemon.reconnects.values[switch,] += 0
            self._daemon.late_replies.values[switch,] += 0
            self._daemon.unacknowledged.values[switch,] += 0
            self.misbehaved(switch, 0, 0)
        for kind in repairs:
            self._daemon.reconciled.values[kind,] += 0

    def set_rules(self, rules: Rules) -> None:
        """Set the queues to count for, at the start and at each reload; the series of a removed queue are removed."""
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
            for end, kind in TALK_ENDS:
                self._calls.talks_ended.values[queue, end.value, kind.value] += 0
            for times in self._calls.timed_by_queue():
                _ = times.values[queue,]
        self._set_plugins()

    def _set_plugins(self) -> None:
        """Begin the series of each queue's plugins at zero; remove those of plugins used before a reload."""
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

    def watch_engine(self, look: Callable[[], Look]) -> None:
        """Take gauges from the engine at each scrape; calls go first meanwhile."""
        self._look = look

    def watch_store(self, state: Callable[[], StoreCounts]) -> None:
        """Take the store's figures from here at each scrape."""
        self._store = state

    def watch_journal(self, state: Callable[[], JournalCounts]) -> None:
        """Take the journal's figures from here at each scrape."""
        self._journal = state

    def watch_explainer(self, state: Callable[[], ExplainerCounts]) -> None:
        """Take the figures of the explained decisions from here at each scrape."""
        self._explainer = state

    def watch_pins(self, state: Callable[[], tuple[int, int]]) -> None:
        """Take the figures of guessed PINs from here at each scrape: agents locked now, and locks since the start."""
        self._pins = state

    def decided(self, seconds: float) -> None:
        """The engine took this long for one event."""
        self._daemon.decision.observe(seconds)

    def event_lag(self, switch: str, seconds: float) -> None:
        """A probe event of ours came back after this long."""
        self._daemon.lag.values[switch,] = seconds

    def reconnected(self, switch: str) -> None:
        """The link to a switch is up again."""
        self._daemon.reconnects.values[switch,] += 1

    def misbehaved(self, switch: str, nonsense: int, left_out: int) -> None:
        """Count connections to the switch that were ended for nonsense, and messages from it that were left out."""
        self._daemon.nonsense.values[switch,] += nonsense
        self._daemon.left_out.values[switch,] += left_out

    def watch_parts(self, failures: Callable[[], Mapping[str, int]]) -> None:
        """Take the failures of the daemon's parts from here at each scrape."""
        self._parts = failures

    def late_reply(self, switch: str) -> None:
        """A reply came when nobody waited for it any more."""
        self._daemon.late_replies.values[switch,] += 1

    def unacknowledged(self, switch: str) -> None:
        """A caller has not acknowledged our answer."""
        self._daemon.unacknowledged.values[switch,] += 1

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
                calls.connected.values[self._queue(record.queue),] += not record.handed_over
            case CallMoved():
                # An operator's name stands behind "asked by".
                why = "asked" if record.why.startswith("asked") else self._words["why"](record.why)
                calls.overflowed.values[self._queue(record.from_queue), why] += 1
            case CallEnded():
                self._count_ended(record)
            case OfferClosed():
                reason = self._words["reason"](record.reason)
                calls.offers.values[self._queue(record.queue), record.outcome.value, reason] += 1
            case AgentStateEnded() | AgentPresence() | AgentWorkEnded() | TalkEnded():
                self._count_time(record)
            case DecisionMade():
                calls.decisions.values[self._queue(record.queue),] += 1
            case StrategyFailed():
                failures, labels = calls.failures.values, (self._queue(record.queue), record.plugin)
                failures[labels if labels in failures else (labels[0], OTHER)] += 1
            case StrategyReturned() | VisitEnded() | WrapUpEnded() | LegMeasured() | LogIn():
                # The gauge of substituted plugins shows it, the other records of the call count the stay, and queues
                # times codes would be too many series. A wrap-up's time is in the agent's work: not every one is told
                # of in a record of its own. Of a log-in presences tell the time.
                pass
            case ChangeMade():
                self._daemon.changes.values[self._words["change"](record.kind),] += 1
            case Anomaly() | StandingLegLost():
                self._count_trouble(record)
            case _:
                assert_never(record)

    def _count_trouble(self, record: Anomaly | StandingLegLost) -> None:
        if isinstance(record, StandingLegLost):
            self._daemon.legs_lost.values[()] += 1
        else:
            self._daemon.anomalies.values[self._words["kind"](record.kind),] += 1

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
            case CallOutcome.LOST:
                self._daemon.lost.values[()] += call.detail not in tuple(Elsewhere)
            case CallOutcome.HUNG_UP | CallOutcome.LEFT:
                pass  # the end of these calls is counted

    def _count_talk(self, talk: TalkEnded) -> None:
        calls, queue = self._calls, self._queue(talk.queue)
        calls.talks_ended.values[queue, talk.ended_by.value, talk.kind.value] += 1
        calls.together.observe(max(0, talk.ended_ms - talk.started_ms - talk.held_ms) / 1_000, queue)
        if talk.holds:
            calls.hold.observe(talk.held_ms / 1_000, queue)

    def _count_time(self, record: AgentStateEnded | AgentPresence | AgentWorkEnded | TalkEnded) -> None:
        daemon = self._daemon
        match record:
            case AgentStateEnded():
                state = self._words["state"](record.state)
                daemon.agent_seconds.values[state,] += (record.ended_ms - record.started_ms) / 1_000
            case AgentPresence(_, presence, _, started_ms, ended_ms, _):
                if ended_ms is not None:
                    daemon.presence_seconds.values[presence,] += (ended_ms - started_ms) / 1_000
            case AgentWorkEnded():
                queue, seconds = self._queue(record.queue), (record.ended_ms - record.started_ms) / 1_000
                daemon.work_seconds.values[queue, record.channel, self._words["state"](record.state)] += seconds
                if record.state == STATE_NAMES[WrappingUp]:
                    self._calls.wrap_up.observe(seconds, queue)
            case TalkEnded():
                self._count_talk(record)

    def _queue(self, name: str) -> str:
        return name if name in self._queues else UNKNOWN_QUEUE

    def exposition(self) -> tuple[bytes, str]:
        """The text for Prometheus, at most a second old, and its content type; the calls go on meanwhile."""
        if self._text is None or self._clock() - self._text[0] >= _FRESH_S:
            # One greenlet renders for all scrapes that come meanwhile. It belongs to none of them: a scrape that gives
            # up waiting does not stop it.
            before = self._text
            if self._rendering is None or self._rendering.ready():
                self._rendering = watched.brief("metrics", self._render)
            self._rendering.get()
            if self._text is before:
                raise Unavailable("the metrics could not be made; the log says why")
        assert self._text is not None
        return self._text[1], CONTENT_TYPE_LATEST

    def _render(self) -> None:
        frozen, at = _Frozen(self._freeze(), self._process), self._clock()
        self._text = at, get_hub().threadpool.apply(generate_latest, (frozen,))

    def collect(self) -> Iterable[Metric]:
        """The metric families that prometheus-client asks for, with the numbers of now."""
        for build in self._freeze():
            yield build()

    def describe(self) -> Iterable[Metric]:
        """No families: registering this collector must not look at the engine."""
        return ()

    def _all(self) -> Iterator[Series | Distribution]:
        yield from self._calls.all()
        yield from self._daemon.all()

    def _freeze(self) -> list[Callable[[], Metric]]:
        for part, count in self._parts().items():
            self._daemon.parts.values[part,] = count
        series = list(self._all())
        if self._look is not None:
            series.extend(gauges.now(Pace().whole(self._look().counts())))
        if self._store is not None:
            series.extend(gauges.stored(self._store()))
        if self._explainer is not None:
            series.extend(gauges.explained(self._explainer()))
        if self._journal is not None:
            series.extend(gauges.journaled(self._journal()))
        if self._pins is not None:
            series.extend(gauges.guessed(*self._pins()))
        return [one.family() for one in series]
