"""One Event Socket connection; to its user a greenswitch InboundESL: connect, send, stop, register_handle, .data.

What greenswitch does below that surface is replaced, because it hangs, forges headers, or dies on ordinary input: bytes
are framed by our codec, answers have deadlines, a lost connection fails everything that waits, and nobody hogs the hub.

    socket ──reader──> codec ──replies──> on_reply (quick, in the reader)
                          └──events──> inbox ──dispatcher──> handlers
"""

from __future__ import annotations

import fcntl
import struct
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, assert_never

import gevent
import gevent.socket
import structlog
from gevent.event import AsyncResult, Event
from greenswitch.esl import InboundESL

from fsacd.esl import encoder
from fsacd.esl.codec import Decoder, Kind, Message, ProtocolError
from fsacd.esl.errors import (
    LinkError,
    NonsenseError,
    NoReplyError,
    PasswordRefusedError,
    why_closed,
    why_no_connection,
    words,
)
from fsacd.esl.greeting import greets
from fsacd.esl.inbox import YIELD_S, Inbox, InboxStalledError
from fsacd.esl.opening import opened
from fsacd.esl.owner import stranger
from fsacd.esl.replies import Command, Replies
from fsacd.esl.settings import Counters, LinkSettings
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.esl.writer import Writer
from fsacd.log.setup import seldom
from fsacd.process.trouble import shortened
from fsacd.runtime import watched

_log = structlog.get_logger(__name__)

_RECEIVE_BYTES: Final = 32 * 1024
_STOP_S: Final = 1.0
_ACCEPTED: Final = "+OK accepted"
_REPLY: Final = "handler of replies"
# For SO_LINGER: close by RST, and throw away what was not sent.
_AT_ONCE: Final = struct.pack("ii", 1, 0)

OnReply = Callable[[Reply], object]
Handler = Callable[[Message], object]


