"""How a scrape is answered: beside the calls, once a second for all who ask, and in few lines."""

from __future__ import annotations

import time
from collections.abc import Iterable

import gevent
import pytest
from gevent import monkey
from prometheus_client.metrics_core import Metric

from fsacd.core.records import Anomaly, CallOutcome
from fsacd.core.rules import QueueRules, Rules
from fsacd.core.show.look import Look
from fsacd.core.show.parts import InParts
from fsacd.core.views import Counts, Snapshot
from fsacd.metrics.exposition import Metrics
from tests.http.shown import Shown
from tests.metrics_rig import CALL, RULES, ended, fresh, scrape


@pytest.fixture
def metrics() -> Metrics:
    return fresh()


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


def test_one_text_for_all_who_ask_within_a_second() -> None:
    """However many ask at once, and however often, one text a second is made; then a new one with what has come."""
    now = 100.0
    metrics = Metrics(clock=lambda: now)
    looks = 0

    def look() -> Look:
        nonlocal looks
        looks += 1
        return Shown(Snapshot(0, (), (), (), (), ()))

    metrics.watch_engine(look)
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


def test_no_thread_touches_the_engine(metrics: Metrics) -> None:
    """Not even for a scrape that comes late: the engine is looked at where calls are decided; only a copy goes on."""
    ident = monkey.get_original("_thread", "get_ident")  # of the system's threads; every greenlet has one, too
    here, seen = ident(), list[int]()

    class Watched(Shown):
        """Notes who looks, in each part of the look."""

        def counts(self) -> InParts[Counts]:
            seen.append(ident())
            counts = yield from super().counts()
            seen.append(ident())
            return counts

    metrics.watch_engine(lambda: Watched(Snapshot(0, (), (), (), (), ())))
    scrapes = [gevent.spawn(metrics.exposition) for _ in range(3)]
    gevent.joinall(scrapes, raise_error=True)
    assert seen
    assert set(seen) == {here}
