"""What the metrics count of calls, queues, agents and decisions."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fsacd.core.evidence import Evidence
from fsacd.core.records import (
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
    StrategyFailed,
    TalkEnd,
    TalkEnded,
    TransferKind,
)
from fsacd.core.rules import QueueRules, Rules
from fsacd.core.shape import Shape
from fsacd.core.views import QueueView, Snapshot, TalkView
from fsacd.metrics.exposition import Metrics
from tests.http.rig import call_view
from tests.http.shown import Shown
from tests.metrics_rig import ANNA, CALL, OFFER, RULES, counted, ended, fresh, scrape

TALK = TalkEnded(
    "o1", "c1", 1, "support", "anna", 1_000, 61_000, 5_000, 2, 1, TalkEnd.TRANSFER, "ben", Evidence.SAW_END, 0, "",
    TransferKind.ATTENDED,
)  # fmt: skip


@pytest.fixture
def metrics() -> Metrics:
    return fresh()


def test_known_queues_begin_at_zero(metrics: Metrics) -> None:
    """A rate needs a first value: each configured queue has its counters before its first call."""
    shown = scrape(metrics)
    assert [shown[f"fsacd_calls_{name}_total{{queue=sales}}"] for name in ("offered", "answered", "abandoned")] == [
        0.0,
        0.0,
        0.0,
    ]
    assert shown["fsacd_wait_seconds_count{outcome=answered,queue=sales}"] == 0.0


def test_offered_and_connected(metrics: Metrics) -> None:
    """Joining a queue counts as offered there, an overflow too; connections are counted as they come."""
    metrics.sink([CallJoined("c1", "support", 0), CallJoined("c1", "sales", 9, by_overflow=True)])
    metrics.sink([CallConnected("c1", "sales", "anna", 10, 10)])
    assert counted(metrics, "fsacd_calls_offered_total") == {"queue=support": 1.0, "queue=sales": 1.0}
    assert counted(metrics, "fsacd_calls_connected_total") == {"queue=sales": 1.0}


@pytest.mark.parametrize(
    ("call", "grown"),
    [
        (ended(CallOutcome.ANSWERED, 20_000), {"answered", "answered_within_service_level"}),
        (ended(CallOutcome.ANSWERED, 20_001), {"answered"}),
        (ended(CallOutcome.ABANDONED, 4_999), {"abandoned", "abandoned_short"}),
        (ended(CallOutcome.ABANDONED, 5_000), {"abandoned", "abandoned_within_service_level"}),
        (ended(CallOutcome.ABANDONED, 20_001), {"abandoned"}),
        (ended(CallOutcome.REFUSED, 0), {"refused"}),
        (ended(CallOutcome.OVERFLOWED, 9, "max_wait"), {"overflowed"}),
        (ended(CallOutcome.LEFT, 9), set()),
        (ended(CallOutcome.LOST, 9), set()),
        (ended(CallOutcome.HUNG_UP, 9), set()),
    ],
)
def test_end_of_a_call(metrics: Metrics, call: CallEnded, grown: set[str]) -> None:
    """Each finished call grows the counters of its definition and no other, and is counted as ended once."""
    metrics.sink([call])
    counters = {
        match[1]
        for sample, value in scrape(metrics).items()
        if value and (match := re.match(r"fsacd_calls_(\w+)_total\{", sample))
    }
    assert counters - {"ended"} == grown
    assert counted(metrics, "fsacd_calls_ended_total") == {f"outcome={call.outcome},queue=support": 1.0}


@pytest.mark.parametrize(
    ("detail", "lost"), [("switch_restarted", 1), ("ended_unseen", 1), ("talks_unseen", 0), ("served_elsewhere", 0)]
)
def test_a_lost_caller(metrics: Metrics, detail: str, lost: int) -> None:
    """It begins at nought, so that an alert can tell its first step. Whoever is in others' hands is not lost."""
    assert scrape(metrics)["fsacd_lost_callers_total{}"] == 0
    metrics.sink([ended(CallOutcome.LOST, 9, detail), ended(CallOutcome.ABANDONED, 9), ended(CallOutcome.LEFT, 9)])
    assert scrape(metrics)["fsacd_lost_callers_total{}"] == lost


