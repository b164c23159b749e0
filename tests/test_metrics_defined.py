"""What metrics are called: labels name nobody, and the definitions, the alerts and the dashboard name what there is."""

from __future__ import annotations

import re

import pytest

from fsacd.core.records import Anomaly, CallJoined, CallOutcome
from fsacd.core.views import Snapshot
from fsacd.metrics.exposition import UNKNOWN_QUEUE, Metrics
from tests.http.shown import Shown
from tests.metrics_rig import ANNA, CALL, DEFINITIONS, OFFER, counted, ended, fresh, watch_all
from tests.store.records import PRESENCE, WORK
from tests.store.test_talks import FIRST as TALK


@pytest.fixture
def metrics() -> Metrics:
    return fresh()


def test_nobody_in_the_labels(metrics: Metrics) -> None:
    """No number, name, call, leg or agent can be read from the metrics."""
    metrics.watch_engine(lambda: Shown(Snapshot(0, (), (), (ANNA,), (), ())))
    metrics.sink([CALL, OFFER, PRESENCE, WORK, TALK, Anomaly("+4930123456", "…", 0)])
    text = metrics.exposition()[0].decode()
    told = [secret for secret in (CALL.number, CALL.name, CALL.call_id, "11-22", "anna", "o1") if f'"{secret}"' in text]
    assert told == []


def test_unknown_queue(metrics: Metrics) -> None:
    """Whatever queue a call names, the labels are the configured queues and one for all others."""
    for number in range(100):
        metrics.sink([ended(CallOutcome.REFUSED, 0, queue=f"no-{number}"), CallJoined("c", f"no-{number}", 0)])
    assert counted(metrics, "fsacd_calls_refused_total") == {f"queue={UNKNOWN_QUEUE}": 100.0}
    assert counted(metrics, "fsacd_calls_offered_total") == {f"queue={UNKNOWN_QUEUE}": 100.0}


def test_every_metric_is_defined(metrics: Metrics) -> None:
    """The document beside the alert rules defines each metric we expose, and none that we do not."""
    watch_all(metrics)
    exposed = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.collect()
        if family.name.startswith("fsacd_")
    }
    defined = set(re.findall(r"^\| `(fsacd_\w+)` \|", DEFINITIONS.read_text(encoding="utf-8"), re.MULTILINE))
    assert defined == exposed


@pytest.mark.parametrize("name", ["prometheus/fsacd.rules.yml", "grafana/fsacd.json"])
def test_alerts_and_dashboard_ask_for_what_there_is(metrics: Metrics, name: str) -> None:
    """Each metric that an alert or the dashboard names is one that we expose."""
    watch_all(metrics)
    exposed = {family.name for family in metrics.collect()}
    text = (DEFINITIONS.parent.parent / name).read_text(encoding="utf-8")
    named = {re.sub(r"_(total|bucket|sum|count)$", "", found) for found in re.findall(r"fsacd_\w+", text)}
    assert named
    assert named - exposed == set()
