"""The composition root: builds the parts from the configuration, connects them, and ends them in order."""

from __future__ import annotations

import secrets
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import gevent
import structlog
from gevent.event import Event as Signal

import fsacd
from fsacd.caller.recognition import Recognition
from fsacd.caller.timetable import Timetable, renamed_hours
from fsacd.config.model import Config
from fsacd.config.problems import ConfigErrors
from fsacd.core.commands import Command
from fsacd.core.events import MOVES_NOBODY, TalkChangeAsked, TalkConsultAsked, TalkTransferAsked, TalkWish
from fsacd.core.show.feed import Feed
from fsacd.core.show.look import Look
from fsacd.core.show.parts import whole
from fsacd.core.views import Explanation
from fsacd.daemon import plugging, wiring
from fsacd.daemon.change import Parts
from fsacd.daemon.drain import drain
from fsacd.daemon.guarding import Guard
from fsacd.daemon.in_force import in_force
from fsacd.daemon.plugging import CurrentPlugins, Reading, read
from fsacd.daemon.reading import Current, Origin
from fsacd.daemon.reload import Reloads
from fsacd.daemon.resume import Continuation, rename_callers
from fsacd.daemon.status import store_status, switch_status
from fsacd.daemon.systemd import Notifier
from fsacd.daemon.telling import log_records
from fsacd.desk.rights import BY_SIGNAL, Principal, Verb, Wish
from fsacd.errors import FsacdError, Refused, Unavailable
from fsacd.esl.carried import Carried
from fsacd.esl.control import CallControl
from fsacd.esl.differences import Difference
from fsacd.esl.features import Desk
from fsacd.esl.fence import instance_name
from fsacd.esl.orders import switch_of
from fsacd.http import health
from fsacd.http.access import Access
from fsacd.http.api import CustomerDesk, DaemonStatus, ReloadStatus, StoreStatus
from fsacd.http.app import make_app
from fsacd.http.customer_forms import Forms
from fsacd.http.server import ApiServer
from fsacd.log import setup as logs
from fsacd.metrics.exposition import Metrics
from fsacd.process.monotonic import monotonic_ms
from fsacd.process.trouble import Troubles
from fsacd.runtime import watched
from fsacd.runtime.loop import Runtime
from fsacd.runtime.memory import settle_memory

log = structlog.get_logger(__name__)

_MEASURE_S = 1.0
# How often a computing thread (metrics, reading a file, searching the spool) gives the interpreter up: it delays a
# decision by no more than this.
_SWITCH_INTERVAL_S = 0.001


def run(path: Path) -> int:
    """Run the daemon until a signal ends it; returns the exit code. Problems go to standard error, in sentences."""
    try:
        reading = read(path)
    except ConfigErrors as errors:
        logs.complain(str(errors))
        return 2
    log_config = reading.config.log
    logs.setup(log_config.level, "json" if log_config.format == "json" else "console", log_config.number_digits)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        daemon = Daemon(path, reading)
        daemon.start()
    except FsacdError as error:
        logs.complain(str(error))
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, daemon.ask_to_stop)
    gevent.signal_handler(signal.SIGHUP, daemon.reload_on_signal)
    return daemon.serve()


