"""The link to one switch: it connects and reconnects by itself, for ever, and reports its state."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable

import gevent
from gevent.event import AsyncResult, Event

from fsacd.esl.codec import Message
from fsacd.esl.encoder import EncodeError
from fsacd.esl.errors import LinkError
from fsacd.esl.session import Session
from fsacd.esl.settings import Counters, LinkSettings
from fsacd.esl.states import Connecting, Down, LinkState, LinkStats, Up
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.process import heap
from fsacd.process.trouble import shortened
from fsacd.runtime import watched

__all__ = ["Connecting", "Down", "LinkSettings", "LinkState", "LinkStats", "SwitchLink", "Up"]

_STOP_S = 3.0
# After a life of this length the switch does not count as one that fails again and again.
_LASTING_S = 5.0


class SwitchLink:
    """Two connections to one switch, kept up. Handlers are called in greenlets of the link and must be quick.

    `on_state` is called in order: Connecting, then Up or Down, and Down after every Up. Events come only between Up and
    Down; what happened outside is lost, and whoever hears Up reads the switch anew.
    """

    def __init__(
        self,
        name: str,
        settings: LinkSettings,
        on_event: Callable[[Message], object],
        on_state: Callable[[LinkState], object],
        *,
        events: Iterable[str] = (),
        subclasses: Iterable[str] = (),
        filters: Iterable[tuple[str, str]] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.state: LinkState = Down("the link has not been started")
        self._settings = settings
        self._on_event = on_event
        self._on_state = on_state
        self._subscription = (tuple(events), tuple(subclasses), tuple(filters))
        self._chance = chance
        self._counters = Counters()
        self._busy = Event()
        self._stopping = Event()
        self._session: Session | None = None
        self._supervisor: gevent.Greenlet | None = None
        # The switch process that we knew last; another core_uuid means that the switch has restarted.
        self._core_uuid: str | None = None
        # Something was said on the last connection that no FreeSWITCH says.
        self._distrusts = False

    # --- for the daemon ---

    def start(self) -> None:
        """Begin to connect, and to connect again whenever the link is lost."""
        assert self._supervisor is None, "a link is started once"
        self._supervisor = watched.keep("link", self._supervise, may_end=self._stopping.is_set)

    def stop(self) -> None:
        """Leave the switch; returns when both connections are closed and Down was told, at most a few seconds later."""
        self._stopping.set()
        session, supervisor = self._session, self._supervisor
        if session is not None:
            session.close("the link was stopped")
        if supervisor is not None and supervisor is not gevent.getcurrent():
            supervisor.join(_STOP_S)
            supervisor.kill(timeout=_STOP_S)

    def renew(self, reason: str) -> None:
        """End this life of the link, with the events that it has not handed on yet. The next life begins by itself."""
        if self._session is not None:
            self._session.give_up(reason)

    def set_busy(self, busy: bool) -> None:
        """While busy, FreeSWITCH is kept awake so that events come within a few milliseconds."""
        if busy:
            self._busy.set()
        else:
            self._busy.clear()

    def submit(
        self, wire: Wire, on_reply: Callable[[Reply], object] | None = None, timeout_s: float | None = None
    ) -> None:
        """Send one command; never blocks. `on_reply` is called exactly once, by another greenlet, and must be quick."""
        session = self._session
        if session is not None and isinstance(self.state, Up):
            session.commands.submit(wire, on_reply, timeout_s)
        elif on_reply is not None:
            reason = self.state.reason if isinstance(self.state, Down) else "the link is not up yet"
            watched.brief("handler of replies", on_reply, Reply(Outcome.NOT_SENT, reason))

    def call(self, wire: Wire, timeout_s: float | None = None) -> Reply:
        """Send one command and wait for its outcome, at most `timeout_s` seconds (default: the settings')."""
        result = AsyncResult()
        self.submit(wire, result.set, timeout_s)
        reply: Reply = result.get()
        return reply

    def stats(self) -> LinkStats:
        """What the link has counted since it was started."""
        counters, session = self._counters, self._session
        return LinkStats(
            connected=isinstance(self.state, Up),
            connects=counters.connects,
            reconnects=max(0, counters.connects - 1),
            events=counters.events,
            bytes=counters.bytes,
            waiting_events=session.events.waiting_events if session else 0,
            pending=session.commands.pending if session else 0,
            handler_errors=counters.handler_errors,
            slice_overruns=counters.slice_overruns,
            inbox_stalls=counters.inbox_stalls,
            timeouts=counters.timeouts,
            late_replies=counters.late_replies,
            not_sent=counters.refused_commands,
            left_out=counters.left_out,
            left_out_ago_s=time.monotonic() - counters.left_out_at_s,
            nonsense=counters.nonsense,
            nonsense_ago_s=time.monotonic() - counters.nonsense_at_s,
            nonsense_why=counters.nonsense_why,
            wake_ups=counters.wake_ups,
            probes=counters.probes,
            probes_missed=counters.probes_missed,
            lag_ms=counters.lag_ms,
            lag_max_ms=counters.lag_max_ms,
        )

    # --- the supervisor ---

    def _supervise(self) -> None:
        backoff = Backoff(self._settings.reconnect_min_ms, self._settings.reconnect_max_ms, self._chance)
        while not self._stopping.is_set():
            self._tell(Connecting())
            connects, began_s = self._counters.connects, time.monotonic()
            reason = shortened(self._live_once())
            if self._counters.connects > connects and time.monotonic() - began_s >= _LASTING_S:
                backoff.reset()
            self._tell(Down(reason))
            heap.give_back()
            least_ms = self._settings.nonsense_pause_ms if self._distrusts else 0
            self._stopping.wait(max(backoff.next_ms(), least_ms) / 1000)

    def _live_once(self) -> str:
        """Make one attempt to connect and, if it succeeds, live one life; returns the reason of its end."""
        session = Session(self.name, self._settings, self._counters, self._on_event, self._busy)
        self._session = session
        try:
            if self._distrusts:
                # After nonsense, the other end is told the password only when it has greeted as FreeSWITCH does and has
                # then kept quiet.
                session.look()
                self._distrusts = False
            session.open(*self._subscription)
            self._counters.connects += 1
            self._tell(self._up(session))
            return session.run()
        except LinkError as error:
            return str(error)
        except EncodeError as error:
            return f"a setting fits no command: {error}"
        except Exception as error:  # noqa: BLE001 - the link must go on: nobody else would notice
            watched.caught("link", error)
            return f"{type(error).__name__}: {error}"
        finally:
            session.close()
            self._distrusts = self._distrusts or session.was_nonsense
            self._session = None

    def _up(self, session: Session) -> Up:
        restarted = self._core_uuid is not None and self._core_uuid != session.core_uuid
        self._core_uuid = session.core_uuid
        return Up(
            core_uuid=session.core_uuid,
            hostname=session.hostname,
            restarted=restarted,
            uptime_ms=session.uptime_ms,
            at_ms=session.read_at_ms,
            dialplan=session.dialplan,
            denied=tuple(session.denied),
        )

    def _tell(self, state: LinkState) -> None:
        self.state = state
        try:
            self._on_state(state)
        except Exception as error:  # noqa: BLE001  # the link must go on connecting, whatever its user's handler does
            watched.caught("link", error)


class Backoff:
    """Doubles from `least_ms` to `most_ms`; half of each delay is chance, lest several daemons come in step."""

    def __init__(self, least_ms: int, most_ms: int, chance: Callable[[], float]) -> None:
        self._least_ms = least_ms
        self._most_ms = most_ms
        self._chance = chance
        self._delay_ms = least_ms

    def next_ms(self) -> float:
        """The next delay in milliseconds; the one after it is longer."""
        delay_ms = self._delay_ms
        self._delay_ms = min(2 * delay_ms, self._most_ms)
        return delay_ms * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """An attempt has succeeded: begin with the shortest delay again."""
        self._delay_ms = self._least_ms
