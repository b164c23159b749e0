"""One Event Socket connection; to its user a greenswitch InboundESL: connect, send, stop, register_handle, .data.

It is one, so that a program written for greenswitch can use it. Of greenswitch's own it keeps that surface and the
register of handlers. What greenswitch does below is replaced, because it hangs, forges headers, or dies on ordinary
input: bytes are framed by our codec, answers have deadlines, a lost connection fails everything that waits, and nobody
hogs the hub. The connection is put together from parts:

    socket ──Reader──> codec ──replies──> Commands ──> on_reply (quick, in the reader)
      ^                   └───events──> Inbox ──dispatcher──> handlers
      └──────Writer────── commands
"""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, assert_never

import gevent
import gevent.socket
from gevent.event import AsyncResult, Event
from greenswitch.esl import InboundESL

from fsacd.esl import encoder
from fsacd.esl.codec import Kind, Message, ProtocolError
from fsacd.esl.commanding import Commands, OnReply
from fsacd.esl.errors import (
    LinkError,
    NonsenseError,
    NoReplyError,
    PasswordRefusedError,
    why_no_connection,
    words,
)
from fsacd.esl.inbox import Inbox, InboxStalledError
from fsacd.esl.opening import opened
from fsacd.esl.reader import Reader
from fsacd.esl.settings import Counters, LinkSettings
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.process.trouble import shortened
from fsacd.runtime import watched

_STOP_S: Final = 1.0
_ACCEPTED: Final = "+OK accepted"
# For SO_LINGER: close by RST, and throw away what was not sent.
_AT_ONCE: Final = struct.pack("ii", 1, 0)

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
        # Whether it ended because of what was said on it.
        self.was_nonsense = False
        self._hello = Event()
        self._inbox = Inbox(
            limit=self._settings.inbox_limit,
            stall_s=self._settings.inbox_stall_ms / 1000,
            slice_s=self._settings.slice_ms / 1000,
            counters=self.counters,
        )
        self._commands = Commands(self._settings, self.counters, self.lose)
        longest, hello = self._commands.replies.longest, self._hello.set
        self._reader = Reader(self._settings, self.counters, self._inbox, longest, self.handle_event, hello)
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
            limits = self._settings
            self.sock = opened(
                self.host, self.port, self.timeout, owner=limits.owner, write_timeout_ms=limits.write_timeout_ms
            )
            self._commands.open(self.sock)
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

    def _give_up(self, reason: str) -> None:
        self.lose(reason)
        # Once more: it may have been opened after somebody else had given the attempt up.
        self._close_socket()
        self._join()

    def start_event_handlers(self) -> None:
        """Start the greenlets of this connection. It lives no longer than any of them."""
        for part, work in (
            ("link reader", self.receive_events),
            ("link writer", self._commands.writer.run),
            ("link deadlines", self._commands.expire),
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
            why = "what listens there answers the password as no FreeSWITCH does"
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
        self._commands.submit(wire, on_reply, timeout_s)

    @property
    def pending(self) -> int:
        """How many commands are on their way, late ones included."""
        return len(self._commands.replies)

    @property
    def waiting_events(self) -> int:
        """How many events wait for their handler."""
        return len(self._inbox)

    @property
    def last_heard(self) -> float:
        """When something was read last, in seconds of the monotonic clock."""
        return self._reader.last_heard

    def when_heard(self, tell: Callable[[], object]) -> None:
        """Call `tell` each time that something was read, until the connection ends. It must neither block nor yield."""
        self._reader.on_heard = tell

    def has_unread(self) -> bool:
        """Whether bytes have come that nobody has looked at yet."""
        if self.sock is None or not self.connected:
            return False
        (count,) = struct.unpack("i", fcntl.ioctl(self.sock.fileno(), termios.FIONREAD, bytes(4)))
        return bool(count)

    def wake(self) -> None:
        """Write one bare newline, so that FreeSWITCH looks at its events at once. Neither blocks nor yields."""
        if self.connected and self._commands.writer.wake(encoder.WAKE_UP):
            self.counters.wake_ups += 1

    # --- reading ---

    def receive_events(self) -> None:
        """Read until the connection ends."""
        assert self.sock is not None
        try:
            reason = self._reader.run(self.sock)
        except ProtocolError as error:
            reason = str(error)
            self._note_nonsense(reason)
        except InboxStalledError as error:
            reason = str(error)
        except OSError as error:
            reason = f"the connection to FreeSWITCH broke: {words(error)}"
        self.lose(reason)

    def handle_event(self, event: Message) -> None:
        """Take a message that is no event of the switch."""
        match event.kind:
            case Kind.COMMAND_REPLY | Kind.API_RESPONSE:
                self._commands.answer(event)
            case Kind.AUTH_REQUEST:
                raise ProtocolError("FreeSWITCH asked for the password a second time.")
            case Kind.DISCONNECT | Kind.RUDE_REJECTION:
                self._reader.notice = event
            case Kind.EVENT | Kind.LOG | Kind.OTHER:
                self._inbox.put(event)
            case _:
                assert_never(event.kind)

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
            self._safe_exec_handler(handler, self._reader.notice or _disconnect_notice(self.lost_reason or ""))
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
                self._commands.writer.finish(encoder.leave().data)
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
        self._commands.close(reason)
        self._hello.set()
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


def _disconnect_notice(reason: str) -> Message:
    return Message(Kind.DISCONNECT, {"Content-Type": Kind.DISCONNECT.value}, reason.encode())
