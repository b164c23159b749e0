"""The counters: of calls by queue, of agents, and of the daemon itself and its links."""

from __future__ import annotations

import platform
from typing import Final, get_args

from fsacd import __version__
from fsacd.core.records import AnomalyKind, TalkEnd, TransferKind
from fsacd.metrics.series import OTHER, Distribution, Series, counter, gauge

_WAIT_BUCKETS: Final = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800)
_TALK_BUCKETS: Final = (5, 10, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600)
_HANDLING_BUCKETS: Final = (10, 30, 60, 120, 300, 600, 1800)
_DECISION_BUCKETS: Final = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.25)
# The ways a talk can end, and of those that end with a transfer its kind.
TALK_ENDS: Final = (
    *((end, TransferKind.NONE) for end in TalkEnd if end is not TalkEnd.TRANSFER),
    *((TalkEnd.TRANSFER, kind) for kind in TransferKind if kind is not TransferKind.NONE),
)


class CallCounters:
    """The counters by queue."""

    def __init__(self) -> None:
        self.offered = counter("calls_offered", "Calls that joined the queue.", "queue")
        self.connected = counter("calls_connected", "Connections of a caller and an agent, counted at once.", "queue")
        self.answered = counter("calls_answered", "Finished calls that an agent answered.", "queue")
        self.answered_in_time = counter(
            "calls_answered_within_service_level", "Calls answered that waited no longer than the threshold.", "queue"
        )
        self.abandoned = counter("calls_abandoned", "Calls whose caller hung up while waiting.", "queue")
        self.abandoned_short = counter(
            "calls_abandoned_short", "Calls abandoned within the short-abandon limit.", "queue"
        )
        self.abandoned_in_time = counter(
            "calls_abandoned_within_service_level",
            "Calls abandoned beyond the short-abandon limit that waited no longer than the threshold.",
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
        self.talks_ended = counter(
            "talks_ended", "Agents' parts in calls that are over, by who ended them, and by kind of transfer.",
            "queue", "ended_by", "kind",
        )  # fmt: skip
        self.together = Distribution(
            _HANDLING_BUCKETS, "together_seconds", "Of each talk, the time without hold.", "queue"
        )
        self.hold = Distribution(
            _HANDLING_BUCKETS, "hold_seconds", "Of each talk with hold, the time on hold.", "queue"
        )
        self.wrap_up = Distribution(_HANDLING_BUCKETS, "wrap_up_seconds", "Wrap-ups that are over.", "queue")
        self.decisions = counter("decisions", "Decisions to ring an agent for a call.", "queue")
        self.offers = counter(
            "offers",
            "Finished offers of a call to an agent; unanswered: missed (RONA, ring on no answer).",
            "queue",
            "outcome",
            "reason",
        )
        self.failures = counter(
            "strategy_failures", "Failures of a plugin; another one has taken over its work.", "queue", "plugin"
        )

    def by_queue(self) -> tuple[Series, ...]:
        """The counters whose only label is the queue, which begin at zero."""
        return (
            self.offered, self.connected, self.answered, self.answered_in_time,
            self.abandoned, self.abandoned_short, self.abandoned_in_time, self.refused, self.decisions,
        )  # fmt: skip

    def timed_by_queue(self) -> tuple[Distribution, ...]:
        """The histograms whose only label is the queue, which begin at zero, too."""
        return self.talk, self.together, self.hold, self.wrap_up

    def all(self) -> tuple[Series | Distribution, ...]:
        """All of them."""
        return (
            *self.by_queue(), *self.timed_by_queue(), self.overflowed, self.ended, self.wait, self.talks_ended,
            self.offers, self.failures,
        )  # fmt: skip


class DaemonCounters:
    """The counters about the daemon itself and its links."""

    def __init__(self) -> None:
        self.agent_seconds = counter(
            "agent_state_seconds", "Time agents spent in a state, counted when it ends.", "state"
        )
        self.presence_seconds = counter(
            "agent_presence_seconds", "Time agents were ready, not ready or logged out, counted when it ends.",
            "presence",
        )  # fmt: skip
        self.work_seconds = counter(
            "agent_work_seconds", "Time that something kept agents from being offered more, counted when it ends.",
            "queue", "channel", "state",
        )  # fmt: skip
        self.changes = counter("changes", "Changes that somebody made by hand.", "kind")
        self.lost = counter(
            "lost_callers", "Callers lost by no wish of their own: their switch crashed or forgot them."
        )
        # An alert sees how a counter grows: a series that begins at 1 has not grown.
        self.lost.values[()] = 0
        self.legs_lost = counter("standing_legs_lost", "Standing legs that ended unasked, or were not answered.")
        self.legs_lost.values[()] = 0
        self.anomalies = counter("anomalies", "Unexpected events that fsacd dealt with.", "kind")
        self.anomalies.values.update({(kind,): 0 for kind in (*get_args(AnomalyKind), OTHER)})
        self.decision = Distribution(_DECISION_BUCKETS, "decision_seconds", "Time the engine took for one event.")
        self.lag = gauge("event_lag_seconds", "Age of the last probe event when it arrived.", "switch")
        self.reconnects = counter("link_reconnects", "Connections to a switch after the first.", "switch")
        self.late_replies = counter("link_late_replies", "Replies that came after their deadline.", "switch")
        self.unacknowledged = counter(
            "unacknowledged_calls",
            "Announced calls that were not taken, because their callers did not acknowledge the answer.",
            "switch",
        )
        self.nonsense = counter(
            "link_nonsense", "Connections ended because of data that no FreeSWITCH sends.", "switch"
        )
        self.left_out = counter(
            "link_messages_left_out", "Messages that were skipped because they were too large.", "switch"
        )
        self.parts = counter("part_failures", "Failures of a part of the daemon, caused by a fault in fsacd.", "part")
        self.standing_by = gauge("switch_standing_by", "1 while another daemon serves the switch.", "switch")
        self.reconciled = counter("reconciled", "Differences between engine and switch that were repaired.", "kind")
        self.build = gauge("build_info", "The versions that run; always 1.", "version", "python")
        self.build.values[__version__, platform.python_version()] = 1

    def all(self) -> tuple[Series | Distribution, ...]:
        """All of them."""
        return (
            self.agent_seconds, self.presence_seconds, self.work_seconds, self.changes, self.lost, self.legs_lost,
            self.anomalies,
            self.decision, self.lag, self.reconnects, self.late_replies, self.unacknowledged, self.nonsense,
            self.left_out, self.parts, self.standing_by, self.reconciled, self.build,
        )  # fmt: skip