class Daemon:
    """The whole daemon, as the API sees it too (fsacd.http.api.Daemon)."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self._config = config = reading.config  # of the start; what is in force is in `_parts`
        self._started_ms = _wall_ms()
        self._stopping = Signal()
        self._troubles: list[Troubles] = []
        plan = config.number_plan.plan()
        first = in_force(config, config, plan)
        rules = first.rules
        self.metrics = Metrics()
        self.metrics.set_rules(rules)
        self.metrics.begin_at_zero(config.switches, Difference)
        self._plugins = CurrentPlugins(reading.catalogue)
        self._journal = wiring.journal(config)
        self._continuation = last = Continuation(self._journal, rules, self._plugins, secrets.randbits(63))
        self.runtime = Runtime(
            last.engine,
            clock=last.clock,
            on_decision=self.metrics.decided,
            journal=self._journal,
            ahead_ms=last.ahead_ms,
        )
        self._recognition = Recognition(limit=config.limits.customers, plan=plan)
        told = renamed_hours(last.hours, rules.renamed())
        self._timetable = Timetable(first.hours, self.runtime.post, told=told)
        self.metrics.watch_engine(self.runtime.look)
        self._desk = Desk(self.ask, monotonic_ms)
        self.add_troubles(self._desk.troubles)
        self.metrics.watch_pins(lambda: (len(self._desk.locked()), self._desk.locks))
        self._carried = Carried()
        self._controls = {
            name: CallControl(
                name,
                wiring.link_settings(switch),
                self.runtime,
                config.lease_ms,
                self._desk,
                respect_outside_calls=switch.respect_outside_calls,
                instance=instance_name(config.instance),
                on_repair=self.metrics.reconciled,
                on_unacknowledged=partial(self.metrics.unacknowledged, name),
                carried=self._carried,
            )
            for name, switch in config.switches.items()
        }
        self._history = (
            wiring.history(config, self.runtime, self._recognition, self._rename_customers) if config.store else None
        )
        api = wiring.api_settings(config)
        explanations = self._history.explanations if self._history is not None else None
        access = Access(api.tokens, rate=api.rate, burst=api.burst, clock=time.monotonic)
        self._guard = Guard(self.runtime, self._desk, access)
        self._guard.configure(first, whole(self._desk.phones_of(first.members)))
        self.add_troubles(self._guard.troubles)
        self.add_troubles(self._recognition.troubles)
        customers = CustomerDesk(self._history.customers, self._customer_forms) if self._history is not None else None
        app = make_app(
            self, api, self.metrics.exposition, explanations=explanations, access=access, customers=customers
        )
        self.api = ApiServer(app, api, access, lambda path: health.page(self.status(), path))
        self._notifier = Notifier()
        self._parts = Parts(
            Current(first, reading.catalogue),
            self._plugins,
            self.runtime,
            self.metrics,
            self._timetable,
            self._guard,
            self._desk,
            self._recognition,
            self._carried,
            self._history,
        )
        self._reloads = Reloads(Origin(path, _of_the_start(config), plan), self._notifier, self._parts)
        for control in self._controls.values():
            self.add_troubles(control.terms.troubles)
        self._connect_parts()
        self.add_troubles(watched.troubles)
        for control in self._controls.values():
            self.add_troubles(control.troubles)

    def _connect_parts(self) -> None:
        self.metrics.watch_parts(watched.failures)
        self.runtime.set_sender(self._send)
        self.runtime.set_busy_listener(self._set_busy)
        self.runtime.add_sink(self.metrics.sink)
        self.runtime.add_sink(log_records)
        self.runtime.set_recognition(self._recognition.recognise)
        self.add_troubles(lambda: plugging.troubles(self._continuation.engine.substituted()))
        if self._journal is not None:
            self.metrics.watch_journal(self._journal.state)
            self.add_troubles(self._journal.troubles)
        if self._history is not None:
            for sink in self._history.sinks:
                self.runtime.add_sink(sink)
            self.metrics.watch_store(self._history.store.state)
            self.add_troubles(self._history.store.troubles)
            self.metrics.watch_explainer(self._history.explainer.state)

    # --- life ---

    def start(self) -> None:
        """Bind the API and begin to connect. Raises FsacdError when an address is taken."""
        self.api.start()
        if self._history is not None:
            self._history.start()
            self._history.store.put(self._continuation.unwritten)
        self._continuation.unwritten = ()  # it tells of callers, who may ask to be erased
        self._parts.begin()
        if self._journal is not None:
            self._journal.begin(self._continuation.engine, self.runtime.forget)
        log_in = [agent_id for agent_id, agent in self._config.agents.items() if agent.login_at_start]
        self._continuation.tell(self.runtime, self._controls, log_in)
        watched.keep("callers by number", self._rename_callers, may_end=lambda: True)
        self._desk.phones.sit(self._continuation.contacts())
        whole(self._guard.look_around())
        self._timetable.start()
        for control in self._controls.values():
            control.start()
        self._continuation.keep_time(self.runtime, self._controls.values())
        self._config = _of_the_start(self._config)
        settle_memory()
        log.info("fsacd is up", version=fsacd.__version__, api=self.api.url, switches=list(self._controls))

    def serve(self) -> int:
        """Wait for the end; returns the exit code."""
        watched.keep("readiness", self._tell_ready, may_end=lambda: True)
        watched.keep("measuring", self._measure)
        self._notifier.start_watchdog(self._is_sane)
        while not self._stopping.wait(0.5):
            if self.runtime.failure:
                break
        self._stop()
        return 1 if self.runtime.failure else 0

    def _rename_callers(self) -> None:
        """Rename the callers that an earlier daemon has remembered, as the number plan writes their numbers now."""
        known = self._recognition
        rename_callers(
            self._continuation.engine, self.runtime.post, lambda number: known.remembered_as(known.identity(number))
        )

    def _rename_customers(self) -> None:
        """Customers have other numbers, or were merged: rename the remembered callers to customers' first numbers."""
        rename_callers(self._continuation.engine, self.runtime.post, self._recognition.remembered_as)

    def _tell_ready(self) -> None:
        """Tell systemd READY once every switch that answers is in sync, and at least one is."""
        while not any(control.in_sync or control.standing_by for control in self._controls.values()):
            gevent.sleep(0.05)
        self._notifier.ready("serving " + ", ".join(self._controls))

    def _measure(self) -> None:
        """Copy the links' counters into the metrics, and log what the engine's step itself must not write."""
        seen = {name: control.stats() for name, control in self._controls.items()}
        while True:
            gevent.sleep(_MEASURE_S)
            watched.listen()
            logs.tell_repeats()
            for name, control in self._controls.items():
                before, stats = seen[name], control.stats()
                seen[name] = stats
                self.metrics.stands_by(name, control.standing_by)
                if stats.probes != before.probes and stats.lag_ms is not None:
                    self.metrics.event_lag(name, stats.lag_ms / 1000)
                for _ in range(stats.reconnects - before.reconnects):
                    self.metrics.reconnected(name)
                for _ in range(stats.late_replies - before.late_replies):
                    self.metrics.late_reply(name)
                self.metrics.misbehaved(name, stats.nonsense - before.nonsense, stats.left_out - before.left_out)

    def _stop(self) -> None:
        log.info("fsacd is stopping; talks go on, and callers keep waiting for the next daemon")
        self._reloads.stop()
        self._notifier.stopping()
        for control in self._controls.values():
            control.retire()
        if not self.runtime.failure:  # an engine that has failed ends no ring; the next daemon goes on with the rings
            drain(self.runtime, self._controls, self._send, self._parts.current.config.stop_ring_ms)
        self.runtime.stop()
        self.api.stop()
        for control in self._controls.values():
            control.stop()
        self._timetable.stop()
        if self._history is not None:
            self._history.stop()
        if self._journal is not None:
            self._journal.close()

    def ask_to_stop(self) -> None:
        """Ask the daemon to end soon, in order."""
        self._stopping.set()

    # --- within a step: nothing here yields ---

    def _send(self, command: Command) -> None:
        control = self._controls.get(switch_of(command))
        # The switch was taken out of the configuration while there were calls on it: the engine gets no answer, and its
        # deadlines end them.
        if control is not None:
            control.send(command)

    def _set_busy(self, busy: bool) -> None:
        for control in self._controls.values():
            control.set_busy(busy=busy)

    # --- what the API sees ---

    def ask(self, wish: Wish, principal: Principal) -> None:
        """Hand a wish to the engine. Raises Forbidden, Refused or Unavailable."""
        if isinstance(wish, TalkChangeAsked | TalkConsultAsked | TalkTransferAsked):
            self._demand_hold(wish)
        self._guard.ask(wish, principal)

    def _demand_hold(self, wish: TalkWish) -> None:
        """The switch of the talk can hold a caller. An older dialplan would end the caller's leg."""
        if isinstance(wish, TalkChangeAsked) and wish.verb in MOVES_NOBODY:
            return
        call = self.look().talk(wish.offer_id)
        control = self._controls.get(call.leg.switch) if call is not None and call.leg is not None else None
        if control is not None and not control.terms.can_hold:
            raise Refused(
                f"switch {control.name} has an older dialplan; copy freeswitch/dialplan/fsacd.xml there again"
            )

    def look(self) -> Look:
        """The engine as it is now, one thing at a time."""
        return self.runtime.look()

    def changes(self) -> Feed:
        """What has changed in the engine since this daemon was started."""
        return self.runtime.changes

    def explain(self, call_id: str) -> tuple[Explanation, ...]:
        """Why this call's agents were chosen, and why it still waits if it does; as far as is remembered."""
        return self.runtime.explain(call_id)

    def wall_ms(self, engine_ms: int) -> int:
        """The engine's clock as Unix time in ms."""
        return self.runtime.wall_ms(engine_ms)

    def reload(self, principal: Principal, *, dry_run: bool = False, even_so: bool = False) -> str:
        """Read the file again and swap the rules, or with `dry_run` say what that would do; wait for its end.

        Raises Forbidden, or Refused and keeps the old ones: when the file has errors, or would throw callers out of
        their queue without a place to go (`even_so`: they take the dialplan's fallback).
        """
        self._guard.demand(principal, Verb.RELOAD)
        return self._reloads.begin(principal.subject, dry_run=dry_run, even_so=even_so).wait()

    def begin_reload(
        self, principal: Principal, *, dry_run: bool = False, even_so: bool = False, within_s: float = 0
    ) -> ReloadStatus:
        """Begin a reload, and tell how far it is when it has ended or this time is over. Raises as `Reloads.begin`."""
        self._guard.demand(principal, Verb.RELOAD)
        return self._reloads.begin(principal.subject, dry_run=dry_run, even_so=even_so).within(within_s)

    def reload_of(self, number: int) -> ReloadStatus | None:
        """How far this reload is, or what came of it."""
        return self._reloads.find(number)

    def _customer_forms(self) -> Forms:
        return Forms(self._parts.current.config.terms, self._recognition.plan, self._recognition.is_configured)

    def resync(self, principal: Principal) -> str:
        """Compare engine and switches now, in the background. Raises Forbidden, or Refused when we serve no switch."""
        self._guard.demand(principal, Verb.RESYNC)
        asked = [name for name, control in self._controls.items() if control.resync()]
        if not asked:
            raise Refused("this daemon serves no switch now")
        return f"comparing with {', '.join(asked)}; what has to be repaired is counted and logged"

    def reload_on_signal(self) -> None:
        """SIGHUP. What comes of it is in the log."""
        with suppress(Unavailable):  # the daemon stops
            self._reloads.begin(BY_SIGNAL.subject)

    def status(self) -> DaemonStatus:
        """The daemon, its links and its database."""
        return DaemonStatus(
            instance=self._config.instance,
            version=fsacd.__version__,
            started_ms=self._started_ms,
            configured_ms=self._reloads.changed_ms or self._started_ms,
            switches=tuple(switch_status(control, self.runtime) for control in self._controls.values()),
            store=StoreStatus() if self._history is None else store_status(self._history.store.state()),
            stopping=self._stopping.is_set(),
            failure=self.runtime.failure,
            troubles=tuple(trouble for troubles in self._troubles for trouble in troubles()),
            last_reload=self._reloads.last(),
        )

    def add_troubles(self, troubles: Troubles) -> None:
        """Include this function's troubles in every answer about what is wrong now."""
        self._troubles.append(troubles)

    def _is_sane(self) -> bool:
        return not self.runtime.failure


def _of_the_start(config: Config) -> Config:
    """The configuration without what may be large: all of that takes effect at a reload."""
    return config.model_copy(update={"agents": {}, "queues": {}, "customers": {}})


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
