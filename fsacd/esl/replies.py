"""Which answer belongs to which command, pure. FreeSWITCH numbers nothing: answers come in the order of the commands.

So a command whose deadline has passed keeps its place as a tombstone until its answer comes, and that answer is
dropped; taking it out would give every later command the answer of the one before it.

    add ──> outgoing ──take──> pending ──answer──> gone
               │ expire           │ expire
               v                  v
            NOT_SENT         UNCONFIRMED (tombstone) ──answer──> gone
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fsacd.esl.wire import Outcome, Reply, Wire


@dataclass(slots=True, eq=False)
class Command:
    """One command on its way. `deadline` is in seconds of the monotonic clock; `done`: its outcome has been told."""

    wire: Wire
    deadline: float
    on_reply: Callable[[Reply], object] | None
    done: bool = False


class Replies:
    """The commands of one connection, in order; at most `limit` of them, tombstones included."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._outgoing: deque[Command] = deque()
        self._pending: deque[Command] = deque()
        self._late: list[Command] = []

    def __len__(self) -> int:
        return len(self._outgoing) + len(self._pending) + len(self._late)

    @property
    def has_outgoing(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._outgoing)

    def add(self, command: Command) -> bool:
        """Line a command up; False when there are too many on their way."""
        if len(self) >= self._limit:
            return False
        self._outgoing.append(command)
        return True

    def take(self, max_bytes: int, now: float = 0.0) -> bytes:
        """What to write next, at least one command, more while they fit; from here on they count as written.

        No command is written after its deadline, even if only this process stood still; `expire` returns such commands.
        """
        data = bytearray()
        while self._outgoing and (not data or len(data) + len(self._outgoing[0].wire.data) <= max_bytes):
            command = self._outgoing.popleft()
            if command.deadline <= now:
                self._late.append(command)
                continue
            self._pending.append(command)
            data += command.wire.data
        return bytes(data)

    def answer(self) -> Command | None:
        """The command that the answer which just came belongs to; None when nothing was asked."""
        return self._pending.popleft() if self._pending else None

    def longest(self, after: int) -> int:
        """How many bytes the answer may have that comes after this many others."""
        return self._pending[after].wire.longest_reply if after < len(self._pending) else 0

    def next_deadline(self) -> float | None:
        """The earliest deadline of the commands that still wait for an answer."""
        queues = (self._late, self._outgoing, self._pending)
        waiting = (command for queue in queues for command in queue if not command.done)
        return min((command.deadline for command in waiting), default=None)

    def expire(self, now: float) -> list[tuple[Command, Outcome]]:
        """Commands whose deadline has come: unwritten ones leave, written ones become tombstones."""
        late = self._late + [command for command in self._outgoing if command.deadline <= now]
        self._late = []
        if late:
            self._outgoing = deque(command for command in self._outgoing if command.deadline > now)
        expired = [(command, Outcome.NOT_SENT) for command in late]
        expired += [(command, Outcome.UNCONFIRMED) for command in self._pending if _is_late(command, now)]
        for command, _ in expired:
            command.done = True
        return expired

    def fail(self) -> list[tuple[Command, Outcome]]:
        """The connection is gone: all commands that still wait, each with its outcome, in order."""
        failed = [(command, Outcome.UNCONFIRMED) for command in self._pending if not command.done]
        failed += [(command, Outcome.NOT_SENT) for command in (*self._late, *self._outgoing)]
        self._late.clear()
        self._pending.clear()
        self._outgoing.clear()
        for command, _ in failed:
            command.done = True
        return failed


def _is_late(command: Command, now: float) -> bool:
    return not command.done and command.deadline <= now
