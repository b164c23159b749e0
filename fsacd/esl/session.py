"""One life of a link: two connections to one switch, from the first byte to the reason of their end.

Two, because FreeSWITCH sends a connection's events before it reads that connection's next command: a command would wait
behind a burst, and a slow command would hold events back.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Final

import gevent
from gevent.event import Event

from fsacd.config.installed import COMMANDS
from fsacd.esl import encoder
from fsacd.esl.client import EslClient
from fsacd.esl.codec import Message
from fsacd.esl.errors import LinkError, PasswordRefusedError
from fsacd.esl.settings import Counters, LinkSettings
from fsacd.esl.terms import ESSENTIAL, VARIABLE
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.process.trouble import shortened
from fsacd.runtime import watched

# Our own events, by which each second proves that both connections live. They are of a kind that the dialplan fires, so
# that they need no right of their own: FreeSWITCH has no room for many more of them (`config.installed`).
PROBE: Final = "fsacd::left"
_NUMBERED: Final = "fsacd_probe"
_DENIED: Final = "-ERR permission denied"
# The api commands that we use, without those that each login uses and so tests anyway.
_ASKED: Final = tuple(verb for verb in COMMANDS if verb not in ("global_getvar", "uptime"))
# What the link itself needs, whatever else its user subscribes to.
_OWN_EVENTS: Final = ("BACKGROUND_JOB", "HEARTBEAT")
_WRAP: Final = 1 << 32
_DRAIN_S: Final = 2.0
_GRACE_S: Final = 0.1
# A hundred years in seconds and in milliseconds modulo 2^32 have ten digits each; the engine's clock has 64 bits.
_LONGEST_NUMBER: Final = 10
_LONGEST_NAME: Final = 256


class Session:
    """Open it, run it until it ends, close it; a new one for every attempt."""

    def __init__(
        self,
        name: str,
        settings: LinkSettings,
        counters: Counters,
        on_event: Callable[[Message], object],
        busy: Event,
    ) -> None:
        self._name = name
        self._settings = settings
        self._counters = counters
        self._on_event = on_event
        self._busy = busy
        self._over = Event()
        self._reason: str | None = None
        self._waker: gevent.Greenlet | None = None
        # Probes of other daemons on the same switch arrive here too; the token tells which are ours.
        self._token = uuid.uuid4().hex
        self._probe_number = 0
        self._probes_out: dict[str, float] = {}
        self._asked: dict[EslClient, float] = {}
        self._running = False
        self.core_uuid = self.hostname = self.dialplan = ""
        # Events and commands that the switch refuses us, because our user's rights were set for an older version.
        self.denied: list[str] = []
        self.uptime_ms = self.read_at_ms = 0
        self.events = self._client()
        self.commands = self._client()

    def _client(self) -> EslClient:
        settings = self._settings
        client = EslClient(
            settings.host,
            settings.port,
            settings.password,
            settings.connect_timeout_ms / 1000,
            settings=settings,
            counters=self._counters,
        )
        client.register_handle("*", self._on_message)
        client.register_handle("DISCONNECT", lambda _notice: self._end(client.lost_reason or ""))
        return client

    # --- opening ---

    def look(self) -> None:
        """Check that FreeSWITCH listens there, without sending anything. LinkError if it does not."""
        self.events.look(self._settings.quiet_ms / 1000)

    @property
    def was_nonsense(self) -> bool:
        """Whether the other end has sent what no FreeSWITCH sends."""
        return self.events.was_nonsense or self.commands.was_nonsense

    def open(self, events: Iterable[str], subclasses: Iterable[str], filters: Iterable[tuple[str, str]]) -> None:
        """Connect both, subscribe, read who the switch is. LinkError with the reason when anything is refused."""
        try:
            self.events.connect()
            self.commands.connect()
        except PasswordRefusedError as error:
            raise LinkError(_why_refused(self._name, self._settings.user)) from error
        self.events.pause_handlers()
        self._subscribe(events, subclasses, list(filters))
        self._identify()

    def _subscribe(self, events: Iterable[str], subclasses: Iterable[str], filters: list[tuple[str, str]]) -> None:
        wires: list[Wire] = []
        if filters:
            # Once there is one filter, an event that matches none stays in the switch.
            own = [("Event-Name", name) for name in (*_OWN_EVENTS, "CUSTOM")]
            wires += [encoder.filter_event(*pair) for pair in dict.fromkeys([*filters, *own])]
        for wire in wires:
            self._demand(self.events, wire)
        names, custom = list(dict.fromkeys([*events, *_OWN_EVENTS])), list(dict.fromkeys([*subclasses, PROBE]))
        if self._allowed(self.events, encoder.event_json(names, custom)):
            return
        # FreeSWITCH stops at the first word that it refuses. So each word is sent by itself, and the allowed events are
        # heard.
        one_by_one = [(name, encoder.event_json([name])) for name in names]
        one_by_one += [(subclass, encoder.event_json([], [subclass])) for subclass in custom]
        self.denied += [word for word, wire in one_by_one if not self._allowed(self.events, wire)]
        missing = [word for word in self.denied if word in ESSENTIAL]
        if missing:
            raise LinkError(f"FreeSWITCH does not let this user hear {', '.join(missing)} (directory/fsacd_link.xml)")

    def _allowed(self, client: EslClient, wire: Wire) -> bool:
        """Whether the switch takes the command; LinkError for any refusal but one of rights."""
        reply = client.call(wire)
        if reply.outcome is Outcome.ERR and reply.text.strip() == _DENIED:
            return False
        if reply.outcome is Outcome.ERR and not wire.text.startswith("api "):
            raise LinkError(f"FreeSWITCH refused '{wire.text}': {reply.text}")
        if reply.outcome not in (Outcome.OK, Outcome.ERR):
            raise LinkError(reply.text)
        return True

    def _identify(self) -> None:
        self.core_uuid = self._demand(self.commands, encoder.global_getvar("core_uuid")).text[:_LONGEST_NAME]
        self.hostname = self._demand(self.commands, encoder.global_getvar("hostname")).text[:_LONGEST_NAME]
        # FreeSWITCH answers "-ERR no reply" for a variable that is not set.
        version = self.commands.call(encoder.global_getvar(VARIABLE))
        if version.outcome not in (Outcome.OK, Outcome.ERR):
            raise LinkError(version.text)
        self.dialplan = version.text if version.ok else ""
        if self._settings.user:
            # Without an argument each of these commands answers with its usage, if it is allowed.
            self.denied += [verb for verb in _ASKED if not self._allowed(self.commands, encoder.api(verb))]
        seconds = self._demand_number(encoder.uptime("s"))
        before = time.monotonic()
        low = self._demand_number(encoder.uptime("ms"))
        # The beginning of the round trip, not its middle: so our uptime is never behind the switch's, and no caller
        # seems to come from the future. A caller whose arrival is clamped to now could change places with the next.
        self.read_at_ms = int(before * 1000) - 1
        # FreeSWITCH prints milliseconds modulo 2^32, which is 49 days; the seconds tell how often it went round.
        self.uptime_ms = low + round((seconds * 1000 - low) / _WRAP) * _WRAP

    def _demand_number(self, wire: Wire) -> int:
        text = self._demand(self.commands, wire).text.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
            raise LinkError(f"FreeSWITCH answered '{wire.text}' with no number: {text[:40]!r}")
        return int(text)

    @staticmethod
    def _demand(client: EslClient, wire: Wire) -> Reply:
        reply = client.call(wire)
        if reply.outcome is Outcome.ERR:
            raise LinkError(f"FreeSWITCH refused '{wire.text}': {shortened(reply.text)}")
        if not reply.ok:
            raise LinkError(shortened(reply.text))
        return reply

    # --- running ---

    def run(self) -> str:
        """Hand events on and watch both connections until one ends; the reason."""
        self._running = True
        self.events.resume_handlers()
        if self._settings.wake_up_ms:
            self._waker = watched.bound("link waker", self._keep_awake, self._end, may_end=self._over.is_set)
        # A user who may not hear the probe must not send it: the switch would be taken for dead.
        probe_s = 0.0 if PROBE in self.denied else self._settings.probe_interval_ms / 1000
        next_probe = time.monotonic() if probe_s else float("inf")
        while not self._over.is_set():
            now = time.monotonic()
            if now >= next_probe:
                self._probe(now)
                next_probe = now + probe_s
            client, ends = min(self._silences(), key=itemgetter(1))
            if now >= ends:
                self._end_if_silent(client)
                continue
            self._over.wait(max(0.001, min(ends, next_probe) - now))
        return self._reason or "the link was closed"

    def _silences(self) -> Iterator[tuple[EslClient, float]]:
        """When each connection will have been silent for too long."""
        yield self.events, self.events.last_heard + self._settings.heartbeat_timeout_ms / 1000
        for client, asked in self._asked.items():
            if client.last_heard < asked:
                yield client, asked + self._settings.silence_timeout_ms / 1000

    def _end_if_silent(self, client: EslClient) -> None:
        # If this process stood still, and not FreeSWITCH, the bytes are there and only need to be read.
        before = client.last_heard
        self._over.wait(_GRACE_S)
        if client.last_heard == before and not client.has_unread():
            silent_s = time.monotonic() - max(before, self._asked.get(client, before))
            self._end(f"FreeSWITCH sent nothing for {silent_s:.1f} s")

    def _keep_awake(self) -> None:
        # A timer that repeats costs the loop a tenth of a greenlet that sleeps, and this is most of what an idle call
        # centre's daemon does. Nothing in `tick` waits, so it may run in the hub. What is read puts the next newline
        # off: FreeSWITCH has just looked at its events, and no event waits longer than an interval for the next look.
        interval_s = self._settings.wake_up_ms / 1000
        timer = gevent.get_hub().loop.timer(interval_s, interval_s)
        at_rest = Event()

        def tick() -> None:
            if self._busy.is_set():
                self.events.wake()
            else:
                timer.stop()
                at_rest.set()

        try:
            while not self._over.is_set():
                self._busy.wait()
                at_rest.clear()
                self.events.wake()
                timer.start(tick)
                self.events.when_heard(lambda: timer.active and timer.again(tick))
                at_rest.wait()
        finally:
            self.events.when_heard(lambda: None)
            timer.close()

    def _probe(self, now: float) -> None:
        if self._probes_out:
            self._counters.probes_missed += 1
            late_s = now - next(iter(self._probes_out.values()))
            if late_s >= self._settings.heartbeat_timeout_ms / 1000:
                self._end(f"FreeSWITCH has echoed no probe event for {late_s:.1f} s")
                return
        self._counters.probes += 1
        self._probe_number += 1
        probe = f"{self._token}-{self._probe_number}"
        self._probes_out[probe] = now
        for client in (self.events, self.commands):
            # The first probe since the connection last said something: because of it each of the two must send
            # something.
            if client.last_heard >= self._asked.get(client, 0.0):
                self._asked[client] = now
        self.commands.submit(encoder.send_event(PROBE, {_NUMBERED: probe}))

    def _on_message(self, message: Message) -> None:
        if not self._running:
            # The session ended before it was announced: nobody may hear of its events.
            return
        probe = message.get(_NUMBERED) if message.name == "CUSTOM" and message.subclass == PROBE else ""
        if not probe:
            self._on_event(message)
            return
        sent = self._probes_out.get(probe)
        if sent is not None:
            lag_ms = (time.monotonic() - sent) * 1000
            self._probes_out.clear()
            self._counters.lag_ms = lag_ms
            self._counters.lag_max_ms = max(self._counters.lag_max_ms, lag_ms)

    def give_up(self, reason: str) -> None:
        """Let `run` end, if nothing else has ended it yet."""
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
        self._over.set()

    # --- closing ---

    def close(self, reason: str | None = None) -> None:
        """Close both; events that have come are still handed on, and commands without an answer are failed."""
        self._end(reason or "the link was closed")
        if self._waker is not None:
            self._waker.kill(block=False)
        for client in (self.events, self.commands):
            client.lose(self._reason or "", in_order=reason is not None)
        if self._running:
            # Events that came before the end are still valid: the handler sees them before it is told of the end.
            self.events.ended.wait(_DRAIN_S)
        self._running = False
        for client in (self.events, self.commands):
            client.stop()


def _why_refused(switch: str, user: str) -> str:
    """The sentence for a refused login; the switch gives one answer to a wrong user, domain or password."""
    if not user:
        return f"FreeSWITCH refused the password (event_socket.conf.xml and switches.{switch}.password differ)"
    return (
        f"FreeSWITCH refused the user {user} or the password: its directory has no such user or domain, gives them no "
        f"esl-password, or another one than switches.{switch}.password (directory/fsacd_link.xml)"
    )