class EslClient(InboundESL):  # type: ignore[misc]  # greenswitch is untyped
    """One connection. `timeout` in seconds covers connecting and logging in; it may be connected again after `stop`."""

    def __init__(
        self,
        host: str,
        port: int,
        password: str,
        timeout: float = 5,
        *,
        settings: LinkSettings | None = None,
        counters: Counters | None = None,
    ) -> None:
        super().__init__(host, port, password, timeout)
        self._settings = settings or LinkSettings(password=password, host=host, port=port)
        self.counters = counters or Counters()
        self.event_handlers: dict[str, list[Handler]]
        self._reset()

    def _reset(self) -> None:
        self.connected = False
        self.lost_reason: str | None = None
        self.last_heard = time.monotonic()
        # Whether it ended because of what was said on it.
        self.was_nonsense = False
        self._notice: Message | None = None
        self._hello = Event()
        self._inbox = Inbox(
            limit=self._settings.inbox_limit,
            stall_s=self._settings.inbox_stall_ms / 1000,
            slice_s=self._settings.slice_ms / 1000,
            counters=self.counters,
        )
        self._replies = Replies(self._settings.pending_limit)
        self._writer = Writer(self._replies, self._settings.write_timeout_ms / 1000, self.lose)
        self._deadline_set = Event()
        self._next_deadline = float("inf")
        # Set when the last handler has seen the last event: nothing of this connection comes any more.
        self.ended = Event()
        self._greenlets: list[gevent.Greenlet] = []
        self.sock: gevent.socket.socket | None = None

    # --- connecting ---

    def connect(self) -> None:
        """Connect and log in. LinkError (PasswordRefusedError) in an operator's words; nothing is left open then."""
        self._connect(self.authenticate)

    def look(self, quiet_s: float) -> None:
        """Only see whether a FreeSWITCH greets us there, and then waits for us for `quiet_s`; LinkError if not.

        The password stays here.
        """
        try:
            self._connect(lambda: self._stay_quiet(quiet_s))
        finally:
            self._give_up("it was only looked at")

    def _stay_quiet(self, quiet_s: float) -> None:
        gevent.sleep(quiet_s)
        self._raise_if_lost()

    def _connect(self, and_then: Callable[[], object]) -> None:
        if self.connected:
            raise LinkError("this connection is open already")
        self._reset()
        where = f"{self.host}:{self.port}"
        silent = f"FreeSWITCH at {where} did not answer in {self.timeout:g} s"
        try:
            self.sock = opened(self.host, self.port, self.timeout)
            self._refuse_strangers(where)
            self._tune(self.sock)
            self._writer.sock = self.sock
            self.connected = True
            self.start_event_handlers()
            with gevent.Timeout(self.timeout, LinkError(silent)):
                self._hello.wait()
                self._raise_if_lost()
                and_then()
        except LinkError as error:
            self._give_up(str(error))
            raise
        except OSError as error:
            sentence = silent if isinstance(error, TimeoutError) else why_no_connection(where, error)
            self._give_up(sentence)
            raise LinkError(sentence) from error
        except BaseException:
            # Killed while connecting: the socket must not outlive the attempt.
            self._give_up("the attempt was given up")
            raise

    def _refuse_strangers(self, where: str) -> None:
        """LinkError when the program that listens there is that of another user than FreeSWITCH's."""
        assert self.sock is not None
        owner = stranger(self.sock.getpeername()[0], self.port, self._settings.owner)
        if owner:
            raise LinkError(
                f"the program that listens at {where} belongs to the user {owner}, and is not told the password: if "
                f"it is FreeSWITCH, say so by `owner: {owner}` of this switch"
            )

    def _give_up(self, reason: str) -> None:
        self.lose(reason)
        # Once more: it may have been opened after somebody else had given the attempt up.
        self._close_socket()
        self._join()

    def _tune(self, sock: gevent.socket.socket) -> None:
        sock.settimeout(None)
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        # What the kernel could not deliver in this time it must not deliver later: a command to ring would be obeyed
        # when nobody waits any more, or when another daemon serves the switch.
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_USER_TIMEOUT, self._settings.write_timeout_ms)
        sock.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_KEEPALIVE, 1)

    def start_event_handlers(self) -> None:
        """Start the greenlets of this connection. It lives no longer than any of them."""
        for part, work in (
            ("link reader", self.receive_events),
            ("link writer", self._writer.run),
            ("link deadlines", self._expire),
            ("link dispatcher", self.process_events),
        ):
            self._greenlets.append(watched.bound(part, work, self._part_failed, may_end=self._is_lost))

    def _is_lost(self) -> bool:
        return self.lost_reason is not None

    def _part_failed(self, why: str) -> None:
        self.lose(shortened(f"a part of the link failed, by a fault of ours: {why}"))

    def authenticate(self) -> None:
        """Log in with the password, or as a user of the directory."""
        user = self._settings.user
        reply = self.call(encoder.userauth(user, self.password) if user else encoder.auth(self.password), self.timeout)
        # The refusal comes first even when FreeSWITCH has closed the connection right behind it.
        if reply.outcome is Outcome.ERR:
            raise PasswordRefusedError("FreeSWITCH refused the password")
        if not reply.ok:
            raise LinkError(shortened(reply.text))
        if reply.text != _ACCEPTED:
            why = "what listens there does not answer to the password as FreeSWITCH does"
            self._note_nonsense(why)
            raise NonsenseError(why)

    def _note_nonsense(self, why: str) -> None:
        self.was_nonsense = True
        self.counters.note_nonsense(why)

    def _raise_if_lost(self) -> None:
        if self.lost_reason is not None:
            raise (NonsenseError if self.was_nonsense else LinkError)(self.lost_reason)

    # --- commands ---

    def send(self, data: str | Wire, timeout: float | None = None) -> Message:
        """Send one command, wait for its answer (`.headers`, `.data`). LinkError or NoReplyError when none can come.

        Text is taken as it is, but only as one command: ValueError for control characters.
        """
        wire = data if isinstance(data, Wire) else encoder.raw(data)
        reply = self.call(wire, timeout)
        if reply.message is not None:
            return reply.message
        if self.lost_reason is None and reply.outcome is Outcome.UNCONFIRMED:
            raise NoReplyError(reply.text)
        raise LinkError(reply.text)

    def call(self, wire: Wire, timeout_s: float | None = None) -> Reply:
        """Send one command and wait for its outcome, at most `timeout_s`."""
        result = AsyncResult()
        self.submit(wire, result.set, timeout_s)
        reply: Reply = result.get()
        return reply

    def submit(self, wire: Wire, on_reply: OnReply | None = None, timeout_s: float | None = None) -> None:
        """Line one command up and return at once. `on_reply` is called exactly once, later, by another greenlet."""
        timeout_s = self._settings.command_timeout_ms / 1000 if timeout_s is None else timeout_s
        command = Command(wire, time.monotonic() + timeout_s, on_reply)
        if not self.connected:
            text = self.lost_reason or "there is no connection"
            watched.brief(_REPLY, _finish, command, Reply(Outcome.NOT_SENT, text))
        elif not self._replies.add(command):
            self.counters.refused_commands += 1
            text = f"{self._settings.pending_limit} commands wait for FreeSWITCH's answer already"
            watched.brief(_REPLY, _finish, command, Reply(Outcome.NOT_SENT, text))
        else:
            self._writer.write()
            if command.deadline < self._next_deadline:
                self._deadline_set.set()

    @property
    def pending(self) -> int:
        """How many commands are on their way, late ones included."""
        return len(self._replies)

    @property
    def waiting_events(self) -> int:
        """How many events wait for their handler."""
        return len(self._inbox)

    def has_unread(self) -> bool:
        """Whether bytes have come that nobody has looked at yet."""
        if self.sock is None or not self.connected:
            return False
        (count,) = struct.unpack("i", fcntl.ioctl(self.sock.fileno(), termios.FIONREAD, bytes(4)))
        return bool(count)

    def wake(self) -> None:
        """Write one bare newline, so that FreeSWITCH looks at its events at once. Neither blocks nor yields."""
        if self.connected and self._writer.wake(encoder.WAKE_UP):
            self.counters.wake_ups += 1

    def _expire(self) -> None:
        while self.lost_reason is None:
            deadline = self._replies.next_deadline()
            self._next_deadline = float("inf") if deadline is None else deadline
            self._deadline_set.clear()
            self._deadline_set.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            for command, outcome in self._replies.expire(time.monotonic()):
                self.counters.timeouts += 1
                _finish(command, Reply(outcome, "FreeSWITCH did not answer in time"))

    # --- reading ---

    def receive_events(self) -> None:
        """Read until the connection ends, in slices, so that a burst does not stop everybody else."""
        try:
            reason = self._read()
        except ProtocolError as error:
            reason = str(error)
            self._note_nonsense(reason)
        except InboxStalledError as error:
            reason = str(error)
        except OSError as error:
            reason = f"the connection to FreeSWITCH broke: {words(error)}"
        self.lose(reason)

    def _read(self) -> str:
        slice_s = self._settings.slice_ms / 1000
        until = time.monotonic() + slice_s
        sock, counters, inbox, decoder = self.sock, self.counters, self._inbox, Decoder(self._replies.longest)
        assert sock is not None
        data, left_out = self._read_greeting(sock), 0
        while data or (data := sock.recv(_RECEIVE_BYTES)):
            counters.bytes += len(data)
            try:
                messages = decoder.feed(data)
            except ProtocolError as error:
                self._take(error.before)
                raise
            data = b""
            self._take(messages)
            if decoder.left_out != left_out:
                self._note_left_out(decoder.left_out - left_out)
                left_out = decoder.left_out
            if inbox.is_full:
                inbox.wait_for_room()
            self.last_heard = now = time.monotonic()
            if now >= until:
                gevent.sleep(YIELD_S)
                until = time.monotonic() + slice_s
        if decoder.partial_bytes:
            return f"the connection to FreeSWITCH broke off {decoder.partial_bytes} bytes into a message"
        return why_closed(self._notice)

    def _read_greeting(self, sock: gevent.socket.socket) -> bytes:
        """Read its first words; what of them is no greeting is returned, to be read as any message."""
        heard = b""
        while data := sock.recv(_RECEIVE_BYTES):
            heard += data
            wanted = greets(heard)
            if wanted is None:
                continue
            self.last_heard = time.monotonic()
            if wanted:
                self.counters.bytes += len(heard)
                self._hello.set()
                return b""
            break
        return heard

    def _note_left_out(self, count: int) -> None:
        self.counters.note_left_out(count)
        seldom(
            _log.warning,
            "size",
            "a message of the switch was too large, and is left out",
            group=f"{self.host}:{self.port}",
        )

    def _take(self, messages: Sequence[Message]) -> None:
        put = self._inbox.put
        for message in messages:
            if message.kind is Kind.EVENT:
                put(message)
            else:
                self.handle_event(message)

    def handle_event(self, event: Message) -> None:
        """Take a message that is no event of the switch."""
        match event.kind:
            case Kind.COMMAND_REPLY | Kind.API_RESPONSE:
                self._answer(event)
            case Kind.AUTH_REQUEST:
                raise ProtocolError("FreeSWITCH asked for the password a second time.")
            case Kind.DISCONNECT | Kind.RUDE_REJECTION:
                self._notice = event
            case Kind.EVENT | Kind.LOG | Kind.OTHER:
                self._inbox.put(event)
            case _:
                assert_never(event.kind)

    def _answer(self, message: Message) -> None:
        command = self._replies.answer()
        if command is None:
            raise ProtocolError("FreeSWITCH answered a command that was never sent.")
        if command.done:
            self.counters.late_replies += 1
        else:
            _finish(command, Reply.of(message))

    # --- handlers ---

    def pause_handlers(self) -> None:
        """Keep events in the inbox until `resume_handlers`."""
        self._inbox.pause()

    def resume_handlers(self) -> None:
        """Hand events on, first those that have come meanwhile."""
        self._inbox.resume()

    def process_events(self) -> None:
        """Hand every event to its handlers, in order; after the last one DISCONNECT, exactly once."""
        try:
            self._inbox.run(self._dispatch)
        except Exception as error:
            # Nobody would hear of its end: it must have one before that is told.
            self._part_failed(f"{type(error).__name__}: {error}")
            self._tell_end()
            raise
        self._tell_end()

    def _tell_end(self) -> None:
        for handler in tuple(self.event_handlers.get("DISCONNECT", ())):
            self._safe_exec_handler(handler, self._notice or _disconnect_notice(self.lost_reason or ""))
        self.ended.set()

    def _dispatch(self, message: Message) -> None:
        registered = self.event_handlers
        name = message.name
        if name == "CUSTOM":
            name = message.subclass
        elif message.kind is Kind.LOG:
            name = "log"
        handlers = registered.get(name) or registered.get("*")
        if handlers:
            for handler in tuple(handlers):
                self._safe_exec_handler(handler, message)

    def _safe_exec_handler(self, handler: Handler, event: Message) -> None:
        try:
            handler(event)
        except Exception as error:  # noqa: BLE001  # an error of one event's handler must not cost the events after it
            self.counters.handler_errors += 1
            watched.caught("handler of events", error)

    # --- the end ---

    def stop(self) -> None:
        """Leave: what was lined up is not sent any more, what was sent is unconfirmed. Returns within a second."""
        if self.connected:
            with gevent.Timeout(_STOP_S, False):
                self._writer.finish(encoder.leave().data)
        self.lose("the connection was closed by us", in_order=True)
        self._join()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def __enter__(self) -> Self:
        """Connect."""
        self.connect()
        return self

    def lose(self, reason: str, *, in_order: bool = False) -> None:
        """The connection is gone, once, for this reason: whoever waits for anything of it is told.

        `in_order`: it is we who leave, and what was said last shall still be heard.
        """
        if self.lost_reason is not None:
            return
        self.lost_reason = reason
        self.connected = False
        if self.pending and self.sock is not None and not in_order:
            # What the kernel has not delivered yet it must not deliver any more: on a link that was half-open, an order
            # to ring would be obeyed when another daemon serves the switch.
            with suppress(OSError):  # it is closed already
                self.sock.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_LINGER, _AT_ONCE)
        self._close_socket()
        for command, outcome in self._replies.fail():
            watched.brief(_REPLY, _finish, command, Reply(outcome, reason))
        self._writer.stop()
        for event in (self._hello, self._deadline_set):
            event.set()
        self._inbox.close()
        if not self._greenlets:
            self.ended.set()

    def _close_socket(self) -> None:
        if self.sock is not None:
            self.sock.close()

    def _join(self) -> None:
        others = [greenlet for greenlet in self._greenlets if greenlet is not gevent.getcurrent()]
        self._inbox.resume()
        gevent.joinall(others, timeout=_STOP_S)
        # Only a handler that does not return can still be there.
        gevent.killall(others, block=False)


def _finish(command: Command, reply: Reply) -> None:
    command.done = True
    if command.on_reply is None:
        return
    try:
        command.on_reply(reply)
    except Exception as error:  # noqa: BLE001  # an error of one command's caller must not cost the replies after it
        watched.caught(_REPLY, error)


def _disconnect_notice(reason: str) -> Message:
    return Message(Kind.DISCONNECT, {"Content-Type": Kind.DISCONNECT.value}, reason.encode())
