"""What the metrics say of the daemon's own parts: links, the store, the journal, explanations, pins."""

from __future__ import annotations

import pytest

from fsacd.metrics.exposition import Metrics
from tests.metrics_rig import JOURNALED, Explained, Stored, counted, fresh, scrape


@pytest.fixture
def metrics() -> Metrics:
    return fresh()


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
