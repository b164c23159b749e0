from __future__ import annotations

from fsacd.metrics.series import OTHER, Distribution, Words, counter, gauge


def test_words_end() -> None:
    """Only plain words become label values, and only so many; what was known before stays itself."""
    words = Words(limit=2)
    assert [words(text) for text in ("busy", "+4930123456", "no_answer", "refused", "busy")] == [
        "busy",
        OTHER,
        "no_answer",
        OTHER,
        "busy",
    ]


def test_copy_does_not_move() -> None:
    """A family is built from the numbers as they were when it was asked for."""
    series = counter("things", "Things.", "kind")
    series.values["a",] += 1
    build = series.family()
    series.values["a",] += 1
    series.values["b",] += 1
    assert [(sample.labels, sample.value) for sample in build().samples] == [({"kind": "a"}, 1.0)]


def test_gauge_has_a_plain_name() -> None:
    """A gauge's name is prefixed and nothing else."""
    series = gauge("depth", "Depth.")
    series.values[()] = 3
    assert [(sample.name, sample.value) for sample in series.family()().samples] == [("fsacd_depth", 3.0)]


def test_buckets_are_cumulative() -> None:
    """A value on a bucket's bound belongs to that bucket; each bucket counts those below it."""
    spread = Distribution((1, 5), "wait_seconds", "Wait.", "queue")
    for value in (0.5, 1, 3, 100):
        spread.observe(value, "q")
    assert [(sample.name, sample.labels.get("le"), sample.value) for sample in spread.family()().samples] == [
        ("fsacd_wait_seconds_bucket", "1.0", 2.0),
        ("fsacd_wait_seconds_bucket", "5.0", 3.0),
        ("fsacd_wait_seconds_bucket", "+Inf", 4.0),
        ("fsacd_wait_seconds_count", None, 4.0),
        ("fsacd_wait_seconds_sum", None, 104.5),
    ]