def test_wait_and_talk(metrics: Metrics) -> None:
    """Wait and talk of a finished call are observed in seconds."""
    metrics.sink([CALL])
    assert counted(metrics, "fsacd_wait_seconds_sum") == {"outcome=answered,queue=support": 10.0}
    assert counted(metrics, "fsacd_talk_seconds_sum") == {"queue=support": 60.0}


def test_handling_time(metrics: Metrics) -> None:
    """Time together and on hold are told apart and add up to the talk; wrap-ups are counted as they end."""
    shown = scrape(metrics)
    for name in ("together", "hold", "wrap_up"):
        assert shown[f"fsacd_{name}_seconds_count{{queue=support}}"] == 0.0
    metrics.sink([
        TALK,
        replace(TALK, offer_id="o2", started_ms=61_000, ended_ms=90_000, held_ms=0, holds=0),
        AgentWorkEnded("anna", "talking", "", 1_000, 61_000, "", "o1", "c1", "support", "voice", 100),
        AgentWorkEnded("anna", "wrapping_up", "", 61_000, 65_000, "", "o1", "c1", "support", "voice", 100),
    ])  # fmt: skip
    assert {
        name: (
            counted(metrics, f"fsacd_{name}_seconds_count")["queue=support"],
            counted(metrics, f"fsacd_{name}_seconds_sum")["queue=support"],
        )
        for name in ("together", "hold", "wrap_up")
    } == {"together": (2.0, 84.0), "hold": (1.0, 5.0), "wrap_up": (1.0, 4.0)}


def test_talks_by_who_ended_them(metrics: Metrics) -> None:
    """Transfers are told apart by kind; every way begins at zero."""
    name = "fsacd_talks_ended_total"
    begun = {sample for sample in scrape(metrics) if sample.startswith(name) and sample.endswith("queue=support}")}
    metrics.sink([
        TALK,
        replace(TALK, offer_id="o2", kind=TransferKind.BLIND),
        replace(TALK, offer_id="o3", ended_by=TalkEnd.CALLER, kind=TransferKind.NONE),
        replace(TALK, offer_id="o4", ended_by=TalkEnd.LOST, kind=TransferKind.NONE, queue="gone"),
    ])  # fmt: skip
    found = counted(metrics, name)
    assert found == {
        "ended_by=transfer,kind=attended,queue=support": 1.0,
        "ended_by=transfer,kind=blind,queue=support": 1.0,
        "ended_by=caller,kind=,queue=support": 1.0,
        "ended_by=lost,kind=,queue=(unknown)": 1.0,
    }
    assert {f"{name}{{{labels}}}" for labels in found if labels.endswith("queue=support")} < begun


def test_overflow_by_why(metrics: Metrics) -> None:
    """An overflow is counted at the queue that was left; an operator's name never becomes a label."""
    metrics.sink([
        CallMoved("c1", "support", "sales", 0, "full"),
        CallMoved("c2", "support", "sales", 0, "asked by api:+4930123456"),
        ended(CallOutcome.OVERFLOWED, 9, "Something Else 123456", "sales"),
    ])  # fmt: skip
    assert counted(metrics, "fsacd_calls_overflowed_total") == {
        "queue=support,why=full": 1.0,
        "queue=support,why=asked": 1.0,
        "queue=sales,why=other": 1.0,
    }


def test_removed_queue(metrics: Metrics) -> None:
    """A reload without a queue takes its series away and leaves the others as they were."""
    metrics.sink([CALL, OFFER, CallJoined("c1", "support", 0), CallJoined("c2", "sales", 0)])
    metrics.set_rules(Rules({"sales": RULES.queues["sales"]}, {}))
    shown = scrape(metrics)
    assert [sample for sample in shown if "queue=support" in sample] == []
    assert shown["fsacd_calls_offered_total{queue=sales}"] == 1.0


def test_agents_offers_and_anomalies(metrics: Metrics) -> None:
    """Offers are counted by outcome and reason, agents' time by state in seconds, anomalies by kind."""
    metrics.sink([OFFER, AgentStateEnded("anna", "talking", "", 0, 1_500), Anomaly("bridge_timeout", "…", 0)])
    assert counted(metrics, "fsacd_offers_total") == {"outcome=unanswered,queue=support,reason=no_answer": 1.0}
    assert counted(metrics, "fsacd_agent_state_seconds_total") == {"state=talking": 1.5}
    assert counted(metrics, "fsacd_anomalies_total") == {"kind=bridge_timeout": 1.0}


