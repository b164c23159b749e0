"""Log-ins, told in a line and judged by records and views. It shares no code with the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fsacd.core import records as r
from fsacd.core.views import Snapshot, Step


def log_in(told: r.LogIn, at: Callable[[int], str]) -> str:
    """A log-in as a story tells of it."""
    where = f"{told.agent_id} at {told.contact}" + (f" on {'|'.join(told.switches)}" if told.switches else "")
    begun = f"{told.how_begun}{f' by {told.by}' if told.by else ''}"
    if told.ended_ms is None:
        return f"LOG-IN of {where}, {begun}"
    return f"LOG-IN of {where} {at(told.started_ms)}..{at(told.ended_ms)}, {begun}, {told.how_ended} by {told.ended_by}"


@dataclass
class LogIns:
    """Follows who is logged in where by what is recorded, and compares with what is shown."""

    open: dict[str, r.LogIn] = field(default_factory=dict)  # by agent
    names: set[str] = field(default_factory=set)

    def take(self, step: Step, after: Snapshot) -> None:
        """One step."""
        for record in step.records:
            if not isinstance(record, r.LogIn):
                continue
            if record.ended_ms is None:
                assert record.agent_id not in self.open, f"{record.agent_id} is logged in twice"
                assert record.log_in_id not in self.names, "two log-ins have one name"
                assert record.started_ms == after.now_ms
                self.names.add(record.log_in_id)
                self.open[record.agent_id] = record
            else:
                begun = self.open.pop(record.agent_id)
                assert (record.log_in_id, record.started_ms, record.contact, record.by) == (
                    begun.log_in_id, begun.started_ms, begun.contact, begun.by,
                ), "its end tells the whole log-in again"  # fmt: skip
                assert record.ended_ms == after.now_ms
        shown = {a.agent_id: a.contact for a in after.agents if a.presence != "logged_out"}
        known = {agent_id: told.contact for agent_id, told in self.open.items()}
        assert known == shown, f"log-ins {known.items() ^ shown.items()}"
