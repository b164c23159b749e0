"""Every count says since when it counts: those of one process, and those that go on over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fsacd.cli.main import main
from fsacd.http import answer, models
from fsacd.metrics.exposition import Metrics
from fsacd.metrics.series import SINCE
from tests.metrics_rig import DEFINITIONS, watch_all

# Every figure of the API that is a whole number, and what it is.
NOW = {
    "Agent.room", "Agents.total", "Call.position", "Call.priority", "Calls.total", "Eligible.level", "Eligible.missed",
    "Eligible.rank", "Explanation.candidates", "Explanation.eligible_total", "Explanation.not_rung_total",
    "Explanation.priority", "Explanation.shown", "Problem.status", "Queue.agents_logged_in",
    "Queue.agents_not_ready", "Queue.agents_ready", "Queue.offered", "Queue.talking", "Queue.waiting",
    "Service.rank", "Service.weight", "Store.queued", "Substituted.failures", "Switch.pending_commands",
    "Work.weight",
}  # fmt: skip
OVER_RESTARTS = {"Call.offers", "Explanation.decision", "Queue.abandoned", "Queue.answered"}
SINCE_THE_START = {"ReloadState.number", "Store.dropped", "Store.written", "Switch.events", "Switch.reconnects"}


def whole_numbers() -> Iterator[tuple[str, Any]]:
    """Each field of the API's answers that is a whole number, with its own model's name."""
    for model in vars(models).values():
        if isinstance(model, type) and issubclass(model, answer.Answer):
            for name in model.__annotations__:
                field = model.model_fields[name]
                if field.annotation in (int, int | None):
                    yield f"{model.__name__}.{name}", field


def test_every_figure_of_the_api_says_what_it_counts() -> None:
    """A new one needs a place above; a count says whether a restart of the daemon begins it anew."""
    fields = dict(whole_numbers())
    assert set(fields) == NOW | OVER_RESTARTS | SINCE_THE_START
    for names, words in ((OVER_RESTARTS, "over restarts"), (SINCE_THE_START, "since the daemon was started")):
        for name in names:
            assert words in (fields[name].description or ""), name


def test_every_counter_of_the_metrics_says_that_it_begins_anew() -> None:
    """Counters and histograms are this process's; so says the help of each, and the document that defines them."""
    metrics = Metrics()
    watch_all(metrics)
    ours = [family for family in metrics.collect() if family.name.startswith("fsacd_")]
    grown = [family for family in ours if family.type in {"counter", "histogram"}]
    assert len(grown) > 30
    assert [family.name for family in grown if not family.documentation.endswith(SINCE)] == []
    assert [one.name for one in ours if one.type == "gauge" and "start of the daemon" in one.documentation] == []
    assert "start at zero with the daemon" in " ".join(DEFINITIONS.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("command", [["queue", "list"], ["queue", "show"], ["status"]])
def test_the_command_line_says_it_where_it_shows_counts(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Answered and abandoned calls stand in a table that has no room for it; the command's help has."""
    assert main([*command, "--help"]) == 0
    assert "go on over restarts of the daemon" in " ".join(capsys.readouterr().out.split())
