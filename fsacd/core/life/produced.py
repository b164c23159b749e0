"""What a step has produced so far: commands, records, and marks of what has changed."""

from __future__ import annotations

from collections.abc import Callable

from fsacd.core.commands import Command
from fsacd.core.records import Record
from fsacd.core.views import Step

_NOTHING = Step()


class Produced:
    """Commands, records and marks, in their order.

    A mark stands wherever the view of a call, an agent or a queue may change (`Step` says what that means). Every call
    pays for each of them, so a mark is one plain assignment at its place, and is kept by name: a thing that is marked
    twice changes once. Forgetting one is found by `tests/core/test_feed.py`.
    """

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.records: list[Record] = []
        # Send a command; write a record. The lists are never replaced, so their own methods serve.
        self.command: Callable[[Command], None] = self.commands.append
        self.record: Callable[[Record], None] = self.records.append
        self.changed_calls: dict[str, object] = {}
        self.changed_agents: dict[str, object] = {}
        self.changed_queues: dict[str, object] = {}
        # So long ago the switch has told what this step is about.
        self.late_ms = 0

    def end_step(self, refused: str | None) -> Step:
        """Hand over all that the step has produced; the next one begins with nothing."""
        self.late_ms = 0
        commands, records = self.commands, self.records
        calls, agents, queues = self.changed_calls, self.changed_agents, self.changed_queues
        if not (queues or agents or calls or records or commands or refused is not None):
            return _NOTHING
        step = Step(tuple(commands), tuple(records), refused, tuple(calls), tuple(agents), tuple(queues))
        commands.clear()
        records.clear()
        calls.clear()
        agents.clear()
        queues.clear()
        return step

    def forget_changes(self) -> None:
        """Nothing has changed yet, as far as any reader can know."""
        self.changed_calls.clear()
        self.changed_agents.clear()
        self.changed_queues.clear()
