"""Who is there for each queue: how many agents are logged in and on duty, and since when a queue has nobody.

Agents who serve a queue as backup are not counted: they help it, but do not keep it open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from fsacd.core.agent import Agent, LoggedOut, Served
from fsacd.core.rules import Overflow, QueueRules


class Condition(StrEnum):
    """Why a queue may send its calls elsewhere; the value is what history calls it."""

    CLOSED = "closed"
    NOBODY_LOGGED_IN = "nobody_logged_in"
    NOBODY_READY = "nobody_ready"


def overflow_rules(rules: QueueRules, condition: Condition) -> Overflow | None:
    """What the queue does under this condition."""
    match condition:
        case Condition.CLOSED:
            return rules.when_closed
        case Condition.NOBODY_LOGGED_IN:
            return rules.when_nobody_logged_in
        case Condition.NOBODY_READY:
            return rules.when_nobody_ready
        case _:
            assert_never(condition)


@dataclass(slots=True)
class _Counted:
    services: tuple[Served, ...]
    logged_in: bool
    on_duty: bool

    @property
    def queues(self) -> tuple[str, ...]:
        return tuple(served.queue for served in self.services if not served.backup)

    @property
    def on_duty_for(self) -> tuple[str, ...]:
        """The queues whose calls the agent takes. In a queue they are not ready for, they count as on a break."""
        return tuple(served.queue for served in self.services if not served.backup and served.not_ready is None)


_NOT_COUNTED = _Counted((), logged_in=False, on_duty=False)


def _count_alike(before: tuple[Served, ...], now: tuple[Served, ...]) -> bool:
    """Whether an agent with these services counts where one with those did."""
    if before is now:
        return True
    if len(before) != len(now):
        return False
    for old, new in zip(before, now, strict=True):
        if old.queue != new.queue or old.backup is not new.backup or old.not_ready != new.not_ready:
            return False
    return True


class Staffing:
    """Counts per queue. `since` holds when each condition that holds now began, by (condition, queue)."""

    def __init__(self, queues: Iterable[str], now_ms: int) -> None:
        self.logged_in: dict[str, int] = {}
        self.on_duty: dict[str, int] = {}
        self.since: dict[tuple[Condition, str], int] = {}
        self._counted: dict[str, _Counted] = {}
        self.add_queues(queues, now_ms)

    def add_queues(self, queues: Iterable[str], now_ms: int) -> None:
        """Count for these queues, too."""
        for queue in queues:
            if queue not in self.logged_in:
                self.logged_in[queue] = self.on_duty[queue] = 0
                self.since[Condition.NOBODY_LOGGED_IN, queue] = now_ms
                self.since[Condition.NOBODY_READY, queue] = now_ms

    def rename(self, old: str, new: str, now_ms: int) -> None:
        """Carry what held for a queue over to its new name."""
        if new not in self.logged_in:
            self.add_queues([new], now_ms)
            for condition in Condition:
                if (condition, old) in self.since:
                    self.since[condition, new] = self.since[condition, old]

    def keep(self, queues: Collection[str]) -> None:
        """Forget all other queues; no agent serves one of them any more."""
        for queue in [queue for queue in self.logged_in if queue not in queues]:
            del self.logged_in[queue], self.on_duty[queue]
        for condition, queue in [key for key in self.since if key[1] not in queues]:
            del self.since[condition, queue]

    def count(self, agent: Agent, now_ms: int) -> set[str]:
        """The agent's state, wish or queues may have changed. Returns the queues for which that may matter."""
        old = self._counted.get(agent.agent_id, _NOT_COUNTED)
        logged_in, on_duty = not isinstance(agent.state, LoggedOut), agent.on_duty
        if old.services is agent.services and old.logged_in is logged_in and old.on_duty is on_duty:
            return set()
        new = self._counted[agent.agent_id] = _Counted(agent.services, logged_in, on_duty)
        self._add(old, -1, now_ms)
        self._add(new, +1, now_ms)
        return {*old.queues, *new.queues}

    def configured(self, agents: Iterable[Agent], now_ms: int) -> set[str]:
        """As `count`, for agents whose rules alone have changed: gives only queues whose counts may have."""
        queues: set[str] = set()
        counted = self._counted
        for agent in agents:
            known, services = counted.get(agent.agent_id), agent.services
            if known is None:
                counted[agent.agent_id] = _Counted(services, logged_in=False, on_duty=False)
                continue
            if known.logged_in and not _count_alike(known.services, services):
                self._add(known, -1, now_ms)
                queues.update(known.queues)
                known.services = services
                self._add(known, +1, now_ms)
                queues.update(known.queues)
            else:
                known.services = services  # in place: with many agents, an object more for each takes its time
        return queues

    def forget(self, agent: Agent, now_ms: int) -> set[str]:
        """The agent is no more. Returns their queues."""
        old = self._counted.pop(agent.agent_id, _NOT_COUNTED)
        self._add(old, -1, now_ms)
        return set(old.queues)

    def is_open(self, queue: str) -> bool:
        """Whether the queue is open."""
        return (Condition.CLOSED, queue) not in self.since

    def set_open(self, queue: str, *, is_open: bool, now_ms: int) -> None:
        """A queue opens or closes."""
        if is_open:
            self.since.pop((Condition.CLOSED, queue), None)
        else:
            self.since.setdefault((Condition.CLOSED, queue), now_ms)

    def _add(self, counted: _Counted, by: int, now_ms: int) -> None:
        for queue in counted.queues:
            self._change(self.logged_in, Condition.NOBODY_LOGGED_IN, queue, by * counted.logged_in, now_ms)
        for queue in counted.on_duty_for:
            self._change(self.on_duty, Condition.NOBODY_READY, queue, by * counted.on_duty, now_ms)

    def _change(self, counts: dict[str, int], condition: Condition, queue: str, by: int, now_ms: int) -> None:
        counts[queue] += by
        if counts[queue]:
            self.since.pop((condition, queue), None)
        else:
            self.since.setdefault((condition, queue), now_ms)
