"""Metrics of two queues, what may be counted in them, and what a scrape shows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from fsacd.core.records import CallEnded, CallOutcome, OfferClosed, OfferOutcome
from fsacd.core.rules import QueueRules, Rules
from fsacd.core.views import AgentView, Snapshot
from fsacd.journal.settings import JournalState
from fsacd.metrics.exposition import Metrics
from tests.http.shown import Shown

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


def fresh() -> Metrics:
    """Metrics of these rules; each scrape is a new one."""
    made = Metrics(clock=Clock())
    made.set_rules(RULES)
    return made


def watch_all(metrics: Metrics) -> None:
    """Give them all that is read at the scrape."""
    metrics.watch_engine(lambda: Shown(Snapshot(0, (), (), (), (), ())))
    metrics.watch_store(Stored)
    metrics.watch_explainer(Explained)
    metrics.watch_journal(lambda: JOURNALED)
    metrics.watch_pins(lambda: (0, 0))


def ended(outcome: CallOutcome, waited_ms: int, detail: str = "", queue: str = "support") -> CallEnded:
    """The call with another end."""
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
