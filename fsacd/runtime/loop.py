"""The loop around the engine: facts in, the clock, commands and records out.

A step is handled at once, in the greenlet that brought the fact. Nothing in a step may yield (the sender and the sinks
hand on to queues of their own), so under gevent a step is atomic, and no inbox is needed: back-pressure stays in the
sockets. A fact that comes up while a step runs (a command that could not be sent says so at once) waits for its end.

The order, stated here and changed nowhere else: journal, handle, send commands, tell the feed, hand records on.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import gevent
import structlog
from gevent.event import Event as Signal

from fsacd.core.commands import Command
from fsacd.core.engine import Engine
from fsacd.core.events import CallQueued, CallReturned, Event, Leg, RulesAmended, TalkFound
from fsacd.core.records import LegMeasured, Record, StrategyFailed
from fsacd.core.show.feed import Feed
from fsacd.core.show.figures import each_without_counters, without_counters
from fsacd.core.show.look import Look
from fsacd.core.show.parts import InParts
from fsacd.core.views import Explanation, Snapshot, Step, Substituted, Underway
from fsacd.errors import Refused, Unavailable
from fsacd.process.monotonic import monotonic_ms
from fsacd.runtime import watched
from fsacd.runtime.memory import Young
from fsacd.runtime.pace import Pace

log = structlog.get_logger(__name__)

Sender = Callable[[Command], None]
Sink = Callable[[Sequence[Record]], None]

# What is under way is a look at every call: the links that ask within this time share one.
_UNDERWAY_MS = 50
_FAILED = "the engine has failed; fsacd is being restarted"
# How often the timer looks at the clock. If it does so later by _STOOD_STILL_MS, the process was stopped or starved:
# then the links have _LISTEN_S to read what has happened before a deadline is acted on.
_LOOK_MS = 200
_STOOD_STILL_MS = 100
_LISTEN_S = 0.1
# The two clocks read one after the other differ by a little; beyond this, the wall clock was set.
_WALL_STEP_MS = 100


class Journal(Protocol):
    """What keeps the facts for the next daemon (fsacd.journal). Nothing here may block, yield or raise."""

    def put(self, now_ms: int, event: Event | None) -> None:
        """A fact is about to enter the engine; None: only time passes."""
        ...

    def prepare(self, event: RulesAmended) -> InParts[None]:
        """A fact comes soon that is long to write down: do so beforehand, in parts."""
        ...

    def put_plugin_failures(self, now_ms: int, failures: Sequence[StrategyFailed]) -> None:
        """Plugins have failed in this step: to decide the same again, they must fail again."""
        ...

    def put_engine_failure(self, now_ms: int) -> None:
        """The engine has failed in this step: a replay must leave out what entered."""
        ...


class Runtime:
    """Owns the engine. `on_decision` is told how long each step took, in seconds.

    `clock` is the engine's: milliseconds that never go back. It is `ahead_ms` ahead of the machine's monotonic clock,
    by which facts say when a caller came.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], int] = monotonic_ms,
        on_decision: Callable[[float], None] | None = None,
        journal: Journal | None = None,
        ahead_ms: int = 0,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._ahead_ms = ahead_ms
        self._clock = clock
        self._on_decision = on_decision
        self._young = Young()
        self._last_ms = clock()
        self._sender: Sender = _nobody
        self._sinks: list[Sink] = []
        self._recognise: Callable[[CallQueued], CallQueued] = _as_it_is
        self._pending: deque[Event] = deque()
        self._running = False
        self._wake = Signal()
        self._sleeping_until: int | None = None
        self._timer: gevent.Greenlet | None = None
        self._before_deadlines: Callable[[], None] = lambda: None
        self._underway: Underway | None = None
        self._feed = Feed(secrets.token_hex(4), engine.is_there)
        self._busy = False
        self._on_busy: Callable[[bool], None] | None = None
        self._stopped = False
        self._wall_offset_ms = time.time_ns() // 1_000_000 - clock()
        self.agent_figures = True  # whether explanations tell agents' counters
        self.failure = ""

    def set_sender(self, sender: Sender) -> None:
        """Set who carries commands out. It must neither block nor yield."""
        self._sender = sender

    def add_sink(self, sink: Sink) -> None:
        """Add a receiver of the records. It must neither block nor yield."""
        self._sinks.append(sink)

    def note(self, record: LegMeasured) -> None:
        """Hand on what the engine need not know. It is in no journal: what nobody hears, nobody knows."""
        for sink in self._sinks:
            self._tell(sink, (record,))

    def set_recognition(self, recognise: Callable[[CallQueued], CallQueued]) -> None:
        """Set who adds to a call what is known of its caller. It must neither block nor yield."""
        self._recognise = recognise

    def set_busy_listener(self, listener: Callable[[bool], None]) -> None:
        """Set who is told, at each change, if there is a call or a ready agent. It must neither block nor yield."""
        self._on_busy = listener

    def start(self, before: Callable[[], None] | None = None) -> None:
        """Begin to act on deadlines. `before` is called before each one, and may post facts that make it void."""
        if before is not None:
            self._before_deadlines = before
        self._timer = watched.bound("timer", self._keep_time, self._timer_failed, may_end=self._is_over)

    def stop(self) -> None:
        """Take no more facts."""
        self._stopped = True
        if self._timer is not None:
            self._timer.kill()

    def post(self, event: Event) -> None:
        """Take a fact. It is handled before this returns, unless a step is running right now."""
        if isinstance(event, CallQueued):
            event = self._known(event)
        elif isinstance(event, TalkFound):
            ahead_ms = self._ahead_ms
            event = replace(
                event,
                call=self._known(event.call),
                rang_ms=event.rang_ms + ahead_ms,
                answered_ms=event.answered_ms + ahead_ms,
                connected_ms=event.connected_ms + ahead_ms,
            )
        elif self._ahead_ms and isinstance(event, CallReturned) and event.at_ms is not None:
            event = replace(event, at_ms=event.at_ms + self._ahead_ms)
        self._pending.append(event)
        self._drain()

    def _known(self, event: CallQueued) -> CallQueued:
        """The call by the engine's clock, with what is known of its caller: a replay needs no more to decide alike."""
        if self._ahead_ms:
            event = replace(event, arrived_ms=event.arrived_ms + self._ahead_ms)
        return self._recognise(event)

    def ask(self, event: Event) -> None:
        """Take a wish. Raises Refused with the engine's reason, or Unavailable if the engine takes nothing any more."""
        if self._stopped or self.failure:
            raise Unavailable("fsacd is stopping" if self._stopped else _FAILED)
        # The API's greenlets are never inside a step, so this one runs now.
        assert not self._running
        refused = self._step(event)
        self._drain()
        if self.failure:
            raise Unavailable(_FAILED)
        if refused is not None:
            raise Refused(refused)

    def forget(self, event: Event) -> None:
        """Take the fact that callers are to be forgotten, and keep nothing of the steps before it, either."""
        self.post(event)
        self._feed.forget_steps()

    def substituted(self) -> tuple[Substituted, ...]:
        """The plugins that are out of service, by queue."""
        return self._engine.substituted()

    @property
    def edition(self) -> int:
        """How often the engine's rules have been changed."""
        return self._engine.edition

    def prepare(self, event: RulesAmended) -> InParts[None]:
        """Compute and write down beforehand, in parts, what this fact brings about: it holds others up less then."""
        yield from self._engine.prepare(event)
        if self._journal is not None:
            yield from self._journal.prepare(event)

    def look(self) -> Look:
        """The engine as it is now, one thing at a time."""
        return self._engine.look(self._now())

    @property
    def changes(self) -> Feed:
        """What has changed since this daemon was started."""
        return self._feed

    def snapshot(self) -> Snapshot:
        """Everything the engine knows: costs a look at everything."""
        return self._engine.snapshot(self._now())

    def underway(self) -> Underway:
        """All calls and offers, at most 50 ms old."""
        now_ms = self._now()
        if self._underway is None or now_ms - self._underway.now_ms > _UNDERWAY_MS:
            self._underway = self._engine.underway(now_ms)
        return self._underway

    def is_offer(self, leg: str) -> bool:
        """Whether the engine knows an offer with this leg now."""
        return self._engine.is_offer(leg)

    def outside_legs(self, switch: str) -> tuple[tuple[str, Leg], ...]:
        """The calls on this switch that agents have without us: (agent, leg)."""
        return self._engine.outside_legs(switch)

    def explain(self, call_id: str) -> tuple[Explanation, ...]:
        """Why this call's agents were chosen, and why it waits if it does; as far as it is remembered.

        It is slow, because calls go first.
        """
        told = Pace().whole(self._engine.explain_in_parts(call_id, self._now()))
        return told if self.agent_figures else tuple(map(without_counters, told))

    def explain_decision(self, number: int) -> InParts[Explanation | None] | None:
        """One decision, in parts between which calls go first; None if it is not remembered any more."""
        told = self._engine.explain_decision_in_parts(number)
        return told if self.agent_figures or told is None else each_without_counters(told)

    def engine_ms(self, machine_ms: int) -> int:
        """Convert a time of the machine's monotonic clock to the engine's clock."""
        return machine_ms + self._ahead_ms

    def wall_ms(self, engine_ms: int) -> int:
        """The engine's clock as Unix time in ms.

        The same moment gives the same answer, unless somebody has set the wall clock.
        """
        offset_ms = time.time_ns() // 1_000_000 - self._clock()
        if abs(offset_ms - self._wall_offset_ms) > _WALL_STEP_MS:
            self._wall_offset_ms = offset_ms
        return engine_ms + self._wall_offset_ms

    def _drain(self) -> None:
        if self._running:
            return
        while self._pending:
            self._step(self._pending.popleft())

    def _step(self, event: Event | None) -> str | None:
        """One step of the engine; None lets the time pass."""
        if self._stopped or self.failure:
            return None
        self._running = True
        now_ms = self._now()
        try:
            step = self._decide(event, now_ms)
            self._hand_on(step)
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine must not go on in an unknown state
            self._fail(event, error)
            return None
        else:
            self._young.stepped()
            return step.refused
        finally:
            self._running = False
            self._wake_if_earlier()

    def _decide(self, event: Event | None, now_ms: int) -> Step:
        started = time.perf_counter()
        engine, journal = self._engine, self._journal
        if journal is not None and (event is None or not engine.changes_nothing(event)):
            journal.put(now_ms, event)
        try:
            step = engine.advance(now_ms) if event is None else engine.handle(event, now_ms)
        except Exception:
            if journal is not None:
                journal.put_engine_failure(now_ms)
            raise
        self._underway = None
        if journal is not None and step.records:
            failures = [record for record in step.records if type(record) is StrategyFailed]
            if failures:
                journal.put_plugin_failures(now_ms, failures)
        if self._on_decision is not None:
            self._on_decision(time.perf_counter() - started)
        return step

    def _hand_on(self, step: Step) -> None:
        for command in step.commands:
            self._sender(command)
        self._feed.take(step)
        if step.records:
            for sink in self._sinks:
                self._tell(sink, step.records)
        if self._on_busy is not None and self._engine.busy != self._busy:
            self._busy = self._engine.busy
            self._on_busy(self._busy)

    def _tell(self, sink: Sink, records: Sequence[Record]) -> None:
        """Hand records to one sink. Sinks are behind the calls, so a fault in one must not stop the engine."""
        try:
            sink(records)
        except Exception as error:  # noqa: BLE001 - see above
            watched.caught("records", error)

    def _fail(self, event: Event | None, error: Exception) -> None:
        """Stop deciding. Talks go on and callers hear music; whoever watches the daemon starts it again."""
        self.failure = f"{type(error).__name__}: {error}"
        log.critical("the engine failed and decides nothing any more", fact=type(event).__name__, exc_info=error)

    def _now(self) -> int:
        # The monotonic clock does not go back, but the engine asserts it, and a test's clock may stand still.
        self._last_ms = max(self._last_ms, self._clock())
        return self._last_ms

    def _wake_if_earlier(self) -> None:
        deadline_ms = self._engine.next_deadline_ms()
        if deadline_ms is not None and (self._sleeping_until is None or deadline_ms < self._sleeping_until):
            self._wake.set()

    def _is_over(self) -> bool:
        return self._stopped or bool(self.failure)

    def _timer_failed(self, why: str) -> None:
        """Report the engine as failed: without a timer no ring would ever end, so the daemon must be started again."""
        self.failure = why
        log.critical("no deadline is kept any more, so nothing is decided", why=why)

    def _listen(self) -> None:
        """Let the links read their sockets: a fact that makes the deadline void may wait there."""
        gevent.sleep(_LISTEN_S)

    def _keep_time(self) -> None:
        awake_ms = self._clock()
        while not self._stopped:
            deadline_ms, now_ms = self._engine.next_deadline_ms(), self._clock()
            left_ms = _LOOK_MS if deadline_ms is None else min(_LOOK_MS, deadline_ms - now_ms)
            # Not the deadline: one that is set later and lies behind the next look need not wake the timer.
            self._sleeping_until = now_ms + left_ms
            if left_ms > 0:
                self._wake.wait(left_ms / 1000)
                self._wake.clear()
            slept_ms, awake_ms = self._clock() - awake_ms, self._clock()
            deadline_ms = self._engine.next_deadline_ms()
            if deadline_ms is not None and deadline_ms <= awake_ms:
                # The process may have stood still although this deadline is not late, if it came at the very end.
                if max(slept_ms, awake_ms - deadline_ms) > _LOOK_MS + _STOOD_STILL_MS:
                    self._listen()
                self._before_deadlines()
                self._step(None)
                self._drain()
                gevent.sleep(0)
            if self.failure:
                return


def _as_it_is(event: CallQueued) -> CallQueued:
    return event


def _nobody(command: Command) -> None:
    raise AssertionError(f"nobody carries out {command}")
