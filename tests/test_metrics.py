from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import gevent
import pytest
from gevent import monkey
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

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
    OfferOutcome,
    StrategyFailed,
)
from fsacd.core.rules import QueueRules, Rules
from fsacd.core.views import AgentView, QueueView, Snapshot
from fsacd.journal.settings import JournalState
from fsacd.metrics.exposition import UNKNOWN_QUEUE, Metrics

DEFINITIONS = Path(__file__).parent.parent / "config" / "prometheus" / "README.md"
RULES = Rules(
    {
        "support": QueueRules("support", service_level_ms=20_000, short_abandon_ms=5_000),
        "sales": QueueRules("sales", strategy="own", call_order="by_number"),
    },
    {},
)
CALL = CallEnded(
    call_id="c1", queue="support", outcome=CallOutcome.ANSWERED, detail="", arrived_ms=0, ended_ms=70_000,
    waited_ms=10_000, talked_ms=60_000, agent_id="anna", offers=1, priority=0, number="+4930123456", name="Zoë",
    customer="", switch="fs1", leg_uuid="11-22",
)  # fmt: skip
OFFER = OfferClosed("o1", "c1", "support", "anna", 1, OfferOutcome.UNANSWERED, "no_answer", 0, None, None, 20_000)
ANNA = AgentView("anna", "Anna", "ready", "", 0, None, "", "user/anna", (), (), None)


@dataclass(frozen=True)
class Stored:
    connected: bool = True
    queued: int = 1
    written: int = 2
    duplicates: int = 3
    dropped: int = 4
    refused: int = 5
    safe: bool = True
    spooled_bytes: int = 6
    unspooled: int = 7
    corrupt: int = 8


@dataclass(frozen=True)
class Explained:
    queued: int = 1
    explained: int = 2
    forgotten: int = 3
    dropped: int = 4
    failed: int = 5


