"""Call control of one switch: its link, translated both ways, with the lease and the sync."""

from __future__ import annotations

import gevent
import structlog

from fsacd.core.commands import CancelOffer, Command, ConfirmTalk, Connect, EndCall, RingAgent, SendCall
from fsacd.core.events import (
    CallerGone,
    CallLost,
    ConnectFailed,
    OfferEnd,
    OfferEnded,
    SwitchConnected,
    SwitchLost,
    SwitchRestarted,
)
from fsacd.esl import encoder, features, sync, translate
from fsacd.esl.codec import Message
from fsacd.esl.link import Down, LinkSettings, LinkState, LinkStats, SwitchLink, Up
from fsacd.esl.outside import EVENTS, FILTERS, OutsideCalls
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.runtime import Runtime, monotonic_ms

log = structlog.get_logger(__name__)

# The lease is renewed four times within its length, so that three renewals may be lost.
_RENEWALS = 4
_SYNC_DEADLINE_S = 5.0
# The switch's list of legs may show one this late: then it is read once more.
_LIST_LAG_S = 1.0
_VERIFY_S = 30.0


class CallControl:
    """Carries the engine's commands to one switch and its facts to the engine.

    `respect_outside_calls`: also hear of the calls that agents have without us.
    """

    def __init__(
        self,
        name: str,
        settings: LinkSettings,
        runtime: Runtime,
        lease_ms: int,
        desk: features.Desk,
        *,
        respect_outside_calls: bool = True,
    ) -> None:
        self.name = name
        self._runtime = runtime
        self._lease_ms = lease_ms
        self._desk = desk
        self._clock = translate.SwitchClock(0, 0)
        self._reader = translate.Reader(name, self._warn)
        self._outside = OutsideCalls(name, desk.phones, runtime.post) if respect_outside_calls else None
        self._link = SwitchLink(
            name,
            settings,
            self._on_event,
            self._on_state,
            events=(*translate.EVENTS, *(EVENTS if respect_outside_calls else ())),
            subclasses=translate.SUBCLASSES,
            filters=(*translate.FILTERS, *(FILTERS if respect_outside_calls else ())),
        )
        self._lease: gevent.Greenlet | None = None
        self._sync: gevent.Greenlet | None = None
        self._watch: gevent.Greenlet | None = None
        self.detail = "not connected yet"
        self.in_sync = False
        self.since_ms = monotonic_ms()  # when `in_sync` last changed

    def start(self) -> None:
        """Begin to connect, and to connect again for ever."""
        self._link.start()

    def stop(self) -> None:
        """Leave the switch alone. Calls on it go on."""
        for greenlet in (self._lease, self._sync, self._watch):
            if greenlet is not None:
                greenlet.kill()
        self._link.stop()

    def set_busy(self, *, busy: bool) -> None:
        """Whether an event would matter at once: then the event connection is kept awake."""
        self._link.set_busy(busy)

    def stats(self) -> LinkStats:
        """What the link has counted."""
        return self._link.stats()

    # --- commands out: called within a step, so nothing here blocks or yields ---

    def send(self, command: Command) -> None:
        """Carry out one command of the engine; what comes of it comes back as a fact."""
        try:
            *first, last = translate.to_wires(command)
        except encoder.EncodeError as error:
            log.warning("a command has no safe form and was not sent", switch=self.name, why=str(error))
            self._failed(command, Reply(Outcome.NOT_SENT, str(error)))
            return
        for wire in first:
            self._link.submit(wire)
        self._link.submit(last, lambda reply: self._on_reply(command, reply))

    def _on_reply(self, command: Command, reply: Reply) -> None:
        if reply.outcome in (Outcome.ERR, Outcome.NOT_SENT):
            self._failed(command, reply)
        # UNCONFIRMED: the switch may have done it. The engine's deadline decides; doing it twice would be worse.

    def _failed(self, command: Command, reply: Reply) -> None:
        match command:
            case RingAgent():
                end = OfferEnd.NOT_SENT if reply.outcome is Outcome.NOT_SENT else OfferEnd.UNREACHABLE
                self._runtime.post(OfferEnded(command.offer_id, end, reply.text))
            case Connect():
                self._not_connected(command, reply)
            case CancelOffer():
                # The leg may not exist yet, or not any more: the engine asks again until it hears of its end.
                pass
            case ConfirmTalk() | SendCall() | EndCall():
                # The leg has ended meanwhile, and its hangup says so; or it will announce itself again.
                log.info(
                    "the switch did not take a command", switch=self.name, what=type(command).__name__, why=reply.text
                )

    def _not_connected(self, command: Connect, reply: Reply) -> None:
        """One of the two legs has gone. If it is the caller's, no further agent shall be rung for him."""
        if reply.outcome is Outcome.NOT_SENT:
            self._runtime.post(ConnectFailed(command.offer_id, reply.text))
            return

        def tell(exists: Reply) -> None:
            if exists.text.strip() == "false":
                self._runtime.post(CallerGone(command.call_id, "no_such_leg"))
            else:
                self._runtime.post(ConnectFailed(command.offer_id, reply.text))

        self._link.submit(encoder.uuid_exists(command.leg.uuid), tell)

    # --- facts in ---

    def _on_event(self, message: Message) -> None:
        now_ms = monotonic_ms()
        if self._outside is not None and message.name.startswith("CHANNEL_"):
            self._outside.hear(message)
        fact = self._reader.read(message, self._clock, now_ms)
        if isinstance(fact, translate.Feature):
            gevent.spawn(self._serve, fact)
        elif fact is not None:
            self._runtime.post(fact)

    def _serve(self, feature: translate.Feature) -> None:
        done = self._desk.serve(feature)
        self._link.submit(encoder.uuid_transfer(feature.leg.uuid, "fsacd_yes" if done else "fsacd_no", "fsacd"), None)

    def _on_state(self, state: LinkState) -> None:
        match state:
            case Up():
                self._clock = translate.SwitchClock(state.uptime_ms, state.at_ms)
                self._sync = gevent.spawn(self._synchronise, restarted=state.restarted)
            case Down(reason):
                if self.in_sync:
                    self.since_ms = monotonic_ms()
                self.in_sync, self.detail = False, reason
                for greenlet in (self._sync, self._lease, self._watch):
                    if greenlet is not None:
                        greenlet.kill()
                log.warning("the link to the switch is down", switch=self.name, why=reason)
                self._runtime.post(SwitchLost(self.name))
            case _:
                pass

    # --- in sync ---

    def _synchronise(self, *, restarted: bool) -> None:
        """Events are flowing already. Learn what has become of our legs unseen; then serve."""
        self._renew_lease()
        if restarted:
            log.warning("the switch has restarted: its calls are gone", switch=self.name)
            self._runtime.post(SwitchRestarted(self.name))
            if self._outside is not None:
                self._outside.forget()
        else:
            self._catch_up()
        if self._outside is not None:
            # Before the first ring: a leg of ours that the engine does not know now can only be an older daemon's.
            self._sweep(self._outside, adopt=True)
            self._watch = gevent.spawn(self._watch_outside, self._outside)
        self.in_sync, self.detail, self.since_ms = True, "", monotonic_ms()
        self._runtime.post(SwitchConnected(self.name))
        log.info("in sync with the switch", switch=self.name)
        self._lease = gevent.spawn(self._keep_lease)

    def _catch_up(self) -> None:
        snapshot = self._runtime.snapshot()
        legs = {call.call_id: call.leg for call in snapshot.calls}
        for fact in sync.missed(snapshot, self.name, self._ask):
            if isinstance(fact, CallLost) and fact.cause == sync.TALKS_UNSEEN:
                # He talks, and the talk is none that we know. After it he must not come back to wait for nobody.
                leg = legs[fact.call_id]
                assert leg is not None
                self.send(ConfirmTalk(fact.call_id, leg, None))
            self._runtime.post(fact)

    def _sweep(self, outside: OutsideCalls, *, adopt: bool) -> None:
        outside.sweep(self._ask, [offer.offer_id for offer in self._runtime.snapshot().offers], adopt=adopt)

    def _watch_outside(self, outside: OutsideCalls) -> None:
        gevent.sleep(_LIST_LAG_S)
        self._sweep(outside, adopt=False)
        while True:
            gevent.sleep(_VERIFY_S)
            outside.verify(self._ask)

    def _ask(self, wire: Wire) -> Reply:
        return self._link.call(wire, _SYNC_DEADLINE_S)

    def _keep_lease(self) -> None:
        while True:
            gevent.sleep(self._lease_ms / 1000 / _RENEWALS)
            self._renew_lease()

    def _renew_lease(self) -> None:
        until_s = (self._clock.uptime_at(monotonic_ms()) + self._lease_ms) // 1000
        self._link.submit(encoder.global_setvar("fsacd_lease", str(until_s)), None)

    def _warn(self, sentence: str) -> None:
        log.warning("an announcement makes no sense", switch=self.name, what=sentence)