def test_gauges_from_a_look(metrics: Metrics) -> None:
    """What is going on now is read at the scrape; every agent state is always there."""
    now = Snapshot(
        now_ms=9,
        calls=(call_view("c1", talk=TalkView("o1", "anna", Shape.HELD, 0)),),
        agents=(ANNA, replace(ANNA, agent_id="ben", state="talking")),
        queues=(
            QueueView("support", 3, 1, 2, 12_500, 4, 1, estimated_wait_ms=90_500, agents_not_ready=2),
            QueueView("sales", 0, 0, 0, None, 0, 0, is_open=False),
        ),
        offers=(),
        switches=(("fs1", True), ("fs2", False)),
    )
    metrics.watch_engine(lambda: Shown(now))
    shown = scrape(metrics)
    wanted = {
        "fsacd_calls_waiting{queue=support}": 4.0,
        "fsacd_calls_ringing{queue=support}": 1.0,
        "fsacd_calls_talking{queue=support}": 2.0,
        "fsacd_calls_held{queue=support}": 1.0,
        "fsacd_calls_held{queue=sales}": 0.0,
        "fsacd_oldest_wait_seconds{queue=support}": 12.5,
        "fsacd_oldest_wait_seconds{queue=sales}": 0.0,
        "fsacd_queue_agents_logged_in{queue=support}": 4.0,
        "fsacd_queue_agents_ready{queue=support}": 1.0,
        "fsacd_queue_agents_not_ready{queue=support}": 2.0,
        "fsacd_agents{state=ready}": 1.0,
        "fsacd_agents{state=talking}": 1.0,
        "fsacd_agents{state=logged_out}": 0.0,
        "fsacd_agents{state=busy}": 0.0,
        "fsacd_queue_open{queue=support}": 1.0,
        "fsacd_queue_open{queue=sales}": 0.0,
        "fsacd_estimated_wait_seconds{queue=support}": 90.5,
        "fsacd_switch_up{switch=fs1}": 1.0,
        "fsacd_switch_up{switch=fs2}": 0.0,
    }
    assert {name: shown[name] for name in wanted} == wanted
    # Nobody is on duty there: no number would be true.
    assert "fsacd_estimated_wait_seconds{queue=sales}" not in shown


def test_decisions_and_changes(metrics: Metrics) -> None:
    """Decisions are counted by queue and changes by hand by kind, without who and what."""
    metrics.sink([DecisionMade(1, "c1", "support", "anna", "o1", 0), DecisionMade(2, "c1", "support", "ben", "o2", 9)])
    metrics.sink([ChangeMade("call_moved", "c1", "to sales", "api:desk", 0), ChangeMade("+49301", "c1", "", "x", 0)])
    assert counted(metrics, "fsacd_decisions_total") == {"queue=support": 2.0}
    assert counted(metrics, "fsacd_changes_total") == {"kind=call_moved": 1.0, "kind=other": 1.0}


def test_failures_of_plugins(metrics: Metrics) -> None:
    """A failure is counted for the queue and its plugin; the plugins in use begin at zero, others are one."""
    shown = scrape(metrics)
    series = {sample: value for sample, value in shown.items() if "strategy_failures" in sample}
    assert series == {
        "fsacd_strategy_failures_total{plugin=longest_idle,queue=support}": 0.0,
        "fsacd_strategy_failures_total{plugin=own,queue=sales}": 0.0,
        "fsacd_strategy_failures_total{plugin=by_number,queue=sales}": 0.0,
    }
    metrics.sink(
        [
            StrategyFailed("sales", "own", "raised", calls=1, at_ms=0),
            StrategyFailed("sales", "what is this", "raised", calls=1, at_ms=0),
        ]
    )
    assert counted(metrics, "fsacd_strategy_failures_total") == {
        "plugin=own,queue=sales": 1.0,
        "plugin=other,queue=sales": 1.0,
    }


def test_plugin_that_is_no_longer_used(metrics: Metrics) -> None:
    """A reload that gives a queue another strategy takes the old one's series away."""
    metrics.sink([StrategyFailed("sales", "own", "raised", calls=1, at_ms=0)])
    metrics.set_rules(Rules({"sales": QueueRules("sales", strategy="random")}, {}))
    assert [sample for sample in scrape(metrics) if "strategy_failures" in sample] == [
        "fsacd_strategy_failures_total{plugin=random,queue=sales}"
    ]
