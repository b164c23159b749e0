"""The alerts fire when they should, and not otherwise: Prometheus' own promtool says so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from fsacd.core.records import Anomaly, StrategyFailed
from fsacd.core.rules import QueueRules, Rules
from fsacd.esl.differences import Difference
from fsacd.metrics.exposition import Metrics

HERE = Path(__file__).parent
RULES = HERE.parent / "config" / "prometheus" / "fsacd.rules.yml"
TESTS = HERE / "prometheus" / "alerts.yml"

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is not here")


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=100, check=False)


@promtool
def test_the_rules_are_rules() -> None:
    """They can be loaded."""
    done = run("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_each_alert_fires_when_it_should() -> None:
    """And with the words that it should."""
    done = run("test", "rules", str(TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_promtool_finds_what_is_wrong(tmp_path: Path) -> None:
    """An alert on the counter alone, as it was, misses the failure right after a reload."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    (rule,) = (rule for rule in rules["groups"][0]["rules"] if rule["alert"] == "FsacdStrategyFailed")
    rule["expr"] = "sum by (instance, queue) (increase(fsacd_strategy_failures_total[10m])) > 0"
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    tests = TESTS.read_text(encoding="utf-8").replace("../../config/prometheus/fsacd.rules.yml", "rules.yml")
    (tmp_path / "tests.yml").write_text(tests, encoding="utf-8")
    done = run("test", "rules", str(tmp_path / "tests.yml"))
    assert done.returncode != 0
    assert "alertname: FsacdStrategyFailed, time: 1m" in done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    """That it fires, and that it does not."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    judged = [judged for test in tests for judged in test["alert_rule_test"]]
    assert alerts == {one["alertname"] for one in judged if one.get("exp_alerts")}
    assert alerts == {one["alertname"] for one in judged if not one.get("exp_alerts")}


def test_counters_begin_at_nought() -> None:
    """One that is born at 1 has not grown, so no alert sees it; kinds of which nothing has come yet are there, too."""
    metrics = Metrics()
    metrics.set_rules(Rules({"support": QueueRules("support", strategy="mine")}, {}))
    metrics.begin_at_zero(["fs1"], Difference)
    before = samples(metrics)
    metrics.sink([Anomaly("call_refused", "", 0), Anomaly("no such word!", "", 0)])
    metrics.sink([StrategyFailed("support", "mine", "", 1, 0)])
    metrics.reconnected("fs1")
    metrics.late_reply("fs1")
    metrics.reconciled(Difference.UNKNOWN_CALLER)
    after = samples(metrics)
    grown = {sample for sample in after if after[sample] != before.get(sample)}
    assert len(grown) == 6
    assert {before.get(sample) for sample in grown} == {0.0}


def samples(metrics: Metrics) -> dict[str, float]:
    """All samples of counters."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in metrics.collect()
        if family.type == "counter"
        for sample in family.samples
    }