class Clock:
    """Each look is two seconds after the one before, so that no text is fresh any more."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(clock=Clock())
    made.set_rules(RULES)
    return made


def ended(outcome: CallOutcome, waited_ms: int, detail: str = "", queue: str = "support") -> CallEnded:
    return replace(CALL, outcome=outcome, waited_ms=waited_ms, detail=detail, queue=queue)


def scrape(metrics: Metrics) -> Mapping[str, float]:
    """Every sample of ours as `name{label=value,…}`."""
    text, _ = metrics.exposition()
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def counted(metrics: Metrics, name: str) -> dict[str, float]:
    """The samples of one name that are not zero, by their labels."""
    return {
        sample.removeprefix(f"{name}{{").removesuffix("}"): value
        for sample, value in scrape(metrics).items()
        if sample.startswith(f"{name}{{") and value
    }


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


def test_unknown_queue(metrics: Metrics) -> None:
    """Whatever queue a call names, the labels are the configured queues and one for all others."""
    for number in range(100):
        metrics.sink([ended(CallOutcome.REFUSED, 0, queue=f"no-{number}"), CallJoined("c", f"no-{number}", 0)])
    assert counted(metrics, "fsacd_calls_refused_total") == {f"queue={UNKNOWN_QUEUE}": 100.0}
    assert counted(metrics, "fsacd_calls_offered_total") == {f"queue={UNKNOWN_QUEUE}": 100.0}


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


def test_gauges_from_a_snapshot(metrics: Metrics) -> None:
    """What is going on now is read from one snapshot at the scrape; every agent state is always there."""
    metrics.watch_snapshot(
        lambda: Snapshot(
            now_ms=9,
            calls=(),
            agents=(ANNA, replace(ANNA, agent_id="ben", state="talking")),
            queues=(
                QueueView("support", 3, 1, 2, 12_500, 4, 1, estimated_wait_ms=90_500, agents_not_ready=2),
                QueueView("sales", 0, 0, 0, None, 0, 0, is_open=False),
            ),
            offers=(),
            switches=(("fs1", True), ("fs2", False)),
        )
    )
    shown = scrape(metrics)
    wanted = {
        "fsacd_calls_waiting{queue=support}": 4.0,
        "fsacd_calls_ringing{queue=support}": 1.0,
        "fsacd_calls_talking{queue=support}": 2.0,
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


def test_links_and_decisions(metrics: Metrics) -> None:
    """Lag, reconnects and late replies are told apart by switch; decisions are observed in seconds."""
    metrics.event_lag("fs1", 0.021)
    metrics.event_lag("fs1", 0.002)
    metrics.reconnected("fs1")
    metrics.late_reply("fs2")
    metrics.unacknowledged("fs1")
    metrics.decided(0.00002)
    assert counted(metrics, "fsacd_event_lag_seconds") == {"switch=fs1": 0.002}
    assert counted(metrics, "fsacd_link_reconnects_total") == {"switch=fs1": 1.0}
    assert counted(metrics, "fsacd_link_late_replies_total") == {"switch=fs2": 1.0}
    assert counted(metrics, "fsacd_unacknowledged_calls_total") == {"switch=fs1": 1.0}
    assert counted(metrics, "fsacd_decision_seconds_bucket")["le=2.5e-05"] == 1.0


def test_what_a_switch_says_wrongly_and_what_fails_of_ours(metrics: Metrics) -> None:
    """Nonsense and messages left out count by switch, failures by part, each from zero on."""
    metrics.misbehaved("fs1", 0, 0)
    metrics.misbehaved("fs2", 2, 3)
    metrics.watch_parts(lambda: {"timetable": 0, "explainer": 2})
    assert counted(metrics, "fsacd_link_nonsense_total") == {"switch=fs2": 2.0}
    assert counted(metrics, "fsacd_link_messages_left_out_total") == {"switch=fs2": 3.0}
    assert counted(metrics, "fsacd_part_failures_total") == {"part=explainer": 2.0}
    assert scrape(metrics)["fsacd_part_failures_total{part=timetable}"] == 0.0


def test_store_counts(metrics: Metrics) -> None:
    """The store's figures are read at the scrape."""
    metrics.watch_store(Stored)
    shown = scrape(metrics)
    names = ("store_up", "store_queued_rows", "store_written_rows_total", "store_duplicate_rows_total")
    lost = ("store_dropped_rows_total", "store_refused_rows_total")
    assert [shown[f"fsacd_{name}{{}}"] for name in (*names, *lost)] == [1.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    spool = ("store_spool_up", "store_spool_bytes", "store_unspooled_rows_total", "store_corrupt_lines_total")
    assert [shown[f"fsacd_{name}{{}}"] for name in spool] == [1.0, 6.0, 7.0, 8.0]


def test_explained_decisions(metrics: Metrics) -> None:
    """What became of the explanations is read at the scrape."""
    metrics.watch_explainer(Explained)
    shown = {
        name: value for name, value in scrape(metrics).items() if "decisions_" in name and "total{queue" not in name
    }
    assert shown == {
        "fsacd_decisions_queued{}": 1.0,
        "fsacd_decisions_explained_total{}": 2.0,
        "fsacd_decisions_unexplained_total{why=forgotten}": 3.0,
        "fsacd_decisions_unexplained_total{why=dropped}": 4.0,
        "fsacd_decisions_unexplained_total{why=failed}": 5.0,
    }


JOURNALED = JournalState(
    writing=True,
    entries=2,
    bytes=3,
    lost=4,
    errors=5,
    syncs=6,
    sync_lag_s=0.007,
    longest_sync_lag_s=0.008,
    snapshots=9,
    snapshot_failures=10,
    snapshot_s=11.0,
)


def test_pins_that_somebody_tries(metrics: Metrics) -> None:
    """Agents for whom none is taken now, and how often it came to that."""
    metrics.watch_pins(lambda: (2, 7))
    shown = {name: value for name, value in scrape(metrics).items() if "pin" in name}
    assert shown == {"fsacd_pins_locked{}": 2.0, "fsacd_pin_locks_total{}": 7.0}


def test_the_journal(metrics: Metrics) -> None:
    """What the journal has done is read at the scrape."""
    metrics.watch_journal(lambda: JOURNALED)
    shown = {name: value for name, value in scrape(metrics).items() if "journal" in name}
    assert shown == {
        "fsacd_journal_up{}": 1.0,
        "fsacd_journal_sync_lag_seconds{}": 0.007,
        "fsacd_journal_entries_total{}": 2.0,
        "fsacd_journal_bytes_total{}": 3.0,
        "fsacd_journal_lost_entries_total{}": 4.0,
        "fsacd_journal_errors_total{}": 5.0,
        "fsacd_journal_snapshots_total{}": 9.0,
        "fsacd_journal_failed_snapshots_total{}": 10.0,
    }


def test_nobody_in_the_labels(metrics: Metrics) -> None:
    """No number, name, call, leg or agent can be read from the metrics."""
    metrics.watch_snapshot(lambda: Snapshot(0, (), (ANNA,), (), (), ()))
    metrics.sink([CALL, OFFER, Anomaly("+4930123456", "…", 0)])
    text = metrics.exposition()[0].decode()
    told = [secret for secret in (CALL.number, CALL.name, CALL.call_id, "11-22", "anna", "o1") if f'"{secret}"' in text]
    assert told == []


def test_every_metric_is_defined(metrics: Metrics) -> None:
    """The document beside the alert rules defines each metric we expose, and none that we do not."""
    metrics.watch_snapshot(lambda: Snapshot(0, (), (), (), (), ()))
    metrics.watch_store(Stored)
    metrics.watch_explainer(Explained)
    metrics.watch_journal(lambda: JOURNALED)
    metrics.watch_pins(lambda: (0, 0))
    exposed = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.collect()
        if family.name.startswith("fsacd_")
    }
    defined = set(re.findall(r"^\| `(fsacd_\w+)` \|", DEFINITIONS.read_text(encoding="utf-8"), re.MULTILINE))
    assert defined == exposed


