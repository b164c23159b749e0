"""The service of one switch: the fence, the lease, catching up on missed events, and comparing again and again.

One life for each time the link is up:

    link up ──> acquire the fence ──> catch up ──> in service ──> compare engine and switch, again and again
                  (stand by)

Link down ends all of it, and a lost fence ends the link: its unread events are of a time in which another daemon may
have served. That daemon's agent legs would be taken for strays, and its callers for waiting.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import gevent
import structlog
from gevent.event import Event as Signal

from fsacd.core.events import SwitchConnected, SwitchHeld, SwitchLost, SwitchTaken
from fsacd.esl import differences, encoder, translate
from fsacd.esl.attendance import Attendance
from fsacd.esl.deciding import Deciding
from fsacd.esl.differences import Absence
from fsacd.esl.fence import Fence, FenceError, Held, Taken
from fsacd.esl.outside import OutsideCalls
from fsacd.esl.pipeline import Pipeline, Submit
from fsacd.esl.reconciler import LIST_LAG_S, Reconciler
from fsacd.esl.settings import LinkSettings
from fsacd.esl.states import Up
from fsacd.esl.switch_clock import LEASES, SwitchClock, lease_end_ms
from fsacd.esl.wire import Outcome, Wire
from fsacd.log.repeats import kind_of
from fsacd.log.setup import seldom
from fsacd.process.monotonic import monotonic_ms
from fsacd.process.trouble import shortened
from fsacd.runtime import watched

log = structlog.get_logger(__name__)

# How often the lease is renewed within its length: many renewals in a row may be lost.
_LEASE_RENEWALS: Final = 12
# A waiting caller's leg looks at the lease only every ten seconds (the dialplan's loop), and shall leave at most five
# after its end: so the lease is written to end earlier by the difference.
_LEASE_EARLIER_MS: Final = 5_000
_ANSWER_S: Final = 5.0
# How often a daemon that stands by looks at the fence.
_STAND_BY_S: Final = 0.5
# A waiting caller is announced every ten seconds (the dialplan's loop): after this time a daemon that has taken the
# switch knows everybody there. Until then this daemon may be the only one that knows a caller.
_ALL_KNOWN_S: Final = 15.0
_LOOK_ON_EVERY_S: Final = 1.0
# A daemon that takes over from another one looks a second time after this pause: the list lags by 0.3 s.
_TAKE_OVER_S: Final = 0.4
# An uptime that is read over a slower round trip is less exact than the clock that we have.
_QUICK_MS: Final = 100
_DRIFT_MS: Final = 500
_RELEASE_S: Final = 1.0
# How often silent legs are looked for.
_ATTENDANCE_S: Final = 1.0


class Service:
    """Keeps watch over one switch. `act` sends what changes something there, `renew_link` begins a new life of it."""

    def __init__(
        self,
        name: str,
        settings: LinkSettings,
        instance: str,
        lease_ms: int,
        runtime: Deciding,
        reader: translate.Reader,
        outside: OutsideCalls | None,
        attendance: Attendance,
        *,
        submit: Submit,
        act: Callable[[Wire], None],
        renew_link: Callable[[str], None],
        on_repair: Callable[[str], None],
    ) -> None:
        self.name = name
        self._settings = settings
        self._lease_ms = lease_ms
        self._runtime = runtime
        self._outside = outside
        self._attendance = attendance
        self._all_expected = False
        self._act = act
        self._renew_link = renew_link
        self._pipeline = asker = Pipeline(submit, _ANSWER_S)
        self._reconciler = Reconciler(
            name,
            runtime,
            reader,
            outside,
            asker,
            settings.recovery_wait_ms,
            clock=lambda: self.clock,
            set_clock=partial(setattr, self, "clock"),
            is_ours=lambda: not self._fence_lost,
            act=act,
            on_repair=on_repair,
        )
        self._instance = instance
        self._taken = False  # another daemon serves the switch, and the engine has been told
        self._taken_since_s: float | None = None  # when this daemon first saw that
        self._looked_s = 0.0
        self._fence: Fence | None = None
        if settings.fence_term_ms:
            # An answer is awaited as long as the fence lasts: a busy switch that takes a second keeps its daemon.
            token, asker = secrets.token_hex(8), Pipeline(submit, settings.fence_term_ms / 1000)
            self._fence = Fence(instance, token, settings.fence_term_ms, asker, monotonic_ms, self._uptime)
        self._life: gevent.Greenlet | None = None
        self._keeper: gevent.Greenlet | None = None
        self._stir = Signal()
        self._fence_lost = False
        self._retired = False
        self._restarted = False  # the switch has restarted, and what has become of its old legs is not known yet
        self._reconcile_asked = False
        self.clock = SwitchClock(0, 0)
        self.detail = "not connected yet"
        self.listens = self.standing_by = self.in_sync = False
        self.since_ms = monotonic_ms()

    def _uptime(self, now_ms: int) -> int:
        return self.clock.uptime_at(now_ms)

    def link_up(self, state: Up) -> None:
        """The link has come up: events flow."""
        if state.restarted:
            self.clock = SwitchClock(state.uptime_ms, state.at_ms, before=replace(self.clock, before=None))
        else:
            self._set_clock(state.uptime_ms, state.at_ms)
        self._restarted = self._restarted or state.restarted
        self._life = watched.bound("watch over a switch", self._live, self._renew_link)

    def link_down(self, reason: str) -> None:
        """There is no link any more."""
        self._end_life()
        self._attendance.clear()
        self._out_of_service(reason)
        self._all_expected = self.standing_by = False
        self._runtime.post(SwitchLost(self.name))

    def retire(self) -> None:
        """Do not begin to serve the switch any more; if it is served already, fence and lease are kept until `stop`."""
        self._retired = True

    def remember_epoch(self, epoch: int) -> None:
        """The daemon before this one held the switch in this epoch."""
        if self._fence is not None:
            self._fence.remember(epoch)

    def stop(self) -> None:
        """Serve no more, and let the next daemon take over at once."""
        self._end_life()
        if self._fence is not None and self._fence.holds():
            with gevent.Timeout(_RELEASE_S, False):
                self._fence.release()

    def may_act_for_s(self) -> float:
        """For how many seconds from now a command may be sent to the switch; 0 when it may not."""
        most_s = self._settings.command_timeout_ms / 1000
        if self._fence is None:
            return most_s
        return min(most_s, self._fence.left_ms() / 1000) if self.check_fence() else 0.0

    def check_fence(self) -> bool:
        """Check that the fence is ours at this very moment; when it has run out, another daemon may already decide."""
        if self._fence is None or self._fence.holds():
            return True
        if self.listens:
            self._lose_fence()
        return False

    def hears(self) -> bool:
        """Whether the switch's events are to be believed: this daemon serves the switch, or is about to."""
        return self.listens and self.check_fence()

    def reconcile_now(self) -> bool:
        """Compare engine and switch at once, without waiting for the interval; False when the switch is not ours."""
        self._reconcile_asked = self.in_sync
        self._stir.set()
        return self.in_sync

    # --- one life of the link ---

    def _live(self) -> None:
        self._fence_lost = False
        held = self._acquire(self._fence) if self._fence is not None else None
        self._keeper = watched.bound("keeping of the fence", self._keep, self._renew_link)
        taken_over = held is not None and self._account(held)
        self.listens, self.standing_by = True, False
        away = self._how_it_was()
        self._try(partial(self._reconciler.catch_up, away))
        if taken_over:
            # Another daemon may have rung somebody just now, whom the switch's list does not show yet. The pause also
            # lets legs that were just ended disappear before their agents are rung again.
            gevent.sleep(_TAKE_OVER_S)
            self._try(partial(self._reconciler.catch_up, differences.HERE))
        if not (self._fence_lost or self._retired):
            self._restarted = False
            self._into_service()
            self._compare_again_and_again()

    def _acquire(self, fence: Fence) -> Held:
        """Wait until the fence is ours."""
        said = ""
        while True:
            wait_s = _STAND_BY_S
            try:
                got = fence.acquire()
            except FenceError as error:
                self.detail = shortened(str(error))
            else:
                match got:
                    case Held(epoch, before) as held:
                        log.info("this daemon serves the switch", switch=self.name, epoch=epoch, before=before)
                        return held
                    case Taken(known=False):
                        self.detail = "FreeSWITCH did not say who serves it"
                    case Taken(by, for_ms):
                        self.listens, self.standing_by = False, True
                        if by:
                            self._look_on()
                        words = f"standing by: instance {by} serves this switch" if by else "standing by"
                        self.detail = shortened(words)  # shortened, because others may write this name into the switch
                        wait_s = min(_STAND_BY_S, max(0.02, for_ms / 1000))
            if self.detail != said:
                said = self.detail
                seldom(
                    log.warning, kind_of(said), "not serving the switch", group=self.name, switch=self.name, why=said
                )
            gevent.sleep(wait_s)
            self._read_clock()

    def _look_on(self) -> None:
        """Another daemon serves the switch: follow our calls there until it surely knows those that still wait."""
        now_s = time.monotonic()
        if self._taken_since_s is None:
            self._taken_since_s = now_s
        if self._taken or now_s < self._looked_s + _LOOK_ON_EVERY_S:
            return
        self._looked_s = now_s
        self._try(partial(self._reconciler.look_on, Absence(self._restarted)))
        if now_s >= self._taken_since_s + _ALL_KNOWN_S:
            self._tell_taken()

    def _account(self, held: Held) -> bool:
        """The fence is ours: tell the engine which calls ended, or passed to another daemon, in the meantime.

        Returns whether another daemon has served the switch, by the fence or, if a crash has erased it, seen by this
        one.
        """
        taken_over = held.from_whom not in ("", self._instance) or self._taken_since_s is not None
        if taken_over and not self._taken:
            self._try(partial(self._reconciler.look_on, Absence(self._restarted)))
            self._tell_taken()
        self._taken, self._taken_since_s, self._looked_s = False, None, 0.0
        self._runtime.post(SwitchHeld(self.name, held.epoch))
        return taken_over

    def _tell_taken(self) -> None:
        self._taken = True
        self._runtime.post(SwitchTaken(self.name))
        if self._outside is not None:
            self._outside.forget()

    def _how_it_was(self) -> Absence:
        """What may have happened while no daemon listened, as the lease in the switch tells."""
        for name in LEASES:
            lease = self._pipeline(encoder.global_getvar(name))
            if lease.ok and (until_ms := lease_end_ms(lease.text)) is not None:
                return Absence(self._restarted, lease_ended=self._uptime(monotonic_ms()) >= until_ms)
        # The switch has no lease, yet the engine knows calls on it: it was started anew while nobody looked.
        forgotten = lease.outcome in (Outcome.OK, Outcome.ERR)
        knows = any(call.leg is not None and call.leg.switch == self.name for call in self._runtime.underway().calls)
        return Absence(self._restarted or (forgotten and knows), lease_ended=forgotten)

    def _into_service(self) -> None:
        self.in_sync, self.detail, self.since_ms = True, "", monotonic_ms()
        self._runtime.post(SwitchConnected(self.name))
        log.info("in sync with the switch", switch=self.name)

    def _out_of_service(self, why: str) -> None:
        if self.in_sync:
            self.since_ms = monotonic_ms()
        self.in_sync, self.detail = False, why

    def _lose_fence(self) -> None:
        """Send no command, and believe no event, until the fence is ours again."""
        self._fence_lost, self.listens = True, False
        why = "the fence was not renewed in time, or another daemon has taken it"
        self._out_of_service(why)
        log.warning("not serving the switch any more", switch=self.name, why=why)
        self._runtime.post(SwitchLost(self.name))
        self._stir.set()
        self._renew_link(why)

    def _end_life(self) -> None:
        for greenlet in (self._keeper, self._life):
            if greenlet is not None and greenlet is not gevent.getcurrent():
                greenlet.kill()

    # --- keeping what we have ---

    def _keep(self) -> None:
        """Renew fence and lease until the fence is lost."""
        lease_s = self._lease_ms / 1000 / _LEASE_RENEWALS
        renewal_s = self._settings.fence_renewal_ms / 1000 if self._fence is not None else lease_s
        next_lease = 0.0
        while True:
            began_s = time.monotonic()
            if self._fence is not None and not self._fence.renew():
                if not self._fence_lost:
                    self._lose_fence()
                return
            if time.monotonic() >= next_lease:
                next_lease = time.monotonic() + lease_s
                self._read_clock()
                self._renew_lease()
            # The interval is counted from question to question: a slow answer has used up a part of the term.
            gevent.sleep(max(0.0, min(began_s + renewal_s, next_lease) - time.monotonic()))

    def _renew_lease(self) -> None:
        until_s = (self._uptime(monotonic_ms()) + self._lease_ms - _LEASE_EARLIER_MS) // 1000
        for name in LEASES:
            self._act(encoder.global_setvar(name, str(until_s)))

    def _read_clock(self) -> None:
        """Check that our clock still agrees with the switch's uptime."""
        before_ms = monotonic_ms()
        reply = self._pipeline(encoder.uptime("ms"))
        at_ms = before_ms - 1  # before the question, as in Session
        uptime_ms = self.clock.told(reply.text, at_ms)
        if reply.ok and uptime_ms is not None and monotonic_ms() - before_ms <= _QUICK_MS:
            self._set_clock(uptime_ms, at_ms)

    def _set_clock(self, uptime_ms: int, at_ms: int) -> None:
        """Correct the clock of the switch's uptime if it is wrong: over weeks, two machines' clocks drift apart.

        A small error stays: a correction could change the order of two callers who came one after the other.
        """
        if abs(self.clock.uptime_at(at_ms) - uptime_ms) > _DRIFT_MS:
            self.clock = replace(self.clock, uptime_ms=uptime_ms, at_ms=at_ms)

    # --- comparing ---

    def _compare_again_and_again(self) -> None:
        """Compare until the fence is lost: soon after catching up, then at each interval, and on request.

        The next comparing comes soon when there was something to repair, or the switch was too slow to answer. Between
        the comparings, legs that have fallen silent are asked for.
        """
        interval_s = self._settings.reconcile_interval_ms / 1000
        pause_s = LIST_LAG_S
        due_s = time.monotonic() + pause_s
        while self._goes_on(min(_ATTENDANCE_S, max(0.0, due_s - time.monotonic()))):
            if self._reconcile_asked or time.monotonic() >= due_s:
                self._reconcile_asked = False
                agrees = self._try(self._reconciler.compare)
                if not self._all_expected:
                    self._all_expected = True
                    self._try(self._expect_all)
                pause_s = LIST_LAG_S if agrees else min(interval_s, 2 * pause_s)
                due_s = time.monotonic() + (interval_s if agrees else pause_s)
            self._try(self._ask_for_the_silent)

    def _expect_all(self) -> None:
        """Expect the announcement of every caller who is known: they may be taken away before the first one."""
        now_ms = monotonic_ms()
        for leg in self._reconciler.who_wait():
            self._attendance.expect(leg, now_ms)

    def _ask_for_the_silent(self) -> None:
        now_ms = monotonic_ms()
        if silent := self._attendance.silent(now_ms):
            for leg in self._reconciler.ask_for(set(silent)):
                self._attendance.heard(leg, now_ms)

    def _try(self, look: Callable[[], bool | None]) -> bool | None:
        """Run `look`, and only report its failure: one faulty leg must not end the service of all others unnoticed."""
        try:
            return look()
        except Exception as error:  # noqa: BLE001 - see above
            watched.caught("comparing", error)
            return None

    def _goes_on(self, wait_s: float) -> bool:
        """Wait for the time, or for somebody who asks; False when the fence is lost."""
        self._stir.clear()
        if not (self._reconcile_asked or self._fence_lost):
            self._stir.wait(wait_s)
        return not self._fence_lost
