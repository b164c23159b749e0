"""Series of numbers that become prometheus-client's metric families at a scrape.

They are plain dictionaries. prometheus-client's counters take a lock each, which gevent turns into a lock of greenlets,
and which a rendering thread must not hold. With many queues their collection alone would hold every call up for longer
than a decision takes. These series are copied in one go, and built into families where the copy is rendered.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

OTHER = "other"
# Appended to the help of each counter: this process counts, and reads nothing back at its start.
SINCE = "; from zero at each start of the daemon."
_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_WORDS_LIMIT = 32

Labels = tuple[str, ...]


class Words:
    """A bounded list of label values: a text that is no plain word, or comes when the list is full, is `other`."""

    def __init__(self, limit: int = _WORDS_LIMIT) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, text: str) -> str:
        """The label value for a text."""
        if text in self._known:
            return text
        if _WORD.fullmatch(text) is None or len(self._known) >= self._limit:
            return OTHER
        self._known.add(text)
        return text


class Series:
    """One counter or gauge with its label sets."""

    def __init__(self, kind: type[CounterMetricFamily | GaugeMetricFamily], name: str, text: str, *labels: str) -> None:
        self.name = f"fsacd_{name}"
        self.text = text
        self.labels = labels
        self._kind = kind
        self.values: defaultdict[Labels, float] = defaultdict(float)

    def family(self) -> Callable[[], Metric]:
        """A function that builds the family from a copy of the numbers; it may be called in another thread."""
        values = dict(self.values)
        return lambda: self._build(values)

    def _build(self, values: dict[Labels, float]) -> Metric:
        family = self._kind(self.name, self.text, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


class Distribution:
    """One histogram with its label sets: for each, a count per bucket, the count beyond the last, and the sum."""

    def __init__(self, buckets: Sequence[float], name: str, text: str, *labels: str) -> None:
        self.name = f"fsacd_{name}"
        self.text = text.removesuffix(".") + SINCE
        self.labels = labels
        self._bounds = buckets
        self._names = [*(str(float(bound)) for bound in buckets), "+Inf"]
        self.values: defaultdict[Labels, list[float]] = defaultdict(lambda: [0] * (len(self._names) + 1))

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        counts = self.values[labels]
        counts[bisect_left(self._bounds, value)] += 1
        counts[-1] += value

    def family(self) -> Callable[[], Metric]:
        """As `Series.family`."""
        values = {labels: counts.copy() for labels, counts in self.values.items()}
        return lambda: self._build(values)

    def _build(self, values: dict[Labels, list[float]]) -> Metric:
        family = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        for labels, counts in values.items():
            total = 0.0
            buckets = []
            if not any(counts):
                # Nothing was observed yet: count and sum of zero suffice; a dozen and a half empty buckets would add
                # nothing.
                family.add_metric(labels, [("+Inf", 0.0)], sum_value=0.0)
                continue
            for name, count in zip(self._names, counts, strict=False):
                total += count
                buckets.append((name, total))
            family.add_metric(labels, buckets, sum_value=counts[-1])
        return family


def counter(name: str, text: str, *labels: str) -> Series:
    """A series that only grows; Prometheus sees its name with `_total`."""
    return Series(CounterMetricFamily, name, text.removesuffix(".") + SINCE, *labels)


def gauge(name: str, text: str, *labels: str) -> Series:
    """A series that rises and falls."""
    return Series(GaugeMetricFamily, name, text, *labels)