def test_large_scrape_leaves_the_calls_alone(metrics: Metrics) -> None:
    """With hundreds of queues the text is rendered beside the hub, which goes on, and nothing is torn."""
    queues = {f"queue-{number}": QueueRules(f"queue-{number}") for number in range(300)}
    metrics.set_rules(Rules(queues, {}))
    metrics.sink([ended(CallOutcome.ANSWERED, 9, queue=queue) for queue in queues])
    turns = 0

    def decide() -> None:
        nonlocal turns
        while True:
            metrics.sink([CALL])
            turns += 1
            gevent.sleep(0.001)

    other = gevent.spawn(decide)
    gevent.sleep(0)
    before = turns
    started = time.monotonic()
    shown = scrape(metrics)
    assert turns > before, f"the hub stood still for {time.monotonic() - started:.3f} s"
    other.kill()
    assert sum(value for name, value in shown.items() if name.startswith("fsacd_talk_seconds_count")) >= 300


@pytest.mark.parametrize("name", ["prometheus/fsacd.rules.yml", "grafana/fsacd.json"])
def test_alerts_and_dashboard_ask_for_what_there_is(metrics: Metrics, name: str) -> None:
    """Each metric that an alert or the dashboard names is one that we expose."""
    metrics.watch_snapshot(lambda: Snapshot(0, (), (), (), (), ()))
    metrics.watch_store(Stored)
    metrics.watch_explainer(Explained)
    metrics.watch_journal(lambda: JOURNALED)
    metrics.watch_pins(lambda: (0, 0))
    exposed = {family.name for family in metrics.collect()}
    text = (DEFINITIONS.parent.parent / name).read_text(encoding="utf-8")
    named = {re.sub(r"_(total|bucket|sum|count)$", "", found) for found in re.findall(r"fsacd_\w+", text)}
    assert named
    assert named - exposed == set()


def test_one_text_for_all_who_ask_within_a_second() -> None:
    """However many ask at once, and however often, one text a second is made; then a new one with what has come."""
    now = 100.0
    metrics = Metrics(clock=lambda: now)
    looks = 0

    def look() -> Snapshot:
        nonlocal looks
        looks += 1
        return Snapshot(0, (), (), (), (), ())

    metrics.watch_snapshot(look)
    asked = [gevent.spawn(metrics.exposition) for _ in range(30)]
    texts = {one.get()[0] for one in asked}
    now += 0.99
    texts.add(metrics.exposition()[0])
    assert (len(texts), looks) == (1, 1)
    metrics.sink([Anomaly("bridge_timeout", "…", 0)])
    now += 0.01
    assert b'fsacd_anomalies_total{kind="bridge_timeout"} 1.0' in metrics.exposition()[0]
    assert looks == 2


def test_who_gives_up_waiting_takes_the_text_from_nobody(metrics: Metrics) -> None:
    """A scrape that is cut off in the middle leaves the others theirs, and nothing is rendered twice."""
    first, second = gevent.spawn(metrics.exposition), gevent.spawn(metrics.exposition)
    gevent.sleep(0)
    first.kill()
    assert b"fsacd_calls_offered_total" in second.get()[0]


def test_small_scrape_leaves_the_calls_alone_too(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering is never done where calls are decided, however little there is of it."""
    ident = monkey.get_original("_thread", "get_ident")  # of the system's threads; every greenlet has one, too
    here = ident()
    seen: list[int] = []
    build = metrics._process.collect

    def collect() -> Iterable[Metric]:
        seen.append(ident())
        return build()

    monkeypatch.setattr(metrics._process, "collect", collect)
    metrics.exposition()
    assert seen
    assert here not in seen


def test_an_empty_histogram_has_no_buckets(metrics: Metrics) -> None:
    """Before the first observation there are count, sum and one bucket; with it, all of them."""
    name = "fsacd_wait_seconds_bucket{le="
    empty = [sample for sample in scrape(metrics) if sample.startswith(name)]
    assert len(empty) == len(RULES.queues) * 2
    metrics.sink([ended(CallOutcome.ANSWERED, 9)])
    full = [
        sample for sample in scrape(metrics) if sample.startswith(name) and "outcome=answered,queue=support" in sample
    ]
    assert len(full) == 17
