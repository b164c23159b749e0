"""One Event Socket connection, seen from the switch: bytes in, bytes out, and the 20 ms poll in between.

mod_event_socket serves a connection with one thread: it reads commands one by one, answers each before it reads the
next, and looks at its event queue only between commands, at most every 20 ms unless a byte from the client wakes it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from fsacd.sim import wire
from fsacd.sim.agenda import MS, SECOND, Timer
from fsacd.sim.events import Event
from fsacd.sim.settings import User
from fsacd.sim.socket_commands import AFTER_AUTH, BEFORE_AUTH, VERBS
from fsacd.sim.switch import Switch

POLL_US = 20 * MS
AUTH_LIMIT_US = 25 * SECOND
MAX_MISSED = 500
# What the kernel holds for a client that does not read; beyond it the connection's thread blocks.
MAX_UNREAD_BYTES = 1_000_000
MAX_COMMAND_BYTES = 10_000_000
COMMAND_US = 60

_CONTENT_LENGTH = re.compile(rb"(?:^|\n)content-length: *(-?\d+)", re.IGNORECASE)
GOODBYE = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"


class Listener:
    """A connection. `out` holds what the client shall read; `on_output` is called when there is something new."""

    def __init__(self, switch: Switch, on_output: Callable[[], None]) -> None:
        self.switch = switch
        self.on_output = on_output
        self.out = bytearray()
        self.closed = False
        # Called when the connection breaks off: what was not read yet is lost.
        self.on_broken: Callable[[], object] = on_output
        self.authed = False
        self.user: User | None = None
        self.format = "plain"
        self.listening = False
        self.events: set[str] = set()
        self.subclasses: set[str] = set()
        self.filters: list[tuple[str, str]] = []
        self._queue: deque[Event] = deque()
        self._missed = 0
        self._in = bytearray()
        self._busy = False
        self._polled_us = switch.agenda.now_us
        self._poll: Timer | None = None
        self._limit = switch.agenda.after(AUTH_LIMIT_US, self._auth_late)
        self.send(b"Content-Type: auth/request\n\n")

    # --- bytes --------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """The client wrote something: it wakes the thread, whatever it is."""
        if self.closed or self.switch.faults.blackholed:
            return
        self._in += data
        if len(self._in) > MAX_COMMAND_BYTES:
            self.close()
            return
        self._work()

    def sent(self, count: int) -> None:
        """The client has read `count` bytes of `out`."""
        was_blocked = self._blocked
        del self.out[:count]
        if was_blocked and not self._blocked:
            self._plan_poll(at_once=True)

    def send(self, data: bytes) -> None:
        """Write to the client."""
        if not (self.closed or self.switch.faults.blackholed):
            self.out += data
            self.on_output()

    def close(self, notice: bytes | None = GOODBYE) -> None:
        """Hang up on the client, with a notice unless the machine died."""
        if self.closed:
            return
        if notice is not None:
            self.send(wire.frame("text/disconnect-notice", notice))
        self.closed = True
        self._limit.cancel()
        self._queue.clear()
        self.switch.listeners.discard(self)
        if notice is None:
            self.on_broken()
        self.on_output()

    def _auth_late(self) -> None:
        if not self.authed:
            self.close()

    @property
    def _blocked(self) -> bool:
        return len(self.out) > MAX_UNREAD_BYTES

    # --- commands -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not (self._busy or self.closed):
            command = self._next_command()
            if command is None:
                break
            self._do(*command)
        if not (self._busy or self.closed) and not self._in:
            self._drain()

    def _next_command(self) -> tuple[str, dict[str, str], str] | None:
        while self._in and self._in[0] in b"\r\n":
            del self._in[:1]
        text = self._in.replace(b"\r", b"")
        end = text.find(b"\n\n")
        if end < 0:
            return None
        head, rest = bytes(text[:end]), text[end + 2 :]
        found = _CONTENT_LENGTH.search(head)
        length = max(0, int(found.group(1))) if found else 0
        if len(rest) < length:
            return None
        self._in = rest[length:]
        lines = head.decode("utf-8", "surrogateescape").split("\n")
        headers = {name.strip(): value.lstrip(" ") for name, _, value in (line.partition(":") for line in lines[1:])}
        return lines[0], headers, bytes(rest[:length]).decode("utf-8", "surrogateescape")

    def _do(self, command: str, headers: dict[str, str], body: str) -> None:
        lowered = command.lower()
        if "mod_event_socket" in lowered and ("unload" in lowered or "reload" in lowered):
            # FreeSWITCH takes any command with these words for an order to unload the Event Socket.
            self.switch.faults.unload_event_socket()
            return
        for verb, handler in (*VERBS, *(AFTER_AUTH if self.authed else BEFORE_AUTH)):
            if lowered.startswith(verb):
                # Only what is asked of the API may begin with a blank, and is then no command.
                text = command[len(verb) :]
                handler(self, text.rstrip() if verb in {"api ", "bgapi "} else text.strip(), headers, body)
                return
        self.reply("-ERR command not found")

    def reply(self, text: str, **more: str) -> None:
        """Answer the command with a command/reply."""
        self.send(wire.command_reply(text, **more))

    def answer(self, body: str) -> None:
        """Answer the command with an api/response; nothing to say is an error."""
        raw = (body or "-ERR no reply\n").encode("utf-8", "surrogateescape")
        self.send(wire.frame("api/response", raw))

    def block(self, duration_us: int | None) -> None:
        """The thread is busy for so long (None: until `unblock`): no command is read and no event written."""
        self._busy = True
        if duration_us is not None:
            self.switch.agenda.after(duration_us, self.unblock)

    def unblock_soon(self) -> None:
        """The command took its moment."""
        self.block(COMMAND_US)

    def unblock(self) -> None:
        """The thread is free again."""
        self._busy = False
        if not self.closed:
            self._work()

    # --- events -------------------------------------------------------------------------------------------------

    def wants(self, name: str, subclass: str) -> bool:
        """Whether the subscription names this event."""
        if not self.listening or self.closed:
            return False
        if name == "CUSTOM":
            return subclass in self.subclasses or ("ALL" in self.events and "" in self.subclasses)
        return name in self.events or "ALL" in self.events

    def offer(self, event: Event) -> None:
        """Queue an event that the subscription wants, unless the filters refuse it."""
        if self.filters and not self._passes(event):
            return
        if len(self._queue) >= self.switch.settings.max_queue:
            self._missed += 1
            if self._missed > MAX_MISSED:
                self.close(b"killed listener because of lost events\n")
            return
        self._queue.append(event)
        self._plan_poll(at_once=False)

    def _passes(self, event: Event) -> bool:
        """Positive filters are or-ed, a matching negative one vetoes, and with negative ones alone nothing passes.

        A negative one begins with a minus and is always a text, never a pattern.
        """
        kept = False
        for name, pattern in self.filters:
            negative = pattern.startswith("-")
            value = event.headers.get(name)
            if value is None:
                continue
            if pattern[0] == pattern[-1] == "/":
                hit = bool(re.search(pattern[1:-1], value))
            else:
                hit = value.lower() == pattern.lstrip("+- ").lower()
            if hit and negative:
                return False
            kept = kept or hit
        return kept

    def _plan_poll(self, at_once: bool) -> None:
        if self._poll is not None or self.closed or not self._queue:
            return
        agenda = self.switch.agenda
        periods = (agenda.now_us - self._polled_us) // POLL_US + 1
        due_us = agenda.now_us if at_once else self._polled_us + periods * POLL_US
        self._poll = agenda.at(due_us + self.switch.faults.event_delay_us, self._polled)

    def _polled(self) -> None:
        self._poll = None
        if not self._busy and not self._in:
            self._drain()

    def _drain(self) -> None:
        """Write the queued events, all of them, before the next command is looked at."""
        agenda = self.switch.agenda
        self._polled_us = agenda.now_us
        if self.switch.faults.blackholed or self._blocked:
            return
        if self.switch.faults.event_delay_us and self._poll is not None:
            return
        chunks: list[bytes] = []
        size = 0
        while self._queue and size < MAX_UNREAD_BYTES:
            chunk = self._queue.popleft().encode(self.format)
            size += len(chunk)
            chunks.append(chunk)
        if chunks:
            self.send(b"".join(chunks))
        if self._queue:
            self._plan_poll(at_once=True)

    def forget_events(self) -> None:
        """noevents: the queue goes with the subscription."""
        self._queue.clear()
        self.events.clear()
        self.subclasses.clear()
        self.listening = False


def connect(switch: Switch, on_output: Callable[[], None]) -> Listener:
    """A client has connected to the Event Socket."""
    listener = Listener(switch, on_output)
    switch.listeners.add(listener)
    return listener
