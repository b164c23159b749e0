"""The commands of one connection: written, and each answered exactly once, by FreeSWITCH or by its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import gevent.socket
from gevent.event import Event

from fsacd.esl.codec import Message, ProtocolError
from fsacd.esl.replies import Command, Replies
from fsacd.esl.settings import Counters, LinkSettings
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.esl.writer import Writer
from fsacd.runtime import watched

_REPLY: Final = "handler of replies"

OnReply = Callable[[Reply], object]


class Commands:
    """What was asked of the switch on one connection, and what became of it. `on_broken`: the socket takes no bytes."""

    def __init__(self, settings: LinkSettings, counters: Counters, on_broken: Callable[[str], object]) -> None:
        self.replies = Replies(settings.pending_limit)
        self.writer = Writer(self.replies, settings.write_timeout_ms / 1000, on_broken)
        self._limit = settings.pending_limit
        self._timeout_s = settings.command_timeout_ms / 1000
        self._counters = counters
        self._closed: str | None = None
        self._deadline_set = Event()
        self._next_deadline = float("inf")

    def open(self, sock: gevent.socket.socket) -> None:
        """From now on commands are written to this socket."""
        self.writer.sock = sock

    def submit(self, wire: Wire, on_reply: OnReply | None, timeout_s: float | None) -> None:
        """Line one command up and return at once. `on_reply` is called exactly once, later, by another greenlet."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        command = Command(wire, time.monotonic() + timeout_s, on_reply)
        if self._closed is not None or self.writer.sock is None:
            _not_sent(command, self._closed or "there is no connection")
        elif not self.replies.add(command):
            self._counters.refused_commands += 1
            _not_sent(command, f"{self._limit} commands wait for FreeSWITCH's answer already")
        else:
            self.writer.write()
            if command.deadline < self._next_deadline:
                self._deadline_set.set()

    def answer(self, message: Message) -> None:
        """An answer has come: it is that of the first command that has none yet. ProtocolError when there is none."""
        command = self.replies.answer()
        if command is None:
            raise ProtocolError("FreeSWITCH answered a command that was never sent.")
        if command.done:
            self._counters.late_replies += 1
        else:
            _finish(command, Reply.of(message))

    def expire(self) -> None:
        """Tell each command that is not answered by its deadline, until `close`."""
        while self._closed is None:
            deadline = self.replies.next_deadline()
            self._next_deadline = float("inf") if deadline is None else deadline
            self._deadline_set.clear()
            self._deadline_set.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            for command, outcome in self.replies.expire(time.monotonic()):
                self._counters.timeouts += 1
                _finish(command, Reply(outcome, "FreeSWITCH did not answer in time"))

    def close(self, reason: str) -> None:
        """The connection is gone: whoever waits for an answer is told, and nothing is written any more."""
        self._closed = reason
        for command, outcome in self.replies.fail():
            watched.brief(_REPLY, _finish, command, Reply(outcome, reason))
        self.writer.stop()
        self._deadline_set.set()


def _not_sent(command: Command, text: str) -> None:
    """Tell a command, by another greenlet, that it is not on its way."""
    watched.brief(_REPLY, _finish, command, Reply(Outcome.NOT_SENT, text))


def _finish(command: Command, reply: Reply) -> None:
    command.done = True
    if command.on_reply is None:
        return
    try:
        command.on_reply(reply)
    except Exception as error:  # noqa: BLE001  # an error of one command's caller must not cost the replies after it
        watched.caught(_REPLY, error)
